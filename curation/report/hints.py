"""Quality figures and issues in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from curation.consent import NO_CONSENT
from curation.issues import SOURCE_ISSUES

__all__ = ["DASH", "Figure", "hint_of_issue", "number", "quality_figure", "span"]


DASH = "\u2013"
"""Stands between two ends, and for what is not known."""
THIN_SPACE = "\u202f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A quality figure as the page shows it."""

    label: str
    value: str
    hint: str


_METRICS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "duration": ("Duration", "From image on to image off."),
        "n_samples": ("Samples", "Gaze samples on disk."),
        "loss_share": (
            "Lost gaze",
            "Share of the time without a valid gaze position; blinks alone are 2 to 5 %.",
        ),
        "longest_loss": (
            "Longest gap",
            "Longest stretch without gaze. Above 1.5 s something other than a blink.",
        ),
        "effective_rate": ("Effective rate", "Measured from the time stamps, whatever the device claims."),
        "missing_samples": ("Missing samples", "Numbered by the device, never arrived."),
        "missing_share": ("Missing share", "The same as a share of all that the device numbered."),
        "rms_s2s": (
            "Precision, RMS-S2S",
            "Sample-to-sample noise while the eyes rest. Below 0.1 degrees is low.",
        ),
        "sd": ("Precision, SD", "Spread of the samples while the eyes rest."),
        "accuracy": ("Accuracy", "Mean offset from known points, worst validation. Below 1 degree is usual."),
        "accuracy_before": ("Accuracy before", "Validation before the reading."),
        "accuracy_after": (
            "Accuracy after",
            "Validation after the reading; a rise means that something moved.",
        ),
        "drift": ("Drift", "Offset at the check before the reading; it was taken off the gaze on the image."),
        "off_image_share": ("Off the image", "Share of the gaze that fell on no image."),
        "panel_share": ("On panels", "Share of the gaze on the viewer's own panels."),
        "dictation_overlap": ("Gaze while dictating", "Share of the dictated time in which gaze is known."),
    }
)

_ISSUES: Mapping[str, str] = MappingProxyType(
    {
        "GQ-NO-GAZE": "Check that the tracker sees the eyes; record again.",
        "GQ-NO-TRACKER": "Read for trying the tool; export holds it back unless asked.",
        "GQ-MOUSE-GAZE": "No eye was measured; export holds it back unless asked.",
        "GQ-TOO-SHORT": "Too short to hold a sentence and the gaze before it.",
        "GQ-TIME-ORDER": "The device's clock jumped; look at the recording's marks.",
        "GQ-LOSS-SHARE": "Too much gaze lost: glasses, head position or calibration.",
        "GQ-LOSS-SHARE-HIGH": "More gaze lost than usual; use with care.",
        "GQ-LOSS-LONG": "The reader looked away or left the tracked area for long.",
        "GQ-LOSS-LONGISH": "The reader may have looked away.",
        "GQ-MISSING-SAMPLES": "The network or the device's computer dropped samples.",
        "GQ-RATE": "The device sends at another rate than it claims; times are measured, so this is harmless.",
        "GQ-ACCURACY": "Regions smaller than the error are not reliable.",
        "GQ-ACCURACY-DROP": "Tracker, chair or glasses moved while reading; trust the later part less.",
        "GQ-DRIFT": "The offset was taken off; validate again where it comes back.",
        "GQ-SENTENCE-LOSS": "Key frames of this sentence rest on little gaze.",
        "GQ-NO-VALIDATION": "Validate before and after a session to know the error.",
        "GQ-NO-DEGREES": "Enter the display's size and the viewing distance.",
        "GQ-OFF-IMAGE": "The reader often looked elsewhere, or the mapping is off.",
        "GQ-PANEL": "The reader often looked at the viewer's own panels.",
        "GQ-DICTATION-OVERLAP": "Sentences without gaze have no key frames.",
        "GQ-NO-WORDS": "Key frames are cut by time instead of by sentence.",
        "GQ-LAG-UNMEASURED": "Image on is uncertain by a frame and 20 ms.",
        "GQ-DISCARDED": "Its own authors threw the gaze away.",
        "GQ-REVIEW-REJECTED": "A reviewer rejected it.",
        "GQ-REVIEW-ACCEPTED": "A reviewer accepted it, whatever the gates say.",
        "GT-BURNED-IN": "A picture seems to show text; `gazecurate burned-in` lets a person decide.",
        "GT-MOUSE-GAZE": "The mouse cursor stands for the gaze.",
        "GT-NO-TRACKER": "It was read without an eye tracker.",
        "GT-SCHEMA": "Something that is stored cannot be read; ingest it again.",
        NO_CONSENT: "Its reader's consent is not on record, or was withdrawn.",
    }
)


def quality_figure(metric: str, value: float | None, unit: str) -> Figure:
    """Return one quality row as label, value with unit, and hint."""
    label, hint = _METRICS.get(metric, (metric.replace("_", " ").capitalize(), ""))
    if unit == "share":
        return Figure(label=label, value="unknown" if value is None else f"{100 * value:.1f} %", hint=hint)
    shown = {"deg": "°", "samples": ""}.get(unit, unit)
    return Figure(label=label, value=f"{number(value, digits=3)} {shown}".strip(), hint=hint)


def hint_of_issue(code: str) -> str:
    """Return what an issue code means for the user, or nothing for an unknown code."""
    return _ISSUES.get(code, "") or _of_the_source(code)


def _of_the_source(code: str) -> str:
    _, message = SOURCE_ISSUES.get(code, ("", ""))
    return f"{message[:1].upper()}{message[1:]}." if message else ""


def number(value: object, digits: int = 4) -> str:
    """Return a value for a table: numbers that are not whole to so many digits, None and NaN as a dash."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", THIN_SPACE)
    if isinstance(value, float):
        if not math.isfinite(value):
            return DASH
        if value.is_integer() and abs(value) < 1e15:
            return number(int(value))
        return f"{value:.{digits}g}"
    return str(value)


def span(t_start_ns: int, t_end_ns: int) -> str:
    """Return a stretch of reading time in seconds."""
    return f"{t_start_ns / 1e9:.1f}{DASH}{t_end_ns / 1e9:.1f} s"

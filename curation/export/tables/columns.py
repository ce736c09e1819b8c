"""The tables and their columns, once: the writer, the codebook and the tests read them from here.

Every row of every table begins with `KEYS`, so that each can be modelled without a join.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["KEYS", "TABLES", "Column", "Table"]

Kind = Literal["text", "integer", "number", "flag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a CSV."""

    name: str
    kind: Kind
    about: str
    unit: str = ""
    decimals: int = 0
    """Of a number: places after the point that are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One CSV."""

    name: str
    about: str
    """What one row is."""
    columns: tuple[Column, ...]


def _text(name: str, about: str) -> Column:
    return Column(name=name, kind="text", about=about)


def _count(name: str, about: str) -> Column:
    return Column(name=name, kind="integer", about=about)


def _flag(name: str, about: str) -> Column:
    return Column(name=name, kind="flag", about=about)


_DECIMALS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "s": 6,
        "min": 3,
        "image px": 2,
        "screen px": 2,
        "deg": 4,
        "image px/deg": 3,
        "Hz": 2,
        "mm": 1,
        "share": 5,
        "": 5,
    }
)
"""Places by unit: finer than any tracker measures, and the same number always gives the same digits."""


def _number(name: str, unit: str, about: str) -> Column:
    return Column(name=name, kind="number", about=about, unit=unit, decimals=_DECIMALS[unit])


def _box(of: str) -> tuple[Column, ...]:
    return tuple(
        _number(f"{side}_image_px", "image px", f"{of}: {edge} edge; boxes are half-open")
        for side, edge in (("x0", "left"), ("y0", "top"), ("x1", "right"), ("y1", "bottom"))
    )


KEYS: Final = (
    _text("reading_id", "one reader interpreting one study"),
    _text("reader", "code of the reader"),
    _text("case", "keyed hash of the study; readings of one study by several readers share it"),
    _text("patient", "keyed hash of the patient"),
    _text("arm", "study arm"),
    _text("session", "keyed hash of the sitting"),
    _count("order", "1-based place of the reading in its sitting; 0 where the source has none"),
    _number("minutes_since_start", "min", "from the first reading of the sitting to this one"),
    _text("split", "train, validate or test"),
    _number("accuracy_deg", "deg", "error of the worse validation, before or after the reading"),
    _number("rms_s2s_deg", "deg", "sample-to-sample noise, median over fixational windows of 0.1 s"),
    _number("loss_share", "share", "share of the reading's time without valid gaze"),
)
"""Columns that every table begins with."""

_READINGS = (
    _text("source_format", "what the reading was made from"),
    _text("split_official", "the split that the source gives"),
    _text("access_tier", "open, consented, credentialed or local-only"),
    _text("gaze_tier", "what of the gaze leaves: raw, 120hz, fixations"),
    _flag("synthetic", "gaze, picture or both were generated"),
    _text("time_origin", "where time 0 is: image_on or audio_start"),
    _text("reader_site", "code of the reader's site"),
    _text("repeat_of", "reading_id of the same reader's first reading of the study"),
    _text("sex", "the patient's: F, M, O"),
    _text("age_band", "the patient's age in decades"),
    _text("tracker_manufacturer", "maker of the eye tracker"),
    _text("tracker_model", "model of the eye tracker"),
    _number("nominal_rate_hz", "Hz", "sampling rate that the device states"),
    _number("effective_rate_hz", "Hz", "sampling rate as measured"),
    _count("screen_width_px", "physical pixels of the screen"),
    _count("screen_height_px", "physical pixels of the screen"),
    _number("screen_width_mm", "mm", "visible width of the screen"),
    _number("screen_height_mm", "mm", "visible height of the screen"),
    _number("viewing_distance_mm", "mm", "eye to screen"),
    _number("duration_s", "s", "image on to image off"),
    _count("n_images", "pictures of the study"),
    _count("n_words", "dictated or typed words"),
    _count("n_sentences", "sentences"),
    _count("n_fixations", "fixations, on the picture or off it"),
    _number("fixation_time_s", "s", "sum of the fixations' durations"),
    _number("mean_fixation_s", "s", "mean duration of a fixation"),
    _number("first_fixation_s", "s", "start of the first fixation on a picture"),
    _number("mean_saccade_deg", "deg", "mean amplitude of the saccades; empty where the gaze tier has none"),
    _text("letter_order", "letters of the scheme in the order of their first visit"),
    _count("n_visits", "visits to regions"),
    _text("region_scheme", "name of the scheme of regions and letters"),
    _count("n_findings", "findings that the reader marked as present"),
    _count("n_lesions", "reference lesions that are present"),
    _count("n_lesions_reported", "reference lesions that the reader reported"),
    _number("sd_deg", "deg", "spread of the samples in fixational windows of 0.1 s"),
    _number("longest_loss_s", "s", "longest time without valid gaze"),
    _number("off_image_share", "share", "share of the valid samples on no picture"),
    _number("dictation_overlap_share", "share", "share of the dictated time in which there is gaze"),
    _count("n_warnings", "issues of severity warning"),
    _text("issue_codes", "codes of all issues, separated by spaces"),
)

_REGIONS = (
    _count("image_index", "picture of the study, from 0"),
    _text("region", "anatomical region"),
    _text("letter", "its letter in the scheme"),
    *_box("of the region"),
    _text("provider", "who says where the region is"),
    _number("confidence", "", "of the provider, 0 to 1"),
    _number("dwell_s", "s", "sum of the durations of the fixations on it; regions overlap"),
    _count("n_fixations", "fixations on it"),
    _count("n_visits", "visits to it"),
    _number("first_fixation_s", "s", "start of the first fixation on it"),
    _number("covered_share", "share", "share of its area near a fixation"),
    _flag("missed", "never looked at"),
)

_LESIONS = (
    _text("finding_id", "the lesion"),
    _text("label", "what it is"),
    _text("source", "who says that it is there"),
    _count("image_index", "picture of the study, from 0"),
    _text("shape", "box, ellipse (inscribed in the box) or none"),
    *_box("of the lesion"),
    _flag("reported", "the reader reported it"),
    _flag("looked_at", "at least one fixation on it; empty for a lesion without a place"),
    _number("first_fixation_s", "s", "start of the first fixation on it"),
    _number("dwell_s", "s", "sum of the durations of the fixations on it"),
    _count("n_fixations", "fixations on it"),
    _count("n_visits", "visits to it"),
    _text("error", "of a lesion not reported: search, recognition or decision"),
)

_FIXATIONS = (
    _count("fixation", "1-based place in the reading"),
    _count("event_index", "row of events/ where the gaze tier lets it out"),
    _number("start_s", "s", "since image on (see time_origin)"),
    _number("end_s", "s", "since image on, exclusive"),
    _number("duration_s", "s", "of the fixation"),
    _number("since_last_s", "s", "end of the fixation before to the start of this one"),
    _count("image_index", "picture of the study, from 0; empty off every picture"),
    _number(
        "x_image_px", "image px", "mean position; right, origin at the outer corner of the first stored pixel"
    ),
    _number("y_image_px", "image px", "mean position; down"),
    _number("image_px_per_deg_x", "image px/deg", "at that moment, zoom included"),
    _number("image_px_per_deg_y", "image px/deg", "at that moment, zoom included"),
    _number("step_deg", "deg", "distance to the fixation before on the same picture, at this one's scale"),
    _number("dispersion_deg", "deg", "spread of the samples"),
    _number("pupil", "", "median; the unit is the tracker's"),
    _text("region", "primary region"),
    _text("letter", "its letter"),
    _number("region_weight", "", "share of the tracker's error disc in the region, 0 to 1"),
    _text("sentence_id", "first of the sentences whose key frames list the fixation"),
    _flag("on_finding", "inside a box or ellipse that the reader marked"),
)

TABLES: Final = (
    Table(name="readings", about="one row per reading", columns=KEYS + _READINGS),
    Table(
        name="reading_regions", about="one row per reading, picture and region of it", columns=KEYS + _REGIONS
    ),
    Table(
        name="lesions",
        about="one row per reading and reference lesion that is present",
        columns=KEYS + _LESIONS,
    ),
    Table(name="fixations", about="one row per fixation", columns=KEYS + _FIXATIONS),
)

"""Stage ``quality``: how good the recording is, as figures, coded issues and the gates that reject a reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.ingest.terms import has_no_gaze
from curation.issues import GAZE_DISCARDED, ISSUE_SEVERITY, SOURCE_ISSUES, source_issues
from curation.stages.gaze_measures import GazeMeasures, measure_gaze, was_read_without_tracker
from curation.stages.protocol import StageContext, StageOutput
from keyframes.reading import ISSUES, QUALITY, Reading
from keyframes.sentences import split_sentences
from keyframes.validation import accuracies_deg, validation_error_deg

__all__ = ["QUALITY_STAGE", "QualityStage"]

RATE_TOLERANCE = 0.10
"""Share by which the effective rate may differ from the nominal one; senders' nominal rates are often hard-coded."""


class QualityStage:
    """Measures and judges a reading; its gates are the ``[quality]`` section."""

    name = "quality"
    tables = ("quality", "issues")
    code_version = "7"
    depends_on: tuple[str, ...] = ()
    gaze_columns: frozenset[str] | None = None

    def config_part(self, config: CurationConfig) -> Mapping[str, Any]:
        """See `curation.stages.protocol.Stage.config_part`."""
        return {**config.quality.model_dump(mode="json"), "pause_s": config.dictation.pause_s}

    def run(self, reading: Reading, context: StageContext) -> StageOutput:
        """Measure the reading. An issue of severity error rejects it, which is a result and not a failure.

        A sentence that a person moved is measured where it was moved to. Raises SchemaError for bounds that are none.
        """
        report = _Report(context.config)
        sentences = split_sentences(
            reading.table("words"), pause_s=context.config.dictation.pause_s
        ).to_pylist()
        moved = context.decisions.sentence_bounds()
        bounds = [moved.get(row["sentence_id"], (row["t_start_ns"], row["t_end_ns"])) for row in sentences]
        gaze = measure_gaze(reading, bounds)
        _add_metrics(report, gaze, reading)
        _add_dictation(report, gaze, reading, [row["sentence_id"] for row in sentences])
        for code, n in source_issues(reading.meta.provenance).items():
            report.issue(code, f"{SOURCE_ISSUES[code][1]} ({n})" if n > 1 else SOURCE_ISSUES[code][1])
        _judge(report, gaze, reading)
        rejecting = sorted({row["code"] for row in report.issues if row["severity"] == "error"})
        return StageOutput(
            tables={
                "quality": pa.Table.from_pylist(report.metrics, schema=QUALITY),
                "issues": pa.Table.from_pylist(report.issues, schema=ISSUES),
            },
            notes={"n_issues": len(report.issues)},
            verdict="rejected" if rejecting else "ok",
            reason=", ".join(rejecting),
        )


QUALITY_STAGE = QualityStage()


class _Report:
    """Collects rows; a figure that cannot be had is left out, an ignored issue too."""

    def __init__(self, config: CurationConfig) -> None:
        self.config = config
        self.metrics: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.values: dict[str, float] = {}

    def metric(self, name: str, value: float | None, unit: str, sentence_id: str | None = None) -> None:
        if value is None or not np.isfinite(value):
            return
        self.metrics.append({"metric": name, "value": float(value), "unit": unit, "sentence_id": sentence_id})
        if sentence_id is None:
            self.values[name] = float(value)

    def issue(self, code: str, message: str, sentence_id: str | None = None) -> None:
        severity = self.config.quality.severity.get(code, ISSUE_SEVERITY[code])
        if severity != "ignore":
            self.issues.append(
                {"code": code, "severity": severity, "message": message, "sentence_id": sentence_id}
            )

    def above(self, name: str, limit: float) -> bool:
        """Say whether a metric is known and at or above a limit."""
        return self.values.get(name, -np.inf) >= limit


def _add_metrics(report: _Report, gaze: GazeMeasures, reading: Reading) -> None:
    report.metric("duration", reading.meta.duration_ns / 1e9, "s")
    report.metric("n_samples", gaze.n_samples, "samples")
    if not gaze.n_samples:
        return
    report.metric("loss_share", gaze.loss_share, "share")
    report.metric("longest_loss", gaze.longest_loss_s, "s")
    report.metric("effective_rate", gaze.effective_rate_hz, "Hz")
    report.metric("missing_samples", gaze.n_missing, "samples")
    report.metric("missing_share", gaze.missing_share, "share")
    report.metric("rms_s2s", gaze.rms_s2s_deg, "deg")
    report.metric("sd", gaze.sd_deg, "deg")
    report.metric("off_image_share", gaze.off_image_share, "share")
    report.metric("panel_share", gaze.panel_share, "share")
    validations = reading.table("validations")
    for phase, accuracy in accuracies_deg(validations).items():
        report.metric(f"accuracy_{phase}", accuracy, "deg")
    report.metric("accuracy", validation_error_deg(validations), "deg")
    for row in validations.filter(pc.equal(validations["phase"], "drift")).to_pylist():
        if row["eye"] == "both":
            report.metric("drift", row["accuracy_deg"], "deg")


def _add_dictation(
    report: _Report, gaze: GazeMeasures, reading: Reading, sentence_ids: Sequence[str]
) -> None:
    """Measure in how much of the dictated time there is gaze, and what gaze there is in each sentence."""
    words = reading.table("words")
    if has_no_gaze(reading.meta.source_format):
        return
    if not words.num_rows:
        report.issue("GQ-NO-WORDS", "nothing was dictated")
        return
    starts = words.column("t_start_ns").to_numpy()
    ends = words.column("t_end_ns").to_numpy()
    overlap = gaze.seen_share(starts, ends)
    report.metric("dictation_overlap", overlap, "share")
    gates = report.config.quality
    limit = gates.dictation_overlap_warn
    if overlap < limit:
        report.issue(
            "GQ-DICTATION-OVERLAP", f"gaze in {overlap:.1%} of the dictated time, expected {limit:.0%}"
        )
    if not gaze.n_samples:
        return
    for sentence_id, part in zip(sentence_ids, gaze.parts, strict=True):
        report.metric("dictation_overlap", 1.0 - part.loss_share, "share", sentence_id)
        report.metric("loss_share", part.loss_share, "share", sentence_id)
        report.metric("longest_loss", part.longest_loss_s, "s", sentence_id)
        report.metric("effective_rate", part.effective_rate_hz, "Hz", sentence_id)
        report.metric("rms_s2s", part.rms_s2s_deg, "deg", sentence_id)
        report.metric("off_image_share", part.off_image_share, "share", sentence_id)
        report.metric("panel_share", part.panel_share, "share", sentence_id)
        if part.loss_share >= gates.sentence_loss_warn:
            message = (
                f"{part.loss_share:.1%} of a sentence without gaze, limit {gates.sentence_loss_warn:.0%}"
            )
            report.issue("GQ-SENTENCE-LOSS", message, sentence_id)


def _judge(report: _Report, gaze: GazeMeasures, reading: Reading) -> None:
    """List what is off."""
    gates, values = report.config.quality, report.values
    if reading.meta.provenance.get(GAZE_DISCARDED) == "true":
        report.issue("GQ-DISCARDED", "the source's authors discarded the gaze")
        return
    if has_no_gaze(reading.meta.source_format):
        return
    if was_read_without_tracker(reading.meta):
        report.issue("GQ-NO-TRACKER", "the session was read without an eye tracker")
        return
    if "mouse" in pc.unique(reading.table("gaze").column("source")).to_pylist():
        report.issue("GQ-MOUSE-GAZE", "the mouse cursor stands for the gaze")
    if not gaze.n_valid:
        report.issue("GQ-NO-GAZE", f"{gaze.n_samples} samples, none of them valid")
        return
    if values["duration"] < gates.min_duration_s:
        report.issue(
            "GQ-TOO-SHORT", f"{values['duration']:.2f} s, expected {gates.min_duration_s:g} s or more"
        )
    if not gaze.is_ordered:
        report.issue("GQ-TIME-ORDER", "gaze time stamps run backward")
    if report.above("loss_share", gates.loss_share_reject):
        report.issue("GQ-LOSS-SHARE", f"{gaze.loss_share:.1%} lost, limit {gates.loss_share_reject:.0%}")
    elif report.above("loss_share", gates.loss_share_warn):
        report.issue("GQ-LOSS-SHARE-HIGH", f"{gaze.loss_share:.1%} lost, limit {gates.loss_share_warn:.0%}")
    if report.above("longest_loss", gates.longest_loss_reject_s):
        report.issue(
            "GQ-LOSS-LONG", f"{gaze.longest_loss_s:.2f} s lost, limit {gates.longest_loss_reject_s:g} s"
        )
    elif report.above("longest_loss", gates.longest_loss_warn_s):
        report.issue(
            "GQ-LOSS-LONGISH", f"{gaze.longest_loss_s:.2f} s lost, limit {gates.longest_loss_warn_s:g} s"
        )
    if report.above("missing_share", gates.missing_share_warn):
        report.issue("GQ-MISSING-SAMPLES", f"{gaze.n_missing} samples of the device never arrived")
    nominal = reading.meta.tracker.nominal_rate_hz
    if nominal and abs(values.get("effective_rate", nominal) / nominal - 1) > RATE_TOLERANCE:
        report.issue("GQ-RATE", f"{values['effective_rate']:.1f} Hz, the device says {nominal:g} Hz")
    if "accuracy" not in values:
        report.issue("GQ-NO-VALIDATION", "accuracy was never measured")
    elif report.above("accuracy", gates.accuracy_warn_deg):
        report.issue(
            "GQ-ACCURACY", f"{values['accuracy']:.2f} deg off, limit {gates.accuracy_warn_deg:g} deg"
        )
    if report.above("drift", gates.drift_warn_deg):
        report.issue(
            "GQ-DRIFT", f"{values['drift']:.2f} deg off at the check, limit {gates.drift_warn_deg:g} deg"
        )
    worse_by = values.get("accuracy_after", -np.inf) - values.get("accuracy_before", np.inf)
    if worse_by >= gates.accuracy_drop_warn_deg:
        report.issue(
            "GQ-ACCURACY-DROP", f"{worse_by:.2f} deg worse after, limit {gates.accuracy_drop_warn_deg:g} deg"
        )
    if not gaze.knows_degrees:
        report.issue("GQ-NO-DEGREES", "screen size or viewing distance is unknown, so there are no degrees")
    if report.above("off_image_share", gates.off_image_share_warn):
        report.issue("GQ-OFF-IMAGE", f"{gaze.off_image_share:.1%} of the gaze is on no image")
    if report.above("panel_share", gates.panel_share_warn):
        report.issue("GQ-PANEL", f"{gaze.panel_share:.1%} of the gaze is on panels")
    if reading.meta.time_origin == "image_on" and reading.meta.display_lag_ms is None:
        report.issue("GQ-LAG-UNMEASURED", "the display's lag was not measured")

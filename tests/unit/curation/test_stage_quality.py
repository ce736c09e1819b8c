from __future__ import annotations

from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from curation.config import CurationConfig
from curation.issues import ISSUE_SEVERITY
from curation.stages.protocol import StageContext, StageOutput
from curation.stages.quality import QUALITY_STAGE
from keyframes.reading import SCHEMAS, Reading


def _run(reading: Reading, **quality: object) -> StageOutput:
    config = CurationConfig.model_validate({"quality": quality})
    return QUALITY_STAGE.run(reading, StageContext(config=config, image_path=lambda _index: None))


def _codes(output: StageOutput) -> dict[str, str]:
    return {row["code"]: row["severity"] for row in output.tables["issues"].to_pylist()}


def _metrics(output: StageOutput) -> dict[str, float]:
    rows = output.tables["quality"].to_pylist()
    return {row["metric"]: row["value"] for row in rows if row["sentence_id"] is None}


def _validated(reading: Reading, *accuracies: tuple[str, str, float]) -> Reading:
    rows = [
        {
            "t_ns": place, "phase": phase, "eye": eye, "n_points": 9, "accuracy_deg": value,
            "accuracy_max_deg": value, "rms_s2s_deg": 0.02, "sd_deg": 0.1, "loss_share": 0.0,
        }
        for place, (phase, eye, value) in enumerate(accuracies)
    ]  # fmt: skip
    return reading.with_tables(validations=pa.Table.from_pylist(rows, schema=SCHEMAS["validations"]))


def test_a_clean_reading_passes(readings: ModuleType) -> None:
    output = _run(readings.make_reading())
    assert output.verdict == "ok"
    assert _codes(output) == {"GQ-NO-VALIDATION": "info"}
    assert _metrics(output)["effective_rate"] == pytest.approx(250.0)
    assert _metrics(output)["dictation_overlap"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("lost_s", "code", "verdict"),
    [
        (0.98, None, "ok"),
        (1.02, "GQ-LOSS-SHARE-HIGH", "ok"),
        (1.48, "GQ-LOSS-SHARE-HIGH", "ok"),
        (1.52, "GQ-LOSS-SHARE", "rejected"),
    ],
)
def test_the_gate_of_the_loss_share(
    readings: ModuleType, lost_s: float, code: str | None, verdict: str
) -> None:
    reading = readings.make_reading(duration_s=10.0, lost=[(k, k + lost_s / 5) for k in (1, 3, 5, 7, 9)])
    output = _run(reading)
    assert output.verdict == verdict
    assert [c for c in _codes(output) if c.startswith("GQ-LOSS")] == ([code] if code else [])


@pytest.mark.parametrize(
    ("lost_s", "code", "verdict"),
    [
        (1.45, None, "ok"),
        (1.55, "GQ-LOSS-LONGISH", "ok"),
        (2.95, "GQ-LOSS-LONGISH", "ok"),
        (3.05, "GQ-LOSS-LONG", "rejected"),
    ],
)
def test_the_gate_of_the_longest_loss(
    readings: ModuleType, lost_s: float, code: str | None, verdict: str
) -> None:
    reading = readings.make_reading(duration_s=32.0, rate_hz=100.0, lost=[(10.0, 10.0 + lost_s)])
    output = _run(reading)
    assert output.verdict == verdict
    assert [c for c in _codes(output) if c.startswith("GQ-LOSS")] == ([code] if code else [])


def test_a_rejection_names_its_gates(readings: ModuleType) -> None:
    output = _run(readings.make_reading(duration_s=10.0, lost=[(2.0, 6.0)]))
    assert output.reason == "GQ-LOSS-LONG, GQ-LOSS-SHARE"


def test_severity_can_be_changed(readings: ModuleType) -> None:
    reading = readings.make_reading(duration_s=10.0, lost=[(2.0, 6.0)])
    mild = {"GQ-LOSS-LONG": "warning", "GQ-LOSS-SHARE": "ignore"}
    output = _run(reading, severity=mild)
    assert output.verdict == "ok"
    assert _codes(output)["GQ-LOSS-LONG"] == "warning"
    assert "GQ-LOSS-SHARE" not in _codes(output)
    strict = _run(readings.make_reading(), severity={"GQ-NO-VALIDATION": "error"})
    assert (strict.verdict, strict.reason) == ("rejected", "GQ-NO-VALIDATION")


def test_accuracy_is_the_worse_of_before_and_after(readings: ModuleType) -> None:
    reading = _validated(
        readings.make_reading(), ("before", "left", 0.4), ("before", "right", 0.6), ("after", "both", 1.2)
    )
    output = _run(reading)
    metrics = _metrics(output)
    assert metrics["accuracy_before"] == pytest.approx(0.5)
    assert metrics["accuracy_after"] == metrics["accuracy"] == pytest.approx(1.2)
    assert _codes(output) == {"GQ-ACCURACY": "warning", "GQ-ACCURACY-DROP": "warning"}


def test_a_validation_without_a_result_is_none(readings: ModuleType) -> None:
    output = _run(_validated(readings.make_reading(), ("before", "both", np.nan)))
    assert "GQ-NO-VALIDATION" in _codes(output)


def test_gaze_during_the_dictation_by_sentence(readings: ModuleType) -> None:
    words = [("clear", 1.0, 2.0), (".", 2.0, 2.1), ("normal", 3.0, 4.0), (".", 4.0, 4.1)]
    output = _run(readings.make_reading(words=words, lost=[(3.0, 3.9)]))
    rows = [row for row in output.tables["quality"].to_pylist() if row["sentence_id"] is not None]
    overlap = [row["value"] for row in rows if row["metric"] == "dictation_overlap"]
    assert overlap == [pytest.approx(1.0), pytest.approx(0.2 / 1.1, abs=0.01)]
    assert _codes(output)["GQ-DICTATION-OVERLAP"] == "warning"


def test_every_sentence_has_its_figures(readings: ModuleType) -> None:
    words = [("clear", 1.0, 2.0), (".", 2.0, 2.1), ("normal", 3.0, 4.0), (".", 4.0, 4.1)]
    reading = readings.make_reading(words=words, lost=[(3.0, 3.9)])
    output = _run(reading)
    rows = output.tables["quality"].to_pylist()
    first, second = dict.fromkeys(row["sentence_id"] for row in rows if row["sentence_id"])
    figures = {
        sentence: {row["metric"]: row["value"] for row in rows if row["sentence_id"] == sentence}
        for sentence in (first, second)
    }
    assert set(figures[first]) == {
        "dictation_overlap", "loss_share", "longest_loss", "effective_rate", "rms_s2s", "off_image_share", "panel_share"
    }  # fmt: skip
    assert figures[first]["loss_share"] == pytest.approx(0.0, abs=1e-9)
    assert figures[second]["loss_share"] == pytest.approx(0.9 / 1.1, abs=0.01)
    assert figures[second]["longest_loss"] == pytest.approx(0.9, abs=0.01)
    assert figures[first]["effective_rate"] == pytest.approx(250.0)
    assert figures[first]["rms_s2s"] == pytest.approx(_metrics(output)["rms_s2s"], rel=0.5)
    lost = [row for row in output.tables["issues"].to_pylist() if row["code"] == "GQ-SENTENCE-LOSS"]
    assert [(row["sentence_id"], row["severity"]) for row in lost] == [(second, "warning")]
    assert _codes(_run(reading, sentence_loss_warn=1.0)).get("GQ-SENTENCE-LOSS") is None


def test_sentences_beyond_the_reading_have_only_what_is_in_it(readings: ModuleType) -> None:
    words = [("before", -2.0, -1.0), (".", -1.0, -0.9), ("late", 5.5, 9.0), (".", 9.0, 9.1)]
    rows = _run(readings.make_reading(words=words)).tables["quality"].to_pylist()
    losses = [row["value"] for row in rows if row["sentence_id"] and row["metric"] == "loss_share"]
    assert losses == [pytest.approx(0.0, abs=0.01)], (
        "of the late one 0.5 s, all with gaze; none of the early one"
    )


def test_accuracy_that_drops_and_drift(readings: ModuleType) -> None:
    reading = _validated(
        readings.make_reading(), ("before", "both", 0.4), ("after", "both", 0.95), ("drift", "both", 1.2)
    )
    assert _codes(_run(reading))["GQ-ACCURACY-DROP"] == "warning"
    assert _codes(_run(reading))["GQ-DRIFT"] == "info"
    assert "GQ-ACCURACY-DROP" not in _codes(_run(reading, accuracy_drop_warn_deg=0.6))
    assert "GQ-DRIFT" not in _codes(_run(reading, drift_warn_deg=1.3))


def test_severities_in_the_curators_words(readings: ModuleType) -> None:
    reading = readings.make_reading(words=[])
    assert _codes(_run(reading, severity={"GQ-NO-WORDS": "warn"}))["GQ-NO-WORDS"] == "warning"
    output = _run(reading, severity={"GQ-NO-WORDS": "reject"})
    assert (output.verdict, output.reason) == ("rejected", "GQ-NO-WORDS")


def test_what_else_is_off(readings: ModuleType) -> None:
    reading = readings.make_reading(words=[])
    assert "GQ-NO-WORDS" in _codes(_run(reading))
    no_gaze = reading.with_tables(gaze=reading.table("gaze").slice(0, 0))
    assert _run(no_gaze).reason == "GQ-NO-GAZE"
    assert _run(readings.make_reading(lost=[(0.0, 99.0)])).reason == "GQ-NO-GAZE"
    assert "GQ-TOO-SHORT" in _run(readings.make_reading(duration_s=0.9, words=[])).reason
    assert "GQ-LAG-UNMEASURED" in _codes(_run(readings.with_meta(reading, display_lag_ms=None)))
    assert "GQ-MISSING-SAMPLES" in _codes(_run(readings.with_meta(reading, n_samples_expected=1700)))
    tracker = readings.Tracker(nominal_rate_hz=500.0)
    assert "GQ-RATE" in _codes(_run(readings.with_meta(reading, tracker=tracker)))
    unknown = readings.make_reading(display=None)
    assert "GQ-NO-DEGREES" in _codes(_run(unknown))
    assert "rms_s2s" not in _metrics(_run(unknown))
    t_ns = reading.table("gaze").column("t_ns").to_numpy().copy()
    t_ns[[10, 11]] = t_ns[[11, 10]]
    assert "GQ-TIME-ORDER" in _run(readings.with_gaze(reading, t_ns=t_ns)).reason


def test_every_issue_of_the_list_can_be_ignored() -> None:
    config = CurationConfig.model_validate({"quality": {"severity": dict.fromkeys(ISSUE_SEVERITY, "ignore")}})
    assert set(config.quality.severity.values()) == {"ignore"}


def test_the_settings_that_matter_are_in_the_key() -> None:
    default = QUALITY_STAGE.config_part(CurationConfig())
    for change in (
        {"quality": {"loss_share_reject": 0.2}},
        {"quality": {"severity": {"GQ-PANEL": "error"}}},
        {"dictation": {"pause_s": 2.0}},
    ):
        assert QUALITY_STAGE.config_part(CurationConfig.model_validate(change)) != default
    unrelated = CurationConfig.model_validate({"export": {"picture_max_side_px": 512}})
    assert QUALITY_STAGE.config_part(unrelated) == default

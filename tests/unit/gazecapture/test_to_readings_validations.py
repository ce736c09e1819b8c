from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gazecapture.screen.measures import EyeSamples
from gazecapture.screen.targets import centre_target, validation_targets
from gazecapture.screen.validation import Timing, ValidationResult, ValidationRun
from gazecapture.session.schema import (
    VALIDATION_JOURNAL,
)
from gazecapture.session.validations import SittingValidations, note_row, result_rows
from tests.hand_made_session import ON_NS, SCREEN, S, cut, good, make_session, write_rows


def measured(t_ns: int, offset_px: tuple[float, float], *, is_drift_check: bool = False) -> ValidationResult:
    """A validation that ends at ``t_ns``, of an eye that is off by ``offset_px``."""
    area = (0.0, 0.0, 1000.0, 500.0)
    targets = (centre_target(area),) if is_drift_check else validation_targets(area, seed=1)
    run = ValidationRun(targets, SCREEN, timing=Timing(settle_s=0.0, window_s=0.001))
    while (target := run.target) is not None:
        now_ns = t_ns - (len(targets) - 1 - run.n_done) * 10_000_000
        run.shown(now_ns - 2_000_000)
        x, y = target.x_screen_px + offset_px[0], target.y_screen_px + offset_px[1]
        eyes = {"left": x - 1, "right": x + 1, "both": x}
        run.feed(
            EyeSamples(
                t_ns=now_ns - np.array([900_000, 600_000, 300_000]),
                x_screen_px={eye: np.full(3, value) for eye, value in eyes.items()},
                y_screen_px=dict.fromkeys(eyes, np.full(3, y)),
            )
        )
        assert run.tick(now_ns)
    return run.result()


def test_a_reading_carries_the_validations_before_and_after_it(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    rows = [
        *result_rows(measured(5 * S, (9.0, 0.0)), validation_id="a", trigger="start"),
        *result_rows(measured(9 * S, (5.0, 0.0)), validation_id="b", trigger="asked"),
        *result_rows(measured(20 * S, (10.0, 0.0)), validation_id="c", trigger="end"),
    ]
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(row) for row in rows])
    for number, reading in enumerate(good(cut(session)), start=1):
        table = reading.table("validations").to_pylist()
        assert [(r["phase"], r["eye"]) for r in table] == [
            (phase, eye) for phase in ("before", "after") for eye in ("left", "right", "both")
        ]
        assert {r["t_ns"] for r in table} == {9 * S - ON_NS[number], 20 * S - ON_NS[number]}
        assert [r["offset_x_screen_px"] for r in table] == pytest.approx([4.0, 6.0, 5.0, 9.0, 11.0, 10.0])
        both = table[2]
        assert len(both["points"]) == both["n_points"] == 9
        assert both["accuracy_deg"] == pytest.approx(np.mean([p["accuracy_deg"] for p in both["points"]]))
        assert both["accuracy_deg"] == pytest.approx(5 * 0.5 / 600 * 180 / np.pi, rel=0.2)
        assert {r["light"] for r in table} <= {"green", "amber", "red"}


def test_a_validation_before_a_calibration_says_nothing_of_what_came_after_it(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    note = note_row("calibrated", t_ns=int(13.5 * S), validation_id="", trigger="red", detail="")
    rows = [
        *result_rows(measured(9 * S, (5.0, 0.0)), validation_id="a", trigger="start"),
        note,
        *result_rows(measured(20 * S, (10.0, 0.0)), validation_id="b", trigger="end"),
    ]
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(row) for row in rows])
    first, second = (r.table("validations").to_pylist() for r in good(cut(session)))
    assert {r["phase"] for r in first} == {"before"}
    assert {r["phase"] for r in second} == {"after"}


def test_the_offset_of_a_drift_check_is_taken_off_image_px_and_the_raw_px_stay(tmp_path: Path) -> None:
    plain = good(cut(make_session(tmp_path / "plain")))
    session = make_session(tmp_path / "s")
    rows = [
        *result_rows(measured(5 * S, (9.0, 0.0)), validation_id="a", trigger="start"),
        *result_rows(
            measured(int(13.5 * S), (6.0, -4.0), is_drift_check=True),
            validation_id="b",
            trigger="drift",
            is_drift_check=True,
        ),
    ]
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(row) for row in rows])
    first, second = good(cut(session))
    for name in ("x_image_px", "y_image_px", "x_screen_px"):
        # A validation's own mean offset is not taken off.
        np.testing.assert_array_equal(first.table("gaze")[name], plain[0].table("gaze")[name])
    was, now = plain[1].table("gaze"), second.table("gaze")
    for name in ("x_screen_px", "left_x_screen_px"):
        np.testing.assert_array_equal(now[name], was[name])
    same = np.asarray(was["image_index"].fill_null(-1)) == np.asarray(now["image_index"].fill_null(-1))
    assert same.mean() > 0.9
    for axis, shift in (("x", 6.0), ("y", -4.0)):
        moved = was[f"{axis}_image_px"].to_numpy()[same] - now[f"{axis}_image_px"].to_numpy()[same]
        assert moved[np.isfinite(moved)] == pytest.approx(2 * shift), "two image px per screen px"
    drift = [r for r in second.table("validations").to_pylist() if r["phase"] == "drift"]
    assert {r["eye"]: r["offset_x_screen_px"] for r in drift} == pytest.approx(
        {"left": 5.0, "right": 7.0, "both": 6.0}
    )


def test_a_pupil_baseline_is_the_median_while_the_cross_was_shown(tmp_path: Path) -> None:
    session = make_session(tmp_path / "s")
    note = note_row("baseline", t_ns=9 * S, validation_id="a", trigger="start", detail=f"t_start_ns={8 * S}")
    write_rows(session / "validation", VALIDATION_JOURNAL, [dict(note)])
    for reading in good(cut(session)):
        assert "pupil_baseline" not in reading.meta.provenance, "this tracker gives no pupil"
    assert SittingValidations.load(session).baseline_ns(10 * S) == (8 * S, 9 * S)
    assert SittingValidations.load(session).baseline_ns(8 * S) is None

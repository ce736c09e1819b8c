"""Datasets of other tools in BIDS 1.11: what is read of them, and what is odd about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.ingest.into_store import INGESTERS
from curation.issues import source_issues
from keyframes.errors import GazeToolError
from keyframes.reading import Reading
from tests.bids_fixture import SCREEN, positions, write_bids, write_dataset, write_events, write_eye

KEY = b"k" * 32
STEM = "sub-R07_ses-1_task-reading_run-1"


def read(folder: Path) -> list[Reading | GazeToolError]:
    ingester = INGESTERS["bids"]
    found = [item for unit in ingester.find(folder) for item in ingester.readings(unit, key=KEY)]
    return [item.error or item.reading for item in found]  # type: ignore[misc]  # the contract: one of them


def only(folder: Path) -> tuple[Reading, set[str]]:
    (reading,) = read(folder)
    assert isinstance(reading, Reading), reading
    return reading, set(source_issues(reading.meta.provenance))


def test_two_eyes_are_one_gaze_on_the_clock_of_the_task(tmp_path: Path) -> None:
    both, left = read(write_bids(tmp_path / "in"))
    assert isinstance(both, Reading)
    assert isinstance(left, Reading)
    gaze, at = both.to_pandas("gaze"), positions()
    np.testing.assert_allclose(gaze.x_screen_px, at[:, 0], atol=0.006)
    np.testing.assert_allclose(gaze.left_x_screen_px, at[:, 0] - 2, atol=0.006)
    assert set(gaze.combined_by) == {"mean_of_valid"}
    assert set(gaze.pupil_unit) == {"area_au"}
    assert gaze.t_ns[0] == -100_000_000, "StartTime"
    assert set(np.diff(gaze.t_ns)) == {4_000_000}
    assert (~gaze.valid).sum() == 10
    assert both.meta.duration_ns == 1_000_000_000
    assert both.meta.reader_code == "R07"
    assert both.meta.display is not None
    assert both.meta.display.distance_mm == 650
    assert [w["word"] for w in both.table("words").to_pylist()] == ["clear", "."]
    (validation,) = both.table("validations").to_pylist()
    assert (validation["accuracy_deg"], validation["accuracy_max_deg"]) == (0.43, 0.9)
    assert set(left.to_pandas("gaze").combined_by) == {"left"}
    assert set(source_issues(both.meta.provenance)) == {"GI-NO-IMAGE"}
    assert set(source_issues(left.meta.provenance)) == {"GI-NO-IMAGE", "GI-BIDS-SCREEN"}


@pytest.mark.parametrize(
    ("fields", "screen", "expected", "issue"),
    [
        (
            {"x_coordinate": {"Units": "mm"}, "y_coordinate": {"Units": "mm"}},
            {},
            (1920 / 530, 1080 / 300, 0, 0),
            None,
        ),
        ({"x_coordinate": {"Units": "deg"}, "y_coordinate": {"Units": "deg"}}, {}, None, "GI-BIDS-UNITS"),
        ({}, {"ScreenOrigin": ["bottom", "left"]}, (1, -1, 0, 1080), "GI-BIDS-ORIGIN"),
        ({}, {"ScreenOrigin": ["center", "center"]}, (1, 1, 960, 540), "GI-BIDS-ORIGIN"),
        ({"SampleCoordinateSystem": "gaze-in-world"}, {}, None, "GI-SCENE-UNMAPPED"),
        ({"timestamp": {"Units": "s"}}, {}, (1, 1, 0, 0), "GI-BIDS-TIME-UNIT"),
        ({"timestamp": {}}, {}, (1, 1, 0, 0), "GI-BIDS-TIME-UNIT"),
    ],
)
def test_frames_and_units_are_checked(
    tmp_path: Path, fields: dict[str, Any], screen: dict[str, Any], expected: Any, issue: str | None
) -> None:
    root = write_dataset(tmp_path / "in")
    at = positions()
    write_eye(root, STEM, 1, "cyclopean", at, fields=fields)
    write_events(root, STEM, {"StimulusPresentation": {**SCREEN, **screen}})
    reading, issues = only(root)
    assert issue is None or issue in issues
    gaze = reading.to_pandas("gaze")
    assert set(np.diff(gaze.t_ns)) == {4_000_000}
    if expected is None:
        assert "GI-SCENE-UNMAPPED" in issues
        assert gaze.x_screen_px.isna().all()
        assert not gaze.valid.any()
        np.testing.assert_allclose(gaze.x_scene_px, at[:, 0], atol=0.006)
        return
    by_x, by_y, x0, y0 = expected
    np.testing.assert_allclose(gaze.x_screen_px, x0 + by_x * at[:, 0], atol=0.03)
    np.testing.assert_allclose(gaze.y_screen_px, y0 + by_y * at[:, 1], atol=0.03)


def test_a_sidecar_above_holds_for_all_below(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "in")
    sidecars = sorted(root.rglob("*_physio.json"))
    common = json.loads(sidecars[0].read_text())
    for path in sidecars:
        path.write_text(json.dumps({"RecordedEye": json.loads(path.read_text())["RecordedEye"]}))
    (root / "task-reading_physio.json").write_text(json.dumps(common | {"RecordedEye": "cyclopean"}))
    (root / "task-other_physio.json").write_text(json.dumps({"SamplingFrequency": 1}))
    both, left = read(root)
    assert isinstance(both, Reading)
    assert isinstance(left, Reading)
    assert both.meta.tracker.effective_rate_hz == 250
    assert set(left.to_pandas("gaze").combined_by) == {"left"}


def test_eyes_with_different_times_and_steps_back_are_noted(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "in")
    at = positions()
    stamps = np.arange(len(at)) * 4.0
    write_eye(root, STEM, 1, "left", at, stamps=[*stamps[:50], *stamps[49:-1]])
    write_eye(root, STEM, 2, "right", at[:-7], stamps=stamps[:-7].tolist())
    reading, issues = only(root)
    assert {"GI-BIDS-EYES", "GI-TIME-ORDER"} <= issues
    assert reading.table("gaze").num_rows == len(at) - 1


@pytest.mark.parametrize(
    "fields",
    [
        {"SamplingFrequency": 0}, {"SamplingFrequency": "fast"}, {"RecordedEye": "third"}, {"Columns": ["a", "b", "c"]},
        {"Columns": ["timestamp", "x_coordinate", "y_coordinate"]}, {"StartTime": 1e300},
        {"Columns": ["timestamp", "x_coordinate", "y_coordinate", "timestamp"]},
    ],
)  # fmt: skip
def test_a_sidecar_that_is_off_fails_its_reading_with_a_code(tmp_path: Path, fields: dict[str, Any]) -> None:
    root = write_bids(tmp_path / "in")
    write_eye(root, STEM, 1, "left", positions(), fields=fields)
    bad, good = read(root)
    assert isinstance(bad, GazeToolError)
    assert bad.code == "GT-BIDS"
    assert isinstance(good, Reading)


def test_a_pulse_is_no_gaze(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "in")
    folder = root / "sub-R08" / "beh"
    (folder / "sub-R08_task-reading_run-2_recording-pulse_physio.tsv.gz").write_bytes(b"")
    (folder / "sub-R08_task-reading_run-2_recording-pulse_physio.json").write_text(
        '{"PhysioType": "generic"}'
    )
    assert all(isinstance(reading, Reading) for reading in read(root))

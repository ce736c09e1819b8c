"""Writes small datasets with eye tracking in the layout of BIDS 1.11, as other tools do; all of it is made up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.trackers_fixture import PLANTED

RATE_HZ = 250.0
N_SAMPLES = 300
SCREEN: Mapping[str, Any] = {
    "ScreenDistance": 0.65, "ScreenOrigin": ["top", "left"], "ScreenResolution": [1920, 1080],
    "ScreenSize": [0.53, 0.3],
}  # fmt: skip


def write_dataset(root: Path, description: Mapping[str, Any] | None = None) -> Path:
    """Write the description alone."""
    root.mkdir(parents=True, exist_ok=True)
    content = {"Name": PLANTED, "BIDSVersion": "1.11.1", "DatasetType": "raw", "License": "CC0 1.0"}
    (root / "dataset_description.json").write_text(json.dumps(content | dict(description or {})))
    return root


def positions(seed: int = 0) -> np.ndarray[Any, Any]:
    """Return (n, 2) px on the screen, with a blink."""
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.normal(0, 2, (N_SAMPLES, 2)), axis=0) + np.array([960, 540])
    at[100:110] = np.nan
    return np.asarray(at)


def write_eye(
    root: Path,
    stem: str,
    number: int,
    eye: str,
    xy: np.ndarray[Any, Any],
    *,
    stamps: Sequence[float] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Path:
    """Write one eye's table and sidecar. stamps : device time, ms by default, from an odd origin."""
    folder = root.joinpath(*[part for part in stem.split("_") if part[:3] in ("sub", "ses")], "beh")
    folder.mkdir(parents=True, exist_ok=True)
    times = 918_274.0 + np.arange(len(xy)) * 1000 / RATE_HZ if stamps is None else np.asarray(stamps)
    lines = [
        "\t".join(
            [
                f"{t:g}" if t != int(t) else f"{int(t)}",
                *("n/a" if np.isnan(v) else f"{v:.2f}" for v in at),
                "812",
            ]
        )
        for t, at in zip(times, xy, strict=True)
    ]
    path = folder / f"{stem}_recording-eye{number}_physio.tsv.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    sidecar = {
        "PhysioType": "eyetrack", "SamplingFrequency": RATE_HZ, "StartTime": -0.1,
        "Columns": ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"], "RecordedEye": eye,
        "SampleCoordinateSystem": "gaze-on-screen", "Manufacturer": "SR Research",
        "ManufacturersModelName": "EyeLink 1000",
        "DeviceSerialNumber": PLANTED, "AverageCalibrationError": 0.43, "MaximalCalibrationError": 0.9,
        "timestamp": {"Units": "ms"}, "x_coordinate": {"Units": "pixel"}, "y_coordinate": {"Units": "pixel"},
        "pupil_size": {"Description": "Pupil area", "Units": "arbitrary"},
    }  # fmt: skip
    path.with_name(path.name.replace(".tsv.gz", ".json")).write_text(json.dumps(sidecar | dict(fields or {})))
    return path


def write_events(root: Path, stem: str, sidecar: Mapping[str, Any] | None = None) -> Path:
    """Write the task's events, words among them, and the screen."""
    folder = root.joinpath(*[part for part in stem.split("_") if part[:3] in ("sub", "ses")], "beh")
    path = folder / f"{stem}_events.tsv"
    path.write_text(
        "onset\tduration\ttrial_type\tvalue\n0\t1\treading\tn/a\n0.2\t0.3\tword\tclear\n0.6\t0.1\tpress\tspace\n"
        "0.5\t0.05\tword\t.\n"
    )
    content = {"StimulusPresentation": SCREEN, "Note": PLANTED, **(sidecar or {})}
    path.with_suffix(".json").write_text(json.dumps(content))
    return path


def write_bids(root: Path) -> Path:
    """Write a reading of both eyes, and one of the left eye alone without any word of the screen."""
    write_dataset(root)
    both, one = "sub-R07_ses-1_task-reading_run-1", "sub-R08_task-reading_run-2"
    at = positions()
    write_eye(root, both, 1, "left", at - 2)
    write_eye(root, both, 2, "right", at + 2)
    write_events(root, both)
    write_eye(root, one, 1, "left", positions(1))
    return root

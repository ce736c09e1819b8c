"""Labels by pymovements, and by I2MC where it is installed beside it; run by the interpreter that has them.

    PYTHON events_peer_pymovements.py GAZE.npz LABELS.npz

Minimum durations are rounded to whole samples. Saccades of the fixation detectors are what is not lost and no
fixation; fixations of the saccade detector are gaps of at least 40 ms.
"""

from __future__ import annotations

import contextlib
import io
import sys

import numpy as np
import polars as pl
from events_peer_protocol import FIXATION, NONE, SACCADE, Gaze, Labels, serve
from pymovements import Experiment
from pymovements import Gaze as GazeFrame
from pymovements.events import ivt, microsaccades
from pymovements.transforms.numpy import pos2vel

MIN_FIXATION_S = 0.040


def label_ivt(gaze: Gaze) -> Labels:
    """I-VT at 45 deg/s and 55 ms: far better on these recordings than its defaults of 20 deg/s and 100 ms."""
    velocity = pos2vel(gaze.xy_deg, sampling_rate=gaze.rate_hz, method="smooth")
    found = ivt(velocity, minimum_duration=round(0.055 * gaze.rate_hz), velocity_threshold=45.0)
    labels = np.where(gaze.lost, NONE, SACCADE).astype(np.int8)
    for onset, offset in found.frame.select("onset", "offset").rows():
        labels[onset : offset + 1] = FIXATION
    return labels


def label_ivt_by_frame(gaze: Gaze) -> Labels:
    """Do the same by the calls of a user: a frame, its velocity, its events; for speed, so it labels nothing."""
    columns = {"time": np.arange(gaze.lost.size), "x": gaze.xy_deg[:, 0], "y": gaze.xy_deg[:, 1]}
    frame = GazeFrame(
        samples=pl.DataFrame(columns),
        experiment=Experiment(sampling_rate=gaze.rate_hz),
        position_columns=["x", "y"],
        time_column="time",
        time_unit="ms",
    )
    frame.pos2vel("smooth")
    frame.detect("ivt", minimum_duration=round(0.055 * gaze.rate_hz), velocity_threshold=45.0)
    return np.zeros(gaze.lost.size, np.int8)


def label_microsaccades(gaze: Gaze) -> Labels:
    """Engbert & Kliegl's detector with threshold factor 6 and at least 12 ms."""
    velocity = pos2vel(gaze.xy_deg, sampling_rate=gaze.rate_hz, method="smooth")
    found = microsaccades(velocity, minimum_duration=max(1, round(0.012 * gaze.rate_hz)), threshold_factor=6)
    labels = np.zeros(gaze.lost.size, np.int8)
    for onset, offset in found.frame.select("onset", "offset").rows():
        labels[onset : offset + 1] = SACCADE
    rest = np.flatnonzero(np.diff(np.concatenate([[False], (labels == NONE) & ~gaze.lost, [False]])))
    for start, end in zip(rest[::2], rest[1::2], strict=True):
        if end - start >= round(MIN_FIXATION_S * gaze.rate_hz):
            labels[start:end] = FIXATION
    return labels


def label_i2mc(gaze: Gaze) -> Labels:
    """I2MC with its defaults; what is not lost and no fixation counts as saccade, which is no claim of its own."""
    from I2MC import I2MC

    data = {
        "time": np.arange(gaze.lost.size) * 1000.0 / gaze.rate_hz,
        "L_X": np.where(gaze.lost, -9999.0, gaze.x_px),
        "L_Y": np.where(gaze.lost, -9999.0, gaze.y_px),
    }
    options = {"xres": 1024, "yres": 768, "freq": gaze.rate_hz, "missingx": -9999.0, "missingy": -9999.0}
    with contextlib.redirect_stdout(io.StringIO()):
        found, *_ = I2MC(data, options, logging=False)
    labels = np.where(gaze.lost, NONE, SACCADE).astype(np.int8)
    for start, end in zip(found["start"], found["end"], strict=True):
        labels[int(start) : int(end) + 1] = FIXATION
    return labels


if __name__ == "__main__":
    serve(
        {
            "pm I-VT": label_ivt,
            "pm I-VT, Gaze": label_ivt_by_frame,
            "pm E&K": label_microsaccades,
            "I2MC": label_i2mc,
        },
        sys.argv[1],
        sys.argv[2],
    )

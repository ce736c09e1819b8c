"""What both layouts of Neon's files share: times checked, pupils put to the gaze, the record built."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.trackers.issues import IssueLog
from gazecapture.trackers.recording import SAMPLES, VALIDATIONS, TrackerRecording, gap_starts, going_up

__all__ = ["SCENE_PX", "build_recording", "in_order", "pupils_at"]

SCENE_PX = (1600, 1200)
"""Neon's scene camera (vendor documentation)."""
_PUPIL_TOLERANCE_NS = 2_500_000
"""ns; half a sample at 200 Hz: gaze and eye state of one eye image share its time, or are a sample apart."""
_MAX_TIME_NS = 1 << 62
"""ns; beyond it (the year 2116) differences of two times may not fit."""

Point = tuple[NDArray[np.float64], NDArray[np.float64]]


def in_order(t_ns: NDArray[np.int64], log: IssueLog, *, file: str, header_rows: int = 0) -> NDArray[np.bool_]:
    """Return which times are later than all before them and possible at all; others are errors."""
    possible = (t_ns >= 0) & (t_ns < _MAX_TIME_NS)
    good = np.zeros(t_ns.size, np.bool_)
    good[possible] = going_up(t_ns[possible])
    if not good.all():
        log.error(
            "GT-TRACKER-TIME",
            "times do not go up: expected later than the sample before",
            row=int(np.flatnonzero(~good)[0]) + 1 + header_rows,
            n=int((~good).sum()),
            file=file,
        )
    return good


def pupils_at(
    t_ns: NDArray[np.int64], times_ns: NDArray[np.int64], pupil_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the pupil of the eye state nearest to each gaze sample, NaN where none is within half a sample."""
    if not times_ns.size:
        return np.full(t_ns.size, np.nan)
    right = np.clip(np.searchsorted(times_ns, t_ns), 0, times_ns.size - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(t_ns - times_ns[left] < times_ns[right] - t_ns, left, right)
    near = np.abs(times_ns[nearest] - t_ns) <= _PUPIL_TOLERANCE_NS
    pupil: NDArray[np.float64] = np.where(near & (pupil_mm[nearest] > 0), pupil_mm[nearest], np.nan)
    return pupil


def build_recording(
    *,
    t_ns: NDArray[np.int64],
    block: NDArray[np.int32],
    points: Mapping[str, Point],
    pupils: Mapping[str, NDArray[np.float64]],
    messages: pa.Table,
    events: pa.Table,
    log: IssueLog,
) -> TrackerRecording:
    """Build the record. ``points`` by eye: left, right and, under the empty name, both."""
    values = {name: np.full(t_ns.size, np.nan) for name in SAMPLES.names[3:]}
    for eye, (x, y) in points.items():
        prefix = f"{eye}_" if eye else ""
        lost = ~(np.isfinite(x) & np.isfinite(y))
        values[f"{prefix}x_px"], values[f"{prefix}y_px"] = (
            np.where(lost, np.nan, x),
            np.where(lost, np.nan, y),
        )
    for eye, pupil in pupils.items():
        values[f"{eye}_pupil"] = pupil
    steps = np.diff(t_ns)[block[1:] == block[:-1]]
    rate_hz = float(1e9 / np.median(steps)) if steps.size else None
    if rate_hz is not None:
        gaps = gap_starts(t_ns, block, rate_hz).size
        if gaps:
            log.info("GT-TRACKER-GAP", "the recording itself lacks samples", n=gaps)
    return TrackerRecording(
        format="neon",
        manufacturer="Pupil Labs",
        frame="scene",
        frame_size_px=SCENE_PX,
        rate_hz=rate_hz,
        pupil_unit="mm" if pupils else "none",
        samples=pa.table({"t_ns": t_ns, "t_device_ns": t_ns, "block": block, **values}, schema=SAMPLES),
        messages=messages,
        events=events,
        validations=VALIDATIONS.empty_table(),
        issues=log.all(),
    )

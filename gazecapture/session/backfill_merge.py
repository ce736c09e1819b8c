"""Live gaze and the tracker's own recording as one: a row per device sample, the tracker's where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture import profiles
from gazecapture.session.backfill_record import BACKFILL_ID, BackfillRecord, read_record
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import read_stream_info
from keyframes.errors import SchemaError
from keyframes.geometry import Display

__all__ = ["BackfilledGaze", "LossShares", "load_backfilled", "merge_columns"]

GAP_INTERVALS = 1.5
"""Sample intervals; a longer step of the file lacks a sample, and what the live stream has there stays."""
LATE_NS = 10_000_000
"""ns; a sample that its sender stamped late can lie beyond the file's edge. Where nothing else tells, it is taken for
one that the file has: two rows of one device sample are worse than ten ms of live gaze less."""
SAME_TIME_NS = 2_000
"""ns; see `gazecapture.session.alignment.SHARED_TOLERANCE_NS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfilledGaze:
    """The tracker's own samples on the session clock."""

    record: BackfillRecord
    t_ns: NDArray[np.int64]
    device_time_ns: NDArray[np.int64]
    """On the file's clock that was aligned."""
    gaze: dict[str, Any]
    """The columns of `gazecapture.session.gaze_stream.GazeStream.gaze`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossShares:
    """What was lost on the way of the samples, as shares of those that the device made; None where nobody knows."""

    outlet_to_disk: float | None
    """Of what the sender numbered and sent."""
    eye_to_disk_streamed: float | None
    """Of the live stream alone; unknown where its sender repeats samples without a number or time to tell them by."""
    eye_to_disk: float
    """With the tracker's own recording."""


def load_backfilled(session: Path, display: Display | None) -> BackfilledGaze | None:
    """Load the session's backfilled samples, None where there are none. Raises SchemaError where they are broken."""
    record = read_record(session)
    if record is None:
        return None
    folder = session / "streams" / BACKFILL_ID
    info, content = read_stream_info(folder), read_journal(folder)
    profile = profiles.match(info)
    if profile is None or "device_time" not in content.table.column_names:
        raise SchemaError(
            "the backfilled stream cannot be read",
            hint="Run `gazecapture backfill` again with --replace.",
            path=folder,
        )
    table = content.table
    normal = profiles.normalise(profile, info, table, display)
    return BackfilledGaze(
        record=record,
        t_ns=np.round(table.column("t_remote_s").to_numpy() * 1e9).astype(np.int64),
        device_time_ns=np.round(table.column("device_time").to_numpy() * 1e9).astype(np.int64),
        gaze=profiles_columns(normal, table.num_rows),
    )


def profiles_columns(normal: profiles.NormalisedGaze, n: int) -> dict[str, Any]:
    """Return normalised gaze as columns of a gaze table."""
    names = ("x_screen_px", "y_screen_px", "left_x_screen_px", "left_y_screen_px", "left_pupil", "left_valid",
             "right_x_screen_px", "right_y_screen_px", "right_pupil", "right_valid", "pupil", "valid")  # fmt: skip
    columns: dict[str, Any] = {name: np.asarray(getattr(normal, name)) for name in names}
    if normal.x_scene_px is not None and normal.y_scene_px is not None:
        columns |= {"x_scene_px": normal.x_scene_px, "y_scene_px": normal.y_scene_px}
    for name in ("combined_by", "pupil_unit"):
        columns[name] = np.full(n, getattr(normal, name), object)
    return columns


def kept_live(
    backfill: BackfilledGaze, t_ns: NDArray[np.int64], device_time_s: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    """Return which live samples are of no device sample that the file has.

    device_time_s : of the live samples where both sides share a clock; then it alone says. Else a live sample stays
        where the file has a hole at its time.
    """
    if not backfill.t_ns.size:
        return np.ones(t_ns.size, np.bool_)
    interval = backfill.record.interval_ns
    covered = _covered(backfill.t_ns, t_ns, interval, margin_ns=max(interval // 2, LATE_NS))
    if device_time_s is None:
        return ~covered
    known = np.isfinite(device_time_s) & (np.abs(device_time_s) < 9e9)
    wanted = np.round(np.where(known, device_time_s, 0.0) * 1e9).astype(np.int64)
    right = np.clip(np.searchsorted(backfill.device_time_ns, wanted), 1, backfill.t_ns.size - 1)
    step = np.minimum(
        np.abs(wanted - backfill.device_time_ns[right - 1]), np.abs(backfill.device_time_ns[right] - wanted)
    )
    return np.where(known, step > SAME_TIME_NS, ~covered)


def _covered(
    file_ns: NDArray[np.int64], t_ns: NDArray[np.int64], interval: int, *, margin_ns: int
) -> NDArray[np.bool_]:
    right = np.clip(np.searchsorted(file_ns, t_ns), 1, max(file_ns.size - 1, 1))
    left = right - 1
    right = np.minimum(right, file_ns.size - 1)
    inside = (t_ns >= file_ns[left]) & (t_ns <= file_ns[right])
    whole = inside & (file_ns[right] - file_ns[left] <= GAP_INTERVALS * interval)
    near = np.minimum(np.abs(t_ns - file_ns[left]), np.abs(file_ns[right] - t_ns)) <= margin_ns
    covered: NDArray[np.bool_] = whole | near
    return covered


def merge_columns(
    backfill: BackfilledGaze,
    t_ns: NDArray[np.int64],
    gaze: Mapping[str, Any],
    *,
    device_time_s: NDArray[np.float64] | None,
    source: str,
) -> tuple[NDArray[np.int64], dict[str, Any], NDArray[np.intp]]:
    """Merge live samples into the backfilled ones.

    Returns the times, the columns with ``source`` (backfill or that of the live stream), and for each row the index of
    its live sample, -1 for a backfilled one.
    """
    keep = np.flatnonzero(kept_live(backfill, t_ns, device_time_s))
    n_file = backfill.t_ns.size
    times = np.concatenate([backfill.t_ns, t_ns[keep]])
    order = np.argsort(times, kind="stable")
    columns: dict[str, Any] = {}
    for name in dict.fromkeys((*backfill.gaze, *gaze)):
        parts = []
        for values, n in ((backfill.gaze.get(name), n_file), (gaze.get(name), t_ns.size)):
            parts.append(np.full(n, np.nan) if values is None else np.asarray(values))
        columns[name] = np.concatenate([parts[0], parts[1][keep]])[order]
    sources = np.full(times.size, "backfill", object)
    sources[n_file:] = source
    columns["source"] = sources[order]
    of_live = np.concatenate([np.full(n_file, -1, np.intp), keep])[order]
    return times[order], columns, of_live

"""The gaze stream of a session: on the session clock, in screen px, one row per device sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture import profiles
from gazecapture.profiles import Profile
from gazecapture.session.clock_fit import ClockFit, fit_clock
from gazecapture.session.journal import read_journal
from gazecapture.session.profiles import profile_of
from gazecapture.session.schema import OFFSETS, StreamInfo, read_stream_info
from keyframes.errors import DataError
from keyframes.geometry import Display
from keyframes.reading import Tracker

__all__ = ["GazeStream", "load_gaze"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeStream:
    """Gaze of n samples, in time order."""

    t_ns: NDArray[np.int64]
    """Session clock."""
    gaze: dict[str, Any]
    """Columns of `keyframes.reading.GAZE` that need no display: screen px, pupils, validity."""
    frame_number: NDArray[np.int64] | None
    """The device's own count, where it gives one; -1 for a sample without."""
    tracker: Tracker
    simulated: bool
    clock: ClockFit
    source: str = "live"
    """What every row says: live, mouse or simulated."""

    @property
    def n_expected(self) -> int | None:
        """How many samples the device counted between first and last; None where it does not count."""
        counted = (
            np.empty(0, np.int64) if self.frame_number is None else self.frame_number[self.frame_number >= 0]
        )
        return int(counted[-1] - counted[0] + 1) if counted.size else None

    def between(self, start_ns: int, end_ns: int) -> GazeStream:
        """Return the samples with ``start_ns <= t_ns < end_ns`` and the rate measured on them."""
        part = slice(*np.searchsorted(self.t_ns, [start_ns, end_ns]))
        t_ns = self.t_ns[part]
        steps_s = np.diff(t_ns) / 1e9
        rate_hz = float(1.0 / np.median(steps_s)) if steps_s.size and np.median(steps_s) > 0 else None
        return replace(
            self,
            t_ns=t_ns,
            gaze={name: values[part] for name, values in self.gaze.items()},
            frame_number=None if self.frame_number is None else self.frame_number[part],
            tracker=replace(self.tracker, effective_rate_hz=rate_hz),
        )


def load_gaze(session: Path, display: Display | None, *, override: Sequence[Profile] = ()) -> GazeStream:
    """Load the session's gaze stream.

    override : profiles that come before those of the session and the built-in ones, where they fit.

    A session without a gaze stream gives no samples. Where it has several, the one with most samples counts. Raises
    DataError where no profile fits it.
    """
    candidates = []
    for folder in sorted((session / "streams").glob("*/stream.json")):
        info = read_stream_info(folder.parent)
        if info.role == "gaze" or any(profile.fits(info) for profile in override):
            candidates.append((read_journal(folder.parent).table, info))
    if not candidates:
        return _nothing()
    table, info = max(candidates, key=lambda pair: pair[0].num_rows)
    return _on_session_clock(session, table, info, display, override)


def _on_session_clock(
    session: Path, table: pa.Table, info: StreamInfo, display: Display | None, override: Sequence[Profile]
) -> GazeStream:
    profile = profile_of(session, info, override=override)
    if profile is None:
        raise DataError(
            f"no stream profile fits stream {info.name!r} of type {info.kind!r}",
            hint="Give the tracker's channels in a profile file.",
            path=session / "streams" / info.stream_id,
            code="GT-NO-PROFILE",
        )
    clock = fit_clock(read_journal(session / "offsets" / info.stream_id, schema=OFFSETS).table, table)
    normal = profiles.normalise(profile, info, table, display)
    t_ns = clock.to_session_ns(table.column("t_remote_s").to_numpy(), table.column("sequence").to_numpy())
    keep = _first_of_each(normal.frame_number, normal.device_time_s, t_ns)
    columns = {
        "x_screen_px": normal.x_screen_px,
        "y_screen_px": normal.y_screen_px,
        "left_x_screen_px": normal.left_x_screen_px,
        "left_y_screen_px": normal.left_y_screen_px,
        "left_pupil": normal.left_pupil,
        "left_valid": normal.left_valid,
        "right_x_screen_px": normal.right_x_screen_px,
        "right_y_screen_px": normal.right_y_screen_px,
        "right_pupil": normal.right_pupil,
        "right_valid": normal.right_valid,
        "pupil": normal.pupil,
        "valid": normal.valid,
    }
    if normal.x_scene_px is not None and normal.y_scene_px is not None:
        columns |= {"x_scene_px": normal.x_scene_px, "y_scene_px": normal.y_scene_px}
    n = len(t_ns)
    simulated = info.tracker.manufacturer == "synthetic"
    text = {"combined_by": normal.combined_by, "pupil_unit": normal.pupil_unit}
    return GazeStream(
        t_ns=t_ns[keep],
        gaze={name: np.asarray(values)[keep] for name, values in columns.items()}
        | {name: np.broadcast_to(np.asarray(values, object), n)[keep] for name, values in text.items()},
        frame_number=None
        if normal.frame_number is None
        else np.asarray(normal.frame_number)[keep].astype(np.int64),
        tracker=replace(info.tracker, profile=profile.name, nominal_rate_hz=info.nominal_rate_hz or None),
        simulated=simulated,
        clock=clock,
        source="simulated" if simulated else profile.source,
    )


def _first_of_each(
    frame_number: NDArray[Any] | None, device_time_s: NDArray[Any] | None, t_ns: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return, in time order, the index of the first row of each device sample.

    Senders that poll repeat samples; the device's own count or time tells. NaN or -1 in either is never a repeat.
    """
    order = np.argsort(t_ns, kind="stable")
    identity = frame_number if frame_number is not None else device_time_s
    if identity is None:
        return order
    values = np.asarray(identity, np.float64)[order]
    repeated = np.zeros(values.size, np.bool_)
    repeated[1:] = (values[1:] == values[:-1]) & (values[1:] >= 0)
    return order[~repeated]


def _nothing() -> GazeStream:
    numbers = ("x_screen_px", "y_screen_px", "left_x_screen_px", "left_y_screen_px", "left_pupil",
               "right_x_screen_px", "right_y_screen_px", "right_pupil", "pupil")  # fmt: skip
    empty: dict[str, Any] = {name: np.empty(0) for name in numbers}
    empty |= {name: np.empty(0, np.bool_) for name in ("left_valid", "right_valid", "valid")}
    empty |= {name: np.empty(0, object) for name in ("combined_by", "pupil_unit")}
    return GazeStream(
        t_ns=np.empty(0, np.int64),
        gaze=empty,
        frame_number=None,
        tracker=Tracker(),
        simulated=False,
        clock=fit_clock(OFFSETS.empty_table()),
    )

"""The gaze stream of a session: on the session clock, in screen px, one row per device sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture import profiles
from gazecapture.profiles import Profile
from gazecapture.screen.scene_map import SceneMap
from gazecapture.session.backfill_merge import LossShares, load_backfilled, merge_columns
from gazecapture.session.backfill_record import ROLE as BACKFILL_ROLE
from gazecapture.session.backfill_record import BackfillRecord
from gazecapture.session.clock_fit import ClockFit, fit_clock
from gazecapture.session.journal import read_journal
from gazecapture.session.live_columns import LiveColumns
from gazecapture.session.profiles import profile_of
from gazecapture.session.schema import OFFSETS, StreamInfo, read_stream_info
from keyframes.errors import DataError
from keyframes.geometry import Display
from keyframes.reading import Tracker

__all__ = ["GazeStream", "load_gaze", "put_on_screen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeStream:
    """Gaze of n samples, in time order."""

    t_ns: NDArray[np.int64]
    """Session clock."""
    gaze: Mapping[str, Any]
    """Columns of `keyframes.reading.GAZE` that need no display: screen px, pupils, validity."""
    frame_number: NDArray[np.int64] | None
    """The device's own count, where it gives one; -1 for a sample without."""
    tracker: Tracker
    simulated: bool
    clock: ClockFit
    source: str = "live"
    """What every live row says: live, mouse or simulated; after a backfill ``gaze`` has a column ``source``."""
    t_remote_s: NDArray[np.float64] | None = None
    """(n,) s, the sender's own time stamps; NaN for a backfilled row."""
    device_time_s: NDArray[np.float64] | None = None
    """(n,) s, the tracker's own time where its sender passes it on; NaN for a backfilled row."""
    backfill: BackfillRecord | None = None
    streamed_ns: NDArray[np.int64] | None = None
    """Times of the live samples, those that the backfill replaced as well; None without a backfill."""
    n_damaged: int = 0
    """Places of the stream's journal that cannot be read."""
    is_numbered: bool = False
    """The live samples have a count or a time of the tracker, by which repeated ones were told and dropped."""
    streamed_frame_number: NDArray[np.int64] | None = None
    """The device's own count of those, where it gives one."""

    @property
    def n_expected(self) -> int | None:
        """How many samples the device made between first and last; None where nobody knows."""
        if self.backfill is not None:
            return self._n_made(self.t_ns)
        counted = (
            np.empty(0, np.int64) if self.frame_number is None else self.frame_number[self.frame_number >= 0]
        )
        return int(counted[-1] - counted[0] + 1) if counted.size else None

    def losses(self, start_ns: int, end_ns: int) -> LossShares | None:
        """Return what was lost between two moments; None without a backfill, which alone knows what the eye did."""
        if self.backfill is None or self.streamed_ns is None:
            return None
        expected = max(1, round((end_ns - start_ns) / self.backfill.interval_ns))
        first, last = (int(place) for place in np.searchsorted(self.streamed_ns, [start_ns, end_ns]))
        n_rows = int(np.diff(np.searchsorted(self.t_ns, [start_ns, end_ns]))[0])
        outlet_to_disk = None
        if self.streamed_frame_number is not None:
            counted = self.streamed_frame_number[first:last]
            counted = counted[counted >= 0]
            if counted.size:
                outlet_to_disk = max(0.0, 1.0 - counted.size / (int(counted.max() - counted.min()) + 1))
        return LossShares(
            outlet_to_disk=outlet_to_disk,
            eye_to_disk_streamed=max(0.0, 1.0 - (last - first) / expected) if self.is_numbered else None,
            eye_to_disk=max(0.0, 1.0 - n_rows / expected),
        )

    def _n_made(self, t_ns: NDArray[np.int64]) -> int | None:
        if self.backfill is None or not t_ns.size:
            return None
        return max(t_ns.size, round(int(t_ns[-1] - t_ns[0]) / self.backfill.interval_ns) + 1)

    def between(self, start_ns: int, end_ns: int) -> GazeStream:
        """Return the samples with ``start_ns <= t_ns < end_ns`` and the rate measured on them."""
        part = slice(*np.searchsorted(self.t_ns, [start_ns, end_ns]))
        t_ns = self.t_ns[part]
        steps_s = np.diff(t_ns) / 1e9
        rate_hz = float(1.0 / np.median(steps_s)) if steps_s.size and np.median(steps_s) > 0 else None
        return replace(
            self,
            t_ns=t_ns,
            gaze=self.gaze.part(part)
            if isinstance(self.gaze, LiveColumns)
            else {name: values[part] for name, values in self.gaze.items()},
            frame_number=None if self.frame_number is None else self.frame_number[part],
            t_remote_s=None if self.t_remote_s is None else self.t_remote_s[part],
            device_time_s=None if self.device_time_s is None else self.device_time_s[part],
            tracker=replace(self.tracker, effective_rate_hz=rate_hz),
        )


def put_on_screen(gaze: GazeStream, scene: SceneMap | None) -> GazeStream:
    """Return gaze of a scene camera in screen px, by where the screen was in its pictures.

    Other gaze, and gaze without a map, is returned as it is: that of a scene camera stays unmapped (NaN) then.
    """
    if scene is None or "x_scene_px" not in gaze.gaze:
        return gaze
    x, y = scene.to_screen(gaze.t_ns, gaze.gaze["x_scene_px"], gaze.gaze["y_scene_px"])
    valid = np.isfinite(x) & np.isfinite(y)
    placed = {"x_screen_px": np.where(valid, x, np.nan), "y_screen_px": np.where(valid, y, np.nan)}
    return replace(gaze, gaze={**gaze.gaze, **placed, "valid": valid})


def load_gaze(session: Path, display: Display | None, *, override: Sequence[Profile] = ()) -> GazeStream:
    """Load the session's gaze stream.

    override : profiles that come before those of the session and the built-in ones, where they fit.

    A session without a gaze stream gives no samples. Where it has several, the one with most samples counts. Where the
    tracker's own recording was put in (`gazecapture.session.backfill`), its samples stand in place of the live ones.
    Raises DataError where no profile fits it.
    """
    live = load_live_gaze(session, display, override=override)
    return _with_backfill(session, display, live)


def load_live_gaze(session: Path, display: Display | None, *, override: Sequence[Profile] = ()) -> GazeStream:
    """Load the session's gaze as it was streamed; see `load_gaze`."""
    candidates = []
    for folder in sorted((session / "streams").glob("*/stream.json")):
        info = read_stream_info(folder.parent)
        if info.role == BACKFILL_ROLE:
            continue
        if info.role == "gaze" or any(profile.fits(info) for profile in override):
            candidates.append((read_journal(folder.parent), info))
    if not candidates:
        return _nothing()
    content, info = max(candidates, key=lambda pair: pair[0].table.num_rows)
    gaze = _on_session_clock(session, content.table, info, display, override)
    return replace(gaze, n_damaged=len(content.damage))


def _on_session_clock(
    session: Path, table: pa.Table, info: StreamInfo, display: Display | None, override: Sequence[Profile]
) -> GazeStream:
    profile = profile_of(session, info, override=override)
    if profile is None:
        raise DataError(
            f"no stream profile fits stream {info.name!r} of type {info.kind!r}",
            hint="Name its channels in a profile (docs/streams.md) and give it with --profile.",
            path=session / "streams" / info.stream_id,
            code="GT-NO-PROFILE",
        )
    clock = fit_clock(read_journal(session / "offsets" / info.stream_id, schema=OFFSETS).table, table)
    frame_number, device_time_s = profiles.sample_identities(profile, info, table)
    t_remote_s = table.column("t_remote_s").to_numpy()
    t_ns = clock.to_session_ns(t_remote_s, table.column("sequence").to_numpy())
    keep = _first_of_each(frame_number, device_time_s, t_ns)
    columns = LiveColumns(profile=profile, info=info, table=table, display=display, rows=keep)
    columns.check()
    simulated = info.tracker.manufacturer == "synthetic"
    return GazeStream(
        t_ns=t_ns[keep],
        gaze=columns,
        frame_number=None if frame_number is None else frame_number[keep],
        tracker=replace(info.tracker, profile=profile.name, nominal_rate_hz=info.nominal_rate_hz or None),
        simulated=simulated,
        clock=clock,
        source="simulated" if simulated else profile.source,
        t_remote_s=t_remote_s[keep],
        device_time_s=None if device_time_s is None else device_time_s[keep],
        is_numbered=frame_number is not None or device_time_s is not None,
    )


def _with_backfill(session: Path, display: Display | None, live: GazeStream) -> GazeStream:
    """Put the tracker's own samples in place of the live ones, where the session has some."""
    backfill = load_backfilled(session, display)
    if backfill is None:
        return live
    clocks = {"device_time": live.device_time_s, "t_remote": live.t_remote_s}
    t_ns, columns, of_live = merge_columns(
        backfill,
        live.t_ns,
        live.gaze,
        device_time_s=clocks.get(backfill.record.alignment.live_clock),
        source=live.source,
    )
    is_live = of_live >= 0

    def carried(values: NDArray[Any] | None, missing: float) -> NDArray[Any] | None:
        return None if values is None or not values.size else np.where(is_live, values[of_live], missing)

    return replace(
        live,
        t_ns=t_ns,
        gaze=columns,
        frame_number=carried(live.frame_number, -1),
        t_remote_s=carried(live.t_remote_s, np.nan),
        device_time_s=carried(live.device_time_s, np.nan),
        backfill=backfill.record,
        streamed_ns=live.t_ns,
        streamed_frame_number=live.frame_number,
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

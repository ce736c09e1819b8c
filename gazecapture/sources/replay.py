"""Recorded gaze, played again: as an LSL outlet for other programs, or as a source for the recorder.

What is sent has its own time spacing, moved to now; the schedule is absolute, so that it does not drift.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from gazecapture.clock import import_pylsl, session_now_ns
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import StreamChannel, StreamInfo, read_stream_info
from gazecapture.sources.lsl_xml import display_from_xml
from gazecapture.sources.protocol import ClockOffset, SourceBatch, SourceMark
from keyframes.errors import (
    DataError,
    DeviceUnavailableError,
    DeviceUnavailableReason,
    StreamLostError,
    UsageError,
)
from keyframes.geometry import Display
from keyframes.reading import Tracker

__all__ = ["Recording", "ReplayOutlet", "ReplaySource", "load_recording"]

PUSH_INTERVAL_S = 0.003
"""s between two looks at what is due: a chunk of 3 samples at 1000 Hz."""
LEAD_S = 0.1
"""s from the start to the first sample, so that none is late from the beginning."""
LINGER_S = 2.0
"""s that an outlet stays after its last sample: what a receiver has not fetched by then is lost."""
REPLAY_NAME = "Replayed gaze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """n samples of one numeric stream."""

    info: StreamInfo
    t_s: NDArray[np.float64]
    """(n,) s, any origin, in order."""
    columns: Mapping[str, NDArray[np.float64]]
    """One (n,) array per channel of ``info``."""
    display: Display | None = None

    @classmethod
    def from_points(
        cls,
        *,
        t_s: ArrayLike,
        x_screen_px: ArrayLike,
        y_screen_px: ArrayLike,
        rate_hz: float,
        display: Display | None = None,
        name: str = REPLAY_NAME,
        tracker: Tracker | None = None,
    ) -> Self:
        """Make a recording of gaze points.

        t_s, x_screen_px, y_screen_px : (n,) s and screen px; NaN in a position = lost. ``rate_hz`` is the nominal
        rate that the stream names. A channel with frame numbers from 0 and one with ``t_s`` are added.

        Raises DataError where lengths differ or times are not in order.
        """
        t = np.ascontiguousarray(t_s, np.float64)
        x, y = np.ascontiguousarray(x_screen_px, np.float64), np.ascontiguousarray(y_screen_px, np.float64)
        if not t.shape == x.shape == y.shape or t.ndim != 1:
            raise DataError(f"t_s, x and y must have one length, found {t.shape}, {x.shape}, {y.shape}")
        tracker = tracker or Tracker(manufacturer="replay")
        info = StreamInfo(
            stream_id="replay",
            role="gaze",
            name=name,
            kind="Gaze",
            channel_format="double64",
            nominal_rate_hz=rate_hz,
            channels=(
                StreamChannel(column="x", label="x", kind="ScreenX", eye="both", unit="pixels"),
                StreamChannel(column="y", label="y", kind="ScreenY", eye="both", unit="pixels"),
                _FRAME_NUMBER,
                StreamChannel(
                    column="device_time", label="device_time", kind="Time", eye="both", unit="seconds"
                ),
            ),
            tracker=replace(tracker, name=name),
        )
        columns = {"x": x, "y": y, "frame_number": np.arange(t.size, dtype=np.float64), "device_time": t}
        return cls(info=info, t_s=_ordered(t), columns=columns, display=display)

    def faster(self, speed: float) -> Self:
        """Return the recording with its time divided by ``speed``. Raises UsageError where that is not above 0."""
        if not speed > 0:
            raise UsageError(f"speed must be above 0, found {speed:g}")
        rate_hz = self.info.nominal_rate_hz * speed
        return replace(
            self,
            info=replace(self.info, nominal_rate_hz=rate_hz),
            t_s=self.t_s[0] + (self.t_s - self.t_s[0]) / speed if self.t_s.size else self.t_s,
        )

    def renamed(self, name: str) -> Self:
        """Return the recording under another stream name."""
        return replace(self, info=replace(self.info, name=name))

    def values(self) -> NDArray[np.float64]:
        """Return (n, channels), a copy."""
        return np.column_stack([self.columns[channel.column] for channel in self.info.channels])


_FRAME_NUMBER = StreamChannel(
    column="frame_number", label="frame_number", kind="FrameNumber", eye="both", unit="count"
)


def load_recording(folder: Path) -> Recording:
    """Load the gaze of a session's folder, or of one Reading's folder in a store.

    Of a session with several gaze streams the one with most samples is taken, with its own channels. Raises
    UsageError where the folder is neither, DataError where it has no gaze.
    """
    if (folder / "gaze.parquet").is_file():
        return _load_reading(folder)
    if (folder / "streams").is_dir():
        return _load_session(folder)
    raise UsageError(
        f"{folder} is neither a session nor a reading",
        hint="Give a session's folder, or STORE/READING_ID.",
        path=folder,
        code="GT-NOT-A-RECORDING",
    )


class ReplayOutlet:
    """Sends a recording as a Lab Streaming Layer outlet.

    Raises DeviceUnavailableError where liblsl is absent.
    """

    def __init__(self, recording: Recording, *, source_id: str = "") -> None:
        pylsl = import_pylsl()
        self._pylsl = pylsl
        self._recording = recording
        info = recording.info
        header = pylsl.StreamInfo(
            info.name,
            info.kind,
            len(info.channels),
            info.nominal_rate_hz or pylsl.IRREGULAR_RATE,
            "double64",
            source_id or f"replay-{info.stream_id}",
        )
        channels = header.desc().append_child("channels")
        for channel in info.channels:
            node = channels.append_child("channel")
            for tag, text in (("label", channel.label), ("type", channel.kind), ("eye", channel.eye)):
                node.append_child_value(tag, text)
            node.append_child_value("unit", channel.unit)
        acquisition = header.desc().append_child("acquisition")
        acquisition.append_child_value("manufacturer", info.tracker.manufacturer)
        acquisition.append_child_value("model", info.tracker.model)
        if recording.display is not None:
            setup = header.desc().append_child("setup").append_child("display")
            for field in ("width_px", "height_px", "width_mm", "height_mm", "distance_mm"):
                value = getattr(recording.display, field)
                if value is not None:
                    setup.append_child_value(field, f"{value:g}")
        self._outlet = pylsl.StreamOutlet(header, max_buffered=360)

    def wait_for_consumer(self, timeout_s: float) -> bool:
        """Wait until somebody listens; say whether somebody does."""
        return bool(self._outlet.wait_for_consumers(timeout_s))

    def run(
        self,
        *,
        wait_for_consumer_s: float = 0.0,
        linger_s: float = LINGER_S,
        stop: threading.Event | None = None,
    ) -> int:
        """Send everything at its own speed and return how many samples were sent.

        Parameters
        ----------
        wait_for_consumer_s : s to wait for a receiver before the first sample.
        linger_s            : s that the outlet stays afterwards.
        stop                : set it to end early.
        """
        if wait_for_consumer_s > 0:
            self.wait_for_consumer(wait_for_consumer_s)
        stop = stop or threading.Event()
        values, t_s = self._recording.values(), self._recording.t_s
        if not t_s.size:
            return 0
        stamps = t_s - t_s[0] + self._pylsl.local_clock() + LEAD_S
        sent = 0
        while sent < stamps.size and not stop.is_set():
            due = int(np.searchsorted(stamps, self._pylsl.local_clock(), side="right"))
            if due > sent:
                self._outlet.push_chunk(values[sent:due], stamps[sent:due].tolist())
                sent = due
            stop.wait(PUSH_INTERVAL_S)
        stop.wait(linger_s)
        return sent


class ReplaySource:
    """Plays a recording inside this process (`gazecapture.sources.protocol.Source`); time stamps are session time."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._stamps: NDArray[np.float64] | None = None
        self._given = 0
        self._offsets: list[ClockOffset] = []
        self._closed = threading.Event()

    @property
    def info(self) -> tuple[StreamInfo, ...]:
        """The stream."""
        return (self._recording.info,)

    def open(self) -> None:
        """Begin to play. Raises DeviceUnavailableError where there is nothing to play."""
        t_s = self._recording.t_s
        if not t_s.size:
            raise DeviceUnavailableError("the recording is empty", reason=DeviceUnavailableReason.NOT_FOUND)
        now_ns = session_now_ns()
        self._stamps = t_s - t_s[0] + now_ns / 1e9 + LEAD_S
        stream_id = self._recording.info.stream_id
        self._offsets = [ClockOffset(stream_id=stream_id, t_ns=now_ns, offset_s=0.0, uncertainty_s=0.0)]

    def read(self, timeout_s: float) -> SourceBatch | None:
        """Wait for the next sample to be due; return all that are."""
        stamps = self._stamps
        if stamps is None or self._closed.is_set():
            raise StreamLostError("the replay is not open")
        end = time.monotonic() + timeout_s
        while True:
            now_ns = session_now_ns()
            due = int(np.searchsorted(stamps, now_ns / 1e9, side="right"))
            if due > self._given:
                part = slice(self._given, due)
                self._given = due
                return SourceBatch(
                    stream_id=self._recording.info.stream_id,
                    t_remote_s=stamps[part],
                    t_received_ns=np.full(due - part.start, now_ns, np.int64),
                    columns={name: values[part] for name, values in self._recording.columns.items()},
                )
            rest_s = end - time.monotonic()
            if rest_s <= 0:
                return None
            next_s = stamps[due] - now_ns / 1e9 if due < stamps.size else rest_s
            if self._closed.wait(min(rest_s, max(next_s, PUSH_INTERVAL_S))):
                return None

    def offsets(self) -> list[ClockOffset]:
        """Return the one offset: the replay is on the session clock."""
        offsets, self._offsets = self._offsets, []
        return offsets

    def marks(self) -> list[SourceMark]:
        """Return nothing: a replay neither restarts nor stops."""
        return []

    def close(self) -> None:
        """End."""
        self._closed.set()


def _load_session(session: Path) -> Recording:
    found = []
    for described in sorted((session / "streams").glob("*/stream.json")):
        info = read_stream_info(described.parent)
        if info.role == "gaze":
            found.append((read_journal(described.parent).table, info))
    if not found or not max(table.num_rows for table, _ in found):
        raise DataError("the session holds no gaze", path=session)
    table, info = max(found, key=lambda pair: pair[0].num_rows)
    t_s = table.column("t_remote_s").to_numpy()
    order = np.argsort(t_s, kind="stable")
    columns = {
        channel.column: np.asarray(table.column(channel.column).to_numpy(), np.float64)[order]
        for channel in info.channels
    }
    info = replace(info, channel_format="double64")
    return _counted(Recording(info=info, t_s=t_s[order], columns=columns, display=display_from_xml(info.xml)))


def _load_reading(folder: Path) -> Recording:
    """Read a Reading's gaze: both eyes, pupils and the combined point, as it stands in the table."""
    table = pq.read_table(folder / "gaze.parquet")
    if not table.num_rows:
        raise DataError("the reading holds no gaze", path=folder)
    unit = str(table.column("pupil_unit")[0])
    rows = []
    for eye, prefix in (("both", ""), ("left", "left_"), ("right", "right_")):
        rows += [
            (f"{prefix}x_screen_px", "ScreenX", eye, "pixels"),
            (f"{prefix}y_screen_px", "ScreenY", eye, "pixels"),
            (f"{prefix}pupil", "Diameter", eye, unit),
        ]
    channels = tuple(
        StreamChannel(column=column, label=column, kind=kind, eye=eye, unit=said)
        for column, kind, eye, said in rows
    )
    t_s = table.column("t_ns").to_numpy() / 1e9
    steps = np.diff(t_s)
    info = StreamInfo(
        stream_id="replay",
        role="gaze",
        name=REPLAY_NAME,
        kind="Gaze",
        channel_format="double64",
        nominal_rate_hz=float(1.0 / np.median(steps)) if steps.size and np.median(steps) > 0 else 0.0,
        channels=channels,
        tracker=Tracker(name=REPLAY_NAME, manufacturer="replay"),
    )
    columns = {
        channel.column: np.asarray(table.column(channel.column).to_numpy(), np.float64)
        for channel in channels
    }
    return _counted(Recording(info=info, t_s=_ordered(t_s), columns=columns))


def _counted(recording: Recording) -> Recording:
    """Add frame numbers where the recording has none, so that a receiver can count its losses."""
    if any(channel.kind.casefold() == "framenumber" for channel in recording.info.channels):
        return recording
    column = "frame_number"
    while column in recording.columns:
        column = f"replay_{column}"
    channel = replace(_FRAME_NUMBER, column=column, label=column)
    frames = np.arange(recording.t_s.size, dtype=np.float64)
    return replace(
        recording,
        info=replace(recording.info, channels=(*recording.info.channels, channel)),
        columns={**recording.columns, column: frames},
    )


def _ordered(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(t_s).all() or (np.diff(t_s) < 0).any():
        raise DataError(
            "times are not finite and in order", hint="Sort the samples by time first.", code="GT-TIME"
        )
    return t_s

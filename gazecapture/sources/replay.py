"""Recorded streams, played again: as LSL outlets for other programs, or as a source for the recorder.

What is sent has its own time spacing, moved to now; the schedule is absolute, so that it does not drift. Where they
come from: `gazecapture.sources.recordings`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gazecapture.clock import import_pylsl, session_now_ns
from gazecapture.session.schema import StreamChannel, StreamInfo
from gazecapture.sources.lsl_header import make_header
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

__all__ = ["REPLAY_NAME", "Recording", "ReplayOutlet", "ReplaySource", "play_together"]

PUSH_INTERVAL_S = 0.003
"""s between two looks at what is due: a chunk of 3 samples at 1000 Hz."""
LEAD_S = 0.1
"""s from the start to the first sample, so that none is late from the beginning."""
PREPARE_S = 1e-6
"""s that one sample takes at most to be made ready, text included: a session of an hour at 1000 Hz waits 4 s."""
LINGER_S = 2.0
"""s that an outlet stays after its last sample: what a receiver has not fetched by then is lost."""
BUFFER_S = 360
"""s of samples that an outlet keeps for a slow receiver; LSL's default."""
REPLAY_NAME = "Replayed gaze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """n samples of one stream."""

    info: StreamInfo
    t_s: NDArray[np.float64]
    """(n,) s, any origin, in order."""
    columns: Mapping[str, NDArray[Any]]
    """One (n,) array per channel of ``info``: float64, or objects in a stream of text."""
    words: pa.Table | None = None
    """Of a stream of words: `keyframes.reading.WORDS`-like rows, n of them, ``t_start_s`` and ``t_end_s`` in the time
    of ``t_s``; ``columns`` are empty then."""
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
                FRAME_NUMBER,
                StreamChannel(
                    column="device_time", label="device_time", kind="Time", eye="both", unit="seconds"
                ),
            ),
            tracker=replace(tracker, name=name),
        )
        columns = {"x": x, "y": y, "frame_number": np.arange(t.size, dtype=np.float64), "device_time": t}
        return cls(info=info, t_s=in_order(t), columns=columns, display=display)

    def faster(self, speed: float, *, origin_s: float | None = None) -> Self:
        """Return the recording with its time since ``origin_s`` (its own start where None) divided by ``speed``.

        Raises UsageError where that is not above 0.
        """
        if not speed > 0:
            raise UsageError(f"speed must be above 0, found {speed:g}")
        if not self.t_s.size:
            return self
        origin = float(self.t_s[0]) if origin_s is None else origin_s
        words = self.words
        if words is not None:
            for name in ("t_start_s", "t_end_s"):
                sooner = origin + (words.column(name).to_numpy() - origin) / speed
                words = words.set_column(words.schema.get_field_index(name), name, pa.array(sooner))
        return replace(
            self,
            info=replace(self.info, nominal_rate_hz=self.info.nominal_rate_hz * speed),
            t_s=origin + (self.t_s - origin) / speed,
            words=words,
        )

    def renamed(self, name: str) -> Self:
        """Return the recording under another stream name."""
        return replace(self, info=replace(self.info, name=name))

    def values(self) -> NDArray[np.float64]:
        """Return the (n, channels) numbers of a numeric stream, a copy."""
        return np.column_stack([self.columns[channel.column] for channel in self.info.channels])

    def messages(self, shift_s: float) -> NDArray[np.float64] | list[list[str]]:
        """Return what an outlet sends: (n, channels) numbers, or n lists of texts.

        shift_s : added to the times inside the words.
        """
        if self.words is not None:
            return [[_said(row, shift_s)] for row in self.words.to_pylist()]
        if self.info.channel_format == "string":
            columns = [self.columns[channel.column] for channel in self.info.channels]
            return [[str(value) for value in row] for row in zip(*columns, strict=True)]
        return self.values()


def _said(row: Mapping[str, Any], shift_s: float) -> str:
    """Return one word as senders of words send it."""
    said = {"word": row["word"], "t_start_s": row["t_start_s"] + shift_s, "t_end_s": row["t_end_s"] + shift_s}
    return json.dumps(said if row["confidence"] is None else {**said, "confidence": row["confidence"]})


FRAME_NUMBER = StreamChannel(
    column="frame_number", label="frame_number", kind="FrameNumber", eye="both", unit="count"
)


class ReplayOutlet:
    """Sends a recording as a Lab Streaming Layer outlet.

    Raises DeviceUnavailableError where liblsl is absent.
    """

    def __init__(self, recording: Recording, *, source_id: str = "") -> None:
        self._pylsl = import_pylsl()
        self.recording = recording
        info = recording.info
        header = make_header(
            info,
            source_id=source_id or f"replay-{info.stream_id}",
            channel_format="string" if info.channel_format == "string" else "double64",
            display=recording.display,
        )
        # All of it, and no more than a tracker's outlet keeps: liblsl lays out the whole buffer at once.
        n, rate_hz = recording.t_s.size, info.nominal_rate_hz
        buffer = min(BUFFER_S, int(n / rate_hz) + 1) if rate_hz else max(1, -(-n // 100))
        self._outlet = self._pylsl.StreamOutlet(header, max_buffered=buffer)

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
        return play_together([self], linger_s=linger_s, stop=stop)

    def push(self, messages: Any, stamps: list[float]) -> None:
        """Send samples with their time stamps."""
        self._outlet.push_chunk(messages, stamps)


def play_together(
    outlets: Sequence[ReplayOutlet], *, linger_s: float = LINGER_S, stop: threading.Event | None = None
) -> int:
    """Send the recordings of several outlets in their common time; return how many samples were sent.

    linger_s, stop : as in `ReplayOutlet.run`.
    """
    stop = stop or threading.Event()
    local_clock = import_pylsl().local_clock
    filled = [outlet for outlet in outlets if outlet.recording.t_s.size]
    if not filled:
        return 0
    origin_s = min(float(outlet.recording.t_s[0]) for outlet in filled)
    n_all = sum(outlet.recording.t_s.size for outlet in filled)
    shift_s = local_clock() + LEAD_S + n_all * PREPARE_S - origin_s
    prepared = [(o, o.recording.t_s + shift_s, o.recording.messages(shift_s)) for o in filled]
    sent = [0] * len(prepared)
    while any(n < stamps.size for n, (_, stamps, _) in zip(sent, prepared, strict=True)):
        if stop.is_set():
            break
        now_s = local_clock()
        for place, (outlet, stamps, messages) in enumerate(prepared):
            due = int(np.searchsorted(stamps, now_s, side="right"))
            if due > sent[place]:
                part = slice(sent[place], due)
                outlet.push(messages[part], stamps[part].tolist())
                sent[place] = due
        stop.wait(PUSH_INTERVAL_S)
    stop.wait(linger_s)
    return sum(sent)


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


def in_order(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(t_s).all() or (np.diff(t_s) < 0).any():
        raise DataError(
            "times are not finite and in order", hint="Sort the samples by time first.", code="GT-TIME"
        )
    return t_s

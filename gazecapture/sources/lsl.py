"""Gaze, words and anything else that comes over Lab Streaming Layer.

Time stamps are taken raw: what post-processing changes cannot be had back. liblsl re-connects to a sender that
was restarted, silently and without its first samples; a gap in arrival therefore asks the network who sends now.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gazecapture.clock import import_pylsl, session_now_ns
from gazecapture.profiles import Profile
from gazecapture.session.schema import StreamInfo
from gazecapture.sources.lsl_pull import CHUNK, NumericPull
from gazecapture.sources.lsl_xml import WORDS_KIND, stream_info_from_xml
from gazecapture.sources.protocol import ClockOffset, Rows, SourceBatch, SourceMark
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, StreamLostError

__all__ = ["FoundStream", "LslSource", "buffer_length", "discover", "wait_for_streams"]

logger = logging.getLogger(__name__)

BUFFER_S = 360
"""s of samples that liblsl keeps for a reader that stalls: its default, never lower (2 s lost 4002 of 6000)."""
MOST_BUFFERED = 2_000_000
"""Samples; liblsl lays out the whole buffer at once, 16 bytes a sample, and names of rates are not to be trusted. It is
360 s at 5.5 kHz: only a recording that is played faster, or a wrong name, is above."""
IRREGULAR_BUFFER = 3600
"""In units of 100 samples: what liblsl counts in where a sender names no rate."""
CONNECT_S = 15.0
"""s for each step of connecting; LabRecorder waits 5, in which a sender on a busy machine has not answered."""
OFFSET_INTERVAL_S = 5.0
"""s between clock offset measurements (design)."""
OFFSET_TIMEOUT_S = 2.0
SILENCE_S = 0.5
"""s without samples, in arrival or in time stamps, after which the sender may be another one."""
MOST_QUESTIONS = 20
"""Times that the network is asked who sends now: on a busy machine a sender answers late; behind a firewall, never."""
_POLL_S = 0.05
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStream:
    """A stream on the network."""

    name: str
    kind: str
    source_id: str
    uid: str
    """Changes whenever the sender is started."""
    created_at: float
    """The sender's clock, s."""
    hostname: str
    n_channels: int
    nominal_rate_hz: float
    channel_format: str
    handle: Any
    """pylsl's own object."""


def buffer_length(nominal_rate_hz: float) -> int:
    """Return the buffer of an inlet in liblsl's units: s, or hundreds of samples where a sender names no rate."""
    if not nominal_rate_hz > 0:
        return IRREGULAR_BUFFER
    return max(1, min(BUFFER_S, int(MOST_BUFFERED / nominal_rate_hz)))


def discover(wait_s: float = 1.0) -> list[FoundStream]:
    """Return the streams that answer within ``wait_s``, by name."""
    return _distinct(import_pylsl().resolve_streams(wait_s))


def wait_for_streams(choose: Callable[[list[FoundStream]], _T | None], *, wait_s: float) -> _T | None:
    """Look at the network until ``choose`` returns something from the streams found, or ``wait_s`` is over."""
    resolver = import_pylsl().ContinuousResolver()
    end = time.monotonic() + wait_s
    while True:
        chosen = choose(_distinct(resolver.results()))
        if chosen is not None or time.monotonic() >= end:
            return chosen
        time.sleep(_POLL_S)


class LslSource:
    """One stream of Lab Streaming Layer (`gazecapture.sources.protocol.Source`).

    Parameters
    ----------
    found     : from `discover` or `wait_for_streams`.
    stream_id : folder name in the session; made of the stream's name where empty.
    own_profiles : a user's stream profiles, which come before the built-in ones.
    """

    def __init__(
        self, found: FoundStream, *, stream_id: str = "", own_profiles: Sequence[Profile] = ()
    ) -> None:
        self._found = found
        self._stream_id = stream_id
        self._own_profiles = tuple(own_profiles)
        self._inlet: Any = None
        self._info: StreamInfo | None = None
        self._columns: tuple[str, ...] = ()
        self._numeric: NumericPull | None = None
        self._offsets: deque[ClockOffset] = deque()
        self._marks: deque[SourceMark] = deque()
        self._uid = found.uid
        self._last_remote_s: float | None = None
        self._last_arrival = time.monotonic()
        self._ask_who_sends = False
        self._first_after_silence_s = 0.0
        self._end = threading.Event()
        self._wake = threading.Event()
        self._side: threading.Thread | None = None

    @property
    def is_words(self) -> bool:
        """Say whether the sender calls this a stream of dictated words."""
        return self._found.kind.casefold() == WORDS_KIND

    @property
    def info(self) -> tuple[StreamInfo, ...]:
        """The stream; empty before it is open."""
        return () if self._info is None else (self._info,)

    def open(self) -> None:
        """Connect; samples are buffered from now on. Raises DeviceUnavailableError where nothing answers in time."""
        pylsl = import_pylsl()
        buffer = buffer_length(self._found.nominal_rate_hz)
        self._inlet = pylsl.StreamInlet(self._found.handle, max_buflen=buffer, recover=True)
        try:
            self._inlet.open_stream(timeout=CONNECT_S)
            xml = self._inlet.info(timeout=CONNECT_S).as_xml()
            self._info = stream_info_from_xml(xml, stream_id=self._stream_id, own_profiles=self._own_profiles)
            self._columns = tuple(channel.column for channel in self._info.channels)
            if self._info.channel_format != "string":
                self._numeric = NumericPull(self._inlet, len(self._info.channels))
            self._measure_offset(CONNECT_S)
        except (pylsl.util.TimeoutError, pylsl.util.LostError) as error:
            self.close()
            raise DeviceUnavailableError(
                f"stream {self._found.name!r} was found but does not answer",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Is its sender still running? A firewall must let TCP and UDP ports 16572 to 16604 through.",
                code="GT-STREAM-SILENT",
            ) from error
        except BaseException:
            self.close()
            raise
        self._side = threading.Thread(
            target=self._watch, name=f"lsl-clock-{self._info.stream_id}", daemon=True
        )
        self._side.start()

    def read(self, timeout_s: float) -> SourceBatch | None:
        """Wait for the first sample and return all that are there, or None after ``timeout_s``."""
        info, inlet = self._info, self._inlet
        if info is None or inlet is None:
            raise StreamLostError("the stream is not open")
        try:
            pulled = _pull_text(inlet, timeout_s) if self._numeric is None else self._numeric.pull(timeout_s)
        except import_pylsl().util.LostError as error:
            raise StreamLostError(f"stream {info.name!r} is gone", hint="Start its sender again.") from error
        if pulled is None:
            if time.monotonic() - self._last_arrival > SILENCE_S:
                self._ask_who_sends = True
            return None
        values, t_remote_s, t_received_ns = pulled
        self._notice_silence(t_remote_s)
        return SourceBatch(
            stream_id=info.stream_id,
            t_remote_s=t_remote_s,
            t_received_ns=t_received_ns,
            columns=Rows(self._columns, values),
        )

    def offsets(self) -> list[ClockOffset]:
        """Return the clock offsets measured since the last call."""
        return _drain(self._offsets)

    def marks(self) -> list[SourceMark]:
        """Return the restarts noticed since the last call."""
        return _drain(self._marks)

    def close(self) -> None:
        """Disconnect."""
        self._end.set()
        self._wake.set()
        if self._side is not None:
            self._side.join(timeout=CONNECT_S)
            self._side = None
        inlet, self._inlet = self._inlet, None
        if inlet is not None:
            inlet.close_stream()

    def _notice_silence(self, t_remote_s: NDArray[np.float64]) -> None:
        last, self._last_remote_s = self._last_remote_s, float(t_remote_s[-1])
        self._last_arrival = time.monotonic()
        silent = last is not None and not 0.0 <= float(t_remote_s[0]) - last <= SILENCE_S
        if silent or self._ask_who_sends:
            self._ask_who_sends = False
            self._first_after_silence_s = float(t_remote_s[0])
            self._wake.set()

    def _watch(self) -> None:
        """Measure the clock offset now and then, and after a silence see whether the sender is another one."""
        due = time.monotonic() + OFFSET_INTERVAL_S
        n_questions = 0
        while not self._end.is_set():
            if self._wake.wait(0.0 if n_questions else max(0.0, due - time.monotonic())):
                self._wake.clear()  # only what was seen: a wake-up between the two would be lost
                n_questions = MOST_QUESTIONS
            if self._end.is_set():
                return
            if n_questions:
                changed = self._sender_changed()
                n_questions = n_questions - 1 if changed is None else 0
                if changed:
                    due = time.monotonic()  # another process, perhaps another host: another clock
            if time.monotonic() >= due:
                due = time.monotonic() + OFFSET_INTERVAL_S
                try:
                    self._measure_offset(OFFSET_TIMEOUT_S)
                except RuntimeError:  # pylsl's TimeoutError and LostError; the sender may be away for a while
                    logger.debug("no clock offset of stream %s this time", self._found.name)

    def _sender_changed(self) -> bool | None:
        """Say whether samples now come from a sender that was started anew; None where no sender answers."""
        now_sending = [
            stream
            for stream in discover(SILENCE_S)
            if (stream.source_id, stream.name) == (self._found.source_id, self._found.name)
        ]
        if not now_sending:
            return None
        if any(stream.uid == self._uid for stream in now_sending):
            return False
        newest = max(now_sending, key=lambda stream: stream.created_at)
        self._uid = newest.uid
        unheard_s = self._first_after_silence_s - newest.created_at
        info = self._info
        if info is not None:
            self._marks.append(
                SourceMark(
                    stream_id=info.stream_id,
                    t_ns=session_now_ns(),
                    kind="restart",
                    detail=f"the sender was started anew, {unheard_s:.2f} s before the first sample that arrived",
                )
            )
        return True

    def _measure_offset(self, timeout_s: float) -> None:
        """Ask liblsl for the newest offset with its uncertainty, which pylsl's own method leaves out."""
        pylsl, info = import_pylsl(), self._info
        inlet = self._inlet
        if info is None or inlet is None:
            return
        function = pylsl.lib.lib.lsl_time_correction_ex
        function.restype = ctypes.c_double
        remote, uncertainty, code = ctypes.c_double(), ctypes.c_double(), ctypes.c_int()
        offset_s = function(
            inlet.obj,
            ctypes.byref(remote),
            ctypes.byref(uncertainty),
            ctypes.c_double(timeout_s),
            ctypes.byref(code),
        )
        pylsl.util.handle_error(code)
        self._offsets.append(
            ClockOffset(
                stream_id=info.stream_id,
                t_ns=session_now_ns(),
                offset_s=float(offset_s),
                uncertainty_s=float(uncertainty.value),
            )
        )


def _pull_text(
    inlet: Any, timeout_s: float
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.int64]] | None:
    """Wait for the first text sample and return all that are there, as `NumericPull.pull` does."""
    samples, stamps = inlet.pull_chunk(timeout=timeout_s, max_samples=CHUNK, min_samples=1)
    if not stamps:
        return None
    received = np.full(len(stamps), session_now_ns(), np.int64)
    return np.array(samples, dtype=object), np.asarray(stamps, np.float64), received


def _distinct(handles: Sequence[Any]) -> list[FoundStream]:
    """Describe pylsl's handles; one that answers on several network interfaces counts once."""
    formats = ("undefined", "float32", "double64", "string", "int32", "int16", "int8", "int64")
    found = {
        handle.uid(): FoundStream(
            name=handle.name(),
            kind=handle.type(),
            source_id=handle.source_id(),
            uid=handle.uid(),
            created_at=handle.created_at(),
            hostname=handle.hostname(),
            n_channels=handle.channel_count(),
            nominal_rate_hz=handle.nominal_srate(),
            channel_format=formats[handle.channel_format()],
            handle=handle,
        )
        for handle in handles
    }
    return sorted(found.values(), key=lambda stream: (stream.name, stream.uid))


def _drain(items: deque[_T]) -> list[_T]:
    drained = []
    while items:
        drained.append(items.popleft())
    return drained

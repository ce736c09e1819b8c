"""A simulated reader as a source: the recorder's tests and a first look at the tool need neither device nor LSL."""

from __future__ import annotations

import threading
import time

import numpy as np

from gazecapture.clock import session_now_ns
from gazecapture.session.schema import StreamInfo
from gazecapture.simulation.feed import CHANNELS, DueSamples, GazeFeed
from gazecapture.simulation.oculomotor import TrackerModel
from gazecapture.simulation.outlets import gaze_stream_info, words_stream_info
from gazecapture.simulation.performer import VIRTUAL_DISPLAY, EndlessReader, Performer
from gazecapture.sources.protocol import ClockOffset, SourceBatch, SourceMark
from keyframes.errors import StreamLostError
from keyframes.geometry import Display

__all__ = ["SimulatedSource"]

SETTLE_S = 0.001
"""s between two looks at the clock where a word is due earlier than the next sample."""


class SimulatedSource:
    """Gaze and words of one imagined reading after the other; a `gazecapture.sources.protocol.Source`.

    Parameters
    ----------
    rate_hz : 30 to 2000, else UsageError.
    seed    : of the reader; the same seed gives the same reading, from whenever it is opened.
    """

    def __init__(
        self,
        *,
        rate_hz: float = 500.0,
        seed: int = 0,
        display: Display = VIRTUAL_DISPLAY,
        model: TrackerModel | None = None,
    ) -> None:
        self._gaze = gaze_stream_info(rate_hz)
        self._words = words_stream_info()
        feed = GazeFeed(rate_hz=rate_hz, display=display, reader_seed=seed, model=model or TrackerModel())
        self._performer = Performer(feed, self)
        self._reader = EndlessReader(self._performer, seed=seed, display=display)
        self._pending: list[SourceBatch] = []
        self._offsets: list[ClockOffset] = []
        self._closed = threading.Event()
        self._opened = False

    @property
    def info(self) -> tuple[StreamInfo, ...]:
        """The gaze stream and the words stream."""
        return self._gaze, self._words

    def open(self) -> None:
        """Begin to read, now."""
        now_ns = session_now_ns()
        self._offsets = [
            ClockOffset(stream_id=i.stream_id, t_ns=now_ns, offset_s=0.0, uncertainty_s=0.0)
            for i in self.info
        ]
        self._performer.feed.start(now_ns / 1e9)
        self._reader.start(now_ns / 1e9)
        self._opened = True

    def read(self, timeout_s: float) -> SourceBatch | None:
        """Wait for samples; None after ``timeout_s`` without any. Raises StreamLostError once it is closed."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._closed.is_set() or not self._opened:
                raise StreamLostError("the simulated reader is not open")
            if not self._pending:
                self._performer.tick(session_now_ns() / 1e9)
            if self._pending:
                return self._pending.pop(0)
            rest_s = deadline - time.monotonic()
            if rest_s <= 0:
                return None
            self._closed.wait(min(rest_s, max(SETTLE_S, 1.0 / self._gaze.nominal_rate_hz)))

    def offsets(self) -> list[ClockOffset]:
        """Return the one offset per stream, 0, that `open` measured; later calls return none."""
        offsets, self._offsets = self._offsets, []
        return offsets

    def marks(self) -> list[SourceMark]:
        """Return nothing: this source has no gaps and no restarts."""
        return []

    def close(self) -> None:
        """End the reading and a `read` under way; a second call does nothing."""
        self._closed.set()

    def push_gaze(self, due: DueSamples) -> None:
        """Take samples from the performer."""
        n = due.t_s.size
        self._pending.append(
            SourceBatch(
                stream_id=self._gaze.stream_id,
                t_remote_s=due.t_s,
                t_received_ns=np.full(n, session_now_ns(), np.int64),
                columns={channel.column: due.values[:, place] for place, channel in enumerate(CHANNELS)},
            )
        )

    def push_word(self, message: str, t_s: float) -> None:
        """Take a word from the performer."""
        self._pending.append(
            SourceBatch(
                stream_id=self._words.stream_id,
                t_remote_s=np.array([t_s]),
                t_received_ns=np.array([session_now_ns()], np.int64),
                columns={self._words.channels[0].column: np.array([message], object)},
            )
        )

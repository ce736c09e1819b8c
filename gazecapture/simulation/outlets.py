"""The simulated reader's two LSL outlets: gaze and words. No case identifier ever enters them."""

from __future__ import annotations

import uuid
from typing import Any

from gazecapture.clock import import_pylsl
from gazecapture.session.schema import StreamChannel, StreamInfo
from gazecapture.simulation.feed import CHANNELS, DueSamples
from gazecapture.sources.lsl_header import make_header
from keyframes.geometry import Display
from keyframes.reading import Tracker

__all__ = ["GAZE_NAME", "WORDS_NAME", "Outlets", "gaze_stream_info", "words_stream_info"]

GAZE_NAME, WORDS_NAME = "Simulated reader", "Simulated reader words"
MANUFACTURER, MODEL = "synthetic", "simulated reader"
WORD_CHANNEL = StreamChannel(column="word", label="word", kind="Word", unit="json")
BUFFER_S = 360
"""s of samples kept for a slow receiver; LSL's default, and the least that a recorder can trust."""


def gaze_stream_info(rate_hz: float, *, profile: str = "") -> StreamInfo:
    """Return what a recorder writes about the gaze stream."""
    return StreamInfo(
        stream_id="simulated_reader",
        role="gaze",
        name=GAZE_NAME,
        kind="Gaze",
        channel_format="double64",
        nominal_rate_hz=rate_hz,
        channels=CHANNELS,
        profile=profile,
        tracker=Tracker(name=GAZE_NAME, manufacturer=MANUFACTURER, model=MODEL),
    )


def words_stream_info() -> StreamInfo:
    """Return what a recorder writes about the words stream."""
    return StreamInfo(
        stream_id="simulated_reader_words",
        role="words",
        name=WORDS_NAME,
        kind="Words",
        channel_format="string",
        nominal_rate_hz=0.0,
        channels=(WORD_CHANNEL,),
        tracker=Tracker(name=WORDS_NAME, manufacturer=MANUFACTURER, model=MODEL),
    )


class Outlets:
    """Opens both outlets; a `gazecapture.simulation.performer.Sink`.

    Raises DeviceUnavailableError where liblsl is absent.
    """

    def __init__(self, *, rate_hz: float, display: Display) -> None:
        self._pylsl = import_pylsl()
        self.gaze_source_id = f"simulated-reader-{uuid.uuid4().hex}"
        gaze = make_header(gaze_stream_info(rate_hz), source_id=self.gaze_source_id, display=display)
        words = make_header(words_stream_info(), source_id=f"{self.gaze_source_id}-words")
        self._gaze: Any = self._pylsl.StreamOutlet(gaze, max_buffered=BUFFER_S)
        self._words: Any = self._pylsl.StreamOutlet(words, max_buffered=BUFFER_S)

    def close(self) -> None:
        """Take both outlets off the network; nothing can be sent any more."""
        self._gaze = self._words = None

    def have_consumers(self) -> bool:
        """Say whether somebody receives both streams."""
        return bool(self._gaze.have_consumers()) and bool(self._words.have_consumers())

    def now_s(self) -> float:
        """Return the session clock."""
        return float(self._pylsl.local_clock())

    def push_gaze(self, due: DueSamples) -> None:
        """Send samples with their own time stamps."""
        self._gaze.push_chunk(due.values, due.t_s.tolist())

    def push_word(self, message: str, t_s: float) -> None:
        """Send one word."""
        self._words.push_sample([message], t_s)

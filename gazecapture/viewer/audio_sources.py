"""Sound that needs no sound card: a recording that is played into the session, and a stream of Lab Streaming Layer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, lfilter

from gazecapture.clock import import_pylsl, session_now_ns
from gazecapture.session.audio import RATE_HZ, read_wav
from gazecapture.viewer.dictation import SoundTaker
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason

__all__ = ["Decimator", "FileAudio", "LslAudio"]

BLOCK_S = 0.1
"""s of sound that are handed over at once."""
RESOLVE_S = 5.0
BUFFER_S = 60
TAPS_PER_STEP = 24
"""Length of the low-pass filter per input sample that is dropped: 60 dB at the first alias."""
OFFSET_EVERY_S = 5.0


class Decimator:
    """Takes a whole multiple of 16 kHz down to it, block by block, without a click between blocks.

    Raises DeviceUnavailableError for another rate: nobody hears the difference, but times would drift.
    """

    def __init__(self, rate_hz: float) -> None:
        self.step = round(rate_hz / RATE_HZ)
        if self.step < 1 or abs(rate_hz - self.step * RATE_HZ) > 1e-6 * rate_hz:
            raise DeviceUnavailableError(
                f"sound of {rate_hz:g} Hz cannot be recorded; {RATE_HZ} Hz and its multiples can (48000 Hz, say)",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Set the rate in the system's sound settings or in the sender.",
                code="GT-AUDIO-RATE",
            )
        self._taps = firwin(TAPS_PER_STEP * self.step + 1, 0.9 / self.step) if self.step > 1 else None
        self._state = None if self._taps is None else np.zeros(self._taps.size - 1)
        self._skip = 0
        self.delay_s = 0.0 if self._taps is None else (self._taps.size - 1) / 2 / rate_hz
        """How much later a sound comes out of the filter than it went in."""

    def __call__(self, samples: NDArray[np.float64]) -> NDArray[np.int16]:
        """Return what a block of -1 ... 1 gives."""
        if self._taps is not None:
            filtered, self._state = lfilter(self._taps, [1.0], samples, zi=self._state)
            samples = filtered[self._skip :: self.step]
            self._skip = (self._skip - filtered.size) % self.step
        return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)


class _Threaded:
    """What both sources have in common: a thread that can be ended."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def _begin(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="audio-source", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; nothing is taken after it returns."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


class FileAudio(_Threaded):
    """Plays a WAV file (16 kHz, mono, 16 bit) into the session at the speed of speech, from the moment of `start`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def start(self, take: SoundTaker, fail: Callable[[str], None]) -> None:
        """Begin. Raises SchemaError (GT-AUDIO) where the file is none of that kind."""
        sound = read_wav(self._path).samples

        def work() -> None:
            block, began_ns = round(BLOCK_S * RATE_HZ), session_now_ns()
            for first in range(0, sound.size, block):
                part = sound[first : first + block]
                due_ns = began_ns + round((first + part.size) * 1e9 / RATE_HZ)
                if self._end.wait(max(0.0, (due_ns - session_now_ns()) / 1e9)):
                    return
                take(part, began_ns + round(first * 1e9 / RATE_HZ))
            fail("the recording is at its end")

        self._begin(work)


class LslAudio(_Threaded):
    """A stream of Lab Streaming Layer with sound, its first channel; found by name, or the only one of type Audio."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._name = name

    def start(self, take: SoundTaker, fail: Callable[[str], None]) -> None:
        """Connect and begin. Raises DeviceUnavailableError where there is no such stream."""
        pylsl = import_pylsl()
        what = ("name", self._name) if self._name else ("type", "Audio")
        found = pylsl.resolve_byprop(*what, timeout=RESOLVE_S)
        if len(found) != 1:
            raise DeviceUnavailableError(
                f"{len(found)} streams with {what[0]} {what[1]!r} send sound, one is needed",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Start the sender, or name its stream: --dictation lsl:NAME.",
                code="GT-NO-AUDIO",
            )
        decimate = Decimator(found[0].nominal_srate())
        inlet = pylsl.StreamInlet(found[0], max_buflen=BUFFER_S, recover=False)
        inlet.open_stream(timeout=RESOLVE_S)
        self._begin(lambda: self._pull(pylsl, inlet, decimate, take, fail))

    def _pull(
        self, pylsl: Any, inlet: Any, decimate: Decimator, take: SoundTaker, fail: Callable[[str], None]
    ) -> None:
        offset_s, measure_at = 0.0, 0.0
        try:
            while not self._end.is_set():
                if time.monotonic() >= measure_at:
                    offset_s = inlet.time_correction(timeout=RESOLVE_S)
                    measure_at = time.monotonic() + OFFSET_EVERY_S
                values, stamps = inlet.pull_chunk(timeout=BLOCK_S, max_samples=1 << 16)
                if not stamps:
                    continue
                block = np.asarray(values)[:, 0]
                full = {pylsl.cf_int8: 1 << 7, pylsl.cf_int16: 1 << 15, pylsl.cf_int32: 1 << 31}
                sound = decimate(block.astype(np.float64) / full.get(inlet.channel_format, 1))
                # Some senders stamp only the first sample of a block; the last is then the block's own time.
                first_s = stamps[-1] - (len(stamps) - 1) / (decimate.step * RATE_HZ) - decimate.delay_s
                take(sound, round((first_s + offset_s) * 1e9))
        except (RuntimeError, pylsl.util.LostError):
            fail("the stream ended")
        finally:
            inlet.close_stream()

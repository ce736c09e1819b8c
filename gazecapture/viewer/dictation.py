"""Dictation: sound comes from a source, what is said while a film is read goes into the session. No Qt.

Everything but the source's own callback happens in one thread; the window only says when somebody speaks.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gazecapture.clock import session_now_ns
from gazecapture.session.audio import RATE_HZ
from gazecapture.session.audio_writer import AudioWriter
from gazecapture.session.consent import may_still_record_speech
from gazecapture.viewer.dictation_status import DictationStatus, write_dictation_status
from gazecapture.viewer.film_check import Loudness
from keyframes.errors import GazeToolError

__all__ = ["QUIET_DBFS", "AudioSource", "Dictation", "SoundTaker", "TalkMode"]

_LOGGER = logging.getLogger(__name__)

TalkMode = Literal["hold", "continuous"]
"""hold: while a key or pedal is held; continuous: as long as a film is on screen."""
SoundTaker = Callable[[NDArray[np.int16], int], None]
"""Takes (n,) samples of 16 kHz mono and the session-clock ns of the first."""

CHUNK_S = 1.0
"""s of sound per write: so much a killed window loses."""
LEVEL_S = 0.1
"""s over which loudness is measured."""
QUIET_DBFS = -90.0
"""dB below full scale of what is no sound at all."""
STATUS_S = 0.25
"""s between two states for the operator, as the recorder's."""
KEPT_S = 5.0
"""s of sound kept until it is known whether somebody speaks; sound cards deliver late, by tenths of a second."""


class AudioSource(Protocol):
    """Where sound comes from: a microphone, a file, a stream."""

    def start(self, take: SoundTaker, fail: Callable[[str], None]) -> None:
        """Begin; ``take`` and ``fail`` may be called from any thread. Raises DeviceUnavailableError."""
        ...

    def stop(self) -> None:
        """End; nothing is taken after it returns."""
        ...


class Dictation:
    """Records what is said into a session's audio folder, as long as its reader agrees to that.

    Parameters
    ----------
    session  : its folder.
    source   : started and stopped here.
    mode     : when sound counts.
    on_error : called once, from the writing thread, where nothing more can be written.
    """

    def __init__(
        self, session: Path, source: AudioSource, mode: TalkMode, *, on_error: Callable[[Exception], None]
    ) -> None:
        self._session = session
        self._source, self.mode, self._on_error = source, mode, on_error
        self._writer = AudioWriter(session)
        self._queue: queue.SimpleQueue[tuple[NDArray[np.int16], int] | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._stretches: list[list[int]] = []
        """[start, end] on the session clock, end far away while it lasts."""
        self._film_is_open = False
        self._recorded, self._loudest, self._trouble = 0, QUIET_DBFS, ""
        self._agreed_ns: int | None = 0
        """Session ns since when the reader has agreed that speech is recorded; None while that is not so."""
        self._told_at = -STATUS_S
        self.level_dbfs = QUIET_DBFS
        """Of the newest sound, whether it is recorded or not."""
        self._thread = threading.Thread(target=self._run, name="dictation", daemon=True)

    def start(self) -> None:
        """Begin to listen. Raises DeviceUnavailableError where there is no sound."""
        self._source.start(lambda samples, t_ns: self._queue.put((samples, t_ns)), self._fail)
        self._thread.start()

    @property
    def is_recording(self) -> bool:
        """Say whether what is said now is kept."""
        with self._guard:
            speaks = bool(self._stretches) and self._stretches[-1][1] == _OPEN_END
            return speaks and self._agreed_ns is not None

    def open_film(self) -> None:
        """Say that a film came on the screen."""
        with self._guard:
            self._film_is_open = True
            self._recorded, self._loudest = 0, QUIET_DBFS
        if self.mode == "continuous":
            self._begin()

    def resume_film(self) -> None:
        """Say that the film is on the screen again, after a pause."""
        with self._guard:
            self._film_is_open = True
        if self.mode == "continuous":
            self._begin()

    def close_film(self) -> None:
        """Say that the film went off the screen, or is paused; what is said from now on is not kept."""
        self.close_film_at(session_now_ns())

    def close_film_at(self, t_ns: int) -> None:
        """Say that the film went off the screen at ``t_ns``."""
        self._end(t_ns)
        with self._guard:
            self._film_is_open = False

    def talk(self, on: bool) -> None:
        """Say that the key or pedal is held, or was let go; does nothing in continuous mode."""
        if self.mode == "hold":
            if on and self._film_is_open:
                self._begin()
            elif not on:
                self._end(session_now_ns())

    def loudness(self) -> Loudness:
        """Return what came since `open_film`."""
        with self._guard:
            return Loudness(
                recorded_s=self._recorded / RATE_HZ, loudest_dbfs=self._loudest, trouble=self._trouble
            )

    def close(self) -> None:
        """Write what is still in hand and end; returns when that is done."""
        self._end(session_now_ns())
        self._source.stop()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._writer.close()

    def _begin(self) -> None:
        with self._guard:
            if not self._stretches or self._stretches[-1][1] != _OPEN_END:
                self._stretches.append([session_now_ns(), _OPEN_END])

    def _end(self, t_ns: int) -> None:
        with self._guard:
            if self._stretches and self._stretches[-1][1] == _OPEN_END:
                self._stretches[-1][1] = t_ns

    def _fail(self, why: str) -> None:
        _LOGGER.warning("dictation: the sound ended: %s", why)
        with self._guard:
            self._trouble = why
        self._queue.put((np.empty(0, np.int16), session_now_ns()))  # so that the thread tells it

    def _run(self) -> None:
        try:
            self._write_until_closed()
        except GazeToolError as error:
            self._on_error(error)

    def _write_until_closed(self) -> None:
        chunk: list[NDArray[np.int16]] = []
        chunk_ns, next_ns = 0, 0
        while True:
            item = self._queue.get()
            for samples, t_ns, begins in () if item is None else self._allowed(*item):
                if chunk and (begins or abs(t_ns - next_ns) > _BREAK_NS):
                    self._writer.write(np.concatenate(chunk), chunk_ns)
                    self._writer.end_file()
                    chunk = []
                chunk_ns = chunk_ns if chunk else t_ns
                chunk.append(samples)
                next_ns = t_ns + round(samples.size * 1e9 / RATE_HZ)
                self._count(samples)
                if sum(part.size for part in chunk) >= CHUNK_S * RATE_HZ:
                    self._writer.write(np.concatenate(chunk), chunk_ns)
                    chunk = []
            self._tell(is_over=item is None)
            if chunk and (item is None or self._agreed_ns is None or self._is_over(next_ns)):
                self._writer.write(np.concatenate(chunk), chunk_ns)
                self._writer.end_file()
                chunk = []
            if item is None:
                return

    def _allowed(self, samples: NDArray[np.int16], t_ns: int) -> list[tuple[NDArray[np.int16], int, bool]]:
        """Return what is kept of the sound: nothing that the reader does not agree to, or did not when it was said."""
        parts = self._kept(samples, t_ns)
        agrees = may_still_record_speech(self._session)
        with self._guard:
            if not agrees:
                self._agreed_ns = None
            elif self._agreed_ns is None:
                self._agreed_ns = session_now_ns()
            agreed_ns = self._agreed_ns
        return [] if agreed_ns is None else [part for part in parts if part[1] >= agreed_ns]

    def _kept(self, samples: NDArray[np.int16], t_ns: int) -> list[tuple[NDArray[np.int16], int, bool]]:
        """Return the parts of the sound during which somebody spoke, and whether a stretch begins with each."""
        self.level_dbfs = _dbfs(samples[-round(LEVEL_S * RATE_HZ) :])
        end_ns = t_ns + round(samples.size * 1e9 / RATE_HZ)
        parts = []
        with self._guard:
            self._stretches = [s for s in self._stretches if s[1] > t_ns - KEPT_S * 1e9]
            stretches = [tuple(s) for s in self._stretches]
        for start, stop in stretches:
            first = max(0, round((start - t_ns) * RATE_HZ / 1e9))
            last = min(samples.size, round((min(stop, end_ns) - t_ns) * RATE_HZ / 1e9))
            if first < last:
                parts.append((samples[first:last], t_ns + round(first * 1e9 / RATE_HZ), start >= t_ns))
        return parts

    def _tell(self, *, is_over: bool) -> None:
        """Say how it stands, for the operator; a disk without room for that has a recorder that says so."""
        now = time.monotonic()
        if not is_over and now - self._told_at < STATUS_S and not self._trouble:
            return
        self._told_at = now
        loud = self.loudness()
        with contextlib.suppress(GazeToolError):
            write_dictation_status(
                self._session,
                DictationStatus(
                    t_ns=session_now_ns(),
                    level_dbfs=self.level_dbfs,
                    is_recording=self.is_recording,
                    recorded_s=loud.recorded_s,
                    loudest_dbfs=loud.loudest_dbfs,
                    trouble=loud.trouble,
                    is_over=is_over,
                ),
            )

    def _is_over(self, t_ns: int) -> bool:
        with self._guard:
            return all(stop <= t_ns + _ROUNDING_NS for _, stop in self._stretches)

    def _count(self, samples: NDArray[np.int16]) -> None:
        loud = _dbfs(samples)
        with self._guard:
            self._recorded += samples.size
            self._loudest = max(self._loudest, loud)


_OPEN_END = 1 << 62
"""End of a stretch that lasts, session ns."""
_ROUNDING_NS = 100_000
"""ns; more than a sample lasts: stretches begin and end between two samples."""
_BREAK_NS = 50_000_000
"""ns by which the next sound may come early or late and still belong to the same file; more is sound that was lost."""


def _dbfs(samples: NDArray[np.int16]) -> float:
    """Return the loudness of a stretch of sound, dB below a full-scale square wave."""
    if not samples.size:
        return QUIET_DBFS
    power = float(np.mean(np.square(samples.astype(np.float64) / 32768.0)))
    return max(QUIET_DBFS, 10 * math.log10(power)) if power > 0 else QUIET_DBFS

"""Speech or silence in a microphone's sound as it comes: energy against a running noise floor.

Good enough to cut an operator's provisional key frames at pauses; dictation itself is recognised elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keyframes.errors import DataError

__all__ = ["RATE_HZ", "SpeechActivity", "SpeechChange"]

RATE_HZ: Final = 16_000
"""Hz, of mono sound."""
FRAME_S: Final = 0.02
"""s of sound that are judged at once: a syllable has several."""
ABOVE_FLOOR_DB: Final = 9.0
"""dB above the floor from which a frame is voiced; room noise varies by about 3 dB from frame to frame."""
LEAST_LEVEL_DB: Final = -55.0
"""dB of full scale below which nothing is speech: a muted microphone's floor is far lower."""
MIN_SPEECH_S: Final = 0.06
"""s of voiced frames on end that begin speech: a click is shorter, a syllable is not."""
FALL_S: Final = 0.2
"""s in which the floor follows a fall of the level."""
RISE_DB_PER_S: Final = 2.0
"""dB/s at which the floor follows a rise: a fan that starts is noise after some seconds, a sentence never is."""

_FRAME: Final = round(FRAME_S * RATE_HZ)
_FULL_SCALE: Final = 32768.0
_SILENT_DB: Final = -100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechChange:
    """Speech began, or paused for long enough."""

    is_speech: bool
    t_s: float
    """When it began, or when the last voiced frame before the pause ended; on the sound's clock."""


class SpeechActivity:
    """Tells speech from pauses; what it says does not depend on how the sound was cut into pushes.

    Parameters
    ----------
    pause_s : s without a voiced frame that end speech.
    """

    def __init__(self, *, pause_s: float) -> None:
        if not pause_s > 0:
            raise DataError(f"pause_s: a positive number is expected, found {pause_s:g}")
        self._pause_s = pause_s
        self._rest: NDArray[np.int16] = np.zeros(0, np.int16)
        self._t_s = float("nan")
        self._floor_db: float | None = None
        self._voiced_since_s: float | None = None
        self._voiced_until_s = float("-inf")
        self.is_speech = False

    def push(self, t_s: float, sound: NDArray[np.int16]) -> list[SpeechChange]:
        """Take (n,) int16 mono samples at 16 kHz of which the first is at ``t_s``; return what changed.

        Sound must follow on what came before: a step of more than one frame in time ends speech and starts afresh
        with the floor that is known. Raises DataError for sound that is not (n,) int16.
        """
        if not isinstance(sound, np.ndarray) or sound.dtype != np.int16 or sound.ndim != 1:
            raise DataError("sound: an array (n,) of int16 is expected")
        if not np.isfinite(t_s):
            raise DataError(f"t_s: a finite time is expected, found {t_s}")
        changes: list[SpeechChange] = []
        expected_s = self._t_s + self._rest.size / RATE_HZ
        if not abs(t_s - expected_s) <= FRAME_S:
            if self.is_speech:
                changes.append(self._pause())
            self._rest, self._t_s, self._voiced_since_s = np.zeros(0, np.int16), t_s, None
        samples = np.concatenate([self._rest, sound])
        n_frames = samples.size // _FRAME
        frames = samples[: n_frames * _FRAME].reshape(n_frames, _FRAME).astype(np.float64) / _FULL_SCALE
        # Without its mean: many sound cards have an offset.
        power = frames.var(axis=1)
        for level_db in 10 * np.log10(np.maximum(power, 10 ** (_SILENT_DB / 10))):
            changes += self._judge(float(level_db))
        self._rest = samples[n_frames * _FRAME :]
        return changes

    def _judge(self, level_db: float) -> list[SpeechChange]:
        start_s, self._t_s = self._t_s, self._t_s + FRAME_S
        if self._floor_db is None:
            self._floor_db = level_db
        elif level_db < self._floor_db:
            self._floor_db += (level_db - self._floor_db) * FRAME_S / FALL_S
        else:
            self._floor_db = min(level_db, self._floor_db + RISE_DB_PER_S * FRAME_S)
        if level_db < max(self._floor_db + ABOVE_FLOOR_DB, LEAST_LEVEL_DB):
            self._voiced_since_s = None
            # A millionth less, so that a pause of just that length counts whatever its time's last digit.
            if self.is_speech and self._t_s - self._voiced_until_s >= self._pause_s - 1e-6:
                return [self._pause()]
            return []
        if self._voiced_since_s is None:
            self._voiced_since_s = start_s
        self._voiced_until_s = self._t_s
        if self.is_speech or self._t_s - self._voiced_since_s < MIN_SPEECH_S - 1e-6:
            return []
        self.is_speech = True
        return [SpeechChange(is_speech=True, t_s=self._voiced_since_s)]

    def _pause(self) -> SpeechChange:
        self.is_speech = False
        return SpeechChange(is_speech=False, t_s=self._voiced_until_s)

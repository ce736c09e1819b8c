"""Where in a clip somebody speaks, by sound alone: the yardstick that no engine's words can talk round.

A frame holds speech where it is louder than the clip's quiet, periodic like a voice, and no pure tone. Noise of a
ventilator is not periodic, hum is as loud all the time, an alarm is a pure tone. Whispering counts as no speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gazecapture.session.audio import RATE_HZ, AudioClip

__all__ = ["FRAME_S", "Speech", "find_speech"]

FRAME_S = 0.010
"""s between two frames; as usual in speech analysis."""
WINDOW_S = 0.040
"""s; three periods of the lowest voice."""
ABOVE_QUIET_DB = 9.0
"""Louder than the quiet by so much. Voiced speech lies 20 dB and more above a reading room, its weak ends 10 dB."""
QUIET_SHARE = 0.10
"""Of the frames; even without a pause longer than those between words so many are quiet."""
MIN_LEVEL_DB = -60.0
"""Of full scale; below it is the hiss of any sound card."""
MIN_PERIODICITY = 0.45
"""Of the normalised autocorrelation at the pitch. Vowels reach 0.7 to 1, white noise of this length 0.25."""
PITCH_HZ = (70.0, 400.0)
"""Of adult voices."""
MAX_TONE_SHARE = 0.985
"""Of the power in the strongest `TONE_BINS`. A beep has 0.99 and more, the purest vowels of high voices 0.98."""
TONE_BINS = 7
"""Bins of 15.6 Hz: as wide as the window's main lobe."""
MIN_SPEECH_S = 0.1
"""s of voice within one second; one short word has as much."""
_FFT_SIZE = 1024
"""Holds a window and the longest lag."""
_BLOCK = 256
"""Frames at once: their spectra stay in a processor's cache."""
_SILENCE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """The frames of a clip that hold speech."""

    voiced: NDArray[np.bool_]
    """(n,) one per `FRAME_S`."""

    @property
    def is_any(self) -> bool:
        """Say whether there is any: `MIN_SPEECH_S` within one second."""
        so_far = np.concatenate([[0], np.cumsum(self.voiced)])
        second = min(round(1.0 / FRAME_S), self.voiced.size)
        return bool(((so_far[second:] - so_far[: so_far.size - second]) * FRAME_S >= MIN_SPEECH_S).any())

    def voiced_s(self, start_s: float, end_s: float) -> float:
        """Return for how long there is speech between two times."""
        first, last = max(0, round(start_s / FRAME_S)), max(0, round(end_s / FRAME_S))
        return float(self.voiced[first:last].sum()) * FRAME_S


def find_speech(clip: AudioClip) -> Speech:
    """Find the frames that hold speech; a clip shorter than a window has none."""
    step, window = round(FRAME_S * RATE_HZ), round(WINDOW_S * RATE_HZ)
    sound = np.pad(clip.samples.astype(np.float32) / 32768.0, (window // 2, window))
    n = clip.samples.size // step
    if n * FRAME_S < WINDOW_S:
        return Speech(voiced=np.zeros(n, np.bool_))
    level, periodicity, tone = (np.empty(n, np.float32) for _ in range(3))
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::step][:n]
    for first in range(0, n, _BLOCK):
        part = slice(first, first + _BLOCK)
        level[part], periodicity[part], tone[part] = _measure(frames[part])
    quiet = max(float(np.quantile(level, QUIET_SHARE)), MIN_LEVEL_DB - ABOVE_QUIET_DB)
    voiced = (level >= quiet + ABOVE_QUIET_DB) & (periodicity >= MIN_PERIODICITY) & (tone <= MAX_TONE_SHARE)
    return Speech(voiced=voiced)


def _measure(
    frames: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return each frame's level in dB of full scale, its periodicity at a voice's pitch, its share in one tone."""
    import scipy.fft  # only here: every command would wait for it

    frames = frames - frames.mean(axis=1, keepdims=True)
    window = np.hanning(frames.shape[1]).astype(np.float32)
    transformed = scipy.fft.rfft(frames * window, n=_FFT_SIZE)
    power = transformed.real**2 + transformed.imag**2
    correlation = scipy.fft.irfft(power)
    # The window itself falls off with the lag; divided by its own correlation a periodic sound reaches 1.
    own = scipy.fft.irfft(np.abs(scipy.fft.rfft(window, n=_FFT_SIZE)) ** 2)
    lags = np.arange(int(RATE_HZ / PITCH_HZ[1]), int(RATE_HZ / PITCH_HZ[0]) + 1)
    energy = correlation[:, 0] + _SILENCE
    periodicity = ((correlation[:, lags] / energy[:, None]) / (own[lags] / own[0])).max(axis=1)
    sums = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    tone = (sums[:, TONE_BINS:] - sums[:, :-TONE_BINS]).max(axis=1) / (sums[:, -1] + _SILENCE)
    level = 10.0 * np.log10((frames**2).mean(axis=1) + _SILENCE)
    return level.astype(np.float32), periodicity.astype(np.float32), tone.astype(np.float32)

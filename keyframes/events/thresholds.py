"""Speed thresholds from the noise of a stretch of gaze, raised where the noise of a moment is larger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import rms_s2s_of_squared_differences, squared_second_differences
from keyframes.events.samples import Samples

__all__ = ["Thresholds", "local_noise", "speed_thresholds"]

FloatArray = NDArray[np.float64]

START_DEG_PER_S: Final = 100.0
"""deg/s. First guess of the iteration; any value well above the noise ends at the same threshold."""

MAX_ITERATIONS: Final = 30
"""The iteration ends after 3 to 8 rounds; a cycle of two values is ended here."""

MAX_SPEEDS: Final = 16_384
"""Median and deviation of more speeds cost time and say nothing new: their standard error is 1 % then."""

BLOCK_S: Final = 0.2
"""s over which the noise of a moment is measured: shorter than a fixation, many times a saccade."""

MAY_MOVE_DEG_PER_S: Final = 60.0
"""deg/s. Noise of a moment may be that fast in an else quiet recording; saccades are faster for most of their time."""

MIN_BLOCK_ROWS: Final = 48
"""At low rates one saccade spoils four second differences: their share stays small only in a longer block (0.8 s at
60 Hz)."""

MAX_BLOCK_VALUES: Final = 25
"""More per block cost time and say nothing new."""

TIE: Final = 1.0 + 1e-9
"""Steady motion has one speed everywhere, which is then its own threshold: rounding must not decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Speeds of a stretch, deg/s, as `speed_thresholds` finds them."""

    peak: float
    """What the peak of a movement exceeds: the larger of what the noise asks for and the floor."""
    edge: float
    """What its first and last sample exceed."""
    peak_of_noise: float
    """What the noise asks for."""
    edge_of_noise: float

    def where_noise_is(self, multiples: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return peaks and edges where the noise is these multiples of what it was measured to be."""
        peaks = np.maximum(self.peak, self.peak_of_noise * multiples)
        return peaks, np.maximum(self.edge, self.edge_of_noise * multiples)


def speed_thresholds(
    speed_deg_per_s: FloatArray,
    *,
    peak_noise_multiple: float,
    edge_noise_multiple: float,
    peak_min_deg_per_s: float,
    edge_share: float,
) -> Thresholds:
    """Return thresholds from the median and the median absolute deviation of the speeds below the threshold.

    speed_deg_per_s : (m,), NaN = unknown. Found by iteration as in Nystrom & Holmqvist 2010, with medians for means.
    """
    step = max(1, speed_deg_per_s.size // MAX_SPEEDS)
    some = speed_deg_per_s[::step]
    known = np.sort(some[np.isfinite(some)])
    rest = deviation = 0.0
    peak = START_DEG_PER_S
    for _ in range(MAX_ITERATIONS):
        slow = known[: np.searchsorted(known, peak)]
        if not slow.size:
            break
        rest = float(slow[(slow.size - 1) // 2] + slow[slow.size // 2]) / 2.0
        deviation = 1.4826 * float(np.median(np.abs(slow - rest)))
        before, peak = peak, max(peak_min_deg_per_s, rest + peak_noise_multiple * deviation)
        if abs(peak - before) < 0.1:
            break
    edge_of_noise = rest + edge_noise_multiple * deviation
    return Thresholds(
        peak=peak * TIE,
        edge=max(edge_of_noise, edge_share * peak) * TIE,
        peak_of_noise=rest + peak_noise_multiple * deviation,
        edge_of_noise=edge_of_noise,
    )


def local_noise(
    samples: Samples, start: int, end: int, speed_deg_per_s: FloatArray, peak: float
) -> tuple[FloatArray, int]:
    """Return the noise of blocks of rows [start, end) relative to that of all of them, and the rows per block.

    By second differences, without those of rows that may be a saccade's: faster than ``peak`` and than
    `MAY_MOVE_DEG_PER_S`. Where they are most of a block they are no saccade but its noise. A block with fewer than
    half of its differences known has the noise of all: 1.
    """
    rows = MIN_BLOCK_ROWS
    if samples.interval_s > 0:
        rows = max(rows, round(BLOCK_S / samples.interval_s))
    step = max(1, rows // MAX_BLOCK_VALUES)
    per_block = rows // step
    squared = squared_second_differences(samples, start, end, step)
    moves = speed_deg_per_s[start:end:step] > max(peak, MAY_MOVE_DEG_PER_S)
    at_rest = squared[~moves]
    noise_deg = rms_s2s_of_squared_differences(at_rest[:: max(1, at_rest.size // MAX_SPEEDS)])
    relative = np.ones(-(-squared.size // per_block))
    if noise_deg > 0.0:
        _medians_of_blocks(squared, moves, per_block, relative)
        of_block_deg = 2.0 * np.sqrt(relative / (12.0 * np.log(2.0)))
        relative = np.where(np.isnan(of_block_deg), 1.0, of_block_deg / noise_deg)
    return relative, per_block * step


@numba.njit(cache=True)
def _medians_of_blocks(values: FloatArray, moves: NDArray[np.bool_], size: int, medians: FloatArray) -> None:
    """Fill in the (upper) median of each block: at rest, or of all if that is less than half; else NaN."""
    ordered = np.empty(size)
    for block in range(medians.size):
        start, end = block * size, min(values.size, (block + 1) * size)
        medians[block] = np.nan
        for with_moves in (False, True):
            n = 0
            for i in range(start, end):
                value = values[i]
                if np.isnan(value) or (moves[i] and not with_moves):
                    continue
                at = n
                while at > 0 and ordered[at - 1] > value:
                    ordered[at] = ordered[at - 1]
                    at -= 1
                ordered[at] = value
                n += 1
            if 2 * n >= size:
                medians[block] = ordered[n // 2]
                break

"""The edges of saccades between places: those of the smooth step that fits the samples best."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.samples import SLACK_INTERVALS, Samples
from keyframes.events.segmentation import Places

__all__ = ["MAX_SACCADE_S", "join_and_refine", "mean_beside"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_SACCADE_S: Final = 0.150
"""s. A longer stretch on no place is no saccade; with noise, one of 40 degrees may look as long."""

EDGE_SEARCH_S: Final = 0.050
"""s. How far from the coarse cut the edge of a saccade is sought."""

STEP_DURATION_S, STEP_DURATION_S_PER_DEG = 0.021, 0.0022
"""s, s per degree. Duration of a saccade by its amplitude (Carpenter 1988, Movements of the Eyes, 2nd ed.)."""

STEP_STRETCHES: Final = (0.7, 1.0, 1.4, 1.9)
"""Shares of that duration that are tried: it scatters, and an oscillation makes the step longer."""

NO_GAIN: Final = 1e-9
"""Squared share of the step by which a fit must be better: rounding must not decide between equal ones."""


def join_and_refine(
    samples: Samples, places: Places, fixations: IntArray, *, min_saccade_deg: float, side_s: float
) -> IntArray:
    """Return (k, 2) rows of fixations: those on one place joined, the edges of the others refined to the row.

    fixations : (k, 2) half-open rows, in order and disjoint; changed.
    """
    count = _refine(
        samples.t_s,
        samples.end_s,
        places.x_deg,
        places.y_deg,
        fixations,
        min_saccade_deg,
        side_s - samples.slack_s,
        EDGE_SEARCH_S - samples.slack_s,
        samples.interval_s,
    )
    return fixations[:count]


@numba.njit(cache=True)
def mean_beside(
    t: FloatArray, x: FloatArray, y: FloatArray, row: int, stop: int, step: int, side: float
) -> tuple[float, float]:
    """Return the mean place of the rows from the first valid one on, within ``side`` seconds of it."""
    while row != stop and np.isnan(x[row]):
        row += step
    start, n, mx, my = row, 0, 0.0, 0.0
    while row != stop and (row == start or abs(t[row] - t[start]) < side):
        if not np.isnan(x[row]):
            n += 1
            mx += x[row]
            my += y[row]
        row += step
    return mx / n, my / n


@numba.njit(cache=True)
def _refine(
    t: FloatArray,
    t_end: FloatArray,
    x: FloatArray,
    y: FloatArray,
    fixations: IntArray,
    min_saccade: float,
    side: float,
    edge_search: float,
    interval: float,
) -> int:
    """Join fixations on one place and move the edges of the others to the step between them; return their number."""
    count, slack = 0, SLACK_INTERVALS * interval
    for f in range(fixations.shape[0]):
        a, b = fixations[f, 0], fixations[f, 1]
        while np.isnan(x[a]):
            a += 1
        while np.isnan(x[b - 1]):
            b -= 1
        if count:
            before, end = fixations[count - 1, 0], fixations[count - 1, 1]
            apart = t[a] - t_end[end - 1]
            if apart <= MAX_SACCADE_S + slack:
                from_x, from_y = mean_beside(t, x, y, end - 1, before - 1, -1, side)
                to_x, to_y = mean_beside(t, x, y, a, b, 1, side)
                dx, dy = to_x - from_x, to_y - from_y
                size = np.sqrt(dx * dx + dy * dy)
                if size < min_saccade:
                    if apart <= side + slack:
                        fixations[count - 1, 1] = b
                        continue
                else:
                    low, high = end, a
                    # Each keeps half, and at slow rates its only row.
                    while (
                        low > max(before + 1, (before + end) // 2) and t[end - 1] - t[low - 1] < edge_search
                    ):
                        low -= 1
                    while high < min(b - 1, (a + b + 1) // 2) and t[high] - t[a] < edge_search:
                        high += 1
                    first, stop = _step(
                        t, x, y, low, high, from_x, from_y, dx / size, dy / size, size, interval
                    )
                    fixations[count - 1, 1], a = first, stop
        fixations[count, 0], fixations[count, 1] = a, b
        count += 1
    return count


@numba.njit(cache=True)
def _step(
    t: FloatArray,
    x: FloatArray,
    y: FloatArray,
    low: int,
    high: int,
    from_x: float,
    from_y: float,
    along_x: float,
    along_y: float,
    size: float,
    interval: float,
) -> tuple[int, int]:
    """Return the rows [first, stop) within [low, high) of the smooth step of ``size`` that fits best."""
    n = 0
    rows, at, gone = np.empty(high - low, np.int64), np.empty(high - low), np.empty(high - low)
    for row in range(low, high):
        if not np.isnan(x[row]):
            rows[n], at[n] = row, t[row]
            gone[n] = ((x[row] - from_x) * along_x + (y[row] - from_y) * along_y) / size
            n += 1
    if n == 0:
        return low, high
    # Squared misfit of the rows before to the place before, and of the rows after to the place after.
    left, right = np.zeros(n + 1), np.zeros(n + 1)
    for i in range(n):
        left[i + 1] = left[i] + gone[i] ** 2
    for i in range(n - 1, -1, -1):
        right[i] = right[i + 1] + (gone[i] - 1.0) ** 2
    best, first, stop = np.inf, 0, n
    for stretch in STEP_STRETCHES:
        duration = stretch * (STEP_DURATION_S + STEP_DURATION_S_PER_DEG * size)
        end = 0
        for i in range(n):
            # At least one row; the first and the last have moved: the eye rests on the ones before and after.
            start = at[i] - interval
            end = max(end, i + 1)
            while end < n and at[end] < at[i] + duration - SLACK_INTERVALS * interval:
                end += 1
            per_s = 1.0 / (at[end - 1] + interval - start)
            misfit, j = left[i] + right[end], i
            while j < end and misfit < best:
                phase = (at[j] - start) * per_s
                # Minimum jerk: Flash & Hogan 1985, J. Neuroscience 5:1688-1703.
                misfit += (gone[j] - phase**3 * (10.0 - phase * (15.0 - 6.0 * phase))) ** 2
                j += 1
            if misfit < best - NO_GAIN:
                best, first, stop = misfit, i, end
    return rows[first], rows[stop] if stop < n else high

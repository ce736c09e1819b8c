"""Saccades and their oscillations, from speed and its thresholds."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.labels import MASKED, NONE, PSO, SACCADE
from keyframes.events.thresholds import TIE

__all__ = ["find_movements", "label_saccades"]

Labels = NDArray[np.int8]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PSO_MAX_INTERVAL_S: Final = 0.010
"""s. An oscillation of 20 to 40 ms cannot be seen at less than 100 Hz."""


@numba.njit(cache=True)
def find_movements(
    speed: FloatArray,
    start: int,
    end: int,
    peak_of_block: FloatArray,
    edge_of_block: FloatArray,
    rows_per_block: int,
    smear: float,
    moves: IntArray,
    edges: FloatArray,
    count: int,
) -> int:
    """Append the movements of rows [start, end) to ``moves`` and ``edges``; return how many there are then.

    peak_of_block, edge_of_block : deg/s, thresholds of every ``rows_per_block`` rows. smear : share of its peak below
    which a movement's ends are the window's. moves : rows start, end, and end with the smear. edges : deg/s, of each.
    """
    i = free_from = next_block = start
    block, high, low = -1, 0.0, 0.0
    while i < end:
        while i >= next_block:
            block += 1
            next_block += rows_per_block
            high, low = peak_of_block[block], edge_of_block[block]
        stop = min(end, next_block)
        while i < stop and not speed[i] > high:
            i += 1
        if i == stop:
            continue
        a = b = i
        while a > free_from and speed[a - 1] > low:
            a -= 1
        fastest = 0.0
        while b < end and speed[b] > high:
            fastest = max(fastest, speed[b])
            b += 1
        # Down to the level of rest, or to where speed rises again: an oscillation or the next saccade.
        while b < end and speed[b] > low and speed[b] <= speed[b - 1] * TIE:
            b += 1
        i = free_from = b
        while a < b - 1 and speed[a] < smear * fastest:
            a += 1
        while b > a + 1 and speed[b - 1] < smear * fastest:
            b -= 1
        moves[count, 0], moves[count, 1], moves[count, 2], edges[count] = a, b, i, low
        count += 1
    return count


@numba.njit(cache=True)
def label_saccades(
    t: FloatArray,
    t_end: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    speed: FloatArray,
    interval: float,
    slack: float,
    moves: IntArray,
    edges: FloatArray,
    min_saccade_s: float,
    max_saccade_s: float,
    min_saccade_deg: float,
    pso_gap_s: float,
    pso_tail_gap_s: float,
    pso_max_s: float,
    pso_min_s: float,
    pso_peak_share: float,
    labels: Labels,
) -> None:
    """Label the movements, in place, that touch nothing labelled; too long ones are MASKED, too small ones left."""
    n, n_moves = t.size, moves.shape[0]
    k = 0
    while k < n_moves:
        a, b, smeared_to, edge = moves[k, 0], moves[k, 1], moves[k, 2], edges[k]
        k += 1
        if t_end[b - 1] - t[a] < min_saccade_s - slack or not _is_free(labels, a, b):
            continue
        if t_end[b - 1] - t[a] > max_saccade_s + slack:
            labels[a:b] = MASKED
            continue
        # From the first position to the one at which rest begins again.
        first, last = a, min(b, n - 1)
        while first < last and np.isnan(x[first]):
            first += 1
        while last > first and np.isnan(x[last]):
            last -= 1
        dx = (x[last] - x[first]) / scale_x[a if scale_x.size > 1 else 0]
        dy = (y[last] - y[first]) / scale_y[a if scale_y.size > 1 else 0]
        if not np.sqrt(dx * dx + dy * dy) >= min_saccade_deg:
            continue
        labels[a:b] = SACCADE
        if interval > PSO_MAX_INTERVAL_S or b == n:
            continue
        fastest, end, limit = np.max(speed[a:b]), b, t[b] + pso_max_s + slack
        while k < n_moves:
            c, d = moves[k, 0], moves[k, 1]
            # Rest is counted from where the window has left the movement before.
            late = t[c] - t_end[max(end, smeared_to) - 1] > pso_gap_s + slack or t_end[d - 1] > limit
            if late or np.max(speed[c:d]) >= pso_peak_share * fastest or not _is_free(labels, c, d):
                break
            end, smeared_to = d, moves[k, 2]
            k += 1
        # The rest of the swing, too slow for a movement of its own.
        row, stop = max(end, smeared_to), moves[k, 0] if k < n_moves else n
        rest_from_s = t_end[row - 1]
        while row < stop and t_end[row] <= limit and labels[row] == NONE and not np.isnan(speed[row]):
            if t[row] - rest_from_s > pso_tail_gap_s + slack:
                break
            if speed[row] > edge:
                end, rest_from_s = row + 1, t_end[row]
            row += 1
        if t_end[end - 1] - t[b] >= pso_min_s - slack and end > b:
            labels[b:end] = PSO


@numba.njit(cache=True)
def _is_free(labels: Labels, start: int, end: int) -> bool:
    n_taken = 0
    for row in range(start, end):
        n_taken += int(labels[row] != NONE)
    return n_taken == 0

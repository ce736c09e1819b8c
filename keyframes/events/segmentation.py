"""Gaze cut into places and movements by penalised likelihood.

A fixation is a random walk seen through the tracker's noise, so its likelihood is that of a Kalman filter; a movement
is whatever fits no place. Dynamic programming finds the cheapest cut, the cost being the squared innovations in units
of their own variance, with a fixed price for each fixation (penalised likelihood: Killick, Fearnhead & Eckley 2012,
J. American Statistical Association 107:1590-1598). Of the candidates for a fixation's start only the best is kept
once they are older than a quarter of a second, which makes the time linear.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.loss import BLINK_MAX_S, BRIDGE_MAX_S
from keyframes.events.samples import Samples

__all__ = ["Places", "cut_into_places", "places_of", "rows_per_block"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK_S: Final = 0.008
"""s. Cuts are sought between blocks of this length, or single samples where they are longer, and refined to the sample
afterwards: no event is so short that a coarser first guess loses it."""

WINDOW_S: Final = 0.250
"""s. A cut that has not shown itself after this is given up for the best older one."""

MAX_ROWS_FOR_NOISE: Final = 200_000
"""A median over more differences costs time and says nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Gaze in degrees, steps added up, each by the scale of its own moment."""

    x_deg: FloatArray
    """(m,) from the first sample of its stretch; NaN where lost."""
    y_deg: FloatArray
    stretches: IntArray
    """(k, 2) half-open rows, first and last one valid, without a loss that a fixation cannot outlast."""
    noise_deg2: FloatArray
    """(k,) variance of the tracker's noise per axis."""


def rows_per_block(samples: Samples) -> int:
    """Return the rows between which no cut is sought."""
    return max(1, round(BLOCK_S / samples.interval_s)) if samples.interval_s > 0 else 1


def places_of(samples: Samples) -> Places:
    """Return where gaze was, and its noise between losses that are too long for a blink.

    What was recorded before or after such a loss changes nothing.
    """
    x_deg, y_deg = np.empty(samples.n), np.empty(samples.n)
    stretches = np.empty((samples.n // 2 + 1, 2), np.int64)
    count = _place(
        samples.t_s,
        samples.end_s,
        samples.x_px,
        samples.y_px,
        samples.px_per_deg_x,
        samples.px_per_deg_y,
        BRIDGE_MAX_S + samples.slack_s,
        x_deg,
        y_deg,
        stretches,
    )
    stretches = stretches[:count]
    noise_deg2 = np.zeros(count)
    lost_s = samples.t_s[stretches[1:, 0]] - samples.end_s[stretches[:-1, 1] - 1]
    long_losses = np.flatnonzero(lost_s > BLINK_MAX_S + samples.slack_s) + 1
    for first, stop in itertools.pairwise([0, *long_losses.tolist(), count] if count else []):
        start = int(stretches[first, 0])
        rows = slice(start, min(int(stretches[stop - 1, 1]), start + MAX_ROWS_FOR_NOISE))
        noise_deg2[first:stop] = _noise_deg2(x_deg[rows], y_deg[rows])
    return Places(x_deg=x_deg, y_deg=y_deg, stretches=stretches, noise_deg2=noise_deg2)


def cut_into_places(
    samples: Samples,
    places: Places,
    *,
    eye_noise_deg_per_sqrt_hz: float,
    drift_deg2_per_s: float,
    change_penalty: float,
    movement_noise_multiple: float,
    min_fixation_s: float,
) -> IntArray:
    """Return (k, 2) half-open rows of the fixations, in order and disjoint; edges are those of blocks."""
    block_rows = rows_per_block(samples)
    found = np.empty((samples.n // block_rows + len(places.stretches), 2), np.int64)
    if not len(places.stretches) or samples.n < 2:
        return found[:0]
    count = _segment(
        samples.t_s,
        samples.end_s,
        places.x_deg,
        places.y_deg,
        places.stretches,
        places.noise_deg2 + eye_noise_deg_per_sqrt_hz**2 / samples.interval_s,
        block_rows,
        max(2, math.ceil(WINDOW_S / (block_rows * samples.interval_s))),
        drift_deg2_per_s,
        change_penalty,
        movement_noise_multiple**2,
        min_fixation_s - samples.slack_s,
        found,
    )
    return found[:count]


def _noise_deg2(x_deg: FloatArray, y_deg: FloatArray) -> float:
    """Return the variance per axis of white noise, as `kinematics.noise_rms_s2s_deg` measures it; 0 for too few."""
    # A stretch begins at its own origin, and no second difference reaches over the loss before it.
    squared = np.diff(x_deg, 2) ** 2 + np.diff(y_deg, 2) ** 2
    squared = squared[np.isfinite(squared)]
    # Each axis has variance 6 sigma^2, so the sum is 6 sigma^2 chi-squared(2), of median 2 ln 2.
    return float(np.median(squared)) / (12.0 * math.log(2.0)) if squared.size else 0.0


@numba.njit(cache=True)
def _place(
    t: FloatArray,
    t_end: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    longest_loss: float,
    x_deg: FloatArray,
    y_deg: FloatArray,
    stretches: IntArray,
) -> int:
    """Fill (m,) degrees from the start of each stretch, NaN where lost, and the rows of the stretches."""
    last, count = -1, 0
    for i in range(x.size):
        if np.isnan(x[i]):
            x_deg[i] = y_deg[i] = np.nan
            continue
        if last < 0 or t[i] - t_end[last] > longest_loss:
            if last >= 0:
                stretches[count - 1, 1] = last + 1
            stretches[count, 0] = i
            count += 1
            x_deg[i] = y_deg[i] = 0.0
        else:
            x_deg[i] = x_deg[last] + (x[i] - x[last]) / scale_x[i]
            y_deg[i] = y_deg[last] + (y[i] - y[last]) / scale_y[i]
        last = i
    if last >= 0:
        stretches[count - 1, 1] = last + 1
    return count


@numba.njit(cache=True)
def _segment(
    t: FloatArray,
    t_end: FloatArray,
    x: FloatArray,
    y: FloatArray,
    stretches: IntArray,
    noise: FloatArray,
    rows_per_block: int,
    blocks_kept: int,
    drift: float,
    penalty: float,
    movement: float,
    min_fixation: float,
    found: IntArray,
) -> int:
    """Fill the rows of the fixations of the cheapest cut of each stretch; return their number."""
    total = 0
    longest = 0
    for s in range(stretches.shape[0]):
        longest = max(longest, stretches[s, 1] - stretches[s, 0])
    # Cost of the best cut of what lies before each block, and where its last fixation starts (-1: a movement).
    cheapest = np.empty(longest // rows_per_block + 2)
    came_from = np.empty(longest // rows_per_block + 2, np.int64)
    # Fixations that may be going on: first block, cost with all before, filter's variance and place.
    first = np.empty(blocks_kept + 3, np.int64)
    cost = np.empty(blocks_kept + 3)
    spread, at_x, at_y = np.empty(blocks_kept + 3), np.empty(blocks_kept + 3), np.empty(blocks_kept + 3)
    for s in range(stretches.shape[0]):
        a, b, r = stretches[s, 0], stretches[s, 1], noise[s]
        n_blocks = (b - a + rows_per_block - 1) // rows_per_block
        cheapest[0] = 0.0
        n_open, before = 0, t[a]
        for k in range(n_blocks):
            row, stop = a + k * rows_per_block, min(b, a + (k + 1) * rows_per_block)
            n = mx = my = mt = within = 0.0
            for i in range(row, stop):
                if not np.isnan(x[i]):
                    n += 1.0
                    mx += x[i]
                    my += y[i]
                    mt += t[i]
            if n > 0.0:
                mx, my, mt = mx / n, my / n, mt / n
                for i in range(row, stop):
                    if not np.isnan(x[i]):
                        within += (x[i] - mx) ** 2 + (y[i] - my) ** 2
                within /= r
                walked, block_noise = drift * (mt - before), r / n
                before = mt
                for c in range(n_open):
                    predicted = spread[c] + walked
                    variance = predicted + block_noise
                    dx, dy = mx - at_x[c], my - at_y[c]
                    gain = predicted / variance
                    cost[c] += (dx * dx + dy * dy) / variance + within
                    at_x[c] += gain * dx
                    at_y[c] += gain * dy
                    spread[c] = predicted * (1.0 - gain)
                first[n_open], cost[n_open] = k, cheapest[k] + penalty + within
                spread[n_open], at_x[n_open], at_y[n_open] = block_noise, mx, my
                n_open += 1
            best = cheapest[k] + n * (2.0 + movement)
            came_from[k + 1] = -1
            for c in range(n_open):
                if cost[c] < best and t_end[stop - 1] - t[a + first[c] * rows_per_block] >= min_fixation:
                    best = cost[c]
                    came_from[k + 1] = first[c]
            cheapest[k + 1] = best
            # Dearer than one that starts now: never the best. Of the old ones the cheapest stays.
            kept, old = 0, -1
            for c in range(n_open):
                if cost[c] > best + penalty:
                    continue
                to = kept
                if k - first[c] >= blocks_kept:
                    if old < 0:
                        old = kept
                    elif cost[c] < cost[old]:
                        to = old
                    else:
                        continue
                if to == kept:
                    kept += 1
                first[to], cost[to], spread[to] = first[c], cost[c], spread[c]
                at_x[to], at_y[to] = at_x[c], at_y[c]
            n_open = kept
        k, start = n_blocks, total
        while k > 0:
            if came_from[k] < 0:
                k -= 1
            else:
                found[total, 0] = a + came_from[k] * rows_per_block
                found[total, 1] = min(b, a + k * rows_per_block)
                total += 1
                k = came_from[k]
        for i in range((total - start) // 2):
            j = total - 1 - i
            for edge in range(2):
                found[start + i, edge], found[j, edge] = found[j, edge], found[start + i, edge]
    return total

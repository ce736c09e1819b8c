"""The clustering detector, for gaze too noisy or too slow for velocity: it finds places, and movements between them.

A fixation is a random walk seen through the tracker's noise, so its likelihood is that of a Kalman filter; a movement
is whatever fits no place. The recording is cut into fixations and movements by dynamic programming over the sum of
squared innovations in units of their own variance, each fixation at a fixed price (penalised likelihood). Neighbours
on one place are joined, and the edges of each saccade are those of the smooth step that fits the samples best.

Segmentation by likelihood: Killick, Fearnhead & Eckley 2012, J. American Statistical Association 107:1590-1598 (of
its candidates for a fixation's start, only the best is kept once they are older than a quarter of a second, which
makes the time linear). Noise is measured anew between losses too long for a blink; no cut is made across a loss too
long for a fixation to go on. Lost samples cost nothing. Gaze is placed by adding up steps, each in degrees by its own
scale. All parameters are in degrees, seconds or multiples of the noise. Fitted to the two-coder images of Lund2013.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import MIN_HALF_WINDOW_S, velocity
from keyframes.events.labels import FIXATION, NONE, SACCADE, Detection, runs_of
from keyframes.events.loss import (
    BLINK_MAX_S,
    BRIDGE_MAX_S,
    LOSS_MIN_S,
    drop_short_fixations,
    label_blinks,
    loss_parameters,
)
from keyframes.events.samples import Samples

__all__ = ["ClusteringParameters", "detect_clustering"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK_S: Final = 0.008
"""s. Cuts are sought between blocks of this length, or single samples where they are longer, and refined to the sample
afterwards: no event is so short that a coarser first guess loses it."""

WINDOW_S: Final = 0.250
"""s. A cut that has not shown itself after this is given up for the best older one."""

KEPT_FIXATION_S: Final = 0.040
"""s. The shortest fixation that coders mark; refined edges may shorten one that was cut longer."""

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

MAX_ROWS_FOR_NOISE: Final = 200_000
"""A median over more differences costs time and says nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteringParameters:
    """What was fitted; the defaults hold for every rate and noise."""

    drift_deg2_per_s: float = 0.9
    """Variance per axis by which a fixation walks in a second: 0.3 deg in 100 ms, small corrections included."""
    change_penalty: float = 12.0
    """Price of a fixation, in squared noise deviations: a place must explain that much more than its neighbour."""
    movement_noise_multiple: float = 1.9
    """Deviations from the place, above those of the noise itself, from which a sample rather is a movement."""
    min_fixation_s: float = 0.060
    """Shortest stretch that is a place of its own before edges are refined."""
    min_saccade_deg: float = 0.3
    """Places nearer than this are one: coders do not cut there, and noise cannot tell."""
    eye_noise_deg_per_sqrt_hz: float = 0.005
    """What the eye itself adds to the tracker's noise, per axis: small movements inside a fixation that last about
    10 ms, so that a faster tracker sees each more often. 0.04 deg at 60 Hz, 0.11 deg at 500 Hz."""
    side_s: float = 0.040
    """Stretch of a fixation beside a movement whose mean says where gaze came from and went to."""


def detect_clustering(
    samples: Samples, noise_deg: float, parameters: ClusteringParameters | None = None
) -> Detection:
    """Label fixations by place, what is between them saccade, and losses as every detector does."""
    chosen = parameters or ClusteringParameters()
    dt, slack = samples.interval_s, 0.499 * samples.interval_s
    fixations = _fixations(samples, chosen, slack) if samples.n > 1 else np.empty((0, 2), np.int64)
    own = np.zeros(samples.n, np.int8)
    for start, end in fixations:
        own[start:end] = FIXATION
    labels = label_blinks(samples, runs_of((own == NONE) & samples.valid))
    labels[(own == FIXATION) & (labels == NONE)] = FIXATION
    drop_short_fixations(samples, labels, KEPT_FIXATION_S)
    _label_saccades(samples, labels, slack)
    # Blinks may have MASKED the flanks of a loss.
    labels[labels < NONE] = NONE
    return Detection(
        labels=labels,
        velocity=velocity(samples, MIN_HALF_WINDOW_S),
        parameters={
            "noise_rms_s2s_deg": noise_deg,
            "velocity_half_window_s": MIN_HALF_WINDOW_S,
            "block_s": _rows_per_block(dt) * dt,
            **asdict(chosen),
            "max_saccade_s": MAX_SACCADE_S,
            **loss_parameters(),
        },
    )


def _rows_per_block(interval_s: float) -> int:
    return max(1, round(BLOCK_S / interval_s)) if interval_s > 0 else 1


def _fixations(samples: Samples, chosen: ClusteringParameters, slack: float) -> IntArray:
    """Return (k, 2) rows of the fixations, in order and disjoint."""
    rows_per_block = _rows_per_block(samples.interval_s)
    blocks_kept = max(2, math.ceil(WINDOW_S / (rows_per_block * samples.interval_s)))
    x_deg, y_deg = np.empty(samples.n), np.empty(samples.n)
    stretches = np.empty((samples.n // 2 + 1, 2), np.int64)
    n_stretches = _place(
        samples.t_s,
        samples.end_s,
        samples.x_px,
        samples.y_px,
        samples.px_per_deg_x,
        samples.px_per_deg_y,
        BRIDGE_MAX_S + slack,
        x_deg,
        y_deg,
        stretches,
    )
    stretches = stretches[:n_stretches]
    found = np.empty((samples.n // rows_per_block + n_stretches, 2), np.int64)
    count = _segment(
        samples.t_s,
        samples.end_s,
        x_deg,
        y_deg,
        stretches,
        _noise_variance(samples, x_deg, y_deg, stretches)
        + chosen.eye_noise_deg_per_sqrt_hz**2 / samples.interval_s,
        rows_per_block,
        blocks_kept,
        chosen.drift_deg2_per_s,
        chosen.change_penalty,
        chosen.movement_noise_multiple**2,
        chosen.min_fixation_s - slack,
        found,
    )
    count = _refine(
        samples.t_s,
        samples.end_s,
        x_deg,
        y_deg,
        found[:count],
        chosen.min_saccade_deg,
        chosen.side_s,
        samples.interval_s,
    )
    return found[:count]


def _noise_variance(
    samples: Samples, x_deg: FloatArray, y_deg: FloatArray, stretches: IntArray
) -> FloatArray:
    """Return the noise variance per axis, in square degrees, of each stretch.

    Measured over all stretches between two losses that are too long for a blink, as what was recorded before or after
    such a loss must change nothing; by second differences, as `kinematics.noise_rms_s2s_deg` does.
    """
    variance = np.empty(len(stretches))
    lost_s = samples.t_s[stretches[1:, 0]] - samples.end_s[stretches[:-1, 1] - 1]
    edges = [0, *(np.flatnonzero(lost_s > BLINK_MAX_S) + 1).tolist(), len(stretches)]
    for first, stop in itertools.pairwise(edges):
        if first == stop:
            continue
        start = int(stretches[first, 0])
        rows = slice(start, min(int(stretches[stop - 1, 1]), start + MAX_ROWS_FOR_NOISE))
        # A step into the next stretch is none: places are relative to the start of their own.
        squared = np.diff(x_deg[rows], 2) ** 2 + np.diff(y_deg[rows], 2) ** 2
        squared = squared[np.isfinite(squared)]
        # Each axis has variance 6 sigma^2, so the sum is 6 sigma^2 chi-squared(2), of median 2 ln 2.
        measured = float(np.median(squared)) / (12.0 * math.log(2.0)) if squared.size else 0.0
        variance[first:stop] = measured
    return variance


def _label_saccades(samples: Samples, labels: NDArray[np.int8], slack: float) -> None:
    """Make saccades, in place, of what lies between two fixations, unless gaze was lost there or it took too long."""
    runs = runs_of(labels == FIXATION)
    before, after = runs[:-1, 1], runs[1:, 0]
    short = samples.t_s[after] - samples.end_s[before - 1] <= MAX_SACCADE_S + slack
    lost = runs_of(~samples.valid)
    lost = lost[samples.end_s[lost[:, 1] - 1] - samples.t_s[lost[:, 0]] > LOSS_MIN_S + slack]
    unlabelled = np.concatenate([[0], np.cumsum(labels == NONE)])
    whole = unlabelled[after] - unlabelled[before] == after - before
    seen = np.searchsorted(lost[:, 0], before) == np.searchsorted(lost[:, 0], after)
    for start, end in zip(before[short & whole & seen], after[short & whole & seen], strict=True):
        labels[start:end] = SACCADE


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


@numba.njit(cache=True)
def _mean_beside(
    t: FloatArray, x: FloatArray, y: FloatArray, row: int, stop: int, step: int, side: float
) -> tuple[float, float]:
    """Return the mean place of the rows from the first valid one on, within ``side`` seconds of it."""
    while row != stop and np.isnan(x[row]):
        row += step
    start, n, mx, my = row, 0, 0.0, 0.0
    while row != stop and abs(t[row] - t[start]) < side:
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
    interval: float,
) -> int:
    """Join fixations on one place and move the edges of the others to the step between them; return their number."""
    count, slack = 0, 0.499 * interval
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
                from_x, from_y = _mean_beside(t, x, y, end - 1, before - 1, -1, side)
                to_x, to_y = _mean_beside(t, x, y, a, b, 1, side)
                dx, dy = to_x - from_x, to_y - from_y
                size = np.sqrt(dx * dx + dy * dy)
                if size < min_saccade:
                    if apart <= side + slack:
                        fixations[count - 1, 1] = b
                        continue
                else:
                    low, high = end, a
                    while low > (before + end) // 2 and t[end - 1] - t[low - 1] < EDGE_SEARCH_S:
                        low -= 1
                    while high < (a + b + 1) // 2 and t[high] - t[a] < EDGE_SEARCH_S:
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
            while end < n and at[end] < at[i] + duration - 0.499 * interval:
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

"""The adaptive velocity detector: its threshold and its window come from the noise of the recording itself.

A movement is a stretch whose least-squares speed exceeds a robust threshold, median plus a multiple of the median
absolute deviation of the slow speeds, found by iteration; it is widened to where speed first rises from, and last
falls to, that level of rest. Movements that follow a saccade at once and are slower are its post-saccadic
oscillation. Movements that touch a loss are blink artefacts. What remains is fixation; pursuit is not told apart.

After Nystrom & Holmqvist 2010, Behavior Research Methods 42:188-204 (iterated data-driven threshold, oscillations),
with least-squares velocity of a window in seconds and medians in place of means. All parameters are in degrees,
seconds or multiples of the noise; they hold from 30 to 2000 Hz. Tuned on the two-coder images of Lund2013.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import (
    MIN_HALF_WINDOW_S,
    half_window_for_noise_s,
    velocity,
)
from keyframes.events.labels import NONE, PSO, SACCADE, Detection
from keyframes.events.loss import label_blinks, label_fixations, loss_parameters
from keyframes.events.samples import Samples

__all__ = ["detect_adaptive"]

Labels = NDArray[np.int8]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PEAK_NOISE_MULTIPLE: Final = 8.0
"""Robust standard deviations of the slow speeds that a movement's peak exceeds their median by."""

EDGE_NOISE_MULTIPLE: Final = 4.0
"""The same for a movement's first and last sample; 4 puts saccade onsets where the coders do (bias 0 ms)."""

PEAK_MIN_DEG_PER_S: Final = 18.0
"""deg/s. Floor of the threshold where the gaze is noiseless (filtered or simulated)."""

EDGE_SHARE_OF_THRESHOLD: Final = 0.3
"""Floor of the edge threshold, as a share of the peak threshold."""

SMEAR_FULL_S: Final = 0.030
"""s. A window that is wider than on clean data smears a movement's edges; what is below this share of its own peak is
cut: the half window's excess over the narrowest, divided by this (about the length of a common saccade)."""

SMEAR_MAX_SHARE: Final = 0.5
"""Half the peak is where the edge of a step lies, whatever the window."""

START_DEG_PER_S: Final = 100.0
"""deg/s. First guess of the iteration; any value well above the noise ends at the same threshold."""

MIN_SACCADE_S: Final = 0.008
"""s. Shorter movements are noise."""

MIN_SACCADE_DEG: Final = 0.2
"""deg. Smaller ones cannot be told from noise and are left in their fixation."""

MIN_FIXATION_S: Final = 0.040
"""s. The shortest fixation that coders mark."""

PSO_GAP_S: Final = 0.020
"""s. A swing of an oscillation starts within this of the movement before."""

PSO_MAX_S: Final = 0.040
"""s. An oscillation is over by then."""

PSO_MIN_S: Final = 0.004
"""s. Shorter ones are the saccade's own end."""

PSO_PEAK_SHARE: Final = 0.8
"""A swing is slower than this share of its saccade's peak; a faster one is a saccade of its own."""

PSO_MAX_INTERVAL_S: Final = 0.010
"""s. An oscillation of 20 to 40 ms cannot be seen at less than 100 Hz."""

TIE: Final = 1.0 + 1e-9
"""Steady motion has one speed everywhere, which is then its own threshold: rounding must not decide."""

MAX_SPEEDS: Final = 200_000
"""Median and deviation of more speeds cost time and say nothing new."""


def detect_adaptive(samples: Samples, noise_deg: float) -> Detection:
    """Label fixations, saccades, post-saccadic oscillations and blinks."""
    gaze_velocity = velocity(samples, half_window_for_noise_s(samples, noise_deg))
    speed = gaze_velocity.speed_deg_per_s
    peak, edge = _thresholds(speed)
    excess_s = max(gaze_velocity.half_window_s, samples.interval_s) - MIN_HALF_WINDOW_S
    smear = min(max(excess_s / SMEAR_FULL_S, 0.0), SMEAR_MAX_SHARE)
    moves = _movements(speed, peak, edge, smear)
    labels = label_blinks(samples, moves)
    if moves.size:
        _label_saccades(
            samples.t_s,
            samples.end_s,
            samples.x_px,
            samples.y_px,
            samples.px_per_deg_x,
            samples.px_per_deg_y,
            speed,
            edge,
            moves,
            samples.interval_s,
            labels,
        )
    label_fixations(samples, labels, MIN_FIXATION_S)
    return Detection(
        labels=labels,
        velocity=gaze_velocity,
        parameters={
            "noise_rms_s2s_deg": noise_deg,
            "velocity_half_window_s": gaze_velocity.half_window_s,
            "peak_threshold_deg_per_s": peak,
            "edge_threshold_deg_per_s": edge,
            "edge_share_of_peak": smear,
            "peak_noise_multiple": PEAK_NOISE_MULTIPLE,
            "edge_noise_multiple": EDGE_NOISE_MULTIPLE,
            "peak_min_deg_per_s": PEAK_MIN_DEG_PER_S,
            "min_saccade_s": MIN_SACCADE_S,
            "min_saccade_deg": MIN_SACCADE_DEG,
            "min_fixation_s": MIN_FIXATION_S,
            "pso_gap_s": PSO_GAP_S,
            "pso_max_s": PSO_MAX_S,
            "pso_min_s": PSO_MIN_S,
            "pso_peak_share": PSO_PEAK_SHARE,
            **loss_parameters(),
        },
    )


def _thresholds(speed: FloatArray) -> tuple[float, float]:
    """Return the speeds in deg/s that a movement's peak and its edges exceed."""
    known = speed[np.isfinite(speed)]
    known = known[:: max(1, known.size // MAX_SPEEDS)]
    median = deviation = 0.0
    peak = START_DEG_PER_S
    for _ in range(30):
        slow = known[known < peak]
        if not slow.size:
            break
        median = float(np.median(slow))
        deviation = 1.4826 * float(np.median(np.abs(slow - median)))
        before, peak = peak, max(PEAK_MIN_DEG_PER_S, median + PEAK_NOISE_MULTIPLE * deviation)
        if abs(peak - before) < 0.1:
            break
    edge = max(median + EDGE_NOISE_MULTIPLE * deviation, EDGE_SHARE_OF_THRESHOLD * peak)
    return peak * TIE, edge * TIE


def _movements(speed: FloatArray, peak: float, edge: float, smear: float) -> IntArray:
    """Return (k, 3) rows of the movements, in order and disjoint: start, end, and end with the smear."""
    found = np.empty((speed.size // 2 + 1, 3), np.int64)
    return found[: _find_movements(speed, peak, edge, smear, found)]


@numba.njit(cache=True)
def _find_movements(speed: FloatArray, peak: float, edge: float, smear: float, found: IntArray) -> int:
    n, count, i, free_from = speed.size, 0, 0, 0
    while i < n:
        if not speed[i] > peak:
            i += 1
            continue
        a = b = i
        while a > free_from and speed[a - 1] > edge:
            a -= 1
        fastest = 0.0
        while b < n and speed[b] > peak:
            fastest = max(fastest, speed[b])
            b += 1
        # Down to the level of rest, or to where speed rises again: an oscillation or the next saccade.
        while b < n and speed[b] > edge and speed[b] <= speed[b - 1] * TIE:
            b += 1
        i = free_from = b
        while a < b - 1 and speed[a] < smear * fastest:
            a += 1
        while b > a + 1 and speed[b - 1] < smear * fastest:
            b -= 1
        found[count, 0], found[count, 1], found[count, 2] = a, b, i
        count += 1
    return count


@numba.njit(cache=True)
def _label_saccades(
    t: FloatArray,
    t_end: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    speed: FloatArray,
    edge: float,
    moves: IntArray,
    interval: float,
    labels: Labels,
) -> None:
    n, n_moves, slack = t.size, moves.shape[0], 0.499 * interval
    k = 0
    while k < n_moves:
        a, b = moves[k, 0], moves[k, 1]
        k += 1
        if t_end[b - 1] - t[a] < MIN_SACCADE_S - slack or np.any(labels[a:b] != NONE):
            continue
        # From the first position to the one at which rest begins again.
        first, last = a, min(b, n - 1)
        while first < last and np.isnan(x[first]):
            first += 1
        while last > first and np.isnan(x[last]):
            last -= 1
        dx, dy = (x[last] - x[first]) / scale_x[a], (y[last] - y[first]) / scale_y[a]
        if not np.sqrt(dx * dx + dy * dy) >= MIN_SACCADE_DEG:
            continue
        labels[a:b] = SACCADE
        if interval > PSO_MAX_INTERVAL_S or b == n:
            continue
        fastest, end, limit = np.max(speed[a:b]), b, t[b] + PSO_MAX_S + slack
        smeared_to = moves[k - 1, 2]
        while k < n_moves:
            c, d = moves[k, 0], moves[k, 1]
            late = t[c] - t[min(end, n - 1)] > PSO_GAP_S + slack or t_end[d - 1] > limit
            if late or np.max(speed[c:d]) >= PSO_PEAK_SHARE * fastest or np.any(labels[c:d] != NONE):
                break
            end, smeared_to = d, moves[k, 2]
            k += 1
        # The rest of the swing, too slow for a movement of its own.
        row, stop = max(end, smeared_to), moves[k, 0] if k < n_moves else n
        while row < stop and t_end[row] <= limit and labels[row] == NONE and not np.isnan(speed[row]):
            if speed[row] > edge:
                end = row + 1
            row += 1
        if t_end[end - 1] - t[b] >= PSO_MIN_S - slack and end > b:
            labels[b:end] = PSO

"""Gaze velocity by least squares, and how noisy the gaze is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.samples import Samples

__all__ = ["Velocity", "half_window_for_noise_s", "noise_rms_s2s_deg", "velocity"]

FloatArray = NDArray[np.float64]

MIN_HALF_WINDOW_S = 0.004
"""s. Half a window of the velocity slope on clean data: resolves a 20 ms saccade (Lund2013, 500 Hz)."""

MAX_HALF_WINDOW_S = 0.012
"""s. A wider window smears the shortest saccades (about 20 ms) into the fixations around them."""

TARGET_VELOCITY_NOISE_DEG_PER_S = 2.5
"""deg/s per axis that a window should bring the noise down to: a tenth of the peak of a 0.5 degree saccade."""

BRIDGED_BY_SLOPE_S = 0.010
"""s. Loss up to this, or one sample, is spanned by the slope of its neighbours; longer loss ends it."""

MAX_SAMPLES_FOR_NOISE = 200_000
"""A median over more differences costs time and says nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Velocity:
    """Velocity on the rows of a `Samples`; all arrays (m,), NaN where there is none."""

    x_deg_per_s: FloatArray
    y_deg_per_s: FloatArray
    speed_deg_per_s: FloatArray
    half_window_s: float


def velocity(samples: Samples, half_window_s: float) -> Velocity:
    """Return the slope of a least-squares line through the samples within ``half_window_s`` of each row.

    Uneven times are taken as they are. Lost rows inside a short loss get the slope of their neighbours; a longer
    loss is never crossed: beside it the window is shifted, not cut, so that its noise stays the same. The scale
    is that of the row itself, so that a change of viewing distance makes no velocity.
    """
    vx, vy = np.full(samples.n, np.nan), np.full(samples.n, np.nan)
    if samples.n > 1:
        dt = samples.interval_s
        # A quarter interval more, so that a sample at the edge is inside whatever its time's last digit.
        half = (max(1, math.floor(half_window_s / dt + 0.5 + 1e-6)) + 0.25) * dt
        longest_bridge = max(BRIDGED_BY_SLOPE_S, 1.5 * dt)
        _slopes(samples.t_s, samples.x_px, samples.y_px, dt, half, longest_bridge, vx, vy)
    vx /= samples.px_per_deg_x
    vy /= samples.px_per_deg_y
    return Velocity(
        x_deg_per_s=vx, y_deg_per_s=vy, speed_deg_per_s=np.hypot(vx, vy), half_window_s=half_window_s
    )


def noise_rms_s2s_deg(samples: Samples) -> float:
    """Return the RMS sample-to-sample distance of the noise alone, in degrees; NaN for too few samples.

    From the median of the second differences, which neither drift and pursuit nor the few samples of saccades
    move; exact for white Gaussian noise, for which RMS-S2S is twice the noise of one axis.
    """
    # Whole stretches rather than every k-th sample: differences need neighbours. Each difference by its own scale:
    # dividing positions would make movement of a scale that changes.
    some = slice(0, MAX_SAMPLES_FOR_NOISE)
    x_deg = np.diff(samples.x_px[some], 2) / samples.px_per_deg_x[some][1:-1]
    y_deg = np.diff(samples.y_px[some], 2) / samples.px_per_deg_y[some][1:-1]
    squared = x_deg**2 + y_deg**2
    squared = squared[np.isfinite(squared)]
    if not squared.size:
        return float("nan")
    # Each axis has variance 6 sigma^2, so the sum is 6 sigma^2 chi-squared(2), of median 2 ln 2.
    return 2.0 * math.sqrt(float(np.median(squared)) / (12.0 * math.log(2.0)))


def half_window_for_noise_s(samples: Samples, rms_s2s_deg: float) -> float:
    """Return the narrowest half window that brings the velocity noise to the target, within its limits."""
    if not (np.isfinite(rms_s2s_deg) and samples.interval_s > 0):
        return MIN_HALF_WINDOW_S
    dt, sigma_deg = samples.interval_s, rms_s2s_deg / 2.0
    k = max(1, round(MIN_HALF_WINDOW_S / dt))
    # Variance of a least-squares slope over 2k+1 even samples: sigma^2 / (dt^2 k (k+1) (2k+1) / 3).
    while (k + 1) * dt <= MAX_HALF_WINDOW_S * (1 + 1e-6) and (
        sigma_deg / (dt * math.sqrt(k * (k + 1) * (2 * k + 1) / 3.0)) > TARGET_VELOCITY_NOISE_DEG_PER_S
    ):
        k += 1
    return max(MIN_HALF_WINDOW_S, k * dt)


@numba.njit(cache=True)
def _slopes(
    t: FloatArray,
    x: FloatArray,
    y: FloatArray,
    dt: float,
    half: float,
    longest_bridge: float,
    vx: FloatArray,
    vy: FloatArray,
) -> None:
    n = t.size
    a = 0
    while a < n:
        if np.isnan(x[a]):
            a += 1
            continue
        # A stretch [a, b): first and last row valid, no loss in it longer than the bridge.
        last, b = a, a + 1
        while b < n:
            if np.isnan(x[b]):
                if t[b] - t[last] > longest_bridge:
                    break
            else:
                if t[b] - t[last] - dt > longest_bridge:
                    break
                last = b
            b += 1
        b = last + 1
        lo = hi = a
        for i in range(a, b):
            t_lo, t_hi = t[i] - half, t[i] + half
            if t_lo < t[a]:
                t_lo, t_hi = t[a] - 0.1 * dt, t[a] + 2 * half
            elif t_hi > t[b - 1]:
                t_lo, t_hi = t[b - 1] - 2 * half, t[b - 1] + 0.1 * dt
            while lo > a and t[lo - 1] >= t_lo:
                lo -= 1
            while t[lo] < t_lo:
                lo += 1
            while hi < b and t[hi] <= t_hi:
                hi += 1
            while hi > lo and t[hi - 1] > t_hi:
                hi -= 1
            count = 0
            s_t = s_x = s_y = s_tt = s_tx = s_ty = 0.0
            for k in range(lo, hi):
                dx = x[k] - x[a]
                if np.isnan(dx):
                    continue
                dy = y[k] - y[a]
                d = (
                    t[k] - t[lo]
                )  # not from the row itself: rows of one window get one slope, to the last digit
                count += 1
                s_t += d
                s_x += dx
                s_y += dy
                s_tt += d * d
                s_tx += d * dx
                s_ty += d * dy
            spread = count * s_tt - s_t * s_t
            if count > 1 and spread > 0.0:
                vx[i] = (count * s_tx - s_t * s_x) / spread
                vy[i] = (count * s_ty - s_t * s_y) / spread
        a = b

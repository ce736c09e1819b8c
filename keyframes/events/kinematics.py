"""Gaze speed by least squares, and how noisy the gaze is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.samples import Samples

__all__ = [
    "Velocity",
    "fill_speed",
    "half_window_for_noise_s",
    "noise_rms_s2s_deg",
    "rms_s2s_of_squared_differences",
    "squared_second_differences",
    "velocity",
]

FloatArray = NDArray[np.float64]

MIN_HALF_WINDOW_S = 0.004
"""s. Half a window of the velocity slope on clean data: resolves a 20 ms saccade (Lund2013, 500 Hz)."""

MAX_HALF_WINDOW_S = 0.012
"""s. A wider window smears the shortest saccades (about 20 ms) into the fixations around them."""

TARGET_VELOCITY_NOISE_DEG_PER_S = 2.5
"""deg/s per axis that a window should bring the noise down to: a tenth of the peak of a 0.5 degree saccade."""

BRIDGED_BY_SLOPE_S = 0.010
"""s. Loss up to this, or one sample, is spanned by the slope of its neighbours; longer loss ends it."""

EVEN_SHARE = 1e-3
"""Intervals that differ from the median by less than this share of it are even: their slope is a sum of products, and
differs from that of the exact times by no more than this share."""

MIN_EVEN_ROWS = 16
"""Shorter runs of even rows are not worth a sum of their own."""

CHUNK = 1024
"""Rows whose sums stay in the processor's nearest cache."""

MAX_SAMPLES_FOR_NOISE = 32_768
"""A median over more differences costs time and says nothing new: its standard error is 0.6 % then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Velocity:
    """Speed on the rows of a `Samples`."""

    speed_deg_per_s: FloatArray
    """(m,), NaN where there is none."""
    half_window_s: float
    """Of the least-squares line; where it differs between stretches, that of the longest."""


def velocity(samples: Samples, half_window_s: float) -> Velocity:
    """Return the speed of a whole recording, by windows of one length; as `fill_speed`."""
    speed = np.empty(samples.n)
    fill_speed(samples, 0, samples.n, half_window_s, speed)
    return Velocity(speed_deg_per_s=speed, half_window_s=half_window_s)


def fill_speed(samples: Samples, start: int, end: int, half_window_s: float, speed: FloatArray) -> None:
    """Fill rows [start, end) with the slope of a least-squares line through the samples within the half window.

    Uneven times are taken as they are. Lost rows inside a short loss get the slope of their neighbours; a longer
    loss is never crossed: beside it the window is shifted, not cut, so that its noise stays the same. The scale
    is that of the row itself, so that a change of viewing distance makes no velocity. NaN where there is no slope.
    """
    dt = samples.interval_s
    k = max(1, math.floor(half_window_s / dt + 0.5 + 1e-6)) if dt > 0 else 1
    _fill_speed(
        samples.t_s,
        samples.x_px,
        samples.y_px,
        samples.scale_x,
        samples.scale_y,
        start,
        end,
        dt,
        k,
        max(BRIDGED_BY_SLOPE_S, dt) + samples.slack_s,
        speed,
    )


def noise_rms_s2s_deg(samples: Samples, start: int = 0, end: int | None = None) -> float:
    """Return the RMS sample-to-sample distance of the noise alone, in degrees, of rows [start, end); NaN for too few.

    From the median of second differences spread over the recording, which neither drift and pursuit nor the few
    samples of saccades move; exact for white Gaussian noise, for which RMS-S2S is twice the noise of one axis.
    """
    end = samples.n if end is None else end
    step = max(1, (end - start) // MAX_SAMPLES_FOR_NOISE)
    return rms_s2s_of_squared_differences(squared_second_differences(samples, start, end, step))


def squared_second_differences(samples: Samples, start: int, end: int, step: int) -> FloatArray:
    """Return those of every ``step``-th row of [start, end), in deg squared; NaN where a neighbour is lost.

    Each by its own scale: dividing positions would make movement of a scale that changes.
    """
    squared = np.empty(-(-(end - start) // step))
    _second_differences(
        samples.x_px, samples.y_px, samples.scale_x, samples.scale_y, start, end, step, squared
    )
    return squared


def rms_s2s_of_squared_differences(squared: FloatArray) -> float:
    """Return the RMS-S2S, in deg, of white noise with these squared second differences, NaN among them or not."""
    known = squared[~np.isnan(squared)]
    if not known.size:
        return float("nan")
    # Each axis has variance 6 sigma^2, so the sum is 6 sigma^2 chi-squared(2), of median 2 ln 2.
    return 2.0 * math.sqrt(float(np.median(known)) / (12.0 * math.log(2.0)))


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
def _second_differences(
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    start: int,
    end: int,
    step: int,
    out: FloatArray,
) -> None:
    each_x, each_y = scale_x.size == x.size, scale_y.size == x.size
    for k in range(out.size):
        i = start + k * step
        if i == start or i + 1 >= end:
            out[k] = np.nan
            continue
        dx = (x[i + 1] - x[i] - (x[i] - x[i - 1])) / scale_x[i if each_x else 0]
        dy = (y[i + 1] - y[i] - (y[i] - y[i - 1])) / scale_y[i if each_y else 0]
        out[k] = dx * dx + dy * dy


@numba.njit(cache=True)
def _fill_speed(
    t: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    start: int,
    end: int,
    dt: float,
    k: int,
    longest_bridge: float,
    speed: FloatArray,
) -> None:
    a = start
    while a < end:
        if np.isnan(x[a]):
            speed[a] = np.nan
            a += 1
            continue
        # A stretch [a, b): first and last row valid, no loss in it longer than the bridge. Rows of even times with no
        # loss near are summed quickly, the others by their times.
        todo = run = a
        while True:
            run_end = run + 1
            while run_end < end and abs(t[run_end] - t[run_end - 1] - dt) <= EVEN_SHARE * dt:
                if np.isnan(x[run_end]):
                    break
                run_end += 1
            b = run_end
            if run_end - run >= 2 * k + MIN_EVEN_ROWS:
                _by_times(t, x, y, scale_x, scale_y, a, b, todo, run + k, dt, k, speed)
                _by_products(x, y, scale_x, scale_y, run + k, run_end - k, dt, k, speed)
                todo = run_end - k
            run = run_end
            while run < end and np.isnan(x[run]):
                run += 1
            if run == end or t[run] - t[b - 1] - dt > longest_bridge:
                break
        _by_times(t, x, y, scale_x, scale_y, a, b, todo, b, dt, k, speed)
        speed[b:run] = np.nan
        a = run


@numba.njit(cache=True)
def _by_products(
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    start: int,
    end: int,
    dt: float,
    k: int,
    speed: FloatArray,
) -> None:
    """Fill rows [start, end) with slopes over k rows of even times on either side."""
    each = scale_x.size == x.size or scale_y.size == x.size
    spread = dt * k * (k + 1) * (2 * k + 1) / 3.0
    per_x, per_y = 1.0 / (scale_x[0] * spread), 1.0 / (scale_y[0] * spread)
    sum_x, sum_y = np.empty(CHUNK), np.empty(CHUNK)
    for first in range(start, end, CHUNK):
        size = min(CHUNK, end - first)
        sum_x[:] = 0.0
        sum_y[:] = 0.0
        for j in range(1, k + 1):
            x_after, x_before = x[first + j : first + j + size], x[first - j : first - j + size]
            y_after, y_before = y[first + j : first + j + size], y[first - j : first - j + size]
            for i in range(size):
                sum_x[i] += j * (x_after[i] - x_before[i])
                sum_y[i] += j * (y_after[i] - y_before[i])
        out = speed[first : first + size]
        if each:
            for i in range(size):
                dx = sum_x[i] / (scale_x[first + i if scale_x.size > 1 else 0] * spread)
                dy = sum_y[i] / (scale_y[first + i if scale_y.size > 1 else 0] * spread)
                out[i] = np.sqrt(dx * dx + dy * dy)
        else:
            for i in range(size):
                dx, dy = sum_x[i] * per_x, sum_y[i] * per_y
                out[i] = np.sqrt(dx * dx + dy * dy)


@numba.njit(cache=True)
def _by_times(
    t: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    a: int,
    b: int,
    start: int,
    end: int,
    dt: float,
    k: int,
    speed: FloatArray,
) -> None:
    """Fill rows [start, end) of the stretch [a, b) with slopes over the times within k intervals on either side."""
    # A quarter interval more, so that a sample at the edge is inside whatever its time's last digit.
    half = (k + 0.25) * dt
    lo = hi = start
    for i in range(start, end):
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
        for row in range(lo, hi):
            dx = x[row] - x[a]
            if np.isnan(dx):
                continue
            dy = y[row] - y[a]
            d = t[row] - t[lo]  # not from the row itself: rows of one window get one slope, to the last digit
            count += 1
            s_t += d
            s_x += dx
            s_y += dy
            s_tt += d * d
            s_tx += d * dx
            s_ty += d * dy
        spread = count * s_tt - s_t * s_t
        if count > 1 and spread > 0.0:
            vx = (count * s_tx - s_t * s_x) / (spread * scale_x[i if scale_x.size > 1 else 0])
            vy = (count * s_ty - s_t * s_y) / (spread * scale_y[i if scale_y.size > 1 else 0])
            speed[i] = np.sqrt(vx * vx + vy * vy)
        else:
            speed[i] = np.nan

"""Data quality of gaze: accuracy, precision, loss and the rate that the data really have.

Definitions follow Dunn et al. 2024 (Behavior Research Methods 56:4351-4357) and agree with ETDQualitizer 1.2 to
1e-6 except where a docstring says otherwise. Angles are degrees from the eye: azimuth (``x_deg``) and elevation
(``y_deg``), of either sign convention. A sample of which either angle is NaN or infinite is lost. Precision and
accuracy are meant for samples of one fixation on one point; nothing here looks for fixations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import DataError, TimestampError

__all__ = [
    "Metric",
    "accuracy_deg",
    "bcea_deg2",
    "effective_rate_hz",
    "loss_share",
    "moving",
    "rms_s2s_deg",
    "sd_deg",
    "valid_rate_hz",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Metric = Literal["rms_s2s_deg", "sd_deg", "bcea_deg2", "loss_share", "accuracy_deg", "valid_rate_hz"]

BCEA_PROBABILITY = 0.68
"""Share of a bivariate normal cloud inside the ellipse; the customary value (one standard deviation in 1-D)."""

WINDOWS_AT_ONCE = 16_384
"""Of `moving`, or as many as a window has samples: their numbers then stay in a processor's cache."""


def accuracy_deg(x_deg: ArrayLike, y_deg: ArrayLike, target_x_deg: float, target_y_deg: float) -> float:
    """Return the angle between the mean gaze direction and a target.

    x_deg, y_deg : (n,) degrees; lost samples are left out.
    target_x_deg, target_y_deg : degrees, same frame.
    Returns degrees; NaN without a valid sample. The mean is that of unit vectors (azimuth and elevation as Fick
    angles), so it also holds far from the screen's centre, where a flat distance does not.
    """
    x, y = np.deg2rad(_valid(x_deg, y_deg))
    if not x.size:
        return float("nan")
    return float(_angle_deg(_unit_vectors(x, y).mean(axis=1), target_x_deg, target_y_deg))


def rms_s2s_deg(x_deg: ArrayLike, y_deg: ArrayLike) -> float:
    """Return the root mean square of the distances between successive samples.

    x_deg, y_deg : (n,) degrees; a pair with a lost sample is left out, and no pair is formed across the loss.
    Returns degrees; NaN without a pair. Flat distances, as in ETDQualitizer.
    """
    x, y = _pair(x_deg, y_deg)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
    squared = np.diff(x) ** 2 + np.diff(y) ** 2
    squared = squared[np.isfinite(squared)]
    return float(np.sqrt(squared.mean())) if squared.size else float("nan")


def sd_deg(x_deg: ArrayLike, y_deg: ArrayLike) -> float:
    """Return the standard deviation of the samples about their mean, both axes together.

    x_deg, y_deg : (n,) degrees. Returns ``hypot(sd_x, sd_y)`` with divisor n; NaN without a valid sample.
    Unlike ETDQualitizer a sample lost on one axis counts on neither.
    """
    x, y = _valid(x_deg, y_deg)
    return float(np.hypot(x.std(), y.std())) if x.size else float("nan")


def bcea_deg2(x_deg: ArrayLike, y_deg: ArrayLike, *, probability: float = BCEA_PROBABILITY) -> float:
    """Return the area of the bivariate contour ellipse that holds ``probability`` of the samples.

    x_deg, y_deg : (n,) degrees; lost samples are left out. Returns square degrees, variances with divisor n - 1;
    NaN for fewer than two valid samples. Samples on one line give 0, where ETDQualitizer gives NaN for a line
    along an axis. Raises DataError where ``probability`` is not between 0 and 1.
    Source: Crossland & Rubin 2002, Optometry and Vision Science 79:735-739.
    """
    scale = _ellipse_scale(probability)
    x, y = _valid(x_deg, y_deg)
    if x.size < 2:
        return float("nan")
    (var_x, covariance), (_, var_y) = np.cov(x, y)
    return float(scale * np.sqrt(max(var_x * var_y - covariance**2, 0.0)))


def loss_share(x: ArrayLike, y: ArrayLike) -> float:
    """Return the share of samples, 0 to 1, that are lost (ETDQualitizer's data_loss_from_invalid gives percent).

    x, y : (n,) any unit. NaN without a sample. Samples that never arrived leave no row and are not counted.
    """
    x, y = _pair(x, y)
    return float(np.mean(~(np.isfinite(x) & np.isfinite(y)))) if x.size else float("nan")


def effective_rate_hz(t_s: ArrayLike) -> float:
    """Return the sampling rate that the data have: one over the median interval between samples.

    t_s : (n,) s, in order. Returns Hz; NaN for fewer than two samples. Unlike ETDQualitizer's effective_frequency
    (valid samples per second of recording) it is not lowered by loss or by gaps. Raises TimestampError where a
    time is not finite, runs backward, or most times are equal.
    """
    t = np.asarray(t_s, dtype=np.float64).ravel()
    if not np.isfinite(t).all():
        raise TimestampError(
            "effective_rate_hz: a time stamp is not finite", record=int(np.flatnonzero(~np.isfinite(t))[0])
        )
    steps = np.diff(t)
    if not steps.size:
        return float("nan")
    if (steps < 0).any():
        raise TimestampError(
            "effective_rate_hz: time runs backward", record=int(np.flatnonzero(steps < 0)[0]) + 1
        )
    median = float(np.median(steps))
    if median <= 0:
        raise TimestampError(
            "effective_rate_hz: most time stamps are equal to their predecessor",
            hint="Give time stamps that are not rounded to more than one sample interval.",
        )
    return 1.0 / median


def valid_rate_hz(x: ArrayLike, y: ArrayLike, duration_s: float) -> float:
    """Return how many valid samples there are per second of recording (ETDQualitizer's effective_frequency).

    x, y : (n,) any unit. Returns Hz; loss and samples that never came lower it, unlike `effective_rate_hz`. Raises
    DataError where the duration is not positive.
    """
    if not 0 < duration_s < np.inf:
        raise DataError(f"valid_rate_hz: a positive duration is expected, found {duration_s} s")
    return _valid(x, y)[0].size / duration_s


def moving(
    metric: Metric,
    t_s: ArrayLike,
    x_deg: ArrayLike,
    y_deg: ArrayLike,
    *,
    window_s: float,
    target_x_deg: float = 0.0,
    target_y_deg: float = 0.0,
    probability: float = BCEA_PROBABILITY,
) -> FloatArray:
    """Return a metric in a window that moves along the recording sample by sample.

    metric : name of a function of this module; ``accuracy_deg`` is to ``target_x_deg``, ``target_y_deg``.
    t_s : (n,) s, finite, not decreasing. x_deg, y_deg : (n,) degrees.
    window_s : a window holds the samples from its first one's time, that included, to ``window_s`` later, that
        excluded.

    Returns (n,), the metric of the window that starts at each sample, NaN where it has no value and where the
    recording ends, by more than one median interval, before the window does. The median over it, NaN left out, agrees
    with ETDQualitizer's precision_using_moving_window (windows of a number of samples) where sampling is even; that
    one gives NaN for a recording of just one window.

    Raises TimestampError as `effective_rate_hz`, DataError for an unknown metric, unequal lengths, and a window that
    is not positive.
    """
    x, y = _pair(x_deg, y_deg)
    t = np.asarray(t_s, dtype=np.float64).ravel()
    if t.size != x.size:
        raise DataError(f"moving: one time per sample is expected, found {t.size} for {x.size}")
    if not 0 < window_s < np.inf:
        raise DataError(f"moving: a positive window is expected, found {window_s} s")
    if metric not in get_args(Metric):
        raise DataError(f"moving: one of {', '.join(get_args(Metric))} is expected, found {metric!r}")
    scale = _ellipse_scale(probability)
    values = np.full(t.size, np.nan)
    if t.size < 2:
        return values
    interval_s = 1.0 / effective_rate_hz(t)
    # A hundredth of an interval less, so that a time's last digit does not let in one sample more.
    ends = np.searchsorted(t, t + window_s - 0.01 * interval_s)
    starts = np.flatnonzero(t + window_s <= t[-1] + 1.01 * interval_s)
    sizes = np.maximum(ends[starts] - starts, 0)
    valid = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(valid, x, 0.0), np.where(valid, y, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 is the NaN of a window without a value
        if metric == "rms_s2s_deg":
            n, squares = _in_windows(_steps(x, y, valid), starts, np.maximum(sizes - 1, 0), np.add)
            values[starts] = np.sqrt(squares / n)
        elif metric == "accuracy_deg":
            unit_vectors = _unit_vectors(np.deg2rad(x), np.deg2rad(y)) * valid
            n, *gaze = _in_windows(np.stack([valid, *unit_vectors]), starts, sizes, np.add)
            values[starts] = _angle_deg(np.stack(gaze) / n, target_x_deg, target_y_deg)
        elif metric in ("sd_deg", "bcea_deg2"):
            moments = np.stack([valid, x, y, *np.zeros((3, t.size))])
            n, _, _, xx, yy, xy = _in_windows(moments, starts, sizes, _merged_moments)
            if metric == "sd_deg":
                values[starts] = np.sqrt((xx + yy) / n)
            else:
                area = scale * np.sqrt(np.maximum(xx * yy - xy**2, 0.0)) / (n - 1)
                values[starts] = np.where(n >= 2, area, np.nan)
        else:
            (n,) = _in_windows(valid[None].astype(np.float64), starts, sizes, np.add)
            values[starts] = n / window_s if metric == "valid_rate_hz" else (sizes - n) / sizes
    return values


def _in_windows(
    of_samples: FloatArray,
    starts: IntArray,
    sizes: IntArray,
    merged: Callable[[FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """Return statistics of windows, from those of their samples: a sum without the cancellation of running sums.

    of_samples : (k, n), k numbers of each sample that say all; those of nothing are zeros.
    starts, sizes : (m,) window i holds the ``sizes[i]`` samples from ``starts[i]`` on; starts in order.
    merged : what two stretches, (k, j) each, give together.

    Returns (k, m). Statistics of stretches of 1, 2, 4, ... samples are made of those half as long, and a window of
    those whose lengths add up to its own; only its own samples enter, so that a huge one spoils no other window.
    """
    out = np.zeros((of_samples.shape[0], starts.size))
    rows = max(WINDOWS_AT_ONCE, int(sizes.max(initial=0)))
    for first in range(0, starts.size, rows):
        chunk = slice(first, first + rows)
        at, size_left = starts[chunk] - starts[first], sizes[chunk]
        total = out[:, chunk]
        stretches = of_samples[:, starts[first] : starts[first] + int((at + size_left).max())]
        length, longest = 1, int(size_left.max())
        while length <= longest:
            take = np.flatnonzero(size_left & length)
            total[:, take] = merged(total[:, take], stretches[:, at[take]])
            at[take] += length
            stretches = merged(stretches[:, :-length], stretches[:, length:])
            length *= 2
    return out


def _merged_moments(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return n, means of x and y, and sums of squared deviations and of their product (Chan et al. 1983)."""
    n = a[0] + b[0]
    share = b[0] / np.maximum(n, 1.0)
    dx, dy = b[1] - a[1], b[2] - a[2]
    weight = a[0] * share
    return np.stack(
        [
            n,
            a[1] + dx * share,
            a[2] + dy * share,
            a[3] + b[3] + dx * dx * weight,
            a[4] + b[4] + dy * dy * weight,
            a[5] + b[5] + dx * dy * weight,
        ]
    )


def _steps(x_deg: FloatArray, y_deg: FloatArray, valid: BoolArray) -> FloatArray:
    """Return of each sample but the last: whether it and the next are valid, and their squared distance."""
    both = valid[:-1] & valid[1:]
    return np.stack([both, np.where(both, np.diff(x_deg) ** 2 + np.diff(y_deg) ** 2, 0.0)])


def _ellipse_scale(probability: float) -> float:
    """Return the area of the ellipse that holds that share, in units of the root of the covariance's determinant."""
    if not 0.0 < probability < 1.0:
        raise DataError(f"bcea_deg2: probability must lie between 0 and 1, found {probability}")
    return float(-2.0 * np.pi * np.log1p(-probability))


def _angle_deg(gaze: FloatArray, target_x_deg: float, target_y_deg: float) -> FloatArray:
    """Return the angle of directions, (3,) or (3, n) of any length but 0, to a target."""
    target = _unit_vectors(np.deg2rad([target_x_deg]), np.deg2rad([target_y_deg]))[:, 0]
    # atan2 of cross and dot: acos loses all precision for the small angles that matter here.
    across = np.linalg.norm(np.cross(gaze, target, axisa=0), axis=-1)
    angle: FloatArray = np.rad2deg(np.arctan2(across, target @ gaze))
    return angle


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return two one-dimensional float arrays of one length. Raises DataError where the lengths differ."""
    a, b = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if a.size != b.size:
        raise DataError(f"x and y must have one length, found {a.size} and {b.size}")
    return a, b


def _valid(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = _pair(x, y)
    keep = np.isfinite(a) & np.isfinite(b)
    return a[keep], b[keep]


def _unit_vectors(azimuth_rad: FloatArray, elevation_rad: FloatArray) -> FloatArray:
    """Return (3, n) unit vectors: right, up, forward."""
    return np.stack(
        [
            np.cos(elevation_rad) * np.sin(azimuth_rad),
            np.sin(elevation_rad),
            np.cos(elevation_rad) * np.cos(azimuth_rad),
        ]
    )

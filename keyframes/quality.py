"""Data quality of gaze: accuracy, precision, loss and the rate that the data really have.

Definitions follow Dunn et al. 2024 (Behavior Research Methods 56:4351-4357) and agree with ETDQualitizer 1.2 to
1e-6 except where a docstring says otherwise. Angles are degrees from the eye: azimuth (``x_deg``) and elevation
(``y_deg``), of either sign convention. A sample of which either angle is NaN or infinite is lost. Precision and
accuracy are meant for samples of one fixation on one point; nothing here looks for fixations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

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

Metric = Literal["rms_s2s_deg", "sd_deg", "bcea_deg2", "loss_share", "accuracy_deg", "valid_rate_hz"]

BCEA_PROBABILITY = 0.68
"""Share of a bivariate normal cloud inside the ellipse; the customary value (one standard deviation in 1-D)."""


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
    gaze = _unit_vectors(x, y).mean(axis=1)
    target = _unit_vectors(np.deg2rad([target_x_deg]), np.deg2rad([target_y_deg]))[:, 0]
    # atan2 of cross and dot: acos loses all precision for the small angles that matter here.
    return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(gaze, target)), gaze @ target)))


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
    if not 0.0 < probability < 1.0:
        raise DataError(f"bcea_deg2: probability must lie between 0 and 1, found {probability}")
    x, y = _valid(x_deg, y_deg)
    if x.size < 2:
        return float("nan")
    (var_x, covariance), (_, var_y) = np.cov(x, y)
    return float(-2.0 * np.pi * np.log1p(-probability) * np.sqrt(max(var_x * var_y - covariance**2, 0.0)))


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
    measures: dict[str, Callable[[FloatArray, FloatArray], float]] = {
        "rms_s2s_deg": rms_s2s_deg,
        "sd_deg": sd_deg,
        "bcea_deg2": lambda a, b: bcea_deg2(a, b, probability=probability),
        "loss_share": loss_share,
        "accuracy_deg": lambda a, b: accuracy_deg(a, b, target_x_deg, target_y_deg),
        "valid_rate_hz": lambda a, b: valid_rate_hz(a, b, window_s),
    }
    if metric not in measures:
        raise DataError(f"moving: one of {', '.join(measures)} is expected, found {metric!r}")
    values = np.full(t.size, np.nan)
    if t.size < 2:
        return values
    interval_s = 1.0 / effective_rate_hz(t)
    # A hundredth of an interval less, so that a time's last digit does not let in one sample more.
    ends = np.searchsorted(t, t + window_s - 0.01 * interval_s)
    for i in np.flatnonzero(t + window_s <= t[-1] + 1.01 * interval_s):
        values[i] = measures[metric](x[i : ends[i]], y[i : ends[i]])
    return values


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

"""Intraclass correlation: how much of the spread of a measure lies between what is measured, not between readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import DataError

__all__ = ["IntraclassCorrelation", "centroid_icc", "icc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntraclassCorrelation:
    """The forms of Shrout & Fleiss 1979, Psychological Bulletin 86:420-428.

    In brackets the names of McGraw & Wong 1996. At most 1; negative where readers differ more on one target than
    targets differ; NaN where nothing varies.
    """

    one_way: float
    """ICC(1,1): each target was measured by other readers."""
    absolute: float
    """ICC(2,1) [A,1]: agreement in the value itself; the one to report for positions."""
    consistent: float
    """ICC(3,1) [C,1]: agreement up to a constant offset of each reader."""
    absolute_of_mean: float
    """ICC(2,k) [A,k]: reliability of the readers' mean."""
    n_targets: int
    n_readers: int


def icc(ratings: ArrayLike) -> IntraclassCorrelation:
    """Return the intraclass correlations of n targets, each rated once by each of k readers.

    ratings : (n, k); a target with a NaN is left out. Raises DataError for fewer than two readers, or than two
    targets left.
    """
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise DataError(f"ratings have shape {table.shape}, expected (targets, 2 or more readers)")
    table = table[np.isfinite(table).all(axis=1)]
    n, k = table.shape
    if n < 2:
        raise DataError(f"{n} targets have a rating of every reader, expected 2 or more")
    grand = table.mean()
    between_targets = k * ((table.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    between_readers = n * ((table.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    within = ((table - table.mean(axis=1, keepdims=True)) ** 2).sum()
    residual = max(0.0, within - (k - 1) * between_readers) / ((n - 1) * (k - 1))
    within /= n * (k - 1)
    effect = between_targets - residual
    return IntraclassCorrelation(
        one_way=_ratio(between_targets - within, between_targets + (k - 1) * within),
        absolute=_ratio(effect, between_targets + (k - 1) * residual + k * (between_readers - residual) / n),
        consistent=_ratio(effect, between_targets + (k - 1) * residual),
        absolute_of_mean=_ratio(effect, between_targets + (between_readers - residual) / n),
        n_targets=n,
        n_readers=k,
    )


def centroid_icc(centroids: ArrayLike) -> tuple[IntraclassCorrelation, IntraclassCorrelation]:
    """Return the correlations of x and of y of the centroids of n targets by k readers.

    centroids : (n, k, 2), one frame for all, for instance shares of width and height. A target is, for instance, one
    finding on one image; where a reader has no centroid it is NaN and the target is left out. Raises as `icc`.
    """
    values: NDArray[np.float64] = np.asarray(centroids, np.float64)
    if values.ndim != 3 or values.shape[2] != 2:
        raise DataError(f"centroids have shape {values.shape}, expected (targets, readers, 2)")
    whole = np.where(np.isfinite(values).all(axis=2, keepdims=True), values, np.nan)
    return icc(whole[:, :, 0]), icc(whole[:, :, 1])


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")

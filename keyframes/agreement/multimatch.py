"""MultiMatch: two scanpaths as sequences of saccade vectors, compared in five ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import DataError

__all__ = ["MIN_FIXATIONS", "MultiMatch", "multimatch"]

MIN_FIXATIONS = 3
"""Two saccades at least: with one there is nothing to align."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiMatch:
    """Five similarities, 0 to 1, each 1 for equal scanpaths."""

    shape: float
    """Of the saccade vectors: 1 - median |u - v| / (2 diagonals)."""
    length: float
    """Of the saccade amplitudes: 1 - median difference / diagonal."""
    direction: float
    """Of the saccade directions: 1 - median angle between / pi."""
    position: float
    """Of the fixations from which the saccades start: 1 - median distance / diagonal."""
    duration: float
    """Of those fixations' durations: 1 - median difference / the longer of both."""


def multimatch(
    x_first: ArrayLike,
    y_first: ArrayLike,
    duration_first_s: ArrayLike,
    x_second: ArrayLike,
    y_second: ArrayLike,
    duration_second_s: ArrayLike,
    *,
    width: float,
    height: float,
) -> MultiMatch:
    """Compare two scanpaths of n and m fixations.

    Positions : (n,) and (m,), any unit of length, the same as ``width`` and ``height`` of the picture or screen.
    Durations : (n,) and (m,), s.

    The saccade vectors are aligned along the cheapest path through the matrix of their differences (Jarodzka,
    Holmqvist & Nystrom 2010, ETRA; Dewhurst et al. 2012, Behavior Research Methods 44:1079-1100), without the optional
    grouping of short saccades. All values finite; raises DataError otherwise, for fewer than `MIN_FIXATIONS`
    fixations on either side, and for a picture without size.
    """
    diagonal = float(np.hypot(width, height))
    if not (np.isfinite(diagonal) and width > 0 and height > 0):
        raise DataError(f"the picture is {width} x {height}, expected positive numbers")
    xa, ya, da = _path(x_first, y_first, duration_first_s, "first")
    xb, yb, db = _path(x_second, y_second, duration_second_s, "second")
    ua, va, ub, vb = np.diff(xa), np.diff(ya), np.diff(xb), np.diff(yb)
    apart = np.hypot(ua[:, None] - ub, va[:, None] - vb)
    i, j = _cheapest_path(apart)
    turn = np.abs(np.arctan2(va[i], ua[i]) - np.arctan2(vb[j], ub[j]))
    longer_s = np.maximum(da[i], db[j])
    duration = np.where(longer_s > 0, np.abs(da[i] - db[j]) / np.where(longer_s > 0, longer_s, 1.0), 0.0)
    return MultiMatch(
        shape=1.0 - float(np.median(apart[i, j])) / (2 * diagonal),
        length=1.0 - float(np.median(np.abs(np.hypot(ua[i], va[i]) - np.hypot(ub[j], vb[j])))) / diagonal,
        direction=1.0 - float(np.median(np.minimum(turn, 2 * np.pi - turn))) / np.pi,
        position=1.0 - float(np.median(np.hypot(xa[i] - xb[j], ya[i] - yb[j]))) / diagonal,
        duration=1.0 - float(np.median(duration)),
    )


def _path(
    x: ArrayLike, y: ArrayLike, duration_s: ArrayLike, name: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a scanpath as float arrays of one length."""
    arrays = tuple(np.asarray(values, np.float64) for values in (x, y, duration_s))
    sizes = {array.shape for array in arrays}
    if len(sizes) != 1 or arrays[0].ndim != 1 or arrays[0].size < MIN_FIXATIONS:
        raise DataError(
            f"the {name} scanpath has shapes {', '.join(str(array.shape) for array in arrays)}, "
            f"expected one length of {MIN_FIXATIONS} or more"
        )
    if not all(np.isfinite(array).all() for array in arrays):
        raise DataError(
            f"the {name} scanpath holds NaN or infinity", hint="Leave out fixations off the image."
        )
    return arrays[0], arrays[1], arrays[2]


def _cheapest_path(cost: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the path between two corners by steps right, down or both; a tie takes both."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for row in range(n):
        # The first cell has one way in; what comes from the left depends on the cell just made, so cell by cell.
        above = np.minimum(total[row, :-1], total[row, 1:])
        left = np.inf
        for column in range(m):
            left = cost[row, column] + min(above[column], left)
            total[row + 1, column + 1] = left
    row, column = n - 1, m - 1
    rows, columns = [row], [column]
    while row or column:
        ways = (total[row, column], total[row, column + 1], total[row + 1, column])
        way = int(np.argmin(ways))
        row, column = row - (way != 2), column - (way != 1)
        rows.append(row)
        columns.append(column)
    return np.array(rows[::-1]), np.array(columns[::-1])

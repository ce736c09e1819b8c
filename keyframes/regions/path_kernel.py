"""The path through a table that gains most, a row at a time."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["follow"]

FloatArray = NDArray[np.float64]


@numba.njit(cache=True)
def follow(
    gain: FloatArray, pull: FloatArray, bend: FloatArray, constant: FloatArray
) -> tuple[NDArray[np.int64], float]:
    """Return the place of each row, (n,), on the path of most gain, and that gain.

    gain     : (n, m).
    pull     : (n - 1, m), what a step costs by its place alone, both where it begins and where it ends.
    bend     : (m, m), what is gained between two places, either way.
    constant : (n - 1,), what a step costs wherever it goes.
    """
    n, m = gain.shape
    came_from = np.zeros((n, m), np.int64)
    total = gain[0].copy()
    following = np.empty(m)
    for row in range(1, n):
        for j in range(m):
            best, place = -np.inf, 0
            for i in range(m):
                value = (total[i] - pull[row - 1, i]) + bend[j, i]
                if value > best:
                    best, place = value, i
            came_from[row, j] = place
            following[j] = best + pull[row - 1, j] - constant[row - 1] + gain[row, j]
        total[:] = following
    path = np.empty(n, np.int64)
    path[n - 1] = total.argmax()
    for row in range(n - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path, total.max()

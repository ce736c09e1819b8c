"""Which points lie in a polygon."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["points_in_polygon"]


@numba.njit(cache=True)
def points_in_polygon(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    corner_x: NDArray[np.float64],
    corner_y: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Say which points (n,) lie inside by the even-odd rule; the polygon (k,) closes itself, NaN lies outside."""
    inside = np.zeros(x.size, np.bool_)
    for i in range(x.size):
        last = corner_x.size - 1
        for k in range(corner_x.size):
            ya, yb = corner_y[last], corner_y[k]
            if (ya > y[i]) != (yb > y[i]):
                xa = corner_x[last]
                if x[i] < (corner_x[k] - xa) * (y[i] - ya) / (yb - ya) + xa:
                    inside[i] = not inside[i]
            last = k
    return inside

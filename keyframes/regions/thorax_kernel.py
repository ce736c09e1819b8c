"""Brightness under the points of a template, for many places of it at once."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["look"]

FloatArray = NDArray[np.float64]


@numba.njit(cache=True, error_model="numpy")
def look(
    picture: FloatArray, x_px: FloatArray, y_px: FloatArray, root: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (n, m) the picture's values at the points times their weights' roots, and 1.0 where a point is off it.

    picture    : (h, w); beyond it its edge goes on.
    x_px, y_px : (n, m).
    root       : (m,).
    """
    height, width = picture.shape
    n, m = x_px.shape
    seen, off = np.empty((n, m)), np.empty((n, m))
    for i in range(n):
        for j in range(m):
            x, y = x_px[i, j], y_px[i, j]
            row = np.uint32(min(max(y, 0.0), height - 1.0))
            column = np.uint32(min(max(x, 0.0), width - 1.0))
            seen[i, j] = picture[row, column] * root[j]
            off[i, j] = 1.0 if x < 0 or x >= width or y < 0 or y >= height else 0.0
    return seen, off

"""Which points lie in at least one of many ellipses."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["any_holds"]

FloatArray = NDArray[np.float64]


@numba.njit(cache=True)
def any_holds(
    x: FloatArray,
    y: FloatArray,
    centre_x: FloatArray,
    centre_y: FloatArray,
    per_px_x: FloatArray,
    per_px_y: FloatArray,
) -> NDArray[np.bool_]:
    """Say which points (n,) lie in one of the ellipses (k,) at least; neighbours mostly lie in the same one."""
    held = np.zeros(x.size, np.bool_)
    last = 0
    for i in range(x.size):
        for step in range(centre_x.size):
            j = (last + step) % centre_x.size
            far_x, far_y = (x[i] - centre_x[j]) * per_px_x[j], (y[i] - centre_y[j]) * per_px_y[j]
            if far_x * far_x + far_y * far_y <= 1.0:
                held[i] = True
                last = j
                break
    return held

"""What one lead's windows say of the gaze, a window and a fixation at a time."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["likelihoods"]

FloatArray = NDArray[np.float64]


@numba.njit(cache=True, error_model="numpy")
def likelihoods(
    passed: FloatArray,
    near: FloatArray,
    start_s: FloatArray,
    end_s: FloatArray,
    reading: FloatArray,
    elsewhere: FloatArray,
    own_share: float,
    bounds_s: FloatArray,
) -> FloatArray:
    """Return (n,), nats: the log-likelihood of each fixation's time in the windows that it lies in.

    passed            : (n, n + 1), ``passed[i, j]``: what the fixations before j give to fixation i.
    near              : (n, n), of the kernel.
    start_s, end_s    : (n,), in order, none beginning before the one before it ends.
    reading, elsewhere: (n,), densities: of the reading's other fixations, and of all but the window's own.
    bounds_s          : (m + 1,), of m windows, in order.
    """
    n, m = start_s.size, bounds_s.size - 1
    at = np.maximum(np.searchsorted(start_s, bounds_s, side="right") - 1, 0)
    into = np.empty(m + 1)
    for k in range(m + 1):
        dwell = max(end_s[at[k]] - start_s[at[k]], 0.0)
        into[k] = min(max(bounds_s[k] - start_s[at[k]], 0.0), dwell)
    within = np.zeros(m)
    for i in range(n):
        for k in range(m):
            within[k] += max(min(end_s[i], bounds_s[k + 1]) - max(start_s[i], bounds_s[k]), 0.0)
    found = np.zeros(n)
    for i in range(n):
        for k in range(m):
            inside = min(end_s[i], bounds_s[k + 1]) - max(start_s[i], bounds_s[k])
            if inside <= 0.0:
                continue
            others = max(within[k] - inside, 0.0)
            own = reading[i]
            if others > 1e-9:
                before = passed[i, at[k]] + near[i, at[k]] * into[k]
                own = (passed[i, at[k + 1]] + near[i, at[k + 1]] * into[k + 1] - before) / others
            found[i] += inside * np.log(own_share * own + elsewhere[i])
    return found

"""Runs of equal values along the rows of a recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["changes", "runs_of"]


def changes(values: NDArray[np.int8] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rows, in order, whose value differs from that of the row before; never the first row."""
    return np.flatnonzero(values[1:] != values[:-1]) + 1


def runs_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (k, 2) half-open ``[start, end)`` rows of the runs of True."""
    if not mask.size:
        return np.empty((0, 2), np.int64)
    first, last = np.flatnonzero(mask[:1]), np.flatnonzero(mask[-1:]) + mask.size
    return np.concatenate([first, changes(mask), last]).reshape(-1, 2)

"""A picture made smaller by whole blocks of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["block_mean"]


def block_mean(grey8: NDArray[np.uint8], side_px: int) -> NDArray[np.float64]:
    """Return the mean of every block of ``side_px`` by ``side_px`` pixels; what is left over at the far edges is cut.

    grey8 : (h, w) uint8. Returns (h // side_px, w // side_px).
    """
    if side_px == 1:
        return grey8.astype(np.float64)
    rows, columns = grey8.shape[0] // side_px, grey8.shape[1] // side_px
    blocks = grey8[: rows * side_px, : columns * side_px].reshape(rows, side_px, columns * side_px)
    total = blocks.sum(axis=1, dtype=np.uint32).reshape(rows, columns, side_px).sum(axis=2)
    mean: NDArray[np.float64] = total / side_px**2
    return mean

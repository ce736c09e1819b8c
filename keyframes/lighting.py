"""A picture lit by a coarse map of light: what Pillow's resizing and multiplying give, in a fraction of the time."""

from __future__ import annotations

import functools
import math

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["lit_by"]

_FRACTION_BITS = 22
"""Of Pillow's weights: with 8 bits of light and a sum of up to 4 weights they fit 32 bits."""

ByteArray = NDArray[np.uint8]
IntArray = NDArray[np.int32]


def lit_by(grey8: ByteArray, light8: ByteArray, *, covered_cells: tuple[float, float]) -> ByteArray:
    """Return the picture times the light, 255 being full light: ``grey8 * light // 255``.

    grey8         : (h, w).
    light8        : (m, n), one value per cell; brought to (h, w) by bilinear interpolation along x, then along y, each
                    rounded to 8 bit. Where cells are no smaller than pixels this is Pillow's ``resize`` with
                    ``BILINEAR`` to the bit; for fewer pixels than cells Pillow may go along y first.
    covered_cells : how many cells, across and down, lie under the picture; the last ones may lie under it in part.
    """
    height, width = grey8.shape
    first_x, weights_x = _weights(light8.shape[1], covered_cells[0], width)
    first_y, weights_y = _weights(light8.shape[0], covered_cells[1], height)
    return np.asarray(_lit(grey8, light8, first_x, weights_x, first_y, weights_y), np.uint8)


@functools.lru_cache(maxsize=8)
def _weights(n_in: int, covered: float, n_out: int) -> tuple[IntArray, IntArray]:
    """Return, of each pixel along an axis, its first cell and the weights of the cells from there on, (k, n_out)."""
    scale = float(np.float32(covered)) / n_out  # Pillow keeps it in 32 bits
    reach = max(scale, 1.0)
    middles = (np.arange(n_out) + 0.5) * scale
    first = np.maximum((middles - reach + 0.5).astype(np.int32), 0)
    end = np.minimum((middles + reach + 0.5).astype(np.int32), n_in)
    cells = first[:, None] + np.arange(math.ceil(reach) * 2 + 1, dtype=np.int32)
    weights = np.maximum(0.0, 1.0 - np.abs((cells - middles[:, None] + 0.5) * (1.0 / reach)))
    weights[cells >= end[:, None]] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    whole = (0.5 + weights * (1 << _FRACTION_BITS)).astype(np.int32)
    n_used = int((end - first).max(initial=1))
    # Every pixel has the same number of weights; where cells end, the spare ones are 0 and fall on the cells before.
    shifted = np.maximum(first + n_used - n_in, 0)
    for row in np.flatnonzero(shifted):
        whole[row] = np.roll(whole[row], shifted[row])
    return first - shifted, np.ascontiguousarray(whole[:, :n_used].T)


@numba.njit(cache=True, error_model="numpy")
def _lit(
    grey8: ByteArray,
    light8: ByteArray,
    first_x: IntArray,
    weights_x: IntArray,
    first_y: IntArray,
    weights_y: IntArray,
) -> ByteArray:
    height, width = grey8.shape
    half = np.int32(1 << (_FRACTION_BITS - 1))
    total_of = np.empty(width, np.int32)
    across = np.empty((light8.shape[0], width), np.int32)
    for y in range(light8.shape[0]):
        row8 = light8[y]
        total_of[:] = half
        for k in range(weights_x.shape[0]):
            for x in range(width):
                total_of[x] += np.int32(row8[np.uint32(first_x[x] + k)]) * weights_x[k, x]
        for x in range(width):
            across[y, x] = total_of[x] >> _FRACTION_BITS
    out = np.empty((height, width), np.uint8)
    for y in range(height):
        total_of[:] = half
        for k in range(weights_y.shape[0]):
            weight = weights_y[k, y]
            row = across[np.uint32(first_y[y] + k)]
            for x in range(width):
                total_of[x] += np.int32(row[x] * weight)
        for x in range(width):
            # Of what is below 65,536 this is the whole part of a 255th; a division would not be done many at a time.
            lit_255 = np.uint32(grey8[y, x]) * np.uint32(total_of[x] >> _FRACTION_BITS)
            out[y, x] = np.uint8((lit_255 * np.uint32(32897)) >> np.uint32(23))
    return out

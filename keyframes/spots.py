"""Heat maps as sums of Gaussians cut to squares, the way that the published GazeX maps are drawn, and their pictures.

A spot is all samples of one pixel and one scale. A Gaussian is separable, and so is a square: the spots of a row are
first drawn along x, and that profile then along y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Spots", "light_up", "nearest_position", "quarter_picture"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SCALE = 4
"""Image px along one pixel of the quarter-size frame."""
REACH_SIGMAS = 3.0
"""A Gaussian ends at a square of so many of its greater SD to each side, cut to whole pixels."""
DARK = 0.15
"""Share of the picture's brightness where nobody looked."""
FLOOR = 1e-6
"""Added to the heat under its logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spots:
    """Gaussians of a map in the quarter-size frame, sorted by SD, row and column; all arrays (n,)."""

    x_q: IntArray
    y_q: IntArray
    sigma_x_q: FloatArray
    sigma_y_q: FloatArray
    weight: FloatArray

    @classmethod
    def of_samples(
        cls, x_q: FloatArray, y_q: FloatArray, sigma_x_q: FloatArray, sigma_y_q: FloatArray
    ) -> tuple[Self, IntArray]:
        """Return the spots of n samples, each of weight 1, and (n,) the spot of each sample.

        A sample belongs to the pixel that its coordinates are cut to, toward zero.
        """
        x, y = x_q.astype(np.int64), y_q.astype(np.int64)
        order = np.lexsort((x, y, sigma_y_q, sigma_x_q))
        x, y, sigma_x, sigma_y = x[order], y[order], sigma_x_q[order], sigma_y_q[order]
        is_new = np.ones(order.size, np.bool_)
        is_new[1:] = (np.diff(x) != 0) | (np.diff(y) != 0) | (np.diff(sigma_x) != 0) | (np.diff(sigma_y) != 0)
        spot_of_sample = np.empty(order.size, np.int64)
        spot_of_sample[order] = np.cumsum(is_new) - 1
        spots = cls(
            x_q=x[is_new],
            y_q=y[is_new],
            sigma_x_q=sigma_x[is_new],
            sigma_y_q=sigma_y[is_new],
            weight=np.bincount(spot_of_sample).astype(np.float64),
        )
        return spots, spot_of_sample

    def weighted(self, weight: FloatArray) -> Spots:
        """Return the spots of weight above 0, with these weights."""
        kept = weight > 0
        return Spots(
            x_q=self.x_q[kept],
            y_q=self.y_q[kept],
            sigma_x_q=self.sigma_x_q[kept],
            sigma_y_q=self.sigma_y_q[kept],
            weight=weight[kept],
        )

    def map(self, width_q: int, height_q: int, *, sigmas: float = 1.0) -> FloatArray:
        """Return (height_q, width_q) the sum of weighted, unnormalised Gaussians of ``sigmas`` times the spots' SD.

        Spots off the frame add nothing.
        """
        heat = np.zeros((height_q, width_q))
        _draw(
            heat,
            self.x_q,
            self.y_q,
            sigmas * self.sigma_x_q,
            sigmas * self.sigma_y_q,
            self.weight,
            REACH_SIGMAS,
        )
        return heat


@numba.njit(cache=True)
def _draw(heat, x, y, sigma_x, sigma_y, weight, reach_sigmas):  # type: ignore[no-untyped-def]
    height, width = heat.shape
    longest = max(height, width)
    profile = np.zeros(width)
    along = np.empty(longest + 1)
    start = 0
    while start < x.size:
        if x[start] < 0 or x[start] >= width or y[start] < 0 or y[start] >= height:
            start += 1
            continue
        sx, sy, row = sigma_x[start], sigma_y[start], y[start]
        reach = int(min(reach_sigmas * max(sx, sy), longest))
        for step in range(reach + 1):
            along[step] = np.exp(-0.5 * (step / sx) ** 2)
        left = max(0, x[start] - reach)
        right = left
        end = start
        # Spots of a row whose squares touch are drawn as one.
        while (
            end < x.size
            and y[end] == row
            and sigma_x[end] == sx
            and sigma_y[end] == sy
            and x[end] < width
            and (end == start or x[end] - reach <= right)
        ):
            stop = min(width, x[end] + reach + 1)
            profile[right:stop] = 0.0
            right = stop
            for place in range(max(0, x[end] - reach), stop):
                profile[place] += weight[end] * along[abs(place - x[end])]
            end += 1
        for place in range(max(0, row - reach), min(height, row + reach + 1)):
            factor = np.exp(-0.5 * ((place - row) / sy) ** 2)
            line = heat[place]
            for column in range(left, right):
                line[column] += factor * profile[column]
        start = end


def nearest_position(
    pixel_x: IntArray, pixel_y: IntArray, x_q: FloatArray, y_q: FloatArray
) -> tuple[IntArray, IntArray]:
    """Return the distinct position nearest to each pixel, and the position of each sample.

    pixel_x, pixel_y : (m,), sorted by row, then column.
    x_q, y_q         : (n,) samples, n > 0, finite, anywhere.

    Positions are numbered by x, then y. Of two equally near ones either may be returned, always the same.
    """
    order = np.lexsort((y_q, x_q))
    x, y = x_q[order], y_q[order]
    is_new = np.r_[True, (x[1:] != x[:-1]) | (y[1:] != y[:-1])]
    position_of_sample = np.empty(order.size, np.int64)
    position_of_sample[order] = np.cumsum(is_new) - 1
    x, y = x[is_new], y[is_new]
    first = np.flatnonzero(np.r_[True, x[1:] != x[:-1]])
    found = np.empty(pixel_x.size, np.int64)
    _nearest(pixel_x, pixel_y, x[first], y, np.append(first, x.size), found)
    return found, position_of_sample


@numba.njit(cache=True)
def _nearest(pixel_x, pixel_y, column_x, y, bounds, found):  # type: ignore[no-untyped-def]
    """Find the nearest position row by row: of each column the nearest in y, of these parabolas the lower envelope.

    Felzenszwalb and Huttenlocher 2012, Distance transforms of sampled functions.
    """
    n_columns = column_x.size
    nearest = bounds[:-1].copy()
    height = np.empty(n_columns)
    stack = np.empty(n_columns, np.int64)
    begins = np.empty(n_columns)
    pixel = 0
    while pixel < pixel_x.size:
        row = pixel_y[pixel]
        top = -1
        for c in range(n_columns):
            at = nearest[c]
            while at + 1 < bounds[c + 1] and abs(y[at + 1] - row) < abs(y[at] - row):
                at += 1
            nearest[c] = at
            height[c] = (y[at] - row) ** 2 + column_x[c] ** 2
            begin = -np.inf
            while top >= 0:
                below = stack[top]
                begin = (height[c] - height[below]) / (2.0 * (column_x[c] - column_x[below]))
                if begin > begins[top]:
                    break
                top -= 1
                begin = -np.inf
            top += 1
            stack[top] = c
            begins[top] = begin
        place = 0
        while pixel < pixel_x.size and pixel_y[pixel] == row:
            while place < top and begins[place + 1] <= pixel_x[pixel]:
                place += 1
            found[pixel] = nearest[stack[place]]
            pixel += 1


def quarter_picture(grey8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (h // 4, w // 4) the picture in the quarter-size frame; each pixel is the mean of the area under it.

    grey8 : (h, w), both at least 4.
    """
    height, width = grey8.shape
    small = np.empty((height // SCALE, width // SCALE), np.uint8)
    _shrink(np.ascontiguousarray(grey8), small)
    return small


@numba.njit(cache=True)
def _shrink(grey, small):  # type: ignore[no-untyped-def]
    height, width = grey.shape
    small_height, small_width = small.shape
    scale_y, scale_x = height / small_height, width / small_width
    total = np.empty(width, np.float32)
    for i in range(small_height):
        top, bottom = i * scale_y, min((i + 1) * scale_y, float(height))
        total[:] = 0.0
        for row in range(int(top), min(int(np.ceil(bottom)), height)):
            share = np.float32(min(row + 1.0, bottom) - max(float(row), top))
            for column in range(width):
                total[column] += share * grey[row, column]
        for j in range(small_width):
            left, right = j * scale_x, min((j + 1) * scale_x, float(width))
            value = 0.0
            for column in range(int(left), min(int(np.ceil(right)), width)):
                value += (min(column + 1.0, right) - max(float(column), left)) * total[column]
            small[i, j] = np.uint8(min(255.0, np.rint(value / (scale_x * scale_y))))


def light_up(grey_q: NDArray[np.uint8], heat: FloatArray) -> NDArray[np.uint8]:
    """Return grey * (0.15 + 0.85 * light), light the logarithm of the heat over its maximum; (h, w) as both."""
    light = heat.astype(np.float32)
    light += np.float32(1.0 + FLOOR)
    np.log(light, out=light)
    light *= np.float32((1.0 - DARK) / light.max())
    light += np.float32(DARK)
    light *= grey_q
    return light.astype(np.uint8)

"""A region's mask: which cells of a grid over the image belong to it, and how polygons become such a grid."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import GeometryError

__all__ = ["Bitmap", "rasterise"]

BoolArray = NDArray[np.bool_]
Points = Sequence[Sequence[float]] | NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bitmap:
    """A mask cut to what it holds: any number of components and holes, compared by value.

    A cell covers ``scale_x_px`` by ``scale_y_px`` image px: a mask drawn on a smaller grid stays as it is.
    """

    x0_px: float
    """Left edge of the first column, image px."""
    y0_px: float
    width: int
    """Columns of the grid."""
    height: int
    cells: bytes
    """One byte per cell, row by row: 1 inside, 0 outside."""
    scale_x_px: float = 1.0
    scale_y_px: float = 1.0
    n_inside: int
    """Cells inside, counted once."""

    @classmethod
    def from_mask(cls, mask: BoolArray, *, scale_x_px: float = 1.0, scale_y_px: float = 1.0) -> Self | None:
        """Return the mask of a whole image, (h, w) bool, cut to its bounding box; None where it is empty."""
        if mask.ndim != 2:
            raise GeometryError(f"a mask has two dimensions, found {mask.ndim}")
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return None
        top, left = int(rows[0]), int(columns[0])
        cut = np.ascontiguousarray(mask[top : rows[-1] + 1, left : columns[-1] + 1], np.bool_)
        return cls(
            x0_px=left * scale_x_px,
            y0_px=top * scale_y_px,
            width=cut.shape[1],
            height=cut.shape[0],
            cells=cut.tobytes(),
            scale_x_px=scale_x_px,
            scale_y_px=scale_y_px,
            n_inside=int(np.count_nonzero(cut)),
        )

    @property
    def array(self) -> BoolArray:
        """The grid as a read-only (height, width) bool array."""
        return np.frombuffer(self.cells, np.bool_).reshape(self.height, self.width)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The bounding box in image px, half-open."""
        return (
            self.x0_px,
            self.y0_px,
            self.x0_px + self.width * self.scale_x_px,
            self.y0_px + self.height * self.scale_y_px,
        )

    @property
    def area_px2(self) -> float:
        """Area of the cells inside, image px squared."""
        return self.n_inside * self.scale_x_px * self.scale_y_px

    def contains(self, x_image_px: ArrayLike, y_image_px: ArrayLike) -> BoolArray:
        """Say which points lie in a cell of the mask; any shape, NaN lies outside."""
        x, y = np.broadcast_arrays(np.asarray(x_image_px, np.float64), np.asarray(y_image_px, np.float64))
        column = np.asarray((x - self.x0_px) / self.scale_x_px)
        row = np.asarray((y - self.y0_px) / self.scale_y_px)
        inside = np.array((column >= 0) & (column < self.width) & (row >= 0) & (row < self.height), np.bool_)
        inside[inside] = self.array[row[inside].astype(np.intp), column[inside].astype(np.intp)]
        return inside

    def on_grid(self, *, width_px: int, height_px: int) -> BoolArray:
        """Return the mask over the whole image, (height_px, width_px): a pixel is in where its centre is."""
        column = np.floor((np.arange(width_px) + 0.5 - self.x0_px) / self.scale_x_px).astype(np.intp)
        row = np.floor((np.arange(height_px) + 0.5 - self.y0_px) / self.scale_y_px).astype(np.intp)
        columns = np.flatnonzero((column >= 0) & (column < self.width))
        rows = np.flatnonzero((row >= 0) & (row < self.height))
        whole = np.zeros((height_px, width_px), np.bool_)
        whole[np.ix_(rows, columns)] = self.array[np.ix_(row[rows], column[columns])]
        return whole


def rasterise(polygons: Iterable[Points], *, width_px: int, height_px: int) -> BoolArray:
    """Return the union of polygons as an (height_px, width_px) mask: a pixel is in where its centre is.

    polygons : corners (n, 2) in image px each, closed by themselves, even-odd inside; parts beyond the image are cut.
    """
    union = np.zeros((height_px, width_px), np.bool_)
    for polygon in polygons:
        corners = np.asarray(polygon, np.float64).reshape(-1, 2)
        union |= _filled(corners, width_px, height_px)
    return union


def _filled(corners: NDArray[np.float64], width: int, height: int) -> BoolArray:
    """Return one polygon's mask: along each row, parity flips at every edge that it crosses."""
    flips = np.zeros((height, width + 1), np.bool_)
    for (xa, ya), (xb, yb) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = min(ya, yb), max(ya, yb)
        first, last = max(0, math.ceil(low - 0.5)), min(height, math.ceil(high - 0.5))
        if first >= last:  # the edge crosses no row's centre
            continue
        rows = np.arange(first, last)
        x = xa + (rows + 0.5 - ya) / (yb - ya) * (xb - xa)
        flips[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)] ^= True
    filled: BoolArray = np.logical_xor.accumulate(flips, axis=1)[:, :width]
    return filled

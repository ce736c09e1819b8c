"""Where gaze dwelt, as a sum of Gaussians on a grid that is coarser than the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import GeometryError

__all__ = ["LONGEST_CELLS", "SIGMA_DEG", "DwellMap", "Glow", "dwell_map", "log_normalised"]

LONGEST_CELLS = 256
"""Cells along the longer side, at most: a cell is then below 0.15 degrees on a radiograph that fills a screen of
35 degrees, far below the width of a Gaussian, and the time to draw does not depend on the image's size."""
SIGMA_DEG = 1.0
"""Degrees. SD of the Gaussian of a fixation: the fovea's radius, and the usual bound of a tracker's error."""
MIN_SIGMA_CELLS = 0.6
"""A narrower Gaussian would fall between the cells."""
CUT_SIGMAS = 4.5
"""A Gaussian ends there, where a fixation of 1 s is below the weight of a single sample of 1 ms; an edge at 3, as in
the published maps, shows as a square once the heat is taken logarithmically."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DwellMap:
    """A heat map and its grid."""

    heat: NDArray[np.float32]
    """(h, w), s: dwell times weighted by unnormalised Gaussians, so a lone fixation peaks at its own dwell."""
    cell_px: float
    """Image px along one cell; cell (i, j) covers x in [j, j+1) * cell_px, y in [i, i+1) * cell_px."""

    def hot_boxes(self, share: float, *, width_px: int, height_px: int) -> list[list[float]]:
        """Return the boxes (x0, y0, x1, y1) of the connected hot areas, the one with the most dwell first.

        Hot is what has at least ``share`` of the map's peak; corners connect. Boxes are half-open, in image px, cut at
        the image. A map without dwell has none.
        """
        from scipy import ndimage  # only here: every command would wait for it

        hot = self.heat >= share * self.heat.max(initial=0.0) if self.heat.any() else self.heat > 0
        rows, columns = np.flatnonzero(hot.any(axis=1)), np.flatnonzero(hot.any(axis=0))
        if not rows.size:
            return []
        top, left = int(rows[0]), int(columns[0])
        part = np.s_[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
        areas, n_areas = ndimage.label(hot[part], structure=np.ones((3, 3)))
        dwell = np.bincount(areas.ravel(), weights=self.heat[part].ravel(), minlength=n_areas + 1)[1:]
        found = ndimage.find_objects(areas)
        boxes = []
        for area in np.argsort(-dwell, kind="stable").tolist():
            y, x = found[area]
            boxes.append(
                [
                    float((left + x.start) * self.cell_px),
                    float((top + y.start) * self.cell_px),
                    float(min(width_px, (left + x.stop) * self.cell_px)),
                    float(min(height_px, (top + y.stop) * self.cell_px)),
                ]
            )
        return boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Glow:
    """The Gaussians of n fixations on one image, as they are along each axis; any part of them makes a map."""

    along_x: NDArray[np.float32]
    """(n, w)."""
    along_y: NDArray[np.float32]
    """(n, h)."""
    cell_px: float

    @classmethod
    def of(
        cls,
        x_image_px: ArrayLike,
        y_image_px: ArrayLike,
        sigma_x_px: ArrayLike,
        sigma_y_px: ArrayLike,
        *,
        width_px: int,
        height_px: int,
        shown_rects: ArrayLike | None = None,
        longest_cells: int = LONGEST_CELLS,
    ) -> Self:
        """Return the Gaussians; parameters and errors as of `dwell_map`."""
        if width_px < 1 or height_px < 1:
            raise GeometryError(f"an image of {width_px} x {height_px} px has no heat map")
        cell_px = max(1.0, max(width_px, height_px) / longest_cells)
        x, y = (np.atleast_1d(np.asarray(v, np.float64)) for v in (x_image_px, y_image_px))
        sigma_x, sigma_y = (
            np.broadcast_to(np.asarray(v, np.float64), x.shape) for v in (sigma_x_px, sigma_y_px)
        )
        whole = np.array([0.0, 0.0, width_px, height_px])
        rects = np.broadcast_to(
            whole if shown_rects is None else np.asarray(shown_rects, np.float64), (x.size, 4)
        )
        return cls(
            along_x=_profiles(x, sigma_x, rects[:, 0], rects[:, 2], width_px, cell_px),
            along_y=_profiles(y, sigma_y, rects[:, 1], rects[:, 3], height_px, cell_px),
            cell_px=cell_px,
        )

    def map(self, dwell_s: ArrayLike, places: NDArray[np.int64] | None = None) -> DwellMap:
        """Return the map of the fixations at ``places``, (m,), None: of all; ``dwell_s`` (m,), s, are their weights."""
        dwell = np.atleast_1d(np.asarray(dwell_s, np.float32))[:, None]
        x, y = (
            (self.along_x, self.along_y) if places is None else (self.along_x[places], self.along_y[places])
        )
        # Not by a matrix product: its threads cost more than they save here, and its last bits depend on their number.
        return DwellMap(heat=np.einsum("nh,nw->hw", y * dwell, x), cell_px=self.cell_px)


def dwell_map(
    x_image_px: ArrayLike,
    y_image_px: ArrayLike,
    dwell_s: ArrayLike,
    sigma_x_px: ArrayLike,
    sigma_y_px: ArrayLike,
    *,
    width_px: int,
    height_px: int,
    shown_rects: ArrayLike | None = None,
    longest_cells: int = LONGEST_CELLS,
) -> DwellMap:
    """Return the dwell-weighted map of n fixations.

    x_image_px, y_image_px : (n,), image px, finite.
    dwell_s                : (n,), s, weights.
    sigma_x_px, sigma_y_px : (n,) or scalar, image px; a degree has another length at every zoom.
    shown_rects            : (n, 4), image px, half-open: the part of the image that was shown then. A Gaussian does
                             not reach beyond it. None: the whole image.

    Raises GeometryError for an image without size. n = 0 gives zeros.
    """
    glow = Glow.of(
        x_image_px,
        y_image_px,
        sigma_x_px,
        sigma_y_px,
        width_px=width_px,
        height_px=height_px,
        shown_rects=shown_rects,
        longest_cells=longest_cells,
    )
    return glow.map(dwell_s)


def log_normalised(heat_s: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return heat from 0 to 1 on a logarithmic scale, log(1 + ms) over its maximum; zeros stay zeros.

    The published frames do so with sums over samples of 1 ms, hence the unit.
    """
    heat = np.log1p(1000.0 * heat_s)
    peak = float(heat.max(initial=0.0))
    return np.asarray(heat / peak if peak > 0 else heat, np.float32)


def _profiles(
    at: NDArray[np.float64],
    sigma: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    length_px: int,
    cell_px: float,
) -> NDArray[np.float32]:
    """Return (n, cells) Gaussians along one axis, cut where the image was not shown; a Gaussian is separable."""
    n_cells = int(np.ceil(length_px / cell_px))
    edges = np.minimum(np.arange(n_cells + 1) * cell_px, length_px)
    middles = (edges[:-1] + edges[1:]) / 2
    away = (middles - at[:, None]) / np.maximum(sigma, MIN_SIGMA_CELLS * cell_px)[:, None]
    away = away.astype(np.float32)
    own = np.arange(n_cells) == np.floor(at / cell_px)[:, None]
    shown = (middles >= low[:, None]) & (middles < high[:, None]) & (np.abs(away) <= CUT_SIGMAS)
    return np.where(shown | own, np.exp(-0.5 * away * away), np.float32(0.0))

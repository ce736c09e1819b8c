"""Where gaze dwelt, as a sum of Gaussians on a grid that is coarser than the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from keyframes.errors import GeometryError

__all__ = ["LONGEST_CELLS", "SIGMA_DEG", "DwellMap", "dwell_map", "log_normalised"]

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
    if width_px < 1 or height_px < 1:
        raise GeometryError(f"an image of {width_px} x {height_px} px has no heat map")
    cell_px = max(1.0, max(width_px, height_px) / longest_cells)
    x, y, dwell = (np.atleast_1d(np.asarray(v, np.float64)) for v in (x_image_px, y_image_px, dwell_s))
    sigma_x, sigma_y = (np.broadcast_to(np.asarray(v, np.float64), x.shape) for v in (sigma_x_px, sigma_y_px))
    whole = np.array([0.0, 0.0, width_px, height_px])
    rects = np.broadcast_to(
        whole if shown_rects is None else np.asarray(shown_rects, np.float64), (x.size, 4)
    )
    along_x = _profiles(x, sigma_x, rects[:, 0], rects[:, 2], width_px, cell_px)
    along_y = _profiles(y, sigma_y, rects[:, 1], rects[:, 3], height_px, cell_px)
    heat = np.asarray((along_y * dwell.astype(np.float32)[:, None]).T @ along_x, np.float32)
    return DwellMap(heat=heat, cell_px=cell_px)


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
    profile = np.exp(-0.5 * away**2)
    own = np.arange(n_cells) == np.floor(at / cell_px)[:, None]
    shown = (middles >= low[:, None]) & (middles < high[:, None]) & (np.abs(away) <= CUT_SIGMAS)
    return np.where(shown | own, profile, 0.0).astype(np.float32)

"""Measures of a scanpath over regions: transitions between them, and how much of each was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import GeometryError
from keyframes.regions.region_map import RegionMap
from keyframes.trajectory import letter_visits

__all__ = ["SEEN_RADIUS_DEG", "TransitionMatrix", "region_coverage", "transition_matrix"]

SEEN_RADIUS_DEG = 2.5
"""What lies within this of a fixation counts as looked at: the useful field for a lung nodule, by convention 5
degrees across (Kundel, Nodine and Carmody, Invest Radiol 13 (1978), 175-181)."""
GRID_POINTS = 40
"""Points across a region's box in each direction; coverage is good to about 1 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionMatrix:
    """How often a visit to one place was followed by a visit to another."""

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    """(n, n); row: from, column: to."""

    def shares(self) -> NDArray[np.float64]:
        """Return the counts as shares of each row; a row without transitions is all 0."""
        total = self.counts.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = self.counts / np.maximum(total, 1)
        return shares


def transition_matrix(
    trajectory: pa.Table,
    *,
    by: Literal["letter", "region"] = "letter",
    labels: Sequence[str] | None = None,
) -> TransitionMatrix:
    """Return the transitions between consecutive visits on one and the same image.

    ``by`` letter merges consecutive visits to one letter first. ``labels`` gives the order of rows and columns; by
    default the places visited, sorted. Visits to a place that is not among them are passed over.
    """
    visits = (letter_visits(trajectory) if by == "letter" else trajectory).to_pylist()
    names = tuple(labels) if labels is not None else tuple(sorted({row[by] for row in visits}))
    place = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    listed = [row for row in visits if row[by] in place]
    for before, after in pairwise(listed):
        if before["image_index"] == after["image_index"]:
            counts[place[before[by]], place[after[by]]] += 1
    return TransitionMatrix(labels=names, counts=counts)


def region_coverage(
    region_map: RegionMap,
    x_image_px: ArrayLike,
    y_image_px: ArrayLike,
    px_per_deg_x: ArrayLike,
    px_per_deg_y: ArrayLike,
    *,
    radius_deg: float = SEEN_RADIUS_DEG,
) -> dict[str, float]:
    """Return the share, 0 to 1, of every region's area that lies within ``radius_deg`` of a fixation.

    Positions (n,) in image px and image px per degree at each fixation (scalar or (n,)), so that a zoomed view
    covers less; a fixation with a NaN covers nothing. Raises GeometryError for a radius of 0 or less.
    """
    if not radius_deg > 0:
        raise GeometryError(f"radius_deg is {radius_deg}, expected more than 0")
    x, y, scale_x, scale_y = (
        np.atleast_1d(a)
        for a in np.broadcast_arrays(
            *(np.asarray(v, np.float64) for v in (x_image_px, y_image_px, px_per_deg_x, px_per_deg_y))
        )
    )
    known = np.isfinite(x) & np.isfinite(y) & (scale_x > 0) & (scale_y > 0)
    x, y, reach_x, reach_y = x[known], y[known], radius_deg * scale_x[known], radius_deg * scale_y[known]
    shares = {}
    step = (np.arange(GRID_POINTS) + 0.5) / GRID_POINTS
    for name, region in region_map.regions.items():
        x0, y0, x1, y1 = region.box
        grid_x, grid_y = (a.ravel() for a in np.meshgrid(x0 + step * (x1 - x0), y0 + step * (y1 - y0)))
        inside = region.contains(grid_x, grid_y)
        if not inside.any():
            shares[name] = 0.0
            continue
        far_x, far_y = grid_x[inside, None] - x, grid_y[inside, None] - y
        seen = ((far_x / reach_x) ** 2 + (far_y / reach_y) ** 2 <= 1.0).any(axis=1)
        shares[name] = float(seen.mean())
    return shares

"""Geometry of a scanpath over regions: what fixations covered, and the ways between places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.errors import GeometryError
from keyframes.fixations import Fixations
from keyframes.regions.assignment import primary_places
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import Scheme
from keyframes.trajectory import letter_visits

__all__ = ["SEEN_RADIUS_DEG", "TransitionMatrix", "covered_letters", "covered_regions", "transition_matrix"]

SEEN_RADIUS_DEG = 2.5
"""Degrees. What lies within this of a fixation counts as looked at: the useful field for a lung nodule, by convention
5 degrees across (Kundel, Nodine and Carmody, Invest Radiol 13 (1978), 175-181)."""
REGION_POINTS = 32
"""Points across a region's box in each direction; the share of a compact region is good to about 0.01."""
IMAGE_POINTS = 80
"""Points along an image's longer side; the share of a letter's area is good to about 0.01."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionMatrix:
    """How often a visit to one place was followed by a visit to another."""

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    """(n, n); row: from, column: to."""

    def shares(self) -> FloatArray:
        """Return the counts as shares of each row; a row without transitions is all 0."""
        total = self.counts.sum(axis=1, keepdims=True)
        shares: FloatArray = self.counts / np.maximum(total, 1)
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
    visits = (
        (letter_visits(trajectory) if by == "letter" else trajectory).select([by, "image_index"]).to_pylist()
    )
    names = tuple(labels) if labels is not None else tuple(sorted({row[by] for row in visits}))
    place = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    listed = [row for row in visits if row[by] in place]
    for before, after in pairwise(listed):
        if before["image_index"] == after["image_index"]:
            counts[place[before[by]], place[after[by]]] += 1
    return TransitionMatrix(labels=names, counts=counts)


def covered_regions(
    region_map: RegionMap, fixations: Fixations, *, radius_deg: float = SEEN_RADIUS_DEG
) -> dict[str, float]:
    """Return the share, 0 to 1, of every region's area that lies within ``radius_deg`` of a fixation.

    fixations : those on the map's image. The radius is angular, by the image px per degree of each fixation, so that a
        zoomed view covers less of the image; a fixation whose scale is NaN covers nothing.

    NaN where a region has no area, or there are fixations and none of them has a scale. Raises GeometryError for a
    radius of 0 or less.
    """
    reach = _Reach.of(fixations, radius_deg)
    at_y, at_x = (np.indices((REGION_POINTS, REGION_POINTS)).reshape(2, -1) + 0.5) / REGION_POINTS
    shares = {}
    for name, region in region_map.regions.items():
        x0, y0, x1, y1 = region.box
        x, y = x0 + at_x * (x1 - x0), y0 + at_y * (y1 - y0)
        inside = region.contains(x, y)
        shares[name] = reach.share(x[inside], y[inside])
    return shares


def covered_letters(
    region_map: RegionMap, scheme: Scheme, fixations: Fixations, *, radius_deg: float = SEEN_RADIUS_DEG
) -> dict[str, float]:
    """Return the share, 0 to 1, of every letter's area of the image that lies within ``radius_deg`` of a fixation.

    A letter's area is where the primary region has it: every point of the image has one letter, what lies in no region
    that of ``scheme.outside``. Arguments, NaN and errors as in `covered_regions`; a letter of no area is NaN.
    """
    reach = _Reach.of(fixations, radius_deg)
    step = max(region_map.width_px, region_map.height_px) / IMAGE_POINTS
    x, y = (
        a.ravel()
        for a in np.meshgrid(
            np.arange(0.5 * step, region_map.width_px, step),
            np.arange(0.5 * step, region_map.height_px, step),
        )
    )
    names, place = primary_places(region_map, scheme, x, y)
    letters = np.array([scheme.letter_of(name) for name in names])[place]
    return {letter: reach.share(x[letters == letter], y[letters == letter]) for letter, _ in scheme.letters}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """Ellipses in image px, one per fixation with a scale: what it reaches."""

    x: FloatArray
    y: FloatArray
    per_px_x: FloatArray
    """1 / semi-axis, 1 / px."""
    per_px_y: FloatArray
    unknown: bool
    """There are fixations, but none has a scale."""

    @classmethod
    def of(cls, fixations: Fixations, radius_deg: float) -> _Reach:
        if not radius_deg > 0:
            raise GeometryError(f"radius_deg is {radius_deg}, expected more than 0")
        known = fixations.part((fixations.px_per_deg_x > 0) & (fixations.px_per_deg_y > 0))
        return cls(
            x=known.x_image_px,
            y=known.y_image_px,
            per_px_x=1.0 / (radius_deg * known.px_per_deg_x),
            per_px_y=1.0 / (radius_deg * known.px_per_deg_y),
            unknown=bool(fixations.x_image_px.size and not known.x_image_px.size),
        )

    def share(self, x: FloatArray, y: FloatArray) -> float:
        """Return the share of points that an ellipse holds."""
        if self.unknown or not x.size:
            return float("nan")
        from keyframes.ellipses import any_holds  # only here: every command would wait for it

        held = any_holds(x, y, self.x, self.y, self.per_px_x, self.per_px_y)
        return float(np.count_nonzero(held) / x.size)

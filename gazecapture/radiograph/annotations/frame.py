"""From a source's frame to image px: every size is checked, nothing is scaled by guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gazecapture.radiograph.annotations.source import AnnotationSource, annotation_error
from gazecapture.radiograph.film import Film
from gazecapture.radiograph.image import MAX_PIXELS
from keyframes.errors import GeometryError
from keyframes.regions.bitmap import Bitmap, rasterise
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["Frame", "imported_map"]

ASPECT_TOLERANCE = 0.01
"""Width to height may differ by so much: rounding of a small frame, 1 px in 100."""
BEYOND_SHARE = 0.02
"""Of a side; shapes drawn by hand run a little over the edge. Farther, the frame is another one."""
MAX_CORNERS = 100_000
"""Of the polygons of one region; hand-drawn outlines have some hundred."""
MAX_REGIONS = 1_000
"""Of one picture."""
MAX_EXACT_CORNERS = 100
"""A polygon of more is kept as a mask: its edges would be gone through for every gaze position."""
CODE = "GT-ANNOTATION-FRAME"
Corners = Sequence[Sequence[float]] | NDArray[np.float64]
"""Of one polygon: (x, y) each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The frame in which a source drew, laid over a film."""

    film: Film
    width: int
    """Of the frame, in its own px."""
    height: int
    path: Path
    """For messages."""

    @classmethod
    def stated(cls, film: Film, width: int, height: int, path: Path) -> Frame:
        """Return a frame of stated size: it is scaled to the film. Raises GeometryError where its shape differs."""
        if not (0 < width * height <= MAX_PIXELS and width > 0):
            annotation_error(f"it states a frame of {width} x {height} px", path)
        if abs(width * film.height_px / (height * film.width_px) - 1) > ASPECT_TOLERANCE:
            _refuse(
                f"it was drawn on {width} x {height} px, the picture has {film.width_px} x {film.height_px}",
                path,
            )
        return cls(film=film, width=width, height=height, path=path)

    @classmethod
    def of_matrix(cls, film: Film, path: Path) -> Frame:
        """Return the frame of the stored matrix, for a source that draws in it and states no size."""
        return cls(film=film, width=film.width_px, height=film.height_px, path=path)

    @classmethod
    def equal(cls, film: Film, width: int, height: int, path: Path) -> Frame:
        """Return the film's own frame. Raises GeometryError where the source's size is another."""
        if (width, height) != (film.width_px, film.height_px):
            _refuse(f"it has {width} x {height} px, the picture {film.width_px} x {film.height_px}", path)
        return cls(film=film, width=width, height=height, path=path)

    @property
    def scale(self) -> tuple[float, float]:
        """Image px per px of the frame, x and y."""
        return self.film.width_px / self.width, self.film.height_px / self.height

    def box(self, name: str, corners: Sequence[float]) -> Region:
        """Return a rectangular region from (x0, y0, x1, y1) in the frame, cut at the image."""
        cut = self._checked(name, np.asarray(corners, np.float64).reshape(2, 2)) * self.scale
        x0, y0, x1, y1 = cut.ravel().tolist()
        if not (x0 < x1 and y0 < y1):
            annotation_error(f"the box of {name!r} has no area", self.path)
        return Region.from_box(name, (x0, y0, x1, y1))

    def polygons(self, name: str, shapes: Sequence[Corners]) -> Region | None:
        """Return the union of polygons in the frame; None where it covers nothing."""
        if len(shapes) == 1 and len(shapes[0]) <= MAX_EXACT_CORNERS:
            corners = self._checked(name, self._corners(name, shapes[0])) * self.scale
            region = Region(name=name, polygon=tuple((float(x), float(y)) for x, y in corners))
            return region if region.area_px2 > 0 else None
        return self.mask(name, self.filled(name, shapes))

    def filled(self, name: str, shapes: Sequence[Corners]) -> NDArray[np.bool_]:
        """Return the union of polygons as a mask over the whole frame, (h, w)."""
        n_corners = sum(map(len, shapes))
        if n_corners > MAX_CORNERS:
            annotation_error(
                f"region {name!r} has {n_corners} corners, at most {MAX_CORNERS} are read", self.path
            )
        checked = [self._checked(name, self._corners(name, shape)) for shape in shapes]
        return rasterise(checked, width_px=self.width, height_px=self.height)

    def mask(self, name: str, mask: NDArray[np.bool_]) -> Region | None:
        """Return the region of an (h, w) mask over the whole frame; None where it is empty."""
        scale_x, scale_y = self.scale
        grid = Bitmap.from_mask(mask, scale_x_px=scale_x, scale_y_px=scale_y)
        return None if grid is None else Region.from_bitmap(name, grid)

    def _corners(self, name: str, shape: Corners) -> NDArray[np.float64]:
        corners = np.asarray(shape, np.float64)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            annotation_error(f"region {name!r} has a polygon of fewer than 3 corners", self.path)
        return corners

    def _checked(self, name: str, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points cut at the frame. Raises where they are no numbers or lie far beyond it."""
        if not np.isfinite(points).all():
            annotation_error(f"region {name!r} has a coordinate that is no number", self.path)
        size = np.array([self.width, self.height], np.float64)
        beyond = float((np.maximum(-points, points - size) / size).max())
        if beyond > BEYOND_SHARE:
            _refuse(
                f"region {name!r} lies {100 * beyond:.0f} % of a side beyond "
                f"the frame of {self.width} x {self.height} px",
                self.path,
            )
        cut: NDArray[np.float64] = np.clip(points, 0, size)
        return cut


def imported_map(
    source: AnnotationSource, film: Film, regions: Mapping[str, Region], *, confidence: float
) -> RegionMap | None:
    """Return the regions of one picture as a map; None where there are none."""
    if len(regions) > MAX_REGIONS:
        annotation_error(f"a picture has {len(regions)} regions, at most {MAX_REGIONS} are read", source.path)
    if not regions:
        return None
    return RegionMap.build(
        width_px=film.width_px,
        height_px=film.height_px,
        regions=regions,
        provider="imported",
        confidence=confidence if source.confidence is None else source.confidence,
    )


def _refuse(message: str, path: Path) -> None:
    raise GeometryError(
        message,
        path=path,
        code=CODE,
        hint="The annotation belongs to another picture or another version of it.",
    )

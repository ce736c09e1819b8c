"""Which point to look at next: inside what is of interest, visible, and a believable saccade away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gazecapture.simulation.content import StudyContent
from gazecapture.simulation.dictation import Place
from gazecapture.viewer.model import Panel, ViewportState
from keyframes.geometry import Display
from keyframes.regions.assignment import primary_places
from keyframes.regions.region_map import Region
from keyframes.regions.schemes import Scheme

__all__ = ["SEARCH_WEIGHTS", "TargetSampler", "is_visible"]

FloatArray = NDArray[np.float64]

MIN_SACCADE_DEG = 0.7
"""Targets nearer than this are no new look; the tracker's noise would hide the saccade."""
PREFERRED_SACCADE_DEG = 2.5
"""Scale of the exponential preference for near targets; median saccades on radiographs are 2 to 5 deg."""
LATTICE = 17
"""Candidate points per side of a region's box."""
INTERIOR_SHARE = 0.12
"""A candidate's neighbours at this share of the box must lie inside as well: readers look into a region, not at
its edge."""
MARGIN_SCREEN_PX = 12.0
"""Nobody looks at the last px of a viewport."""

LINGER_SHARE = 0.5
"""A look of silent search stays where the one before was."""
ANYWHERE_SHARE = 0.3
ANYWHERE_BOX = (0.12, 0.12, 0.95, 1.0)
"""A look of silent search goes anywhere on the chest, this box as fractions of the image, without a region in mind."""

SEARCH_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "right apical zone": 0.4, "left apical zone": 0.4,
        "right upper lung zone": 1.3, "left upper lung zone": 0.7,
        "right mid lung zone": 1.6, "left mid lung zone": 0.7,
        "right lower lung zone": 2.2, "left lower lung zone": 1.0,
        "right hilar structures": 0.7, "left hilar structures": 0.4,
        "right costophrenic angle": 1.0, "left costophrenic angle": 0.8,
        "right hemidiaphragm": 1.0, "left hemidiaphragm": 0.9,
        "cardiac silhouette": 0.5, "mediastinum": 0.2, "aortic arch": 0.2, "trachea": 0.1, "spine": 0.1,
        "right clavicle": 0.2, "left clavicle": 0.2, "abdomen": 1.0,
    }
)  # fmt: skip
"""Where silent search looks, by region: set by hand so that the outcome resembles the gaze of real radiologists
(Saab et al. 2021), which is more on the patient's right; a test holds the two together."""


class TargetSampler:
    """Draws image points to look at in one study."""

    def __init__(
        self, content: StudyContent, scheme: Scheme, display: Display, rng: np.random.Generator
    ) -> None:
        self._content = content
        self._scheme = scheme
        self._per_deg = display.px_per_deg()
        self._rng = rng
        self._points: dict[tuple[int, str, str | None], FloatArray] = {}

    def search_place(self, image_index: int, last: Place | None = None) -> Place:
        """Return where to search next in an image: on where it was, a region by `SEARCH_WEIGHTS`, or anywhere."""
        region_map = self._content.maps[image_index]
        if last is not None and last.image_index == image_index and self._rng.random() < LINGER_SHARE:
            return last
        names = [name for name in SEARCH_WEIGHTS if name in region_map.regions]
        if not names or self._rng.random() < ANYWHERE_SHARE:
            w, h = region_map.width_px, region_map.height_px
            x0, y0, x1, y1 = ANYWHERE_BOX
            return Place(image_index=image_index, box=(x0 * w, y0 * h, x1 * w, y1 * h))
        weights = np.array([SEARCH_WEIGHTS[name] for name in names])
        return Place(
            image_index=image_index, regions=(str(self._rng.choice(names, p=weights / weights.sum())),)
        )

    def draw(
        self,
        place: Place,
        viewport: ViewportState,
        panels: Sequence[Panel],
        from_screen_px: tuple[float, float],
        letter: str | None = None,
    ) -> tuple[float, float] | None:
        """Return an image point of ``place`` that is visible now, or None where none is.

        from_screen_px : where the eyes are; near targets are preferred, too near ones avoided.
        letter : of the scheme; where parts of the place belong to it and are overlaid by nothing of another one, only
        these are looked at.
        """
        points = self._candidates(place, letter)
        x, y = viewport.image_to_screen().apply(points[:, 0], points[:, 1])
        usable = is_visible(x, y, viewport, panels)
        if not usable.any():
            return None
        distance = np.hypot(
            (x - from_screen_px[0]) / self._per_deg[0], (y - from_screen_px[1]) / self._per_deg[1]
        )
        far_enough = usable & (distance >= MIN_SACCADE_DEG)
        if far_enough.any():
            usable = far_enough
        else:  # a small thing: look at its far end
            usable &= distance >= 0.9 * distance[usable].max()
        weights = np.where(usable, np.exp(-distance / PREFERRED_SACCADE_DEG), 0.0)
        chosen = points[self._rng.choice(len(points), p=weights / weights.sum())]
        return float(chosen[0]), float(chosen[1])

    def _candidates(self, place: Place, letter: str | None) -> FloatArray:
        if place.box is not None:
            return self._of_letter(self._in_box(place.box), place.image_index, letter)
        region_map = self._content.maps[place.image_index]
        # Each region of a place gets the same number of looks, however large it is.
        name = str(self._rng.choice(list(self._named(place, letter))))
        key = (place.image_index, name, letter)
        if key not in self._points:
            inside = _interior(region_map.regions[name], region_map.width_px, region_map.height_px)
            self._points[key] = self._of_letter(inside, place.image_index, letter)
        return self._points[key]

    def _named(self, place: Place, letter: str | None) -> Sequence[str]:
        """Return a place's regions: those of the letter, where there are any."""
        of_letter = [n for n in place.regions if n in self._scheme and self._scheme.letter_of(n) == letter]
        return of_letter or place.regions

    def _of_letter(self, points: FloatArray, image_index: int, letter: str | None) -> FloatArray:
        """Return the points whose primary region has the letter, where there are any."""
        if letter is None:
            return points
        region_map = self._content.maps[image_index]
        names, which = primary_places(region_map, self._scheme, points[:, 0], points[:, 1])
        letters = np.array([self._scheme.letter_of(name) for name in names])
        own = letters[which] == letter
        return points[own] if own.any() else points

    def _in_box(self, box: tuple[float, float, float, float]) -> FloatArray:
        """Draw points in the ellipse inscribed in a box, denser towards the middle."""
        x0, y0, x1, y1 = box
        angle = self._rng.uniform(0.0, 2.0 * np.pi, LATTICE**2)
        radius = 0.9 * self._rng.uniform(0.0, 1.0, LATTICE**2)
        return np.column_stack(
            [
                (x0 + x1) / 2 + (x1 - x0) / 2 * radius * np.cos(angle),
                (y0 + y1) / 2 + (y1 - y0) / 2 * radius * np.sin(angle),
            ]
        )


def is_visible(
    x_screen_px: FloatArray, y_screen_px: FloatArray, viewport: ViewportState, panels: Sequence[Panel]
) -> NDArray[np.bool_]:
    """Say which screen points lie well inside a viewport and under no panel."""
    x0, y0, x1, y1 = viewport.rect
    m = MARGIN_SCREEN_PX
    seen: NDArray[np.bool_] = (
        (x_screen_px >= x0 + m) & (x_screen_px < x1 - m) & (y_screen_px >= y0 + m) & (y_screen_px < y1 - m)
    )
    for panel in panels:
        a, b, c, d = panel.rect
        seen &= ~(
            (x_screen_px >= a - m) & (x_screen_px < c + m) & (y_screen_px >= b - m) & (y_screen_px < d + m)
        )
    return seen


def _interior(region: Region, width_px: int, height_px: int) -> FloatArray:
    """Return lattice points well inside a region and on the image; its box's centre where there are none."""
    x0, y0, x1, y1 = region.box
    steps = (np.arange(LATTICE) + 0.5) / LATTICE
    x, y = (v.ravel() for v in np.meshgrid(x0 + (x1 - x0) * steps, y0 + (y1 - y0) * steps))
    dx, dy = INTERIOR_SHARE * (x1 - x0), INTERIOR_SHARE * (y1 - y0)
    inside = (x >= 0) & (x < width_px) & (y >= 0) & (y < height_px) & region.contains(x, y)
    deep = inside & region.contains(x - dx, y) & region.contains(x + dx, y)
    deep &= region.contains(x, y - dy) & region.contains(x, y + dy)
    for chosen in (deep, inside):
        if chosen.any():
            return np.column_stack([x[chosen], y[chosen]])
    return np.array([[(x0 + x1) / 2, (y0 + y1) / 2]])

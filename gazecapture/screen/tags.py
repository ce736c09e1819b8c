"""The tags at the screen's edge by which a scene camera finds the screen: which, where, how large.

Eight tags of AprilTag family 36h11, at the corners and at the middle of each side. What draws them and what looks for
them both ask here.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MODULES", "ScreenTag", "draw_tags", "tag_bitmap", "tag_layout"]

MODULES = 8
"""Modules along a tag's side: 6 of its code, and the black border."""
MIN_SIDE_MM = 18.0
"""mm; about 24 px of the scene camera at reading distance. At 11 mm only every second tag is found."""
UNKNOWN_SIDE_SHARE = 0.06
"""Of the screen's height, where its size in mm is unknown: 18 mm at 300 mm, the height of a 24 inch screen."""
QUIET_MODULES = 1
"""White around each tag, as the family demands."""
FIRST_ID = 0
WHITE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenTag:
    """One tag on the screen; its black square is what detectors give the corners of."""

    tag_id: int
    x0_screen_px: int
    """Left edge of the black square."""
    y0_screen_px: int
    side_px: int
    quiet_px: int
    """Width of the white margin on each side."""

    def corners_screen_px(self) -> NDArray[np.float64]:
        """Return the black square's corners, (4, 2): top left, top right, bottom right, bottom left."""
        x0, y0, side = self.x0_screen_px, self.y0_screen_px, self.side_px
        return np.array([(x0, y0), (x0 + side, y0), (x0 + side, y0 + side), (x0, y0 + side)], np.float64)

    def box_screen_px(self) -> tuple[int, int, int, int]:
        """Return the box that the tag takes with its margin, half-open."""
        x0, y0, whole = self.x0_screen_px, self.y0_screen_px, self.side_px + self.quiet_px
        return x0 - self.quiet_px, y0 - self.quiet_px, x0 + whole, y0 + whole


def tag_layout(
    width_px: int, height_px: int, *, width_mm: float | None = None, height_mm: float | None = None
) -> tuple[ScreenTag, ...]:
    """Return the tags of a screen; where its size in mm is unknown they have their usual share of it."""
    if width_mm and height_mm:
        least_px = MIN_SIDE_MM / min(width_mm / width_px, height_mm / height_px)
    else:
        least_px = UNKNOWN_SIDE_SHARE * height_px
    module_px = max(1, math.ceil(least_px / MODULES))
    side, quiet = module_px * MODULES, module_px * QUIET_MODULES
    x_places = (quiet, (width_px - side) // 2, width_px - side - quiet)
    y_places = (quiet, (height_px - side) // 2, height_px - side - quiet)
    places = [(x, y) for y in y_places for x in x_places if (x, y) != (x_places[1], y_places[1])]
    return tuple(
        ScreenTag(tag_id=FIRST_ID + n, x0_screen_px=x, y0_screen_px=y, side_px=side, quiet_px=quiet)
        for n, (x, y) in enumerate(places)
    )


def tag_bitmap(tag: ScreenTag) -> NDArray[np.uint8]:
    """Return a tag with its margin, square, grey 0 or 255."""
    module_px = tag.side_px // MODULES
    black = np.kron(_modules(tag.tag_id), np.ones((module_px, module_px), np.uint8))
    return np.pad(black, tag.quiet_px, constant_values=WHITE)


def draw_tags(picture: NDArray[np.uint8], tags: tuple[ScreenTag, ...]) -> None:
    """Draw tags into a grey picture of the whole screen, (height, width), in place."""
    for tag in tags:
        x0, y0, x1, y1 = tag.box_screen_px()
        picture[y0:y1, x0:x1] = tag_bitmap(tag)


@functools.cache
def _modules(tag_id: int) -> NDArray[np.uint8]:
    """Return a tag's modules, (8, 8), 0 or 255."""
    import cv2  # an extra's; only who draws tags needs it

    family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    return np.asarray(cv2.aruco.generateImageMarker(family, tag_id, MODULES), np.uint8)

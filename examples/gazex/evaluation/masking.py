"""A box of a radiograph painted over, and boxes of the same area elsewhere to compare with."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from examples.gazex.tasks.example import Box

__all__ = ["FILLS", "Fill", "PixelBox", "control_boxes", "masked", "to_pixels"]

Grey = NDArray[np.uint8]
Fill = Literal["surround", "blur"]
FILLS: dict[Fill, str] = {
    "surround": "mean brightness of a ring around the box, a quarter of its shorter side wide",
    "blur": "Gaussian blur of the whole picture, sigma a quarter of the box's shorter side",
}
"""What a box is painted over with, in words."""
SHARE_OF_SIDE = 0.25
"""Of a box's shorter side: width of the ring, sigma of the blur. A finding is gone, the anatomy's tone stays."""
BLACK = 8
"""Grey level, of 255, up to which a px counts as outside the film (shutter, bare margin)."""
SHAPES = (1.0, 0.5, 2.0, 0.25, 4.0)
"""Factors on the width (and inversely on the height) of control boxes, tried in order until one fits somewhere."""


class PixelBox(NamedTuple):
    """A half-open box in whole px of a picture."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def area(self) -> int:
        """Px in it."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


def to_pixels(box: Box, shape: tuple[int, ...]) -> PixelBox:
    """Return the whole px that a box touches, at least one; shape (height, width)."""
    height, width = shape
    x0 = min(max(math.floor(box.x0 * width), 0), width - 1)
    y0 = min(max(math.floor(box.y0 * height), 0), height - 1)
    return PixelBox(
        x0,
        y0,
        min(max(math.ceil(box.x1 * width), x0 + 1), width),
        min(max(math.ceil(box.y1 * height), y0 + 1), height),
    )


def masked(picture: Grey, box: PixelBox, fill: Fill = "surround") -> Grey:
    """Return a copy whose box is painted over; ``fill`` as in `FILLS`."""
    x0, y0, x1, y1 = box
    painted = picture.copy()
    reach = max(1, round(SHARE_OF_SIDE * min(x1 - x0, y1 - y0)))
    if fill == "blur":
        painted[y0:y1, x0:x1] = gaussian_filter(picture.astype(np.float32), reach)[y0:y1, x0:x1].round()
        return painted
    around = np.zeros(picture.shape, bool)
    around[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach] = True
    around[y0:y1, x0:x1] = False
    ring = picture[around]
    painted[y0:y1, x0:x1] = round(float(ring.mean())) if ring.size else round(float(picture.mean()))
    return painted


def control_boxes(picture: Grey, box: PixelBox, n: int, rng: np.random.Generator) -> list[PixelBox]:
    """Return at most ``n`` other boxes of the same area (within rounding) that lie on the film and not on ``box``.

    The film is the smallest rectangle that holds every px brighter than `BLACK`. Places are drawn evenly from all that
    are possible, without repeats, so controls may overlap one another. Of the same shape where one fits, else of the
    first of `SHAPES` that does; none where the box leaves no room.
    """
    fx0, fy0, fx1, fy1 = _film(picture)
    for factor in SHAPES:
        width = max(1, round((box.x1 - box.x0) * factor))
        height = max(1, round(box.area / width))
        columns, rows = np.arange(fx0, fx1 - width + 1), np.arange(fy0, fy1 - height + 1)
        beside = (columns + width <= box.x0) | (columns >= box.x1)
        above_or_below = (rows + height <= box.y0) | (rows >= box.y1)
        free = np.argwhere(above_or_below[:, None] | beside[None, :])
        if len(free):
            chosen = free[rng.choice(len(free), size=min(n, len(free)), replace=False)]
            return [
                PixelBox(int(columns[c]), int(rows[r]), int(columns[c]) + width, int(rows[r]) + height)
                for r, c in chosen
            ]
    return []


def _film(picture: Grey) -> PixelBox:
    bright = picture > BLACK
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    if not len(rows):
        return PixelBox(0, 0, picture.shape[1], picture.shape[0])
    return PixelBox(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

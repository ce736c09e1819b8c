"""A picture a little moved and resized, as nobody stands twice in the same way; boxes and gaze move with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from examples.gazex.tasks.example import Box, Level, Piece, Points, Text

__all__ = ["Motion"]

GAMMA_SPREAD = 0.15
"""Natural logarithm by which brightness varies, at the greatest motion of 0.1 and in proportion to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """New place = scale x old place + shift, in shares of the picture's sides; never mirrored: sides have meaning."""

    scale_x: float = 1.0
    scale_y: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    gamma: float = 1.0

    @classmethod
    def drawn(cls, rng: np.random.Generator, greatest: float) -> Self:
        """Return a random motion; none where ``greatest`` is 0."""
        if greatest == 0:
            return cls()
        scale = 1 + rng.uniform(-greatest, greatest, 2)
        shift = rng.uniform(-greatest, greatest, 2) + (1 - scale) / 2
        gamma = np.exp(rng.normal(0, GAMMA_SPREAD * greatest / 0.1))
        return cls(
            scale_x=float(scale[0]),
            scale_y=float(scale[1]),
            shift_x=float(shift[0]),
            shift_y=float(shift[1]),
            gamma=float(gamma),
        )

    def picture(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the moved picture; what comes in from outside is black."""
        if self == Motion():
            return grey
        height, width = grey.shape
        back = (
            1 / self.scale_x, 0.0, -self.shift_x * width / self.scale_x,
            0.0, 1 / self.scale_y, -self.shift_y * height / self.scale_y,
        )  # fmt: skip
        moved = Image.fromarray(grey).transform(
            (width, height), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
        )
        bright = (255 * (np.arange(256) / 255) ** self.gamma).astype(np.uint8)
        result: NDArray[np.uint8] = bright[np.asarray(moved)]
        return result

    def points(self, points: Points) -> Points:
        """Return gaze moved with the picture."""
        moved = points.copy()
        moved[:, 0] = points[:, 0] * self.scale_x + self.shift_x
        moved[:, 1] = points[:, 1] * self.scale_y + self.shift_y
        moved[:, 2] = points[:, 2] * self.scale_x
        return moved

    def box(self, box: Box) -> Box:
        """Return a box moved with the picture."""
        x0, y0 = self._moved(box.x0, box.y0)
        x1, y1 = self._moved(box.x1, box.y1)
        return replace(box, x0=x0, y0=y0, x1=x1, y1=y1, point=self._moved(*box.point) if box.point else None)

    def text(self, text: Text) -> Text:
        """Return a text whose places are moved."""
        return tuple(map(self._piece, text))

    def _piece(self, piece: Piece) -> Piece:
        match piece:
            case Box():
                return self.box(piece)
            case Level():
                return Level(share=self._moved(0.0, piece.share)[1])
            case _:
                return piece

    def _moved(self, x: float, y: float) -> tuple[float, float]:
        return x * self.scale_x + self.shift_x, y * self.scale_y + self.shift_y

"""A magnifying glass under the cursor: a viewport of its own that lies over another one. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from gazecapture.viewer.viewport_state import Rect, ViewportState

__all__ = ["LENS_FACTOR", "LENS_VIEWPORT_ID", "Magnifier"]

LENS_VIEWPORT_ID = 100
"""Greater than every other: where viewports overlap, `keyframes.geometry.map_gaze` gives gaze to the greatest id."""
LENS_FACTOR = 2.0
"""How much larger than its surroundings, where nothing else is asked for."""
LENS_SIDE_PX = 360.0
"""Screen px; about 5 degrees before a usual monitor: what the eye takes in without leaving the glass."""
LARGEST_SHARE = 0.6
"""Of the viewport's shorter side: its surroundings stay in view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Magnifier:
    """Where the glass is."""

    viewport_id: int
    """Of the viewport that it lies over."""
    x_screen_px: float
    y_screen_px: float
    factor: float

    @classmethod
    def about(cls, viewport_id: int, x_screen_px: float, y_screen_px: float, factor: float) -> Self | None:
        """Return a glass about a screen point; None for a factor that enlarges nothing."""
        if factor <= 1.0:
            return None
        return cls(viewport_id=viewport_id, x_screen_px=x_screen_px, y_screen_px=y_screen_px, factor=factor)

    def over(self, v: ViewportState) -> ViewportState | None:
        """Return the glass over viewport ``v``, None where it is beside; what is under the cursor stays there."""
        x0, y0, x1, y1 = v.rect
        if not (x0 <= self.x_screen_px < x1 and y0 <= self.y_screen_px < y1):
            return None
        half = min(LENS_SIDE_PX, LARGEST_SHARE * min(x1 - x0, y1 - y0)) / 2
        rect: Rect = (
            max(x0, self.x_screen_px - half),
            max(y0, self.y_screen_px - half),
            min(x1, self.x_screen_px + half),
            min(y1, self.y_screen_px + half),
        )
        x_image, y_image = (float(p) for p in v.screen_to_image().apply(self.x_screen_px, self.y_screen_px))
        glass = replace(
            v,
            viewport_id=LENS_VIEWPORT_ID,
            rect=rect,
            scale=v.scale * self.factor,
            x_center_image_px=x_image,
            y_center_image_px=y_image,
        )
        # At the viewport's edge the glass is cut, and its middle is not where the cursor is.
        inverse = glass.screen_to_image()
        dx = (rect[0] + rect[2]) / 2 - self.x_screen_px
        dy = (rect[1] + rect[3]) / 2 - self.y_screen_px
        return replace(
            glass,
            x_center_image_px=x_image + inverse.a * dx + inverse.b * dy,
            y_center_image_px=y_image + inverse.d * dx + inverse.e * dy,
        )

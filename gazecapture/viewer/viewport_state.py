"""One viewport at one moment, and what zoom, pan and window do to it. Knows no pixels, no Qt.

A viewport maps image px to screen px by scale, quarter turns, flip and pan; its inverse goes into the journal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gazecapture.radiograph.presets import ImageView, Preset
from keyframes.geometry import Affine

__all__ = [
    "Rect",
    "ViewportState",
    "fitted",
    "kept_visible",
    "of_preset",
    "panned",
    "windowed",
    "zoomed",
]

Rect = tuple[float, float, float, float]
"""(x0, y0, x1, y1), half-open."""

ZOOM_STEP = 2.0**0.25
"""One wheel notch; four double the size. The step that radiologists know from REFLACX's viewer."""
MAX_ZOOM_OVER_FIT = 70.0
"""Largest magnification relative to fit, as in REFLACX's viewer."""
PAN_KEEPS_VISIBLE_PX = 40.0
"""At least so many screen px of the image stay inside its viewport when it is panned."""
MIN_WINDOW_WIDTH = 1.0
"""Narrowest window in modality units; DICOM PS3.3 C.11.2.1.2 asks for at least 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewportState:
    """One viewport at one moment."""

    viewport_id: int
    rect: Rect
    image: ImageView
    scale: float
    """Screen px per image px."""
    x_center_image_px: float
    """Image point at the viewport's centre."""
    y_center_image_px: float
    quarter_turns: int = 0
    """Clockwise."""
    flipped: bool = False
    """Left-right, before turning."""
    center: float = 0.0
    width: float = 1.0
    voi: str = "LINEAR"
    preset_id: str | None = None
    inverted_by_reader: bool = False

    @property
    def inverted(self) -> bool:
        """Whether light and dark are swapped against the stored values."""
        return self.inverted_by_reader != self.image.base_inverted

    def image_to_screen(self) -> Affine:
        """Return the map from image px to screen px."""
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[self.quarter_turns % 4]
        mirror = -1.0 if self.flipped else 1.0
        s = self.scale
        a, b, d, e = s * cos * mirror, -s * sin, s * sin * mirror, s * cos
        x_mid, y_mid = (self.rect[0] + self.rect[2]) / 2, (self.rect[1] + self.rect[3]) / 2
        return Affine(
            a, b, x_mid - a * self.x_center_image_px - b * self.y_center_image_px,
            d, e, y_mid - d * self.x_center_image_px - e * self.y_center_image_px,
        )  # fmt: skip

    def screen_to_image(self) -> Affine:
        """Return the map from screen px to image px; this is what the journal holds."""
        return self.image_to_screen().inverse()

    def shown(self) -> tuple[Rect, Rect]:
        """Return (source rect in image px, destination rect in screen px) of the part that is visible."""
        to_screen = self.image_to_screen()
        xs, ys = to_screen.apply([0.0, self.image.width_px], [0.0, self.image.height_px])
        x0, y0, x1, y1 = self.rect
        dest = (max(min(xs), x0), max(min(ys), y0), min(max(xs), x1), min(max(ys), y1))
        if dest[2] <= dest[0] or dest[3] <= dest[1]:
            empty = (x0, y0, x0, y0)
            return (0.0, 0.0, 0.0, 0.0), empty
        back_x, back_y = self.screen_to_image().apply([dest[0], dest[2]], [dest[1], dest[3]])
        source = (float(min(back_x)), float(min(back_y)), float(max(back_x)), float(max(back_y)))
        return source, (float(dest[0]), float(dest[1]), float(dest[2]), float(dest[3]))


def of_preset(preset: Preset) -> dict[str, Any]:
    """Return the fields of a state that a preset sets."""
    return {"center": preset.center, "width": preset.width, "voi": preset.voi, "preset_id": preset.preset_id}


def _fit_scale(v: ViewportState) -> float:
    width, height = v.rect[2] - v.rect[0], v.rect[3] - v.rect[1]
    image_w, image_h = v.image.width_px, v.image.height_px
    if v.quarter_turns % 2:
        image_w, image_h = image_h, image_w
    return min(width / image_w, height / image_h)


def fitted(v: ViewportState) -> ViewportState:
    """Show the whole image, as large as its viewport allows."""
    return replace(
        v,
        scale=_fit_scale(v),
        x_center_image_px=v.image.width_px / 2,
        y_center_image_px=v.image.height_px / 2,
    )


def zoomed(v: ViewportState, notches: float, x_screen_px: float, y_screen_px: float) -> ViewportState:
    """Enlarge by ``notches`` steps about a screen point, within the limits of magnification."""
    fit = _fit_scale(v)
    low, high = min(fit, 1.0), max(fit * MAX_ZOOM_OVER_FIT, 1.0)
    scale = min(high, max(low, v.scale * ZOOM_STEP**notches))
    x_image, y_image = v.screen_to_image().apply(x_screen_px, y_screen_px)
    larger = replace(v, scale=scale)
    x_now, y_now = larger.image_to_screen().apply(x_image, y_image)
    return panned(larger, x_screen_px - float(x_now), y_screen_px - float(y_now))


def panned(v: ViewportState, dx_screen_px: float, dy_screen_px: float) -> ViewportState:
    """Move the image on the screen."""
    inverse = v.screen_to_image()
    dx = inverse.a * dx_screen_px + inverse.b * dy_screen_px
    dy = inverse.d * dx_screen_px + inverse.e * dy_screen_px
    return kept_visible(
        replace(v, x_center_image_px=v.x_center_image_px - dx, y_center_image_px=v.y_center_image_px - dy)
    )


def kept_visible(v: ViewportState) -> ViewportState:
    """Pull the image back so far that `PAN_KEEPS_VISIBLE_PX` of it stay in view."""
    width, height = v.rect[2] - v.rect[0], v.rect[3] - v.rect[1]
    if v.quarter_turns % 2:
        width, height = height, width
    keep = PAN_KEEPS_VISIBLE_PX
    reach_x, reach_y = max(0.0, width / 2 - keep) / v.scale, max(0.0, height / 2 - keep) / v.scale
    return replace(
        v,
        x_center_image_px=min(v.image.width_px + reach_x, max(-reach_x, v.x_center_image_px)),
        y_center_image_px=min(v.image.height_px + reach_y, max(-reach_y, v.y_center_image_px)),
    )


def windowed(v: ViewportState, center: float, width: float) -> ViewportState:
    """Show it with another window, modality units."""
    # A LUT cannot be dragged: the reader goes on from its equivalent window, which has the same centre and width.
    voi = "LINEAR" if v.voi == "LUT" else v.voi
    return replace(v, center=center, width=max(MIN_WINDOW_WIDTH, width), voi=voi, preset_id=None)

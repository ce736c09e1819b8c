"""The display as it was: a display row as the state of a viewport, scaled to where it is shown now. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gazecapture.radiograph.presets import ImageView
from gazecapture.viewer.model import Rect, ViewportState
from keyframes.errors import GeometryError
from keyframes.geometry import Affine

__all__ = ["Placement", "state_of_row", "whole_image"]

_TURNED = {(1, 0): 0, (0, 1): 1, (-1, 0): 2, (0, -1): 3}
"""Signs of the second column of image px -> screen px, (e, -b), by quarter turns clockwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a screen of the past lies on the surface of now: ``now = then * scale + offset``."""

    scale: float
    x: float
    y: float

    @classmethod
    def fitting(cls, screen: Rect, room: Rect) -> Placement:
        """Put ``screen`` as large as it goes into the middle of ``room``."""
        width, height = screen[2] - screen[0], screen[3] - screen[1]
        scale = min((room[2] - room[0]) / width, (room[3] - room[1]) / height)
        return cls(
            scale=scale,
            x=(room[0] + room[2]) / 2 - scale * (screen[0] + screen[2]) / 2,
            y=(room[1] + room[3]) / 2 - scale * (screen[1] + screen[3]) / 2,
        )

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of then lies."""
        return x * self.scale + self.x, y * self.scale + self.y

    def rect(self, rect: Rect) -> Rect:
        """Return where a rectangle of then lies."""
        return (*self.point(rect[0], rect[1]), *self.point(rect[2], rect[3]))


def state_of_row(row: Mapping[str, Any], image: ImageView, placement: Placement) -> ViewportState:
    """Return the viewport that a display row describes, as it looks on the surface of now.

    row : of `keyframes.reading.DISPLAY`, with an image. Where a source knows neither window nor look-up table, the
        image's default is taken.

    Raises GeometryError where the row's affine is none that a viewer makes: only quarter turns and flips, and the same
    scale on both axes within 1 %.
    """
    then = Affine(*row["affine"]).inverse()
    scale_x, scale_y = math.hypot(then.a, then.d), math.hypot(then.b, then.e)
    turn = _TURNED.get((round(then.e / scale_y), round(-then.b / scale_y)))
    if turn is None or abs(scale_x / scale_y - 1) > 0.01:
        raise GeometryError("the display's affine is no zoom, pan, flip and quarter turn of the image")
    flipped = then.a * then.e - then.b * then.d < 0
    rect = tuple(row["viewport_rect"] or row["dest_rect"])
    x_center, y_center = Affine(*row["affine"]).apply((rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2)
    first = image.presets[0]
    known = row["window_center"] is not None and row["window_width"] is not None
    return ViewportState(
        viewport_id=row["viewport_id"],
        rect=placement.rect(rect),
        image=image,
        scale=math.sqrt(scale_x * scale_y) * placement.scale,
        x_center_image_px=float(x_center),
        y_center_image_px=float(y_center),
        quarter_turns=turn,
        flipped=flipped,
        center=row["window_center"] if known else first.center,
        width=row["window_width"] if known else first.width,
        voi=(row["voi"] or first.voi) if known else first.voi,
        preset_id=row["preset_id"] if known else first.preset_id,
        inverted_by_reader=bool(row["inverted"]) != image.base_inverted,
    )


def whole_image(image: ImageView, room: Rect, *, like: ViewportState | None = None) -> ViewportState:
    """Return a viewport that shows all of an image; with the window of ``like``, where it shows the same image."""
    width, height = room[2] - room[0], room[3] - room[1]
    first = image.presets[0]
    state = ViewportState(
        viewport_id=0,
        rect=room,
        image=image,
        scale=min(width / image.width_px, height / image.height_px),
        x_center_image_px=image.width_px / 2,
        y_center_image_px=image.height_px / 2,
        center=first.center,
        width=first.width,
        voi=first.voi,
        preset_id=first.preset_id,
    )
    if like is None or like.image.image_index != image.image_index:
        return state
    return replace(
        state,
        center=like.center,
        width=like.width,
        voi=like.voi,
        preset_id=like.preset_id,
        inverted_by_reader=like.inverted_by_reader,
    )

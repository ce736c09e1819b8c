"""What the window shows, without Qt: viewports, actions, and the display journal's rows.

The Qt window, the offline simulator and most tests drive this same model, so that what the journal says is what
was shown. A viewport maps image px to screen px by scale, quarter turns, flip and pan; its inverse goes into the
journal. Nothing here touches pixels, files or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gazecapture.radiograph.presets import ImageView, Preset
from keyframes.errors import UsageError
from keyframes.geometry import Affine

__all__ = ["Action", "ActionKind", "ImageView", "Panel", "ViewerModel", "ViewportState"]

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
UNDO_DEPTH = 100
"""States kept per study for undo."""

ActionKind = Literal[
    "fit", "one_to_one", "zoom", "pan", "window", "window_drag", "preset", "invert", "flip", "rotate", "reset",
    "undo", "link",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing a reader does to the display.

    zoom: ``amount`` notches (positive enlarges) about screen point ``x, y``. pan: the image moves by ``x, y``
    screen px. window: centre ``x``, width ``y``, in modality units. window_drag: ``x`` to the right widens,
    ``y`` downwards raises the centre (darkens), in screen px. preset: number ``amount``, from 0. Others take nothing.
    """

    kind: ActionKind
    viewport_id: int = 0
    x: float = 0.0
    y: float = 0.0
    amount: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A named rectangle, in screen px, that covers what is under it: caption, indication, list."""

    name: str
    rect: Rect


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


class ViewerModel:
    """The state of the window for one study at a time.

    Parameters
    ----------
    area : screen px in which viewports are laid out (one, or two side by side).
    """

    def __init__(self, area: Rect) -> None:
        self._area = area
        self._viewports: tuple[ViewportState, ...] = ()
        self._journaled: tuple[ViewportState, ...] = ()
        self._panels: tuple[Panel, ...] = ()
        self._journaled_panels: tuple[Panel, ...] = ()
        self._undo: list[tuple[ViewportState, ...]] = []
        self._reading_number = 0
        self._presented = False
        self.linked = False
        """Zoom, pan and flip of one viewport are carried to the others."""

    @property
    def area(self) -> Rect:
        """Screen px in which viewports are laid out."""
        return self._area

    @property
    def viewports(self) -> tuple[ViewportState, ...]:
        """The present state, one per viewport, in id order; empty between studies."""
        return self._viewports

    @property
    def reading_number(self) -> int:
        """Number of the reading that is open; 0 for none."""
        return self._reading_number

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The panels that cover parts of the screen."""
        return self._panels

    def open_study(self, reading_number: int, images: Sequence[ImageView]) -> None:
        """Lay out a study's images (one fills the area, more stand side by side), each fitted, default preset."""
        if not images:
            raise UsageError(f"study {reading_number} has no image to show")
        x0, y0, x1, y1 = self._area
        share = (x1 - x0) / len(images)
        self._viewports = tuple(
            self._fitted(
                ViewportState(
                    viewport_id=place,
                    rect=(x0 + share * place, y0, x0 + share * (place + 1), y1),
                    image=image,
                    scale=1.0,
                    x_center_image_px=0.0,
                    y_center_image_px=0.0,
                    **_of_preset(image.presets[0]),
                )
            )
            for place, image in enumerate(images)
        )
        self._journaled, self._undo = (), []
        self._reading_number, self._presented = reading_number, False

    def set_area(self, area: Rect) -> None:
        """Lay the viewports out anew in ``area`` (the window moved or was resized).

        Zoom and pan are kept, and an image that filled its viewport fills the new one; the states that undo goes
        back to are laid out anew too.
        """
        if area == self._area:
            return
        self._area = area
        self._viewports = self._laid_out(self._viewports)
        self._undo = [self._laid_out(state) for state in self._undo]

    def set_panels(self, panels: Sequence[Panel]) -> None:
        """Say which panels cover parts of the screen from the next frame on."""
        self._panels = tuple(panels)

    def act(self, action: Action, *, continues: bool = False) -> None:
        """Do one thing to the display. Raises UsageError for a viewport or preset that does not exist.

        continues : it goes on with the gesture of the last action (a drag), so that one undo takes both back.
        """
        if not 0 <= action.viewport_id < len(self._viewports):
            raise UsageError(f"there is no viewport {action.viewport_id} (open: {len(self._viewports)})")
        before = self._viewports
        if action.kind == "undo":
            if self._undo:
                self._viewports = self._undo.pop()
            return
        if action.kind == "link":
            self.linked = not self.linked
            return
        carried = self.linked and action.kind in {"fit", "one_to_one", "zoom", "pan", "flip", "rotate"}
        target = before[action.viewport_id]
        self._viewports = tuple(
            self._changed(v, _carried_to(action, target, v)) if v is target or carried else v for v in before
        )
        if self._viewports != before and not (continues and self._undo):
            self._undo = [*self._undo[-(UNDO_DEPTH - 1) :], before]

    def viewport_at(self, x_screen_px: float, y_screen_px: float) -> int | None:
        """Return the id of the viewport under a screen point, or None."""
        for v in self._viewports:
            if v.rect[0] <= x_screen_px < v.rect[2] and v.rect[1] <= y_screen_px < v.rect[3]:
                return v.viewport_id
        return None

    def presented(self, t_ns: int) -> list[dict[str, Any]]:
        """Say that the present state was on screen at ``t_ns``; return the journal rows that this makes.

        The first call after `open_study` gives event ``on``, one row per viewport; later ones give a row
        ``change`` for each viewport that differs from what was journaled last, and none where nothing does.
        """
        event = "change" if self._presented else "on"
        everything = not self._presented or self._panels != self._journaled_panels
        old = {v.viewport_id: v for v in self._journaled}
        rows = [
            self._row(v, t_ns, event) for v in self._viewports if everything or old.get(v.viewport_id) != v
        ]
        self._journaled, self._journaled_panels = self._viewports, self._panels
        self._presented = bool(self._viewports)
        return rows

    def close_study(self, t_ns: int) -> list[dict[str, Any]]:
        """Take the study off the screen at ``t_ns``; return the rows ``off``, one per viewport."""
        rows = [{**self._row(v, t_ns, "off"), **dict.fromkeys(_OF_AN_IMAGE)} for v in self._viewports]
        self._viewports = self._journaled = ()
        self._undo, self._reading_number, self._presented = [], 0, False
        return rows

    def _laid_out(self, viewports: tuple[ViewportState, ...]) -> tuple[ViewportState, ...]:
        x0, y0, x1, y1 = self._area
        share = (x1 - x0) / max(1, len(viewports))
        moved = (
            (v, replace(v, rect=(x0 + share * place, y0, x0 + share * (place + 1), y1)))
            for place, v in enumerate(viewports)
        )
        return tuple(self._fitted(new) if self._fitted(old) == old else new for old, new in moved)

    def _row(self, v: ViewportState, t_ns: int, event: str) -> dict[str, Any]:
        source, dest = v.shown()
        return {
            "reading_number": self._reading_number,
            "event": event,
            "t_ns": t_ns,
            "viewport_id": v.viewport_id,
            "inverted": v.inverted,
            "panels": [{"name": p.name, "rect": list(p.rect)} for p in self._panels],
            "image_index": v.image.image_index,
            "affine": list(v.screen_to_image().coefficients),
            "source_rect": list(source),
            "dest_rect": list(dest),
            "viewport_rect": list(v.rect),
            "window_center": v.center,
            "window_width": v.width,
            "voi": v.voi,
            "preset_id": v.preset_id,
            "lens": None,
        }

    def _changed(self, v: ViewportState, action: Action) -> ViewportState:
        match action.kind:
            case "fit":
                return self._fitted(v)
            case "one_to_one":
                return _kept_visible(replace(v, scale=1.0))
            case "zoom":
                return _zoomed(v, action)
            case "pan":
                return _panned(v, action.x, action.y)
            case "window":
                return _windowed(v, action.x, action.y)
            case "window_drag":
                # A full sweep across the viewport doubles the width or moves the centre by one width.
                span = v.rect[2] - v.rect[0]
                return _windowed(v, v.center + v.width * action.y / span, v.width * (1 + action.x / span))
            case "preset":
                index = int(action.amount)
                if not 0 <= index < len(v.image.presets):
                    raise UsageError(
                        f"the image has {len(v.image.presets)} presets, there is no number {index}"
                    )
                return replace(v, **_of_preset(v.image.presets[index]))
            case "invert":
                return replace(v, inverted_by_reader=not v.inverted_by_reader)
            case "flip":
                # Flip comes before the turn; so a turned image turns the other way to flip left-right on screen.
                return replace(v, flipped=not v.flipped, quarter_turns=-v.quarter_turns % 4)
            case "rotate":
                return replace(v, quarter_turns=(v.quarter_turns + 1) % 4)
            case "reset":
                plain = replace(v, quarter_turns=0, flipped=False, inverted_by_reader=False)
                return self._fitted(replace(plain, **_of_preset(v.image.presets[0])))
            case _:
                raise UsageError(f"unknown action {action.kind!r}")

    def _fitted(self, v: ViewportState) -> ViewportState:
        return replace(
            v,
            scale=_fit_scale(v),
            x_center_image_px=v.image.width_px / 2,
            y_center_image_px=v.image.height_px / 2,
        )


_OF_AN_IMAGE = (
    "image_index", "affine", "source_rect", "dest_rect", "window_center", "window_width", "voi", "preset_id",
)  # fmt: skip


def _of_preset(preset: Preset) -> dict[str, Any]:
    return {"center": preset.center, "width": preset.width, "voi": preset.voi, "preset_id": preset.preset_id}


def _fit_scale(v: ViewportState) -> float:
    width, height = v.rect[2] - v.rect[0], v.rect[3] - v.rect[1]
    image_w, image_h = v.image.width_px, v.image.height_px
    if v.quarter_turns % 2:
        image_w, image_h = image_h, image_w
    return min(width / image_w, height / image_h)


def _zoomed(v: ViewportState, action: Action) -> ViewportState:
    fit = _fit_scale(v)
    low, high = min(fit, 1.0), max(fit * MAX_ZOOM_OVER_FIT, 1.0)
    scale = min(high, max(low, v.scale * ZOOM_STEP**action.amount))
    x_image, y_image = v.screen_to_image().apply(action.x, action.y)
    zoomed = replace(v, scale=scale)
    x_now, y_now = zoomed.image_to_screen().apply(x_image, y_image)
    return _panned(zoomed, action.x - float(x_now), action.y - float(y_now))


def _panned(v: ViewportState, dx_screen_px: float, dy_screen_px: float) -> ViewportState:
    inverse = v.screen_to_image()
    dx = inverse.a * dx_screen_px + inverse.b * dy_screen_px
    dy = inverse.d * dx_screen_px + inverse.e * dy_screen_px
    return _kept_visible(
        replace(v, x_center_image_px=v.x_center_image_px - dx, y_center_image_px=v.y_center_image_px - dy)
    )


def _kept_visible(v: ViewportState) -> ViewportState:
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


def _windowed(v: ViewportState, center: float, width: float) -> ViewportState:
    # A LUT cannot be dragged: the reader goes on from its equivalent window, which has the same centre and width.
    voi = "LINEAR" if v.voi == "LUT" else v.voi
    return replace(v, center=center, width=max(MIN_WINDOW_WIDTH, width), voi=voi, preset_id=None)


def _carried_to(action: Action, acted_on: ViewportState, v: ViewportState) -> Action:
    """Return the same action at the same place relative to viewport ``v``."""
    if v is acted_on or action.kind != "zoom":
        return action
    return replace(
        action, x=action.x - acted_on.rect[0] + v.rect[0], y=action.y - acted_on.rect[1] + v.rect[1]
    )

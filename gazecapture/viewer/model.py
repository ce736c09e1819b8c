"""What the window shows, without Qt: viewports, actions, and the display journal's rows.

The Qt window, the offline simulator and most tests drive this same model, so that what the journal says is what
was shown. Nothing here touches pixels, files or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gazecapture.radiograph.presets import ImageView
from gazecapture.viewer.magnifier import LENS_VIEWPORT_ID, Magnifier
from gazecapture.viewer.viewport_state import (
    Rect,
    ViewportState,
    fitted,
    kept_visible,
    of_preset,
    panned,
    windowed,
    zoomed,
)
from keyframes.errors import UsageError

__all__ = [
    "LARGEST_LAYOUT",
    "Action",
    "ActionKind",
    "ImageView",
    "Panel",
    "Rect",
    "ViewerModel",
    "ViewportState",
]

UNDO_DEPTH = 100
"""States kept per study for undo."""
LARGEST_LAYOUT = 2
"""Viewports side by side; a third of a screen is too narrow for a chest film."""

ActionKind = Literal[
    "fit", "one_to_one", "zoom", "pan", "window", "window_drag", "preset", "invert", "flip", "rotate", "reset",
    "undo", "link", "layout", "image", "lens",
]  # fmt: skip
_CARRIED = frozenset({"fit", "one_to_one", "zoom", "pan", "flip", "rotate"})
"""What linked viewports do together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing a reader does to the display.

    zoom: ``amount`` notches (positive enlarges) about screen point ``x, y``. pan: the image moves by ``x, y``
    screen px. window: centre ``x``, width ``y``, in modality units. window_drag: ``x`` to the right widens,
    ``y`` downwards raises the centre (darkens), in screen px. preset: number ``amount``, from 0. layout: ``amount``
    viewports, of which the acted on one stays. image: shows image ``amount``, or with -1 the next that is not on
    screen. lens: a magnifier ``amount`` times as large about screen point ``x, y``; 0 takes it away. Others take
    nothing.
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


class ViewerModel:
    """The state of the window for one study at a time.

    Parameters
    ----------
    area : screen px in which viewports are laid out (one, or two side by side).
    """

    def __init__(self, area: Rect) -> None:
        self._area = area
        self._images: tuple[ImageView, ...] = ()
        self._left: dict[int, ViewportState] = {}
        """Images that were shown before and are not now, as they were left."""
        self._viewports: tuple[ViewportState, ...] = ()
        self._magnifier: Magnifier | None = None
        self._journaled: tuple[ViewportState, ...] = ()
        self._panels: tuple[Panel, ...] = ()
        self._journaled_panels: tuple[Panel, ...] = ()
        self._undo: list[tuple[ViewportState, ...]] = []
        self._reading_number = 0
        self._next_event: Literal["on", "change", "resume"] = "on"
        self._is_paused = False
        self.linked = False
        """Zoom, pan and flip of one viewport are carried to the others."""

    @property
    def area(self) -> Rect:
        """Screen px in which viewports are laid out."""
        return self._area

    @property
    def images(self) -> tuple[ImageView, ...]:
        """Images of the open study, shown or not."""
        return self._images

    @property
    def viewports(self) -> tuple[ViewportState, ...]:
        """The present state, one per viewport, in id order; empty between studies."""
        return self._viewports

    @property
    def lens(self) -> ViewportState | None:
        """The magnifier as a viewport that lies over the others, if it is on screen."""
        under = self._under_lens
        return None if self._magnifier is None or under is None else self._magnifier.over(under)

    @property
    def _under_lens(self) -> ViewportState | None:
        if self._magnifier is None or self._magnifier.viewport_id >= len(self._viewports):
            return None
        return self._viewports[self._magnifier.viewport_id]

    @property
    def drawn(self) -> tuple[ViewportState, ...]:
        """Everything that shows an image, in the order in which it is drawn: the viewports, then the magnifier."""
        lens = self.lens
        return self._viewports if lens is None else (*self._viewports, lens)

    @property
    def reading_number(self) -> int:
        """Number of the reading that is open; 0 for none."""
        return self._reading_number

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The panels that cover parts of the screen."""
        return self._panels

    def open_study(self, reading_number: int, images: Sequence[ImageView]) -> None:
        """Lay out a study's images (one fills the area, two stand side by side), each fitted, default preset."""
        if not images:
            raise UsageError(f"study {reading_number} has no image to show")
        self._images, self._left, self._magnifier = tuple(images), {}, None
        self._viewports = self._arranged([self._first_look(image) for image in images[:LARGEST_LAYOUT]])
        self._journaled, self._undo = (), []
        self._reading_number, self._next_event, self._is_paused = reading_number, "on", False

    def set_area(self, area: Rect) -> None:
        """Lay the viewports out anew in ``area`` (the window moved or was resized).

        Zoom and pan are kept, and an image that filled its viewport fills the new one; the states that undo goes
        back to are laid out anew too.
        """
        if area == self._area:
            return
        self._area = area
        self._viewports = self._arranged(self._viewports)
        self._undo = [self._arranged(state) for state in self._undo]

    def set_panels(self, panels: Sequence[Panel]) -> None:
        """Say which panels cover parts of the screen from the next frame on."""
        self._panels = tuple(panels)

    def act(self, action: Action, *, continues: bool = False) -> None:
        """Do one thing to the display. Raises UsageError for a viewport, image or preset that does not exist.

        continues : it goes on with the gesture of the last action (a drag), so that one undo takes both back.
        """
        if not 0 <= action.viewport_id < len(self._viewports):
            raise UsageError(f"there is no viewport {action.viewport_id} (open: {len(self._viewports)})")
        before = self._viewports
        match action.kind:
            case "undo":
                if self._undo:
                    self._show(self._undo.pop())
                return
            case "link":
                self.linked = not self.linked
                return
            case "lens":
                self._magnifier = Magnifier.about(action.viewport_id, action.x, action.y, action.amount)
                return
            case "layout":
                self._show(self._with_layout(action))
            case "image":
                self._show(self._with_image(action))
            case _:
                carried = self.linked and action.kind in _CARRIED
                target = before[action.viewport_id]
                self._viewports = tuple(
                    _changed(v, _carried_to(action, target, v)) if v is target or carried else v
                    for v in before
                )
        if self._viewports != before and not (continues and self._undo):
            self._undo = [*self._undo[-(UNDO_DEPTH - 1) :], before]

    def viewport_at(self, x_screen_px: float, y_screen_px: float) -> int | None:
        """Return the id of the viewport under a screen point, or None; the magnifier is none."""
        for v in self._viewports:
            if v.rect[0] <= x_screen_px < v.rect[2] and v.rect[1] <= y_screen_px < v.rect[3]:
                return v.viewport_id
        return None

    def presented(self, t_ns: int) -> list[dict[str, Any]]:
        """Say that the present state was on screen at ``t_ns``; return the journal rows that this makes.

        The first call after `open_study` gives event ``on``, one row per viewport; later ones give a row
        ``change`` for each viewport that differs from what was journaled last, and none where nothing does. A
        viewport that is gone gives a row without an image.
        """
        if self._is_paused:
            return []
        drawn, event = self.drawn, self._next_event
        everything = event != "change" or self._panels != self._journaled_panels
        old = {v.viewport_id: v for v in self._journaled}
        rows = [self._row(v, t_ns, event) for v in drawn if everything or old.get(v.viewport_id) != v]
        here = {v.viewport_id for v in drawn}
        rows += [
            {**self._emptied(v, t_ns, event), "panels": []}
            for v in self._journaled
            if v.viewport_id not in here
        ]
        self._journaled, self._journaled_panels = drawn, self._panels
        self._next_event = "change" if drawn else "on"
        return rows

    def pause(self, t_ns: int) -> list[dict[str, Any]]:
        """Take the images off the screen at ``t_ns`` for a while; return the rows ``pause``, one per viewport.

        The first `presented` after `resume` gives rows ``resume``.
        """
        rows = [self._emptied(v, t_ns, "pause") for v in self._journaled]
        self._is_paused, self._journaled = True, ()
        return rows

    def resume(self) -> None:
        """Show the images again from the next frame on."""
        self._is_paused, self._next_event = False, "resume"

    def close_study(self, t_ns: int) -> list[dict[str, Any]]:
        """Take the study off the screen at ``t_ns``; return the rows ``off``, one per viewport."""
        rows = [self._emptied(v, t_ns, "off") for v in self.drawn]
        self.give_up_study()
        return rows

    def give_up_study(self) -> None:
        """Take the study off the screen without closing its reading: nobody finished it."""
        self._images, self._viewports, self._journaled, self._magnifier = (), (), (), None
        self._undo, self._left, self._reading_number = [], {}, 0
        self._next_event, self._is_paused = "on", False

    # Layout

    def _first_look(self, image: ImageView) -> ViewportState:
        plain = ViewportState(
            viewport_id=0,
            rect=self._area,
            image=image,
            scale=1.0,
            x_center_image_px=0.0,
            y_center_image_px=0.0,
            **of_preset(image.presets[0]),
        )
        return fitted(plain)

    def _arranged(self, viewports: Sequence[ViewportState]) -> tuple[ViewportState, ...]:
        """Place the viewports side by side; an image that filled its viewport fills the new one."""
        x0, y0, x1, y1 = self._area
        share = (x1 - x0) / max(1, len(viewports))
        moved = (
            (v, replace(v, viewport_id=place, rect=(x0 + share * place, y0, x0 + share * (place + 1), y1)))
            for place, v in enumerate(viewports)
        )
        return tuple(fitted(new) if fitted(old) == old else new for old, new in moved)

    def _show(self, viewports: Sequence[ViewportState]) -> None:
        """Show these, keeping those whose image leaves the screen for when it comes back."""
        shown = {v.image.image_index for v in viewports}
        self._left.update(
            {v.image.image_index: v for v in self._viewports if v.image.image_index not in shown}
        )
        self._viewports = tuple(viewports)

    def _again(self, image_index: int) -> ViewportState:
        return self._left.get(image_index) or self._first_look(self._images[image_index])

    def _hidden(self, after: int) -> list[int]:
        """Return the images that are not on screen, those after image ``after`` first."""
        shown = {v.image.image_index for v in self._viewports}
        n = len(self._images)
        turns = [(after + step) % n for step in range(1, n + 1)]
        return [place for place in turns if self._images[place].image_index not in shown]

    def _with_layout(self, action: Action) -> tuple[ViewportState, ...]:
        wanted = int(action.amount)
        if not 1 <= wanted <= LARGEST_LAYOUT:
            raise UsageError(f"there is no layout of {wanted} viewports (1 to {LARGEST_LAYOUT})")
        kept = self._viewports[action.viewport_id]
        if wanted == 1:
            return self._arranged([kept])
        others = [self._again(place) for place in self._hidden(self._place_of(kept))]
        both = [*self._viewports, *others][:wanted]
        return self._arranged(sorted(both, key=self._place_of))

    def _with_image(self, action: Action) -> tuple[ViewportState, ...]:
        wanted, old = int(action.amount), self._viewports[action.viewport_id]
        if wanted < 0:
            hidden = self._hidden(self._place_of(old))
            if not hidden:
                return self._viewports
            wanted = hidden[0]
        if wanted >= len(self._images):
            raise UsageError(f"the study has {len(self._images)} images, there is no number {wanted}")
        if any(self._place_of(v) == wanted for v in self._viewports):
            return self._viewports
        changed = list(self._viewports)
        changed[action.viewport_id] = self._again(wanted)
        return self._arranged(changed)

    def _place_of(self, v: ViewportState) -> int:
        return self._images.index(v.image)

    # Rows

    def _row(self, v: ViewportState, t_ns: int, event: str) -> dict[str, Any]:
        source, dest = v.shown()
        under = self._under_lens if v.viewport_id == LENS_VIEWPORT_ID else None
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
            "lens": [*v.rect, v.scale / under.scale] if under is not None else None,
        }

    def _emptied(self, v: ViewportState, t_ns: int, event: str) -> dict[str, Any]:
        return {**self._row(v, t_ns, event), **dict.fromkeys(_OF_AN_IMAGE)}


_OF_AN_IMAGE = (
    "image_index", "affine", "source_rect", "dest_rect", "window_center", "window_width", "voi", "preset_id", "lens",
)  # fmt: skip


def _changed(v: ViewportState, action: Action) -> ViewportState:
    match action.kind:
        case "fit":
            return fitted(v)
        case "one_to_one":
            return kept_visible(replace(v, scale=1.0))
        case "zoom":
            return zoomed(v, action.amount, action.x, action.y)
        case "pan":
            return panned(v, action.x, action.y)
        case "window":
            return windowed(v, action.x, action.y)
        case "window_drag":
            # A full sweep across the viewport doubles the width or moves the centre by one width.
            span = v.rect[2] - v.rect[0]
            return windowed(v, v.center + v.width * action.y / span, v.width * (1 + action.x / span))
        case "preset":
            index = int(action.amount)
            if not 0 <= index < len(v.image.presets):
                raise UsageError(f"the image has {len(v.image.presets)} presets, there is no number {index}")
            return replace(v, **of_preset(v.image.presets[index]))
        case "invert":
            return replace(v, inverted_by_reader=not v.inverted_by_reader)
        case "flip":
            # Flip comes before the turn; so a turned image turns the other way to flip left-right on screen.
            return replace(v, flipped=not v.flipped, quarter_turns=-v.quarter_turns % 4)
        case "rotate":
            return replace(v, quarter_turns=(v.quarter_turns + 1) % 4)
        case "reset":
            plain = replace(v, quarter_turns=0, flipped=False, inverted_by_reader=False)
            return fitted(replace(plain, **of_preset(v.image.presets[0])))
        case _:
            raise UsageError(f"unknown action {action.kind!r}")


def _carried_to(action: Action, acted_on: ViewportState, v: ViewportState) -> Action:
    """Return the same action at the same place relative to viewport ``v``."""
    if v is acted_on or action.kind != "zoom":
        return action
    return replace(
        action, x=action.x - acted_on.rect[0] + v.rect[0], y=action.y - acted_on.rect[1] + v.rect[1]
    )

"""What the display will show when: the reader's own copy of the viewer's model, fed with its planned actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gazecapture.viewer.model import Action, ImageView, Panel, ViewerModel, ViewportState

__all__ = ["DisplayPlan", "DisplayStates", "PlannedAction"]

Rect = tuple[float, float, float, float]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAction:
    """One action and when it is done, s since image on."""

    t_s: float
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayStates:
    """The display as a step function of time; m states, v viewports."""

    t_s: FloatArray
    """(m,) when each state begins, s since image on; the first is -inf."""
    to_screen: FloatArray
    """(m, v, 6) image px to screen px."""
    to_image: FloatArray
    """(m, v, 6) screen px to image px."""

    def screen(
        self, tau_s: FloatArray, viewport_id: NDArray[np.intp], x_image_px: FloatArray, y_image_px: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Map (n,) image points to the screen as shown at (n,) times; a viewport of -1 means screen px already."""
        return self._map(self.to_screen, tau_s, viewport_id, x_image_px, y_image_px)

    def image(
        self,
        tau_s: FloatArray,
        viewport_id: NDArray[np.intp],
        x_screen_px: FloatArray,
        y_screen_px: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Map (n,) screen points to the image shown in a viewport at (n,) times; -1 leaves them as they are."""
        return self._map(self.to_image, tau_s, viewport_id, x_screen_px, y_screen_px)

    def _map(
        self,
        affines: FloatArray,
        tau_s: FloatArray,
        viewport_id: NDArray[np.intp],
        x: FloatArray,
        y: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        state = np.searchsorted(self.t_s, tau_s, side="right") - 1
        a, b, c, d, e, f = affines[state, np.maximum(viewport_id, 0)].T
        on_image = viewport_id >= 0
        return np.where(on_image, a * x + b * y + c, x), np.where(on_image, d * x + e * y + f, y)


class DisplayPlan:
    """Collects planned actions and knows what each leads to."""

    def __init__(
        self, *, reading_number: int, area: Rect, images: Sequence[ImageView], panels: Sequence[Panel] = ()
    ) -> None:
        self._model = ViewerModel(area)
        self._model.set_panels(panels)
        self._model.open_study(reading_number, images)
        self.actions: list[PlannedAction] = []
        self._states: list[tuple[float, tuple[ViewportState, ...]]] = [(-np.inf, self._model.viewports)]

    @property
    def area(self) -> Rect:
        """Screen px in which viewports are laid out."""
        return self._model.area

    @property
    def panels(self) -> tuple[Panel, ...]:
        """What covers parts of the viewports."""
        return self._model.panels

    @property
    def viewports(self) -> tuple[ViewportState, ...]:
        """The state after the last action."""
        return self._model.viewports

    def viewport_of(self, image_index: int) -> ViewportState | None:
        """Return the viewport that shows an image, or None."""
        return next((v for v in self.viewports if v.image.image_index == image_index), None)

    def act(self, t_s: float, action: Action) -> None:
        """Do ``action`` at ``t_s``, which is not before the action before."""
        self._model.act(action)
        self.actions.append(PlannedAction(t_s=t_s, action=action))
        self._states.append((t_s, self._model.viewports))

    def states(self) -> DisplayStates:
        """Return the whole course of the display."""
        return DisplayStates(
            t_s=np.array([t for t, _ in self._states]),
            to_screen=np.array([[v.image_to_screen().coefficients for v in s] for _, s in self._states]),
            to_image=np.array([[v.screen_to_image().coefficients for v in s] for _, s in self._states]),
        )

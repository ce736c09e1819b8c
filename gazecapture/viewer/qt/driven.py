"""A sitting whose reader is a program: it is told what is on the screen, and what it asks for is done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject

from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.driver import DriverClient, hello_message, image_on_message
from gazecapture.viewer.qt.marking import Marking
from gazecapture.viewer.qt.screenshots import take_screenshot
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.session import ReadingSession
from keyframes.errors import UsageError

__all__ = ["DrivenSitting"]

_LOGGER = logging.getLogger(__name__)


class DrivenSitting(QObject):
    """Passes a sitting's news on to the driver, and its wishes on to the window.

    How films follow each other is the controller's: it listens to the driver's ``next_asked``, ``done`` and ``lost``.

    Parameters
    ----------
    screenshots : folder for the pictures that the driver asks for; None: it gets none.
    """

    def __init__(
        self, driver: DriverClient, session: ReadingSession, model: ViewerModel, *, screenshots: Path | None
    ) -> None:
        super().__init__()
        self.driver = driver
        self._session, self._model = session, model
        self._screenshots = screenshots
        self.counts: dict[str, Any] = {}
        """The driver's own, once it is done."""
        self.screenshot_files: list[str] = []

    def attach(
        self,
        window: ReadingWindow,
        marking: Marking,
        in_background: Callable[[Callable[[], None]], None],
    ) -> None:
        """Take the window that the driver acts on, and what runs its slow work."""

        def act(action: Action) -> None:
            try:
                window.act(action)
            except UsageError as error:
                _LOGGER.warning("the driver asked for something impossible: %s", error)

        def picture(name: str) -> None:
            if self._screenshots is not None:
                self.screenshot_files.append(take_screenshot(window, self._screenshots, name, in_background))

        self.driver.action_asked.connect(act)
        self.driver.finding_asked.connect(marking.put)
        self.driver.screenshot_asked.connect(picture)

    def greet(self) -> None:
        """Say what the screen is and how much there is to read."""
        self.driver.send(hello_message(self._session))

    def image_on(self, t_ns: int) -> None:
        """Say that the model's study came on the screen."""
        study_id = self._session.study(self._model.reading_number).study_id
        self.driver.send(image_on_message(self._model, study_id, t_ns))

    def image_off(self, number: int, t_ns: int) -> None:
        """Say that a study went off the screen."""
        self.driver.send({"type": "image_off", "reading_number": number, "t_ns": t_ns})

    def look(self, x_screen_px: float, y_screen_px: float) -> None:
        """Say that a point of a validation is on the screen."""
        self.driver.send({"type": "look", "x_screen_px": x_screen_px, "y_screen_px": y_screen_px})

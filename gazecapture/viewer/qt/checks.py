"""Measures the tracker between readings: what is due is run on the window's check screen, and journaled."""

from __future__ import annotations

import logging
import shlex
import subprocess
import threading
from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject, QRect, pyqtSignal
from PyQt6.QtGui import QScreen
from PyQt6.QtWidgets import QWidget

from gazecapture.clock import session_now_ns
from gazecapture.screen.policy import SittingQuality, Step
from gazecapture.session.validations import Row, Trigger
from gazecapture.viewer.gaze_check import GazeCheck
from gazecapture.viewer.live_gaze import LiveGaze
from gazecapture.viewer.qt.check_screen import CheckScreen
from gazecapture.viewer.settings import ValidationSettings
from keyframes.geometry import Display

__all__ = ["GazeChecks"]

_LOGGER = logging.getLogger(__name__)


class GazeChecks(QObject):
    """Runs checks, one at a time.

    Parameters
    ----------
    window            : is covered by the check screen, and yields the screen to a calibration.
    room              : gives the part of the window that may be covered, now.
    gaze              : started.
    write             : takes rows of the validation journal.
    calibrate_command : program with arguments; empty where the tracker has none.
    is_attended       : False where a simulated reader reads.
    seed              : of the points.
    """

    target_shown = pyqtSignal(float, float)
    """A point was painted, screen px."""
    _calibration_over = pyqtSignal(str)

    def __init__(
        self,
        window: QWidget,
        screen: QScreen,
        display: Display,
        *,
        room: Callable[[], QRect],
        gaze: LiveGaze,
        write: Callable[[Sequence[Row]], None],
        settings: ValidationSettings,
        calibrate_command: str = "",
        is_attended: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sitting = SittingQuality(settings.policy())
        self.last: GazeCheck | None = None
        """The check that was run last, or is running."""
        self._window, self._room, self._display = window, room, display
        self._gaze, self._write = gaze, write
        self._settings = settings
        self._calibrate_command, self._is_attended, self._seed = calibrate_command, is_attended, seed
        self._n_run = 0
        self._then: Callable[[], None] | None = None
        self.screen = CheckScreen(window, screen)
        self.screen.target_shown.connect(self.target_shown)
        self.screen.finished.connect(self._finished)
        self.screen.calibration_asked.connect(self._calibrate)
        self._calibration_over.connect(self._calibrated)

    def due_before_reading(self) -> Step:
        """Return what is due before the next study."""
        return self.sitting.before_reading(session_now_ns())

    def run(
        self, step: Step, *, background: float, then: Callable[[], None], trigger: Trigger | None = None
    ) -> None:
        """Run a check and call ``then`` when it is over, unless it is broken off by `stop`.

        background : grey of the radiographs around it, 0 to 1.
        """
        self._then = then
        self._n_run += 1
        self.screen.setGeometry(self._room())
        is_first = self.sitting.light is None
        self.last = GazeCheck(
            step=step,
            trigger=trigger or self._trigger(step),
            area=self.screen.area,
            display=self._display,
            sitting=self.sitting,
            write=self._write,
            seed=hash((self._seed, self._n_run)) & 0xFFFFFFFF,
            timing=self._settings.timing(),
            can_calibrate=bool(self._calibrate_command),
            is_attended=self._is_attended,
            with_baseline=self._settings.pupil_baseline and is_first,
        )
        self.screen.begin(self.last, self._gaze, background=background)

    def stop(self) -> None:
        """Break off what runs; `then` is not called any more."""
        self._then = None
        self.screen.end()

    def _trigger(self, step: Step) -> Trigger:
        if step == "drift":
            return "drift"
        if self.sitting.light is None:
            return "start"
        return "red" if self.sitting.is_blocked else "interval"

    def _finished(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    # The tracker's own calibration

    def _calibrate(self) -> None:
        self._window.hide()
        threading.Thread(target=self._run_calibration, name="calibrate", daemon=True).start()

    def _run_calibration(self) -> None:
        """Body of the thread that waits for the tracker's program."""
        try:
            done = subprocess.run(shlex.split(self._calibrate_command), stdin=subprocess.DEVNULL, check=False)
            outcome = f"exit code {done.returncode}"
        except (OSError, ValueError) as error:
            outcome = f"could not be run ({type(error).__name__})"
            _LOGGER.warning("the calibration command %s", outcome)
        self._calibration_over.emit(outcome)

    def _calibrated(self, outcome: str) -> None:
        self._window.show()  # with the geometry and the state that it had
        self._window.activateWindow()
        if self.last is not None and self._then is not None:
            self.last.calibrated(session_now_ns(), outcome)
            self.screen.setFocus()

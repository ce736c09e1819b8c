"""`gazecapture validate --display-lag`: a patch in a corner of the screen flips before a light sensor."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QRect, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QKeyEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from gazecapture.clock import session_now_ns
from gazecapture.screen.display_lag import LONGEST_LAG_MS, DisplayLag, measure_display_lag
from gazecapture.sources.light_sensor import LightSensor
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.surroundings import ending_on_signals, screen_of, setup_of, show_on
from gazecapture.viewer.session import ReadingSession
from gazecapture.viewer.station import Station

__all__ = ["FlipWindow", "measure_screen"]

PATCH_LOGICAL_PX = 160
"""Side of the patch; a sensor's window is some millimetres wide."""
SHORTEST_FLIP_MS, LONGEST_FLIP_MS = 300, 500
"""ms between flips, at random, so that they fall anywhere within a frame."""
SETTLE_MS = 1000
"""ms before the first flip: the window comes up, the sensor's stream begins."""


class FlipWindow(QWidget):
    """Black, with a patch that flips and notes when each flip was painted.

    n_flips : how often.
    seed    : of the times between.
    """

    finished = pyqtSignal()
    quit_asked = pyqtSignal()

    def __init__(self, n_flips: int, *, seed: int) -> None:
        super().__init__()
        self.setWindowTitle("gazecapture display lag")
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.flip_ns: list[int] = []
        self.is_bright: list[bool] = []
        self._n_flips = n_flips
        self._random = random.Random(seed)  # noqa: S311 - spread, not secrecy
        self._bright = False
        self._waits_for_paint = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._flip)

    def begin(self) -> None:
        """Begin to flip, after a second."""
        self._timer.start(SETTLE_MS)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the patch; of a flip, note when that was done."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.SURROUND)
        side = PATCH_LOGICAL_PX
        grey = 255 if self._bright else 0
        painter.fillRect(QRect(0, self.height() - side, side, side), QColor(grey, grey, grey))
        painter.setPen(theme.DIM)
        painter.drawRect(
            0, self.height() - side - 2, side + 1, side + 2
        )  # around it: it is black half of the time
        painter.setFont(theme.font(14))
        note = "Sensor onto the patch in the corner at the bottom left. Esc ends."
        painter.drawText(QRect(side + 24, self.height() - side, self.width() - side - 24, side), 0x80, note)
        painter.end()
        if self._waits_for_paint:
            self._waits_for_paint = False
            self.flip_ns.append(session_now_ns())
            self.is_bright.append(self._bright)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """End at Escape."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.quit_asked.emit()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """End; that closes the window."""
        if event is not None:
            event.ignore()
        self.quit_asked.emit()

    def _flip(self) -> None:
        if len(self.flip_ns) >= self._n_flips:
            self.finished.emit()
            return
        self._bright, self._waits_for_paint = not self._bright, True
        self.update()
        # After the last one, as long as the slowest screen needs to show it.
        is_last = len(self.flip_ns) + 1 >= self._n_flips
        wait_ms = (
            round(LONGEST_LAG_MS) + 50 if is_last else self._random.randint(SHORTEST_FLIP_MS, LONGEST_FLIP_MS)
        )
        self._timer.start(wait_ms)


def measure_screen(
    out: Path, station: Station, *, reader_code: str, sensor: str, n_flips: int
) -> DisplayLag | None:
    """Measure a screen's lag, write it into a session and return it; None where somebody broke it off.

    out : session folder; new, or any session of this screen.

    Raises UsageError where folder or screen do not fit, DeviceUnavailableError where there is no sensor, DataError
    where it did not see the patch.
    """
    application = make_application(station.size_px)
    screen = screen_of(application, station.screen_index)
    session = ReadingSession.open_without_studies(out, setup_of(screen, station, reader_code=reader_code))
    light = LightSensor(sensor)
    window = FlipWindow(n_flips, seed=session.info.created_unix_ns % 2**32)
    broken_off: list[BaseException | None] = []

    def end(problem: BaseException | None = None) -> None:
        broken_off.append(problem)
        application.exit(0)

    window.finished.connect(lambda: application.exit(0))
    window.quit_asked.connect(end)
    show_on(window, screen, station.size_px)
    light.start()
    window.begin()
    try:
        with ending_on_signals(end):
            application.exec()
    finally:
        window.hide()
        t_ns, values = light.stop()
    if broken_off:
        return None
    lag = measure_display_lag(np.array(window.flip_ns), np.array(window.is_bright), t_ns, values)
    session.note_display_lag(lag.lag_ms, lag.sd_ms)
    return lag

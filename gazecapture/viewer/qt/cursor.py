"""Reads the cursor while the window is open (`gazecapture.viewer.cursor_outlet`)."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QPointF, Qt, QTimer
from PyQt6.QtGui import QCursor, QScreen

from gazecapture.viewer.cursor_outlet import CURSOR_RATE_HZ, CursorOutlet

__all__ = ["CursorWatch", "cursor_on_screen"]


def cursor_on_screen(screen: QScreen) -> tuple[float, float]:
    """Return where the cursor's hot spot is: the middle of its pixel, in physical px from the screen's top left."""
    ratio = screen.devicePixelRatio()
    place = QPointF(QCursor.pos(screen)) - QPointF(screen.geometry().topLeft())
    return place.x() * ratio + 0.5, place.y() * ratio + 0.5


class CursorWatch(QObject):
    """Sends the cursor's place from now until `stop`."""

    def __init__(self, screen: QScreen, outlet: CursorOutlet) -> None:
        super().__init__()
        self._screen = screen
        self._outlet = outlet
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._send)
        self._timer.start(round(1000 / CURSOR_RATE_HZ))

    def stop(self) -> None:
        """Send nothing more."""
        self._timer.stop()

    def _send(self) -> None:
        self._outlet.push(*cursor_on_screen(self._screen))

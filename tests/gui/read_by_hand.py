"""Reads a worklist at a real window, as a person would with mouse and keyboard; run as a process by the tests.

usage: read_by_hand.py WORKLIST SESSION stream|mouse|none
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, cast

from PyQt6.QtCore import QEvent, QPoint, Qt, QTimer
from PyQt6.QtGui import QCursor, QKeyEvent
from PyQt6.QtWidgets import QApplication

from gazecapture.viewer.qt.app import ReadOptions, read_worklist
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.station import Station
from gazecapture.worklist import load_worklist

SIZE_PX = (800, 600)
TICK_MS = 50
TICKS_PER_STUDY = 20


class Hand:
    """Moves the cursor 5 px right and 3 down every tick, and goes on to the next study after a second of one."""

    def __init__(self) -> None:
        self.n = 0
        self.timer = QTimer()
        self.timer.timeout.connect(self.tick)
        self.timer.start(TICK_MS)

    def tick(self) -> None:
        QCursor.setPos(QPoint(100 + 5 * (self.n % 100), 100 + 3 * (self.n % 100)))
        windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, ReadingWindow)]
        if not windows or (windows[0].canvas.is_blank and not windows[0].message.isVisible()):
            return
        self.n += 1
        if self.n % TICKS_PER_STUDY == 0 or windows[0].message.isVisible():
            pressed = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_N, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(windows[0], pressed)


def main() -> None:
    worklist, session, gaze = sys.argv[1:]
    application = make_application(SIZE_PX)
    hand = Hand()
    options = ReadOptions(
        out=Path(session),
        reader_code="R1",
        station=Station(
            size_px=SIZE_PX,
            gaze=cast("Literal['stream', 'mouse', 'none']", gaze),
            display_mm=(400.0, 300.0),
            distance_mm=600.0,
        ),
        validates=False,
    )
    summary = read_worklist(load_worklist(Path(worklist)), options, lambda line: None)
    hand.timer.stop()
    application.quit()
    sys.stdout.write(f"{summary.n_read} read\n")


if __name__ == "__main__":
    main()

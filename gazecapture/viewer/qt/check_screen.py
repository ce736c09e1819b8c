"""The screen of a validation or drift check: points, result, reason. It draws a `GazeCheck` and passes keys on."""

from __future__ import annotations

import math

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QScreen
from PyQt6.QtWidgets import QLineEdit, QWidget

from gazecapture.clock import session_now_ns
from gazecapture.screen.measures import EyeSummary, Light, PointMeasure
from gazecapture.screen.targets import Rect
from gazecapture.viewer.gaze_check import GazeCheck, Key, Page
from gazecapture.viewer.live_gaze import LiveGaze
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.screens import rect_on_screen

__all__ = ["CheckScreen"]

TICK_MS = 8
"""ms between two looks at clock and gaze; shorter than a frame of any screen in use."""
LARGEST_RADIUS_PX, SMALLEST_RADIUS_PX, DOT_RADIUS_PX = 22.0, 9.0, 2.5
"""Logical px of the target, which shrinks while the eye settles, and of the dot in its middle."""
CROSS_PX = 18.0
NEAR_PX = 40.0
"""Logical px around a shown point within which a click asks for it to be measured again."""
DARK_BACKGROUND = 0.45
"""Grey above which targets and text are black instead of white."""

_KEYS = {
    Qt.Key.Key_Return: Key.GO_ON,
    Qt.Key.Key_Enter: Key.GO_ON,
    Qt.Key.Key_Space: Key.GO_ON,
    Qt.Key.Key_R: Key.REPEAT_POINT,
    Qt.Key.Key_V: Key.AGAIN,
    Qt.Key.Key_C: Key.CALIBRATE,
    Qt.Key.Key_O: Key.OVERRIDE,
}
_KEY_TEXTS = {
    Key.GO_ON: "Enter  go on",
    Key.REPEAT_POINT: "R  worst point again (or click a point)",
    Key.AGAIN: "V  all points again",
    Key.CALIBRATE: "C  calibrate",
    Key.OVERRIDE: "O  go on all the same",
}
_LIGHTS = {
    Light.GREEN: (QColor(96, 176, 112), "Good"),
    Light.AMBER: (QColor(216, 164, 72), "Fair: a calibration would help"),
    Light.RED: (QColor(206, 92, 82), "Poor: please calibrate again"),
    Light.UNKNOWN: (QColor(140, 150, 160), "No degrees: screen size or distance is unknown"),
}
_HEADS = ("Eye", "Mean error", "Largest", "RMS-S2S", "SD", "Loss", "Points")
_COLUMNS_PX = (24, 90, 186, 262, 342, 402, 460)
"""Logical px from the card's left edge."""
_FIELD_STYLE = (
    f"QLineEdit {{ background: {theme.PANEL.name()}; color: {theme.TEXT.name()}; border: 1px solid "
    f"{theme.EDGE.name()}; border-radius: 6px; padding: 6px; }}"
)
_CENTRE = Qt.AlignmentFlag.AlignCenter


class CheckScreen(QWidget):
    """Covers the window while a check runs.

    `target_shown` tells, in screen px, which point has just been painted.
    """

    target_shown = pyqtSignal(float, float)
    calibration_asked = pyqtSignal()
    finished = pyqtSignal()

    def __init__(self, parent: QWidget, screen: QScreen) -> None:
        super().__init__(parent)
        self._screen = screen
        self._check: GazeCheck | None = None
        self._gaze: LiveGaze | None = None
        self._grey = 0.0
        self._told: tuple[Page, int | None] | None = None
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._reason = QLineEdit(self)
        self._reason.setFont(theme.font(15))
        self._reason.setStyleSheet(_FIELD_STYLE)
        self._reason.setPlaceholderText("Reason, then Enter (Esc: back)")
        self._reason.hide()
        self._reason.returnPressed.connect(self._reason_given)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.hide()

    @property
    def area(self) -> Rect:
        """Where points may be, screen px."""
        return rect_on_screen(self, self._screen)

    def begin(self, check: GazeCheck, gaze: LiveGaze, *, background: float) -> None:
        """Show a check. background : grey of the radiographs around it, 0 to 1, so that the pupil stays as it is."""
        self._check, self._gaze, self._grey = check, gaze, float(np.clip(background, 0.0, 1.0))
        self._told = None
        gaze.take()  # what came before belongs to no point
        self.show()
        self.raise_()
        self.setFocus()
        self._timer.start()
        self.update()

    def end(self) -> None:
        """Take the check off the screen, finished or not."""
        self._timer.stop()
        self._check = self._gaze = None
        self._reason.hide()
        self.hide()

    def _tick(self) -> None:
        check, gaze = self._check, self._gaze
        if check is None or gaze is None:
            return
        check.feed(gaze.take())
        check.tick(session_now_ns())
        self._follow(check)
        self.update()

    def _follow(self, check: GazeCheck) -> None:
        """Do what the page that has just come up asks for."""
        if check.page is Page.DONE:
            self.end()
            self.finished.emit()
        elif check.page is Page.CALIBRATION and self._told != (Page.CALIBRATION, None):
            self._told = (Page.CALIBRATION, None)
            self.calibration_asked.emit()
        elif check.page is Page.REASON and not self._reason.isVisible():
            self._reason.clear()
            self._reason.setGeometry(self.width() // 2 - 260, self.height() // 2 + 60, 520, 36)
            self._reason.show()
            self._reason.setFocus()
        elif check.page is not Page.REASON and self._reason.isVisible():
            self._reason.hide()
            self.setFocus()

    # Input

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Turn a key into what it asks for."""
        check = self._check
        if event is None or check is None or event.isAutoRepeat():
            return
        if check.page is Page.REASON and event.key() == Qt.Key.Key_Escape:
            check.give_reason("", session_now_ns())
        elif check.page is Page.INTRODUCTION:
            check.press(Key.GO_ON)
        elif event.key() in _KEYS:
            check.press(_KEYS[Qt.Key(event.key())])
        else:
            event.ignore()  # closing the session works here as everywhere
            return
        self._follow(check)
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Measure the clicked point of a result again."""
        check = self._check
        if event is None or check is None or check.result is None or check.page is not Page.RESULT:
            return
        for point in check.result.points:
            at = self._place(point.target.x_screen_px, point.target.y_screen_px)
            if (at - event.position()).manhattanLength() < NEAR_PX:
                check.repeat_point(point.target.index)
                return

    def _reason_given(self) -> None:
        if self._check is not None:
            self._check.give_reason(self._reason.text(), session_now_ns())
            self._follow(self._check)

    # Painting

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the page."""
        painter = QPainter(self)
        level = round(255 * self._grey)
        painter.fillRect(self.rect(), QColor(level, level, level))
        check = self._check
        if check is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_page(painter, check)
        painter.end()
        if check is not None:
            self._tell_shown(check)

    def _tell_shown(self, check: GazeCheck) -> None:
        check.shown(session_now_ns())
        target = check.target
        now = (check.page, None if target is None else target.index)
        if target is not None and now != self._told:
            self.target_shown.emit(target.x_screen_px, target.y_screen_px)
        if check.page is not Page.CALIBRATION:
            self._told = now

    @property
    def _ink(self) -> QColor:
        return QColor(20, 20, 20) if self._grey > DARK_BACKGROUND else theme.TEXT

    def _place(self, x_screen_px: float, y_screen_px: float) -> QPointF:
        x0, y0, _, _ = self.area
        ratio = self._screen.devicePixelRatio()
        return QPointF((x_screen_px - x0) / ratio, (y_screen_px - y0) / ratio)

    def _paint_page(self, painter: QPainter, check: GazeCheck) -> None:
        target = check.target
        if target is not None:
            self._paint_target(painter, self._place(target.x_screen_px, target.y_screen_px), check)
        elif check.page is Page.BASELINE:
            self._paint_cross(painter)
        elif check.page is Page.INTRODUCTION:
            self._lines(painter, ["Look at each point until it is gone.", "", "Any key begins."])
        elif check.page is Page.CALIBRATION:
            self._lines(painter, ["The tracker's own calibration is running."])
        elif check.page is Page.REASON:
            self._lines(painter, ["Why go on with this result?"])
        elif check.result is not None:
            self._paint_result(painter, check)

    def _paint_target(self, painter: QPainter, at: QPointF, check: GazeCheck) -> None:
        share = check.run.progress(session_now_ns())
        radius = LARGEST_RADIUS_PX + (SMALLEST_RADIUS_PX - LARGEST_RADIUS_PX) * share
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._ink)
        painter.drawEllipse(at, radius, radius)
        level = round(255 * self._grey)
        painter.setBrush(QColor(level, level, level))
        painter.drawEllipse(at, DOT_RADIUS_PX, DOT_RADIUS_PX)

    def _paint_cross(self, painter: QPainter) -> None:
        middle = QPointF(self.width() / 2, self.height() / 2)
        painter.setPen(QPen(self._ink, 3.0))
        for way in (QPointF(CROSS_PX, 0.0), QPointF(0.0, CROSS_PX)):
            painter.drawLine(middle - way, middle + way)

    def _paint_result(self, painter: QPainter, check: GazeCheck) -> None:
        result = check.result
        if result is None:
            return
        for point in result.points:
            if point.eye == "both":
                self._paint_point(painter, point)
        colour, verdict = _LIGHTS[result.light]
        # Between the middle row of points and the lowest one.
        box = QRectF(self.width() / 2 - 270, self.height() * 0.56, 540, 214)
        painter.setPen(QPen(theme.EDGE, 1.0))
        painter.setBrush(theme.PANEL)
        painter.drawRoundedRect(box, 8.0, 8.0)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(QPointF(box.left() + 34, box.top() + 36), 10.0, 10.0)
        painter.setPen(theme.TEXT)
        painter.setFont(theme.font(17, bold=True))
        painter.drawText(
            QRectF(box.left() + 58, box.top() + 20, 430, 32), Qt.AlignmentFlag.AlignVCenter, verdict
        )
        n_points = len({p.target.index for p in result.points})
        for row, cells in enumerate([_HEADS, *(_cells(eye, n_points) for eye in result.eyes)]):
            painter.setPen(theme.TEXT if row else theme.DIM)
            painter.setFont(theme.font(13 if row else 12))
            for left, cell in zip(_COLUMNS_PX, cells, strict=True):
                place = QRectF(box.left() + left, box.top() + 54 + 22 * row, 110, 22)
                painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, cell)
        painter.setPen(theme.DIM)
        painter.setFont(theme.font(12))
        texts = [_KEY_TEXTS[key] for key in check.keys]
        painter.drawText(QRectF(box.left() + 24, box.bottom() - 60, 500, 22), 0, "     ".join(texts[:2]))
        painter.drawText(QRectF(box.left() + 24, box.bottom() - 36, 500, 22), 0, "     ".join(texts[2:]))

    def _paint_point(self, painter: QPainter, point: PointMeasure) -> None:
        at = self._place(point.target.x_screen_px, point.target.y_screen_px)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self._ink, 1.5))
        painter.drawEllipse(at, SMALLEST_RADIUS_PX, SMALLEST_RADIUS_PX)
        painter.setFont(theme.font(12))
        if not math.isfinite(point.gaze_x_screen_px):
            painter.drawText(at + QPointF(14, 5), "not seen")
            return
        gaze = self._place(point.gaze_x_screen_px, point.gaze_y_screen_px)
        painter.setPen(QPen(theme.NOTICE, 2.0))
        painter.drawLine(at, gaze)
        painter.drawEllipse(gaze, 4.0, 4.0)
        painter.setPen(self._ink)
        figure = f"{point.accuracy_deg:.2f}°" if math.isfinite(point.accuracy_deg) else ""
        painter.drawText(at + QPointF(14, 5), figure)

    def _lines(self, painter: QPainter, lines: list[str]) -> None:
        painter.setPen(self._ink)
        painter.setFont(theme.font(19))
        painter.drawText(QRectF(0, 0, self.width(), self.height() - 40), _CENTRE, "\n".join(lines))


def _cells(eye: EyeSummary, n_points: int) -> tuple[str, ...]:
    name = {"left": "Left", "right": "Right", "both": "Both"}[eye.eye]
    angles = (eye.accuracy_deg, eye.accuracy_max_deg, eye.rms_s2s_deg, eye.sd_deg)
    figures = (f"{angle:.2f}°" if math.isfinite(angle) else "-" for angle in angles)
    return (name, *figures, f"{eye.loss_share:.0%}", f"{eye.n_points} of {n_points}")

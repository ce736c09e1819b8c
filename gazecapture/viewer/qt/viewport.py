"""The surface that shows the viewports: draws the model's state and says when it was presented.

One widget paints all viewports of a study, so that what a frame shows is one state of the model, and is journaled as
one. The mouse becomes actions in screen px here; the keyboard does in the window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PyQt6.QtCore import QElapsedTimer, QPointF, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import QWidget

from gazecapture.viewer.findings import SMALLEST_BOX_PX, Box, Finding
from gazecapture.viewer.model import Action, Rect, ViewerModel, ViewportState
from gazecapture.viewer.qt import theme
from gazecapture.viewer.render import Picture, ViewportRenderer, pixel_rect

__all__ = ["Canvas", "DrawnBox"]

WHEEL_NOTCH = 120
"""Eighths of a degree per wheel notch, as Qt counts them."""
LABEL_GAP = 5.0
LABEL_HEIGHT = 16.0
"""Logical px of a finding's label."""

DragKind = Literal["pan", "window_drag", "box"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A box that the reader drew, in image px, inside its image."""

    viewport_id: int
    image_index: int
    box: Box


@dataclass(frozen=True, slots=True)
class _Mark:
    """A finding's box and its viewport, in the widget's logical px."""

    viewport: QRectF
    rect: QRectF
    label: str


@dataclass(slots=True)
class _Drag:
    kind: DragKind
    viewport_id: int
    start: QPointF
    last: QPointF
    moved: bool = False


class Canvas(QWidget):
    """Shows a `ViewerModel` on the screen.

    Parameters
    ----------
    model        : the state to show.
    before_frame : called before a new state is drawn; brings the model's area and panels to where the widgets are.
    on_presented : called at the end of every paint that brought a new state, before anything else happens; the
        display journal's time is taken there.
    """

    acted = pyqtSignal(Action, bool)
    """An action asked for by the mouse, and whether it goes on with a drag."""
    box_drawn = pyqtSignal(DrawnBox)

    def __init__(
        self,
        model: ViewerModel,
        parent: QWidget,
        *,
        before_frame: Callable[[], None],
        on_presented: Callable[[], None],
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self._model = model
        self._before_frame = before_frame
        self._on_presented = on_presented
        self._renderers: tuple[ViewportRenderer, ...] = ()
        self._findings: tuple[Finding, ...] = ()
        self._pixels = np.zeros((1, 1), np.uint8)
        self._image = QImage()
        self._marks: list[_Mark] = []
        self._fresh = False
        self._blank = True
        self._drag: _Drag | None = None
        self._cursor = QPointF()
        self.panning = False
        """The space key is held: a left drag pans."""
        self.drawing_box = False
        """The next left drag draws a finding's box."""
        self._since_frame = QElapsedTimer()
        self._frame_timer = QTimer(self)
        self._frame_timer.setSingleShot(True)
        self._frame_timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._frame_timer.timeout.connect(self._demand_frame)
        self.frame_interval_ms = 0.0
        """Frames are not drawn faster than this; 0: as they are asked for."""

    @property
    def is_blank(self) -> bool:
        """Whether the surface shows no study."""
        return self._blank

    def show_pictures(self, pictures: Sequence[Picture]) -> None:
        """Show the model's study from the next frame on; ``pictures`` in the order of its viewports."""
        self._renderers = tuple(ViewportRenderer(picture) for picture in pictures)
        self._blank = False
        self._drag = None
        self.request_frame()

    def show_nothing(self) -> None:
        """Show black from the next frame on."""
        self._blank = True
        self._drag = None
        self._findings = ()
        self.request_frame()

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Draw these findings over their images."""
        self._findings = tuple(findings)
        self.request_frame()

    def request_frame(self) -> None:
        """Have the present state drawn with the coming frame."""
        if self._frame_timer.isActive():
            return
        passed_ms = self._since_frame.elapsed() if self._since_frame.isValid() else self.frame_interval_ms
        self._frame_timer.start(max(0, round(self.frame_interval_ms - passed_ms)))

    def present_now(self) -> None:
        """Draw the present state at once (a screenshot must not show an old one)."""
        self._frame_timer.stop()
        self._fresh = True
        self.repaint()

    def cursor_screen_px(self) -> tuple[float, float]:
        """Return where the mouse was last, in screen px."""
        return self._to_screen(self._cursor)

    def viewport_under_cursor(self) -> int:
        """Return the viewport that keys act on: the one under the mouse, or the first."""
        return self._model.viewport_at(*self.cursor_screen_px()) or 0

    def cancel(self) -> None:
        """Give up a drag or the drawing of a box."""
        self._drag = None
        self.set_drawing_box(False)
        self.request_frame()

    def set_drawing_box(self, on: bool) -> None:
        """Make the next left drag draw a box, or not."""
        self.drawing_box = on
        self.setCursor(Qt.CursorShape.CrossCursor if on else Qt.CursorShape.ArrowCursor)

    # Painting

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw; where the frame brings a new state, say so at the very end."""
        # A paint that merely uncovers a part shows the last frame again, for it does not redraw the rest.
        fresh, self._fresh = self._fresh, False
        if fresh:
            self._compose()
        painter = QPainter(self)
        painter.drawImage(QPointF(0.0, 0.0), self._image)
        if not self._blank:
            self._paint_marks(painter)
        painter.end()
        if fresh:
            self._since_frame.restart()
            self._on_presented()

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Qt draws the whole surface after this; let it be the new state."""
        self._fresh = True
        self.update()

    def _demand_frame(self) -> None:
        self._fresh = True
        self.update()

    def _compose(self) -> None:
        """Draw the model's state into the image that is painted."""
        self._before_frame()
        ratio = self.devicePixelRatioF()
        width, height = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        if (self._image.width(), self._image.height()) != (width, height):
            self._image = QImage(width, height, QImage.Format.Format_Grayscale8)
            # The image owns the buffer; the array is a view of it and goes when the image goes.
            buffer: Any = self._image.bits()
            buffer.setsize(self._image.sizeInBytes())
            stride = self._image.bytesPerLine()
            self._pixels = np.frombuffer(buffer, np.uint8).reshape(height, stride)[:, :width]
        self._image.setDevicePixelRatio(ratio)
        self._marks = []
        if self._blank:
            self._pixels[:] = 0
            return
        x0, y0, _, _ = pixel_rect(self._model.area)
        for renderer, state in zip(self._renderers, self._model.viewports, strict=True):
            renderer.draw(state, self._pixels, x0, y0)
            self._marks += self._marks_of(state)

    def _marks_of(self, state: ViewportState) -> list[_Mark]:
        to_screen = state.image_to_screen()
        x0, y0, x1, y1 = state.rect
        viewport = QRectF(self._to_widget(x0, y0), self._to_widget(x1, y1))
        marks = []
        for finding in self._findings:
            if finding.box is None or finding.image_index != state.image.image_index:
                continue
            xs, ys = to_screen.apply(finding.box[0::2], finding.box[1::2])
            corners = self._to_widget(xs[0], ys[0]), self._to_widget(xs[1], ys[1])
            marks.append(_Mark(viewport, QRectF(*corners).normalized(), finding.label))
        return marks

    def _paint_marks(self, painter: QPainter) -> None:
        painter.setFont(theme.font(12))
        painter.setPen(QPen(theme.FINDING, 1.0))
        for mark in self._marks:
            painter.setClipRect(mark.viewport)
            painter.drawRect(mark.rect)
            # Above the box; inside it where the viewport ends there.
            top = mark.rect.top() - LABEL_GAP
            if top - LABEL_HEIGHT < mark.viewport.top():
                top = max(mark.rect.top(), mark.viewport.top()) + LABEL_HEIGHT
            place = QPointF(max(mark.rect.left(), mark.viewport.left()) + LABEL_GAP, top)
            # A shadow keeps it legible on bright bone.
            for offset, colour in ((QPointF(1.0, 1.0), theme.SURROUND), (QPointF(), theme.FINDING)):
                painter.setPen(QPen(colour, 1.0))
                painter.drawText(place + offset, mark.label)
        painter.setClipping(False)
        if self._drag is not None and self._drag.kind == "box" and self._drag.moved:
            painter.setPen(QPen(theme.FINDING, 1.0, Qt.PenStyle.DashLine))
            painter.drawRect(QRectF(self._drag.start, self._drag.last).normalized())
        if len(self._model.viewports) > 1:
            painter.setPen(QPen(theme.EDGE, 1.0))
            for state in self._model.viewports[1:]:
                x = self._to_widget(state.rect[0], state.rect[1]).x()
                painter.drawLine(QPointF(x, 0.0), QPointF(x, float(self.height())))

    # The mouse

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 - Qt's name
        """Zoom to the cursor."""
        if event is None or self._blank:
            return
        x, y = self._to_screen(event.position())
        viewport = self._model.viewport_at(x, y)
        notches = event.angleDelta().y() / WHEEL_NOTCH
        if viewport is not None and notches:
            self.acted.emit(Action(kind="zoom", viewport_id=viewport, x=x, y=y, amount=notches), False)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Begin a drag."""
        if event is None or self._blank or self._drag is not None:
            return
        kind = self._drag_kind(event.button())
        viewport = self._model.viewport_at(*self._to_screen(event.position()))
        if kind is not None and viewport is not None:
            self._drag = _Drag(kind=kind, viewport_id=viewport, start=event.position(), last=event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Go on with a drag."""
        if event is None:
            return
        self._cursor = event.position()
        drag = self._drag
        if drag is None or event.position() == drag.last:
            return
        moved = event.position() - drag.last
        continues, drag.moved, drag.last = drag.moved, True, event.position()
        if drag.kind == "box":
            self.request_frame()
            return
        ratio = self.devicePixelRatioF()
        self.acted.emit(
            Action(kind=drag.kind, viewport_id=drag.viewport_id, x=moved.x() * ratio, y=moved.y() * ratio),
            continues,
        )

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """End a drag."""
        drag, self._drag = self._drag, None
        if event is None or drag is None or drag.kind != "box":
            return
        self.set_drawing_box(False)
        self.request_frame()
        box = self._box_of(drag)
        if box is not None:
            self.box_drawn.emit(box)

    def _drag_kind(self, button: Qt.MouseButton) -> DragKind | None:
        if button == Qt.MouseButton.MiddleButton or (button == Qt.MouseButton.LeftButton and self.panning):
            return "pan"
        if button == Qt.MouseButton.RightButton:
            return "window_drag"
        return "box" if button == Qt.MouseButton.LeftButton and self.drawing_box else None

    def _box_of(self, drag: _Drag) -> DrawnBox | None:
        state = self._model.viewports[drag.viewport_id]
        to_image = state.screen_to_image()
        (x0, y0), (x1, y1) = self._to_screen(drag.start), self._to_screen(drag.last)
        xs, ys = to_image.apply([x0, x1], [y0, y1])
        xs, ys = np.clip(xs, 0, state.image.width_px), np.clip(ys, 0, state.image.height_px)
        box = (float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys)))
        if box[2] - box[0] < SMALLEST_BOX_PX or box[3] - box[1] < SMALLEST_BOX_PX:
            return None
        return DrawnBox(viewport_id=drag.viewport_id, image_index=state.image.image_index, box=box)

    def _to_screen(self, point: QPointF) -> tuple[float, float]:
        area: Rect = self._model.area
        ratio = self.devicePixelRatioF()
        return area[0] + point.x() * ratio, area[1] + point.y() * ratio

    def _to_widget(self, x_screen_px: float, y_screen_px: float) -> QPointF:
        area, ratio = self._model.area, self.devicePixelRatioF()
        return QPointF((x_screen_px - area[0]) / ratio, (y_screen_px - area[1]) / ratio)

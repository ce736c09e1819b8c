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
from gazecapture.viewer.magnifier import LENS_FACTOR
from gazecapture.viewer.measures import SHORTEST_LINE_PX, Line, Measure, Spacing
from gazecapture.viewer.model import Action, Rect, ViewerModel, ViewportState
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.marks import (
    DrawnMark,
    finding_marks,
    measure_marks,
    paint_marks,
    paint_unfinished,
)
from gazecapture.viewer.render import Picture, ViewportRenderer, pixel_rect

__all__ = ["Canvas", "DrawnBox", "Pen"]

WHEEL_NOTCH = 120
"""Eighths of a degree per wheel notch, as Qt counts them."""
REFINED_AFTER_MS = 120
"""ms that a coarsely drawn image rests before it is drawn finely: longer than between two steps of a slow drag."""

Pen = Literal["box", "ellipse", "line"]
"""What a left drag draws."""
DragKind = Literal["pan", "window_drag", "draw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A box, or an ellipse by its bounds, that the reader drew, in image px, inside its image."""

    viewport_id: int
    image_index: int
    box: Box
    shape: str = "box"


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
    line_drawn = pyqtSignal(Line)

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
        self._pictures: dict[int, Picture] = {}
        self._renderers: dict[tuple[int, int], ViewportRenderer] = {}
        """By viewport and image: an image that comes back is not resampled again."""
        self._findings: tuple[Finding, ...] = ()
        self._measures: tuple[Measure, ...] = ()
        self._pixels = np.zeros((1, 1), np.uint8)
        self._image = QImage()
        self._marks: list[DrawnMark] = []
        self._fresh = False
        self._blank = True
        self._drag: _Drag | None = None
        self._cursor = QPointF()
        self.panning = False
        """The space key is held: a left drag pans."""
        self.pen: Pen | None = None
        """What the next left drag draws, if anything."""
        self.magnifying = False
        """A magnifier follows the cursor."""
        self._rest_timer = QTimer(self)
        self._rest_timer.setSingleShot(True)
        self._rest_timer.timeout.connect(self._refine)
        self._refining = False
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
        """Show the model's study from the next frame on."""
        self._pictures = {picture.view.image_index: picture for picture in pictures}
        self._renderers = {}
        self._blank = False
        self._drag = None
        self._refining = True  # the first look at a film is never a coarse one
        self.request_frame()

    def spacing_of(self, image_index: int) -> Spacing:
        """Return the spacing of an image of the study on screen."""
        film = self._pictures[image_index].radiograph
        return Spacing(x_mm=film.spacing_x_mm, y_mm=film.spacing_y_mm, kind=film.spacing_kind)

    def show_nothing(self) -> None:
        """Show black from the next frame on."""
        self._blank, self._drag, self.magnifying = True, None, False
        self._findings, self._measures = (), ()
        self.request_frame()

    def show_again(self) -> None:
        """Show the study that `show_nothing` took away, after a pause."""
        self._blank, self._refining = False, True
        self.request_frame()

    def show_findings(self, findings: Sequence[Finding], measures: Sequence[Measure] = ()) -> None:
        """Draw these findings and measures over their images."""
        self._findings, self._measures = tuple(findings), tuple(measures)
        self.request_frame()

    def request_frame(self) -> None:
        """Have the present state drawn with the coming frame."""
        if self._frame_timer.isActive():
            return
        passed_ms = self._since_frame.elapsed() if self._since_frame.isValid() else self.frame_interval_ms
        self._frame_timer.start(max(0, round(self.frame_interval_ms - passed_ms)))

    def present_now(self, *, refined: bool = True) -> None:
        """Draw the present state at once (a screenshot must not show an old one), finely or as while it moves."""
        self._frame_timer.stop()
        self._fresh = True
        self._refining = self._refining or refined
        self.repaint()

    def cursor_screen_px(self) -> tuple[float, float]:
        """Return where the mouse was last, in screen px."""
        return self._to_screen(self._cursor)

    def viewport_under_cursor(self) -> int:
        """Return the viewport that keys act on: the one under the mouse, or the first."""
        return self._model.viewport_at(*self.cursor_screen_px()) or 0

    def cancel(self) -> None:
        """Give up a drag or the drawing of a mark."""
        self._drag = None
        self.set_pen(None)
        self.request_frame()

    def set_pen(self, pen: Pen | None) -> None:
        """Make the next left drag draw something, or not."""
        self.pen = pen
        self.setCursor(Qt.CursorShape.ArrowCursor if pen is None else Qt.CursorShape.CrossCursor)

    def set_magnifying(self, on: bool) -> None:
        """Let a magnifier follow the cursor, or take it away."""
        self.magnifying = on
        self._move_lens()

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

    def _refine(self) -> None:
        self._refining = True
        self.request_frame()

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
        moving, self._refining = not self._refining, False
        is_fine = True
        for state in self._model.drawn:
            is_fine &= self._renderer(state).draw(state, self._pixels, x0, y0, moving=moving)
            self._marks += finding_marks(state, self._findings, self._to_widget)
            spacing = self.spacing_of(state.image.image_index)
            self._marks += measure_marks(state, self._measures, spacing, self._to_widget)
        if not is_fine:
            self._rest_timer.start(REFINED_AFTER_MS)

    def _renderer(self, state: ViewportState) -> ViewportRenderer:
        key = (state.viewport_id, state.image.image_index)
        if key not in self._renderers:
            self._renderers[key] = ViewportRenderer(self._pictures[state.image.image_index])
        return self._renderers[key]

    def _paint_marks(self, painter: QPainter) -> None:
        paint_marks(painter, self._marks)
        lens = self._model.lens
        if lens is not None:
            painter.setPen(QPen(theme.EDGE, 1.0))
            painter.drawRect(QRectF(self._to_widget(*lens.rect[:2]), self._to_widget(*lens.rect[2:])))
        if self._drag is not None and self._drag.kind == "draw" and self._drag.moved:
            paint_unfinished(painter, self.pen or "box", self._drag.start, self._drag.last)
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
        if self.magnifying:
            self._move_lens()
        drag = self._drag
        if drag is None or event.position() == drag.last:
            return
        moved = event.position() - drag.last
        continues, drag.moved, drag.last = drag.moved, True, event.position()
        if drag.kind == "draw":
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
        if event is None or drag is None or drag.kind != "draw":
            return
        pen = self.pen
        self.set_pen(None)
        self.request_frame()
        if pen == "line":
            line = self._line_of(drag)
            if line.length_px >= SHORTEST_LINE_PX:
                self.line_drawn.emit(line)
        elif pen is not None:
            box = self._box_of(drag, pen)
            if box is not None:
                self.box_drawn.emit(box)

    def _move_lens(self) -> None:
        """Put the magnifier about the cursor, or take it away; it is no step that undo takes back."""
        if self._blank or not self._model.viewports:
            return
        x, y = self.cursor_screen_px()
        viewport = self._model.viewport_at(x, y)
        factor = LENS_FACTOR if self.magnifying and viewport is not None else 0.0
        self.acted.emit(Action(kind="lens", viewport_id=viewport or 0, x=x, y=y, amount=factor), False)

    def _drag_kind(self, button: Qt.MouseButton) -> DragKind | None:
        if button == Qt.MouseButton.MiddleButton or (button == Qt.MouseButton.LeftButton and self.panning):
            return "pan"
        if button == Qt.MouseButton.RightButton:
            return "window_drag"
        return "draw" if button == Qt.MouseButton.LeftButton and self.pen is not None else None

    def _ends_of(self, drag: _Drag) -> tuple[ViewportState, Any, Any]:
        """Return the viewport that a drag began in and its ends as image px, inside the image."""
        state = self._model.viewports[drag.viewport_id]
        (x0, y0), (x1, y1) = self._to_screen(drag.start), self._to_screen(drag.last)
        xs, ys = state.screen_to_image().apply([x0, x1], [y0, y1])
        return state, np.clip(xs, 0, state.image.width_px), np.clip(ys, 0, state.image.height_px)

    def _box_of(self, drag: _Drag, shape: str) -> DrawnBox | None:
        state, xs, ys = self._ends_of(drag)
        box = (float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys)))
        if box[2] - box[0] < SMALLEST_BOX_PX or box[3] - box[1] < SMALLEST_BOX_PX:
            return None
        return DrawnBox(
            viewport_id=drag.viewport_id, image_index=state.image.image_index, box=box, shape=shape
        )

    def _line_of(self, drag: _Drag) -> Line:
        state, (x0, x1), (y0, y1) = self._ends_of(drag)
        return Line(
            image_index=state.image.image_index, x0=float(x0), y0=float(y0), x1=float(x1), y1=float(y1)
        )

    def _to_screen(self, point: QPointF) -> tuple[float, float]:
        area: Rect = self._model.area
        ratio = self.devicePixelRatioF()
        return area[0] + point.x() * ratio, area[1] + point.y() * ratio

    def _to_widget(self, x_screen_px: float, y_screen_px: float) -> QPointF:
        area, ratio = self._model.area, self.devicePixelRatioF()
        return QPointF((x_screen_px - area[0]) / ratio, (y_screen_px - area[1]) / ratio)

"""The operator's window: the film as the reader has it, live gaze on it, and figures. It only watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QKeyEvent, QPainter, QPaintEvent, QPalette, QPen, QResizeEvent
from PyQt6.QtWidgets import QWidget

from gazecapture.clock import session_now_ns
from gazecapture.radiograph.presets import ImageView
from gazecapture.sources.neon_options import NeonChoice
from gazecapture.viewer.background import Workers
from gazecapture.viewer.model import Rect, ViewportState
from gazecapture.viewer.operator.feed import SessionFeed
from gazecapture.viewer.operator.films import SessionFilms
from gazecapture.viewer.operator.model import OperatorModel, OperatorView
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.film_painter import FilmPainter, label, xywh
from gazecapture.viewer.qt.operator.panel import PANEL_WIDTH, FiguresPanel
from gazecapture.viewer.qt.review import palette
from gazecapture.viewer.render import Picture
from gazecapture.viewer.review.shown import Placement, state_of_row
from keyframes.errors import GazeToolError

__all__ = ["LiveFilm", "OperatorWindow"]

LOOK_S = 0.1
"""s between two looks at the files: the recorder writes samples every 50 ms, and nobody acts faster than he sees."""
CAPTION_HEIGHT = 44
RADIUS_PER_ROOT_S = 22.0
"""Logical px of a fixation of 1 s."""


class LiveFilm(QWidget):
    """Paints what the reader sees now, and where he looks."""

    def __init__(self, parent: QWidget, films: SessionFilms) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.view: OperatorView | None = None
        self._films = films
        self._shown: tuple[str, ...] = ()
        self._painter = FilmPainter({})

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint films, then gaze."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.SURROUND)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        view = self.view
        if view is not None:
            place = self._placement(view)
            if not view.display:
                self._say_nothing_is_read(painter, view)
            else:
                for state in self._states(view, place):
                    painter.setClipRect(QRectF(*xywh(state.rect)))
                    self._painter.paint(painter, state, self.devicePixelRatioF())
                painter.setClipping(False)
                self._paint_gaze(painter, view, place)
        painter.end()

    def _placement(self, view: OperatorView) -> Placement:
        """Put the reader's viewports, or the whole screen between readings, into the widget."""
        room: Rect = (0.0, 0.0, float(self.width()), float(self.height()))
        rects = [row["viewport_rect"] for row in view.display if row["viewport_rect"] is not None]
        if rects:
            x0, y0 = (min(rect[side] for rect in rects) for side in (0, 1))
            x1, y1 = (max(rect[side] for rect in rects) for side in (2, 3))
            return Placement.fitting((x0, y0, x1, y1), room)
        display = None if view.info is None else view.info.display
        whole = (1920.0, 1080.0) if display is None else (float(display.width_px), float(display.height_px))
        return Placement.fitting((0.0, 0.0, *whole), room)

    def _states(self, view: OperatorView, place: Placement) -> list[ViewportState]:
        images = {image.image_index: image for image in (view.study.images if view.study else ())}
        pictures: dict[int, Picture] = {
            index: self._films.pictures[image.sha256]
            for index, image in images.items()
            if image.sha256 in self._films.pictures
        }
        shown = tuple(images[index].sha256 for index in sorted(pictures))
        if shown != self._shown:
            self._shown, self._painter = shown, FilmPainter(pictures)
        states = []
        for row in view.display:
            picture = pictures.get(row["image_index"])
            if picture is None:
                continue
            image: ImageView = picture.view
            try:
                states.append(state_of_row(row, image, place))
            except GazeToolError:
                continue
        return states

    def _paint_gaze(self, painter: QPainter, view: OperatorView, place: Placement) -> None:
        for seen in view.recent:
            fill = QColor(palette.GAZE)
            fill.setAlpha(50)
            painter.setBrush(fill)
            painter.setPen(QPen(palette.GAZE, 1.0))
            radius = RADIUS_PER_ROOT_S * seen.duration_s**0.5
            painter.drawEllipse(QPointF(*place.point(seen.x_screen_px, seen.y_screen_px)), radius, radius)
        x, y = view.trail_x_screen_px, view.trail_y_screen_px
        good = np.isfinite(x) & np.isfinite(y)
        points = [QPointF(*place.point(float(u), float(v))) for u, v in zip(x[good], y[good], strict=True)]
        painter.setPen(QPen(palette.SELECTED, 1.6))
        for k in range(1, len(points)):
            painter.setOpacity(0.1 + 0.9 * k / len(points))
            painter.drawLine(points[k - 1], points[k])
        painter.setOpacity(1.0)
        if points:
            painter.setPen(QPen(theme.SURROUND, 1.0))
            painter.setBrush(palette.SELECTED)
            painter.drawEllipse(points[-1], 5.0, 5.0)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _say_nothing_is_read(self, painter: QPainter, view: OperatorView) -> None:
        painter.setFont(theme.font(16))
        label(painter, QPointF(24.0, 36.0), "No film is on the screen.", theme.DIM)
        if view.trail_x_screen_px.size:
            self._paint_gaze(painter, view, self._placement(view))


class OperatorWindow(QWidget):
    """Watches a session's folder until it is closed; a thread of its own does the reading.

    Parameters
    ----------
    closes_at_end : close by itself when the recorder has ended.
    neon          : the phone whose gaze is put on the screen.
    now           : gives the session clock, ns.
    """

    closed = pyqtSignal()
    _all_closed = pyqtSignal()
    _looked = pyqtSignal(object)

    def __init__(
        self,
        session: Path,
        *,
        closes_at_end: bool = False,
        neon: NeonChoice | None = None,
        now: Callable[[], int] = session_now_ns,
    ) -> None:
        super().__init__()
        self.setWindowTitle("gazecapture operator (research use only, not for diagnosis)")
        colours = QPalette()
        colours.setColor(QPalette.ColorRole.Window, theme.BAR)
        self.setPalette(colours)
        self.resize(1280, 800)
        self._closes_at_end = closes_at_end
        self._now = now
        self._films = SessionFilms(session)
        self._feed = SessionFeed(session, neon=neon)
        self._model = OperatorModel(self._films.maps)
        self.view: OperatorView | None = None
        self.film = LiveFilm(self, self._films)
        self.figures = FiguresPanel(self)
        self._end = threading.Event()
        self._looked.connect(self._show)
        self._workers = Workers()
        # By way of a method of this object, so that `closed` comes in the GUI thread.
        self._all_closed.connect(self._everything_closed)
        self._thread = threading.Thread(target=self._watch, name="operator", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._end.wait(LOOK_S):
            self._model.take(self._feed.look())
            view = self._model.view(self._now())
            self._films.show(() if view.study is None else view.study.images)
            self._looked.emit(view)

    def _show(self, view: OperatorView) -> None:
        self.view = self.film.view = self.figures.view = view
        for part in (self, self.film, self.figures):
            part.update()
        if self._closes_at_end and view.is_over and not self._end.is_set():
            self.close()

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Lay out film and figures."""
        width, height = self.width(), self.height()
        self.film.setGeometry(0, CAPTION_HEIGHT, width - PANEL_WIDTH, height - CAPTION_HEIGHT)
        self.figures.setGeometry(width - PANEL_WIDTH, 0, PANEL_WIDTH, height)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the caption: which reading, since when, how many are done."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BAR)
        room = QRectF(18, 0, self.width() - PANEL_WIDTH - 36, CAPTION_HEIGHT)
        left = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        right = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        view = self.view
        if view is not None and view.info is not None:
            n = len(view.info.studies)
            title = f"Reading {view.reading_number} of {n}" if view.reading_number else "Between readings"
            painter.setFont(theme.font(15, bold=True))
            painter.setPen(theme.TEXT)
            painter.drawText(room, left, title)
            painter.setFont(theme.font(13))
            painter.setPen(theme.DIM)
            since = f"{view.reading_s:.0f} s     " if view.reading_number else ""
            painter.drawText(room, right, f"{since}{view.n_read} read     {view.info.reader_code}")
        painter.end()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Quit by Ctrl Q, full screen by F11."""
        if event is None:
            return
        if event.key() == Qt.Key.Key_Q and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.close()
        elif event.key() == Qt.Key.Key_F11:
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Stop watching; the session goes on, and `closed` comes when the threads have ended."""
        if event is not None:
            event.accept()
        if not self._end.is_set():
            self._end.set()
            self._workers.start_last(self._close_everything)

    def _close_everything(self) -> None:
        self._thread.join()
        self._feed.close()
        self._films.close()
        self._all_closed.emit()

    def _everything_closed(self) -> None:
        self._workers.wait_for_last()
        self.closed.emit()

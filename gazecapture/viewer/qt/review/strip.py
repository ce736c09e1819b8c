"""The reading along its time: letters, fixations, display changes, voice, sentences, key frames, gaps."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PyQt6.QtWidgets import QWidget

from gazecapture.viewer.dictation_status import level_share
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.review import palette
from gazecapture.viewer.review.model import ReviewModel

__all__ = ["STRIP_HEIGHT", "TimelineStrip"]

LEFT = 86
RIGHT = 16
AXIS = 22
ROW = 19
GAP = 4
ROWS = ("letters", "fixations", "display", "voice", "sentences", "key frames")
STRIP_HEIGHT = AXIS + len(ROWS) * (ROW + GAP) + 10
LETTER_ALPHA = 120
"""Of 255: a row of full colours would outshine the film."""
EDGE_PX = 6.0
"""Logical px beside a sentence's bound in which a drag moves it."""
TICKS_NS = tuple(round(s * 1e9) for s in (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300))
TICK_EVERY_PX = 70
NARROWEST_NS = 1_000_000_000
"""The strip is not stretched further than to a second."""


class TimelineStrip(QWidget):
    """Paints a `ReviewModel`'s timeline; the mouse scrubs it and moves the bounds of sentences."""

    sought = pyqtSignal(object)
    """Moment, ns; Qt's own integers end at two seconds of them."""
    sentence_clicked = pyqtSignal(str)
    bound_moved = pyqtSignal(str, str, object)
    """Sentence, ``start`` or ``end``, and where it was let go."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedHeight(STRIP_HEIGHT)
        self.setMouseTracking(True)
        self.model: ReviewModel | None = None
        self._from_ns = 0
        self._until_ns = 1
        self._dragged: tuple[str, Literal["start", "end"], int] | None = None
        self._scrubbing = False

    def show_reading(self, model: ReviewModel | None) -> None:
        """Show another reading, all of it."""
        self.model = model
        if model is not None:
            self._from_ns, self._until_ns = model.timeline.start_ns, model.timeline.end_ns
        self._dragged, self._scrubbing = None, False
        self.update()

    def follow(self) -> None:
        """Keep the playhead in view."""
        if self.model is None:
            return
        width = self._until_ns - self._from_ns
        if not self._from_ns <= self.model.t_ns <= self._until_ns:
            self._from_ns = self.model.timeline.clamped(self.model.t_ns - width // 2)
            self._until_ns = self._from_ns + width
        self.update()

    def x_of(self, t_ns: int) -> float:
        """Return where a moment lies, logical px."""
        share = (t_ns - self._from_ns) / max(1, self._until_ns - self._from_ns)
        return LEFT + share * (self.width() - LEFT - RIGHT)

    def t_of(self, x: float) -> int:
        """Return which moment lies there."""
        share = (x - LEFT) / max(1, self.width() - LEFT - RIGHT)
        return round(self._from_ns + share * (self._until_ns - self._from_ns))

    def row_rect(self, name: str) -> QRectF:
        """Return a row's place."""
        top = AXIS + ROWS.index(name) * (ROW + GAP)
        return QRectF(LEFT, top, self.width() - LEFT - RIGHT, ROW)

    # Painting

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint rows and playhead."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BAR)
        if self.model is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_axis(painter, self.model)
            painter.setClipRect(QRectF(LEFT, 0, self.width() - LEFT - RIGHT, self.height()))
            self._paint_gaps(painter, self.model)
            self._paint_rows(painter, self.model)
            painter.setPen(QPen(theme.TEXT, 1.4))
            x = self.x_of(self.model.t_ns)
            painter.drawLine(QPointF(x, 12.0), QPointF(x, self.height() - 4.0))
            painter.setBrush(theme.TEXT)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawEllipse(QPointF(x, 12.0), 3.5, 3.5)
        painter.end()

    def _paint_axis(self, painter: QPainter, model: ReviewModel) -> None:
        painter.setFont(theme.font(11))
        per_px = (self._until_ns - self._from_ns) / max(1, self.width() - LEFT - RIGHT)
        step = next((t for t in TICKS_NS if t / per_px >= TICK_EVERY_PX), TICKS_NS[-1])
        painter.setPen(theme.DIM)
        for tick in range(-(-self._from_ns // step) * step, self._until_ns + 1, step):
            x = self.x_of(tick)
            painter.drawLine(QPointF(x, AXIS - 5), QPointF(x, AXIS - 2))
            seconds = tick / 1e9
            painter.drawText(QRectF(x - 30, 0, 60, AXIS - 4), Qt.AlignmentFlag.AlignCenter, f"{seconds:g} s")
        for name in ROWS:
            rect = self.row_rect(name)
            painter.drawText(
                QRectF(8, rect.top(), LEFT - 18, ROW),
                int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter),
                name,
            )

    def _paint_gaps(self, painter: QPainter, model: ReviewModel) -> None:
        for gap in model.timeline.gaps:
            rect = QRectF(
                QPointF(self.x_of(gap.t_start_ns), AXIS), QPointF(self.x_of(gap.t_end_ns), self.height() - 6)
            )
            painter.fillRect(rect, QColor(48, 34, 24))

    def _paint_rows(self, painter: QPainter, model: ReviewModel) -> None:
        timeline = model.timeline
        painter.setFont(theme.font(11))
        for visit in timeline.letters:
            rect = self._span("letters", visit.t_start_ns, visit.t_end_ns)
            fill = QColor(palette.letter_colour(visit.letter))
            fill.setAlpha(LETTER_ALPHA)
            painter.fillRect(rect, fill)
            if rect.width() > 12:
                painter.setPen(theme.TEXT)
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, visit.letter)
        for start, end in zip(
            timeline.fixations.t_start_ns.tolist(), timeline.fixations.t_end_ns.tolist(), strict=True
        ):
            rect = self._span("fixations", start, end).adjusted(0, 5, 0, -5)
            painter.fillRect(rect, palette.GAZE.darker(130))
        row = self.row_rect("display")
        painter.setPen(QPen(theme.DIM, 1.0))
        for change in timeline.display_changes.tolist():
            x = self.x_of(change)
            painter.drawLine(QPointF(x, row.top() + 4), QPointF(x, row.bottom() - 4))
        self._paint_voice(painter, model)
        self._paint_sentences(painter, model)
        for frame in timeline.keyframes:
            rect = self._span("key frames", frame["t_start_ns"], frame["t_end_ns"]).adjusted(0, 6, 0, -6)
            fill = QColor(palette.KEYFRAME)
            fill.setAlpha(70 if frame["kind"] == "silent" else 130)
            painter.fillRect(rect, fill)

    def _paint_voice(self, painter: QPainter, model: ReviewModel) -> None:
        """Paint how loud it was, as a band about the row's middle; nothing where no sound was recorded."""
        speech, row = model.material.speech, self.row_rect("voice")
        if speech is None or not speech.has_sound:
            return
        painter.setPen(QPen(palette.GAZE.darker(115), 1.0))
        middle, half = row.center().y(), ROW / 2 - 1
        level = speech.level_dbfs
        step = max(1, int(level.size / max(1.0, row.width())))
        for k in range(0, level.size, step):
            loudest_dbfs = float(np.fmax.reduce(level[k : k + step]))
            if np.isfinite(loudest_dbfs):
                x = self.x_of(int(speech.t_ns[k]))
                reach = 0.5 + half * level_share(loudest_dbfs)
                painter.drawLine(QPointF(x, middle - reach), QPointF(x, middle + reach))

    def _paint_sentences(self, painter: QPainter, model: ReviewModel) -> None:
        for one in model.timeline.sentences:
            start, end = one.t_start_ns, one.t_end_ns
            if self._dragged is not None and self._dragged[0] == one.sentence_id:
                start, end = (
                    (self._dragged[2], end) if self._dragged[1] == "start" else (start, self._dragged[2])
                )
            rect = self._span("sentences", start, end)
            is_selected = one.sentence_id == model.selected_sentence
            painter.setBrush(theme.PANEL.lighter(150 if is_selected else 120))
            changed = one.is_moved or one.is_corrected
            edge = palette.SELECTED if is_selected else (palette.GOOD if changed else theme.EDGE)
            painter.setPen(QPen(edge, 1.4 if is_selected else 1.0))
            painter.drawRoundedRect(rect, 3.0, 3.0)
            if rect.width() > 30:
                painter.setPen(theme.TEXT if is_selected else theme.DIM)
                metrics = painter.fontMetrics()
                shown = metrics.elidedText(one.text, Qt.TextElideMode.ElideRight, int(rect.width()) - 10)
                painter.drawText(
                    rect.adjusted(5, 0, -5, 0),
                    int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
                    shown,
                )

    def _span(self, row: str, start_ns: int, end_ns: int) -> QRectF:
        rect = self.row_rect(row)
        x0, x1 = self.x_of(start_ns), self.x_of(end_ns)
        return QRectF(x0, rect.top(), max(1.5, x1 - x0 - 0.5), ROW)

    # The mouse

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take hold of a bound, or scrub."""
        if event is None or self.model is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self._dragged = self._bound_at(event.position())
        if self._dragged is not None:
            self.sentence_clicked.emit(self._dragged[0])
            return
        if self.row_rect("sentences").contains(event.position()):
            t_ns = self.t_of(event.position().x())
            hit = [s for s in self.model.timeline.sentences if s.t_start_ns <= t_ns < s.t_end_ns]
            if hit:
                self.sentence_clicked.emit(hit[0].sentence_id)
                return
        self._scrubbing = True
        self.sought.emit(self.t_of(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Go on with it."""
        if event is None or self.model is None:
            return
        if self._dragged is not None:
            self._dragged = (*self._dragged[:2], self.t_of(event.position().x()))
            self.update()
        elif self._scrubbing:
            self.sought.emit(self.t_of(event.position().x()))
        else:
            over = self._bound_at(event.position()) is not None
            self.setCursor(Qt.CursorShape.SizeHorCursor if over else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Let go: a bound is decided where it was moved to."""
        dragged, self._dragged, self._scrubbing = self._dragged, None, False
        if dragged is not None:
            self.bound_moved.emit(*dragged)
        self.update()

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 - Qt's name
        """Stretch the time about the cursor."""
        if event is None or self.model is None:
            return
        factor = 2.0 ** (-event.angleDelta().y() / 480)
        at = self.t_of(event.position().x())
        whole = self.model.timeline
        width = (self._until_ns - self._from_ns) * factor
        width = min(max(width, NARROWEST_NS), whole.end_ns - whole.start_ns)
        share = (at - self._from_ns) / max(1, self._until_ns - self._from_ns)
        start = min(max(at - share * width, whole.start_ns), whole.end_ns - width)
        self._from_ns, self._until_ns = round(start), round(start + width)
        self.update()

    def _bound_at(self, point: QPointF) -> tuple[str, Literal["start", "end"], int] | None:
        if self.model is None or not self.row_rect("sentences").contains(point):
            return None
        for one in self.model.timeline.sentences:
            for edge, t_ns in (("start", one.t_start_ns), ("end", one.t_end_ns)):
                if abs(self.x_of(t_ns) - point.x()) <= EDGE_PX:
                    return one.sentence_id, edge, t_ns  # type: ignore[return-value]
        return None

"""Beside the film: the sentences, the regions or the masks, whichever is at hand, and what was decided so far."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.review import palette
from gazecapture.viewer.review.book import Standing
from gazecapture.viewer.review.model import ReviewModel

__all__ = ["SIDE_WIDTH", "SidePanel"]

SIDE_WIDTH = 340
PAD = 16
LINE = 19
HISTORY_LINES = 6
HISTORY_HEIGHT = 44 + HISTORY_LINES * LINE
_WRAP = int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap)
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_RIGHT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
_SAYS = {
    "verdict": "reading", "sentence_bounds": "sentence moved", "sentence_text": "sentence corrected",
    "region_boxes": "regions", "burned_in": "text in the pixels",
}  # fmt: skip


class SidePanel(QWidget):
    """A list that follows what is selected, and the last decisions."""

    clicked = pyqtSignal(str)
    """Id of a sentence, or name of a region."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedWidth(SIDE_WIDTH)
        self.model: ReviewModel | None = None
        self._rows: list[tuple[QRectF, str]] = []

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the list of the mode, then the history."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BAR)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.EDGE, 1.0))
        painter.drawLine(0, 0, 0, self.height())
        self._rows = []
        if self.model is not None:
            room = QRectF(PAD, PAD, self.width() - 2 * PAD, self.height() - 2 * PAD - HISTORY_HEIGHT)
            if self.model.mode == "look":
                self._paint_sentences(painter, self.model, room)
            elif self.model.mode == "regions":
                self._paint_regions(painter, self.model, room)
            else:
                self._paint_masks(painter, self.model, room)
            self._paint_history(painter, self.model)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Select what was clicked."""
        if event is not None:
            for rect, key in self._rows:
                if rect.contains(event.position()):
                    self.clicked.emit(key)
                    return

    def _title(self, painter: QPainter, room: QRectF, title: str, hint: str) -> float:
        painter.setFont(theme.font(14, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(QRectF(room.left(), room.top(), room.width(), 20), _LEFT, title)
        painter.setFont(theme.font(11))
        painter.setPen(theme.DIM)
        painter.drawText(QRectF(room.left(), room.top(), room.width(), 20), _RIGHT, hint)
        return room.top() + 32

    def _paint_sentences(self, painter: QPainter, model: ReviewModel, room: QRectF) -> None:
        top = self._title(painter, room, "Sentences", "↑ ↓   [ ]   E")
        sentences = model.timeline.sentences
        if not sentences:
            speech = model.material.speech
            is_heard = speech is not None and speech.has_sound
            said = "`gazecurate ingest` makes words of the sound." if is_heard else "Nothing was said."
            painter.setFont(theme.font(13))
            painter.setPen(theme.DIM)
            painter.drawText(QRectF(room.left(), top, room.width(), 40), _WRAP, said)
            self._paint_transcript(painter, model, room, top + 40)
            return
        painter.setFont(theme.font(13))
        width = room.width() - 14
        heights = [
            painter.boundingRect(QRectF(0, 0, width, 400), _WRAP, one.text).height() + 30 for one in sentences
        ]
        chosen = next((k for k, s in enumerate(sentences) if s.sentence_id == model.selected_sentence), None)
        now = model.moment.sentence if chosen is None else chosen
        first = _first_shown(heights, now or 0, room.bottom() - top)
        for place in range(first, len(sentences)):
            one, height = sentences[place], heights[place]
            if top + height > room.bottom() + 1:
                break
            rect = QRectF(room.left() - 6, top, room.width() + 12, height - 6)
            is_selected = one.sentence_id == model.selected_sentence
            if is_selected or place == now:
                painter.setPen(QPen(palette.SELECTED if is_selected else theme.EDGE, 1.0))
                painter.setBrush(theme.PANEL)
                painter.drawRoundedRect(rect, 5.0, 5.0)
            painter.setFont(theme.font(11))
            painter.setPen(theme.DIM)
            times = f"{one.t_start_ns / 1e9:.2f} to {one.t_end_ns / 1e9:.2f} s"
            painter.drawText(QRectF(room.left(), top + 2, width, 18), _LEFT, times)
            changed = [word for word, on in (("moved", one.is_moved), ("corrected", one.is_corrected)) if on]
            painter.setPen(palette.GOOD)
            painter.drawText(QRectF(room.left(), top + 2, width, 18), _RIGHT, ", ".join(changed))
            painter.setFont(theme.font(13))
            painter.setPen(theme.TEXT if place == now else theme.TEXT.darker(118))
            painter.drawText(QRectF(room.left(), top + 20, width, height - 26), _WRAP, one.text)
            self._rows.append((rect, one.sentence_id))
            top += height
        self._paint_transcript(painter, model, room, top + 6)

    def _paint_transcript(self, painter: QPainter, model: ReviewModel, room: QRectF, top: float) -> None:
        """Paint what the reader typed, which ingest takes in place of the words above, as far as there is room."""
        speech = model.material.speech
        left = QRectF(room.left(), top, room.width(), room.bottom() - top)
        if speech is None or not (speech.transcript or speech.note) or left.height() < 3 * LINE:
            return
        top = self._title(painter, left, "Transcript", "replaces the words at ingest") - 6
        painter.setFont(theme.font(13))
        painter.setPen(theme.TEXT.darker(118))
        painter.save()
        painter.setClipRect(left)
        text = "  ".join(part for part in (speech.transcript, speech.note) if part)
        painter.drawText(QRectF(left.left(), top, left.width(), left.bottom() - top), _WRAP, text)
        painter.restore()

    def _paint_regions(self, painter: QPainter, model: ReviewModel, room: QRectF) -> None:
        top = self._title(painter, room, "Regions", "Tab   arrows   Enter saves")
        regions, selected = model.regions, model.selected_region
        place = regions.index(selected) if selected in regions else 0
        n = max(1, int((room.bottom() - top) // LINE))
        first = min(max(0, place - n // 2), max(0, len(regions) - n))
        painter.setFont(theme.font(12))
        for region in regions[first : first + n]:
            rect = QRectF(room.left() - 6, top, room.width() + 12, LINE)
            is_selected = selected is not None and region.name == selected.name
            if is_selected:
                painter.fillRect(rect, theme.PANEL.lighter(150))
            painter.setPen(palette.letter_colour(region.letter))
            painter.drawText(QRectF(room.left(), top, 18, LINE), _LEFT, region.letter)
            colour = palette.ABSENT if region.is_absent else theme.TEXT
            painter.setPen(palette.SELECTED if is_selected else colour)
            painter.drawText(QRectF(room.left() + 22, top, room.width() - 110, LINE), _LEFT, region.name)
            said = (
                "not on it" if region.is_absent else ("by a person" if region.is_decided else region.provider)
            )
            painter.setPen(palette.GOOD if region.is_decided else theme.DIM)
            painter.drawText(QRectF(room.left(), top, room.width(), LINE), _RIGHT, said)
            self._rows.append((rect, region.name))
            top += LINE

    def _paint_masks(self, painter: QPainter, model: ReviewModel, room: QRectF) -> None:
        top = self._title(painter, room, "Text in the pixels", "O nothing   Enter masks")
        painter.setFont(theme.font(13))
        painter.setPen(theme.TEXT)
        said = f"Picture {model.image_index}: {model.text_state}."
        painter.drawText(QRectF(room.left(), top, room.width(), 40), _WRAP, said)
        painter.setPen(theme.DIM)
        painter.setFont(theme.font(12))
        how = (
            "Drag over what names anybody, or N for a box that the arrows move. Delete removes a box. "
            "Enter masks the boxes in everything that leaves the store; O says that nothing names anybody."
        )
        painter.drawText(QRectF(room.left(), top + 44, room.width(), 100), _WRAP, how)
        top += 150
        for place, box in enumerate(model.boxes):
            is_selected = place == model.selected_box % len(model.boxes)
            painter.setPen(palette.SELECTED if is_selected else theme.TEXT)
            x0, y0, x1, y1 = (round(side) for side in box)
            painter.drawText(
                QRectF(room.left(), top, room.width(), LINE), _LEFT, f"{x1 - x0} x {y1 - y0} px at {x0}, {y0}"
            )
            top += LINE

    def _paint_history(self, painter: QPainter, model: ReviewModel) -> None:
        room = QRectF(PAD, self.height() - HISTORY_HEIGHT - PAD / 2, self.width() - 2 * PAD, HISTORY_HEIGHT)
        painter.setPen(QPen(theme.EDGE, 1.0))
        painter.drawLine(room.topLeft(), room.topRight())
        room.adjust(0, 12, 0, 0)
        top = self._title(painter, room, "Decided", "Ctrl Z undoes") - 6
        painter.setFont(theme.font(11))
        lines = model.book.history[-HISTORY_LINES:]
        if not lines:
            painter.setPen(theme.DIM)
            painter.drawText(QRectF(room.left(), top, room.width(), LINE), _LEFT, "Nothing yet.")
        for line in reversed(lines):
            painter.setPen(_colour_of(line))
            text = painter.fontMetrics().elidedText(
                in_words(line), Qt.TextElideMode.ElideRight, int(room.width()) - 74
            )
            painter.drawText(QRectF(room.left(), top, room.width() - 70, LINE), _LEFT, text)
            painter.setPen(theme.DIM)
            when = line.time[11:16] if line.time else "…"
            painter.drawText(QRectF(room.left(), top, room.width(), LINE), _RIGHT, f"{line.reviewer}  {when}")
            top += LINE


def in_words(line: Standing) -> str:
    """Return a decision as a reviewer would say it."""
    if line.value is None:
        return f"{_SAYS.get(line.kind, line.kind)}: taken back"
    if line.kind == "verdict":
        said = "accepted" if line.value == "accept" else "rejected"
        return f"{said}{': ' + line.reason if line.reason else ''}"
    if line.kind == "burned_in":
        return "text: nothing names anybody" if line.value == "ok" else f"text: {len(line.value)} masked"
    if line.kind == "region_boxes":
        n = len(line.value)
        return f"{n} region{'s' * (n != 1)} set"
    return _SAYS.get(line.kind, line.kind)


def _colour_of(line: Standing) -> QColor:
    if line.kind != "verdict" or line.value is None:
        return theme.TEXT
    return palette.GOOD if line.value == "accept" else palette.MASK


def _first_shown(heights: list[float], wanted: int, room: float) -> int:
    """Return the first row to show so that ``wanted`` is in view, with one before it where there is room."""
    first = max(0, wanted - 1)
    while first > 0 and sum(heights[first - 1 : wanted + 2]) <= room:
        first -= 1
    return first

"""What may lie over the radiographs for a moment: the keys, the finding menu, a message. All by request only."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, QRect, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from gazecapture.viewer.findings import CERTAINTIES, CHEXPERT_LABELS
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.keys import CHEAT_SHEET

__all__ = ["CheatSheet", "FindingPanel", "MessageCard", "OverlayPanel"]

_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_CENTRE = Qt.AlignmentFlag.AlignCenter
PADDING = 18
ROW_HEIGHT = 24
RADIUS = 8.0
RATINGS = range(1, 6)
"""Of severity or of whatever a study asks for; none is given unless somebody gives one."""


class OverlayPanel(QWidget):
    """A rounded dark panel of fixed size; subclasses paint their content."""

    panel_name = "panel"
    """As the display journal names it."""
    size_logical_px = (400, 200)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedSize(*self.size_logical_px)
        self.hide()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint frame and content."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.EDGE, 1.0))
        painter.setBrush(theme.PANEL)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        self.paint_content(painter)
        painter.end()

    def paint_content(self, painter: QPainter) -> None:
        """Paint what is inside the frame."""
        raise NotImplementedError

    def place_in_middle(self, room: QRect) -> None:
        """Put the panel in the middle of ``room``, in the parent's coordinates."""
        self.move(room.center() - QPoint(self.width() // 2, self.height() // 2))


class CheatSheet(OverlayPanel):
    """The keys and the mouse."""

    panel_name = "keys"
    size_logical_px = (640, 2 * PADDING + 40 + len(CHEAT_SHEET) * ROW_HEIGHT)

    def paint_content(self, painter: QPainter) -> None:
        """Paint the table."""
        painter.setFont(theme.font(16, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(QRect(PADDING, PADDING, self.width() - 2 * PADDING, 24), _LEFT, "Keys and mouse")
        painter.setFont(theme.font(12))
        painter.setPen(theme.DIM)
        painter.drawText(QRect(PADDING, PADDING, self.width() - 2 * PADDING, 24), _RIGHT, "F1 closes this")
        top = PADDING + 40
        painter.setFont(theme.font(13))
        for keys, meaning in CHEAT_SHEET:
            painter.setPen(theme.ACCENT)
            painter.drawText(QRect(PADDING, top, 260, ROW_HEIGHT), _LEFT, keys)
            painter.setPen(theme.TEXT)
            painter.drawText(QRect(PADDING + 276, top, self.width() - 294, ROW_HEIGHT), _LEFT, meaning)
            top += ROW_HEIGHT


class MessageCard(OverlayPanel):
    """A message in place of a study: it cannot be shown, or all are read."""

    panel_name = "message"
    size_logical_px = (620, 176)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._title = self._text = self._hint = ""

    @property
    def title(self) -> str:
        """What it says first."""
        return self._title

    def say(self, title: str, text: str, hint: str) -> None:
        """Show a title, a line or two, and what to do."""
        self._title, self._text, self._hint = title, text, hint
        self.show()
        self.raise_()
        self.update()

    def paint_content(self, painter: QPainter) -> None:
        """Paint the three lines."""
        width = self.width() - 2 * PADDING
        painter.setFont(theme.font(17, bold=True))
        painter.setPen(theme.NOTICE)
        painter.drawText(QRect(PADDING, PADDING, width, 26), _LEFT, self._title)
        painter.setFont(theme.font(13))
        painter.setPen(theme.TEXT)
        wrapped = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap
        painter.drawText(QRect(PADDING, PADDING + 40, width, 64), int(wrapped), self._text)
        painter.setPen(theme.DIM)
        painter.drawText(QRect(PADDING, self.height() - PADDING - 22, width, 22), _LEFT, self._hint)


class FindingPanel(OverlayPanel):
    """Label, certainty and rating of a mark that was just drawn: one key or one click saves it."""

    panel_name = "finding"
    size_logical_px = (356, 2 * PADDING + 26 + 72 + len(CHEXPERT_LABELS) * ROW_HEIGHT + 30)

    chosen = pyqtSignal(str, float, object)
    """Label, certainty (0 to 1), and rating (1 to 5) or None."""
    cancelled = pyqtSignal()

    _labels_top = PADDING + 26 + 72

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._certainty = 0
        self._rating: int | None = None

    def ask(self) -> None:
        """Show the menu, with the highest certainty chosen and no rating."""
        self._certainty, self._rating = 0, None
        self.show()
        self.raise_()
        self.update()

    def take_key(self, event: QKeyEvent) -> None:
        """Act on a key while the menu is open: a letter saves, a digit sets the certainty, Up and Down the rating."""
        key = event.key()
        letter = key - Qt.Key.Key_A
        digit = key - Qt.Key.Key_1
        if key == Qt.Key.Key_Escape:
            self.cancelled.emit()
        elif 0 <= letter < len(CHEXPERT_LABELS):
            self._choose(letter)
        elif 0 <= digit < len(CERTAINTIES):
            self._certainty = digit
            self.update()
        elif key in {Qt.Key.Key_Up, Qt.Key.Key_Down}:
            step = 1 if key == Qt.Key.Key_Up else -1
            rating = (self._rating or 0) + step
            self._rating = min(rating, RATINGS[-1]) if rating >= RATINGS[0] else None
            self.update()

    def _choose(self, number: int) -> None:
        rating = None if self._rating is None else float(self._rating)
        self.chosen.emit(CHEXPERT_LABELS[number], CERTAINTIES[self._certainty].value, rating)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Act on a click: on a certainty or a rating it sets that, on a label it saves."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        point = event.position().toPoint()
        for level in range(len(CERTAINTIES)):
            if self._level_rect(level).contains(point):
                self._certainty = level
                self.update()
        for rating in RATINGS:
            if self._rating_rect(rating).contains(point):
                self._rating = None if rating == self._rating else rating
                self.update()
        for number in range(len(CHEXPERT_LABELS)):
            if self._label_rect(number).contains(point):
                self._choose(number)
                return

    def paint_content(self, painter: QPainter) -> None:
        """Paint certainty levels and labels."""
        width = self.width() - 2 * PADDING
        painter.setFont(theme.font(15, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(QRect(PADDING, PADDING - 4, width, 26), _LEFT, "Finding")
        painter.setFont(theme.font(11))
        for level, certainty in enumerate(CERTAINTIES):
            _paint_choice(painter, self._level_rect(level), certainty.name, level == self._certainty)
        painter.setPen(theme.DIM)
        painter.drawText(self._rating_rect(0), _LEFT, "Rating")
        for rating in RATINGS:
            _paint_choice(painter, self._rating_rect(rating), str(rating), rating == self._rating)
        painter.setFont(theme.font(13))
        for number, label in enumerate(CHEXPERT_LABELS):
            rect = self._label_rect(number)
            painter.setPen(theme.ACCENT)
            painter.drawText(rect, _LEFT, chr(ord("A") + number))
            painter.setPen(theme.TEXT)
            painter.drawText(rect.adjusted(26, 0, 0, 0), _LEFT, label)
        painter.setFont(theme.font(11))
        painter.setPen(theme.DIM)
        last = QRect(PADDING, self.height() - PADDING - 18, width, 18)
        painter.drawText(last, _LEFT, "Letter saves · 1 … 5 certainty · ↑ ↓ rating · Esc discards")

    def _level_rect(self, level: int) -> QRect:
        width = (self.width() - 2 * PADDING) // len(CERTAINTIES)
        return QRect(PADDING + width * level, PADDING + 28, width - 4, 26)

    def _rating_rect(self, rating: int) -> QRect:
        width = (self.width() - 2 * PADDING) // (len(RATINGS) + 1)
        return QRect(PADDING + width * rating, PADDING + 62, width - 4, 26)

    def _label_rect(self, number: int) -> QRect:
        return QRect(PADDING, self._labels_top + number * ROW_HEIGHT, self.width() - 2 * PADDING, ROW_HEIGHT)


def _paint_choice(painter: QPainter, rect: QRect, text: str, picked: bool) -> None:
    painter.setPen(QPen(theme.ACCENT if picked else theme.EDGE, 1.0))
    painter.setBrush(theme.BAR)
    painter.drawRoundedRect(QRectF(rect), 4.0, 4.0)
    painter.setPen(theme.TEXT if picked else theme.DIM)
    painter.drawText(rect, _CENTRE, text)

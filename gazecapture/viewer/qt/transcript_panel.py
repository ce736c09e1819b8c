"""The words of the film that was closed, for its reader to correct; off the gaze's clock."""

from __future__ import annotations

from PyQt6.QtCore import QRect, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QPainter, QPalette
from PyQt6.QtWidgets import QPlainTextEdit, QWidget

from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.panels import PADDING, OverlayPanel

__all__ = ["TranscriptPanel"]

_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


class _Words(QPlainTextEdit):
    """A text field that leaves with Ctrl Enter."""

    left = pyqtSignal()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Type, or leave."""
        if event is None:
            return
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and control:
            self.left.emit()
        else:
            super().keyPressEvent(event)


class TranscriptPanel(OverlayPanel):
    """A text field with what was understood."""

    panel_name = "transcript"
    size_logical_px = (760, 420)

    finished = pyqtSignal(int, str)
    """Reading's number and the text as it is left."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._number = 0
        self._invitation = ""
        self._words = _Words(self)
        self._words.setGeometry(
            PADDING, PADDING + 40, self.width() - 2 * PADDING, self.height() - 2 * PADDING - 72
        )
        self._words.setFont(theme.font(15))
        self._words.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        palette = self._words.palette()
        for role, colour in (
            (QPalette.ColorRole.Base, theme.BAR),
            (QPalette.ColorRole.Text, theme.TEXT),
            (QPalette.ColorRole.Highlight, theme.ACCENT),
        ):
            palette.setColor(role, colour)
        self._words.setPalette(palette)
        self._words.left.connect(self.finish)

    def edit(self, number: int, text: str, invitation: str) -> None:
        """Show a reading's words, or none, with what may be done with them, and take the keyboard."""
        self._number, self._invitation = number, invitation
        self._words.setPlainText(text)
        self.show()
        self.raise_()
        self._words.setFocus()

    def finish(self) -> None:
        """Give the text away and the keyboard back; does nothing before the words are there."""
        if not self.isVisible():
            return
        self.hide()
        parent = self.parentWidget()
        if parent is not None:
            parent.setFocus()
        self.finished.emit(self._number, self._words.toPlainText())

    def paint_content(self, painter: QPainter) -> None:
        """Paint what it is, and how to go on."""
        painter.setFont(theme.font(16, bold=True))
        painter.setPen(theme.TEXT)
        width = self.width() - 2 * PADDING
        painter.drawText(QRect(PADDING, PADDING, width, 26), _LEFT, "What you said")
        painter.setFont(theme.font(13))
        painter.setPen(theme.DIM)
        last = QRect(PADDING, self.height() - PADDING - 22, width, 22)
        painter.drawText(last, _LEFT, self._invitation)
        painter.drawText(last, _RIGHT, "Ctrl Enter goes on")

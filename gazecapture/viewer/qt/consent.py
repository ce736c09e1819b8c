"""The consent screen, before the first reading: the text, what may be recorded, to whom it may go."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from PyQt6.QtCore import QEventLoop, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QScreen
from PyQt6.QtWidgets import QWidget

from gazecapture.session.consent import ConsentRecord, write_consent
from gazecapture.viewer.consent_form import SCOPE_SAYS, TIER_SAYS, ConsentForm, is_enough, record_on_file
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.review import palette
from gazecapture.viewer.qt.surroundings import ending_on_signals, show_on
from gazecapture.viewer.settings import ConsentSettings
from keyframes.access import SCOPES
from keyframes.errors import PrivacyError

__all__ = ["ConsentScreen", "ensure_consent"]

COLUMN = 720
"""Logical px: some ninety letters a line."""
ROW = 52
LINE = 22
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_RIGHT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
_WRAP = int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap)


class ConsentScreen(QWidget):
    """Shows a `ConsentForm` and fills it in by keys or mouse."""

    answered = pyqtSignal(bool)
    """Whether the reader agreed."""

    def __init__(self, form: ConsentForm) -> None:
        super().__init__()
        self.setWindowTitle("gazecapture: consent")
        colours = QPalette()
        colours.setColor(QPalette.ColorRole.Window, theme.SURROUND)
        self.setPalette(colours)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.resize(1280, 800)
        self.form = form
        self.place = 0
        """Of the row that keys act on: the scopes, then the tier."""
        self._rows: list[QRectF] = []
        self._agree = QRectF()
        self._decline = QRectF()
        self._is_answered = False

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the form."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), theme.SURROUND)
        left = max(20.0, (self.width() - COLUMN) / 2)
        width = min(float(COLUMN), self.width() - 40.0)
        painter.setFont(theme.font(15))
        text = QRectF(left, 0, width, 1000)
        text_height = painter.boundingRect(text, _WRAP, self.form.text).height()
        whole = 60 + text_height + 24 + ROW * (len(SCOPES) + 1) + 30 + LINE + 60
        top = max(16.0, (self.height() - whole) / 2)
        painter.setFont(theme.font(24, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(QRectF(left, top, width, 36), _LEFT, "Before you read")
        top += 60
        painter.setFont(theme.font(15))
        painter.setPen(theme.TEXT.darker(112))
        painter.drawText(QRectF(left, top, width, text_height + 4), _WRAP, self.form.text)
        top += text_height + 24
        self._rows = []
        for place, scope in enumerate(SCOPES):
            self._paint_scope(painter, QRectF(left, top, width, ROW), place, is_on=scope in self.form.scopes)
            top += ROW
        self._paint_tier(painter, QRectF(left, top, width, ROW))
        top += ROW + 22
        painter.setFont(theme.font(12))
        painter.setPen(theme.DIM)
        said = f"Reader {self.form.reader_code}     text {self.form.version}     {date.today().isoformat()}"
        painter.drawText(QRectF(left, top, width, LINE), _LEFT, said)
        painter.drawText(QRectF(left, top, width, LINE), _RIGHT, "↑ ↓ choose    Space changes    ← → who")
        top += LINE + 14
        self._paint_answers(painter, left, top, width)
        painter.end()

    def _paint_row(self, painter: QPainter, rect: QRectF, place: int) -> None:
        self._rows.append(rect)
        if place == self.place:
            painter.setPen(QPen(theme.ACCENT, 1.0))
            painter.setBrush(theme.PANEL)
            painter.drawRoundedRect(rect.adjusted(-10, 2, 10, -2), 6, 6)

    def _paint_scope(self, painter: QPainter, rect: QRectF, place: int, *, is_on: bool) -> None:
        self._paint_row(painter, rect, place)
        title, explained = SCOPE_SAYS[SCOPES[place]]
        box = QRectF(rect.left(), rect.center().y() - 9, 18, 18)
        painter.setPen(QPen(palette.GOOD if is_on else theme.DIM, 1.4))
        painter.setBrush(palette.GOOD.darker(220) if is_on else theme.BAR)
        painter.drawRoundedRect(box, 3, 3)
        if is_on:
            painter.setPen(QPen(palette.GOOD, 2.2))
            painter.drawLine(box.topLeft() + QPointF(4, 9), box.topLeft() + QPointF(8, 13))
            painter.drawLine(box.topLeft() + QPointF(8, 13), box.topLeft() + QPointF(14, 5))
        painter.setFont(theme.font(15, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(QRectF(rect.left() + 34, rect.top(), 190, ROW), _LEFT, title)
        painter.setFont(theme.font(13))
        painter.setPen(theme.DIM.lighter(118))
        painter.drawText(QRectF(rect.left() + 224, rect.top(), rect.width() - 224, ROW), _LEFT, explained)

    def _paint_tier(self, painter: QPainter, rect: QRectF) -> None:
        self._paint_row(painter, rect, len(SCOPES))
        painter.setFont(theme.font(15, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(QRectF(rect.left(), rect.top(), 224, ROW), _LEFT, "It may be passed on to")
        painter.setFont(theme.font(13))
        painter.setPen(theme.TEXT)
        text = f"←   {TIER_SAYS[self.form.tier]}   →"
        painter.drawText(QRectF(rect.left() + 224, rect.top(), rect.width() - 224, ROW), _LEFT, text)

    def _paint_answers(self, painter: QPainter, left: float, top: float, width: float) -> None:
        self._agree = QRectF(left, top, 260, 42)
        self._decline = QRectF(left + 280, top, 200, 42)
        may_begin = self.form.may_begin
        painter.setFont(theme.font(14, bold=True))
        painter.setPen(QPen(palette.GOOD if may_begin else theme.EDGE, 1.2))
        painter.setBrush(theme.PANEL)
        painter.drawRoundedRect(self._agree, 6, 6)
        painter.setPen(theme.TEXT if may_begin else theme.DIM)
        painter.drawText(self._agree, Qt.AlignmentFlag.AlignCenter, "I agree   (Enter)")
        painter.setFont(theme.font(14))
        painter.setPen(QPen(theme.EDGE, 1.0))
        painter.drawRoundedRect(self._decline, 6, 6)
        painter.setPen(theme.DIM.lighter(118))
        painter.drawText(self._decline, Qt.AlignmentFlag.AlignCenter, "Not now   (Esc)")

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Fill the form in."""
        if event is None or event.isAutoRepeat():
            return
        key = event.key()
        n_rows = len(SCOPES) + 1
        if key in {Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Tab}:
            self.place = (self.place + (-1 if key == Qt.Key.Key_Up else 1)) % n_rows
        elif key == Qt.Key.Key_Space and self.place < len(SCOPES):
            self.form.toggle(SCOPES[self.place])
        elif key in {Qt.Key.Key_Left, Qt.Key.Key_Right}:
            self.form.step_tier(1 if key == Qt.Key.Key_Right else -1)
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._answer(agreed=True)
        elif key == Qt.Key.Key_Escape or (
            key == Qt.Key.Key_Q and event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            self._answer(agreed=False)
        self.update()

    def focusNextPrevChild(self, _next: bool) -> bool:  # noqa: N802 - Qt's name
        """Leave Tab to the rows."""
        return False

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Do what a key would."""
        if event is None:
            return
        point = event.position()
        for place, rect in enumerate(self._rows):
            if rect.contains(point):
                self.place = place
                if place < len(SCOPES):
                    self.form.toggle(SCOPES[place])
                else:
                    self.form.step_tier(1 if point.x() > rect.center().x() else -1)
        if self._agree.contains(point):
            self._answer(agreed=True)
        elif self._decline.contains(point):
            self._answer(agreed=False)
        self.update()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take the closing of the window for a no."""
        self._answer(agreed=False)
        if event is not None:
            event.accept()

    def _answer(self, *, agreed: bool) -> None:
        if self._is_answered or (agreed and not self.form.may_begin):
            return
        self._is_answered = True
        self.answered.emit(agreed)


def ensure_consent(
    session: Path,
    reader_code: str,
    screen: QScreen,
    *,
    asked: ConsentSettings,
    beside: bool,
    size_px: tuple[int, int] | None,
) -> ConsentRecord:
    """Return the reader's consent to this version of the text; asks, and records the answer, where there is none.

    asked  : the text and its version.
    beside : records of the reader in the sessions of the same folder count too.

    Raises PrivacyError (GT-CONSENT-DECLINED) where the reader does not agree: nothing was recorded then. Ctrl-C on the
    terminal does not agree either.
    """
    known = record_on_file(session, reader_code, beside=beside)
    if known is not None and is_enough(known, asked.version):
        return known
    form = ConsentForm(reader_code=reader_code, version=asked.version, text=asked.text)
    window = ConsentScreen(form)
    loop = QEventLoop()
    answers: list[bool] = []

    def answer(agreed: bool) -> None:
        answers.append(agreed)
        loop.quit()

    def end(_error: BaseException) -> None:
        answer(False)

    window.answered.connect(answer)
    show_on(window, screen, size_px)
    with ending_on_signals(end):
        loop.exec()
    window.hide()
    window.deleteLater()
    if not answers or not answers[0]:
        raise PrivacyError(
            "the reader did not agree, so nothing is recorded",
            hint="Run the command again to be asked again.",
            code="GT-CONSENT-DECLINED",
        )
    given = form.record()
    write_consent(session, given)
    return given

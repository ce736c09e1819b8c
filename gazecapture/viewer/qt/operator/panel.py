"""The figures beside the film: what to worry about, streams, tracker, dictation, events, dwell by letter."""

from __future__ import annotations

import math

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from gazecapture.session.status import StreamStatus
from gazecapture.viewer.dictation_status import DictationStatus, level_share
from gazecapture.viewer.operator.model import OperatorView
from gazecapture.viewer.operator.worries import stream_worry
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.review import palette

__all__ = ["PANEL_WIDTH", "FiguresPanel"]

PANEL_WIDTH = 420
PAD = 18
LINE = 20
MAX_WORRIES = 6
MAX_STREAMS = 6
_LEFT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_RIGHT = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
_LIGHTS = {"green": palette.GOOD, "amber": theme.NOTICE, "red": palette.MASK}
_COLUMNS = ((150, "per s"), (208, "named"), (256, "age"), (294, "gaps"), (334, "lost"), (384, "offset"))
"""Right edges, logical px, of the streams' columns."""


class FiguresPanel(QWidget):
    """Paints an `OperatorView`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedWidth(PANEL_WIDTH)
        self.view: OperatorView | None = None

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint all groups, from the most urgent down."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BAR)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.EDGE, 1.0))
        painter.drawLine(0, 0, 0, self.height())
        if self.view is not None:
            top = self._worries(painter, self.view, PAD)
            top = self._streams(painter, self.view, top)
            top = self._tracker(painter, self.view, top)
            if self.view.dictation is not None:
                top = self._dictation(painter, self.view.dictation, top, has_words=bool(self.view.words))
            top = self._events(painter, self.view, top)
            top = self._letters(painter, self.view, top)
            self._computer(painter, self.view, top)
        painter.end()

    def _title(self, painter: QPainter, top: float, text: str, right: str = "") -> float:
        painter.setFont(theme.font(13, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(self._row(top), _LEFT, text)
        painter.setFont(theme.font(12))
        painter.setPen(theme.DIM)
        painter.drawText(self._row(top), _RIGHT, right)
        return top + LINE + 4

    def _row(self, top: float) -> QRectF:
        return QRectF(PAD, top, self.width() - 2 * PAD, LINE)

    def _line(
        self, painter: QPainter, top: float, left: str, right: str, colour: QColor = theme.TEXT
    ) -> float:
        painter.setFont(theme.font(12))
        painter.setPen(theme.DIM)
        painter.drawText(self._row(top), _LEFT, left)
        painter.setPen(colour)
        painter.drawText(self._row(top), _RIGHT, right)
        return top + LINE

    def _elided(
        self,
        painter: QPainter,
        top: float,
        text: str,
        colour: QColor,
        side: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> float:
        """Paint a line that may be longer than there is room for."""
        painter.setPen(colour)
        shown = painter.fontMetrics().elidedText(text, side, self.width() - 2 * PAD)
        painter.drawText(self._row(top), _LEFT, shown)
        return top + LINE

    def _worries(self, painter: QPainter, view: OperatorView, top: float) -> float:
        if not view.worries:
            painter.setFont(theme.font(15, bold=True))
            painter.setPen(theme.DIM if view.is_over else palette.GOOD)
            painter.drawText(
                self._row(top), _LEFT, "The session is over" if view.is_over else "All is recorded"
            )
            return top + LINE + 16
        for worry in view.worries[:MAX_WORRIES]:
            is_alarm = worry.severity == "alarm"
            painter.setFont(theme.font(14, bold=is_alarm))
            top = self._elided(painter, top, worry.text, palette.MASK if is_alarm else theme.NOTICE) + 2
        return top + 14

    def _streams(self, painter: QPainter, view: OperatorView, top: float) -> float:
        top = self._title(painter, top, "Streams")
        painter.setFont(theme.font(10))
        painter.setPen(theme.DIM)
        for x, name in _COLUMNS:
            painter.drawText(QRectF(x - 60, top - LINE - 2, 60, LINE), _RIGHT, name)
        for stream in view.streams[:MAX_STREAMS]:
            worry = stream_worry(stream)
            colour = theme.TEXT
            if worry is not None:
                colour = palette.MASK if worry.severity == "alarm" else theme.NOTICE
            painter.setFont(theme.font(12))
            painter.setPen(colour)
            name = painter.fontMetrics().elidedText(stream.name, Qt.TextElideMode.ElideRight, 92)
            painter.drawText(self._row(top), _LEFT, name)
            for (x, _), text in zip(_COLUMNS, _cells(stream), strict=True):
                painter.drawText(QRectF(x - 70, top, 70, LINE), _RIGHT, text)
            top += LINE
        return top + 14

    def _tracker(self, painter: QPainter, view: OperatorView, top: float) -> float:
        top = self._title(painter, top, "Tracker", "last 10 s")
        accuracy = "not validated" if view.accuracy_deg is None else f"{view.accuracy_deg:.2f}°  {view.light}"
        colour = _LIGHTS.get(view.light, theme.DIM)
        top = self._line(painter, top, "accuracy, last validation", accuracy, colour)
        top = self._line(painter, top, "precision (RMS-S2S)", _number(view.rms_s2s_deg, "{:.3f}°"))
        lost = view.loss_share
        top = self._line(
            painter, top, "lost", _number(100 * lost, "{:.1f} %"), theme.NOTICE if lost > 0.2 else theme.TEXT
        )
        if view.trouble:
            top = self._elided(painter, top, view.trouble, theme.NOTICE)
        return top + 14

    def _dictation(
        self, painter: QPainter, dictation: DictationStatus, top: float, *, has_words: bool
    ) -> float:
        """Paint the microphone's level, bright while what is said is kept."""
        state = "over" if dictation.is_over else ("recording" if dictation.is_recording else "listening")
        top = self._title(painter, top, "Dictation", state)
        colour = palette.GOOD if dictation.is_recording else theme.DIM
        level = 0.0 if dictation.is_over or dictation.trouble else level_share(dictation.level_dbfs)
        room = QRectF(PAD, top + 6, self.width() - 2 * PAD - 80, LINE - 12)
        painter.fillRect(room, theme.EDGE)
        painter.fillRect(QRectF(room.left(), room.top(), room.width() * level, room.height()), colour)
        painter.setFont(theme.font(12))
        painter.setPen(theme.TEXT)
        painter.drawText(self._row(top), _RIGHT, "-" if not level else f"{dictation.level_dbfs:.0f} dB")
        top = self._line(painter, top + LINE, "kept of this film", f"{dictation.recorded_s:.0f} s")
        if not has_words:
            top = self._line(painter, top, "words", "none come; made later of the sound", theme.DIM)
        return top + 14

    def _events(self, painter: QPainter, view: OperatorView, top: float) -> float:
        top = self._title(painter, top, "Events found online", view.now)
        counts = [(kind, view.counts.get(kind, 0)) for kind in ("fixation", "saccade", "loss")]
        said = "     ".join(
            f"{n} {kind}{'' if n == 1 else ('es' if kind == 'loss' else 's')}" for kind, n in counts
        )
        painter.setFont(theme.font(12))
        painter.setPen(theme.TEXT)
        painter.drawText(self._row(top), _LEFT, said)
        top += LINE
        n = len(view.keyframes)
        top = self._line(painter, top, "key frames so far (provisional)", str(n))
        if view.words:
            top = self._elided(painter, top, view.words, theme.DIM, Qt.TextElideMode.ElideLeft)
        return top + 14

    def _letters(self, painter: QPainter, view: OperatorView, top: float) -> float:
        if not view.dwell:
            return top
        top = self._title(painter, top, "Dwell by letter")
        most = max(max((one.dwell_s for one in view.dwell), default=0.0), 1e-9)
        for one in view.dwell:
            painter.setFont(theme.font(12))
            painter.setPen(theme.TEXT if one.dwell_s else theme.DIM)
            text = painter.fontMetrics().elidedText(
                f"{one.letter}  {one.title}", Qt.TextElideMode.ElideRight, 130
            )
            painter.drawText(self._row(top), _LEFT, text)
            fill = QColor(palette.letter_colour(one.letter))
            fill.setAlpha(170)
            room = self.width() - 2 * PAD - 140 - 60
            painter.fillRect(QRectF(PAD + 140, top + 5, room * one.dwell_s / most, LINE - 10), fill)
            painter.drawText(self._row(top), _RIGHT, f"{one.dwell_s:.1f} s")
            top += LINE
        return top + 14

    def _computer(self, painter: QPainter, view: OperatorView, top: float) -> None:
        status = view.status
        if status is None:
            return
        top = self._title(painter, top, "Computer")
        colour = palette.MASK if status.disk_is_low else theme.TEXT
        top = self._line(
            painter, top, "room on the disk", f"{status.disk_free_bytes / 2**30:.0f} GiB", colour
        )
        top = self._line(painter, top, "most batches that waited", str(status.queue_high_water))


def _cells(stream: StreamStatus) -> tuple[str, ...]:
    return (
        "" if stream.rate_hz is None else f"{stream.rate_hz:.0f}",
        f"{stream.nominal_rate_hz:.0f}" if stream.nominal_rate_hz else "",
        "" if stream.last_sample_age_s is None else f"{stream.last_sample_age_s:.1f} s",
        str(stream.n_gaps),
        "?" if stream.missing_by_frame_number is None else str(stream.missing_by_frame_number),
        "" if stream.offset_s is None else _offset(stream.offset_s),
    )


def _offset(offset_s: float) -> str:
    """Return a clock offset: that of another computer may be days."""
    if abs(offset_s) < 1.0:
        return f"{1000 * offset_s:.1f} ms"
    return f"{offset_s:.1f} s" if abs(offset_s) < 1000 else f"{offset_s:.0f} s"


def _number(value: float, form: str) -> str:
    return form.format(value) if math.isfinite(value) else "-"

"""The slim bar above the radiographs: progress, indication, and what each viewport shows."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QRect, QRectF, Qt, QTimer
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from gazecapture.viewer.dictation import Dictation
from gazecapture.viewer.dictation_status import level_share
from gazecapture.viewer.model import ViewportState
from gazecapture.viewer.qt import theme

__all__ = ["HEADER_HEIGHT", "HeaderBar", "ImageLabel"]

CAPTION_HEIGHT = 32
STRIP_HEIGHT = 24
HEADER_HEIGHT = CAPTION_HEIGHT + STRIP_HEIGHT
"""Logical px; a multiple of 4, so that the radiographs begin on a whole physical px at scales of 125 ... 175 %."""
MARGIN = 14
METER_MS = 100
METER_LEFT, METER_WIDTH = 84, 96
"""Logical px; beside the progress, which is never wider than ``9999/9999``."""
NOT_FOR_DIAGNOSIS = "Research use only, not for diagnosis"
KEYS_HINT = "F1  keys"

_ROLE_NAMES = {"current": "Current", "prior": "Prior", "lateral": "Lateral"}
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLabel:
    """What is said of an image beside its window and zoom."""

    role: str
    view_position: str = ""
    note: str = ""
    """What must not be overlooked: that this is an addendum."""


class HeaderBar(QWidget):
    """Paints two lines: the study's, and one per viewport above it. Takes no input."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedHeight(HEADER_HEIGHT)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._progress = ""
        self._share = 0.0
        self._indication = ""
        self._viewports: tuple[ViewportState, ...] = ()
        self._labels: tuple[ImageLabel, ...] = ()
        self._dictation: Dictation | None = None
        self._metering = QTimer(self)
        self._metering.timeout.connect(lambda: self.update(self._meter_rect()))

    def show_dictation(self, dictation: Dictation) -> None:
        """Show from now on how loud it is, and whether what is said is kept."""
        self._dictation = dictation
        self._metering.start(METER_MS)

    def show_progress(self, number: int, n_studies: int) -> None:
        """Show which study of how many this is."""
        self._progress = f"{number}/{n_studies}"
        self._share = (number - 1) / max(1, n_studies)
        self.update()

    def show_study(self, indication: str, labels: tuple[ImageLabel, ...]) -> None:
        """Show a study's indication and what its images are."""
        self._indication, self._labels = indication, labels
        self.update()

    def show_viewports(self, viewports: tuple[ViewportState, ...]) -> None:
        """Show zoom, window and orientation of each viewport."""
        self._viewports = viewports
        self.update(0, CAPTION_HEIGHT, self.width(), STRIP_HEIGHT)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint both lines."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BAR)
        self._paint_caption(painter)
        if self._viewports and self._labels:
            share = self.width() / len(self._viewports)
            for place, state in enumerate(self._viewports):
                label = self._labels[state.image.image_index]
                left, right = round(share * place), round(share * (place + 1))
                self._paint_strip(
                    painter, QRect(left, CAPTION_HEIGHT, right - left, STRIP_HEIGHT), state, label
                )
        painter.fillRect(0, self.height() - 1, self.width(), 1, theme.EDGE)
        painter.fillRect(QRectF(0, self.height() - 1, self.width() * self._share, 1), theme.ACCENT)
        painter.end()

    def _paint_caption(self, painter: QPainter) -> None:
        line = QRect(MARGIN, 0, self.width() - 2 * MARGIN, CAPTION_HEIGHT)
        painter.setFont(theme.font(14, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(line, _LEFT, self._progress)
        left = MARGIN + painter.fontMetrics().horizontalAdvance(self._progress) + 18
        painter.setFont(theme.font(12))
        painter.setPen(theme.DIM)
        notice = f"{NOT_FOR_DIAGNOSIS}     {KEYS_HINT}"
        painter.drawText(line, _RIGHT, notice)
        right = line.right() - painter.fontMetrics().horizontalAdvance(notice) - 24
        if self._dictation is not None:
            self._paint_meter(painter, self._dictation)
            left = self._meter_rect().right() + 18
        if self._indication:
            painter.setFont(theme.font(14))
            painter.setPen(theme.TEXT)
            room = QRect(left, 0, max(0, right - left), CAPTION_HEIGHT)
            painter.drawText(room, _LEFT, _elided(painter, self._indication, room.width()))

    def _meter_rect(self) -> QRect:
        return QRect(MARGIN + METER_LEFT, 0, METER_WIDTH, CAPTION_HEIGHT)

    def _paint_meter(self, painter: QPainter, dictation: Dictation) -> None:
        """Paint a dot that is lit while what is said is kept, and a bar from `QUIETEST` dB to full scale."""
        place = self._meter_rect()
        kept = dictation.is_recording
        middle = place.center().y()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.NOTICE if kept else theme.EDGE)
        painter.drawEllipse(place.left(), middle - 4, 8, 8)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        share = level_share(dictation.level_dbfs)
        painter.fillRect(place.left() + 16, middle - 2, METER_WIDTH - 16, 4, theme.EDGE)
        painter.fillRect(
            place.left() + 16,
            middle - 2,
            round((METER_WIDTH - 16) * share),
            4,
            theme.ACCENT if kept else theme.DIM,
        )

    def _paint_strip(self, painter: QPainter, place: QRect, state: ViewportState, label: ImageLabel) -> None:
        place = place.adjusted(MARGIN, 0, -MARGIN, 0)
        left = place.left()
        parts: list[tuple[str, QColor, bool]] = [
            (
                _ROLE_NAMES.get(label.role, label.role),
                theme.NOTICE if label.role == "prior" else theme.ACCENT,
                True,
            ),
            (label.view_position, theme.DIM, False),
            (label.note, theme.NOTICE, True),
            (_orientation(state), theme.NOTICE, True),
            ("Inverted" if state.inverted_by_reader else "", theme.NOTICE, True),
        ]
        for text, colour, bold in parts:
            if not text:
                continue
            painter.setFont(theme.font(12, bold=bold))
            painter.setPen(colour)
            painter.drawText(QRect(left, place.top(), place.right() - left, place.height()), _LEFT, text)
            left += painter.fontMetrics().horizontalAdvance(text) + 14
        painter.setFont(theme.font(12))
        painter.setPen(theme.DIM)
        figures = f"{_window(state)}     {state.scale * 100:.0f} %"
        painter.drawText(QRect(left, place.top(), place.right() - left, place.height()), _RIGHT, figures)


def _elided(painter: QPainter, text: str, width: int) -> str:
    metrics: QFontMetrics = painter.fontMetrics()
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)


def _orientation(state: ViewportState) -> str:
    """Say how the image is turned against the file, so that left and right are never mixed up."""
    parts = (["Flipped"] if state.flipped else []) + (
        [f"Turned {90 * (state.quarter_turns % 4)}°"] if state.quarter_turns % 4 else []
    )
    return ", ".join(parts)


def _window(state: ViewportState) -> str:
    name = "" if state.voi == "LINEAR" else f"{state.voi}  "
    return f"{name}C {state.center:.0f}  W {state.width:.0f}"

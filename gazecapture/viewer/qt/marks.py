"""Draws what a reader has marked on a film: boxes, ellipses, lines with their text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QPainter, QPen

from gazecapture.viewer.findings import Finding
from gazecapture.viewer.measures import Measure, Spacing
from gazecapture.viewer.model import ViewportState
from gazecapture.viewer.qt import theme

__all__ = ["DrawnMark", "finding_marks", "measure_marks", "paint_marks", "paint_unfinished"]

LABEL_GAP = 5.0
LABEL_HEIGHT = 16.0
"""Logical px of a mark's label."""

ToWidget = Callable[[float, float], QPointF]
"""Screen px to the widget's logical px."""


@dataclass(frozen=True, slots=True)
class DrawnMark:
    """A mark and its viewport, in the widget's logical px."""

    viewport: QRectF
    rect: QRectF
    label: str
    shape: str
    """box, ellipse or line."""
    line: tuple[QPointF, QPointF] | None = None


def finding_marks(state: ViewportState, findings: Sequence[Finding], to_widget: ToWidget) -> list[DrawnMark]:
    """Return the marks of the findings on a viewport's image."""
    to_screen, viewport = state.image_to_screen(), _viewport_rect(state, to_widget)
    marks = []
    for finding in findings:
        if finding.box is None or finding.image_index != state.image.image_index:
            continue
        xs, ys = to_screen.apply(finding.box[0::2], finding.box[1::2])
        corners = to_widget(float(xs[0]), float(ys[0])), to_widget(float(xs[1]), float(ys[1]))
        marks.append(DrawnMark(viewport, QRectF(*corners).normalized(), finding.label, finding.shape))
    return marks


def measure_marks(
    state: ViewportState, measures: Sequence[Measure], spacing: Spacing, to_widget: ToWidget
) -> list[DrawnMark]:
    """Return the lines of the measures on a viewport's image; the last line of each bears its text."""
    to_screen, viewport = state.image_to_screen(), _viewport_rect(state, to_widget)
    marks = []
    for measure in measures:
        for place, line in enumerate(measure.lines):
            if line.image_index != state.image.image_index:
                continue
            xs, ys = to_screen.apply([line.x0, line.x1], [line.y0, line.y1])
            ends = to_widget(float(xs[0]), float(ys[0])), to_widget(float(xs[1]), float(ys[1]))
            text = measure.text(spacing) if place == len(measure.lines) - 1 else ""
            marks.append(DrawnMark(viewport, QRectF(*ends).normalized(), text, "line", ends))
    return marks


def paint_marks(painter: QPainter, marks: Sequence[DrawnMark]) -> None:
    """Paint marks, each inside its viewport."""
    painter.setFont(theme.font(12))
    for mark in marks:
        painter.setPen(QPen(theme.FINDING, 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setClipRect(mark.viewport)
        if mark.line is not None:
            painter.drawLine(*mark.line)
        elif mark.shape == "ellipse":
            painter.drawEllipse(mark.rect)
        else:
            painter.drawRect(mark.rect)
        # Above the mark; inside it where the viewport ends there.
        top = mark.rect.top() - LABEL_GAP
        if top - LABEL_HEIGHT < mark.viewport.top():
            top = max(mark.rect.top(), mark.viewport.top()) + LABEL_HEIGHT
        place = QPointF(max(mark.rect.left(), mark.viewport.left()) + LABEL_GAP, top)
        # A shadow keeps it legible on bright bone.
        for offset, colour in ((QPointF(1.0, 1.0), theme.SURROUND), (QPointF(), theme.FINDING)):
            painter.setPen(QPen(colour, 1.0))
            painter.drawText(place + offset, mark.label)
    painter.setClipping(False)


def paint_unfinished(painter: QPainter, shape: str, start: QPointF, end: QPointF) -> None:
    """Paint what is being drawn, dashed."""
    painter.setPen(QPen(theme.FINDING, 1.0, Qt.PenStyle.DashLine))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if shape == "line":
        painter.drawLine(start, end)
    elif shape == "ellipse":
        painter.drawEllipse(QRectF(start, end).normalized())
    else:
        painter.drawRect(QRectF(start, end).normalized())


def _viewport_rect(state: ViewportState, to_widget: ToWidget) -> QRectF:
    x0, y0, x1, y1 = state.rect
    return QRectF(to_widget(x0, y0), to_widget(x1, y1))

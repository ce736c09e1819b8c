"""Radiographs drawn into a widget that is not the reader's: for review, operator and teaching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QColor, QImage, QPainter, QPen

from gazecapture.viewer.model import Rect, ViewportState
from gazecapture.viewer.qt import theme
from gazecapture.viewer.render import Picture, ViewportRenderer, pixel_rect

__all__ = ["FilmPainter", "box_on", "label", "xywh"]

Box = tuple[float, float, float, float]


class FilmPainter:
    """Draws viewports; keeps what is costly from frame to frame.

    pictures : by image index; an image without one is drawn as its outline.
    """

    def __init__(self, pictures: Mapping[int, Picture]) -> None:
        self._pictures = pictures
        self._renderers: dict[tuple[int, int], ViewportRenderer] = {}

    def paint(self, painter: QPainter, state: ViewportState, device_pixel_ratio: float) -> None:
        """Draw a viewport whose rectangle is in the widget's logical px."""
        index = state.image.image_index
        if index not in self._pictures:
            painter.setPen(QPen(theme.EDGE, 1.0))
            painter.drawRect(box_on(state, (0.0, 0.0, state.image.width_px, state.image.height_px)))
            return
        renderer = self._renderers.setdefault(
            (index, state.viewport_id), ViewportRenderer(self._pictures[index])
        )
        x0, y0, x1, y1 = state.rect
        rect: Rect = (
            x0 * device_pixel_ratio, y0 * device_pixel_ratio, x1 * device_pixel_ratio, y1 * device_pixel_ratio,
        )  # fmt: skip
        physical = replace(state, rect=rect, scale=state.scale * device_pixel_ratio)
        left, top, right, bottom = pixel_rect(rect)
        canvas = np.zeros((max(1, bottom - top), max(1, right - left)), np.uint8)
        renderer.draw(physical, canvas, left, top)
        image = _grey_image(canvas)
        image.setDevicePixelRatio(device_pixel_ratio)
        painter.drawImage(QPointF(left / device_pixel_ratio, top / device_pixel_ratio), image)


def box_on(state: ViewportState, box: Box) -> QRectF:
    """Return where a box in image px lies on the widget."""
    xs, ys = state.image_to_screen().apply(box[0::2], box[1::2])
    return QRectF(QPointF(xs[0], ys[0]), QPointF(xs[1], ys[1])).normalized()


def xywh(rect: Rect) -> tuple[float, float, float, float]:
    """Return corner and size, as Qt takes them."""
    return rect[0], rect[1], rect[2] - rect[0], rect[3] - rect[1]


def label(painter: QPainter, place: QPointF, text: str, colour: QColor) -> None:
    """Write text that stays legible on bright bone."""
    for offset, pen in ((QPointF(1.0, 1.0), theme.SURROUND), (QPointF(), colour)):
        painter.setPen(QPen(pen, 1.0))
        painter.drawText(place + offset, text)


def _grey_image(canvas: NDArray[np.uint8]) -> QImage:
    height, width = canvas.shape
    return QImage(canvas.tobytes(), width, height, width, QImage.Format.Format_Grayscale8).copy()

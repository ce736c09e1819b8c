"""Tags at the window's edge, by which a scene camera finds the screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PyQt6.QtCore import QRect
from PyQt6.QtGui import QImage, QPainter, QPaintEvent, QScreen
from PyQt6.QtWidgets import QWidget

from gazecapture.screen.tags import ScreenTag, tag_bitmap, tag_layout
from gazecapture.viewer.qt.screens import rect_on_screen
from keyframes.geometry import Display

__all__ = ["TagFrame"]

BRIGHT_GREY = 160
"""Of the tags' white: dim enough for a dark room, and still five times what detectors need between dark and light."""
GAP_PX = 4
"""Logical px between tags and what is inside of them."""


class _Tag(QWidget):
    """One tag with its margin."""

    def __init__(self, parent: QWidget, tag: ScreenTag, ratio: float) -> None:
        super().__init__(parent)
        grey = np.ascontiguousarray((tag_bitmap(tag) > 0) * np.uint8(BRIGHT_GREY))
        side = grey.shape[0]
        # Copied, since Qt does not keep the array.
        self._image = QImage(grey.tobytes(), side, side, side, QImage.Format.Format_Grayscale8).copy()
        self._image.setDevicePixelRatio(ratio)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint it, physical px by physical px."""
        painter = QPainter(self)
        painter.drawImage(0, 0, self._image)
        painter.end()


class TagFrame:
    """Keeps the tags of a window at its edge.

    Parameters
    ----------
    display : for the tags' size in mm.
    """

    def __init__(self, window: QWidget, screen: QScreen, display: Display) -> None:
        self._window, self._screen, self._display = window, screen, display
        self._widgets: list[_Tag] = []
        self._laid: tuple[ScreenTag, ...] = ()
        self.inside = QRect()
        """What is left to the window's content, in the window's coordinates."""
        self.lay_out()

    @property
    def tags(self) -> tuple[ScreenTag, ...]:
        """The tags as they are on the screen now, in its px."""
        x0, y0, _, _ = rect_on_screen(self._window, self._screen)
        return tuple(
            replace(tag, x0_screen_px=tag.x0_screen_px + round(x0), y0_screen_px=tag.y0_screen_px + round(y0))
            for tag in self._laid
        )

    def lay_out(self) -> None:
        """Put the tags where the window's edge is now."""
        ratio = self._screen.devicePixelRatio()
        x0, y0, x1, y1 = rect_on_screen(self._window, self._screen)
        width_px, height_px = round(x1 - x0), round(y1 - y0)
        display = self._display
        laid = tag_layout(
            width_px,
            height_px,
            width_mm=None if display.width_mm is None else width_px * display.width_mm / display.width_px,
            height_mm=None
            if display.height_mm is None
            else height_px * display.height_mm / display.height_px,
        )
        for widget in self._widgets:
            widget.hide()
            widget.deleteLater()
        self._widgets = [_Tag(self._window, tag, ratio) for tag in laid]
        for widget, tag in zip(self._widgets, laid, strict=True):
            left, top, right, bottom = (v / ratio for v in tag.box_screen_px())
            widget.setGeometry(round(left), round(top), round(right - left), round(bottom - top))
            widget.show()
        self._laid = laid
        left, top, right, bottom = laid[0].box_screen_px()
        inset_x, inset_y = round((right - left) / ratio) + GAP_PX, round((bottom - top) / ratio) + GAP_PX
        self.inside = self._window.rect().adjusted(inset_x, inset_y, -inset_x, -inset_y)

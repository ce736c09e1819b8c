"""Colours and type of the reading window: a dark room's, nothing brighter than it must be."""

from __future__ import annotations

from PyQt6.QtGui import QColor, QFont

__all__ = [
    "ACCENT",
    "BAR",
    "DIM",
    "EDGE",
    "FINDING",
    "NOTICE",
    "PANEL",
    "SURROUND",
    "TEXT",
    "font",
]

SURROUND = QColor(0, 0, 0)
BAR = QColor(11, 13, 16)
PANEL = QColor(18, 21, 26)
EDGE = QColor(40, 46, 54)
TEXT = QColor(198, 205, 213)
DIM = QColor(122, 131, 142)
ACCENT = QColor(112, 168, 190)
NOTICE = QColor(208, 160, 88)
"""Prior, flipped, turned, unreadable: what must not be overlooked."""
FINDING = QColor(232, 190, 96)

_FAMILIES = ["Inter", "Segoe UI", "SF Pro Text", "Helvetica Neue", "Noto Sans", "DejaVu Sans"]


def font(pixel_size: int, *, bold: bool = False) -> QFont:
    """Return the window's type face in a size of logical px."""
    face = QFont(_FAMILIES)
    face.setPixelSize(pixel_size)
    face.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    return face

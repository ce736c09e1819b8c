"""Colours that tell layers and letters apart on a dark ground and on a radiograph."""

from __future__ import annotations

from PyQt6.QtGui import QColor

from gazecapture.viewer.qt import theme

__all__ = ["ABSENT", "GAZE", "GOOD", "KEYFRAME", "MASK", "REGION", "SELECTED", "letter_colour"]

GAZE = theme.ACCENT
KEYFRAME = QColor(196, 148, 214)
REGION = QColor(126, 168, 130)
SELECTED = theme.FINDING
MASK = QColor(214, 110, 96)
ABSENT = QColor(96, 102, 110)
GOOD = QColor(126, 176, 134)

_LETTERS = (
    QColor(104, 152, 190), QColor(126, 168, 130), QColor(198, 124, 112), QColor(204, 170, 96),
    QColor(162, 136, 196), QColor(112, 170, 172), QColor(186, 140, 160), QColor(150, 150, 116),
)  # fmt: skip
"""Of equal lightness, so that none shouts; more letters than these begin anew."""


def letter_colour(letter: str) -> QColor:
    """Return a letter's colour, always the same; that of no letter is the dim text's."""
    return _LETTERS[(ord(letter[0].upper()) - ord("A")) % len(_LETTERS)] if letter else theme.DIM

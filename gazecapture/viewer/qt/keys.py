"""What each key does, and how the cheat sheet says it."""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence

from gazecapture.viewer.measures import MeasureKind
from gazecapture.viewer.model import ActionKind
from gazecapture.viewer.qt.viewport import Pen
from keyframes.errors import ConfigError

__all__ = [
    "ARROWS",
    "BACK",
    "CHEAT_SHEET",
    "MEASURES",
    "NEXT",
    "PENS",
    "REPEATING",
    "SIMPLE",
    "ZOOM",
    "talk_key",
]

SIMPLE: Final[dict[int, ActionKind]] = {
    Qt.Key.Key_F: "fit",
    Qt.Key.Key_Z: "one_to_one",
    Qt.Key.Key_I: "invert",
    Qt.Key.Key_H: "flip",
    Qt.Key.Key_V: "rotate",
    Qt.Key.Key_R: "reset",
    Qt.Key.Key_L: "link",
}
ARROWS: Final[dict[int, tuple[float, float]]] = {
    Qt.Key.Key_Left: (1.0, 0.0),
    Qt.Key.Key_Right: (-1.0, 0.0),
    Qt.Key.Key_Up: (0.0, 1.0),
    Qt.Key.Key_Down: (0.0, -1.0),
}
ZOOM: Final[dict[int, float]] = {Qt.Key.Key_Plus: 1.0, Qt.Key.Key_Equal: 1.0, Qt.Key.Key_Minus: -1.0}
PENS: Final[dict[int, Pen]] = {Qt.Key.Key_B: "box", Qt.Key.Key_E: "ellipse"}
MEASURES: Final[dict[int, MeasureKind]] = {Qt.Key.Key_D: "length", Qt.Key.Key_C: "cardiothoracic"}
NEXT: Final = frozenset({Qt.Key.Key_N, Qt.Key.Key_PageDown})
BACK: Final = frozenset({Qt.Key.Key_PageUp})
REPEATING: Final = frozenset({*ARROWS, *ZOOM})
"""Only these keys act again while they are held: a held N must not close two studies."""

CHEAT_SHEET = (
    ("Wheel,  +  -", "zoom at the cursor"),
    ("Middle drag,  Space + drag,  arrows", "pan"),
    ("Right drag", "window:  →  wider,  ↓  darker"),
    ("1 … 9", "the file's own windows and look-up tables"),
    ("F   /   Z", "fit   /   one image pixel per screen pixel"),
    ("M", "magnifier at the cursor"),
    ("I   /   H   /   V", "invert   /   flip left-right   /   turn by 90°"),
    ("R   /   Ctrl Z", "reset   /   undo"),
    ("S   /   Tab   /   L", "one or two images   /   the other   /   link"),
    ("B   /   E,  then drag", "mark a finding by a box   /   an ellipse"),
    ("D,  then drag", "length"),
    ("C,  then drag twice", "cardiothoracic ratio: the heart, then the thorax"),
    ("Delete", "remove the last finding or measure"),
    ("T,  held,  or the pedal", "dictate"),
    ("N,  Page Down", "close this study and go on"),
    ("Page Up", "back to the last film, as an addendum"),
    ("P", "pause; time stands still"),
    ("Esc   /   F11", "cancel   /   full screen"),
    ("Ctrl Q", "close the session; it can be resumed"),
)
"""What to press, what it does."""


def talk_key(name: str) -> int:
    """Return the key that is held to dictate. Raises ConfigError where Qt knows none of this name."""
    sequence = QKeySequence(name)
    if sequence.count() != 1 or sequence[0].key() == Qt.Key.Key_unknown:
        raise ConfigError(f"field 'reading.talk_key': there is no key {name!r}", hint="T, F13, Ins, say.")
    return sequence[0].key().value

"""Every key of the review window: what it does, and how the cheat sheet says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent, QPainter

from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.panels import OverlayPanel
from gazecapture.viewer.review.model import Layer, ReviewModel
from keyframes.errors import UsageError

__all__ = ["KEYS", "Desk", "KeySheet", "ReviewKeys"]

STEP_NS = 100_000_000
LONG_STEP_NS = 1_000_000_000
BOX_STEP, BOX_STEP_FINE = 0.01, 0.002
"""Of the image's shorter side, per arrow key; fine with Control."""

KEYS = (
    ("Space    - =", "play or pause    slower, faster"),
    ("← →    Shift ← →    , .", "0.1 s    1 s    fixation"),
    ("↑ ↓    [  ]", "sentence    its start, end to this moment"),
    ("E", "correct its text"),
    ("A    X", "accept    reject the reading, with a reason"),
    ("G F P H K L", "gaze, fixations, scanpath, heat, key frames, regions"),
    ("D    I", "as it was on the screen or whole    next image"),
    ("R", "regions: Tab, drag or arrows, Shift resizes, Delete: not on it"),
    ("T", "text in the pixels: drag or N, Delete, O: nothing names anybody"),
    ("Enter    Esc", "save what was changed    leave it"),
    ("Ctrl Z", "undo, as a further decision"),
    ("Page Up    Page Down", "reading before, after"),
    ("F11    Ctrl Q", "full screen    quit"),
)
_LAYER_KEYS: dict[int, Layer] = {
    Qt.Key.Key_G: "gaze",
    Qt.Key.Key_F: "fixations",
    Qt.Key.Key_P: "scanpath",
    Qt.Key.Key_H: "heat",
    Qt.Key.Key_K: "keyframes",
    Qt.Key.Key_L: "regions",
}
_ARROWS: dict[int, tuple[float, float]] = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}


class KeySheet(OverlayPanel):
    """The cheat sheet."""

    size_logical_px = (640, 76 + 24 * len(KEYS))

    def paint_content(self, painter: QPainter) -> None:
        """Paint the table."""
        painter.setFont(theme.font(16, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(18, 34, "Keys")
        painter.setFont(theme.font(13))
        for place, (keys, meaning) in enumerate(KEYS):
            y = 70 + 24 * place
            painter.setPen(theme.ACCENT)
            painter.drawText(18, y, keys)
            painter.setPen(theme.TEXT)
            painter.drawText(214, y, meaning)


class Desk(Protocol):
    """What keys need of the window: it speaks, asks, and turns pages."""

    def say(self, text: str, *, stays: bool = False) -> None:
        """Show a line for a moment."""
        ...

    def ask_for(self, what: str, text: str, then: Callable[[str], object]) -> None:
        """Ask for a text and hand it over."""
        ...

    def play_on(self) -> None:
        """Let the time run while the model plays."""
        ...


class ReviewKeys:
    """Does what a key stands for, on a model; keys of the window itself stay with it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def press(self, model: ReviewModel, event: QKeyEvent) -> None:
        """Take a key."""
        key = event.key()
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        try:
            if self._common(model, key, control=control):
                return
            if model.mode == "look":
                self._look(model, key, shift=shift)
            else:
                self._box(model, key, shift=shift, control=control)
        except UsageError as error:
            self._desk.say(f"{error.message}. {error.hint}".strip())

    def _common(self, model: ReviewModel, key: int, *, control: bool) -> bool:
        if control and key == Qt.Key.Key_Z:
            if not model.undo():
                self._desk.say("There is nothing to undo.")
        elif control:
            return model.mode == "look"
        elif key == Qt.Key.Key_R:
            model.enter("look" if model.mode == "regions" else "regions")
        elif key == Qt.Key.Key_T:
            model.enter("look" if model.mode == "text" else "text")
        elif key == Qt.Key.Key_I:
            model.show_image(1)
            model.as_it_was = False
        elif key == Qt.Key.Key_Escape and model.mode != "look":
            model.enter("look")
        else:
            return False
        return True

    def _look(self, model: ReviewModel, key: int, *, shift: bool) -> None:
        if key == Qt.Key.Key_Space:
            model.play(on=not model.is_playing)
            self._desk.play_on()
        elif key in {Qt.Key.Key_Left, Qt.Key.Key_Right}:
            step = LONG_STEP_NS if shift else STEP_NS
            model.seek(model.t_ns + (step if key == Qt.Key.Key_Right else -step))
        elif key in {Qt.Key.Key_Period, Qt.Key.Key_Comma}:
            model.step_fixation(1 if key == Qt.Key.Key_Period else -1)
        elif key in {Qt.Key.Key_Up, Qt.Key.Key_Down}:
            model.step_sentence(1 if key == Qt.Key.Key_Down else -1)
        elif key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            ends = model.timeline.start_ns, model.timeline.end_ns
            model.seek(ends[key == Qt.Key.Key_End])
        elif key in {Qt.Key.Key_Minus, Qt.Key.Key_Equal, Qt.Key.Key_Plus}:
            model.change_speed(-1 if key == Qt.Key.Key_Minus else 1)
        elif key in {Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight}:
            model.move_bound("start" if key == Qt.Key.Key_BracketLeft else "end", model.t_ns)
        elif key in _LAYER_KEYS:
            model.layers ^= {_LAYER_KEYS[key]}
        elif key == Qt.Key.Key_D:
            model.as_it_was = not model.as_it_was
        elif key == Qt.Key.Key_A:
            model.accept()
        elif key == Qt.Key.Key_X:
            self._desk.ask_for("Why is the reading rejected?", "", model.reject)
        elif key == Qt.Key.Key_E:
            if model.sentence is None:
                model.step_sentence(1)
            if model.sentence is not None:
                self._desk.ask_for("The sentence", model.sentence.text, model.correct_text)

    def _box(self, model: ReviewModel, key: int, *, shift: bool, control: bool) -> None:
        if key in _ARROWS:
            step = BOX_STEP_FINE if control else BOX_STEP
            dx, dy = _ARROWS[key]
            model.move_box(dx * step, dy * step, size=shift)
        elif key in {Qt.Key.Key_Tab, Qt.Key.Key_Backtab}:
            model.step_box(-1 if key == Qt.Key.Key_Backtab else 1)
        elif key in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            model.remove_box()
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._desk.say("It is decided." if model.save_boxes() else "Nothing was changed.")
        elif key == Qt.Key.Key_N and model.mode == "text":
            model.add_box()
        elif key == Qt.Key.Key_O and model.mode == "text":
            model.nothing_names_anybody()
            self._desk.say("It is decided: nothing names anybody.")

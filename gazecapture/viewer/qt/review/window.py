"""The review window: film, timeline, list; every key does what its cheat sheet says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from PyQt6.QtCore import QElapsedTimer, QRect, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeyEvent, QPainter, QPaintEvent, QPalette, QPen, QResizeEvent
from PyQt6.QtWidgets import QLabel, QLineEdit, QWidget

from gazecapture.viewer.background import Workers
from gazecapture.viewer.qt import theme
from gazecapture.viewer.qt.review import palette
from gazecapture.viewer.qt.review.film import FilmView
from gazecapture.viewer.qt.review.keys import KeySheet, ReviewKeys
from gazecapture.viewer.qt.review.side import SIDE_WIDTH, SidePanel
from gazecapture.viewer.qt.review.strip import STRIP_HEIGHT, TimelineStrip
from gazecapture.viewer.review.book import DecisionBook
from gazecapture.viewer.review.loading import Prepared, prepare
from gazecapture.viewer.review.model import ReviewModel
from gazecapture.viewer.review.source import ReviewItem, ReviewSource
from gazecapture.viewer.review.writer import DecisionWriter
from keyframes.errors import GazeToolError, UsageError

__all__ = ["ReviewWindow"]

BAR_HEIGHT = 44
PROMPT_HEIGHT = 56
FRAME_MS = 33
"""Thirty moments a second are as smooth as gaze needs here."""
SAID_MS = 4000
WRITE_PATIENCE_S = 5.0
"""s in which decisions that still wait are written after the window was closed."""
PATIENCE_S = 10.0
"""s to wait at the end for a reading that is being prepared; it is of no use to anybody then."""
_MODE_SAYS = {"look": "", "regions": "regions", "text": "text in the pixels"}


class _Bar(QWidget):
    """Which reading, what is said of it, where in its time."""

    def __init__(self, parent: QWidget, window: ReviewWindow) -> None:
        super().__init__(parent)
        self._window = window

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BAR)
        room = QRectF(self.rect()).adjusted(16, 0, -16, 0)
        left = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        right = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        window, model = self._window, self._window.model
        painter.setFont(theme.font(14, bold=True))
        painter.setPen(theme.TEXT)
        painter.drawText(room, left, window.title)
        x = room.left() + painter.fontMetrics().horizontalAdvance(window.title) + 18
        painter.setFont(theme.font(13))
        if model is not None and model.verdict:
            is_good = model.verdict == "accept"
            painter.setPen(palette.GOOD if is_good else palette.MASK)
            painter.drawText(QRectF(x, 0, 300, self.height()), left, "accepted" if is_good else "rejected")
        elif model is not None and model.material.verdict:
            painter.setPen(theme.DIM)
            painter.drawText(QRectF(x, 0, 300, self.height()), left, f"quality: {model.material.verdict}")
        if model is not None:
            end = model.timeline.end_ns / 1e9
            speed = "" if model.speed == 1 else f"   x{model.speed:g}"
            state = "▶" if model.is_playing else "Ⅱ"
            mode = _MODE_SAYS[model.mode]
            shown = mode or f"{state}   {model.t_ns / 1e9:6.2f} of {end:.1f} s{speed}"
            painter.setPen(palette.SELECTED if mode else theme.TEXT)
            painter.drawText(room.adjusted(0, 0, -SIDE_WIDTH, 0), right, shown)
            names = {"regions": "letter's regions"}
            on = ", ".join(
                names.get(layer, layer)
                for layer in ("gaze", "fixations", "scanpath", "heat", "keyframes", "regions")
                if layer in model.layers
            )
            painter.setPen(theme.DIM)
            painter.setFont(theme.font(11))
            painter.drawText(room, right, on if len(on) < 46 else f"{len(model.layers)} layers")
        painter.setPen(QPen(theme.EDGE, 1.0))
        painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)
        painter.end()


class ReviewWindow(QWidget):
    """Shows one reading of a source after the other; decisions are handed to a writer.

    Parameters
    ----------
    first : key of the reading to begin with; the first one where it is empty.
    """

    closed = pyqtSignal()
    """Everything is written that could be."""
    _all_closed = pyqtSignal()
    _prepared = pyqtSignal(str, object)
    _written = pyqtSignal()

    def __init__(self, source: ReviewSource, *, reviewer: str, first: str = "") -> None:
        super().__init__()
        self.setWindowTitle(f"gazecapture review: {source.name} (research use only, not for diagnosis)")
        colours = QPalette()
        colours.setColor(QPalette.ColorRole.Window, theme.SURROUND)
        self.setPalette(colours)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.resize(1280, 800)
        self._source, self._reviewer = source, reviewer
        self._items: list[ReviewItem] = []
        self._place = 0
        self._first = first
        self.model: ReviewModel | None = None
        self.title = "loading"
        self._workers = Workers()
        self._is_closing = False
        self.unwritten: list[str] = []
        """Decisions that could not be written when the window closed."""
        self.writer = DecisionWriter(reviewer, on_change=self._written.emit)
        self._written.connect(self._after_writing)
        # By way of a method of this object, so that `closed` comes in the GUI thread.
        self._all_closed.connect(self._everything_closed)
        self._prepared.connect(self._take_prepared)
        self.bar = _Bar(self, self)
        self.film = FilmView(self)
        self.side = SidePanel(self)
        self.strip = TimelineStrip(self)
        self.keys = KeySheet(self)
        self._model_keys = ReviewKeys(self)
        self.prompt = QLineEdit(self)
        self.prompt.setFont(theme.font(15))
        self.prompt.setStyleSheet(_PROMPT_STYLE)
        self.prompt.hide()
        self.prompt.returnPressed.connect(self._prompt_done)
        self._ask: Callable[[str], object] | None = None
        self.said = QLabel(self)
        self.said.setFont(theme.font(13))
        self.said.setStyleSheet(_SAID_STYLE)
        self.said.hide()
        self._hush = QTimer(self)
        self._hush.setSingleShot(True)
        self._hush.timeout.connect(self.said.hide)
        self.strip.sought.connect(self._seek)
        self.strip.sentence_clicked.connect(self._select)
        self.strip.bound_moved.connect(self._bound_moved)
        self.side.clicked.connect(self._select)
        self.film.region_clicked.connect(self._select)
        self.film.box_dragged.connect(self._box_dragged)
        self._clock = QElapsedTimer()
        self._ticking = QTimer(self)
        self._ticking.timeout.connect(self._tick)
        self._workers.start(self._load_items)

    # Readings

    def _load_items(self) -> None:
        try:
            self._prepared.emit("", self._source.items())
        except Exception as error:
            self._prepared.emit("", error)

    def _open(self, place: int) -> None:
        if not 0 <= place < len(self._items):
            self.say("There is no further reading.")
            return
        self._place, self.model = place, None
        self.said.hide()
        item = self._items[place]
        self.title = f"{item.title}   ({place + 1} of {len(self._items)})"
        self._ticking.stop()
        for part in (self.side, self.strip):
            part.model = None
        self.film.show_reading(None, {})
        if item.problem:
            self.say(f"This reading cannot be shown: {item.problem}.", stays=True)
        else:
            self._workers.start(lambda: self._prepare(item.key))
        self._refresh()

    def _prepare(self, key: str) -> None:
        try:
            self._prepared.emit(key, prepare(self._source, key))
        except Exception as error:
            self._prepared.emit(key, error)

    def _take_prepared(self, key: str, outcome: Any) -> None:
        if self._is_closing:
            return
        if isinstance(outcome, Exception) and (not key or key == self._items[self._place].key):
            text = outcome.one_line() if isinstance(outcome, GazeToolError) else repr(outcome)
            self.title = "it cannot be shown" if not key else self.title
            self.say(f"This cannot be shown: {text}", stays=True)
            self._refresh()
            return
        if not key:
            self._items = outcome
            keys = [item.key for item in self._items]
            if not keys:
                self.title = "there is nothing to review"
                self._refresh()
                return
            if self._first and self._first not in keys:
                self.say(f"There is no reading {self._first}.")
            self._open(keys.index(self._first) if self._first in keys else 0)
            return
        if key != self._items[self._place].key:
            return  # another one was asked for meanwhile
        if isinstance(outcome, Prepared):
            self._show(outcome)

    def _show(self, prepared: Prepared) -> None:
        try:
            book = DecisionBook(
                self._source.decisions(prepared.material.item.key),
                reviewer=self._reviewer,
                write=self.writer.write,
            )
            model = ReviewModel(prepared.material, book, found_text=prepared.found_text)
        except GazeToolError as error:
            self.say(error.one_line(), stays=True)
            return
        self.model = self.side.model = model
        self.film.show_reading(model, prepared.pictures)
        self.strip.show_reading(model)
        self._refresh()

    # Layout and time

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Lay everything out."""
        width, height = self.width(), self.height()
        self.bar.setGeometry(0, 0, width, BAR_HEIGHT)
        middle = height - BAR_HEIGHT - STRIP_HEIGHT
        self.film.setGeometry(0, BAR_HEIGHT, width - SIDE_WIDTH, middle)
        self.side.setGeometry(width - SIDE_WIDTH, BAR_HEIGHT, SIDE_WIDTH, middle)
        self.strip.setGeometry(0, height - STRIP_HEIGHT, width, STRIP_HEIGHT)
        prompt_width = min(760, width - SIDE_WIDTH - 40)
        self.prompt.setGeometry(20, height - STRIP_HEIGHT - PROMPT_HEIGHT, prompt_width, 40)
        self.keys.place_in_middle(QRect(0, 0, width, height))
        self._place_said()

    def say(self, text: str, *, stays: bool = False) -> None:
        """Show a line over the film, for a moment or until another reading is opened."""
        self.said.setText(text)
        self.said.adjustSize()
        self._place_said()
        self.said.show()
        self.said.raise_()
        if stays:
            self._hush.stop()
        else:
            self._hush.start(SAID_MS)

    def _place_said(self) -> None:
        self.said.move(20, BAR_HEIGHT + 16)

    def _tick(self) -> None:
        if self.model is None:
            return
        self.model.advance(self._clock.restart() / 1e3)
        if not self.model.is_playing:
            self._ticking.stop()
        self._refresh()

    def _refresh(self) -> None:
        self.strip.follow()
        for part in (self.bar, self.film, self.side, self.strip):
            part.update()

    # Keys

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Do what a key stands for."""
        if event is None:
            return
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if self._window_key(event.key(), control) or self.model is None:
            return
        self._model_keys.press(self.model, event)
        self._refresh()

    def play_on(self) -> None:
        """See `Desk.play_on`."""
        self._clock.restart()
        self._ticking.start(FRAME_MS)

    def _window_key(self, key: int, control: bool) -> bool:
        if control and key == Qt.Key.Key_Q:
            self.close()
        elif key == Qt.Key.Key_Escape and self.prompt.isVisible():
            self._end_prompt()
        elif key in {Qt.Key.Key_F1, Qt.Key.Key_Question}:
            self.keys.setVisible(not self.keys.isVisible())
            self.keys.raise_()
        elif key == Qt.Key.Key_Escape and self.keys.isVisible():
            self.keys.hide()
        elif key == Qt.Key.Key_F11:
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        elif key == Qt.Key.Key_PageDown:
            self._open(self._place + 1)
        elif key == Qt.Key.Key_PageUp:
            self._open(self._place - 1)
        else:
            return False
        return True

    def focusNextPrevChild(self, _next: bool) -> bool:  # noqa: N802 - Qt's name
        """Leave Tab to the boxes."""
        return False

    # The prompt

    def ask_for(self, what: str, text: str, then: Callable[[str], object]) -> None:
        """Ask for a text; ``then`` gets it, and raises UsageError where it is none."""
        if self.model is not None:
            self.model.play(on=False)
        self._ask = then
        self.prompt.setPlaceholderText(what)
        self.prompt.setText(text)
        self.prompt.show()
        self.prompt.raise_()
        self.prompt.setFocus()

    def _prompt_done(self) -> None:
        ask = self._ask
        try:
            if ask is not None:
                ask(self.prompt.text())
        except UsageError as error:
            self.say(f"{error.message}. {error.hint}".strip())
            return
        self._end_prompt()

    def _end_prompt(self) -> None:
        self._ask = None
        self.prompt.hide()
        self.setFocus()
        self._refresh()

    # The mouse, by the parts

    def _seek(self, t_ns: int) -> None:
        if self.model is not None:
            self.model.seek(t_ns)
            self._refresh()

    def _select(self, key: str) -> None:
        if self.model is None:
            return
        if self.model.mode == "regions":
            self.model.select_region(key)
        else:
            self.model.select_sentence(key)
        self._refresh()

    def _bound_moved(self, sentence_id: str, edge: Literal["start", "end"], t_ns: int) -> None:
        if self.model is None:
            return
        self.model.selected_sentence = sentence_id
        self.model.move_bound(edge, self.model.timeline.clamped(t_ns))
        self._refresh()

    def _box_dragged(self, box: tuple[float, float, float, float], is_new: bool) -> None:
        if self.model is None:
            return
        if is_new:
            self.model.add_box(box)
        else:
            self.model.set_box(box)
        self._refresh()

    # The end

    def _after_writing(self) -> None:
        if self.writer.trouble and not self._is_closing:
            self.say(f"{self.writer.n_waiting} decisions wait to be written: {self.writer.trouble}.")
        if self.model is not None and not self.writer.n_waiting:
            try:
                self.model.book.reload()
            except GazeToolError as error:
                self.say(error.one_line())
        self._refresh()

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Close, and write what waits; lines that cannot be written are told by the command."""
        if event is None or self._is_closing:
            return
        self._is_closing = True
        self._ticking.stop()
        event.accept()  # it is gone at once; `closed` comes when a thread has waited for the rest
        self._workers.start_last(self._close_everything)

    def _close_everything(self) -> None:
        self.unwritten = [
            f"{line.kind} {line.target}" for line in self.writer.close(patience_s=WRITE_PATIENCE_S)
        ]
        self._workers.join(patience_s=PATIENCE_S)
        self._all_closed.emit()

    def _everything_closed(self) -> None:
        self._workers.wait_for_last()
        self.closed.emit()

    def save_picture(self, path: Path) -> None:
        """Save what the window shows."""
        self.grab().save(str(path))


_PROMPT_STYLE = (
    f"QLineEdit {{ background: {theme.PANEL.name()}; color: {theme.TEXT.name()}; border: 1px solid "
    f"{theme.ACCENT.name()}; border-radius: 6px; padding: 6px 12px; "
    f"selection-background-color: {theme.ACCENT.name()}; }}"
)
_SAID_STYLE = (
    f"QLabel {{ background: {theme.PANEL.name()}; color: {theme.NOTICE.name()}; border: 1px solid "
    f"{theme.EDGE.name()}; border-radius: 6px; padding: 8px 12px; }}"
)

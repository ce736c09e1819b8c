"""The reading window: header, radiographs, panels; keys become actions. It knows no files and no session."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QRect, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeyEvent, QMoveEvent, QPalette, QResizeEvent, QScreen
from PyQt6.QtWidgets import QWidget

from gazecapture.viewer.findings import Finding
from gazecapture.viewer.measures import Line, Measure
from gazecapture.viewer.model import Action, Panel, Rect, ViewerModel
from gazecapture.viewer.qt import keys, theme
from gazecapture.viewer.qt.header import HEADER_HEIGHT, HeaderBar, ImageLabel
from gazecapture.viewer.qt.panels import CheatSheet, FindingPanel, MessageCard, OverlayPanel
from gazecapture.viewer.qt.screens import rect_on_screen
from gazecapture.viewer.qt.tag_frame import TagFrame
from gazecapture.viewer.qt.transcript_panel import TranscriptPanel
from gazecapture.viewer.qt.viewport import Canvas, DrawnBox
from gazecapture.viewer.render import Picture
from keyframes.errors import UsageError
from keyframes.geometry import Display

__all__ = ["ReadingWindow"]

ARROW_PAN_PX = 60.0
"""Screen px by which an arrow key moves the image."""
TALK_RELEASE_MS = 120
"""ms after which a key that was let go counts as let go: a held key comes as presses and releases, 25 to 40 ms apart,
which Qt does not always tell from a finger."""
PANEL_GAP = 16
"""Logical px between a panel and the edge or the box that it belongs to."""


class ReadingWindow(QWidget):
    """Shows a `ViewerModel` with its surroundings on one screen.

    Parameters
    ----------
    model        : the state shown; every action of the reader goes through `act`.
    screen       : whose px the model's area and panels are in.
    on_presented : called at the end of the paint of every new state.
    tags_for     : the screen, where tags are to be at the window's edge for a scene camera.
    """

    next_asked = pyqtSignal()
    quit_asked = pyqtSignal()
    back_asked = pyqtSignal()
    pause_asked = pyqtSignal()
    talking = pyqtSignal(bool)
    """The key or pedal to dictate is held, or was let go."""
    finding_made = pyqtSignal(DrawnBox, str, float, object)
    """A drawn box or ellipse with its label, its certainty, and its rating or None."""
    measure_begun = pyqtSignal(str)
    """The next line is for this kind of measure."""
    line_drawn = pyqtSignal(Line)
    remove_mark_asked = pyqtSignal()
    transcript_edited = pyqtSignal(int, str)
    """Reading's number and its words as the reader left them."""

    def __init__(
        self,
        model: ViewerModel,
        screen: QScreen,
        *,
        on_presented: Callable[[], None],
        tags_for: Display | None = None,
    ) -> None:
        super().__init__()
        self.setWindowTitle("gazecapture: research use only, not for diagnosis")
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.Window, theme.SURROUND)
        self.setPalette(palette)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.model = model
        self.session_screen = screen
        self._presented = on_presented
        self.tag_frame = None if tags_for is None else TagFrame(self, screen, tags_for)
        self.header = HeaderBar(self)
        self.canvas = Canvas(model, self, before_frame=self._follow_geometry, on_presented=self._after_frame)
        self.canvas.acted.connect(self._act_by_hand)
        self.canvas.box_drawn.connect(self._ask_for_label)
        self.canvas.line_drawn.connect(self.line_drawn)
        if screen.refreshRate() > 0:
            self.canvas.frame_interval_ms = 1000.0 / screen.refreshRate()
        self.keys = CheatSheet(self)
        self.message = MessageCard(self)
        self.transcript = TranscriptPanel(self)
        self.transcript.finished.connect(self.transcript_edited)
        self.finding_menu = FindingPanel(self)
        self.finding_menu.chosen.connect(self._finding_chosen)
        self.finding_menu.cancelled.connect(self._finding_discarded)
        self._box: DrawnBox | None = None
        self._findings: tuple[Finding, ...] = ()
        self._measures: tuple[Measure, ...] = ()
        self.talk_key: int = Qt.Key.Key_T
        """Held to dictate; foot pedals send a key too."""
        self._talk_over = QTimer(self)
        self._talk_over.setSingleShot(True)
        self._talk_over.timeout.connect(lambda: self.talking.emit(False))

    # What the session does

    def show_study(self, pictures: Sequence[Picture], indication: str, labels: Sequence[ImageLabel]) -> None:
        """Show the study that the model has just opened."""
        self.message.hide()
        self.header.show_study(indication, tuple(labels))
        self.canvas.show_pictures(pictures)

    def show_nothing(self) -> None:
        """Take the study off the screen."""
        self.finding_menu.hide()
        self._box, self._findings, self._measures = None, (), ()
        self.canvas.set_pen(None)
        self.header.show_study("", ())
        self.header.show_viewports(())
        self.canvas.show_nothing()

    def blank(self) -> None:
        """Take the images off the screen for a while; what is said of the study stays."""
        self.finding_menu.hide()
        self._box = None
        self.canvas.set_pen(None)
        self.header.show_viewports(())
        self.canvas.show_nothing()

    def say(self, title: str, text: str, hint: str) -> None:
        """Show a message in place of a study."""
        self.message.say(title, text, hint)
        self._arrange_panels()
        self.canvas.request_frame()

    def act(self, action: Action, *, continues: bool = False) -> None:
        """Do one thing to the display; mouse, keys and driver all come here.

        Raises UsageError where the action is impossible; nothing is changed then.
        """
        if self.canvas.is_blank:
            raise UsageError("no study is on screen")
        self.model.act(action, continues=continues)
        self.canvas.request_frame()

    def show_marks(self, findings: Sequence[Finding], measures: Sequence[Measure] = ()) -> None:
        """Draw these findings and measures, and the mark that waits for its label."""
        self._findings, self._measures = tuple(findings), tuple(measures)
        waiting = (
            ()
            if self._box is None
            else (
                Finding(
                    finding_id="",
                    label="",
                    image_index=self._box.image_index,
                    box=self._box.box,
                    shape=self._box.shape,
                ),
            )
        )
        self.canvas.show_findings(self._findings + waiting, self._measures)

    def draw_line(self) -> None:
        """Let the next left drag draw a line that is measured."""
        self.canvas.set_pen("line")

    # Geometry and frames

    def resizeEvent(self, _event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Lay out header, radiographs and panels."""
        inside = self.rect()
        if self.tag_frame is not None:
            self.tag_frame.lay_out()
            inside = self.tag_frame.inside
        self.header.setGeometry(inside.x(), inside.y(), inside.width(), HEADER_HEIGHT)
        self.canvas.setGeometry(
            inside.x(),
            inside.y() + HEADER_HEIGHT,
            inside.width(),
            max(1, inside.height() - HEADER_HEIGHT),
        )
        self._follow_geometry()
        self._arrange_panels()

    def moveEvent(self, _event: QMoveEvent | None) -> None:  # noqa: N802 - Qt's name
        """Journal that the radiographs are elsewhere on the screen, though Qt need not draw them anew."""
        self._follow_geometry()
        self.canvas.request_frame()

    def _follow_geometry(self) -> None:
        self.model.set_area(rect_on_screen(self.canvas, self.session_screen))
        panels = [Panel(name="caption", rect=self._rect(self.header))]
        panels += [
            Panel(name=panel.panel_name, rect=self._rect(panel))
            for panel in self._overlays()
            if panel.isVisible()
        ]
        self.model.set_panels(panels)

    @property
    def inside(self) -> QRect:
        """What header and radiographs take together, in the window's coordinates."""
        return self.header.geometry().united(self.canvas.geometry())

    def _rect(self, widget: QWidget) -> Rect:
        return rect_on_screen(widget, self.session_screen)

    def _overlays(self) -> tuple[OverlayPanel, ...]:
        return self.message, self.transcript, self.keys, self.finding_menu

    def _arrange_panels(self) -> None:
        room = self.canvas.geometry()
        self.keys.place_in_middle(room)
        self.message.place_in_middle(room)
        self.transcript.place_in_middle(room)
        if self._box is not None and self.model.viewports:
            self._place_finding_menu(self._box)

    def _after_frame(self) -> None:
        self._presented()
        if not self.canvas.is_blank:
            self.header.show_viewports(self.model.viewports)

    # Keys

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Turn a key into what it stands for."""
        if event is None or (event.isAutoRepeat() and event.key() not in keys.REPEATING):
            return
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if self._window_key(event.key(), control):
            return
        if self.finding_menu.isVisible():
            self.finding_menu.take_key(event)
        elif event.key() in keys.NEXT:
            self.next_asked.emit()
        elif event.key() in keys.BACK:
            self.back_asked.emit()
        elif event.key() == Qt.Key.Key_P:
            self.pause_asked.emit()
        elif not self.canvas.is_blank:
            self._study_key(event.key(), control)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """End panning when the space key is let go, and dictation with its own key."""
        if event is None or event.isAutoRepeat():
            return
        if event.key() == Qt.Key.Key_Space:
            self.canvas.panning = False
        elif event.key() == self.talk_key:
            self._talk_over.start(TALK_RELEASE_MS)

    def focusNextPrevChild(self, _next: bool) -> bool:  # noqa: N802 - Qt's name
        """Leave Tab to the keys of the window: there is nothing else to go to."""
        return False

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Close the session; the session then closes the window."""
        if event is not None:
            event.ignore()
        self.quit_asked.emit()

    def _window_key(self, key: int, control: bool) -> bool:
        """Do what a key does whether or not a study is shown; say whether it did anything."""
        if control and key == Qt.Key.Key_Q:
            self.quit_asked.emit()
        elif key == self.talk_key and not control:
            self._talk_over.stop()
            self.talking.emit(True)
        elif key in {Qt.Key.Key_F1, Qt.Key.Key_Question}:
            self.keys.setVisible(not self.keys.isVisible())
            self.keys.raise_()
            self.canvas.request_frame()
        elif key == Qt.Key.Key_F11:
            self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        elif key == Qt.Key.Key_Escape and self.keys.isVisible():
            self.keys.hide()
            self.canvas.request_frame()
        else:
            return False
        return True

    def _study_key(self, key: int, control: bool) -> None:
        viewport = self.canvas.viewport_under_cursor()
        preset = key - Qt.Key.Key_1
        if control:
            if key == Qt.Key.Key_Z:
                self._act_by_hand(Action(kind="undo", viewport_id=viewport))
        elif key == Qt.Key.Key_Space:
            self.canvas.panning = True
        elif key in keys.PENS:
            self.canvas.set_pen(keys.PENS[key])
        elif key in keys.MEASURES:
            self.measure_begun.emit(keys.MEASURES[key])
            self.draw_line()
        elif key == Qt.Key.Key_Escape:
            self.canvas.cancel()
        elif key in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            self.remove_mark_asked.emit()
        elif key == Qt.Key.Key_M:
            self.canvas.set_magnifying(not self.canvas.magnifying)
        elif key == Qt.Key.Key_S:
            other = 1 if len(self.model.viewports) > 1 else 2
            self._act_by_hand(Action(kind="layout", viewport_id=viewport, amount=other))
        elif key == Qt.Key.Key_Tab:
            self._act_by_hand(Action(kind="image", viewport_id=viewport, amount=-1))
        elif key in keys.SIMPLE:
            self._act_by_hand(Action(kind=keys.SIMPLE[key], viewport_id=viewport))
        elif key in keys.ARROWS:
            x, y = keys.ARROWS[key]
            self._act_by_hand(
                Action(kind="pan", viewport_id=viewport, x=ARROW_PAN_PX * x, y=ARROW_PAN_PX * y)
            )
        elif key in keys.ZOOM:
            x, y = self.canvas.cursor_screen_px()
            self._act_by_hand(Action(kind="zoom", viewport_id=viewport, x=x, y=y, amount=keys.ZOOM[key]))
        elif 0 <= preset < len(self.model.viewports[viewport].image.presets):
            self._act_by_hand(Action(kind="preset", viewport_id=viewport, amount=float(preset)))

    def _act_by_hand(self, action: Action, continues: bool = False) -> None:
        if not self.canvas.is_blank:
            self.act(action, continues=continues)

    # Findings

    def _ask_for_label(self, box: DrawnBox) -> None:
        self._box = box
        self._place_finding_menu(box)
        self.finding_menu.ask()
        self.show_marks(self._findings, self._measures)

    def _place_finding_menu(self, box: DrawnBox) -> None:
        """Put the menu beside the box, on the side that has more room."""
        state = self.model.viewports[box.viewport_id]
        xs, _ = state.image_to_screen().apply(box.box[0::2], box.box[1::2])
        ratio = self.canvas.devicePixelRatioF()
        left, right = (float(x - self.model.area[0]) / ratio for x in sorted(xs))
        room = self.canvas.geometry()
        x = right + PANEL_GAP if right + left < room.width() else left - PANEL_GAP - self.finding_menu.width()
        x = min(max(PANEL_GAP, x), room.width() - PANEL_GAP - self.finding_menu.width())
        y = room.top() + max(PANEL_GAP, (room.height() - self.finding_menu.height()) // 2)
        self.finding_menu.move(room.left() + round(x), round(y))

    def _finding_chosen(self, label: str, certainty: float, rating: float | None) -> None:
        box, self._box = self._box, None
        self.finding_menu.hide()
        self.show_marks(self._findings, self._measures)
        if box is not None:
            self.finding_made.emit(box, label, certainty, rating)

    def _finding_discarded(self) -> None:
        self._box = None
        self.finding_menu.hide()
        self.show_marks(self._findings, self._measures)

"""Leads through a session: opens study after study, journals what was presented, ends cleanly whatever happens."""

from __future__ import annotations

import dataclasses
import enum
import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QImage

from gazecapture.clock import session_now_ns
from gazecapture.session.tracker_marks import TrackerMarks
from gazecapture.viewer.findings import Finding, FindingsOfReading
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.loader import StudyLoader
from gazecapture.viewer.measures import Line, MeasuresOfReading
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.checks import GazeChecks
from gazecapture.viewer.qt.driver import DriverClient, hello_message
from gazecapture.viewer.qt.header import ImageLabel
from gazecapture.viewer.qt.viewport import DrawnBox
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.recording import SessionRecorder
from gazecapture.viewer.session import PreparedStudy, ReadingSession
from keyframes.errors import UsageError

__all__ = ["SessionController"]

_LOGGER = logging.getLogger(__name__)

UNPRESENTED_AFTER_MS = 1000
"""ms; a window that is not painted for so long (minimised) shows nothing, and a study is closed without its paint."""
RECORDER_WATCH_S = 2.0
"""s between two looks at the recorder's process; so long a gap is the most that its death costs."""
DRIVEN_CARD_MS = 400
"""ms that the card of an unreadable study stays when no person is there to press a key."""


class _State(enum.Enum):
    WAITING = "between studies"
    CHECKING = "the tracker is being measured"
    READING = "a study is on screen, or is about to be"
    CLOSING = "the study is being taken off the screen"
    CARD = "a message is shown in place of a study"
    ENDING = "the session is being closed"


class SessionController(QObject):
    """Drives window, loader and journals.

    Parameters
    ----------
    session       : what is read.
    model         : the window's model.
    journals      : where display and annotations go.
    recorder      : records the gaze; its blocking calls are made in threads.
    driver        : who reads in place of a person, if anybody.
    screenshots   : folder for the pictures that the driver asks for.
    marks         : tell the tracker's own recording when an image comes and goes, if anything does.
    """

    finished = pyqtSignal()
    """Everything is closed; `error` says whether it ended as it should."""
    _loaded = pyqtSignal(object)
    _failed = pyqtSignal(object)
    _read_ahead = pyqtSignal(object)
    _closed = pyqtSignal()

    def __init__(
        self,
        session: ReadingSession,
        model: ViewerModel,
        *,
        recorder: SessionRecorder,
        driver: DriverClient | None = None,
        screenshots: Path | None = None,
        marks: TrackerMarks | None = None,
    ) -> None:
        super().__init__()
        self._marks = marks
        self._session = session
        self._model = model
        self._recorder = recorder
        self._driver = driver
        self._screenshots = screenshots
        self._window: ReadingWindow | None = None
        self._loader = StudyLoader(session, on_ready=self._loaded.emit, on_ahead=self._read_ahead.emit)
        self._journals: ViewerJournals | None = None
        self._checks: GazeChecks | None = None
        self._background = 0.0
        """Mean grey of the newest study that was prepared, 0 to 1."""
        self._state = _State.WAITING
        self._number = 0
        self._is_presented = False
        self._findings = FindingsOfReading(0)
        self._measures = MeasuresOfReading(0)
        self._workers: list[threading.Thread] = []
        self._over = threading.Event()
        self.error: BaseException | None = None
        self.unreadable: list[tuple[str, str]] = []
        """Study id and reason of every study that could not be shown."""
        self.screenshot_files: list[str] = []
        self.driver_counts: dict[str, Any] = {}
        self._loaded.connect(self._study_ready)
        self._failed.connect(self.end)
        self._read_ahead.connect(self._take_background)
        # By way of a method of this object, so that `finished` comes in the GUI thread.
        self._closed.connect(self._everything_closed)
        if driver is not None:
            driver.connected.connect(self._driver_connected)
            driver.action_asked.connect(self._driver_action)
            driver.finding_asked.connect(self._put_finding)
            driver.next_asked.connect(self.next_study)
            driver.screenshot_asked.connect(self._take_screenshot)
            driver.done.connect(self._driver_done)
            driver.lost.connect(self._driver_lost)

    def attach(
        self, window: ReadingWindow, journals: ViewerJournals, checks: GazeChecks | None = None
    ) -> None:
        """Take the window whose paints are journaled, the journals, and what measures the tracker, if anything does."""
        self._window, self._journals, self._checks = window, journals, checks
        if checks is not None:
            checks.target_shown.connect(self._target_shown)
        window.next_asked.connect(self.next_study)
        window.quit_asked.connect(self.end)
        window.finding_made.connect(self._finding_drawn)
        window.remove_mark_asked.connect(self._remove_mark)
        window.measure_begun.connect(lambda kind: self._measures.begin(kind))
        window.line_drawn.connect(self._line_drawn)

    def start(self) -> None:
        """Open the first unread study (after the driver has answered, where there is one)."""
        self._in_background(self._watch_recorder)
        if self._driver is not None:
            self._driver.connect_to_reader()
        else:
            self._open_next()

    def fail_later(self, error: Exception) -> None:
        """Take an error from another thread and end the session with it."""
        self._failed.emit(error)

    # Study after study

    def next_study(self) -> None:
        """Close the study on screen and open the next; without one on screen, go on from its card."""
        if self._state is _State.CARD:
            self._open_next()
        elif self._state is _State.READING and self._model.reading_number:
            if not self._is_presented:
                return  # it was never seen, so there is nothing to close
            self._state = _State.CLOSING
            self._the_window.show_nothing()
            QTimer.singleShot(UNPRESENTED_AFTER_MS, self._close_unpresented)

    def presented(self) -> None:
        """Journal the state that has just been painted. Called at the end of the paint."""
        t_ns = session_now_ns()
        if self._state is _State.CLOSING:
            self._close_study(t_ns)
        elif self._state is _State.READING and not self._the_window.canvas.is_blank:
            rows = self._model.presented(t_ns)
            self._the_journals.write("display", rows)
            if rows and rows[0]["event"] == "on":
                self._is_presented = True
                QTimer.singleShot(0, lambda: self._image_on(t_ns))

    def _open_next(self) -> None:
        left = self._session.unread(after=self._number)
        self._state = _State.WAITING
        if not left:
            self._check_and_end()
        elif self._checks is not None and self._checks.due_before_reading() != "none":
            self._state = _State.CHECKING
            # The points are shown on the grey of the film that follows, which has to be read for that.
            self._loader.read_ahead(left[0])
        else:
            self._open_study(left[0])

    def _open_study(self, number: int) -> None:
        self._state, self._number = _State.WAITING, number
        self._the_window.header.show_progress(self._number, self._session.n_studies)
        self._loader.open(self._number)

    # Checks of the tracker

    def _take_background(self, grey: float | None) -> None:
        self._background = self._background if grey is None else grey
        if (
            self._state is _State.CHECKING
            and self._checks is not None
            and not self._checks.screen.isVisible()
        ):
            self._checks.run(
                self._checks.due_before_reading(), background=self._background, then=self._open_next
            )

    def _check_and_end(self) -> None:
        if self._checks is None or self._checks.sitting.after_last_reading() == "none":
            self.end()
            return
        self._state = _State.CHECKING
        self._checks.run("validate", background=self._background, then=self.end, trigger="end")

    def _target_shown(self, x_screen_px: float, y_screen_px: float) -> None:
        if self._driver is not None:
            self._driver.send({"type": "look", "x_screen_px": x_screen_px, "y_screen_px": y_screen_px})

    def _study_ready(self, outcome: PreparedStudy | Exception) -> None:
        if self._state is not _State.WAITING:
            return  # the session ended while the study was being read
        if isinstance(outcome, Exception):
            self.end(outcome)
            return
        study = self._session.study(outcome.reading_number)
        if outcome.error is not None:
            self._state = _State.CARD
            self.unreadable.append((study.study_id, outcome.error.message))
            _LOGGER.warning("a study cannot be shown: %s", outcome.error.message)
            self._the_window.say(
                "This study cannot be shown", outcome.error.message, "N goes on with the next study."
            )
            if self._driver is not None:
                QTimer.singleShot(DRIVEN_CARD_MS, self._leave_card)
        else:
            self._model.open_study(outcome.reading_number, [p.view for p in outcome.pictures])
            self._findings = FindingsOfReading(
                outcome.reading_number, self._session.findings_before(outcome.reading_number)
            )
            self._measures = MeasuresOfReading(outcome.reading_number)
            self._state, self._is_presented = _State.READING, False
            labels = [ImageLabel(role=i.role, view_position=i.view_position) for i in outcome.images]
            self._the_window.show_study(outcome.pictures, study.indication, labels)
            self._show_marks()
        following = self._session.unread(after=outcome.reading_number)
        if following:
            self._loader.read_ahead(following[0])

    def _leave_card(self) -> None:
        if self._state is _State.CARD:
            self._open_next()

    def _image_on(self, t_ns: int) -> None:
        if self._marks is not None and self._state is _State.READING:
            self._marks.mark(self._model.reading_number, "on")
        self._the_journals.write("annotations", self._findings.put_all_again(t_ns))
        if self._driver is not None and self._state is _State.READING:
            viewports = self._model.viewports
            self._driver.send(
                {
                    "type": "image_on",
                    "reading_number": self._model.reading_number,
                    "study_id": self._session.study(self._number).study_id,
                    "t_ns": t_ns,
                    "area": list(self._model.area),
                    "images": [dataclasses.asdict(v.image) for v in viewports],
                    "panels": [dataclasses.asdict(p) for p in self._model.panels],
                }
            )

    def _close_unpresented(self) -> None:
        if self._state is _State.CLOSING:
            self._close_study(session_now_ns())

    def _close_study(self, t_ns: int) -> None:
        number = self._model.reading_number
        self._the_journals.write("display", self._model.close_study(t_ns))
        self._session.mark_read(number)
        if self._marks is not None:
            self._marks.mark(number, "off")
        if self._checks is not None:
            self._checks.sitting.reading_closed()
        self._state = _State.WAITING
        if self._driver is not None:
            self._driver.send({"type": "image_off", "reading_number": number, "t_ns": t_ns})
        QTimer.singleShot(0, self._open_next)

    def _watch_recorder(self) -> None:
        """Start the recorder anew if its process dies; body of a thread of its own."""
        try:
            while not self._over.wait(RECORDER_WATCH_S):
                if self._recorder.revive():
                    _LOGGER.warning(
                        "the recorder had ended by itself and was started again; its marks say when"
                    )
        except Exception as error:
            self._failed.emit(error)

    # Findings

    def _finding_drawn(self, drawn: DrawnBox, label: str, certainty: float, rating: float | None) -> None:
        self._put_finding(
            Finding(
                finding_id=self._findings.new_id(),
                label=label,
                certainty=certainty,
                rating=rating,
                image_index=drawn.image_index,
                shape=drawn.shape,
                box=drawn.box,
            )
        )

    def _put_finding(self, finding: Finding) -> None:
        if self._state is _State.READING:
            self._the_journals.write("annotations", [self._findings.put(finding, session_now_ns())])
            self._show_marks()

    def _line_drawn(self, line: Line) -> None:
        if self._state is not _State.READING:
            return
        measure, is_whole = self._measures.add(line)
        if is_whole:
            spacing = self._the_window.canvas.spacing_of(line.image_index)
            row = measure.row(session_now_ns(), self._findings.reading_number, spacing)
            self._the_journals.write("annotations", [row])
        else:
            self._the_window.draw_line()
        self._show_marks()

    def _remove_mark(self) -> None:
        """Take the newest finding or measure back; measures first: they are made to be looked at and removed."""
        if self._state is not _State.READING:
            return
        t_ns = session_now_ns()
        measure = self._measures.remove_last()
        row = (
            self._findings.remove_last(t_ns)
            if measure is None
            else measure.removal(t_ns, self._findings.reading_number)
        )
        if row is not None:
            self._the_journals.write("annotations", [row])
        self._show_marks()

    def _show_marks(self) -> None:
        self._the_window.show_marks(self._findings.findings, self._measures.measures)

    # The driver

    def _driver_connected(self) -> None:
        if self._driver is not None:
            self._driver.send(hello_message(self._session))
        self._open_next()

    def _driver_action(self, action: Action) -> None:
        try:
            self._the_window.act(action)
        except UsageError as error:
            _LOGGER.warning("the driver asked for something impossible: %s", error)

    def _driver_done(self, message: dict[str, Any]) -> None:
        self.driver_counts = {k: v for k, v in message.items() if k.startswith("n_")}
        if self._state is not _State.ENDING:
            self._state = _State.ENDING
            self._the_window.show_nothing()
        self._close_in_background()

    def _driver_lost(self, error: Exception) -> None:
        if self._state is _State.ENDING:
            self.error = self.error or error
            self._close_in_background()
        else:
            self.end(error)

    def _take_screenshot(self, name: str) -> None:
        if self._screenshots is None:
            return
        self._the_window.canvas.present_now()
        picture = self._the_window.grab().toImage()
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", name.removesuffix(".png")).strip("._")
        file = f"{stem or 'screenshot'}.png"
        self.screenshot_files.append(file)
        path = self._screenshots / file
        self._in_background(lambda: _save(picture, path))

    # The end

    def end(self, error: BaseException | None = None) -> None:
        """Close the session; a study on screen stays unread.

        Asked a second time by the user, it no longer waits for what hangs; whatever was written is kept.
        """
        if self._state is _State.ENDING:
            if isinstance(error, KeyboardInterrupt):
                self.error = self.error or error
                self.finished.emit()
            return
        self._state = _State.ENDING
        self.error = error if isinstance(error, BaseException) else None
        if self._checks is not None:
            self._checks.stop()
        self._the_window.show_nothing()
        if self.error is None and not self._session.unread(after=0):
            self._the_window.say("All studies are read", "The recording is being closed.", "Thank you.")
        if self._driver is not None and self.error is None:
            self._driver.end_session()
        else:
            self._close_in_background()

    def _close_in_background(self) -> None:
        """Close what blocks in a thread; the window stays alive meanwhile."""
        self._in_background(self._close_everything)

    def _close_everything(self) -> None:
        self._over.set()
        try:
            self._recorder.stop()
        except Exception as error:
            self.error = self.error or error
        self._loader.close()
        for worker in self._workers:
            if worker is not threading.current_thread():
                worker.join()
        if self._marks is not None:
            self._marks.close()
        self._the_journals.close()
        self._closed.emit()

    def _everything_closed(self) -> None:
        self.finished.emit()

    def _in_background(self, work: Callable[[], None]) -> None:
        worker = threading.Thread(target=work, daemon=True)
        self._workers.append(worker)
        worker.start()

    @property
    def _the_window(self) -> ReadingWindow:
        assert self._window is not None  # noqa: S101 - attached before anything is started
        return self._window

    @property
    def _the_journals(self) -> ViewerJournals:
        assert self._journals is not None  # noqa: S101 - attached before anything is started
        return self._journals


def _save(picture: QImage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path)):
        _LOGGER.warning("the screenshot cannot be written to %s", path)

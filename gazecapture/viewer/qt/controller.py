"""Leads through a session: opens study after study, journals what was presented, ends cleanly whatever happens."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from gazecapture.clock import session_now_ns
from gazecapture.session.tracker_marks import TrackerMarks
from gazecapture.viewer.background import Workers
from gazecapture.viewer.dictation import Dictation
from gazecapture.viewer.film_check import GazeCount
from gazecapture.viewer.flow import ReadingFlow, ReadingRules
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.loader import StudyLoader
from gazecapture.viewer.model import ViewerModel
from gazecapture.viewer.qt.between import BetweenFilms
from gazecapture.viewer.qt.checks import GazeChecks
from gazecapture.viewer.qt.driven import DrivenSitting
from gazecapture.viewer.qt.driver import DriverClient
from gazecapture.viewer.qt.header import ImageLabel
from gazecapture.viewer.qt.marking import Marking
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.recording import RecorderWatch, SessionRecorder
from gazecapture.viewer.session import PreparedStudy, ReadingSession

__all__ = ["SessionController"]

_LOGGER = logging.getLogger(__name__)

UNPRESENTED_AFTER_MS = 1000
"""ms; a window that is not painted for so long (minimised) shows nothing, and a study is closed without its paint."""
DRIVEN_CARD_MS = 400
"""ms that the card of an unreadable study stays when no person is there to press a key."""


class _State(enum.Enum):
    WAITING = "between studies"
    CHECKING = "the tracker is being measured"
    READING = "a study is on screen, or is about to be"
    CLOSING = "the study is being taken off the screen"
    PAUSING = "the study is being taken off the screen for a while"
    PAUSED = "the study is open, and off the screen for a while"
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
    rules         : how films follow each other.
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
        rules: ReadingRules | None = None,
    ) -> None:
        super().__init__()
        self._flow = ReadingFlow(rules or ReadingRules(), last_closed=session.last_read)
        self._marks = marks
        self._session = session
        self._model = model
        self._recorder = recorder
        self._driven = (
            None if driver is None else DrivenSitting(driver, session, model, screenshots=screenshots)
        )
        self._window: ReadingWindow | None = None
        self._loader = StudyLoader(session, on_ready=self._loaded.emit, on_ahead=self._read_ahead.emit)
        self._journals: ViewerJournals | None = None
        self._checks: GazeChecks | None = None
        self._background = 0.0
        """Mean grey of the newest study that was prepared, 0 to 1."""
        self._state = _State.WAITING
        self._is_presented = False
        self._marking: Marking | None = None
        self._dictation: Dictation | None = None
        self._outcome: PreparedStudy | None = None
        """The study whose indication is on the screen before it."""
        self._after_card: Callable[[], None] = self._open_next
        self._between: BetweenFilms | None = None
        self._workers = Workers()
        self._watch = RecorderWatch(recorder, on_error=self._failed.emit)
        self.error: BaseException | None = None
        self.unreadable: list[tuple[str, str]] = []
        """Study id and reason of every study that could not be shown."""
        self._loaded.connect(self._study_ready)
        self._failed.connect(self.end)
        self._read_ahead.connect(self._take_background)
        # By way of a method of this object, so that `finished` comes in the GUI thread.
        self._closed.connect(self._everything_closed)
        if driver is not None:
            driver.connected.connect(self._driver_connected)
            driver.next_asked.connect(self.next_study)
            driver.done.connect(self._driver_done)
            driver.lost.connect(self._driver_lost)

    def attach(
        self,
        window: ReadingWindow,
        journals: ViewerJournals,
        checks: GazeChecks | None = None,
        *,
        dictation: Dictation | None = None,
        gaze_count: Callable[[], GazeCount] | None = None,
    ) -> None:
        """Take the window whose paints are journaled, the journals, and what else there is.

        checks     : measures the tracker.
        dictation  : started; closed here.
        gaze_count : counts the samples that came until now.
        """
        self._window, self._journals, self._checks = window, journals, checks
        self._dictation = dictation
        self._marking = Marking(window, journals)
        self._between = BetweenFilms(
            window, self._session, self._flow, dictation=dictation, gaze_count=gaze_count
        )
        self._between.over.connect(self._open_next)
        self._between.failed.connect(self.end)
        if self._driven is not None:
            self._driven.attach(window, self._marking, self._workers.start)
        if self._driven is not None and checks is not None:
            checks.target_shown.connect(self._driven.look)
        if dictation is not None:
            window.talking.connect(dictation.talk)
            window.header.show_dictation(dictation)
        window.next_asked.connect(self.next_study)
        window.back_asked.connect(self.back)
        window.pause_asked.connect(self.pause)
        window.quit_asked.connect(self.end)

    def start(self) -> None:
        """Open the first unread study (after the driver has answered, where there is one)."""
        self._watch.start()
        if self._driven is not None:
            self._driven.driver.connect_to_reader()
        else:
            self._open_next()

    def fail_later(self, error: Exception) -> None:
        """Take an error from another thread and end the session with it."""
        self._failed.emit(error)

    # Study after study

    def next_study(self) -> None:
        """Close the study on screen and open the next; without one on screen, go on from its card."""
        if self._state is _State.CARD:
            self._after_card()
        elif self._state is _State.READING and self._model.reading_number:
            if not self._is_presented:
                return  # it was never seen, so there is nothing to close
            self._state = _State.CLOSING
            self._the_window.show_nothing()
            QTimer.singleShot(UNPRESENTED_AFTER_MS, self._close_unpresented)

    def back(self) -> None:
        """Go back to the film that was closed last, as an addendum; one that is open is given up and comes again."""
        last = self._flow.last_closed
        if last is None or self._driven is not None or self._state not in {_State.READING, _State.CARD}:
            return
        if self._state is _State.READING:
            if not self._is_presented:
                return
            self._give_up()
        self._state = _State.WAITING
        self._the_between.drop()
        self._the_window.message.hide()
        self._loader.open_addendum(last)

    def pause(self) -> None:
        """Take the study off the screen for a while, or bring it back; the while counts as no time."""
        if self._state is _State.READING and self._is_presented:
            self._state = _State.PAUSING
            self._the_window.blank()
            QTimer.singleShot(UNPRESENTED_AFTER_MS, self._pause_unpresented)
        elif self._state is _State.PAUSED:
            self._state = _State.READING
            self._the_window.message.hide()
            self._model.resume()
            self._the_window.canvas.show_again()
            self._the_marking.show()
            if self._dictation is not None:
                self._dictation.resume_film()

    def presented(self) -> None:
        """Journal the state that has just been painted. Called at the end of the paint."""
        t_ns = session_now_ns()
        if self._state is _State.CLOSING:
            self._close_study(t_ns)
        elif self._state is _State.PAUSING:
            self._pause(t_ns)
        elif self._state is _State.READING and not self._the_window.canvas.is_blank:
            rows = self._model.presented(t_ns)
            self._the_journals.write("display", rows)
            if rows and rows[0]["event"] == "on":
                self._is_presented = True
                QTimer.singleShot(0, lambda: self._image_on(t_ns))

    def _pause_unpresented(self) -> None:
        if self._state is _State.PAUSING:
            self._pause(session_now_ns())

    def _pause(self, t_ns: int) -> None:
        self._the_journals.write("display", self._model.pause(t_ns))
        self._state = _State.PAUSED
        if self._dictation is not None:
            self._dictation.close_film()
        QTimer.singleShot(
            0,
            lambda: self._the_window.say("Paused", "Gaze and words of this time are not kept.", "P goes on."),
        )

    def _give_up(self) -> None:
        """Take the film off the screen unfinished: no row says that it was read."""
        number = self._model.reading_number
        self._model.give_up_study()
        self._flow.gave_up(self._session.original(number))
        self._the_marking.give_up_film()
        if self._dictation is not None:
            self._dictation.close_film()
        if self._marks is not None:
            self._marks.mark(number, "off")
        self._the_window.show_nothing()

    def _open_next(self) -> None:
        self._state = _State.WAITING
        if self._the_between.shows_next():
            self._state, self._after_card = _State.CARD, self._the_between.go_on
            return
        left = self._session.unread(after=self._flow.place)
        if not left:
            self._after_all()
        elif self._checks is not None and self._checks.due_before_reading() != "none":
            self._state = _State.CHECKING
            # The points are shown on the grey of the film that follows, which has to be read for that.
            self._loader.read_ahead(left[0])
        else:
            self._open_study(left[0])

    def _open_study(self, number: int) -> None:
        self._state = _State.WAITING
        self._flow.opens(number)
        self._the_window.header.show_progress(number, self._session.n_studies)
        self._loader.open(number)

    def _after_all(self) -> None:
        if self._driven is None and self._flow.last_closed is not None:
            self._show_card(
                "All films are read",
                "",
                "N closes the session · Page Up goes back to the last film.",
                then=self._check_and_end,
            )
        else:
            self._check_and_end()

    def _show_card(self, title: str, text: str, hint: str, *, then: Callable[[], None]) -> None:
        """Show a message between films; ``then`` follows when the reader goes on."""
        self._state, self._after_card = _State.CARD, then
        self._the_window.say(title, text, hint)

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

    def _study_ready(self, outcome: PreparedStudy | Exception) -> None:
        if self._state is not _State.WAITING:
            return  # the session ended while the study was being read
        if isinstance(outcome, Exception):
            self.end(outcome)
            return
        study = self._session.study(outcome.reading_number)
        if outcome.error is not None:
            self.unreadable.append((study.study_id, outcome.error.message))
            _LOGGER.warning("a study cannot be shown: %s", outcome.error.message)
            hint = "N goes on with the next study."
            self._show_card("This study cannot be shown", outcome.error.message, hint, then=self._open_next)
            if self._driven is not None:
                QTimer.singleShot(DRIVEN_CARD_MS, self._leave_card)
        else:
            self._outcome = outcome
            if self._wants_indication_first(outcome):
                self._show_card("Indication", study.indication, "N shows the film.", then=self._show_outcome)
            else:
                self._show_outcome()
        following = self._session.unread(after=self._flow.place)
        if following:
            self._loader.read_ahead(following[0])

    def _wants_indication_first(self, outcome: PreparedStudy) -> bool:
        """Say whether the indication comes on a screen of its own; whoever goes back to a film has read it."""
        number = outcome.reading_number
        return (
            self._flow.rules.indication_before
            and self._driven is None
            and bool(self._session.study(number).indication)
            and self._session.original(number) == number
        )

    def _show_outcome(self) -> None:
        """Show the study that was prepared."""
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            return
        study, number = self._session.study(outcome.reading_number), outcome.reading_number
        self._model.open_study(number, [p.view for p in outcome.pictures])
        self._state, self._is_presented = _State.READING, False
        is_addendum = self._session.original(number) != number
        labels = [
            ImageLabel(role=i.role, view_position=i.view_position, note="Addendum" if is_addendum else "")
            for i in outcome.images
        ]
        self._the_window.show_study(outcome.pictures, study.indication, labels)
        self._the_marking.open_film(number, self._session.findings_before(number))

    def _leave_card(self) -> None:
        if self._state is _State.CARD:
            self._open_next()

    def _image_on(self, t_ns: int) -> None:
        if self._marks is not None and self._state is _State.READING:
            self._marks.mark(self._model.reading_number, "on")
        self._the_marking.image_on(t_ns)
        if self._dictation is not None and self._state is _State.READING:
            self._dictation.open_film()
        self._the_between.film_on(t_ns)
        if self._driven is not None and self._state is _State.READING:
            self._driven.image_on(t_ns)

    def _close_unpresented(self) -> None:
        if self._state is _State.CLOSING:
            self._close_study(session_now_ns())

    def _close_study(self, t_ns: int) -> None:
        number = self._model.reading_number
        self._the_journals.write("display", self._model.close_study(t_ns))
        self._session.mark_read(number)
        self._flow.closed(number)
        self._the_marking.close_film()
        if self._dictation is not None:
            self._dictation.close_film()
        if self._marks is not None:
            self._marks.mark(number, "off")
        if self._checks is not None:
            self._checks.sitting.reading_closed()
        self._state = _State.WAITING
        if self._driven is not None:
            self._driven.image_off(number, t_ns)
        else:
            self._the_between.film_closed(number, t_ns)
        QTimer.singleShot(0, self._open_next)

    # The driver

    @property
    def driver_counts(self) -> dict[str, Any]:
        """The driver's own counts, once it is done."""
        return {} if self._driven is None else self._driven.counts

    @property
    def screenshot_files(self) -> list[str]:
        """Names of the pictures that the driver asked for."""
        return [] if self._driven is None else self._driven.screenshot_files

    def _driver_connected(self) -> None:
        if self._driven is not None:
            self._driven.greet()
        self._open_next()

    def _driver_done(self, message: dict[str, Any]) -> None:
        if self._driven is not None:
            self._driven.counts = {k: v for k, v in message.items() if k.startswith("n_")}
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
        if self._dictation is not None:
            self._dictation.close_film()
        self._the_window.show_nothing()
        if self.error is None and not self._session.unread(after=0):
            self._the_window.say("All studies are read", "The recording is being closed.", "Thank you.")
        if self._driven is not None and self.error is None:
            self._driven.driver.end_session()
        else:
            self._close_in_background()

    def _close_in_background(self) -> None:
        """Close what blocks in a thread; the window stays alive meanwhile."""
        self._workers.start_last(self._close_everything)

    def _close_everything(self) -> None:
        self._watch.stop()
        try:
            self._recorder.stop()
        except Exception as error:
            self.error = self.error or error
        self._loader.close()
        self._workers.join()
        if self._marks is not None:
            self._marks.close()
        self._the_between.close()
        if self._dictation is not None:
            self._dictation.close()
        self._the_journals.close()
        self._closed.emit()

    def _everything_closed(self) -> None:
        self._workers.wait_for_last()
        self.finished.emit()

    @property
    def _the_window(self) -> ReadingWindow:
        assert self._window is not None  # noqa: S101 - attached before anything is started
        return self._window

    @property
    def _the_marking(self) -> Marking:
        assert self._marking is not None  # noqa: S101 - attached before anything is started
        return self._marking

    @property
    def _the_between(self) -> BetweenFilms:
        assert self._between is not None  # noqa: S101 - attached before anything is started
        return self._between

    @property
    def _the_journals(self) -> ViewerJournals:
        assert self._journals is not None  # noqa: S101 - attached before anything is started
        return self._journals

"""What comes between two films: the words to correct, what went wrong, a break. Nothing of it while a film is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal

from gazecapture.viewer.background import Workers
from gazecapture.viewer.dictation import Dictation
from gazecapture.viewer.film_check import GazeCount, problems_of_film
from gazecapture.viewer.flow import ReadingFlow
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.session import ReadingSession
from gazecapture.viewer.transcripts import invitation, keep_transcript, words_between
from keyframes.errors import GazeToolError

__all__ = ["BetweenFilms"]


class BetweenFilms(QObject):
    """Shows one page after the other; the controller asks for the next and passes the reader's key on.

    Parameters
    ----------
    dictation  : whose loudness is looked at, if anybody listens.
    gaze_count : counts the samples of gaze that came until now, if anybody does.
    """

    over = pyqtSignal()
    """The reader is done with the page."""
    failed = pyqtSignal(object)
    """What the reader corrected cannot be kept: the session ends."""
    _heard = pyqtSignal(int, str, bool)

    def __init__(
        self,
        window: ReadingWindow,
        session: ReadingSession,
        flow: ReadingFlow,
        *,
        dictation: Dictation | None,
        gaze_count: Callable[[], GazeCount] | None,
    ) -> None:
        super().__init__()
        self._window, self._session, self._flow = window, session, flow
        self._dictation, self._gaze_count = dictation, gaze_count
        self._before = GazeCount()
        self._on_ns = 0
        self._pages: deque[Callable[[], None]] = deque()
        self._go_on: Callable[[], None] = self.over.emit
        self._workers = Workers()
        self._heard.connect(self._show_heard)
        window.transcript_edited.connect(self._keep_transcript)

    def film_on(self, t_ns: int) -> None:
        """Say that a film came on the screen."""
        self._on_ns = t_ns
        if self._gaze_count is not None:
            self._before = self._gaze_count()

    def film_closed(self, number: int, t_ns: int) -> None:
        """Plan what comes after a film."""
        if self._flow.rules.edits_transcript:
            on_ns = self._on_ns
            has_sound = self._dictation is not None and self._dictation.loudness().recorded_s > 0
            self._pages.append(lambda: self._ask_for_words(number, on_ns, t_ns, has_sound=has_sound))
        gaze = None if self._gaze_count is None else self._gaze_count().since(self._before)
        problems = problems_of_film(gaze, None if self._dictation is None else self._dictation.loudness())
        if problems:
            self._pages.append(lambda: self._say("Look at this", " ".join(problems)))
        if self._flow.takes_break() and self._session.unread(after=self._flow.place):
            read = f"{self._session.n_read} of {self._session.n_studies} films are read."
            self._pages.append(lambda: self._say("A break?", f"{read} Rest your eyes for a while."))

    def shows_next(self) -> bool:
        """Show the next page; False where there is none."""
        if not self._pages:
            return False
        self._pages.popleft()()
        return True

    def go_on(self) -> None:
        """Do what the key to go on means on the present page."""
        self._go_on()

    def drop(self) -> None:
        """Forget what was planned: the reader goes back to a film."""
        self._pages.clear()
        self._window.transcript.hide()

    def close(self) -> None:
        """Wait for what is being written."""
        self._workers.join()

    def _say(self, title: str, text: str) -> None:
        self._go_on = self.over.emit
        self._window.say(title, text, "N goes on.")

    def _ask_for_words(self, number: int, on_ns: int, off_ns: int, *, has_sound: bool) -> None:
        """Show the words of a film that was closed; a thread gets them from the disk."""
        self._go_on = self._window.transcript.finish

        def hear() -> None:
            self._heard.emit(number, words_between(self._session.folder, on_ns, off_ns), has_sound)

        self._workers.start(hear)

    def _show_heard(self, number: int, text: str, has_sound: bool) -> None:
        asked = invitation(has_words=bool(text.strip()), has_sound=has_sound)
        self._window.transcript.edit(number, text, asked)

    def _keep_transcript(self, number: int, text: str) -> None:
        def keep() -> None:
            try:
                keep_transcript(self._session.folder, number, text)
            except GazeToolError as error:
                self.failed.emit(error)

        self._workers.start(keep)
        self.over.emit()

"""Numbers sent to the tracker when an image comes on and goes off, so that its own file can be aligned later.

A number is random and says nothing; what it stands for is in the session's journal only. Sending may take as long as
the tracker's connection does, so that a thread does it: the window never waits.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from pathlib import Path
from typing import Literal, Protocol

from gazecapture.clock import session_now_ns
from gazecapture.session.journal import JournalWriter
from gazecapture.session.schema import TRACKER_MARKS

__all__ = ["MARK_TEXT", "MarkSender", "TrackerMarks", "new_mark"]

_LOGGER = logging.getLogger(__name__)

MARK_TEXT = "gazecapture-mark {mark}"
"""What is sent. Found again by this word, whatever a tracker's software puts around it."""
CLOSE_S = 5.0
"""s that closing waits for a mark under way; a connection that hangs longer is left behind."""

Event = Literal["on", "off"]


class MarkSender(Protocol):
    """A way to write a message into the tracker's own recording."""

    def send(self, text: str) -> None:
        """Send a message, blocking as long as it takes. Raises GazeToolError or OSError where it cannot."""

    def close(self) -> None:
        """Let the connection go."""


def new_mark() -> int:
    """Return a number of nine digits from which nothing follows."""
    return 100_000_000 + secrets.randbelow(900_000_000)


class TrackerMarks:
    """Sends marks in order, in a thread of its own, and keeps what each stands for.

    A tracker that refuses marks hinders no reading: the journal says so, and the log once.

    Raises RecordingError (GT-BUSY) where another process writes marks into the session.
    """

    def __init__(self, session: Path, sender: MarkSender) -> None:
        self._sender = sender
        self._journal = JournalWriter(session / "tracker_marks", TRACKER_MARKS)
        self._queue: queue.SimpleQueue[tuple[int, Event] | None] = queue.SimpleQueue()
        self._complained = False
        self._thread = threading.Thread(target=self._run, name="tracker-marks", daemon=True)
        self._thread.start()

    def mark(self, reading_number: int, event: Event) -> None:
        """Have a mark sent; returns at once."""
        self._queue.put((reading_number, event))

    def close(self) -> None:
        """Send what waits, then end; a sender that hangs is not waited for."""
        self._queue.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            _LOGGER.warning("the tracker does not answer; its last marks may be lost")

    def _run(self) -> None:
        with self._journal:
            try:
                while (item := self._queue.get()) is not None:
                    self._send(*item)
            finally:
                self._sender.close()

    def _send(self, reading_number: int, event: Event) -> None:
        mark = new_mark()
        # Before it is sent: how long the sending takes is the tracker's affair, and late marks are told by their error.
        t_ns = session_now_ns()
        problem = ""
        try:
            self._sender.send(MARK_TEXT.format(mark=mark))
        except (
            Exception
        ) as error:  # whatever a user's command or a vendor's client raises, the reading goes on
            problem = type(error).__name__
            if not self._complained:
                self._complained = True
                _LOGGER.warning("the tracker does not take marks (%s); reading goes on without", problem)
        row = {
            "t_ns": t_ns, "reading_number": reading_number, "event": event, "mark": mark, "sent": not problem,
            "detail": problem or None,
        }  # fmt: skip
        self._journal.append_rows([row])

"""Writes decisions in a thread of its own: a store that a command holds makes nobody wait. No Qt."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from gazecapture.viewer.review.book import DecisionFile, NewDecision
from keyframes.errors import GazeToolError, RecordingError

__all__ = ["DecisionWriter"]

TRY_S = 0.5
"""s between two tries while somebody holds the store."""
PATIENCE_S = 0.2
"""s of one try."""


class DecisionWriter:
    """Takes lines in order and writes them one after the other.

    Parameters
    ----------
    reviewer   : a code.
    on_change  : called from the thread whenever something was written or has to wait; it must only pass that on.
    """

    def __init__(self, reviewer: str, *, on_change: Callable[[], None] = lambda: None) -> None:
        self._reviewer = reviewer
        self._on_change = on_change
        self._queue: queue.SimpleQueue[tuple[DecisionFile, NewDecision] | None] = queue.SimpleQueue()
        self._giving_up = threading.Event()
        self._guard = threading.Lock()
        self._waiting: list[NewDecision] = []
        self.trouble = ""
        """Why lines wait; empty while all is well."""
        self._thread = threading.Thread(target=self._run, name="decisions", daemon=True)
        self._thread.start()

    @property
    def n_waiting(self) -> int:
        """Lines that are not written yet."""
        with self._guard:
            return len(self._waiting)

    def write(self, file: DecisionFile, decision: NewDecision) -> None:
        """Hand a line over; returns at once."""
        with self._guard:
            self._waiting.append(decision)
        self._queue.put((file, decision))

    def close(self, *, patience_s: float) -> list[NewDecision]:
        """Write what is left for at most ``patience_s`` and end; return what could not be written."""
        self._queue.put(None)
        self._thread.join(patience_s)
        self._giving_up.set()
        self._thread.join()
        with self._guard:
            return list(self._waiting)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            while not self._giving_up.is_set() and not self._written(*item):
                self._on_change()
                self._giving_up.wait(TRY_S)
            self._on_change()

    def _written(self, file: DecisionFile, decision: NewDecision) -> bool:
        try:
            file.append(decision, reviewer=self._reviewer, patience_s=PATIENCE_S)
        except RecordingError as error:
            is_busy = error.code == "GT-BUSY"
            self.trouble = "another command works there" if is_busy else error.one_line()
            return False
        except GazeToolError as error:
            self.trouble = error.one_line()
            return False
        with self._guard:
            self._waiting.remove(decision)
        self.trouble = ""
        return True

"""What the viewer process writes while a session runs: display, annotations, validations and clock, off the GUI thread.

The window hands rows over and goes on at once; one thread appends them in order and forces them onto the disk once
a second. A killed window loses no row that the thread has taken, which it does within the same millisecond.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gazecapture.clock import ClockTriples, monotonic_now_ns
from gazecapture.session.journal import JournalWriter
from gazecapture.session.schema import ANNOTATIONS, DISPLAY_JOURNAL, VALIDATION_JOURNAL

__all__ = ["JournalName", "ViewerJournals"]

JournalName = Literal["display", "annotations", "validation"]
Row = Mapping[str, Any]

SYNC_PERIOD_S = 1.0
"""s between two forced writes, as for every journal of a session."""


class ViewerJournals:
    """The viewer's journals in one session folder, written by one thread.

    Parameters
    ----------
    session  : folder of the session.
    on_error : called once, from the writing thread, when nothing more can be written; what was taken by then is
        intact. It must only pass the error on.

    Raises RecordingError (GT-BUSY) where another viewer writes into the same session.
    """

    def __init__(self, session: Path, *, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        self._queue: queue.SimpleQueue[tuple[JournalName, Sequence[Row]] | None] = queue.SimpleQueue()
        with contextlib.ExitStack() as opened:
            self._writers: dict[JournalName, JournalWriter] = {
                "display": opened.enter_context(JournalWriter(session / "display", DISPLAY_JOURNAL)),
                "annotations": opened.enter_context(JournalWriter(session / "annotations", ANNOTATIONS)),
                "validation": opened.enter_context(JournalWriter(session / "validation", VALIDATION_JOURNAL)),
            }
            self._clock = ClockTriples(session / "clock" / "viewer")
            opened.callback(self._clock.close)
            self._opened = opened.pop_all()
        self._thread = threading.Thread(target=self._run, name="viewer-journals", daemon=True)
        self._thread.start()

    def write(self, journal: JournalName, rows: Sequence[Row]) -> None:
        """Hand rows over; returns at once."""
        if rows:
            self._queue.put((journal, rows))

    def close(self) -> None:
        """Write what was handed over, force it onto the disk and end; returns when that is done."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._opened:
                self._write_until_closed()
        except Exception as error:
            self._on_error(error)

    def _write_until_closed(self) -> None:
        next_sync_ns = monotonic_now_ns()
        while True:
            self._clock.tick()
            if monotonic_now_ns() >= next_sync_ns:
                next_sync_ns = monotonic_now_ns() + round(SYNC_PERIOD_S * 1e9)
                for writer in self._writers.values():
                    writer.sync()
                self._clock.journal.sync()
            try:
                item = self._queue.get(timeout=SYNC_PERIOD_S)
            except queue.Empty:
                continue
            if item is None:
                return
            name, rows = item
            self._writers[name].append_rows(rows)

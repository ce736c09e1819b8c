"""Reads studies from disk in a thread of its own: the one asked for, and the next one in advance. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from gazecapture.viewer.session import PreparedStudy, ReadingSession

__all__ = ["StudyLoader"]


class StudyLoader:
    """Prepares one study after the other, in the background.

    Parameters
    ----------
    session  : whose studies are read.
    on_ready : called from the loading thread with the study asked for, registered in session.json, or with the
        error that stops the session. It must only pass it on.
    on_ahead : called from the loading thread with the mean grey (0 to 1) of a study that `read_ahead` has prepared, or
        None where it cannot be shown. It must only pass it on.
    """

    def __init__(
        self,
        session: ReadingSession,
        *,
        on_ready: Callable[[PreparedStudy | Exception], None],
        on_ahead: Callable[[float | None], None] = lambda _grey: None,
    ) -> None:
        self._session = session
        self._on_ready = on_ready
        self._on_ahead = on_ahead
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="study-loader")
        self._ahead: PreparedStudy | None = None

    def open(self, reading_number: int) -> Future[None]:
        """Ask for a study; returns at once."""
        return self._worker.submit(self._open, reading_number)

    def read_ahead(self, reading_number: int) -> Future[None]:
        """Prepare the study that will be asked for next; returns at once."""
        return self._worker.submit(self._read_ahead, reading_number)

    def open_addendum(self, reading_number: int) -> Future[None]:
        """Ask for the study of a reading once more, as a reading of its own; returns at once."""
        return self._worker.submit(self._open_addendum, reading_number)

    def close(self) -> None:
        """Finish what is under way, drop the rest."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _open(self, reading_number: int) -> None:
        try:
            ahead, self._ahead = self._ahead, None
            if ahead is None or ahead.reading_number != reading_number:
                ahead = self._session.prepare(reading_number)
            self._session.register(ahead)
        except Exception as error:
            self._on_ready(error)
        else:
            self._on_ready(ahead)

    def _open_addendum(self, reading_number: int) -> None:
        try:
            again = self._session.prepare(self._session.begin_addendum(reading_number))
        except Exception as error:
            self._on_ready(error)
        else:
            self._on_ready(again)  # what was prepared in advance stays: it is asked for next

    def _read_ahead(self, reading_number: int) -> None:
        try:
            if self._ahead is None or self._ahead.reading_number != reading_number:
                self._ahead = self._session.prepare(reading_number)
            self._on_ahead(self._ahead.mean_grey)
        except Exception:
            # Whatever it is comes again, and is told, when the study is asked for.
            self._ahead = None
            self._on_ahead(None)

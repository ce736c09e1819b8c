"""Threads for what must not hold a window up. No Qt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Workers"]


class Workers:
    """Starts threads and waits for them at the end; started and waited for from one thread."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._last: threading.Thread | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Do something in a thread of its own; returns at once."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def start_last(self, work: Callable[[], None]) -> None:
        """Do in a thread what is left to do at the end; whoever is told of its end calls `wait_for_last` first."""
        self.start(work)
        self._last = self._threads[-1]

    def wait_for_last(self) -> None:
        """Return when the thread of `start_last` has let go of all that it holds; it is at its end already.

        It holds the object whose method it ran. A window that is let go of there last is taken apart beside the thread
        that shows it, which ends the process at times.
        """
        if self._last is not None:
            self._last.join()

    def join(self, *, patience_s: float | None = None) -> None:
        """Wait until all have ended, for at most ``patience_s`` together; the calling thread is not waited for."""
        end = None if patience_s is None else time.monotonic() + patience_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(None if end is None else max(0.0, end - time.monotonic()))

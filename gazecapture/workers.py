"""Work spread over spawned processes: how they begin, and that none outlives what it works for.

Spawned, not forked: pyarrow's and numba's threads do not survive a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_handles
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Any, Self, TypeVar

from keyframes.errors import RecordingError

__all__ = ["Workers", "begin_worker", "default_jobs", "go_on", "interrupts_wait", "keep_on"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Each worker is one of N; N times as many library threads only get in each other's way."""

_stop: Event | None = None


class Workers:
    """Does a task for many items, in ``jobs`` processes; with one job in this process. Close it, or use ``with``.

    Processes begin with the first task and serve all that follow.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._stop: Event | None = None

    def each(
        self,
        task: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        done: Callable[[Result], None] = lambda _: None,
    ) -> list[Result]:
        """Return the task's results in the items' order; ``done`` is told each as it comes.

        What a task raises, or a Ctrl-C, is raised here once every task under way has ended, so that nobody writes any
        more; a long one asks `keep_on` now and then. With several jobs task, items and results are pickled. Raises
        RecordingError (GT-WORKER) where a process was ended from outside.
        """
        if self._jobs == 1:
            results = []
            for item in items:
                results.append(task(item))
                done(results[-1])
            return results
        futures: list[Future[Result]] = []
        try:
            pool = self._opened()
            for item in items:
                with interrupts_wait():
                    futures.append(pool.submit(_do, task, item))
            for future in as_completed(futures):
                done(future.result())
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise RecordingError(
                "a process that did a part of the work was ended from outside, perhaps for want of memory",
                hint="Run the same command again with fewer jobs (-j).",
                code="GT-WORKER",
            ) from None
        finally:
            if self._stop is not None and not all(future.done() for future in futures):
                self._stop.set()
                for future in futures:
                    future.cancel()
                wait(futures)

    def close(self) -> None:
        """End the processes; a second call does nothing."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._stop = context.Event()
            self._pool = ProcessPoolExecutor(
                self._jobs, mp_context=context, initializer=begin_worker, initargs=(self._stop,)
            )
        return self._pool


def go_on() -> bool:
    """Say, in a worker, whether its work is still wanted; anywhere else it is."""
    return _stop is None or not _stop.is_set()


def keep_on() -> None:
    """End a task of `Workers` whose work is no longer wanted: raises KeyboardInterrupt, which nobody waits for."""
    if not go_on():
        raise KeyboardInterrupt


def default_jobs() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def begin_worker(stop: Event) -> None:
    """Set up a worker: an interrupt from the keyboard is the parent's to handle; without a parent it ends."""
    global _stop
    _stop = stop
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _THREAD_SETTINGS:
        os.environ.setdefault(name, "1")
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back while a worker may be started; it comes right after.

    In here it would leave the worker without its instructions. In the worker it would strike while that imports, so
    the worker inherits a mask; the mask alone does not help here, where any library's thread may take the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if os.name == "posix" else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if came:
            signal.raise_signal(signal.SIGINT)


def _do(task: Callable[[Item], Result], item: Item) -> Result:
    keep_on()
    return task(item)


def _end_with(parent_sentinel: Any) -> None:
    """End this worker when its parent is gone: the pool's queue alone would keep it waiting for ever."""
    wait_for_handles([parent_sentinel])
    os._exit(1)

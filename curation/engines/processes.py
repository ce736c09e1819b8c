"""The default engine: a pool of spawned processes with a bounded number of items under way.

Spawned, not forked: pyarrow's and numba's threads do not survive a fork. A worker that dies (killed, out of
memory, a crash in a decoder) breaks the whole pool, and nobody can say which item was to blame, so every item
that was under way is done again alone; the one that breaks its own pool is given up, the others are unharmed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import TypeVar

from curation.engines.protocol import EngineFor, Finished, StopAsked
from curation.memory import limit_memory, memory_limit_bytes
from gazecapture.spared_imports import spare_pandas
from gazecapture.workers import begin_worker, default_jobs, go_on, interrupts_wait

__all__ = ["ProcessEngine", "SerialEngine", "default_jobs", "engine_for", "process_engines"]

Item = TypeVar("Item")
Result = TypeVar("Result")

WINDOW_PER_JOB = 2
"""Items under way per worker: one being done, one waiting in its queue, so that no worker idles."""


class SerialEngine:
    """Does one item after another in this process; an interrupt stops at once."""

    def run(
        self, task: Callable[[Item, StopAsked], Result], items: Iterable[Item]
    ) -> Generator[Finished[Item, Result], None, None]:
        """See `curation.engines.protocol.Engine.run`."""
        for item in items:
            yield Finished(item=item, result=task(item, _never))


class _Workers:
    """Spawned processes and how they are told to stop."""

    def __init__(self, jobs: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.jobs = jobs
        self.stop = context.Event()
        self.pool = ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_start_worker, initargs=(self.stop,)
        )

    def end(self) -> None:
        """Ask running tasks to stop and wait for them."""
        self.stop.set()
        self.pool.shutdown(wait=True, cancel_futures=True)


class _Kept:
    """Workers between two runs of engines: to start one takes as long as some 30 readings."""

    def __init__(self) -> None:
        self._idle: _Workers | None = None

    def take(self, jobs: int) -> _Workers:
        """Return workers, at least so many."""
        idle, self._idle = self._idle, None
        if idle is not None and idle.jobs >= jobs:
            return idle
        if idle is not None:
            idle.end()
        return _Workers(jobs)

    def keep(self, workers: _Workers) -> None:
        """Take back workers that are whole and have nothing to do."""
        self.end()
        self._idle = workers

    def end(self) -> None:
        """End those that are kept."""
        if self._idle is not None:
            self._idle.end()
            self._idle = None


class ProcessEngine:
    """Spreads items over ``jobs`` spawned processes."""

    def __init__(self, jobs: int, kept: _Kept | None = None) -> None:
        """``kept`` has the workers of earlier runs and gets those of this one; None: they start and end with it."""
        self._jobs, self._kept = jobs, kept

    def run(
        self, task: Callable[[Item, StopAsked], Result], items: Iterable[Item]
    ) -> Generator[Finished[Item, Result], None, None]:
        """See `curation.engines.protocol.Engine.run`."""
        queue = iter(items)
        while True:
            suspects: list[Item] = []
            yield from self._pool(task, queue, suspects, jobs=self._jobs, window=self._jobs * WINDOW_PER_JOB)
            if not suspects:
                return
            one_by_one = iter(suspects)
            while True:
                guilty: list[Item] = []
                yield from self._pool(task, one_by_one, guilty, jobs=1, window=1)
                if not guilty:
                    break
                yield from (Finished(item=item, result=None) for item in guilty)

    def _pool(
        self,
        task: Callable[[Item, StopAsked], Result],
        items: Iterator[Item],
        lost: list[Item],
        *,
        jobs: int,
        window: int,
    ) -> Generator[Finished[Item, Result], None, None]:
        """Do items until they end or the pool breaks; what was under way then goes into ``lost``."""
        workers = _Workers(jobs) if self._kept is None else self._kept.take(jobs)
        is_whole = False
        under_way: dict[Future[Result], Item] = {}
        try:
            while True:
                try:
                    while len(under_way) < window:
                        item = next(items)
                        try:
                            with interrupts_wait():
                                future = workers.pool.submit(_work, task, item)
                            under_way[future] = item
                        except BrokenProcessPool:
                            lost.append(item)
                            raise
                except StopIteration:
                    pass
                except BrokenProcessPool:
                    lost.extend(under_way.values())
                    return
                if not under_way:
                    is_whole = True
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    item = under_way.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        lost.append(item)
                    else:
                        yield Finished(item=item, result=result)
                if lost:
                    for future, item in under_way.items():
                        if future.done() and future.exception() is None:
                            yield Finished(item=item, result=future.result())
                        else:
                            lost.append(item)
                    return
        finally:
            if is_whole and self._kept is not None:
                self._kept.keep(workers)
            else:
                workers.end()


def engine_for(jobs: int) -> SerialEngine | ProcessEngine:
    """Return the engine for ``-j jobs``."""
    return SerialEngine() if jobs == 1 else ProcessEngine(jobs)


@contextlib.contextmanager
def process_engines() -> Iterator[EngineFor]:
    """Give engines as `engine_for` does; each goes on with the workers of the one before."""
    kept = _Kept()
    try:
        yield lambda jobs: SerialEngine() if jobs == 1 else ProcessEngine(jobs, kept)
    finally:
        kept.end()


def _never() -> bool:
    return False


def _stop_asked() -> bool:
    return not go_on()


def _work(task: Callable[[Item, StopAsked], Result], item: Item) -> Result:
    return task(item, _stop_asked)


def _start_worker(stop: Event) -> None:
    """Set up a worker, which takes no more memory than it may."""
    begin_worker(stop)
    limit_memory(memory_limit_bytes())
    # After the limit: pyarrow's first array asks for as much as it may have.
    spare_pandas()

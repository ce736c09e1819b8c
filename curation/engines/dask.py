"""The engine for clusters: items become tasks of a Dask scheduler, whose workers see the store at the same path.

A task that was on a worker when that died is given to another one by the scheduler, more than once if its setting
``allowed-failures`` says so; what it then gives up is tried once more alone. The scheduler forgets a task once its
result is here, so that what it holds does not grow with the number of readings.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import platform
import queue
import signal
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from curation.cluster_settings import DaskConfig, SlurmConfig
from curation.engines.processes import WINDOW_PER_JOB
from curation.engines.protocol import EngineFor, Finished, StopAsked
from gazecapture import __version__
from keyframes.errors import ConfigError, RecordingError, UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["DaskEngine", "dask_engines"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONNECT_S = 20.0
_REFRESH_S = 5.0
"""Workers join and leave a cluster; asking a scheduler of a thousand workers more often would only keep it busy."""
_STOP_POLL_S = 0.05
_STOP_WAIT_S = 120.0
"""A stage, after which a task looks whether it shall stop, takes seconds; a worker that hangs is not waited for."""
_SHAPE_RESULTS = ("numba", "numpy", "pyarrow", "scipy")
"""Packages whose other version may give other bytes."""
_SETTLED = frozenset({"memory", "error", "released", "forgotten"})
"""States in which a worker does nothing for a task any more."""


class DaskEngine:
    """Spreads items over the workers of ``client``'s scheduler.

    worker_wait_s : without any worker for so long `run` raises RecordingError (GT-NO-WORKERS).
    """

    def __init__(self, client: Client, *, worker_wait_s: float) -> None:
        self._client = client
        self._worker_wait_s = worker_wait_s
        self._n_threads = 0
        self._asked_at = self._worker_seen_at = float("-inf")

    def run(
        self, task: Callable[[Item, StopAsked], Result], items: Iterable[Item]
    ) -> Generator[Finished[Item, Result], None, None]:
        """See `curation.engines.protocol.Engine.run`.

        Raises RecordingError where the scheduler or all workers are gone, ConfigError (GT-WORKER-VERSION) where a
        worker has other versions of what shapes the results.
        """
        lost: list[Item] = []
        yield from self._spread(task, iter(items), lost, window=self._window)
        # The scheduler counts a death against all that the worker had before it, so that an innocent item may be among
        # these; alone it is not.
        guilty: list[Item] = []
        for item in lost:
            yield from self._spread(task, iter([item]), guilty, window=lambda: min(self._window(), 1))
        yield from (Finished(item=item, result=None) for item in guilty)

    def _spread(
        self,
        task: Callable[[Item, StopAsked], Result],
        items: Iterator[Item],
        lost: list[Item],
        *,
        window: Callable[[], int],
    ) -> Generator[Finished[Item, Result], None, None]:
        """Do items, at most ``window()`` at once; those that workers died over go into ``lost``."""
        prefix = f"gazecurate-{uuid.uuid4().hex}"
        numbers = itertools.count()
        finished: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
        under_way: dict[str, tuple[Future[Result], Item]] = {}
        self._worker_seen_at = time.monotonic()
        try:
            while True:
                for item in itertools.islice(items, max(window() - len(under_way), 0)):
                    key = f"{prefix}-{next(numbers)}"
                    future = self._client.submit(_work, task, item, key, _versions(), key=key, pure=False)
                    under_way[key] = future, item
                    future.add_done_callback(finished.put)
                if not under_way:
                    return
                future = self._next(finished)
                died, result = self._outcome(future)
                _, item = under_way.pop(str(future.key))
                future.release()
                if died:
                    lost.append(item)
                else:
                    yield Finished(item=item, result=result)
        finally:
            if under_way:
                self._stop([future for future, _ in under_way.values()], prefix)

    def _window(self) -> int:
        """Return how many items to have under way by the workers that there are."""
        now = time.monotonic()
        if now - self._asked_at >= _REFRESH_S:
            self._asked_at = now
            try:
                self._n_threads = sum(self._client.nthreads().values())
            except (OSError, TimeoutError) as error:
                raise _scheduler_lost() from error
            if self._n_threads:
                self._worker_seen_at = now
        if now - self._worker_seen_at > self._worker_wait_s:
            raise RecordingError(
                f"the scheduler has had no worker for {self._worker_wait_s:.0f} s",
                hint="Start some (`dask worker ADDRESS`) and run the same command again; "
                "worker_wait_s in [dask] waits longer.",
                code="GT-NO-WORKERS",
            )
        return max(self._n_threads, 1) * WINDOW_PER_JOB

    def _next(self, finished: queue.SimpleQueue[Future[Result]]) -> Future[Result]:
        """Wait for a task to be over, for as long as there are a scheduler and workers."""
        while True:
            try:
                return finished.get(timeout=_REFRESH_S)
            except queue.Empty:
                self._window()

    def _outcome(self, future: Future[Result]) -> tuple[bool, Result | None]:
        """Return whether workers died over a task, and its result. Raises what escaped the task."""
        from distributed import KilledWorker

        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                return True, None
            raise error if isinstance(error, Exception) else _scheduler_lost()
        if future.cancelled():
            raise _scheduler_lost()
        try:
            return False, future.result()
        except (OSError, TimeoutError) as error:
            raise _scheduler_lost() from error

    def _stop(self, futures: list[Future[Any]], prefix: str) -> None:
        """Ask for no more, have running tasks stop and wait until they have."""
        until = time.monotonic() + _STOP_WAIT_S
        with contextlib.suppress(OSError, TimeoutError):
            self._client.cancel(futures, force=True)
            while time.monotonic() < until:
                busy = self._client.run(_n_under_way, prefix, on_error="ignore")
                if not any(busy.values()):
                    return
                time.sleep(_STOP_POLL_S)


@contextlib.contextmanager
def dask_engines(settings: DaskConfig, scheduler: str | None = None) -> Iterator[EngineFor]:
    """Connect to a scheduler, or have SLURM start workers, and give the engine that works there.

    scheduler : address of a running scheduler; None: what ``settings`` say.

    Raises UsageError where dask is not installed, no scheduler is named or it does not answer.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            "the engine dask needs dask and distributed, which are not installed",
            hint="pip install 'gazecapture[dask]'",
            code="GT-EXTRA-MISSING",
        ) from None
    address = scheduler or settings.scheduler
    with contextlib.ExitStack() as opened:
        if address is None and settings.slurm is not None:
            target: Any = opened.enter_context(_slurm_cluster(settings.slurm))
        elif address is not None:
            target = address
        else:
            raise UsageError(
                "the engine dask needs a scheduler",
                hint="Give --scheduler ADDRESS, or name one or SLURM in [dask] of the settings.",
                code="GT-NO-SCHEDULER",
            )
        try:
            client = Client(target, timeout=_CONNECT_S, set_as_default=False, name="gazecurate")
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(
                f"no Dask scheduler answers at {address or 'the one started for SLURM'} ({type(error).__name__})",
                hint="Start one with `dask scheduler`, and look at the address that it prints.",
                code="GT-NO-SCHEDULER",
            ) from error
        opened.enter_context(client)
        engine = DaskEngine(client, worker_wait_s=settings.worker_wait_s)
        yield lambda _jobs: engine


def _slurm_cluster(settings: SlurmConfig) -> contextlib.AbstractContextManager[Any]:
    """Return a scheduler in this process whose workers are jobs of SLURM."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ImportError:
        raise UsageError(
            "[dask.slurm] needs dask-jobqueue, which is not installed",
            hint="pip install 'gazecapture[cluster]'",
            code="GT-EXTRA-MISSING",
        ) from None
    # The import takes Ctrl-C for itself, and would end without a word.
    signal.signal(signal.SIGINT, on_interrupt)
    cluster = SLURMCluster(
        queue=settings.queue,
        account=settings.account,
        cores=settings.processes,  # which gives each worker one thread
        job_cpu=settings.cores,
        processes=settings.processes,
        memory=settings.memory,
        walltime=settings.walltime,
        interface=settings.interface,
        job_extra_directives=list(settings.directives),
        job_script_prologue=list(settings.prologue),
        job_name="gazecurate",
    )
    cluster.scale(jobs=settings.jobs)
    closing: contextlib.AbstractContextManager[Any] = cluster
    return closing


def _scheduler_lost() -> RecordingError:
    return RecordingError(
        "the Dask scheduler is gone",
        hint="Start it and its workers again and run the same command; it goes on where it stopped.",
        code="GT-SCHEDULER-LOST",
    )


@functools.cache
def _versions() -> Mapping[str, str]:
    """Return the versions on which the bytes of a result depend."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {
        "gazecapture": __version__,
        "python": python,
        **{name: metadata.version(name) for name in _SHAPE_RESULTS},
    }


def _work(
    task: Callable[[Item, StopAsked], Result], item: Item, key: str, versions: Mapping[str, str]
) -> Result:
    """Do one item in a worker."""
    differ = sorted(name for name, version in versions.items() if _versions()[name] != version)
    if differ:
        what = ", ".join(f"{name} {_versions()[name]} there, {versions[name]} here" for name in differ)
        raise ConfigError(
            f"a Dask worker has other versions: {what}",
            hint="Install the same environment on every machine; results would differ.",
            code="GT-WORKER-VERSION",
        )
    return task(item, functools.partial(_is_dropped, key))


def _is_dropped(key: str) -> bool:
    """Say, in a worker, whether nobody waits for a task any more: it was stopped, or the run that asked is gone."""
    from distributed import get_worker

    found = get_worker().state.tasks.get(key)
    return found is None or found.state == "cancelled"


def _n_under_way(prefix: str, dask_worker: Any) -> int:
    """Count, in a worker, the tasks of a run that are not over."""
    return sum(
        task.state not in _SETTLED for key, task in dask_worker.state.tasks.items() if key.startswith(prefix)
    )

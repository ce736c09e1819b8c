"""A Dask scheduler and its workers as processes of their own on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[1]
_DEATHS_ALLOWED = 0
"""After which the scheduler tries a task again by itself; its own default is 3, and a worker takes seconds to start."""
_QUIET = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]


class Cluster:
    """A scheduler's address and the processes of its workers."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self._folder = folder
        self._workers: list[subprocess.Popen[bytes]] = []

    def start_workers(self, n: int) -> None:
        """Start workers of one thread; one that dies is started again."""
        options = ["--nthreads", "1", "--nworkers", str(n), "--host", "127.0.0.1", *_QUIET]
        options += ["--local-directory", str(self._folder / "local")]
        self._workers.append(_start(["worker", self.address, *options], self._folder / "workers.log"))

    def stop(self) -> None:
        """Leave nothing running."""
        for process in self._workers:
            end_tree(process)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Give a scheduler without workers."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file), *_QUIET]
    process = _start(["scheduler", *options], folder / "scheduler.log")
    try:
        until = time.monotonic() + 180
        while not (file.exists() and file.read_text().endswith("}")) and time.monotonic() < until:
            assert process.poll() is None, (folder / "scheduler.log").read_text()
            time.sleep(0.05)
        made = Cluster(json.loads(file.read_text())["address"], folder)
        try:
            yield made
        finally:
            made.stop()
    finally:
        end_tree(process)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()


def _start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(_DEATHS_ALLOWED),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
    }
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], stdout=out, stderr=subprocess.STDOUT, env=environment
        )

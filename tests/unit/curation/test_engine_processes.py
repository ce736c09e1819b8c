"""What is the process pool's own; what it shares with other engines is in tests/contract/test_engines.py."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from curation.engines.processes import (
    ProcessEngine,
    SerialEngine,
    default_jobs,
    engine_for,
    process_engines,
)
from curation.engines.protocol import Engine
from tests.engine_tasks import square

PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from engine_tasks import note_and_wait
import functools
from curation.engines.processes import ProcessEngine
if __name__ == "__main__":
    list(ProcessEngine(2).run(functools.partial(note_and_wait, folder=Path(sys.argv[1])), range(2)))
"""
TASKS = """
import os, time
def note_and_wait(item, stop, *, folder):
    (folder / f"{item}.part").write_text(str(os.getpid()))
    (folder / f"{item}.part").rename(folder / f"{item}.pid")
    time.sleep(100)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "engine_tasks.py").write_text(TASKS)
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(tmp_path), str(tmp_path)])
    try:
        until = time.monotonic() + 180
        while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < until:
            assert parent.poll() is None
            time.sleep(0.05)
        workers = [psutil.Process(int(p.read_text())) for p in tmp_path.glob("*.pid")]
        assert len(workers) == 2
    finally:
        parent.kill()
        parent.wait()
    _gone, alive = psutil.wait_procs(workers, timeout=180)
    for process in alive:
        process.kill()
    assert not alive


def test_workers_go_on_from_run_to_run_until_one_dies_or_a_run_is_broken_off(tmp_path: Path) -> None:
    def pids(engine: Engine) -> set[int]:
        """Return the processes of one run, one item at a time: idle ones take the next."""
        return {done.result[1] for done in engine.run(square, range(3)) if done.result is not None}

    with process_engines() as engines:
        assert pids(engines(1)) == {os.getpid()}
        first = pids(engines(2))
        assert os.getpid() not in first
        assert pids(engines(2)) <= _children()
        assert len(_children()) <= 2, "no more than one pool"
        assert first <= _children()
        for victim in first:
            psutil.Process(victim).kill()
        second = pids(engines(2))
        assert not second & first
        assert len(second) > 0
        running = engines(2).run(square, range(9))
        next(running)
        running.close()
        assert not _children()
        assert pids(engines(2)) <= _children()
    assert not _children()


def _children() -> set[int]:
    """Return the living workers of this process, without what multiprocessing has of its own."""
    found = psutil.Process().children()
    return {child.pid for child in found if "spawn_main" in " ".join(child.cmdline())}


def test_one_job_stays_in_this_process() -> None:
    assert isinstance(engine_for(1), SerialEngine)
    assert isinstance(engine_for(2), ProcessEngine)
    assert default_jobs() >= 1

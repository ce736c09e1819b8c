"""Real processes: results, bounded window, dying workers, errors, stopping."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from curation.engines.processes import ProcessEngine, SerialEngine, default_jobs, engine_for
from curation.engines.protocol import Engine, StopAsked


def _square(item: int, _stop: StopAsked) -> tuple[int, int]:
    return item * item, os.getpid()


def _die_on(item: int, _stop: StopAsked, *, deadly: frozenset[int], folder: Path) -> int:
    with (folder / f"{item}.log").open("a") as handle:
        handle.write("x")
    if item in deadly:
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    return item


def _die_once(item: int, _stop: StopAsked, *, folder: Path) -> int:
    mark = folder / f"{item}.died"
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    return item


def _raise(item: int, _stop: StopAsked) -> int:
    raise ValueError(f"item {item}")


def _wait_for_stop(item: int, stop: StopAsked, *, folder: Path) -> int:
    (folder / f"{item}.started").touch()
    if item == 0:
        return item
    until = time.monotonic() + 60
    while not stop() and time.monotonic() < until:
        time.sleep(0.01)
    (folder / f"{item}.stopped").touch()
    return item


@pytest.mark.parametrize("engine", [SerialEngine(), ProcessEngine(2)], ids=["serial", "processes"])
def test_every_item_comes_once(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    done = list(engine.run(_square, range(9)))
    assert sorted((d.item, d.result[0]) for d in done if d.result) == [(i, i * i) for i in range(9)]
    in_here = {d.result[1] == os.getpid() for d in done if d.result}
    assert in_here == {isinstance(engine, SerialEngine)}


@pytest.mark.parametrize("engine", [SerialEngine(), ProcessEngine(2)], ids=["serial", "processes"])
def test_no_items(engine: Engine) -> None:
    assert list(engine.run(_square, [])) == []


def test_items_are_drawn_only_as_they_are_needed() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            drawn.append(item)
            yield item

    for n_done, _ in enumerate(ProcessEngine(2).run(_square, items()), start=1):
        assert len(drawn) - n_done <= 4
    assert drawn == list(range(20))


def test_a_deadly_item_is_given_up_and_the_others_are_done(tmp_path: Path) -> None:
    task = functools.partial(_die_on, deadly=frozenset({2}), folder=tmp_path)
    done = {d.item: d.result for d in ProcessEngine(2).run(task, range(6))}
    assert done == {0: 0, 1: 1, 2: None, 3: 3, 4: 4, 5: 5}
    assert (tmp_path / "2.log").read_text() == "xx", "done again alone exactly once"


def test_an_item_whose_worker_was_killed_by_chance_is_done_again(tmp_path: Path) -> None:
    done = {
        d.item: d.result
        for d in ProcessEngine(2).run(functools.partial(_die_once, folder=tmp_path), range(5))
    }
    assert done == {item: item for item in range(5)}


@pytest.mark.parametrize("engine", [SerialEngine(), ProcessEngine(2)], ids=["serial", "processes"])
def test_an_error_that_escapes_a_task_ends_the_run(engine: Engine) -> None:
    with pytest.raises(ValueError, match="item"):
        list(engine.run(_raise, range(3)))


def test_closing_asks_running_tasks_to_stop(tmp_path: Path) -> None:
    run = ProcessEngine(2).run(functools.partial(_wait_for_stop, folder=tmp_path), range(50))
    assert next(run).item == 0
    run.close()
    started = {p.stem for p in tmp_path.glob("*.started")} - {"0"}
    assert {p.stem for p in tmp_path.glob("*.stopped")} == started
    assert len(started) < 6


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
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < until:
            assert parent.poll() is None
            time.sleep(0.05)
        workers = [psutil.Process(int(p.read_text())) for p in tmp_path.glob("*.pid")]
        assert len(workers) == 2
    finally:
        parent.kill()
        parent.wait()
    _gone, alive = psutil.wait_procs(workers, timeout=20)
    for process in alive:
        process.kill()
    assert not alive


def test_one_job_stays_in_this_process() -> None:
    assert isinstance(engine_for(1), SerialEngine)
    assert isinstance(engine_for(2), ProcessEngine)
    assert default_jobs() >= 1

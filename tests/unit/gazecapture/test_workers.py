"""Work over several processes: results in order, and nobody at work any more once it has failed."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gazecapture import workers
from gazecapture.workers import Workers
from keyframes.errors import RecordingError

LONG_S = 120.0


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with Workers(2) as pool:
        yield pool


def test_results_come_in_the_items_order_and_are_told_as_they_come(pool: Workers) -> None:
    for several in (pool, Workers(1)):
        told: list[float] = []
        assert several.each(math.sqrt, range(40), done=told.append) == [math.sqrt(n) for n in range(40)]
        assert sorted(told) == [math.sqrt(n) for n in range(40)]


def test_one_job_is_done_in_this_process_and_more_in_others(pool: Workers) -> None:
    assert Workers(1).each(_process, [0]) == [os.getpid()]
    assert os.getpid() not in pool.each(_process, range(4))


def test_what_a_task_raises_is_raised_once_none_is_at_work_any_more(tmp_path: Path) -> None:
    with Workers(2) as own, pytest.raises(ZeroDivisionError):
        own.each(functools.partial(_wait_a_part, tmp_path), [1, 0, 1, 1])
    assert not list(tmp_path.iterdir()), "a task went on to its end"


def test_a_process_that_is_ended_from_outside_is_told_of() -> None:
    with Workers(2) as own, pytest.raises(RecordingError) as told:
        own.each(os._exit, [3])
    assert told.value.code == "GT-WORKER"


def test_outside_of_a_worker_work_is_always_wanted() -> None:
    assert workers.go_on()
    workers.keep_on()


def _process(_: int) -> int:
    return os.getpid()


def _wait_a_part(folder: Path, part: int) -> None:
    """Take long, and leave a file at the end; of no part fail at once."""
    end_s = time.monotonic() + LONG_S / part
    while time.monotonic() < end_s:
        workers.keep_on()
        time.sleep(0.02)
    (folder / f"{part}").touch()

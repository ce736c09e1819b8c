"""Tasks for the tests of engines; workers import them, so that this file needs little."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from curation.engines.protocol import StopAsked


def square(item: int, _stop: StopAsked) -> tuple[int, int]:
    return item * item, os.getpid()


def die_on(item: int, _stop: StopAsked, *, deadly: frozenset[int], folder: Path) -> int:
    with (folder / f"{item}.log").open("a") as handle:
        handle.write("x")
    if item in deadly:
        die()
    return item


def die_once(item: int, _stop: StopAsked, *, folder: Path) -> int:
    mark = folder / f"{item}.died"
    if item == 3 and not mark.exists():
        mark.touch()
        die()
    return item


def fail(item: int, _stop: StopAsked) -> int:
    raise ValueError(f"item {item}")


def wait_for_stop(item: int, stop: StopAsked, *, folder: Path) -> int:
    (folder / f"{item}.started").touch()
    if item == 0:
        return item
    until = time.monotonic() + 60
    while not stop() and time.monotonic() < until:
        time.sleep(0.01)
    (folder / f"{item}.stopped").touch()
    return item


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

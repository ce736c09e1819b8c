"""Waiting for a condition in place of a time: how long it takes says how busy the machine is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gazecapture.session.journal import read_journal
from gazecapture.session.schema import MARKS
from gazecapture.session.status import read_status, request_stop

__all__ = ["LIMIT_S", "beside", "marks_of", "n_recorded", "only_unfinished", "stopped_when", "wait_until"]

LIMIT_S = 180.0
"""s; far beyond what anything here takes, and below the limit of a test (pyproject.toml)."""


def wait_until(condition: Callable[[], object], what: str = "") -> None:
    """Return once ``condition`` holds; fail where it does not for `LIMIT_S`."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"waited {LIMIT_S:g} s in vain {what}"
        time.sleep(0.02)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Let ``work`` run in a thread while the block does; what it raises is raised at the block's end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def stopped_when(session: Path, condition: Callable[[], object]) -> Iterator[None]:
    """Let the recorder of ``session``, which runs in the block, be asked to stop once ``condition`` holds."""

    def steer() -> None:
        try:
            wait_until(condition, "before the recorder is stopped")
        finally:
            request_stop(session)

    with beside(steer):
        yield


def n_recorded(session: Path, stream_id: str = "") -> int:
    """Return how many samples the recorder says that it wrote, of one stream or of all."""
    status = read_status(session)
    streams = () if status is None else status.streams
    return sum(stream.n_samples for stream in streams if stream_id in ("", stream.stream_id))


def marks_of(session: Path) -> list[dict[str, Any]]:
    """Return the marks that are on disk."""
    rows: list[dict[str, Any]] = read_journal(session / "marks", schema=MARKS).table.to_pylist()
    return rows


def only_unfinished(damage: tuple[str, ...]) -> bool:
    """Say whether all that is wrong with a journal is a message that its killed writer did not finish.

    A signal may end a write between two pages of the file; no row of such a message was ever acknowledged.
    """
    return all("unfinished message" in text or "schema is not readable" in text for text in damage)

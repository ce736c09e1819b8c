"""One writing command per store at a time; the lock of a process that died does not hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from gazecapture.session.lock import LOCK_NAME, FolderLock, same_process
from gazecapture.store import Store

__all__ = ["INTENT", "lock_owner", "store_lock"]

INTENT = "forget.json"
"""A withdrawal that is under way (`curation.forget_plan`)."""


@contextlib.contextmanager
def store_lock(store_root: Path) -> Iterator[None]:
    """Hold the store; a withdrawal that was killed is completed first.

    Raises RecordingError (GT-BUSY), naming the process, where a living one holds the store, and what
    `curation.forget.complete_pending` raises.
    """
    lock = FolderLock(store_root)
    lock.acquire()
    try:
        if (store_root / INTENT).is_file():
            from curation.forget import complete_pending  # only here: it needs all that export needs

            complete_pending(Store(store_root))
        yield
    finally:
        lock.release()


def lock_owner(store_root: Path) -> int | None:
    """Return the id of the living process that holds the store, or None."""
    try:
        owner = json.loads((store_root / LOCK_NAME).read_bytes())
        pid, start_s = int(owner["pid"]), float(owner["start_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if same_process(pid, start_s) else None

"""One writing command per store at a time, or the shards of one run; the lock of a process that died does not hold."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from curation.manifest import join_parts
from gazecapture.session.lock import LOCK_NAME, FolderLock, is_held, same_process
from gazecapture.store import Store
from keyframes.errors import RecordingError

__all__ = ["INTENT", "lock_owner", "shard_lock", "store_lock"]

INTENT = "forget.json"
"""A withdrawal that is under way (`curation.forget_plan`)."""
_SHARDS = f"{LOCK_NAME}-shard-"


@contextlib.contextmanager
def store_lock(store_root: Path) -> Iterator[None]:
    """Hold the store; a withdrawal that was killed is completed first.

    Raises RecordingError (GT-BUSY), naming the process, where a living one holds the store or a shard of it, and what
    `curation.forget.complete_pending` raises.
    """
    lock = FolderLock(store_root, beats=True)
    lock.acquire()
    try:
        _refuse_beside(store_root, f"{_SHARDS}*")
        join_parts(store_root)
        if (store_root / INTENT).is_file():
            from curation.forget import complete_pending  # only here: it needs all that export needs

            complete_pending(Store(store_root))
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def shard_lock(store_root: Path, *, number: int, count: int) -> Iterator[None]:
    """Hold one shard of the store; other shards of the same count may be held at the same time.

    Raises RecordingError (GT-BUSY) where a living process holds the store, this shard, or one of another count.
    """
    of_count = f"-of-{count:05}"
    lock = FolderLock(store_root, name=f"{_SHARDS}{number:05}{of_count}", beats=True)
    lock.acquire()
    try:
        _refuse_beside(store_root, LOCK_NAME)
        _refuse_beside(store_root, f"{_SHARDS}*", but_for=of_count)
        if (store_root / INTENT).is_file():
            raise RecordingError(
                f"{store_root}: a withdrawal was interrupted",
                hint="`gazecurate forget` again, or any command without --shard, completes it.",
                path=store_root,
                code="GT-BUSY",
            )
        yield
    finally:
        lock.release()


def lock_owner(store_root: Path) -> int | None:
    """Return the id of the living process that holds the store, or None."""
    try:
        owner = json.loads((store_root / LOCK_NAME).read_bytes())
        pid, start_s = int(owner["pid"]), float(owner["start_s"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return pid if same_process(pid, start_s) else None


def _refuse_beside(store_root: Path, pattern: str, *, but_for: str = "-") -> None:
    """Raise RecordingError where a lock of that name is held. Both sides make theirs before they look."""
    for path in sorted(store_root.glob(pattern)):
        if not path.name.endswith((but_for, ".guard")) and is_held(path):
            raise RecordingError(
                f"{store_root}: {path.name} is held by a living process",
                hint="Wait for it, or stop it.",
                path=store_root,
                code="GT-BUSY",
            )

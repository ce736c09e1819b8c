"""One writer per folder, told by a lock file that a dead owner does not hold for ever."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from pathlib import Path

import psutil

from gazecapture.files import as_tool_error
from keyframes.errors import RecordingError

__all__ = ["LOCK_NAME", "FolderLock", "is_held", "process_start_s", "same_process"]

LOCK_NAME = ".lock"
_START_TOLERANCE_S = 5.0
"""s; systems derive a process's start from the wall clock, which may be adjusted meanwhile. A process id comes back
after far longer."""
_HALF_WRITTEN_S = 2.0
"""s; a lock without content is being written right now, unless it is older than this."""
_GUARD_S = 10.0
"""s; the guard is held for microseconds, so that one this old was left by a process that died in them."""
_BEAT_S = 30.0
"""s; how often a lock that beats is touched."""
_SILENT_S = 300.0
"""s; a lock of another computer, whose processes cannot be seen from here, is dead when it has not beaten for so long.
Ten beats, as shared volumes show a file's time up to a minute late."""
_PAUSE_S = 0.02
_ATTEMPTS = 1000
"""With the pause 20 s: longer than a guard can be in the way."""


def process_start_s() -> float:
    """Return when this process began, s since 1970."""
    return float(psutil.Process().create_time())


def same_process(pid: int, start_s: float) -> bool:
    """Say whether process ``pid`` lives and is the one that began at ``start_s`` (ids are used again)."""
    try:
        process = psutil.Process(pid)
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and abs(process.create_time() - start_s) < _START_TOLERANCE_S
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # somebody else's living process; better to refuse than to write beside it


def is_held(path: Path) -> bool:
    """Say whether the lock file at ``path`` is there and its owner lives."""
    try:
        content, age_s = path.read_bytes(), _age_s(path)
    except (FileNotFoundError, PermissionError):
        return False
    return _owner(content, age_s) is not None


class FolderLock:
    """The right to write into ``folder``, held from `acquire` to `release` or to the death of the process.

    name  : of the lock file, where a folder has several rights.
    beats : touch the file now and then, so that other computers see when the owner is gone. Without it a lock of
            another computer holds until that computer, or a person, removes it.
    """

    def __init__(self, folder: Path, *, name: str = LOCK_NAME, beats: bool = False) -> None:
        self._path = folder / name
        self._beats = beats
        self._held = False
        self._released = threading.Event()

    def acquire(self) -> None:
        """Take the lock. Raises RecordingError (GT-BUSY) where a live process, this one included, holds it."""
        owner = {"pid": os.getpid(), "start_s": process_start_s(), "host": platform.node()}
        content = json.dumps({**owner, "beats": self._beats}).encode()
        for _ in range(_ATTEMPTS):
            if _create(self._path, content):
                self._held = True
                if self._beats:
                    self._released.clear()
                    threading.Thread(target=self._beat, daemon=True).start()
                return
            self._remove_if_stale()
        raise self._busy("other processes keep taking the lock")

    def release(self) -> None:
        """Give the lock back; does nothing where it is not held."""
        if self._held:
            self._held = False
            self._released.set()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._released.wait(_BEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def _remove_if_stale(self) -> None:
        """Remove the lock of a dead owner. Raises RecordingError where the owner lives.

        Only who holds the guard file removes a lock, and looks again first: else two that saw the same dead owner
        would each remove a lock, the second one the fresh lock of the first.
        """
        if not self._is_stale():
            time.sleep(_PAUSE_S)
            return
        guard = self._path.with_name(f"{self._path.name}.guard")
        if not _create(guard, b""):
            if _age_s(guard) > _GUARD_S:
                guard.unlink(missing_ok=True)
            time.sleep(_PAUSE_S)
            return
        try:
            if self._is_stale():
                self._path.unlink(missing_ok=True)
        finally:
            guard.unlink(missing_ok=True)

    def _is_stale(self) -> bool:
        """Say whether the lock's owner is dead. Raises RecordingError where it lives."""
        try:
            content, age_s = self._path.read_bytes(), _age_s(self._path)
        except (FileNotFoundError, PermissionError):
            return False  # gone, or (on Windows) going
        owner = _owner(content, age_s)
        if owner is not None and owner:
            raise self._busy(f"{owner} writes here")
        return owner is None

    def _busy(self, why: str) -> RecordingError:
        return RecordingError(
            f"{self._path.parent}: {why}",
            hint="Stop that process or choose another folder.",
            path=self._path.parent,
            code="GT-BUSY",
        )


def _owner(content: bytes, age_s: float) -> str | None:
    """Return who holds a lock of this content; empty: somebody who is writing it right now; None: nobody alive."""
    try:
        owner = json.loads(content)
        pid, start_s, host = int(owner["pid"]), float(owner["start_s"]), str(owner.get("host", ""))
        beats = bool(owner.get("beats"))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None if age_s > _HALF_WRITTEN_S else ""
    if host and host != platform.node():
        is_dead = beats and age_s > _SILENT_S
        return None if is_dead else f"process {pid} of computer {host}"
    return f"process {pid}" if same_process(pid, start_s) else None


def _create(path: Path, content: bytes) -> bool:
    """Make a file that must not exist yet; say whether this process made it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise as_tool_error(error, path, "taking the folder's lock") from error
    try:
        os.write(descriptor, content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise as_tool_error(error, path, "taking the folder's lock") from error
    finally:
        os.close(descriptor)
    return True


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0

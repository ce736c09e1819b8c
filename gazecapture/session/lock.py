"""One writer per folder, told by a lock file that a dead owner does not hold for ever."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from pathlib import Path

import psutil

from gazecapture.files import as_tool_error
from keyframes.errors import RecordingError

__all__ = ["FolderLock", "process_start_s", "same_process"]

LOCK_NAME = ".lock"
_START_TOLERANCE_S = 5.0
"""s; systems derive a process's start from the wall clock, which may be adjusted meanwhile. A process id comes back
after far longer."""
_HALF_WRITTEN_S = 2.0
"""s; a lock without content is being written right now, unless it is older than this."""
_ATTEMPTS = 50


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


class FolderLock:
    """The right to write into ``folder``, held from `acquire` to `release` or to the death of the process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._held = False

    def acquire(self) -> None:
        """Take the lock. Raises RecordingError (GT-BUSY) where a live process, this one included, holds it."""
        content = json.dumps({"pid": os.getpid(), "start_s": process_start_s()}).encode()
        for _ in range(_ATTEMPTS):
            try:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                self._set_aside_if_stale()
                continue
            except OSError as error:
                raise as_tool_error(error, self._path, "taking the folder's lock") from error
            try:
                os.write(descriptor, content)
            except OSError as error:
                self._path.unlink(missing_ok=True)
                raise as_tool_error(error, self._path, "taking the folder's lock") from error
            finally:
                os.close(descriptor)
            self._held = True
            return
        raise self._busy("other processes keep taking the lock")

    def release(self) -> None:
        """Give the lock back; does nothing where it is not held."""
        if self._held:
            self._held = False
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _set_aside_if_stale(self) -> None:
        try:
            content = self._path.read_bytes()
            age_s = time.time() - self._path.stat().st_mtime
        except (FileNotFoundError, PermissionError):
            time.sleep(0.01)  # Windows refuses to open a file that is being removed
            return
        try:
            owner = json.loads(content)
            pid, start_s = int(owner["pid"]), float(owner["start_s"])
        except (ValueError, KeyError, TypeError):
            if age_s < _HALF_WRITTEN_S:
                time.sleep(0.05)
                return
        else:
            if same_process(pid, start_s):
                raise self._busy(f"process {pid} writes here")
        aside = self._path.with_name(f"{LOCK_NAME}.{uuid.uuid4().hex}")
        with contextlib.suppress(OSError):
            self._path.rename(aside)
            if aside.read_bytes() != content and not self._path.exists():
                aside.rename(self._path)  # another process was quicker and this is its fresh lock
            aside.unlink(missing_ok=True)

    def _busy(self, why: str) -> RecordingError:
        return RecordingError(
            f"{self._path.parent}: {why}",
            hint="Stop that process or choose another folder.",
            path=self._path.parent,
            code="GT-BUSY",
        )

"""Writing files so that a crash, a full disk or a second process never leaves half of one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keyframes.errors import DiskFullError, GazeToolError, RecordingError, UsageError

__all__ = [
    "as_tool_error",
    "atomic_path",
    "claim_output_folder",
    "free_bytes",
    "make_private_folder",
    "sha256_of",
    "write_bytes_atomically",
    "write_json_atomically",
]

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


def as_tool_error(error: OSError, path: Path, doing: str) -> GazeToolError:
    """Turn an operating-system error into one of ours that says what to do.

    doing : a present participle with its object, such as ``"writing the journal"``.
    """
    if error.errno in _FULL:
        return DiskFullError(
            f"{path}: no room left on the volume while {doing}",
            hint="Free some space or choose another folder, then run the same command again.",
            path=path,
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return UsageError(
            f"{path}: no permission while {doing}",
            hint="Choose a folder that you may write, or change its permissions.",
            path=path,
            code="GT-PERMISSION",
        )
    reason = error.strerror or type(error).__name__
    return RecordingError(f"{path}: {reason} while {doing}", path=path, code="GT-OS")


def make_private_folder(folder: Path) -> Path:
    """Make ``folder`` and its parents; only its owner may enter it (where the system knows owners)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.name == "posix":
            folder.chmod(0o700)
    except OSError as error:
        raise as_tool_error(error, folder, "making the folder") from error
    return folder


def claim_output_folder(folder: Path, *, kind: str) -> Path:
    """Make or re-enter an output folder of this toolkit, and refuse anybody else's.

    A marker file ``.gazecapture`` with ``kind`` in it is written into a new or empty folder; a folder that is not
    empty must carry the marker of the same kind. Raises UsageError otherwise.
    """
    marker = folder / ".gazecapture"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, a folder is needed", path=folder, code="GT-NOT-A-FOLDER")
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise as_tool_error(PermissionError(errno.EACCES, "permission denied"), folder, "opening the folder")
    if marker.is_file():
        found = marker.read_text(encoding="utf-8").strip()
        if found != kind:
            raise UsageError(
                f"{folder} is a {found} folder, expected a {kind} folder",
                hint="Choose another output folder.",
                path=folder,
                code="GT-FOREIGN-FOLDER",
            )
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty and was not written by this command",
            hint="Choose a new or empty folder; nothing was changed.",
            path=folder,
            code="GT-FOREIGN-FOLDER",
        )
    make_private_folder(folder)
    write_bytes_atomically(marker, f"{kind}\n".encode())
    return folder


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a scratch path beside ``target``; on success it is synced and renamed onto it, else removed."""
    scratch = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield scratch
        if scratch.is_dir():
            if target.is_dir():
                shutil.rmtree(target)
        else:
            with scratch.open("rb+") as handle:
                os.fsync(handle.fileno())
        scratch.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise as_tool_error(error, target, "writing it") from error
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)


def write_bytes_atomically(target: Path, content: bytes) -> None:
    """Replace ``target`` by ``content``; a reader sees the old or the new file, never a part."""
    with atomic_path(target) as scratch:
        scratch.write_bytes(content)


def write_json_atomically(target: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Replace ``target`` by ``content`` as indented JSON with sorted keys."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes_atomically(target, f"{text}\n".encode())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """Return the free room on the volume that holds ``folder`` (or will hold it)."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows has no handle for a folder and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

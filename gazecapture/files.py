"""Writing files so that a crash, a full disk or a second process never leaves half of one."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keyframes.errors import DiskFullError, GazeToolError, RecordingError, UsageError

__all__ = [
    "append_json_line",
    "as_tool_error",
    "atomic_path",
    "begin_storing",
    "claim_output_folder",
    "create_file",
    "free_bytes",
    "make_private_folder",
    "replace_newest",
    "replace_patiently",
    "sha256_of",
    "sweep_scratch",
    "sync_folder",
    "sync_tree",
    "write_bytes_atomically",
    "write_json_atomically",
]

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_WRONG_PATH = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
_MARKER = ".gazecapture"
_PARTIAL, _REPLACED = ".partial", ".replaced"
_SYNC_FILE_RANGE_WRITE = 2
"""Linux: linux/fs.h. Begin, and wait for nothing."""
_REPLACE_ATTEMPTS = 20
_REPLACE_PAUSE_S = 0.025
"""With the attempts half a second. Windows refuses to rename what a reader, an indexer or a virus scanner has open;
they let go within milliseconds."""


def as_tool_error(error: OSError, path: Path, doing: str) -> GazeToolError:
    """Turn an operating-system error into one of ours that says what to do; one of ours stays as it is.

    doing : a present participle with its object, such as ``"writing the journal"``.
    """
    if isinstance(error, GazeToolError):
        return error
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
    if error.errno in _WRONG_PATH:
        return UsageError(
            f"{path}: {error.strerror or type(error).__name__} while {doing}",
            hint="Give another path.",
            path=path,
            code="GT-PATH",
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
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the folder's name is no valid UTF-8",
            hint="Choose another output folder.",
            path=folder,
            code="GT-PATH",
        ) from None
    marker = folder / _MARKER
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, a folder is needed", path=folder, code="GT-NOT-A-FOLDER")
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise as_tool_error(PermissionError(errno.EACCES, "permission denied"), folder, "opening the folder")
    if marker.is_file():
        found = marker.read_text(encoding="utf-8", errors="replace").strip()
        if found != kind:
            raise UsageError(
                f"{folder} is a {found} folder, expected a {kind} folder",
                hint="Choose another output folder.",
                path=folder,
                code="GT-FOREIGN-FOLDER",
            )
        return folder
    if folder.exists() and not all(_is_torn_marker(entry) for entry in folder.iterdir()):
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
    """Give a scratch path beside ``target``; on success it is synced and renamed onto it, else removed.

    What a killed process leaves (the scratch, or the folder that was to be replaced) is seen to by `sweep_scratch`.
    """
    name = f".{target.name}.{uuid.uuid4().hex[:8]}"
    scratch = target.with_name(name + _PARTIAL)
    try:
        yield scratch
        if scratch.is_dir():
            _replace_folder(scratch, target, target.with_name(name + _REPLACED))
        else:
            with scratch.open("rb+") as handle:
                os.fsync(handle.fileno())
            replace_patiently(scratch, target)
        sync_folder(target.parent)
    except OSError as error:
        raise as_tool_error(error, target, "writing it") from error
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)


def create_file(target: Path, content: bytes) -> bool:
    """Make a file that only its owner may read, whole or not at all; say False where it was there already.

    Of several processes that try at once exactly one makes it.
    """
    scratch = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{_PARTIAL}")
    try:
        descriptor = os.open(
            scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600
        )
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        _rename_onto_nothing(scratch, target)
        sync_folder(target.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise as_tool_error(error, target, "making it") from error
    finally:
        scratch.unlink(missing_ok=True)
    return True


def replace_newest(target: Path, content: bytes, *, into: Path | None = None) -> None:
    """Replace a file that only its owner may read, without forcing it onto the disk: soon there is a newer one.

    into : written over and renamed, for a disk on which there is room nowhere else; None: a scratch file.

    Raises DiskFullError where there is no room.
    """
    scratch = into or target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}{_PARTIAL}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.truncate()
        replace_patiently(scratch, target)
    except OSError as error:
        raise as_tool_error(error, target, "writing the newest state") from error
    finally:
        scratch.unlink(missing_ok=True)


def replace_patiently(source: Path, target: Path) -> None:
    """Rename ``source`` onto ``target``, again for a short while where the system refuses. Raises OSError."""
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            source.replace(target)
            return
        except PermissionError:
            if attempt == _REPLACE_ATTEMPTS - 1:
                raise
            time.sleep(_REPLACE_PAUSE_S)


def sweep_scratch(folder: Path) -> int:
    """Clear ``folder`` of what killed processes left in it; return how many things there were.

    A folder that was moved out of the way for a new one which never came is put back. The caller makes sure that
    nobody else writes here.
    """
    replaced = sorted(folder.glob(f".*.*{_REPLACED}"))
    for path in replaced:
        home = folder / path.name[1:].rsplit(".", 2)[0]
        if home.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rename(home)
    partial = sorted(folder.glob(f".*{_PARTIAL}"))
    for path in partial:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(replaced) + len(partial)


def write_bytes_atomically(target: Path, content: bytes) -> None:
    """Replace ``target`` by ``content``; a reader sees the old or the new file, never a part."""
    with atomic_path(target) as scratch:
        scratch.write_bytes(content)


def write_json_atomically(target: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Replace ``target`` by ``content`` as indented JSON with sorted keys."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes_atomically(target, f"{text}\n".encode())


def append_json_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append one line to a file that only its owner may read, and make it durable; a torn last line is ended first."""
    line = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o600), "rb+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            os.fsync(file.fileno())
    except OSError as error:
        raise as_tool_error(error, path, "writing a log") from error


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


def _is_torn_marker(entry: Path) -> bool:
    return entry.name.startswith(f".{_MARKER}.") and entry.name.endswith(_PARTIAL)


def _replace_folder(new: Path, target: Path, aside: Path) -> None:
    """Rename a folder onto another one. The old one is deleted last: a file in it that Windows holds costs nothing."""
    if not target.is_dir():
        replace_patiently(new, target)
        return
    replace_patiently(target, aside)
    try:
        replace_patiently(new, target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _rename_onto_nothing(source: Path, target: Path) -> None:
    """Rename where the target must not exist. Raises FileExistsError.

    Renaming refuses that on Windows only, linking elsewhere; a volume without links (FAT) is left to a look before.
    """
    if os.name == "nt":
        source.rename(target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError(errno.EEXIST, "it exists", str(target)) from None
        source.rename(target)


def begin_storing(descriptor: int, start: int, length: int) -> None:
    """Let the system begin to write a part of a file to its disk, so that `sync_tree` has less to wait for later.

    A hint, which only Linux has: elsewhere, and where the volume refuses, nothing happens.
    """
    if sys.platform == "linux" and (call := getattr(ctypes.CDLL(None), "sync_file_range", None)) is not None:
        call(descriptor, ctypes.c_int64(start), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


def sync_tree(folder: Path) -> None:
    """Make every file below ``folder`` durable, and their names. Raises OSError."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb+") as handle:
                os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows has no handle for a folder and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

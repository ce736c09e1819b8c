"""What a tracker's recording is known by: a hash over all that it holds but its videos."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gazecapture.files import as_tool_error, sha256_of
from keyframes.errors import UsageError

__all__ = ["fingerprint"]


def fingerprint(file: Path) -> str:
    """Return a hash over the file, or over names and contents of all files of a folder.

    Raises UsageError (GT-PATH) where there is none.
    """
    try:
        if file.is_file():
            return sha256_of(file)
        if file.is_dir():
            digest = hashlib.sha256()
            for path in sorted(
                p for p in file.rglob("*") if p.is_file() and p.suffix not in (".mp4", ".mjpeg")
            ):
                digest.update(f"{path.relative_to(file).as_posix()}\0{sha256_of(path)}\n".encode())
            return digest.hexdigest()
    except OSError as error:
        raise as_tool_error(error, file, "reading it") from error
    raise UsageError(f"{file} does not exist", path=file, code="GT-PATH")

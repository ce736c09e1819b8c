"""SHA-256 of large files that many runs are given again, taken once while a file stays as it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from gazecapture.files import sha256_of, write_json_atomically
from keyframes.errors import GazeToolError

__all__ = ["file_hashes", "forget_hashes", "remember_hashes_in"]

_SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change once more within the step of its file system's clock, which is 2 s on
FAT: its hash is not remembered."""
_State = tuple[int, int, int]
"""Size in bytes, time of change in ns, inode."""

_known: dict[str, tuple[_State, str]] = {}
_place: Path | None = None


def remember_hashes_in(path: Path) -> None:
    """Keep hashes in a file from here on, for processes to come; those that it has are taken over.

    Of several processes that write at once the last one wins, and what the others knew is hashed again one day. A file
    that cannot be read or written costs nothing but time.
    """
    global _place
    if path != _place:
        _place = path
        _known.update(_read(path))


def forget_hashes() -> None:
    """Hash every file anew from here on."""
    _known.clear()
    if _place is not None:
        _place.unlink(missing_ok=True)


def file_hashes(paths: Iterable[Path]) -> list[str]:
    """Return each file's SHA-256 as hex. Raises OSError where one is not there."""
    found, n_new = [], 0
    for path in paths:
        facts = path.stat()
        state = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
        name = str(path.absolute())
        before = _known.get(name)
        if before is None or before[0] != state:
            before = state, sha256_of(path)
            if time.time_ns() - facts.st_mtime_ns > _SETTLED_NS:
                _known[name] = before
                n_new += 1
        found.append(before[1])
    if n_new and _place is not None:
        _write(_place)
    return found


def _read(path: Path) -> dict[str, tuple[_State, str]]:
    try:
        content = json.loads(path.read_bytes())
        return {
            str(name): ((int(size), int(time_ns), int(inode)), str(digest))
            for name, (size, time_ns, inode, digest) in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _write(path: Path) -> None:
    both = {**_read(path), **_known}
    try:
        write_json_atomically(path, {name: [*state, digest] for name, (state, digest) in both.items()})
    except GazeToolError:
        return  # read-only, or no room left: the next process hashes again

"""Put a finished dataset in the place of an older one, so that at every moment the folder is the one or the other.

The new one is built beside the folder and the two change names in one step, which Linux and macOS have. Where system or
volume has no such step (Windows, some network volumes, a mount point) the new one is moved in part by part, from
``.switching`` inside the folder; what a kill interrupts there the next command completes.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gazecapture.files import as_tool_error, make_private_folder, replace_patiently, sync_tree

__all__ = [
    "MANIFEST",
    "PARTS",
    "REPORT",
    "complete_switch",
    "manifest_of",
    "remove_dataset",
    "staging_folder",
    "switch",
]

MANIFEST: Final = "dataset.json"
REPORT: Final = "report.html"
PARTS: Final = (
    "readings",
    "hdf5",
    "samples",
    "events",
    "tables",
    "images",
    "views",
    "README.md",
    "croissant.json",
)
"""What an export puts into a dataset's folder; other files there are somebody's own and stay."""
_MARKER = ".gazecapture"
_SWITCHING = ".switching"
_PARTIAL = re.compile(r"\.[0-9a-f]{8}\.partial")
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2
"""Linux: linux/fcntl.h, linux/fs.h. macOS: sys/stdio.h."""


def manifest_of(out: Path) -> dict[str, Any]:
    """Return what dataset.json says; nothing where there is none or it is damaged."""
    try:
        content = json.loads((out / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and isinstance(content.get("files"), list) else {}


def staging_folder(out: Path) -> Path:
    """Make the folder in which the next dataset is built. Raises as_tool_error's where that cannot be."""
    name = f"{uuid.uuid4().hex[:8]}.partial"
    if not os.path.ismount(out) and os.access(out.parent, os.W_OK | os.X_OK):
        return make_private_folder(out.resolve().parent / f".{out.resolve().name}.{name}")
    return make_private_folder(out / f".{name}")


def switch(staging: Path, out: Path) -> None:
    """Put what is staged in the place of the dataset in ``out``; files there that are no part of it stay.

    Raises as_tool_error's where the volume refuses; then nothing has changed.
    """
    try:
        # A power cut after the switch must not find half-written files under the final names.
        sync_tree(staging)
        if not _changed_names(staging, out):
            replace_patiently(staging, out / _SWITCHING)
            _move_in(out)
    except OSError as error:
        raise as_tool_error(error, out, "putting the dataset in place") from error


def remove_dataset(out: Path) -> None:
    """Remove a dataset, but no file that is no part of it; the folder stays."""
    staging = staging_folder(out)
    try:
        if not _changed_names(staging, out):
            names = [*_top_names(out), *PARTS, REPORT]
            _remove(out / MANIFEST)  # from here on it is no dataset
            for name in names:
                _remove(out / name)
            shutil.rmtree(staging)
    except OSError as error:
        raise as_tool_error(error, out, "removing the dataset") from error


def complete_switch(out: Path) -> None:
    """Do what a killed command left to do, and remove what it had begun to write."""
    try:
        if (out / _SWITCHING).is_dir():
            _move_in(out)
        for leftover in out.glob(".*.partial"):
            if _PARTIAL.fullmatch(leftover.name):
                shutil.rmtree(leftover, ignore_errors=True)
        home = out.resolve()
        for leftover in home.parent.glob(f".{_literal(home.name)}.*.partial"):
            if _PARTIAL.fullmatch(leftover.name[len(home.name) + 1 :]):
                _clear(leftover, out)
    except OSError as error:
        raise as_tool_error(error, out, "completing what was interrupted") from error


def _changed_names(staging: Path, out: Path) -> bool:
    """Let both folders change names and remove the old content; False, and nothing changed, where that cannot be."""
    if staging.parent == out:
        return False
    if (out / _MARKER).is_file():
        shutil.copyfile(out / _MARKER, staging / _MARKER)
    shutil.copymode(out, staging)
    if not _exchange(staging, out.resolve()):
        (staging / _MARKER).unlink(missing_ok=True)
        return False
    _clear(staging, out)
    return True


def _clear(old: Path, out: Path) -> None:
    """Remove a folder that was a dataset, or was to be one; what is not ours in it goes to ``out``."""
    ours = {*_top_names(old), *PARTS, MANIFEST, REPORT, _MARKER}
    for entry in old.iterdir():
        is_ours = entry.name in ours or _PARTIAL.fullmatch(entry.name)
        if not is_ours and not (out / entry.name).exists():
            entry.rename(out / entry.name)
    shutil.rmtree(old)


def _move_in(out: Path) -> None:
    """Move the parts from ``.switching`` to their places, the manifest last; may be done twice."""
    new = out / _SWITCHING
    if (new / MANIFEST).is_file():
        names = set(_top_names(new))
        for name in {*_top_names(out), *PARTS, REPORT} - names:
            _remove(out / name)
        for name in names:
            if (new / name).exists():
                _remove(out / name)
                replace_patiently(new / name, out / name)
        replace_patiently(new / MANIFEST, out / MANIFEST)
    shutil.rmtree(new)


def _top_names(folder: Path) -> list[str]:
    """Return the names right below a dataset's folder that its manifest speaks of."""
    names = {str(file.get("path", "")).split("/")[0] for file in manifest_of(folder).get("files", ())}
    return sorted(names - {"", ".", ".."})


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _literal(name: str) -> str:
    """Return a name that a glob takes as it is."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _exchange(a: Path, b: Path) -> bool:
    """Let two folders change names in one step; False, and nothing changed, where that cannot be done here."""
    call = _EXCHANGES.get(sys.platform)
    return call is not None and call(os.fsencode(a), os.fsencode(b))


def _linux_exchange(a: bytes, b: bytes) -> bool:
    function = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc 2.28, musl 1.2.4
    return function is not None and function(_AT_FDCWD, a, _AT_FDCWD, b, _RENAME_EXCHANGE) == 0


def _macos_exchange(a: bytes, b: bytes) -> bool:
    function = getattr(ctypes.CDLL(None), "renamex_np", None)
    return function is not None and function(a, b, _RENAME_SWAP) == 0


_EXCHANGES: Mapping[str, Callable[[bytes, bytes], bool]] = MappingProxyType(
    {"linux": _linux_exchange, "darwin": _macos_exchange}
)

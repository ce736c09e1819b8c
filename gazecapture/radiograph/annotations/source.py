"""Where annotations come from: a file or a folder, checked for size before it is read, hashed for the stage's key."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from gazecapture.files import as_tool_error
from gazecapture.radiograph.annotations.hashes import file_hashes
from keyframes.errors import ConfigError, GazeToolError, SchemaError

__all__ = [
    "AnnotationSource",
    "annotation_error",
    "file_hash",
    "files_by_stem",
    "read_bounded",
    "source_hash",
    "unreadable",
]

MAX_FILE_BYTES = 1 << 29
"""Of a file that is read as a whole: COCO files of 100,000 polygons have some 200 MB."""
MAX_FILES = 500_000
"""In one folder; Chest ImaGenome has 243,000 scene graphs."""
MANY_FILES = 1000
LOOK_AGAIN_S = 60.0
"""Looking through Chest ImaGenome takes seconds; fewer files than `MANY_FILES` are looked at each time."""
CODE = "GT-ANNOTATION"
_looked_at: dict[tuple[Path, Path | None], tuple[float, str]] = {}
"""When a source was gone through, by `time.monotonic`, and its hash then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationSource:
    """One entry of ``[regions] annotations``."""

    format: str
    path: Path
    """A file, or a folder of them."""
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the source calls a region (in a label map: its value or colour) -> the scheme's name."""
    pictures: Path | None = None
    """A folder with the annotated pictures, where the source knows them by their file names only."""
    confidence: float | None = None
    """0 to 1, in place of the format's own."""

    def region_name(self, label: str) -> str:
        """Return the region that the source's label stands for: as ``names`` says, else the label in lower case."""
        found = self.names.get(label)
        return label.strip().lower() if found is None else found


def annotation_error(
    message: str, path: Path, *, hint: str = "", record: str | int | None = None
) -> NoReturn:
    """Raise the error for a source that does not hold what its format must."""
    raise SchemaError(
        message,
        path=path,
        record=record,
        code=CODE,
        hint=hint or "Check the file against its format, or take it out of [regions] annotations.",
    )


def read_bounded(path: Path, *, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return a file's content. Raises SchemaError where it is larger than ``limit`` bytes."""
    try:
        n_bytes = path.stat().st_size
        if n_bytes > limit:
            annotation_error(f"the file has {n_bytes} bytes, at most {limit} are read", path)
        return path.read_bytes()
    except OSError as error:
        raise unreadable(error, path) from error


def files_by_stem(source: AnnotationSource, suffix: str, *, ending: str = "") -> dict[str, Path]:
    """Return the source's files by their stem less ``ending``; only the folder is looked into, never a name in a file.

    Raises SchemaError where there is none, there are too many, or two of one stem.
    """
    found: dict[str, Path] = {}
    for path in _files(source.path):
        if path.suffix.lower() != suffix:
            continue
        stem = path.stem.removesuffix(ending)
        if stem in found:
            annotation_error(f"two files have the name {path.name}", source.path, hint="Keep one of them.")
        found[stem] = path
    if not found:
        annotation_error(f"it holds no *{suffix} file", source.path)
    return found


def source_hash(source: AnnotationSource) -> str:
    """Return 16 hex digits that change with the name or content of any of the source's files.

    A folder of many files is gone through once a minute at most: every reading of a run asks.
    """
    key = (source.path, source.pictures)
    looked_at, known = _looked_at.get(key, (-LOOK_AGAIN_S, ""))
    if time.monotonic() - looked_at < LOOK_AGAIN_S:
        return known
    digest = hashlib.sha256()
    n_files = 0
    for folder in (source.path, source.pictures):
        paths = [] if folder is None else _files(folder)
        for path, content in zip(paths, _hashes(paths), strict=True):
            name = path.name if path == folder else path.relative_to(folder or path).as_posix()
            digest.update(f"{name}\0{content}\n".encode())
        n_files += len(paths)
    found = digest.hexdigest()[:16]
    if n_files >= MANY_FILES:
        _looked_at[key] = time.monotonic(), found
    return found


def file_hash(path: Path) -> str:
    """Return a file's SHA-256, taken once while its size, time and inode stay as they are.

    Raises ConfigError where there is no such file.
    """
    return _hashes([path])[0]


def _hashes(paths: Sequence[Path]) -> list[str]:
    try:
        return file_hashes(paths)
    except OSError as error:
        raise unreadable(error, Path(error.filename or paths[0])) from error


def _files(path: Path) -> list[Path]:
    """Return the file itself, or all files below a folder, sorted; hidden ones are left out."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(
            f"{path} does not exist", path=path, hint="Correct the path in [regions] annotations."
        )
    found = []
    for file in _walk(path):
        found.append(file)
        if len(found) > MAX_FILES:
            annotation_error(f"the folder holds more than {MAX_FILES} files", path)
    return sorted(found)


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place) / name for name in names if not name.startswith("."))


def unreadable(error: OSError, path: Path) -> GazeToolError:
    """Return what to raise where a file of the source cannot be read."""
    if isinstance(error, FileNotFoundError):
        return ConfigError(
            f"{path} does not exist", path=path, hint="Correct the path in [regions] annotations."
        )
    return as_tool_error(error, path, "reading an annotation")

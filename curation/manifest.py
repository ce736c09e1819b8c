"""The store's log of work: one JSON line per reading and stage, only ever appended.

Every shard of a run (`curation.sharding`) appends to a part of its own; the next command that has the store alone joins
the parts.

What is finished is said by each stage's own record in the store; the manifest adds what a record cannot hold: the
seconds that it took and the failures. A line that was torn by a crash is passed over on reading.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gazecapture.files import as_tool_error
from keyframes.errors import GazeToolError

__all__ = [
    "MANIFEST_NAME",
    "Failure",
    "ManifestLine",
    "append_lines",
    "join_parts",
    "last_lines",
    "read_lines",
]

MANIFEST_NAME = "manifest.jsonl"
_PARTS = "manifest-*.jsonl"
_NEWLINE = b"\n"


class Failure(BaseModel):
    """Why a reading could not be worked on; what a person needs to find and mend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reading_id: str
    stage: str
    code: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: BaseException, *, reading_id: str, stage: str) -> Failure:
        """Return the record of ``error``. An error that is not ours shows its type only: its text may hold data."""
        if isinstance(error, GazeToolError):
            return cls(
                reading_id=reading_id, stage=stage, code=error.code, message=error.message, hint=error.hint
            )
        if isinstance(error, MemoryError):
            return cls(
                reading_id=reading_id, stage=stage, code="GT-MEMORY", message="not enough memory",
                hint="Run with fewer jobs (-j).",
            )  # fmt: skip
        return cls(
            reading_id=reading_id, stage=stage, code="GT-INTERNAL",
            message=f"internal error {type(error).__name__}{_place(error)}", hint="Please report it.",
        )  # fmt: skip

    def one_line(self) -> str:
        """Return the record as the line that a command prints."""
        hint = f" {self.hint}" if self.hint else ""
        stop = "" if self.message.endswith(".") else "."
        return f"{self.reading_id} {self.stage}: {self.message}{stop}{hint} ({self.code})"


class ManifestLine(BaseModel):
    """One line: what became of one stage of one reading."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    reading_id: str
    stage: str
    key: str = ""
    """Key of the stage as in its record; empty for a failure before there was one."""
    verdict: Literal["ok", "rejected", "held_back", "failed"]
    seconds: float = 0.0
    error: Failure | None = None


def append_lines(store_root: Path, lines: Iterable[ManifestLine], *, part: str = "") -> None:
    """Append lines and make them durable. One process at a time and part: the caller holds the lock.

    part : name of the shard that writes; empty for who has the store alone.
    """
    content = b"".join(line.model_dump_json(exclude_defaults=True).encode() + _NEWLINE for line in lines)
    _append(store_root / (f"manifest-{part}.jsonl" if part else MANIFEST_NAME), content)


def join_parts(store_root: Path) -> None:
    """Move what shards wrote into the manifest. The caller has the store alone."""
    for path in _parts(store_root):
        try:
            _append(store_root / MANIFEST_NAME, path.read_bytes())
            path.unlink()
        except OSError as error:
            raise as_tool_error(error, path, "joining the manifest") from error


def read_lines(store_root: Path) -> Iterator[ManifestLine]:
    """Give the lines in the order of writing, as far as parts tell; torn or foreign ones are passed over."""
    for path in [store_root / MANIFEST_NAME, *_parts(store_root)]:
        try:
            handle = path.open("rb")
        except FileNotFoundError:
            continue
        with handle:
            for raw in handle:
                try:
                    yield ManifestLine.model_validate(json.loads(raw))
                except (ValueError, ValidationError, RecursionError):
                    continue


def last_lines(store_root: Path) -> dict[str, ManifestLine]:
    """Return the newest line of each reading: a failure, where there is one, as work stops there."""
    return {line.reading_id: line for line in read_lines(store_root)}


def _append(path: Path, content: bytes) -> None:
    if not content:
        return
    try:
        with path.open("ab+") as handle:
            if handle.tell() and not _ends_whole(path):
                content = _NEWLINE + content
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise as_tool_error(error, path, "writing the manifest") from error


def _parts(store_root: Path) -> list[Path]:
    """Return the parts, the one that was written last at the end."""
    return sorted(store_root.glob(_PARTS), key=lambda path: (path.stat().st_mtime_ns, path.name))


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read(1) == _NEWLINE


def _place(error: BaseException) -> str:
    """Return the module and line where ``error`` arose, without any path of this machine."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" at {trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"

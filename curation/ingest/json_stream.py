"""Reads published datasets' JSON: bounded in size and depth, a long list item by item."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ijson

from curation.ingest.csv_files import CODE, malformed, read_text
from gazecapture.files import as_tool_error
from keyframes.errors import GazeToolError

__all__ = ["read_json", "stream_items"]

MAX_LIST_BYTES = 1 << 31
"""MIMIC-CXR-VQA's 290,000 training pairs have some 300 MB."""
MAX_DEPTH = 64
_STARTS, _ENDS = frozenset({"start_array", "start_map"}), frozenset({"end_array", "end_map"})
MAX_ITEM_BYTES = 1 << 24
"""A member that is larger is none."""


def read_json(path: Path, *, code: str = CODE) -> Any:
    """Return the content of a small file. Raises SchemaError where it is no JSON."""
    try:
        return json.loads(read_text(path, code=code))
    except GazeToolError:
        raise
    except (ValueError, RecursionError):
        malformed("it is no JSON", path, code=code)


def stream_items(path: Path, *, code: str = CODE) -> Iterator[Any]:
    """Yield the members of a file that is one list. Raises SchemaError where it is none, cut, or has a huge member."""
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            malformed(
                f"it holds more than {MAX_LIST_BYTES} bytes", path, hint="Is it the right file?", code=code
            )
        with path.open("rb") as file:
            if file.read(64).lstrip()[:1] != b"[":
                malformed("it is no list", path, code=code)
            file.seek(0)
            guarded = _Guarded(file, path, code)
            for item in _members(guarded, path, code):
                yield item
                guarded.start_item()
    except GazeToolError:
        raise
    except (ijson.JSONError, UnicodeDecodeError, ValueError, RecursionError):
        malformed("it is no JSON, or it is cut", path, code=code)
    except OSError as error:
        raise as_tool_error(error, path, "reading it") from error


def _members(file: _Guarded, path: Path, code: str) -> Iterator[Any]:
    """Yield the members of the outermost list.

    Not by `ijson.items`: of ``[[[[`` it makes a path for each level, in time and room that grow with the square.
    """
    builder, depth = ijson.ObjectBuilder(), 0
    for event, value in ijson.basic_parse(file, use_float=True):
        if event in _STARTS:
            depth += 1
            if depth > MAX_DEPTH:
                malformed("it is nested too deeply", path, code=code)
            if depth == 1:
                continue
        if depth == 1 and event in _ENDS:
            continue  # of the outermost list
        builder.event(event, value)
        depth -= event in _ENDS
        if depth == 1:
            yield builder.value
            builder = ijson.ObjectBuilder()


class _Guarded:
    """A file of which no member of the list may take more than `MAX_ITEM_BYTES`."""

    def __init__(self, file: IO[bytes], path: Path, code: str) -> None:
        self._file, self._path, self._code = file, path, code
        self._n_bytes = 0

    def start_item(self) -> None:
        """Count anew."""
        self._n_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes. Raises SchemaError where a member is too large."""
        part = self._file.read(size)
        self._n_bytes += len(part)
        if self._n_bytes > MAX_ITEM_BYTES:
            malformed(f"a member takes more than {MAX_ITEM_BYTES} bytes", self._path, code=self._code)
        return part

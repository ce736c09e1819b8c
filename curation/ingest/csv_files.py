"""Reads published datasets' text files: bounded in size, by column name, with errors that name file and column."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from gazecapture.files import as_tool_error
from keyframes.errors import GazeToolError, SchemaError

__all__ = [
    "count_lines",
    "count_rows",
    "first_existing",
    "malformed",
    "number_of",
    "read_bytes",
    "read_columns",
    "read_rows",
    "read_text",
    "stream_rows",
]

CODE = "GT-REFLACX"
"""Of errors, unless a caller reads another dataset and says so."""
MAX_TABLE_BYTES = 1 << 24
"""The largest table beside the gaze, metadata of phase 3, has below 1 MB."""
MAX_GAZE_BYTES = 1 << 28
"""Unpacked. A minute at 1000 Hz has 5 MB."""
MAX_STREAM_BYTES = 1 << 32
"""Unpacked, of a table that is never held whole. MIMIC-CXR's metadata have 60 MB."""
MAX_LINE_LETTERS = 1 << 17
PACKED = (".gz", ".bz2", ".xz", ".zip")
"""Suffixes after ``.csv``."""
_CHUNK_BYTES = 1 << 20


class SupportsRead(Protocol):
    """An open file."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        ...


def malformed(
    message: str, path: Path, *, record: str | int | None = None, hint: str = "", code: str = CODE
) -> NoReturn:
    """Raise the error for a file that does not hold what its dataset's must."""
    raise SchemaError(message, path=path, record=record, hint=hint or "Copy it again.", code=code)


def first_existing(path: Path) -> Path | None:
    """Return the file as it is, or a packed one beside its place; None where there is neither."""
    found = (path.with_name(path.name + suffix) for suffix in ("", *PACKED))
    return next((candidate for candidate in found if candidate.is_file()), None)


def count_rows(path: Path) -> int:
    """Return about how many rows a small table has, at least 1: its lines but the header."""
    try:
        return max(1, _read(path, MAX_TABLE_BYTES, CODE).count(b"\n") - 1)
    except GazeToolError:
        return 1


def read_text(path: Path, *, limit: int = MAX_TABLE_BYTES, code: str = CODE) -> str:
    """Return a text file's content, line ends as they are."""
    try:
        return _read(path, limit, code).decode("utf-8-sig")
    except UnicodeDecodeError:
        malformed("it is no UTF-8 text", path, code=code)


def read_bytes(path: Path, *, limit: int, code: str) -> bytes:
    """Return a file's content, unpacked. Raises SchemaError where it is larger than ``limit`` bytes or damaged."""
    return _read(path, limit, code)


def read_rows(path: Path, columns: Sequence[str], *, code: str = CODE) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a small CSV file. Raises SchemaError where a column or a cell is absent."""
    yield from _rows(io.StringIO(read_text(path, code=code), newline=""), columns, path, code)


def stream_rows(path: Path, columns: Sequence[str], *, code: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file of any length, packed or not, holding one at a time. Raises as `read_rows`."""
    try:
        with _opened(path) as stream:
            yield from _rows(_lines(stream, path, code), columns, path, code)
    except UnicodeDecodeError:
        malformed("it is no UTF-8 text", path, code=code)
    except _DAMAGED:
        malformed("the packed file is damaged", path, code=code)
    except OSError as error:
        if error.errno is None:  # how bz2 says that its data are damaged
            malformed("the packed file is damaged", path, code=code)
        raise as_tool_error(error, path, "reading it") from error


def _rows(lines: Iterable[str], columns: Sequence[str], path: Path, code: str) -> Iterator[dict[str, str]]:
    table = csv.DictReader(lines)
    try:
        absent = [name for name in columns if name not in (table.fieldnames or ())]
        if absent:
            malformed(f"it lacks column {', '.join(absent)}", path, code=code)
        for number, row in enumerate(table, start=2):
            if None in row or None in row.values():
                malformed(
                    f"a row has another number of cells than the header's {len(table.fieldnames or ())}",
                    path,
                    record=number,
                    code=code,
                )
            yield row
    except csv.Error:
        malformed("it is no CSV file", path, code=code)


def count_lines(path: Path) -> int:
    """Return how many lines a file of any length has below its first one, at least 1."""
    n_lines = n_bytes = 0
    try:
        with _opened(path) as stream:
            while (part := stream.read(_CHUNK_BYTES)) and n_bytes <= MAX_STREAM_BYTES:
                n_lines += part.count(b"\n")
                n_bytes += len(part)
    except (*_DAMAGED, OSError, GazeToolError):
        return 1
    return max(1, n_lines - 1)


def number_of(row: Mapping[str, str], name: str, path: Path, *, code: str = CODE) -> float:
    """Return a cell that must be a finite number."""
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        malformed(f"column {name} holds what is no finite number", path, code=code)
    return value


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return numeric columns of a large CSV file, packed or not, each (n,); an empty cell is NaN.

    Raises SchemaError where a column is absent or a cell is no number.
    """
    content = _read(path, MAX_GAZE_BYTES, CODE)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: pa.float64() for name in columns},
                include_columns=list(columns),
                null_values=["", "nan", "NaN"],
            ),
        )
    except (pa.ArrowException, KeyError, ValueError):
        # Arrow's own text quotes the line.
        malformed(f"a column is absent or holds what is no number (expected {', '.join(columns)})", path)
    return {name: table.column(name).to_numpy() for name in columns}


_DAMAGED = (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError)
"""What the readers of packed files raise."""


def _lines(stream: SupportsRead, path: Path, code: str) -> Iterator[str]:
    """Yield the lines of a text, none longer than `MAX_LINE_LETTERS`, all within `MAX_STREAM_BYTES`."""
    n_letters = 0
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:  # type: ignore[type-var]
        while line := text.readline(MAX_LINE_LETTERS):
            n_letters += len(line)
            if len(line) >= MAX_LINE_LETTERS:
                malformed(f"a line has more than {MAX_LINE_LETTERS} letters", path, code=code)
            if n_letters > MAX_STREAM_BYTES:
                malformed(
                    f"it holds more than {MAX_STREAM_BYTES} bytes",
                    path,
                    hint="Is it the right file?",
                    code=code,
                )
            yield line


def _read(path: Path, limit: int, code: str) -> bytes:
    """Return the unpacked content. Raises SchemaError where it is larger than ``limit`` bytes or damaged."""
    parts: list[bytes] = []
    n_bytes = 0
    try:
        with _opened(path) as stream:
            while part := stream.read(_CHUNK_BYTES):
                parts.append(part)
                n_bytes += len(part)
                if n_bytes > limit:
                    malformed(
                        f"it holds more than {limit} bytes", path, hint="Is it the right file?", code=code
                    )
    except _DAMAGED:
        malformed("the packed file is damaged", path, code=code)
    except OSError as error:
        if error.errno is None:  # how bz2 says that its data are damaged
            malformed("the packed file is damaged", path, code=code)
        raise as_tool_error(error, path, "reading it") from error
    return b"".join(parts)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[SupportsRead]:
    """Open a file that may be packed."""
    with contextlib.ExitStack() as opened:
        match path.suffix.lower():
            case ".gz":
                yield opened.enter_context(gzip.open(path, "rb"))
            case ".bz2":
                yield opened.enter_context(bz2.open(path, "rb"))
            case ".xz":
                yield opened.enter_context(lzma.open(path, "rb"))
            case ".zip":
                archive = opened.enter_context(zipfile.ZipFile(path))
                members = [name for name in archive.namelist() if not name.endswith("/")]
                if len(members) != 1:
                    malformed(f"the archive holds {len(members)} files, expected one", path)
                yield opened.enter_context(archive.open(members[0]))
            case _:
                yield opened.enter_context(path.open("rb"))

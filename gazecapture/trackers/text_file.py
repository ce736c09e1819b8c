"""Text files of any size in pieces of whole lines, never more of them in memory than a piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from gazecapture.files import as_tool_error
from gazecapture.trackers.issues import refuse

__all__ = [
    "BOMS",
    "MAX_FILE_BYTES",
    "MAX_LINE_BYTES",
    "Utf8Pieces",
    "check_size",
    "first_bytes",
    "line_blocks",
]

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
"""Byte order marks and the encodings that they announce."""

MAX_FILE_BYTES = 2 * 1024**3
"""Bytes; four hours of both eyes at 2000 Hz are 1.9 GB as text, and no sitting is longer."""
BLOCK_BYTES = 16 * 1024**2
"""Bytes read at once; larger pieces are no faster."""
MAX_LINE_BYTES = 1024**2
"""Bytes; the longest line of a real file is a few kB, one this long is no text."""


def check_size(path: Path) -> int:
    """Return the file's size. Raises DataError (GT-TRACKER-TOO-LARGE, GT-TRACKER-EMPTY) where it cannot be right."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise as_tool_error(error, path, "reading it") from error
    if size > MAX_FILE_BYTES:
        raise refuse(
            path,
            f"the file has {size / 1024**3:.1f} GiB, at most {MAX_FILE_BYTES / 1024**3:g} GiB are read",
            code="GT-TRACKER-TOO-LARGE",
            hint="Export each recording into a file of its own.",
        )
    if size == 0:
        raise refuse(path, "the file is empty", code="GT-TRACKER-EMPTY")
    return size


def first_bytes(path: Path, n: int) -> bytes:
    """Return the first n bytes, none where it is no readable file."""
    try:
        with path.open("rb") as handle:
            return handle.read(n)
    except OSError:
        return b""


def line_blocks(path: Path) -> Iterator[bytes]:
    """Give the file in pieces that end with a line; the last one may lack its newline.

    Raises DataError (GT-TRACKER-FORMAT) where a line is too long for a text file.
    """
    rest = b""
    with path.open("rb") as handle:
        while piece := handle.read(BLOCK_BYTES):
            end = piece.rfind(b"\n") + 1
            if not end:
                rest += piece
            else:
                yield rest + piece[:end]
                rest = piece[end:]
            if len(rest) > MAX_LINE_BYTES:
                raise refuse(path, f"a line of more than {MAX_LINE_BYTES} bytes is no text")
    if rest:
        yield rest


class Utf8Pieces:
    """A file as a stream of UTF-8 without its mark, for a reader that takes no other; what is no text is marked."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._handle = path.open("rb")
        head = self._handle.read(4)
        self._handle.seek(
            next((len(mark) for mark, name in BOMS if name == encoding and head.startswith(mark)), 0)
        )
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self.closed = False

    def read(self, n: int = -1) -> bytes:
        """Return the next bytes, none at the end."""
        while True:
            piece = self._handle.read(n)
            text = self._decoder.decode(piece, final=not piece)
            if text or not piece:
                return text.encode("utf-8", "replace")

    def close(self) -> None:
        """Close the file."""
        self._handle.close()
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""One segment of a journal, open for writing: Arrow IPC messages, unbuffered, with a checksum beside each."""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from pathlib import Path

import pyarrow as pa

from gazecapture.files import as_tool_error
from keyframes.errors import DiskFullError, GazeToolError

__all__ = ["END_OF_STREAM", "RECORD", "Segment", "force", "journal_error"]

RECORD = struct.Struct("<QQI")
"""Of the sidecar: offset, length and CRC-32 of one message."""
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""Arrow columnar format, "IPC Streaming Format": continuation marker and length 0."""


class Segment:
    """One pair of files, open for writing."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._began = time.monotonic()
        self._n_messages = 0
        self._size = 0
        self._crc_size = 0
        self._broken = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self._data = os.open(path, flags, 0o600)
        except OSError as error:
            raise journal_error(error, path) from error
        try:
            self._crc = os.open(path.with_suffix(".crc"), flags, 0o600)
        except OSError as error:
            os.close(self._data)
            raise journal_error(error, path) from error
        try:
            self.write(schema.serialize())
        except BaseException:
            self.close()
            raise

    def must_end(self, segment_s: float) -> bool:
        """Say whether the next message belongs into a new segment; one of no rows goes on for ever."""
        return self._broken or (self._n_messages > 1 and time.monotonic() - self._began >= segment_s)

    def write(self, message: pa.Buffer) -> None:
        """Append a message and its record; on failure both files are as before."""
        content = memoryview(message)
        record = RECORD.pack(self._size, len(content), zlib.crc32(content))
        try:
            _write_all(self._data, content)
            _write_all(self._crc, memoryview(record))
        except OSError as error:
            self._roll_back()
            raise journal_error(error, self.path) from error
        self._size += len(content)
        self._crc_size += len(record)
        self._n_messages += 1

    def end(self) -> None:
        """Write the end-of-stream mark, which carries no content: no room for it is no loss."""
        try:
            _write_all(self._data, memoryview(END_OF_STREAM))
        except OSError:
            self._roll_back()

    def duplicate(self) -> tuple[int, int]:
        """Return descriptors of one's own, so that a slow sync needs no lock."""
        first = os.dup(self._data)
        try:
            return first, os.dup(self._crc)
        except OSError:
            os.close(first)
            raise

    def close(self) -> None:
        """Force both files onto the disk and close them."""
        for descriptor in (self._data, self._crc):
            try:
                force(descriptor)
            except OSError as error:
                raise journal_error(error, self.path) from error
            finally:
                os.close(descriptor)

    def _roll_back(self) -> None:
        try:
            for descriptor, size in ((self._data, self._size), (self._crc, self._crc_size)):
                os.ftruncate(descriptor, size)
                os.lseek(descriptor, size, os.SEEK_SET)
        except OSError:
            self._broken = True  # the reader stops at the torn message; the next append begins a new segment


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def force(descriptor: int) -> None:
    """Force a file's content onto the disk; macOS and Windows have no fdatasync."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def journal_error(error: OSError, path: Path) -> GazeToolError:
    """Return what to raise for a failed write."""
    if (
        error.errno == errno.EFBIG
    ):  # a limit on file size (RLIMIT_FSIZE, FAT) is a full disk to whoever records
        return DiskFullError(
            f"{path}: the file may not grow any further",
            hint="Choose a folder on a volume without that limit, then run the same command again.",
            path=path,
        )
    return as_tool_error(error, path, "writing the journal")

"""The file below an HDF5 shard, which keeps a full disk away from the HDF5 library.

Where a write fails under it, the library cannot close the file any more, prints tracebacks and crashes the process
at its end. So it is told that all is well, and the failure is raised once it is done.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from gazecapture.files import as_tool_error, begin_storing

__all__ = ["ForgivingFile"]

STORED_TOGETHER_BYTES = 1 << 23
"""As soon as so much is new, the disk begins with it, beside the work on what follows."""


class ForgivingFile(io.RawIOBase):
    """A new file for ``h5py.File``; after a failed write it goes on in memory until `raise_failure` is called.

    The caller looks after each batch, so that memory holds one batch at most.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._lost: list[tuple[int, bytes]] = []
        self._size = 0
        self._place = 0
        self._begun = 0
        """Where what the disk has not begun with starts; the little that is written again later does not count."""
        self._failure: OSError | None = None
        try:
            self._file = path.open("wb+", buffering=0)
        except OSError as error:
            raise as_tool_error(error, path, "writing a shard") from error

    def raise_failure(self) -> None:
        """Raise the first failure as one of our errors, if there was one."""
        if self._failure is not None:
            raise as_tool_error(self._failure, self._path, "writing a shard") from self._failure

    def readable(self) -> bool:
        """See `io.IOBase.readable`."""
        return True

    def writable(self) -> bool:
        """See `io.IOBase.writable`."""
        return True

    def seekable(self) -> bool:
        """See `io.IOBase.seekable`."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See `io.IOBase.seek`."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """See `io.IOBase.tell`."""
        return self._place

    def truncate(self, size: int | None = None, /) -> int:
        """See `io.IOBase.truncate`."""
        self._size = self._place if size is None else size
        if self._failure is None:
            try:
                self._file.truncate(self._size)
            except OSError as error:
                self._failure = error
        return self._size

    def write(self, content: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        """See `io.RawIOBase.write`; always writes all."""
        rest = memoryview(content).cast("B")
        start, length = self._place, len(rest)
        if self._failure is None:
            try:
                self._file.seek(start)
                while rest:
                    rest = rest[self._file.write(rest) :]
                if start + length - self._begun >= STORED_TOGETHER_BYTES:
                    begin_storing(self._file.fileno(), self._begun, start + length - self._begun)
                    self._begun = start + length
            except OSError as error:
                self._failure = error
        if self._failure is not None:
            self._lost.append((start + length - len(rest), bytes(rest)))
        self._place += length
        self._size = max(self._size, self._place)
        return length

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """See `io.RawIOBase.readinto`; what never reached the disk is given from memory."""
        view = memoryview(target).cast("B")
        start, length = self._place, min(len(view), max(self._size - self._place, 0))
        self._file.seek(start)
        found = self._file.readinto(view[:length])
        view[found:length] = bytes(length - found)
        for place, content in self._lost:
            first, last = max(place, start), min(place + len(content), start + length)
            if first < last:
                view[first - start : last - start] = content[first - place : last - place]
        self._place += length
        return length

    def close(self) -> None:
        """Close the file on disk; a failure is kept for `raise_failure`."""
        if not self.closed:
            try:
                self._file.close()
            except OSError as error:
                self._failure = self._failure or error
        super().close()

"""Chunks of an XDF file: written, and walked through to find the last whole one. Samples are read by pyxdf.

Layout: https://github.com/sccn/xdf/wiki/Specifications.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from keyframes.errors import SchemaError

__all__ = ["XdfLayout", "XdfWriter", "element", "walk_xdf"]

_CHANNEL_COUNT = re.compile(r"<channel_count>\s*(\d{1,18})\s*</channel_count>")
_MAGIC = b"XDF:"
_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _BOUNDARY, _STREAM_FOOTER = range(1, 7)
_BOUNDARY_ID = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
CHUNK_SAMPLES = 4096
"""Samples per chunk: what a cut at its end costs at most (2 s at 2000 Hz)."""
_TYPES = {"float32": "<f4", "double64": "<f8", "int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "<i1"}


class XdfWriter:
    """Writes one file, chunk by chunk, into an open binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.write(_MAGIC)
        self._chunk(_FILE_HEADER, b'<?xml version="1.0"?><info><version>1.0</version></info>')

    def header(self, stream: int, xml: str) -> None:
        """Write a stream's header, ``<info>...</info>``."""
        self._chunk(_STREAM_HEADER, xml.encode(), stream)

    def numbers(
        self, stream: int, t_s: NDArray[np.float64], values: Sequence[NDArray[Any]], channel_format: str
    ) -> None:
        """Write n samples, each with its time stamp; ``values``: one (n,) array per channel."""
        kind = np.dtype([("flag", "u1"), ("t", "<f8"), ("values", _TYPES[channel_format], (len(values),))])
        for start in range(0, t_s.size, CHUNK_SAMPLES):
            part = slice(start, start + CHUNK_SAMPLES)
            rows = np.empty(t_s[part].size, kind)
            rows["flag"], rows["t"] = 8, t_s[part]
            for place, column in enumerate(values):
                rows["values"][:, place] = column[part]
            self._samples(stream, rows.size, rows.tobytes())

    def texts(self, stream: int, t_s: Iterable[float], rows: Iterable[Sequence[str]]) -> None:
        """Write samples of text, each with its time stamp."""
        content, n = bytearray(), 0
        for t, row in zip(t_s, rows, strict=True):
            content += struct.pack("<Bd", 8, t)
            for text in row:
                encoded = text.encode()
                content += _length(len(encoded)) + encoded
            n += 1
        if n:
            self._samples(stream, n, bytes(content))

    def clock_offset(self, stream: int, collected_s: float, offset_s: float) -> None:
        """Write one measurement: when, on the sender's clock, and what to add to its time stamps."""
        self._chunk(_CLOCK_OFFSET, struct.pack("<dd", collected_s, offset_s), stream)

    def footer(self, stream: int, t_s: NDArray[np.float64]) -> None:
        """Write a stream's footer, its last chunk."""
        first, last = (float(t_s[0]), float(t_s[-1])) if t_s.size else (0.0, 0.0)
        self._chunk(
            _STREAM_FOOTER,
            f'<?xml version="1.0"?><info><first_timestamp>{first!r}</first_timestamp><last_timestamp>{last!r}'
            f"</last_timestamp><sample_count>{t_s.size}</sample_count></info>".encode(),
            stream,
        )

    def boundary(self) -> None:
        """Write what a reader looks for after damage."""
        self._chunk(_BOUNDARY, _BOUNDARY_ID)

    def _samples(self, stream: int, n: int, content: bytes) -> None:
        self._chunk(_SAMPLES, _length(n) + content, stream)

    def _chunk(self, tag: int, content: bytes, stream: int | None = None) -> None:
        body = struct.pack("<H", tag) + (b"" if stream is None else struct.pack("<I", stream)) + content
        self._file.write(_length(len(body)) + body)


def _length(n: int) -> bytes:
    if n < 2**8:
        return struct.pack("<BB", 1, n)
    return struct.pack("<BI", 4, n) if n < 2**32 else struct.pack("<BQ", 8, n)


def element(name: str, text: object) -> str:
    """Return one XML element of a header."""
    return f"<{name}>{escape(str(text))}</{name}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class XdfLayout:
    """What a walk through the chunks found."""

    headers: dict[int, str] = field(default_factory=dict)
    """Stream id -> its header's XML."""
    whole_bytes: int
    """Where the last whole chunk ends."""
    size_bytes: int

    @property
    def is_cut(self) -> bool:
        """Say whether something unfinished follows the last whole chunk."""
        return self.whole_bytes < self.size_bytes


def walk_xdf(path: Path) -> XdfLayout:
    """Go through a file's chunks by their lengths.

    Raises SchemaError where it is no XDF file, and where a chunk says that it holds more values than it has bytes:
    whoever reads it would make room for them.
    """
    size = path.stat().st_size
    headers: dict[int, str] = {}
    n_channels: dict[int, int] = {}
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise SchemaError("the file is no XDF file", path=path, code="GT-XDF")
        whole = 4
        while True:
            n_bytes = file.read(1)
            if n_bytes not in (b"\x01", b"\x04", b"\x08"):
                break
            length = int.from_bytes(file.read(n_bytes[0]), "little")
            start = file.tell()
            if length < 2 or start + length > size:
                break
            tag = struct.unpack("<H", file.read(2))[0]
            stream = struct.unpack("<I", file.read(4))[0] if length > 6 else 0
            if tag == _STREAM_HEADER and length > 6:
                headers[stream] = file.read(length - 6).decode("utf-8", errors="replace")
                said = _CHANNEL_COUNT.search(headers[stream])
                n_channels[stream] = int(said[1]) if said else 1
            elif tag == _SAMPLES and length > 6:
                n_samples = int.from_bytes(
                    file.read(min(int.from_bytes(file.read(1), "little"), 8)), "little"
                )
                if n_samples * max(1, n_channels.get(stream, 1)) > length:
                    raise SchemaError(
                        f"a chunk of {length} bytes says that it holds {n_samples} samples",
                        path=path,
                        hint="Copy it again from its source.",
                        code="GT-XDF",
                    )
            file.seek(start + length)
            whole = start + length
    return XdfLayout(headers=headers, whole_bytes=whole, size_bytes=size)

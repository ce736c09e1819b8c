"""Searches files for strings after taking every container apart; knows nothing of the project's own scanner.

A string is sought whatever its case, as UTF-8, UTF-16 and base64, in the raw bytes, in what they unpack to (Parquet
cells and pages, HDF5 values and chunks, PNG chunks, DICOM elements at any depth, JSON, data URIs, gzip, zip, zstd),
and in file names. Names in gzip, zip and tar headers and the boxes of an mp4 are not packed: the raw bytes have them.
"""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
from pydicom.dataset import Dataset

Piece = tuple[str, bytes]
"""Where it was found, and what."""

PNG, ZSTD, GZIP, ZIP = b"\x89PNG\r\n\x1a\n", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"PK\x03\x04"
KNOWN_CODECS = {"UNCOMPRESSED", "ZSTD", "GZIP"}
"""Parquet codecs whose pages carry a mark by which they are found in the raw file."""
MAX_DEPTH = 4
_TEXT_HEAD_BYTES = 64
"""Pictures in cells have a zero among so many; to unescape them takes long and finds nothing."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_TEXT_SUFFIXES = {".json", ".jsonl", ".html", ".md", ".txt", ".csv", ".toml", ".yaml", ".yml", ".bib"}


def find(folder: Path, needles: Mapping[str, str], *, stem: str = "") -> dict[str, list[str]]:
    """Return, for each needle that was found, the files and places; ``needles`` maps what it is to the string.

    stem : how most of them begin; those are sought only in what holds it.
    """
    patterns = {name: _patterns(needle) for name, needle in needles.items()}
    begun = {name for name, needle in needles.items() if stem and needle.startswith(stem)}
    first = _patterns(stem) if stem else ([b""], [])
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        shown = path.relative_to(folder).as_posix()
        for place, content in _everything(path):
            folded = content.lower()
            with_stem = _holds(content, folded, *first)
            for name, (plain, encoded) in patterns.items():
                if (with_stem or name not in begun) and _holds(content, folded, plain, encoded):
                    found.setdefault(name, []).append(f"{shown}: {place}")
    return found


def _holds(content: bytes, folded: bytes, plain: list[bytes], encoded: list[bytes]) -> bool:
    return any(p in folded for p in plain) or any(p in content for p in encoded)


def _patterns(needle: str) -> tuple[list[bytes], list[bytes]]:
    """Return lower-case byte strings to seek in lower-cased content, and base64 ones to seek as they are."""
    low = needle.lower()
    plain = [low.encode(), low.encode("utf-16-le")]
    encoded = []
    for text in {needle, needle.lower(), needle.upper()}:
        for raw in (text.encode(), text.encode("utf-16-le")):
            for shift in range(3):
                coded = base64.b64encode(bytes(shift) + raw).rstrip(b"=")
                # The first characters depend on what stands before, the last on what follows.
                encoded.append(coded[-(-shift * 8 // 6) : -1])
    return plain, encoded


def _everything(path: Path) -> Iterator[Piece]:
    yield "name", path.name.encode()
    if not path.is_file():
        return
    content = path.read_bytes()
    yield from _pieces("raw", content, path.suffix in _TEXT_SUFFIXES, 0)
    if content.startswith(b"PAR1"):
        yield from _parquet(path)
    elif content.startswith(b"\x89HDF"):
        yield from _hdf5(path)


def _pieces(place: str, content: bytes, is_text: bool, depth: int) -> Iterator[Piece]:
    """Give the content itself and all that is packed into it."""
    yield place, content
    if depth >= MAX_DEPTH:
        return
    inner: list[tuple[str, bytes, bool]] = []
    inner += [("PNG", part, False) for part in _png_chunks(content)]
    inner += [("zstd", part, True) for part in _zstd_frames(content)]
    inner += [("gzip", part, True) for part in _gzip_members(content)]
    if content.startswith(ZIP):
        inner += [("zip", part, True) for part in _zip_members(content)]
    if content[128:132] == b"DICM":
        inner += [("DICOM", part, False) for part in _dicom(content)]
    if is_text and b"\0" not in content[:_TEXT_HEAD_BYTES]:
        text = content.decode("utf-8", "replace")
        plain = html.unescape(urllib.parse.unquote(text))
        inner += [("unescaped", plain.encode("utf-8", "replace"), False)] if plain != text else []
        inner += [("JSON", part.encode("utf-8", "replace"), False) for part in _json_strings(text)]
        inner += [("base64", part, False) for part in _base64_runs(content)]
    for kind, part, text_inside in inner:
        yield from _pieces(f"{place} > {kind}", part, text_inside and depth + 1 < MAX_DEPTH, depth + 1)


def _starts(content: bytes, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


def _png_chunks(content: bytes) -> Iterator[bytes]:
    for start in _starts(content, PNG):
        place, pixels = start + len(PNG), b""
        while place + 12 <= len(content):
            length = int.from_bytes(content[place : place + 4], "big")
            kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
            if kind == b"IDAT":
                pixels += data
            elif kind == b"zTXt":
                yield _inflated(data.partition(b"\0")[2][1:])
            elif kind == b"iTXt":
                after = data.partition(b"\0")[2]
                yield _inflated(after[2:].split(b"\0", 2)[-1])
            place += 12 + length
            if kind == b"IEND":
                break
        yield _inflated(pixels)


def _inflated(packed: bytes, window_bits: int = zlib.MAX_WBITS) -> bytes:
    try:
        return zlib.decompressobj(window_bits).decompress(packed)
    except zlib.error:
        return b""


def _gzip_members(content: bytes) -> Iterator[bytes]:
    for start in _starts(content, GZIP):
        yield _inflated(content[start:], zlib.MAX_WBITS | 16)


def _zip_members(content: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        for name in archive.namelist():
            yield archive.read(name)


def _zstd_frames(content: bytes) -> Iterator[bytes]:
    for start in _starts(content, ZSTD):
        stream = pa.CompressedInputStream(pa.BufferReader(content[start:]), "zstd")
        parts: list[bytes] = []
        try:
            while part := stream.read(1 << 12):
                parts.append(part)
        except (OSError, pa.ArrowException):
            pass  # what follows a frame is no frame
        yield b"".join(parts)


def _json_strings(text: str) -> Iterator[str]:
    for line in [text, *(text.splitlines() if "\n{" in text else ())]:
        try:
            yield from _strings(json.loads(line))
        except (ValueError, RecursionError):
            continue


def _base64_runs(content: bytes) -> Iterator[bytes]:
    for run in _BASE64.findall(content):
        yield base64.b64decode(run[: len(run) // 4 * 4] if not run.endswith(b"=") else run + b"==")


def _parquet(path: Path) -> Iterator[Piece]:
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        columns = [file.metadata.row_group(group).column(i) for i in range(file.metadata.num_columns)]
        unknown = {column.compression for column in columns} - KNOWN_CODECS
        if unknown:
            raise AssertionError(f"pages packed by {unknown} are not searched")
    schema = file.schema_arrow
    for key, value in (schema.metadata or {}).items():
        yield "schema metadata", key + b" " + value
    yield "schema", str(schema).encode()
    for field in schema:
        yield "field metadata", repr(field.metadata).encode()
    for batch in file.iter_batches(batch_size=4):
        for cell in _cells(batch.to_pylist()):
            yield from _pieces("cell", cell, is_text=True, depth=1)


def _cells(value: Any) -> Iterator[bytes]:
    """Give all strings of nested values together, and each of the byte strings."""
    yield "\n".join(_strings(value)).encode()
    yield from _byte_strings(value)


def _byte_strings(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _byte_strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _byte_strings(item)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int | float):
        yield str(value)


def _hdf5(path: Path) -> Iterator[Piece]:
    with h5py.File(path, "r") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        for item in items:
            yield "HDF5 name", str(item.name).encode()
            for key, value in item.attrs.items():
                yield "HDF5 attribute", f"{key} {value}".encode()
            if isinstance(item, h5py.Dataset) and item.size:
                yield from _pieces("HDF5 values", np.asarray(item[()]).tobytes(), is_text=False, depth=1)
                # Short arrays lie in their object header, uncompressed: the values above are their bytes.
                for number in range(item.id.get_num_chunks() if item.chunks else 0):
                    _, chunk = item.id.read_direct_chunk(item.id.get_chunk_info(number).chunk_offset)
                    yield "HDF5 chunk", _inflated(chunk) if item.compression == "gzip" else chunk


def _dicom(content: bytes) -> Iterator[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(BytesIO(content))
        yield b"\n".join([content[:128], *_elements(data.file_meta), *_elements(data)])


def _elements(data: Dataset) -> Iterator[bytes]:
    for element in data:
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)
        else:
            value = element.value
            yield value if isinstance(value, bytes) else str(value).encode()

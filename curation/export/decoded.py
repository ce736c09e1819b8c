"""What a file holds, decoded and inside every container: what the last scan and `verify` look at.

A file is told by its first bytes, a text by its name. Where a container holds others, each of them is given as a file
of its own. Pictures are not read as text: they may have pixels and nothing else (`curation.export.bare`).
"""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import html
import io
import itertools
import json
import re
import tarfile
import urllib.parse
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from curation.export.decoded_hdf5 import hdf5_parts
from curation.export.decoded_parquet import parquet_parts
from curation.export.found import Content, strings_in

__all__ = ["Content", "contents_of"]

MAX_DEPTH = 4
"""Containers within containers; ours have one."""
MAX_MEMBER_BYTES = 1 << 30
"""Of a packed file that is looked into in memory; a few kB can claim to unpack to any size."""
MIN_RUN_LETTERS = 4
"""Shorter runs of letters in bytes that are no text come about by chance everywhere."""
_BLOCK_ROWS = 1 << 12
"""Of a table of text: larger blocks are no faster, and each cell of one is some 60 bytes."""
_HEAD_BYTES = 512
_LARGE_ELEMENT_BYTES = 1 << 16
"""An element of a DICOM file that is larger is read only where its values are asked for."""
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_DICOM_MARK, _DICOM_MARK_AT = b"DICM", 128
_TEXT_VRS = frozenset(
    ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"]
)
"""Value representations whose bytes are letters (PS3.5, 6.2)."""
_SHIFT = b"\x1b"
"""Begins another character set, whose bytes may look like plain letters (PS3.5, 6.1.2.5)."""
_DECIMAL = re.compile(r"-?\d+\.\d+|-?\d{1,5}|n/a|")
"""A cell that a table may hold unseen: a number with a decimal point, or one too short for an id."""
_DECIMALS = re.compile(rf"(?:{_DECIMAL.pattern})(?:\n(?:{_DECIMAL.pattern}))*+")
_DATA_URI = re.compile(r"data:([\w./+-]*)(?:;[\w=.-]+)*?;base64,([A-Za-z0-9+/=]+)")
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_RUN = re.compile(rb"(?:[\x20-\x7e]|[\xc3-\xd4][\x80-\xbf]){%d,}" % MIN_RUN_LETTERS)
"""Letters of UTF-8: Latin, Greek and Cyrillic; any other script needs a text of its own to be found."""
_WIDE_RUN = re.compile(rb"(?:[\x20-\x7e\xa0-\xff]\x00){%d,}" % MIN_RUN_LETTERS)
_TABLES = {".csv": ",", ".tsv": "\t"}


def contents_of(path: Path) -> Iterator[Content]:
    """Give what a file holds: what may be as long as the dataset in parts, any other file at once.

    Raises what a damaged container raises; a file of no known kind is read as text.
    """
    yield from _decoded(path.name, path, 0)


_Source = Path | io.BytesIO


def _decoded(name: str, source: _Source, depth: int) -> Iterator[Content]:
    with _opened(source) as handle:
        head = handle.read(_HEAD_BYTES)
    kind = _kind_of(head)
    suffix = PurePosixPath(name).suffix.lower()
    if kind is not None:
        yield from kind(name, source, depth)
    elif suffix in _TABLES:
        with _opened(source) as handle:
            yield from _table_blocks(handle, _TABLES[suffix])
    else:
        with _opened(source) as handle:
            yield from _of_text(suffix, handle.read(), depth)


def _kind_of(head: bytes) -> Callable[[str, _Source, int], Iterator[Content]] | None:
    for at, mark, kind in _KINDS:
        if head[at : at + len(mark)] == mark:
            return kind
    return None


def _opened(source: _Source) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source.getbuffer())


def _table_blocks(handle: BinaryIO, delimiter: str) -> Iterator[Content]:
    """Give the cells of a table of text that are no decimal numbers; those are measured, and no id looks like one."""
    with io.TextIOWrapper(handle, encoding="utf-8", errors="replace", newline="") as text:
        rows = csv.reader(text, delimiter=delimiter)
        # A file of numbers alone has no header; its first row is looked at like the others.
        yield Content(texts=list(next(rows, [])))
        while block := list(itertools.islice(rows, _BLOCK_ROWS)):
            cells: set[str] = set()
            for column in itertools.zip_longest(*block, fillvalue=""):
                whole = "\n".join(column)
                # One look at a whole column takes less than half the time of one at each of its cells.
                if whole.count("\n") >= len(column) or not _DECIMALS.fullmatch(whole):
                    cells.update(cell for cell in set(column) if not _DECIMAL.fullmatch(cell))
            told = sorted(cells)
            yield Content(texts=told, cells=told)


def _of_text(suffix: str, raw: bytes, depth: int) -> Iterator[Content]:
    """Give a text as it stands and as its reader sees it: escapes, entities and data URIs resolved."""
    if b"\0" in raw[:_HEAD_BYTES] and suffix not in {".json", ".html"}:
        yield Content(texts=runs_in(raw))
        return
    text = raw.decode("utf-8", "replace")
    if suffix in {".json", ".jsonl"}:
        documents = [text] if suffix == ".json" else text.splitlines()
        told = [t for document in documents if document.strip() for t in _json_strings(document)]
        yield Content(texts=told)
        text = "\n".join(told)
    yield from _embedded(text, depth)
    plain = _DATA_URI.sub(" ", text)
    seen = {plain, html.unescape(plain), urllib.parse.unquote(plain), _unescaped(plain)}
    yield Content(texts=[plain, *sorted(seen - {plain})])


def _json_strings(document: str) -> Iterator[str]:
    try:
        yield from strings_in(json.loads(document), with_keys=True)
    except (ValueError, RecursionError):
        yield document


def _unescaped(text: str) -> str:
    def letters(match: re.Match[str]) -> str:
        return (
            str(json.loads(f'"{match.group()}"'))
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
        )

    return _ESCAPE.sub(letters, text)


def _embedded(text: str, depth: int) -> Iterator[Content]:
    for kind, packed in _DATA_URI.findall(text):
        try:
            content = base64.b64decode(packed)
        except binascii.Error:
            continue
        if kind.startswith("image/") and kind != "image/svg+xml":
            yield Content(pictures=[content])
        elif depth < MAX_DEPTH:
            suffix = ".json" if kind.endswith("json") else ".txt"
            yield from _decoded(f"data{suffix}", io.BytesIO(content), depth + 1)


def runs_in(raw: bytes) -> list[str]:
    """Return the runs of letters in bytes that are no text, in one byte a letter and in two."""
    found = [run.decode("utf-8", "replace") for run in _RUN.findall(raw)]
    return found + [run.decode("utf-16-le") for run in _WIDE_RUN.findall(raw)]


def _parquet(name: str, source: _Source, depth: int) -> Iterator[Content]:
    yield from parquet_parts(source)


def _hdf5(name: str, source: _Source, depth: int) -> Iterator[Content]:
    yield from hdf5_parts(source)


def _picture(name: str, source: _Source, depth: int) -> Iterator[Content]:
    with _opened(source) as handle:
        yield Content(pictures=[handle.read()])


def _gzip(name: str, source: _Source, depth: int) -> Iterator[Content]:
    with _opened(source) as handle:
        yield Content(texts=list(_gzip_names(handle)))
    inner = name.removesuffix(".gz")
    with _opened(source) as handle, gzip.GzipFile(fileobj=handle) as unpacked:
        suffix = PurePosixPath(inner).suffix.lower()
        if suffix in _TABLES:
            yield from _table_blocks(unpacked, _TABLES[suffix])  # type: ignore[arg-type]
        else:
            yield from _member(inner, unpacked, depth)


def _gzip_names(handle: BinaryIO) -> Iterator[str]:
    """Give name, comment and extra field of every member (RFC 1952, section 2.3)."""
    while (start := handle.tell()) is not None and handle.read(3) == b"\x1f\x8b\x08":
        flags = handle.read(7)[0]
        if flags & 4:
            yield handle.read(int.from_bytes(handle.read(2), "little")).decode("latin-1")
        for present in (flags & 8, flags & 16):
            if present:
                yield b"".join(iter(lambda: handle.read(1).rstrip(b"\0"), b"")).decode("latin-1")
        handle.seek(start)
        if not _past_member(handle):
            return


def _past_member(handle: BinaryIO) -> bool:
    """Move to the byte after a gzip member; say whether there is any."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    while not unpacker.eof and (packed := handle.read(1 << 20)):
        while packed and not unpacker.eof:
            unpacker.decompress(packed, 1 << 20)
            packed = unpacker.unconsumed_tail
    handle.seek(-len(unpacker.unused_data), io.SEEK_CUR)
    return bool(unpacker.unused_data)


def _zip(name: str, source: _Source, depth: int) -> Iterator[Content]:
    with zipfile.ZipFile(source) as archive:
        about = [archive.comment, *(part for i in archive.infolist() for part in (i.comment, i.extra))]
        yield Content(texts=[*archive.namelist(), *(part.decode("latin-1") for part in about)])
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as member:
                    yield from _member(info.filename, member, depth)


def _tar(name: str, source: _Source, depth: int) -> Iterator[Content]:
    with _opened(source) as handle, tarfile.open(fileobj=handle) as archive:
        for info in archive:
            about = [info.name, info.linkname, info.uname, info.gname]
            yield Content(texts=[*about, *(f"{key} {value}" for key, value in info.pax_headers.items())])
            if (member := archive.extractfile(info)) is not None:
                yield from _member(info.name, member, depth)


def _member(name: str, member: Any, depth: int) -> Iterator[Content]:
    content = member.read(MAX_MEMBER_BYTES + 1)
    if len(content) > MAX_MEMBER_BYTES or depth >= MAX_DEPTH:
        raise ValueError("a container unpacks to more than is looked into")
    yield from _decoded(name, io.BytesIO(content), depth + 1)


def _dicom(name: str, source: _Source, depth: int) -> Iterator[Content]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning quotes the value it is about
        film = pydicom.dcmread(source, defer_size=_LARGE_ELEMENT_BYTES if isinstance(source, Path) else None)
        behind = _behind_the_pixels(film)
        if "PixelData" in film:
            del film.PixelData
        texts = [*_values(film.file_meta), *_values(film), (film.preamble or b"").decode("latin-1")]
    yield Content(texts=texts + runs_in(behind))


def _behind_the_pixels(film: pydicom.FileDataset) -> bytes:
    """Return what stands behind the pixels; of a compressed stream, all of it. Bare pixels are not read for it."""
    n_bytes = (
        int(film.get("Rows", 0)) * int(film.get("Columns", 0)) * (int(film.get("BitsAllocated", 8)) // 8)
    )
    syntax = film.file_meta.get("TransferSyntaxUID")
    if syntax and syntax.is_compressed:
        n_bytes = 0
    stored: Any = film.get_item("PixelData", keep_deferred=True)
    if isinstance(stored, RawDataElement) and n_bytes <= stored.length < n_bytes + MIN_RUN_LETTERS:
        return b""
    return bytes(film.get("PixelData") or b"")[n_bytes:]


def _values(data: Dataset) -> Iterator[str]:
    """Give all values of a DICOM object, at any depth.

    Text in plain letters is given as it is stored: what pydicom makes of it holds the same words and takes most of the
    time that a header takes.
    """
    for tag in data.keys():  # noqa: SIM118 - iterating over the object itself converts each element
        stored: Any = data.get_item(tag)
        value = stored.value
        if (
            isinstance(stored, RawDataElement)
            and stored.VR in _TEXT_VRS
            and isinstance(value, bytes)
            and value.isascii()
            and _SHIFT not in value
        ):
            yield value.decode("ascii")
            continue
        element = data[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _values(item)
        else:
            yield element.value.decode("latin-1") if isinstance(element.value, bytes) else str(element.value)


def _mp4(name: str, source: _Source, depth: int) -> Iterator[Content]:
    """Give all boxes of an mp4; of those with the coded pictures the runs of letters, which encoders sign with."""
    with _opened(source) as handle:
        while len(start := handle.read(8)) == 8:
            length, kind = int.from_bytes(start[:4], "big") - 8, start[4:]
            if length == 1 - 8:
                length = int.from_bytes(handle.read(8), "big") - 16
            raw = handle.read() if length < 0 else handle.read(length)
            texts = runs_in(raw)
            if kind != b"mdat":
                texts.append(raw.decode("latin-1"))
            yield Content(texts=[kind.decode("latin-1"), *texts])


_KINDS: tuple[tuple[int, bytes, Callable[[str, _Source, int], Iterator[Content]]], ...] = (
    (0, b"PAR1", _parquet),
    (0, b"\x89HDF\r\n\x1a\n", _hdf5),
    (0, b"\x1f\x8b\x08", _gzip),
    (0, b"PK\x03\x04", _zip),
    (0, b"PK\x05\x06", _zip),
    (_TAR_MARK_AT, _TAR_MARK, _tar),
    (_DICOM_MARK_AT, _DICOM_MARK, _dicom),
    (0, b"\x89PNG\r\n\x1a\n", _picture),
    (0, b"\xff\xd8\xff", _picture),
    (0, b"II*\0", _picture),
    (0, b"MM\0*", _picture),
    (0, b"GIF8", _picture),
    (4, b"ftyp", _mp4),
)
"""Where a mark stands, the mark, and what reads such a file."""

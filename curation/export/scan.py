"""Look through the finished output for what had to stay behind, decoded and inside every container."""

from __future__ import annotations

import base64
import csv
import gzip
import html
import itertools
import json
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom

from curation.privacy import Identifiers, Redactor, load_lexicon

__all__ = ["scan_output"]

SPOKEN = {
    "text": (),
    "indication": (),
    "words": ("word",),
    "sentences": ("text",),
    "qa": ("question", "answer"),
}
"""Columns, and members of their rows, with what people said or typed: parts of names are sought here. Whole names
and ids are sought everywhere; a part of one ("Stone") may well be a word of the schema, the card or another reading."""
MIN_WORD_LETTERS = 6
"""Shorter redacted words are too often part of a code or file name."""
BARE_PNG = frozenset({b"IHDR", b"IDAT", b"IEND"})
"""Chunks of a picture that says nothing but its pixels."""
_BATCH_ROWS = 8
_BLOCK_BYTES = 1 << 24
_BLOCK_ROWS = 1 << 16
_BLOCK_PICTURES = 32
_REDACTORS = 64
"""Readings whose names are kept ready; a shard's rows come one reading after another."""
_DECIMAL = re.compile(r"-?\d+\.\d+|-?\d{1,5}|n/a|")
"""A cell that a table may hold unseen: a number with a decimal point, or one too short for an id."""
_OVERLAP_BYTES = 1 << 10
_JPEG_MARK, _JPEG_SCAN, _JPEG_END, _JFIF_BYTES = b"\xff\xd8", 0xDA, b"\xff\xd9", 16
_DATA_URI = re.compile(r"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)")
_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_TOKEN = re.compile(r"\d+(?:\.\d+){3,}|[^\W_]+")
"""A word, or a UID as a whole: its parts alone ("1.2.3.4.5") are found in any look-up table."""


def scan_output(
    folder: Path,
    identifiers: Mapping[str, Identifiers],
    private_paths: Sequence[str],
    *,
    codes: Iterable[str] = (),
    words: Iterable[str] = (),
) -> list[str]:
    """Return what was found, one line each: the file and the kind, never the value itself.

    identifiers   : of each reading, by its id. Parts of its names may not stand in its own texts; whole names and ids
                    nowhere, unless they consist of ordinary words ("Emergency Room", "UNKNOWN").
    private_paths : strings that may stand nowhere, sought byte by byte and in what is decoded.
    codes         : hashes of stored files, codes that were replaced; may stand nowhere.
    words         : what was redacted for being in no word list; may stand in no cell of a shard.

    Time grows with the output, not with the number of identifiers: texts are compared word by word. Tables and shards
    are read in parts, so that memory grows with the identifiers alone.
    """
    whole = {n for i in identifiers.values() for n in _spellings(i)}
    anywhere = _Finder([*(phrase for phrase in whole if not _is_ordinary(phrase)), *codes])
    in_cells = _Finder(word for word in words if len(word) >= MIN_WORD_LETTERS)

    @lru_cache(maxsize=_REDACTORS)
    def redactor_of(reading_id: str) -> Redactor | None:
        own = identifiers.get(reading_id)
        return Redactor(identifiers=Identifiers(names=own.names)) if own is not None and own.names else None

    literals = [p for p in private_paths if p]
    hits = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        shown = path.relative_to(folder).as_posix()
        if anywhere.finds(shown):
            shown = f"a {path.suffix} file"
            hits.append(f"{shown}: an identifier in its name")
        kinds: dict[str, None] = {}
        if _holds(path, [p.encode() for p in literals]):
            kinds["a path or key of this computer"] = None
        for content in _contents(path):
            if any(map(anywhere.finds, content.texts)):
                kinds["an identifier"] = None
            if any(p in text for text in content.texts for p in literals):
                kinds["a path or key of this computer"] = None
            if any(map(in_cells.finds, content.cells)):
                kinds["a redacted word"] = None
            if not all(map(_is_bare, content.pictures)):
                kinds["a picture with metadata"] = None
            if any((own := redactor_of(i)) and own.count_in(text) for i, text in content.spoken):
                kinds["part of a name in a text"] = None
        hits += [f"{shown}: {kind}" for kind in kinds]
    return hits


class _Finder:
    """Finds any of many phrases in a text, whole words, whatever the case and what stands between the words."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._words: set[str] = set()
        """Phrases of one word, which nearly all are: codes, hashes, ids."""
        self._by_first: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for phrase in phrases:
            tokens = tuple(_TOKEN.findall(phrase.casefold()))
            if len(tokens) == 1:
                self._words.add(tokens[0])
            elif tokens:
                self._by_first[tokens[0]].add(tokens)

    def finds(self, text: str) -> bool:
        tokens = _TOKEN.findall(text.casefold())
        return not self._words.isdisjoint(tokens) or any(
            tuple(tokens[place : place + len(phrase)]) == phrase
            for place, token in enumerate(tokens)
            for phrase in self._by_first.get(token, ())
        )


def _spellings(identifiers: Identifiers) -> Iterator[str]:
    for name in identifiers.names:
        parts = name.replace("^", " ").split()
        if len(parts) > 1 or len(name) >= MIN_WORD_LETTERS:
            yield from (" ".join(parts), " ".join(reversed(parts)))
    yield from identifiers.ids


def _is_ordinary(phrase: str) -> bool:
    """Say whether a phrase has only words that name nobody: it may well stand in another reading's text."""
    return not any(map(str.isdigit, phrase)) and all(map(load_lexicon().knows, _TOKEN.findall(phrase)))


@dataclass(slots=True)
class _Content:
    """What a file holds, decoded."""

    texts: list[str] = field(default_factory=list)
    """All of it."""
    cells: list[str] = field(default_factory=list)
    """Of the texts, those in the rows of a shard."""
    spoken: list[tuple[str, str]] = field(default_factory=list)
    """Reading id, text: cells with what people said or typed."""
    pictures: list[bytes] = field(default_factory=list)


def _contents(path: Path) -> Iterator[_Content]:
    """Give what a file holds: a table that may be as long as the dataset in blocks, any other file at once."""
    if path.suffix in {".csv", ".tsv"} or path.name.endswith(".tsv.gz"):
        yield from _table_blocks(path)
    elif path.suffix == ".parquet" and not _is_flat(path):
        yield from _parquet_parts(path)
    elif path.suffix == ".h5":
        yield from _hdf5_parts(path)
    else:
        yield _content(path)


def _table_blocks(path: Path) -> Iterator[_Content]:
    """Give the cells of a table of text that are no decimal numbers; those are measured, and no id looks like one."""
    delimiter = "," if path.suffix == ".csv" else "\t"
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", errors="replace", newline="") as handle:
        rows = csv.reader(handle, delimiter=delimiter)
        # A file of numbers alone has no header; its first row is looked at like the others.
        yield _Content(texts=list(next(rows, [])))
        while block := list(itertools.islice(rows, _BLOCK_ROWS)):
            cells = sorted({cell for row in block for cell in row if not _DECIMAL.fullmatch(cell)})
            yield _Content(texts=cells, cells=cells)


def _content(path: Path) -> _Content:
    content = _Content()
    if path.suffix == ".parquet":
        _take_flat_parquet(path, content)
    elif path.suffix == ".dcm":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning quotes the value it is about
            film = pydicom.dcmread(path, stop_before_pixels=True)
            content.texts += [*_values(film.file_meta), *_values(film)]
        content.texts.append((film.preamble or b"").decode("latin-1"))
    elif path.suffix == ".json":
        content.texts += _strings(json.loads(path.read_bytes()), with_keys=True)
    elif path.suffix == ".png":
        content.pictures.append(path.read_bytes())
    elif path.suffix == ".html":
        text = path.read_text(encoding="utf-8", errors="replace")
        content.texts += [html.unescape(_DATA_URI.sub(" ", text))]
        content.pictures += [base64.b64decode(found) for found in _DATA_URI.findall(text)]
    elif path.suffix == ".mp4":
        content.texts += _mp4_headers(path)
    else:
        content.texts.append(path.read_text(encoding="utf-8", errors="replace"))
    return content


def _is_flat(path: Path) -> bool:
    """Say whether a Parquet file is a table of measured values with labels from short lists: ``samples/, events/``."""
    return all(pa.types.is_dictionary(f.type) or pa.types.is_primitive(f.type) for f in pq.read_schema(path))


def _take_flat_parquet(path: Path, content: _Content) -> None:
    """Take names, footer and each distinct label; a table of samples has millions of rows and a handful of labels."""
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    labels = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    cells: set[str] = set()
    for batch in file.iter_batches(batch_size=_BLOCK_ROWS, columns=labels):
        for column in batch.columns:
            cells |= set(column.unique().drop_null().to_pylist())
    content.cells += sorted(cells)
    content.texts += [*content.cells, *schema.names]
    content.texts += [part.decode() for item in (schema.metadata or {}).items() for part in item]


def _parquet_parts(path: Path) -> Iterator[_Content]:
    """Give all cells of a shard, or of a view's table, which has some of a shard's columns or others."""
    file = pq.ParquetFile(path)
    metadata = file.schema_arrow.metadata or {}
    yield _Content(texts=[part.decode() for item in metadata.items() for part in item])
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        content = _Content()
        for row in batch.to_pylist():
            content.cells += _strings(row)
            content.pictures += _byte_strings(row)
            for column, members in SPOKEN.items():
                cells = row.get(column) or ()
                spoken = _strings([cell[m] for cell in cells for m in members] if members else cells)
                content.spoken += [(row["reading_id"], text) for text in spoken]
        # A value that many rows share is looked at once.
        content.cells = list(dict.fromkeys(content.cells))
        content.texts = content.cells
        yield content


def _hdf5_parts(path: Path) -> Iterator[_Content]:
    """Give names, attributes and all cells; string and picture columns have datasets of offsets and of data."""
    fields: list[h5py.Group] = []
    with h5py.File(path, "r") as file:
        fields.append(file)
        file.visititems(lambda _, item: fields.append(item))
        for item in fields:
            about = [str(item.name), *(f"{name} {value}" for name, value in item.attrs.items())]
            yield _Content(texts=about)
            kind = item.attrs.get("kind")
            if kind in {"string", "bytes"}:
                step = _BLOCK_PICTURES if kind == "bytes" else _BLOCK_ROWS
                for first in range(0, item["offsets"].shape[0] - 1, step):
                    ends = item["offsets"][first : first + step + 1].tolist()
                    data = item["data"][ends[0] : ends[-1]].tobytes()
                    cells = {data[start - ends[0] : end - ends[0]] for start, end in pairwise(ends)}
                    if kind == "bytes":
                        yield _Content(pictures=list(cells))
                    else:
                        strings = [cell.decode() for cell in cells]
                        yield _Content(texts=strings, cells=strings)


def _values(data: pydicom.Dataset) -> Iterator[str]:
    """Give all values of a DICOM object, at any depth."""
    for element in data.iterall():
        if element.VR != "SQ":
            value = element.value
            yield value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _mp4_headers(path: Path) -> Iterator[str]:
    """Give all boxes of an mp4 but those with the coded pictures."""
    with path.open("rb") as handle:
        while len(start := handle.read(8)) == 8:
            length, kind = int.from_bytes(start[:4], "big") - 8, start[4:]
            if kind == b"mdat" and length >= 0:
                handle.seek(length, 1)
            else:
                yield handle.read(max(length, 0)).decode("latin-1")


def _is_bare(picture: bytes) -> bool:
    """Say whether a picture is PNG or JPEG with pixels alone (a null cell of HDF5 has no bytes at all)."""
    if not picture:
        return True
    if picture.startswith(_JPEG_MARK):
        return _is_bare_jpeg(picture)
    if not picture.startswith(_PNG_MARK):
        return False
    place = len(_PNG_MARK)
    while place < len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        if picture[place + 4 : place + 8] not in BARE_PNG:
            return False
        place += 12 + length
    return place == len(picture)


def _is_bare_jpeg(picture: bytes) -> bool:
    """Say whether a JPEG has neither comment nor application data (but the size of JFIF), nor bytes after its end."""
    place = len(_JPEG_MARK)
    while place + 4 <= len(picture) and picture[place] == 0xFF:
        kind, length = picture[place + 1], int.from_bytes(picture[place + 2 : place + 4], "big")
        if kind == _JPEG_SCAN:
            return picture.find(_JPEG_END) == len(picture) - len(_JPEG_END)
        is_jfif = kind == 0xE0 and length == _JFIF_BYTES
        if (0xE0 <= kind <= 0xEF and not is_jfif) or kind == 0xFE:
            return False
        place += 2 + length
    return False


def _holds(path: Path, literals: Sequence[bytes]) -> bool:
    with path.open("rb") as handle:
        before = b""
        while block := handle.read(_BLOCK_BYTES):
            if any(literal in before + block for literal in literals):
                return True
            before = block[-_OVERLAP_BYTES:]
    return False


def _strings(value: Any, *, with_keys: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if with_keys:
                yield str(key)
            yield from _strings(item, with_keys=with_keys)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item, with_keys=with_keys)


def _byte_strings(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _byte_strings(item)

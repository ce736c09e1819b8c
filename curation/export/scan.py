"""Look through the finished output for what had to stay behind, decoded and inside every container."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import pydicom

from curation.export.shards import read_parquet
from curation.privacy import Identifiers, Redactor

__all__ = ["scan_output"]

SPOKEN = {
    "text": (),
    "indication": (),
    "words": ("word",),
    "sentences": ("text",),
    "qa": ("question", "answer"),
}
"""Columns, and members of their rows, with what people said or typed: parts of names are sought here. Whole names
and ids are sought everywhere; a part of one ("Stone") may well be a word of the schema or the card."""
BARE_PNG = frozenset({b"IHDR", b"IDAT", b"IEND"})
"""Chunks of a picture that says nothing but its pixels."""
_BLOCK_BYTES = 1 << 24
_OVERLAP_BYTES = 1 << 10
_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_TOKEN = re.compile(r"[^\W_]+")


def scan_output(folder: Path, identifiers: Sequence[Identifiers], private_paths: Sequence[str]) -> list[str]:
    """Return what was found, one line each: the file and the kind, never the value itself.

    private_paths : strings that may stand nowhere, sought byte by byte and in what is decoded; ids and names come
        from ``identifiers``.

    Time grows with the output, not with the number of identifiers: texts are compared word by word.
    """
    finder = _Finder({n for i in identifiers for n in _spellings(i)})
    names = Redactor(identifiers=Identifiers(names=frozenset(n for i in identifiers for n in i.names)))
    hits = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        shown = path.relative_to(folder).as_posix()
        if finder.finds(shown):
            shown = f"a {path.suffix} file"
            hits.append(f"{shown}: an identifier in its name")
        texts = list(_texts(path))
        if any(map(finder.finds, texts)):
            hits.append(f"{shown}: an identifier")
        literals = [p for p in private_paths if p]
        if _holds(path, [p.encode() for p in literals]) or any(p in text for text in texts for p in literals):
            hits.append(f"{shown}: a path or key of this computer")
        if not all(map(_is_bare, _pictures(path))):
            hits.append(f"{shown}: a picture with metadata")
        if path.suffix == ".parquet" and any(names.count_in(text) for text in _spoken(path)):
            hits.append(f"{shown}: part of a name in a text")
    return hits


class _Finder:
    """Finds any of many phrases in a text, whole words, whatever the case and what stands between the words."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_first: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for phrase in phrases:
            if tokens := tuple(_TOKEN.findall(phrase.casefold())):
                self._by_first[tokens[0]].add(tokens)

    def finds(self, text: str) -> bool:
        tokens = _TOKEN.findall(text.casefold())
        return any(
            tuple(tokens[place : place + len(phrase)]) == phrase
            for place, token in enumerate(tokens)
            for phrase in self._by_first.get(token, ())
        )


def _spellings(identifiers: Identifiers) -> Iterator[str]:
    for name in identifiers.names:
        parts = name.replace("^", " ").split()
        if len(parts) > 1:
            yield from (" ".join(parts), " ".join(reversed(parts)))
    yield from identifiers.ids


def _texts(path: Path) -> Iterator[str]:
    """Give every text that a file holds, decoded."""
    if path.suffix == ".parquet":
        for batch in read_parquet(path):
            yield from map(str, (batch.schema.metadata or {}).values())
            yield from _strings(batch.to_pylist())
    elif path.suffix == ".h5":
        yield from (cell.decode() for cell in _hdf5_cells(path, "string"))
    elif path.suffix == ".dcm":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning quotes the value it is about
            yield str(pydicom.dcmread(path, stop_before_pixels=True))
    elif path.suffix != ".png":
        yield path.read_text(encoding="utf-8", errors="replace")


def _pictures(path: Path) -> Iterator[bytes]:
    if path.suffix == ".png":
        yield path.read_bytes()
    elif path.suffix == ".h5":
        yield from _hdf5_cells(path, "bytes")
    elif path.suffix == ".parquet":
        for batch in read_parquet(path):
            yield from _bytes(batch.to_pylist())


def _is_bare(picture: bytes) -> bool:
    """Say whether a picture is PNG with pixels alone (a null cell of HDF5 has no bytes at all)."""
    if not picture:
        return True
    if not picture.startswith(_PNG_MARK):
        return False
    place = len(_PNG_MARK)
    while place < len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        if picture[place + 4 : place + 8] not in BARE_PNG:
            return False
        place += 12 + length
    return place == len(picture)


def _holds(path: Path, literals: Sequence[bytes]) -> bool:
    with path.open("rb") as handle:
        before = b""
        while block := handle.read(_BLOCK_BYTES):
            if any(literal in before + block for literal in literals):
                return True
            before = block[-_OVERLAP_BYTES:]
    return False


def _hdf5_cells(path: Path, kind: str) -> Iterator[bytes]:
    """Give all cells of one kind; string and picture columns have one dataset of offsets and one of data."""
    fields: list[h5py.Group] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda _, item: fields.append(item) if item.attrs.get("kind") == kind else None)
        for field in fields:
            ends = field["offsets"][:]
            for start, end in pairwise(ends):
                yield field["data"][start:end].tobytes()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _bytes(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _bytes(item)


def _spoken(path: Path) -> Iterator[str]:
    for batch in read_parquet(path):
        for row in batch.select(list(SPOKEN)).to_pylist():
            for column, members in SPOKEN.items():
                cells = row[column] or ()
                yield from _strings([cell[m] for cell in cells for m in members] if members else cells)

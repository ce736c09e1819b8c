"""Look through the finished output for what had to stay behind, decoded and inside every container."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom

from curation.export.shards import read_hdf5, read_parquet
from curation.privacy import Identifiers

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
_BLOCK_BYTES = 1 << 24


def scan_output(
    folder: Path, identifiers: Sequence[Identifiers], private_strings: Sequence[str]
) -> list[str]:
    """Return what was found, one line each: the file and the kind, never the value itself.

    private_strings : ids, paths and whole names that may stand nowhere.
    """
    whole = sorted({s for s in private_strings if s} | {n for i in identifiers for n in _spellings(i)})
    anywhere = re.compile("|".join(map(re.escape, whole)), re.IGNORECASE) if whole else None
    hits = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if anywhere is not None and anywhere.search(name):
            name = f"a {path.suffix} file"
            hits.append(f"{name}: an identifier in its name")
        if anywhere is not None and any(anywhere.search(text) for text in _texts(path)):
            hits.append(f"{name}: an identifier")
        if path.suffix == ".parquet":
            parts = Identifiers(names=frozenset(n for i in identifiers for n in i.names))
            if any(parts.count_in(text) for text in _spoken(path)):
                hits.append(f"{name}: part of a name in a text")
    return hits


def _spellings(identifiers: Identifiers) -> Iterator[str]:
    for name in identifiers.names:
        parts = name.replace("^", " ").split()
        if len(parts) > 1:
            yield from (name, " ".join(parts), " ".join(reversed(parts)))
    yield from identifiers.ids


def _texts(path: Path) -> Iterator[str]:
    """Give a file's content as text: its raw bytes in overlapping blocks, and what its container decodes to."""
    with path.open("rb") as handle:
        before = b""
        while block := handle.read(_BLOCK_BYTES):
            yield (before + block).decode("latin-1")
            before = block[-256:]
    if path.suffix == ".parquet":
        for batch in read_parquet(path):
            yield from _strings(batch.to_pylist())
    elif path.suffix == ".h5":
        yield from _strings(read_hdf5(path).to_pylist())
    elif path.suffix == ".dcm":
        yield str(pydicom.dcmread(path, stop_before_pixels=True))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _spoken(path: Path) -> Iterator[str]:
    for batch in read_parquet(path):
        for row in batch.select(list(SPOKEN)).to_pylist():
            for column, members in SPOKEN.items():
                cells = row[column] or ()
                yield from _strings([cell[m] for cell in cells for m in members] if members else cells)

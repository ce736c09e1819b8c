"""What people said or typed, in the rows of a shard: where parts of their own reading's names are sought."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from curation.export.found import strings_in

__all__ = ["ROW_ID", "SPOKEN", "is_spoken", "spoken_in", "spoken_places"]

ROW_ID: Final = "reading_id"
SPOKEN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "text": (),
        "indication": (),
        "report_sections": ("text",),
        "words": ("word",),
        "sentences": ("text",),
        "qa": ("question", "answer"),
    }
)
"""Columns, and members of their rows. Whole names and ids are sought everywhere; a part of one ("Stone") may well be a
word of the schema, the card or another reading."""


def spoken_places() -> list[str]:
    """Return the columns and members as `curation.export.read.projected` takes them, the row's id first."""
    return [ROW_ID, *(f"{column}[].{name}" if name else column for column, name in _each())]


def _each() -> Iterator[tuple[str, str]]:
    for column, members in SPOKEN.items():
        yield from ((column, name) for name in members or ("",))


def is_spoken(path: str) -> bool:
    """Say whether a leaf, by its path, has what people said; a view's table may use the name for something else."""
    column, *below = path.split(".")
    return column in SPOKEN and (not SPOKEN[column] or below[-1:] in [[name] for name in SPOKEN[column]])


def spoken_in(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return reading id and text of everything that was said; a row's words are one text: a name is found over two."""
    return [(row[ROW_ID], text) for row in rows for text in _said(row)]


def _said(row: Mapping[str, Any]) -> Iterator[str]:
    for column in SPOKEN.keys() & row.keys():
        texts = list(strings_in(row[column]))
        yield from [" ".join(texts)] if column == "words" else texts

"""What `curation.export.decoded` gives of a file, and the strings of nested values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Content", "strings_in"]


@dataclass(slots=True)
class Content:
    """What a file, or a part of one, holds, decoded."""

    texts: list[str] = field(default_factory=list)
    """All of it."""
    cells: list[str] = field(default_factory=list)
    """Of the texts, those in the rows of a table."""
    spoken: list[tuple[str, str]] = field(default_factory=list)
    """Reading id, text: cells with what people said or typed."""
    pictures: list[bytes | memoryview] = field(default_factory=list)


def strings_in(value: Any, *, with_keys: bool = False) -> Iterator[str]:
    """Give all strings of nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if with_keys:
                yield str(key)
            yield from strings_in(item, with_keys=with_keys)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings_in(item, with_keys=with_keys)

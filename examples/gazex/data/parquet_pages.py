"""Where the values of a Parquet column lie in the file, for a column of bytes that is neither compressed nor coded.

Arrow gives whole row groups only, some hundred pictures; this finds a single one.

Source: parquet.thrift and Encodings.md of apache/parquet-format (data page version 1, PLAIN); the compact protocol of
Apache Thrift.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from examples.gazex.data.shards import ShardError

LENGTH_BYTES = 4
"""Before each value, and before each run of levels: its length, little-endian."""
_PAGE_TYPE, _PAGE_BYTES, _DATA_PAGE = 1, 3, 5
"""Fields of PageHeader: what page it is, its length as stored, and what a data page says of itself."""
_N_VALUES, _ENCODING = 1, 2
"""Fields of DataPageHeader."""
_IS_DATA_PAGE, _PLAIN = 0, 0
_TRUE, _FALSE, _BINARY, _STRUCT = 1, 2, 8, 12
_INTEGERS = (4, 5, 6)
"""Types of fields that a page header has."""


class Bytes(Protocol):
    """A file's content, such as a map of it."""

    def __getitem__(self, place: Any) -> Any: ...


def value_places(content: Bytes, start: int, n_values: int, n_levels: int) -> Iterator[tuple[int, int]]:
    """Give place and length of every value of a column chunk that is not null, in order.

    start : of the chunk's first page. n_values : of the chunk, nulls included. n_levels : kinds of levels (repetition,
    definition) that come before the values of a page. Raises ShardError for pages of another kind.
    """
    at = start
    while n_values > 0:
        header, at = _struct(content, at)
        page = header.get(_DATA_PAGE, {})
        if header.get(_PAGE_TYPE) != _IS_DATA_PAGE or page.get(_ENCODING) != _PLAIN:
            raise ShardError(
                "pictures lie in pages of a kind that cannot be read one by one; use the HDF5 shards"
            )
        n_values -= page[_N_VALUES]
        stop = at + header[_PAGE_BYTES]
        for _ in range(n_levels):
            at += LENGTH_BYTES + _length(content, at)
        while at < stop:
            n = _length(content, at)
            yield at + LENGTH_BYTES, n
            at += LENGTH_BYTES + n
        if at != stop:
            raise ShardError("a page of pictures is damaged")


def _length(content: Bytes, at: int) -> int:
    return int.from_bytes(content[at : at + LENGTH_BYTES], "little")


def _varint(content: Bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _struct(content: Bytes, at: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a struct by number, and where it ends."""
    fields: dict[int, Any] = {}
    number = 0
    while head := content[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            zigzag, at = _varint(content, at)
            number = (zigzag >> 1) ^ -(zigzag & 1)
        fields[number], at = _field(content, at, head & 0x0F)
    return fields, at + 1


def _field(content: Bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _INTEGERS:
        zigzag, at = _varint(content, at)
        return (zigzag >> 1) ^ -(zigzag & 1), at
    if kind == _BINARY:
        n, at = _varint(content, at)
        return content[at : at + n], at + n
    if kind == _STRUCT:
        return _struct(content, at)
    raise ShardError(f"a page header has a field of type {kind}, which no page of this format has")

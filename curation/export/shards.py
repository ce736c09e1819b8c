"""What writes a shard, whatever its format, and what both formats share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol, Self

import pyarrow as pa

from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from keyframes.errors import SchemaError

__all__ = ["RowBatches", "ShardWriter", "check_version", "whole_column"]

BATCH_BYTES: Final = 1 << 25
"""Of rows that wait to become columns: as much as a row group has by default. Each batch has a fixed cost of some
20 ms, which 40 readings with their pictures share."""
ROW_BYTES: Final = 1 << 13
"""What a row takes as Python objects, without what is in its lists."""
MEMBER_BYTES: Final = 640
"""What a member of one of its lists takes, as measured on readings of the simulation."""


class ShardWriter(Protocol):
    """Takes rows; `close` makes the file whole."""

    def write(self, rows: pa.Table) -> None:
        """Take rows of `curation.export.schema.SHARD`."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class RowBatches:
    """A context that turns rows into columns, some at a time and once for all writers of a shard.

    What waits is bounded in bytes, so memory depends neither on how long readings are nor on how many a shard has.
    On leaving the context every writer is closed, whatever happened.
    """

    def __init__(self, *writers: ShardWriter) -> None:
        self._writers = list(writers)
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_writer(self, writer: ShardWriter) -> None:
        """Let one more writer have the rows that are to come."""
        self._writers.append(writer)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row of `SHARD`; keys that the schema does not have are left out."""
        self._rows.append(row)
        self._bytes += _size_of(row)
        if self._bytes >= BATCH_BYTES:
            self._flush()

    def close(self) -> None:
        """Hand over what is pending and close the writers."""
        with ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.close)
            self._flush()

    def _flush(self) -> None:
        rows, self._rows, self._bytes = self._rows, [], 0
        if rows:
            table = _table_of(rows)
            for writer in self._writers:
                writer.write(table)


def whole_column(rows: pa.Table, name: str) -> pa.Array:
    """Return a column in one piece, without a copy where it is one."""
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def check_version(found: str, path: Path) -> None:
    """Raise SchemaError for a shard of another major version than this tool's, or of none."""
    if found.split(".")[0] != SHARD_SCHEMA_VERSION.split(".")[0]:
        raise SchemaError(
            f"{path.name}: shard format {found or 'unknown'}, this tool reads {SHARD_SCHEMA_VERSION}",
            hint="Use the version of the tool that wrote it, or a newer one.",
            path=path,
        )


def _table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in SHARD.names} for row in rows], schema=SHARD)


def _size_of(row: Mapping[str, Any]) -> int:
    """Return about how many bytes a row takes as Python objects."""
    pictures = [*(row["images"] or ()), *(k["picture"] for k in row["keyframes"] or () if k["picture"])]
    n_members = sum(len(value) for value in row.values() if isinstance(value, list))
    return ROW_BYTES + MEMBER_BYTES * n_members + sum(len(picture["bytes"]) for picture in pictures)

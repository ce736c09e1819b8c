"""What writes a shard, whatever its format, and what both formats share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
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
    """Return rows as a table of `SHARD`.

    Bytes of pictures are put in afterwards, end to end: Arrow's own conversion takes three times as long for them.
    """
    bare = []
    of_images: list[bytes | None] = []
    of_frames: list[bytes | None] = []
    for row in rows:
        cells = {name: row.get(name) for name in SHARD.names}
        if cells["images"]:
            cells["images"] = [_without_bytes(picture, of_images) for picture in cells["images"]]
        if cells["keyframes"]:
            cells["keyframes"] = [_without_picture(frame, of_frames) for frame in cells["keyframes"]]
        bare.append(cells)
    table = pa.Table.from_pylist(bare, schema=SHARD)
    images, frames = whole_column(table, "images"), whole_column(table, "keyframes")
    pictures = _with(frames.values.field("picture"), "bytes", _binary(of_frames))
    whole = {
        "images": _list_of(images, _with(images.values, "bytes", _binary(of_images))),
        "keyframes": _list_of(frames, _with(frames.values, "picture", pictures)),
    }
    return pa.table([whole.get(name, table.column(name)) for name in SHARD.names], schema=SHARD)


def _without_bytes(picture: Mapping[str, Any] | None, taken: list[bytes | None]) -> Mapping[str, Any] | None:
    taken.append(None if picture is None else picture.get("bytes"))
    return picture and {"path": picture.get("path")}


def _without_picture(frame: Mapping[str, Any] | None, taken: list[bytes | None]) -> Mapping[str, Any] | None:
    picture = _without_bytes((frame or {}).get("picture"), taken)
    return frame and {**frame, "picture": picture}


def _binary(cells: Sequence[bytes | None]) -> pa.Array:
    ends = np.cumsum([0, *(len(cell or b"") for cell in cells)], dtype=np.int64)
    known = pa.array([cell is not None for cell in cells], pa.bool_()).buffers()[1]
    data = pa.py_buffer(b"".join(cell or b"" for cell in cells))
    offsets = pa.py_buffer(ends)
    return pa.Array.from_buffers(pa.large_binary(), len(cells), [known, offsets, data]).cast(pa.binary())


def _with(rows: pa.StructArray, name: str, member: pa.Array) -> pa.StructArray:
    """Return a struct with one of its members in place of the one that it has."""
    members = [member if field.name == name else rows.field(field.name) for field in rows.type]
    return pa.StructArray.from_arrays(members, fields=list(rows.type), mask=rows.is_null())


def _list_of(lists: pa.ListArray, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(lists.offsets, values, type=lists.type, mask=lists.is_null())


def _size_of(row: Mapping[str, Any]) -> int:
    """Return about how many bytes a row takes as Python objects."""
    pictures = [*(row["images"] or ()), *(frame.get("picture") for frame in row["keyframes"] or () if frame)]
    n_members = sum(len(value) for value in row.values() if isinstance(value, list))
    n_bytes = sum(len(picture.get("bytes") or b"") for picture in pictures if picture)
    return ROW_BYTES + MEMBER_BYTES * n_members + n_bytes

"""Parquet shards: picture bytes as they are, the rest zstd, no statistics (they would repeat values)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.export.features import huggingface_metadata
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.shards import check_version, whole_column
from gazecapture.files import as_tool_error, begin_storing

__all__ = ["ParquetShardWriter", "parquet_version", "read_parquet"]


class ParquetShardWriter:
    """Writes one Parquet shard, a row group at a time."""

    def __init__(self, path: Path, *, row_group_bytes: int, row_group_rows: int) -> None:
        """Begin the file; a row group closes with the row that reaches either limit (bytes of pictures, rows)."""
        self._path = path
        self._row_group_bytes, self._row_group_rows = row_group_bytes, row_group_rows
        self._pending: list[pa.Table] = []
        self._n_pending = self._pending_bytes = self._begun = 0
        schema = SHARD.with_metadata(
            {b"schema_version": SHARD_SCHEMA_VERSION.encode(), **huggingface_metadata(SHARD)}
        )
        self._schema = schema
        try:
            self._writer = pq.ParquetWriter(
                path,
                schema,
                compression=_codecs(),
                use_dictionary=_dictionary_columns(),
                write_statistics=False,
            )
        except OSError as error:
            raise as_tool_error(error, path, "writing a shard") from error

    def write(self, rows: pa.Table) -> None:
        """Take rows; those of a row group that is not full yet wait."""
        first = 0
        for place, n_bytes in enumerate(_picture_bytes(rows)):
            self._pending_bytes += n_bytes
            n_rows = self._n_pending + place + 1 - first
            if self._pending_bytes >= self._row_group_bytes or n_rows >= self._row_group_rows:
                self._take(rows.slice(first, place + 1 - first))
                self._flush()
                first = place + 1
        self._take(rows.slice(first))

    def close(self) -> None:
        """Write what is pending, and the footer."""
        self._flush()
        try:
            self._writer.close()
        except OSError as error:
            raise as_tool_error(error, self._path, "writing a shard") from error

    def _take(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self._pending.append(rows)
            self._n_pending += rows.num_rows

    def _flush(self) -> None:
        if not self._pending:
            return
        group = pa.concat_tables(self._pending).replace_schema_metadata(self._schema.metadata)
        self._pending, self._n_pending, self._pending_bytes = [], 0, 0
        try:
            self._writer.write_table(group, row_group_size=group.num_rows)
            # The disk begins with it beside the work on the next one.
            with self._path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                begin_storing(file.fileno(), self._begun, end - self._begun)
                self._begun = end
        except OSError as error:
            raise as_tool_error(error, self._path, "writing a shard") from error


def _picture_bytes(rows: pa.Table) -> list[int]:
    """Return, of each row, how many bytes of encoded pictures it holds: nearly all that it takes."""
    total = np.zeros(rows.num_rows, np.int64)
    for name, place in (("images", ["bytes"]), ("keyframes", ["picture", "bytes"])):
        lists = whole_column(rows, name)
        pictures = pc.binary_length(pc.struct_field(lists.flatten(), place)).fill_null(0)
        bytes_before = np.concatenate([[0], np.cumsum(pictures.to_numpy(zero_copy_only=False))])
        ends = np.cumsum(lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
        total += np.diff(bytes_before[np.concatenate([[0], ends])]).astype(np.int64)
    return [int(n_bytes) for n_bytes in total]


def read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    """Give a Parquet shard's rows in batches. Raises SchemaError for a newer major version."""
    file = pq.ParquetFile(path)
    check_version(parquet_version(file.schema_arrow), path)
    yield from file.iter_batches(batch_size=8)


def parquet_version(schema: pa.Schema) -> str:
    """Return the schema version in a Parquet shard's footer."""
    return str((schema.metadata or {}).get(b"schema_version", b"").decode())


@cache
def _leaves() -> tuple[tuple[str, bool], ...]:
    """Return every leaf column of `SHARD`: its path, as the format itself names it, and whether it is of bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(SHARD.empty_table(), sink)
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    leaves = [parquet.column(place) for place in range(len(parquet.names))]
    return tuple((leaf.path, leaf.physical_type == "BYTE_ARRAY") for leaf in leaves)


def _is_picture(leaf: str) -> bool:
    return leaf.endswith(".bytes")


def _codecs() -> dict[str, str]:
    return {leaf: "NONE" if _is_picture(leaf) else "ZSTD" for leaf, _ in _leaves()}


def _dictionary_columns() -> list[str]:
    """Return the columns of text: numbers repeat too little to pay for a second page."""
    return [leaf for leaf, is_bytes in _leaves() if is_bytes and not _is_picture(leaf)]

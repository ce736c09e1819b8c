"""Parquet shards: picture bytes as they are, the rest zstd, no statistics (they would repeat values)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.features import huggingface_metadata
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.shards import check_version, picture_bytes, table_of
from gazecapture.files import as_tool_error

__all__ = ["ParquetShardWriter", "parquet_version", "read_parquet"]


class ParquetShardWriter:
    """Writes one Parquet shard, a row group at a time."""

    def __init__(self, path: Path, *, row_group_bytes: int, row_group_rows: int) -> None:
        self._path = path
        self._limits = (row_group_bytes, row_group_rows)
        self._rows: list[dict[str, Any]] = []
        self._pending_bytes = 0
        schema = SHARD.with_metadata(
            {b"schema_version": SHARD_SCHEMA_VERSION.encode(), **huggingface_metadata(SHARD)}
        )
        self._schema = schema
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression=_codecs(schema),
            use_dictionary=_dictionary_columns(schema),
            write_statistics=False,
        )

    def add(self, row: dict[str, Any]) -> None:
        """Take one row; a row group closes at either limit."""
        self._rows.append(row)
        self._pending_bytes += picture_bytes(row)
        if self._pending_bytes >= self._limits[0] or len(self._rows) >= self._limits[1]:
            self._flush()

    def close(self) -> None:
        """Write what is pending, and the footer."""
        self._flush()
        try:
            self._writer.close()
        except OSError as error:
            raise as_tool_error(error, self._path, "writing a shard") from error

    def _flush(self) -> None:
        if not self._rows:
            return
        try:
            self._writer.write_table(table_of(self._rows, self._schema), row_group_size=len(self._rows))
        except OSError as error:
            raise as_tool_error(error, self._path, "writing a shard") from error
        self._rows, self._pending_bytes = [], 0


def read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    """Give a Parquet shard's rows in batches. Raises SchemaError for a newer major version."""
    file = pq.ParquetFile(path)
    check_version(parquet_version(file.schema_arrow), path)
    yield from file.iter_batches(batch_size=8)


def parquet_version(schema: pa.Schema) -> str:
    """Return the schema version in a Parquet shard's footer."""
    return str((schema.metadata or {}).get(b"schema_version", b"").decode())


def _leaf_paths(schema: pa.Schema) -> list[str]:
    """Return the Parquet path of every leaf column, as the format itself names them."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return [parquet.column(i).path for i in range(len(parquet.names))]


def _is_picture(leaf: str) -> bool:
    return leaf.endswith(".bytes")


def _codecs(schema: pa.Schema) -> dict[str, str]:
    return {leaf: "NONE" if _is_picture(leaf) else "ZSTD" for leaf in _leaf_paths(schema)}


def _dictionary_columns(schema: pa.Schema) -> list[str]:
    return [leaf for leaf in _leaf_paths(schema) if not _is_picture(leaf)]

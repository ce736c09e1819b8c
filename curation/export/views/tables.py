"""Parquet files of a view: streamed, numbered, pictures shown as pictures by Hugging Face `datasets`."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.features import huggingface_metadata
from gazecapture.files import as_tool_error, make_private_folder

__all__ = ["TableWriter"]

ROW_GROUP_BYTES = 32 << 20
"""Of pictures; a loader holds a row group per worker."""
ROW_GROUP_ROWS = 128
"""The viewer of Hugging Face, and a seeded shuffle, load row groups whole."""


class TableWriter:
    """Writes rows to ``folder/{stem}-00000.parquet``, ``-00001`` and so on, ``rows_per_file`` in each.

    Nothing is written where there are no rows. Use as a context manager.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        schema: pa.Schema,
        *,
        rows_per_file: int,
        with_features: bool = True,
    ) -> None:
        """with_features : add the footer by which `datasets` shows pictures as pictures."""
        self._folder, self._stem = folder, stem
        self._schema = schema.with_metadata(huggingface_metadata(schema)) if with_features else schema
        self._rows_per_file = rows_per_file
        self._rows: list[dict[str, Any]] = []
        self._pending_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._path = folder
        self._n_files = self._n_in_file = 0
        self.n_rows = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take one row of the schema."""
        self._rows.append(row)
        self._pending_bytes += _n_bytes(row)
        self.n_rows += 1
        self._n_in_file += 1
        full = self._n_in_file >= self._rows_per_file
        if full or self._pending_bytes >= ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS:
            self._flush()
        if full:
            self._close_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._close_file()

    def _flush(self) -> None:
        if not self._rows:
            return
        try:
            if self._writer is None:
                self._path = make_private_folder(self._folder) / f"{self._stem}-{self._n_files:05d}.parquet"
                self._writer = pq.ParquetWriter(
                    self._path,
                    self._schema,
                    compression=_codecs(self._schema),
                    use_dictionary=False,
                    write_statistics=False,
                )
            table = pa.Table.from_pylist(self._rows, schema=self._schema)
            self._writer.write_table(table, row_group_size=len(self._rows))
        except OSError as error:
            raise as_tool_error(error, self._path, "writing a view") from error
        self._rows, self._pending_bytes = [], 0

    def _close_file(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            raise as_tool_error(error, self._path, "writing a view") from error
        self._writer, self._n_in_file = None, 0
        self._n_files += 1


def _codecs(schema: pa.Schema) -> dict[str, str]:
    """Return zstd for every leaf column but the bytes of pictures, which are packed already."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    parquet = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    leaves = [parquet.column(place).path for place in range(len(parquet.names))]
    return {leaf: "NONE" if leaf.endswith("bytes") else "ZSTD" for leaf in leaves}


def _n_bytes(value: Any) -> int:
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_n_bytes, value.values()))
    return sum(map(_n_bytes, value)) if isinstance(value, list) else 0

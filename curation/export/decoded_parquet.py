"""All that a Parquet file holds: cells, names, metadata of file, columns and fields, statistics."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.found import Content, strings_in
from curation.export.spoken import ROW_ID, is_spoken, spoken_in

__all__ = ["parquet_parts"]

_NUMBERS = frozenset({"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE"})
"""Parquet's types that hold no letters: their columns are not decoded."""
_BATCH_ROWS = 128
"""A row has some hundred columns of strings, each of which costs as much to open as dozens of its cells to read."""
_BATCH_PICTURES = 2
"""Rows of some 6 MB each."""
_STRETCH_BYTES = 1 << 25
"""Of the asked columns, in the row groups that are mapped at once: pages that were read stay in memory as long as they
are mapped. A shard's row group has about as much in pictures."""
_BLOCK_ROWS = 1 << 16


def parquet_parts(source: Path | io.BytesIO) -> Iterator[Content]:
    """Give a Parquet file's footer, then its cells in parts: strings, pictures, and what people said."""
    file = pq.ParquetFile(source, memory_map=isinstance(source, Path))
    yield Content(texts=list(_footer(file)))
    if _is_flat(file.schema_arrow):
        yield _labels(file)
        return
    leaves = [file.schema.column(place) for place in range(len(file.schema))]
    leaves = [leaf for leaf in leaves if leaf.physical_type not in _NUMBERS]
    strings = [leaf.path for leaf in leaves if leaf.logical_type.type == "STRING"]
    others = [leaf.path for leaf in leaves if leaf.logical_type.type != "STRING"]
    for columns, n_rows in ((strings, _BATCH_ROWS), (others, _BATCH_PICTURES)):
        for batch in _batches(source, file.metadata, columns, n_rows):
            yield _cells(batch)
    spoken = [path for path in strings if is_spoken(path)]
    if spoken and ROW_ID in strings:
        for batch in _batches(source, file.metadata, [ROW_ID, *spoken], _BATCH_ROWS):
            yield Content(spoken=spoken_in(batch.to_pylist()))


def _batches(
    source: Path | io.BytesIO, metadata: pq.FileMetaData, columns: Sequence[str], n_rows: int
) -> Iterator[pa.RecordBatch]:
    """Give all rows of these columns, so many at a time, from a few row groups after another."""
    for groups in _stretches(metadata, columns):
        with pq.ParquetFile(source, metadata=metadata, memory_map=isinstance(source, Path)) as file:
            yield from file.iter_batches(
                batch_size=n_rows, row_groups=groups, columns=columns, use_threads=False
            )


def _stretches(metadata: pq.FileMetaData, columns: Sequence[str]) -> Iterator[list[int]]:
    """Give every row group once, in order, as many together as have `_STRETCH_BYTES` in these columns, at least one."""
    asked = {*columns}
    places = [p for p in range(metadata.num_columns) if metadata.schema.column(p).path in asked]
    stretch: list[int] = []
    n_bytes = 0
    for group in range(metadata.num_row_groups if places else 0):
        about = metadata.row_group(group)
        more = sum(about.column(place).total_compressed_size for place in places)
        if stretch and n_bytes + more > _STRETCH_BYTES:
            yield stretch
            stretch, n_bytes = [], 0
        stretch.append(group)
        n_bytes += more
    if stretch:
        yield stretch


def _cells(batch: pa.RecordBatch) -> Content:
    content = Content()
    cells: dict[str, None] = {}  # a value that many rows share is looked at once
    for leaf in itertools.chain.from_iterable(map(_leaves, batch.columns)):
        if _is_bytes(leaf.type):
            content.pictures += [memoryview(cell.as_buffer()).cast("B") for cell in leaf if cell.is_valid]
        else:
            cells |= dict.fromkeys(strings_in(leaf.unique().to_pylist()))
    content.cells = content.texts = list(cells)
    return content


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    """Give the values below lists, structs and maps."""
    kind = array.type
    if pa.types.is_struct(kind):
        for member in array.flatten():
            yield from _leaves(member)
    elif pa.types.is_map(kind):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(array.flatten())
    else:
        yield array


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _footer(file: pq.ParquetFile) -> Iterator[str]:
    """Give names and metadata at every level, and statistics, which repeat values."""
    metadata = file.metadata
    yield str(metadata.created_by)
    yield str(file.schema)
    yield from _parts(file.schema_arrow.metadata)
    yield from _parts(metadata.metadata)
    for field in file.schema_arrow:
        yield from _of_field(field)
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            if chunk.statistics is not None and chunk.physical_type.endswith("BYTE_ARRAY"):
                for value in (chunk.statistics.min_raw, chunk.statistics.max_raw):
                    yield value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _of_field(field: pa.Field) -> Iterator[str]:
    yield field.name
    yield from _parts(field.metadata)
    for number in range(field.type.num_fields):
        yield from _of_field(field.type.field(number))


def _parts(metadata: dict[bytes, bytes] | None) -> Iterator[str]:
    for item in (metadata or {}).items():
        yield from (part.decode("utf-8", "replace") for part in item)


def _is_flat(schema: pa.Schema) -> bool:
    """Say whether a Parquet file is a table of measured values with labels from short lists: ``samples/, events/``."""
    return all(pa.types.is_dictionary(f.type) or pa.types.is_primitive(f.type) for f in schema)


def _labels(file: pq.ParquetFile) -> Content:
    """Give each distinct label; a table of samples has millions of rows and a handful of labels."""
    labels = [field.name for field in file.schema_arrow if pa.types.is_dictionary(field.type)]
    cells: set[Any] = set()
    for batch in file.iter_batches(batch_size=_BLOCK_ROWS, columns=labels):
        for column in batch.columns:
            # A dictionary can hold what no row uses.
            cells |= set(column.dictionary.drop_null().to_pylist())
    found = sorted(strings_in(list(cells)))
    return Content(texts=found, cells=found)

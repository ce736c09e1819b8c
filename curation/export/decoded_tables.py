"""All that Parquet and HDF5 files hold: cells, names, metadata of files, columns and fields, statistics, attributes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.found import Content, byte_strings_in, strings_in
from curation.export.hdf5_guard import open_hdf5
from keyframes.errors import SchemaError

__all__ = ["SPOKEN", "hdf5_parts", "parquet_parts"]

SPOKEN: Final = MappingProxyType(
    {
        "text": (),
        "indication": (),
        "words": ("word",),
        "sentences": ("text",),
        "qa": ("question", "answer"),
    }
)
"""Columns, and members of their rows, with what people said or typed: parts of names are sought here. Whole names
and ids are sought everywhere; a part of one ("Stone") may well be a word of the schema, the card or another reading."""
_BATCH_ROWS = 8
_BLOCK_ROWS = 1 << 16
_BLOCK_PICTURES = 32
_BLOCK_BYTES = 1 << 24


def parquet_parts(source: Path | io.BytesIO) -> Iterator[Content]:
    """Give a Parquet file's footer, then its cells in parts."""
    file = pq.ParquetFile(source)
    yield Content(texts=list(_footer(file)))
    if _is_flat(file.schema_arrow):
        yield _labels(file)
        return
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        content = Content()
        for row in batch.to_pylist():
            # Maps have keys; those of a struct are the schema's.
            content.cells += strings_in(row)
            content.pictures += byte_strings_in(row)
            if "reading_id" in row:
                content.spoken += [(row["reading_id"], text) for text in _spoken(row)]
        # A value that many rows share is looked at once.
        content.cells = list(dict.fromkeys(content.cells))
        content.texts = content.cells
        yield content


def _spoken(row: Mapping[str, Any]) -> Iterator[str]:
    """Give what people said or typed; a view's table may use a column's name for something else."""
    for column, members in SPOKEN.items():
        value = row.get(column)
        if not members:
            yield from strings_in(value)
        elif isinstance(value, list):
            yield from (text for cell in value for member in members for text in strings_in(cell[member]))


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


def hdf5_parts(source: Path | io.BytesIO) -> Iterator[Content]:
    """Give names, comments, attributes and all cells. Raises SchemaError for a file that `open_hdf5` refuses.

    String and picture columns of ours have datasets of offsets and of data; any other dataset of bytes is given block
    by block.
    """
    if not isinstance(source, Path):
        raise SchemaError("an HDF5 file stands in a container")
    with open_hdf5(source) as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        packed = {place for item in items for place in _cells_of(item)}
        yield Content(texts=list(_user_block(source, file)))
        for item in items:
            yield Content(texts=[str(item.name), *_comment(item), *_attributes(item)])
            yield from _columns(item)
            if isinstance(item, h5py.Dataset) and item.name not in packed:
                yield from _plain(item)


def _user_block(source: Path, file: h5py.File) -> Iterator[str]:
    if file.userblock_size:
        with source.open("rb") as handle:
            yield handle.read(file.userblock_size).decode("latin-1")


def _comment(item: Any) -> Iterator[str]:
    name = str(item.name).rpartition("/")[2] or "."
    if comment := item.parent.id.get_comment(name.encode()):
        yield comment.decode("utf-8", "replace")


def _attributes(item: Any) -> Iterator[str]:
    for name, value in item.attrs.items():
        yield str(name)
        yield from _told(np.asarray(value))


def _told(values: Any) -> list[str]:
    """Return the strings of an array: texts of any kind, names of fields, and each field's strings."""
    if values.dtype.names:
        return [t for name in values.dtype.names for t in (str(name), *_told(values[name]))]
    if values.dtype.kind in "SUO":
        flat = values.ravel().tolist()
        return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in flat]
    if values.dtype == np.uint8 and values.size and values.max() > 1:  # else they are booleans
        return [values.tobytes().decode("utf-8", "replace")]
    return []


def _cells_of(item: Any) -> tuple[str, ...]:
    """Return the names of the datasets that a column of ours consists of."""
    if isinstance(item, h5py.Group) and item.attrs.get("kind") in {"string", "bytes"}:
        return (f"{item.name}/offsets", f"{item.name}/data")
    return ()


def _columns(item: Any) -> Iterator[Content]:
    if not _cells_of(item):
        return
    is_bytes = item.attrs["kind"] == "bytes"
    step = _BLOCK_PICTURES if is_bytes else _BLOCK_ROWS
    for first in range(0, item["offsets"].shape[0] - 1, step):
        ends = item["offsets"][first : first + step + 1].tolist()
        data = item["data"][ends[0] : ends[-1]].tobytes()
        cells = {data[start - ends[0] : end - ends[0]] for start, end in pairwise(ends)}
        if is_bytes:
            yield Content(pictures=list(cells))
        else:
            strings = [cell.decode("utf-8", "replace") for cell in cells]
            yield Content(texts=strings, cells=strings)
    behind = item["data"][item["offsets"][-1] :].tobytes()
    yield Content(texts=[behind.decode("utf-8", "replace")])


def _plain(item: h5py.Dataset) -> Iterator[Content]:
    """Give the bytes of a dataset of anybody's; other numbers are measured values."""
    if item.dtype != np.uint8:
        return
    if item.ndim == 0 or not item.size:
        yield Content(texts=_told(np.asarray(item[()])))
        return
    step = max(1, _BLOCK_BYTES // max(1, item.dtype.itemsize * int(np.prod(item.shape[1:]))))
    for first in range(0, item.shape[0], step):
        texts = _told(np.asarray(item[first : first + step]))
        yield Content(texts=texts, cells=texts)

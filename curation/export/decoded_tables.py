"""All that Parquet and HDF5 files hold: cells, names, metadata of files, columns and fields, statistics, attributes."""

from __future__ import annotations

import io
import itertools
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
_NUMBERS = frozenset({"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE"})
"""Parquet's types that hold no letters: their columns are not decoded."""
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
    leaves = [file.schema.column(place) for place in range(len(file.schema))]
    columns = [leaf.path for leaf in leaves if leaf.physical_type not in _NUMBERS]
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns) if columns else ():
        content = Content()
        cells: dict[str, None] = {}  # a value that many rows share is looked at once
        for leaf in itertools.chain.from_iterable(map(_leaves, batch.columns)):
            values = (leaf if _is_bytes(leaf.type) else leaf.unique()).to_pylist()
            content.pictures += byte_strings_in(values)
            cells |= dict.fromkeys(strings_in(values))
        content.cells = content.texts = list(cells)
        if "reading_id" in batch.schema.names:
            told = batch.select([n for n in ("reading_id", *SPOKEN) if n in batch.schema.names])
            content.spoken += [(row["reading_id"], t) for row in told.to_pylist() for t in _spoken(row)]
        yield content


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
        yield Content(texts=list(_user_block(source, file)))
        yield Content(texts=[*_comment(file, b"."), *_attributes(file)])
        objects: list[tuple[bytes, int, bool]] = []
        h5py.h5o.visit(file.id, lambda name, about: _note(objects, name, about), info=True)
        packed: set[bytes] = set()
        for name, n_attributes, is_dataset in objects:  # a group comes before what is in it
            # h5py's own objects take ten times as long to make as all else that is asked of a thousand of them.
            item = file[name] if n_attributes else None
            told = [] if item is None else list(_attributes(item))
            yield Content(texts=[name.decode("utf-8", "replace"), *_comment(file, name), *told])
            if isinstance(item, h5py.Group) and (kind := item.attrs.get("kind")) in {"string", "bytes"}:
                packed |= {name + b"/offsets", name + b"/data"}
                yield from _columns(item, is_bytes=kind == "bytes")
            elif is_dataset and name not in packed:
                yield from _plain(h5py.h5d.open(file.id, name))


def _note(objects: list[tuple[bytes, int, bool]], name: bytes, about: Any) -> None:
    objects.append((name, about.num_attrs, about.type == h5py.h5o.TYPE_DATASET))


def _user_block(source: Path, file: h5py.File) -> Iterator[str]:
    if file.userblock_size:
        with source.open("rb") as handle:
            yield handle.read(file.userblock_size).decode("latin-1")


def _comment(file: h5py.File, name: bytes) -> Iterator[str]:
    if comment := file.id.get_comment(name):
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


def _columns(item: h5py.Group, *, is_bytes: bool) -> Iterator[Content]:
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


def _plain(opened: h5py.h5d.DatasetID) -> Iterator[Content]:
    """Give the bytes of a dataset of anybody's; other numbers are measured values."""
    if opened.dtype != np.uint8:
        return
    n_bytes = int(np.prod(opened.shape))
    if n_bytes <= _BLOCK_BYTES:
        values = np.empty(opened.shape, np.uint8)
        if n_bytes:
            opened.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        texts = _told(values)
        yield Content(texts=texts, cells=texts)
        return
    item = h5py.Dataset(opened)
    step = max(1, _BLOCK_BYTES // int(np.prod(item.shape[1:])))
    for first in range(0, item.shape[0], step):
        texts = _told(np.asarray(item[first : first + step]))
        yield Content(texts=texts, cells=texts)

"""Shard writers: the same rows as Parquet and as HDF5, streamed, the same bytes for the same rows.

HDF5 holds the nested columns as Arrow does, one group per field:

* number or bool: dataset ``values`` (a bool as uint8);
* string or bytes: datasets ``data`` (uint8, all cells end to end) and ``offsets`` (n + 1, from 0);
* list: ``offsets`` and the group ``items``, a field of its own;
* struct: one group per member.

Every field has ``valid`` (uint8; 0 is null) and the attribute ``kind``. Compression is gzip, which every HDF5 reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.features import huggingface_metadata
from curation.export.hdf5_file import ForgivingFile
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from gazecapture.files import as_tool_error
from keyframes.errors import SchemaError

__all__ = [
    "Hdf5ShardWriter",
    "ParquetShardWriter",
    "ShardWriter",
    "check_version",
    "parquet_version",
    "read_hdf5",
    "read_hdf5_batches",
    "read_parquet",
]

CHUNK_BYTES = 1 << 13
"""HDF5 chunk: a shard has some 400 small datasets, each at least one chunk long; one row is read alone."""
PICTURE_CHUNK_BYTES = 1 << 18
"""HDF5 chunk of picture bytes, which are long and read whole."""
GZIP_LEVEL = 1
"""Higher levels take several times as long for a few percent of what is small beside the pictures."""
HDF5_BATCH_ROWS = 16
"""Rows put into the file at once; bounds memory by 16 readings' pictures."""


class ShardWriter(Protocol):
    """Takes rows one by one; `close` makes the file whole."""

    def add(self, row: dict[str, Any]) -> None:
        """Take one row of `curation.export.schema.SHARD`."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class ParquetShardWriter:
    """Writes Parquet: picture bytes uncompressed, the rest zstd, no statistics (they would repeat values)."""

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
        self._pending_bytes += _picture_bytes(row)
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
            self._writer.write_table(_table(self._rows, self._schema), row_group_size=len(self._rows))
        except OSError as error:
            raise as_tool_error(error, self._path, "writing a shard") from error
        self._rows, self._pending_bytes = [], 0


class Hdf5ShardWriter:
    """Writes HDF5 in the layout that this module's docstring describes."""

    def __init__(self, path: Path) -> None:
        self._rows: list[dict[str, Any]] = []
        self._sink = ForgivingFile(path)
        self._file = h5py.File(self._sink, "w")
        self._file.attrs["schema_version"] = SHARD_SCHEMA_VERSION
        self._file.attrs["n_rows"] = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take one row."""
        self._rows.append(row)
        if len(self._rows) >= HDF5_BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is pending and close the file."""
        try:
            self._flush()
            if not self._file.attrs["n_rows"]:
                self._append_table(SHARD.empty_table())
        finally:
            self._file.close()
            self._sink.close()
        self._sink.raise_failure()

    def _flush(self) -> None:
        self._sink.raise_failure()
        if self._rows:
            self._append_table(_table(self._rows, SHARD))
            self._rows = []
            self._sink.raise_failure()

    def _append_table(self, table: pa.Table) -> None:
        for field in table.schema:
            _append_field(self._file.require_group(field.name), table[field.name].combine_chunks())
        self._file.attrs["n_rows"] += table.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    """Give a Parquet shard's rows in batches. Raises SchemaError for a newer major version."""
    file = pq.ParquetFile(path)
    check_version(parquet_version(file.schema_arrow), path)
    yield from file.iter_batches(batch_size=8)


def read_hdf5(path: Path) -> pa.Table:
    """Return an HDF5 shard as a table of `SHARD`. Raises SchemaError for a newer major version or a foreign file."""
    with h5py.File(path, "r") as file:
        n_rows = _checked_rows(file, path)
        return _read_rows(file, SHARD, path, 0, n_rows)


def read_hdf5_batches(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.Table]:
    """Give an HDF5 shard's rows in tables of ``schema``, a part of `SHARD`; what the shard lacks is null.

    Raises as `read_hdf5` does.
    """
    try:
        with h5py.File(path, "r") as file:
            n_rows = _checked_rows(file, path)
            for start in range(0, n_rows, batch_rows):
                yield _read_rows(file, schema, path, start, min(start + batch_rows, n_rows))
    except OSError as error:
        raise SchemaError("a shard cannot be read", path=path, hint="Export again.") from error


def parquet_version(schema: pa.Schema) -> str:
    """Return the schema version in a Parquet shard's footer."""
    return str((schema.metadata or {}).get(b"schema_version", b"").decode())


def check_version(found: str, path: Path) -> None:
    """Raise SchemaError for a shard of another major version than this tool's, or of none."""
    if found.split(".")[0] != SHARD_SCHEMA_VERSION.split(".")[0]:
        raise SchemaError(
            f"{path.name}: shard format {found or 'unknown'}, this tool reads {SHARD_SCHEMA_VERSION}",
            hint="Use the version of the tool that wrote it, or a newer one.",
            path=path,
        )


def _checked_rows(file: h5py.File, path: Path) -> int:
    check_version(str(file.attrs.get("schema_version", "")), path)
    return int(file.attrs["n_rows"])


def _read_rows(file: h5py.File, schema: pa.Schema, path: Path, start: int, stop: int) -> pa.Table:
    columns = [_read_field(file, field.name, field.type, path, start, stop) for field in schema]
    return pa.table(columns, schema=schema)


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; keys that the schema does not have are left out."""
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in schema.names} for row in rows], schema=schema
    )


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


def _picture_bytes(row: dict[str, Any]) -> int:
    pictures = [*row["images"], *(k["picture"] for k in row["keyframes"] if k["picture"])]
    return sum(len(p["bytes"]) for p in pictures)


def _append_field(group: h5py.Group, array: pa.Array) -> None:
    """Append one Arrow array to its group, making the datasets on first use."""
    kind = array.type
    _append(group, "valid", array.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8))
    if pa.types.is_struct(kind):
        group.attrs["kind"] = "struct"
        for index, field in enumerate(kind):
            # `field` alone would ignore a slice's offset and the parent's nulls; flatten honours both.
            _append_field(group.require_group(field.name), array.flatten()[index])
    elif pa.types.is_list(kind):
        group.attrs["kind"] = "list"
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        _append_offsets(group, lengths)
        _append_field(group.require_group("items"), array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        group.attrs["kind"] = "string" if pa.types.is_string(kind) else "bytes"
        cells = [b"" if v is None else v for v in array.cast(pa.binary()).to_pylist()]
        _append_offsets(group, np.array([len(c) for c in cells], np.int64))
        # PNG bytes do not shrink; packing them again would only cost time.
        _append(group, "data", np.frombuffer(b"".join(cells), np.uint8), compress=pa.types.is_string(kind))
    else:
        group.attrs["kind"] = "bool" if pa.types.is_boolean(kind) else "number"
        zero = False if pa.types.is_boolean(kind) else 0
        values = array.fill_null(zero).to_numpy(zero_copy_only=False)
        _append(group, "values", values.astype(np.uint8) if pa.types.is_boolean(kind) else values)


def _append_offsets(group: h5py.Group, lengths: np.ndarray[Any, Any]) -> None:
    last = int(group["offsets"][-1]) if "offsets" in group else 0
    ends = last + np.cumsum(lengths, dtype=np.int64)
    _append(group, "offsets", ends if "offsets" in group else np.concatenate([[0], ends]))


def _append(group: h5py.Group, name: str, values: np.ndarray[Any, Any], *, compress: bool = True) -> None:
    if name not in group:
        chunk = (CHUNK_BYTES if compress else PICTURE_CHUNK_BYTES) // values.dtype.itemsize
        group.create_dataset(
            name,
            shape=(0,),
            maxshape=(None,),
            dtype=values.dtype,
            chunks=(chunk,),
            # Not lzf: its output depends on what its hash table held before, so equal rows give unequal bytes.
            compression="gzip" if compress else None,
            compression_opts=GZIP_LEVEL if compress else None,
            fillvalue=0,  # unset, HDF5 leaves the end of the last chunk as memory happened to be
        )
    dataset = group[name]
    start = dataset.shape[0]
    dataset.resize((start + values.shape[0],))
    dataset[start:] = values


def _read_field(
    parent: h5py.Group, name: str, kind: pa.DataType, path: Path, start: int, stop: int
) -> pa.Array:
    """Read cells of one field back; a field that the file lacks is null (an older MINOR has fewer).

    Offsets are checked, so that a damaged file gives an error and no nonsense.
    """
    if name not in parent:
        return pa.nulls(stop - start, kind)
    group = parent[name]
    try:
        valid = group["valid"][start:stop].astype(np.bool_)
        if len(valid) != stop - start:
            raise SchemaError(f"{path.name}: field {group.name!r} is too short", path=path)
        mask = pa.array(~valid)
        if pa.types.is_struct(kind):
            children = [_read_field(group, member.name, member.type, path, start, stop) for member in kind]
            return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
        if pa.types.is_list(kind):
            offsets = _checked_offsets(group, group["items/valid"].shape[0], path, start, stop)
            items = _read_field(group, "items", kind.value_type, path, int(offsets[0]), int(offsets[-1]))
            return pa.ListArray.from_arrays(
                pa.array(offsets - offsets[0], pa.int32()), items, type=kind, mask=mask
            )
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            offsets = _checked_offsets(group, group["data"].shape[0], path, start, stop)
            data = group["data"][int(offsets[0]) : int(offsets[-1])].tobytes()
            ends = offsets - offsets[0]
            cells = [data[a:b] if ok else None for a, b, ok in zip(ends, ends[1:], valid, strict=False)]
            return pa.array(cells, pa.binary()).cast(kind)
        return pa.array(group["values"][start:stop], mask=~valid).cast(kind)
    except KeyError as error:
        raise SchemaError(f"{path.name}: field {group.name!r} is incomplete: {error}", path=path) from error


def _checked_offsets(group: h5py.Group, end: int, path: Path, start: int, stop: int) -> np.ndarray[Any, Any]:
    offsets: np.ndarray[Any, Any] = group["offsets"][start : stop + 1]
    whole = stop - start + 1
    if offsets.size != whole or offsets[0] < 0 or offsets[-1] > end or (np.diff(offsets) < 0).any():
        raise SchemaError(f"{path.name}: offsets of {group.name!r} do not fit their data", path=path)
    return offsets

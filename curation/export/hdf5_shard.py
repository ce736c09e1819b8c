"""HDF5 shards: the nested columns as Arrow holds them, one group per field.

* number or bool: dataset ``values`` (a bool as uint8);
* string or bytes: datasets ``data`` (uint8, all cells end to end) and ``offsets`` (n + 1, from 0);
* list: ``offsets`` and the group ``items``, a field of its own;
* struct: one group per member.

Every field has ``valid`` (uint8; 0 is null) and the attribute ``kind``. Compression is gzip, which every HDF5 reads;
picture bytes are stored as they are, and so are arrays of a few hundred bytes, beside their description in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.export.hdf5_file import ForgivingFile
from curation.export.hdf5_guard import MAX_READ_BYTES, open_hdf5
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.shards import check_version, whole_column
from keyframes.errors import SchemaError

__all__ = ["Hdf5ShardWriter", "batches_of", "read_hdf5", "read_hdf5_batches", "read_hdf5_rows"]

CHUNK_BYTES: Final = 1 << 13
"""HDF5 chunk: a shard has some 700 small datasets, each at least one chunk long; one row is read alone."""
PICTURE_CHUNK_BYTES: Final = 1 << 18
"""HDF5 chunk of picture bytes, each of which costs an entry in an index. A reader with a chunk cache of 0 bytes
reads no more of it than it asks for."""
CACHE_BYTES: Final = 4 * CHUNK_BYTES
CACHE_SLOTS: Final = 11
"""HDF5's cache of chunks, of which each dataset has one: rows come in order, so that only the last chunk is filled up
later. The library's default keeps chunks that are done until the file is closed, up to 8 MiB of each dataset."""
COMPACT_BYTES: Final = 1 << 9
"""An array that is whole when it is first written and no longer than this is stored in its object header: a chunk
would cost it an index of 2 kB."""
METADATA_BLOCK_BYTES: Final = 1 << 16
"""What describes the datasets is laid out in blocks of this size, so that it is written in few pieces."""
GZIP_LEVEL: Final = 1
"""Higher levels take several times as long for a few percent of what is small beside the pictures."""
PENDING_BYTES: Final = 1 << 25
"""Columns without pictures wait in memory up to here: every visit to a dataset costs some 0.3 ms, however short."""

_TEXT: Final = h5py.h5t.py_create(h5py.string_dtype(), logical=True)
_SCALAR: Final = h5py.h5s.create(h5py.h5s.SCALAR)


class Hdf5ShardWriter:
    """Writes one HDF5 shard in the layout that this module's docstring describes."""

    def __init__(self, path: Path) -> None:
        self._n_rows = 0
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self._sink = ForgivingFile(path)
        self._file = h5py.File(
            self._sink,
            "w",
            meta_block_size=METADATA_BLOCK_BYTES,
            rdcc_nbytes=CACHE_BYTES,
            rdcc_nslots=CACHE_SLOTS,
        )
        self._columns = _Columns(self._file)

    def write(self, rows: pa.Table) -> None:
        """Take rows; their pictures are written at once."""
        self._sink.raise_failure()
        bare = self._columns.without_pictures(rows)
        self._waiting.append(bare)
        self._waiting_bytes += bare.nbytes
        self._n_rows += rows.num_rows
        if self._waiting_bytes >= PENDING_BYTES:
            self._flush()
        self._sink.raise_failure()

    def close(self) -> None:
        """Write what waits and close the file."""
        try:
            if not self._n_rows:
                self._waiting.append(self._columns.without_pictures(SHARD.empty_table()))
            self._flush(last=True)
            self._file.attrs["schema_version"] = SHARD_SCHEMA_VERSION
            self._file.attrs["n_rows"] = self._n_rows
        finally:
            self._file.close()
            self._sink.close()
        self._sink.raise_failure()

    def _flush(self, *, last: bool = False) -> None:
        tables, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if tables:
            rows = pa.concat_tables(tables)
            for name in rows.column_names:
                self._columns.append(name, whole_column(rows, name), whole=last)
        if last:
            self._columns.finish()


class _Columns:
    """The datasets of a file that grows.

    They are made below h5py's own interface, which spends most of its time on options that are equal for all of them.
    """

    def __init__(self, file: h5py.File) -> None:
        self._groups: dict[str, Any] = {"": file.id}
        self._datasets: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._plists: dict[tuple[int, bool], Any] = {}
        self._compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        self._compact.set_layout(h5py.h5d.COMPACT)
        self._compact.set_obj_track_times(False)
        self._ends: dict[str, int] = {}
        self._pictures: dict[str, _Pictures] = {}

    def without_pictures(self, rows: pa.Table) -> pa.Table:
        """Write the bytes of all pictures; return the rows with their lengths in place of them."""
        columns = {
            name: self._lengths_for_bytes(name, whole_column(rows, name))
            if _holds_bytes(rows.schema.field(name).type)
            else rows.column(name)
            for name in rows.column_names
        }
        return pa.table(columns)

    def append(self, place: str, array: pa.Array, *, whole: bool) -> None:
        """Append the cells of one field, and of all fields below it; ``whole`` says that no more will come."""
        kind = array.type
        self._put(f"{place}/valid", array.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8), whole)
        if place in self._pictures:
            self._mark(place, "bytes")
            self._put_offsets(place, array.fill_null(0).to_numpy(zero_copy_only=False), whole)
        elif pa.types.is_struct(kind):
            self._mark(place, "struct")
            # `field` alone would ignore a slice's offset and the parent's nulls; flatten honours both.
            for field, member in zip(kind, array.flatten(), strict=True):
                self.append(f"{place}/{field.name}", member, whole=whole)
        elif pa.types.is_list(kind):
            self._mark(place, "list")
            self._put_offsets(place, _list_lengths(array), whole)
            self.append(f"{place}/items", array.flatten(), whole=whole)
        elif pa.types.is_string(kind):
            self._mark(place, "string")
            offsets, data = _cells(array)
            self._put_offsets(place, np.diff(offsets), whole)
            self._put(f"{place}/data", data, whole)
        else:
            self._mark(place, "bool" if pa.types.is_boolean(kind) else "number")
            zero = False if pa.types.is_boolean(kind) else 0
            values = array.fill_null(zero).to_numpy(zero_copy_only=False)
            self._put(
                f"{place}/values", values.astype(np.uint8) if pa.types.is_boolean(kind) else values, whole
            )

    def finish(self) -> None:
        """Write what is left of the last picture of each column."""
        for pictures in self._pictures.values():
            pictures.finish()

    def _lengths_for_bytes(self, place: str, array: pa.Array) -> pa.Array:
        kind, nulls = array.type, array.is_null()
        if pa.types.is_struct(kind):
            members = [
                self._lengths_for_bytes(f"{place}/{field.name}", member)
                if _holds_bytes(field.type)
                else member
                for field, member in zip(kind, array.flatten(), strict=True)
            ]
            return pa.StructArray.from_arrays(members, [field.name for field in kind], mask=nulls)
        if pa.types.is_list(kind):
            items = self._lengths_for_bytes(f"{place}/items", array.flatten())
            ends = np.concatenate([[0], np.cumsum(_list_lengths(array))]).astype(np.int32)
            return pa.ListArray.from_arrays(pa.array(ends), items, mask=nulls)
        offsets, data = _cells(array)
        if place not in self._pictures:
            self._pictures[place] = _Pictures(self._made(f"{place}/data", data, picture=True))
        self._pictures[place].add(data)
        return pa.array(np.diff(offsets), mask=nulls.to_numpy(zero_copy_only=False))

    def _put_offsets(self, place: str, lengths: NDArray[Any], whole: bool) -> None:
        name = f"{place}/offsets"
        first = self._ends.get(name)
        ends = (first or 0) + np.cumsum(lengths, dtype=np.int64)
        self._put(name, np.concatenate([[0], ends]) if first is None else ends, whole)
        self._ends[name] = int(ends[-1]) if ends.size else first or 0

    def _put(self, place: str, values: NDArray[Any], whole: bool) -> None:
        values = np.ascontiguousarray(values)
        dataset = self._datasets.get(place)
        if dataset is None:
            self._datasets[place] = dataset = self._made(place, values, whole=whole)
            self._sizes[place] = values.shape[0]
            if values.size:
                dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
        elif values.size:
            start = self._sizes[place]
            self._sizes[place] = end = start + values.shape[0]
            dataset.set_extent((end,))
            behind = dataset.get_space()
            behind.select_hyperslab((start,), values.shape)
            dataset.write(h5py.h5s.create_simple(values.shape), behind, values)

    def _made(self, place: str, values: NDArray[Any], *, picture: bool = False, whole: bool = False) -> Any:
        group, _, name = place.rpartition("/")
        compact = whole and not picture and 0 < values.nbytes <= COMPACT_BYTES
        most = values.shape if compact else (h5py.h5s.UNLIMITED,)
        return h5py.h5d.create(
            self._group(group),
            name.encode(),
            _type_of(values.dtype),
            h5py.h5s.create_simple((0,) if picture else values.shape, most),
            dcpl=self._compact if compact else self._chunked(values.dtype.itemsize, picture),
        )

    def _mark(self, place: str, kind: str) -> None:
        group = self._group(place)
        if not h5py.h5a.exists(group, b"kind"):
            h5py.h5a.create(group, b"kind", _TEXT, _SCALAR).write(_word(kind))

    def _group(self, place: str) -> Any:
        if place not in self._groups:
            parent, _, name = place.rpartition("/")
            self._groups[place] = h5py.h5g.create(self._group(parent), name.encode())
        return self._groups[place]

    def _chunked(self, itemsize: int, picture: bool) -> Any:
        key = (itemsize, picture)
        if key not in self._plists:
            plist = self._plists[key] = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk(((PICTURE_CHUNK_BYTES if picture else CHUNK_BYTES) // itemsize,))
            plist.set_obj_track_times(False)
            # Unset, HDF5 leaves the end of the last chunk as memory happened to be.
            plist.set_fill_value(np.zeros((), np.uint8))
            if not picture:
                # Not lzf: its output depends on what its hash table held before, so equal rows give unequal bytes.
                plist.set_deflate(GZIP_LEVEL)
        return self._plists[key]


@cache
def _type_of(dtype: np.dtype[Any]) -> Any:
    return h5py.h5t.py_create(dtype)


@cache
def _word(word: str) -> NDArray[Any]:
    return np.array(word, dtype=h5py.string_dtype())


class _Pictures:
    """A dataset of bytes that grows by whole chunks, each handed to the file as it is, past the library's cache."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._n_bytes = 0
        self._rest = np.zeros(0, np.uint8)
        """Less than a chunk, behind those that are written."""

    def add(self, data: NDArray[np.uint8]) -> None:
        """Append bytes."""
        self._n_bytes += data.size
        missing = PICTURE_CHUNK_BYTES - self._rest.size
        if data.size < missing:
            self._rest = np.concatenate([self._rest, data])
            return
        n_before = self._n_bytes - data.size - self._rest.size
        n_whole = (self._n_bytes - n_before) // PICTURE_CHUNK_BYTES
        self._dataset.set_extent((n_before + n_whole * PICTURE_CHUNK_BYTES,))
        first = 0
        if self._rest.size:
            self._write(n_before, np.concatenate([self._rest, data[:missing]]))
            n_before, first = n_before + PICTURE_CHUNK_BYTES, missing
        while data.size - first >= PICTURE_CHUNK_BYTES:
            self._write(n_before, data[first : first + PICTURE_CHUNK_BYTES])
            n_before, first = n_before + PICTURE_CHUNK_BYTES, first + PICTURE_CHUNK_BYTES
        self._rest = data[first:].copy()

    def finish(self) -> None:
        """Write the last chunk, zeros behind the bytes."""
        self._dataset.set_extent((self._n_bytes,))
        if self._rest.size:
            last = np.zeros(PICTURE_CHUNK_BYTES, np.uint8)
            last[: self._rest.size] = self._rest
            self._write(self._n_bytes - self._rest.size, last)

    def _write(self, start: int, chunk: NDArray[np.uint8]) -> None:
        self._dataset.write_direct_chunk((start,), chunk)


def _holds_bytes(kind: pa.DataType) -> bool:
    """Say whether a field is of bytes or has one of bytes below it."""
    if pa.types.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind)
    return _holds_bytes(kind.value_type) if pa.types.is_list(kind) else pa.types.is_binary(kind)


def _list_lengths(array: pa.ListArray) -> NDArray[Any]:
    lengths: NDArray[Any] = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return lengths


def _cells(array: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return offsets and bytes of a string or binary array, null cells being empty; the bytes are not copied."""
    array = array.cast(pa.binary())
    if array.null_count:
        array = array.fill_null(b"")
    _, offsets_buffer, data_buffer = array.buffers()
    if offsets_buffer is None or not len(array):
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    offsets = np.frombuffer(offsets_buffer, np.int32)[array.offset : array.offset + len(array) + 1]
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]


def read_hdf5(path: Path) -> pa.Table:
    """Return an HDF5 shard as a table of `SHARD`. Raises SchemaError for a newer major version or a foreign file."""
    with open_hdf5(path) as file:
        n_rows = _checked_rows(file, path)
        return _read_rows(file, SHARD, path, 0, n_rows)


def read_hdf5_batches(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.Table]:
    """Give an HDF5 shard's rows in tables of ``schema``, a part of `SHARD`; what the shard lacks is null.

    Raises as `read_hdf5` does.
    """
    with open_hdf5(path) as file:
        yield from batches_of(file, path, schema, batch_rows)


def read_hdf5_rows(path: Path, schema: pa.Schema, places: Iterable[int]) -> Iterator[pa.Table]:
    """Give some rows of an HDF5 shard by their places, one a table, as `read_hdf5_batches` gives all of them."""
    with open_hdf5(path) as file:
        _checked_rows(file, path)
        for place in places:
            yield _read_rows(file, schema, path, place, place + 1)


def batches_of(file: h5py.File, path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.Table]:
    """Give what `read_hdf5_batches` gives of a file that `open_hdf5` opened. Raises SchemaError."""
    n_rows = _checked_rows(file, path)
    for start in range(0, n_rows, batch_rows):
        yield _read_rows(file, schema, path, start, min(start + batch_rows, n_rows))


def _checked_rows(file: h5py.File, path: Path) -> int:
    check_version(str(file.attrs.get("schema_version", "")), path)
    n_rows = int(file.attrs["n_rows"])
    # The first field that is long enough will do: a shard has a hundred, each slow to open.
    if n_rows and not (n_rows > 0 and any(field["valid"].shape[0] >= n_rows for field in file.values())):
        raise SchemaError(f"{path.name}: says that it has {n_rows} rows and does not", path=path)
    return n_rows


def _read_rows(file: h5py.File, schema: pa.Schema, path: Path, start: int, stop: int) -> pa.Table:
    columns = [_read_field(file, field.name, field.type, path, start, stop) for field in schema]
    return pa.table(columns, schema=schema)


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


def _checked_offsets(group: h5py.Group, end: int, path: Path, start: int, stop: int) -> NDArray[Any]:
    offsets: NDArray[Any] = group["offsets"][start : stop + 1]
    whole = stop - start + 1
    if offsets.size != whole or offsets[0] < 0 or offsets[-1] > end or (np.diff(offsets) < 0).any():
        raise SchemaError(f"{path.name}: offsets of {group.name!r} do not fit their data", path=path)
    if offsets[-1] - offsets[0] > MAX_READ_BYTES:
        raise SchemaError(
            f"{path.name}: {stop - start} rows of {group.name!r} take more than {MAX_READ_BYTES} bytes",
            path=path,
            code="GT-HOSTILE",
        )
    return offsets

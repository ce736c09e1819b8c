"""HDF5 shards: the nested columns as Arrow holds them, one group per field.

* number or bool: dataset ``values`` (a bool as uint8);
* string or bytes: datasets ``data`` (uint8, all cells end to end) and ``offsets`` (n + 1, from 0);
* list: ``offsets`` and the group ``items``, a field of its own;
* struct: one group per member.

Every field has ``valid`` (uint8; 0 is null) and the attribute ``kind``. Compression is gzip, which every HDF5 reads;
picture bytes are stored as they are, and so are arrays of a few hundred bytes, beside their description in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
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

__all__ = ["Hdf5ShardWriter", "batches_of", "read_hdf5", "read_hdf5_batches"]

CHUNK_BYTES: Final = 1 << 13
"""HDF5 chunk: a shard has some 700 small datasets, each at least one chunk long; one row is read alone."""
PICTURE_CHUNK_BYTES: Final = 1 << 18
"""HDF5 chunk of picture bytes, each of which costs an entry in an index. A reader with a chunk cache of 0 bytes
reads no more of it than it asks for."""
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


class Hdf5ShardWriter:
    """Writes one HDF5 shard in the layout that this module's docstring describes."""

    def __init__(self, path: Path) -> None:
        self._n_rows = 0
        self._sink = ForgivingFile(path)
        self._file = h5py.File(self._sink, "w", meta_block_size=METADATA_BLOCK_BYTES)
        self._columns = _Columns(self._file)

    def write(self, rows: pa.Table) -> None:
        """Take rows; their pictures are written at once."""
        self._sink.raise_failure()
        self._append(rows)
        self._sink.raise_failure()

    def close(self) -> None:
        """Write what waits and close the file."""
        try:
            if not self._n_rows:
                self._append(SHARD.empty_table())
            self._columns.write(last=True)
            self._file.attrs["schema_version"] = SHARD_SCHEMA_VERSION
            self._file.attrs["n_rows"] = self._n_rows
        finally:
            self._file.close()
            self._sink.close()
        self._sink.raise_failure()

    def _append(self, table: pa.Table) -> None:
        for name in table.column_names:
            self._columns.append(name, whole_column(table, name))
        self._n_rows += table.num_rows


class _Columns:
    """The datasets of a file that grows; what is not a picture waits in memory.

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
        self._waiting: dict[str, list[NDArray[Any]]] = {}
        self._waiting_bytes = 0
        self._kinds: dict[str, str] = {}
        self._ends: dict[str, int] = {}

    def append(self, place: str, array: pa.Array) -> None:
        """Append the cells of one field, and of all fields below it."""
        kind = array.type
        self._add(f"{place}/valid", array.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8))
        if pa.types.is_struct(kind):
            self._kinds[place] = "struct"
            # `field` alone would ignore a slice's offset and the parent's nulls; flatten honours both.
            for field, member in zip(kind, array.flatten(), strict=True):
                self.append(f"{place}/{field.name}", member)
        elif pa.types.is_list(kind):
            self._kinds[place] = "list"
            self._add_offsets(place, array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
            self.append(f"{place}/items", array.flatten())
        elif pa.types.is_string(kind) or pa.types.is_binary(kind):
            self._kinds[place] = "string" if pa.types.is_string(kind) else "bytes"
            offsets, data = _cells(array)
            self._add_offsets(place, np.diff(offsets))
            self._add(f"{place}/data", data, picture=pa.types.is_binary(kind))
        else:
            self._kinds[place] = "bool" if pa.types.is_boolean(kind) else "number"
            zero = False if pa.types.is_boolean(kind) else 0
            values = array.fill_null(zero).to_numpy(zero_copy_only=False)
            self._add(f"{place}/values", values.astype(np.uint8) if pa.types.is_boolean(kind) else values)
        if self._waiting_bytes >= PENDING_BYTES:
            self.write()

    def write(self, *, last: bool = False) -> None:
        """Write what waits; ``last`` says that no more will come."""
        for place, parts in self._waiting.items():
            self._put(place, parts[0] if len(parts) == 1 else np.concatenate(parts), whole=last)
        for place, kind in self._kinds.items():
            self._mark(place, kind)
        self._waiting, self._waiting_bytes, self._kinds = {}, 0, {}

    def _add_offsets(self, place: str, lengths: NDArray[Any]) -> None:
        name = f"{place}/offsets"
        first = self._ends.get(name)
        ends = (first or 0) + np.cumsum(lengths, dtype=np.int64)
        self._add(name, np.concatenate([[0], ends]) if first is None else ends)
        self._ends[name] = int(ends[-1]) if ends.size else first or 0

    def _add(self, place: str, values: NDArray[Any], *, picture: bool = False) -> None:
        if picture:
            self._put(place, values, picture=True)
        else:
            self._waiting.setdefault(place, []).append(values)
            self._waiting_bytes += values.nbytes

    def _put(self, place: str, values: NDArray[Any], *, picture: bool = False, whole: bool = False) -> None:
        values = np.ascontiguousarray(values)
        dataset = self._datasets.get(place)
        if dataset is None:
            dataset = self._datasets[place] = self._made(place, values, picture, whole)
            start, place_of = 0, h5py.h5s.ALL
        else:
            start = self._sizes[place]
            dataset.set_extent((start + values.shape[0],))
            place_of = dataset.get_space()
            place_of.select_hyperslab((start,), values.shape)
        if values.size:
            here = h5py.h5s.create_simple(values.shape)
            dataset.write(here, place_of, values)
        self._sizes[place] = start + values.shape[0]

    def _made(self, place: str, values: NDArray[Any], picture: bool, whole: bool) -> Any:
        group, _, name = place.rpartition("/")
        compact = whole and not picture and 0 < values.nbytes <= COMPACT_BYTES
        most = values.shape if compact else (h5py.h5s.UNLIMITED,)
        return h5py.h5d.create(
            self._group(group),
            name.encode(),
            h5py.h5t.py_create(values.dtype),
            h5py.h5s.create_simple(values.shape, most),
            dcpl=self._compact if compact else self._chunked(values.dtype.itemsize, picture),
        )

    def _mark(self, place: str, kind: str) -> None:
        group = self._group(place)
        if not h5py.h5a.exists(group, b"kind"):
            attribute = h5py.h5a.create(group, b"kind", _TEXT, h5py.h5s.create(h5py.h5s.SCALAR))
            attribute.write(np.array(kind, dtype=h5py.string_dtype()))

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


def _cells(array: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return offsets and bytes of a string or binary array, null cells being empty; the bytes are not copied."""
    array = array.cast(pa.binary()).fill_null(b"")
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

"""Read a dataset's shards again: rows or tables, the columns that are asked for, in memory that does not grow.

Works on a finished dataset and on one that is still being written (views are made from the finished shards in staging).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.hdf5_shard import read_hdf5_batches
from curation.export.parquet_shard import parquet_version
from curation.export.schema import SHARD
from curation.export.shards import check_version
from curation.export.splits import SPLITS
from keyframes.errors import SchemaError, UsageError

__all__ = ["ShardReader"]

BATCH_ROWS = 32
"""A row with its pictures takes up to some MB. Fewer rows at once are read more slowly: every batch visits some 240
columns."""


class ShardReader:
    """The shards of a dataset folder: Parquet where there is Parquet, else HDF5, which holds the same rows.

    Raises UsageError where the folder has no shards; while reading, SchemaError for a damaged shard and for one of a
    newer major version.
    """

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset
        found = sorted(dataset.glob("readings/*.parquet")) or sorted(dataset.glob("hdf5/*.h5"))
        if not found:
            raise UsageError(
                f"{dataset} holds no shards (readings/*.parquet or hdf5/*.h5)",
                hint="`gazecurate run --store STORE --out DATASET` writes some.",
                path=dataset,
                code="GT-NOT-A-DATASET",
            )
        # Alphabetical order would put test first.
        self.shards = sorted(found, key=lambda path: (_place(split_of(path)), path.name))

    @property
    def splits(self) -> list[str]:
        """The splits that have shards, in the order of `SPLITS`."""
        return sorted({split_of(path) for path in self.shards}, key=_place)

    def tables(
        self, columns: Sequence[str] | None = None, *, split: str | None = None, batch_rows: int = BATCH_ROWS
    ) -> Iterator[pa.Table]:
        """Give the rows in tables of at most ``batch_rows``, in the shards' order.

        columns : names of `SHARD`, or places in one, such as ``image_info[].public_dicom_id`` and ``tracker.model``;
        None gives all. A table has the asked top-level columns in the schema's order, each with the asked members only.
        A column that an older MINOR lacks is null throughout.
        """
        schema = SHARD if columns is None else projected(SHARD, columns)
        for path in self.shards:
            if split is not None and split_of(path) != split:
                continue
            batches = parquet_batches(path, schema, batch_rows) if path.suffix == ".parquet" else None
            yield from read_hdf5_batches(path, schema, batch_rows) if batches is None else batches

    def rows(
        self, columns: Sequence[str] | None = None, *, split: str | None = None, batch_rows: int = BATCH_ROWS
    ) -> Iterator[dict[str, Any]]:
        """Give the rows as Python values; see `tables`."""
        for table in self.tables(columns, split=split, batch_rows=batch_rows):
            yield from table.to_pylist()


def split_of(shard: Path) -> str:
    """Return the split that a shard's name tells."""
    return shard.name.split("-")[0]


def _place(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def projected(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """Return the schema with the asked places only, in its own order. Raises UsageError for an unknown place."""
    wanted = [tuple(column.replace("[]", "").split(".")) for column in columns]
    fields = [_kept(field, [place for place in wanted if place[0] == field.name]) for field in schema]
    known = {field.name for field in schema}
    for place, column in zip(wanted, columns, strict=True):
        if place[0] not in known:
            raise UsageError(f"a shard has no column {column!r}")
    return pa.schema([field for field in fields if field is not None])


def _kept(field: pa.Field, places: Sequence[tuple[str, ...]]) -> pa.Field | None:
    if not places:
        return None
    inner = [place[1:] for place in places]
    if not all(inner):
        return field
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    if not pa.types.is_struct(kind):
        raise UsageError(f"column {field.name!r} has no members, {'.'.join(inner[0])!r} was asked for")
    for place in inner:
        if place[0] not in {member.name for member in kind}:
            raise UsageError(f"column {field.name!r} has no member {place[0]!r}")
    members = [_kept(member, [place for place in inner if place[0] == member.name]) for member in kind]
    kept = pa.struct([member for member in members if member is not None])
    return field.with_type(pa.list_(kept) if pa.types.is_list(field.type) else kept)


def parquet_batches(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.Table]:
    """Give a Parquet shard's rows in tables of these columns. Raises SchemaError for a damaged shard."""
    try:
        # Mapped, so that picture bytes are copied once, out of the page cache into the table.
        with pq.ParquetFile(path, memory_map=True) as file:
            check_version(parquet_version(file.schema_arrow), path)
            # Whole rows without their names, which take longer to look up than a batch to read; with threads, so that
            # the many small columns come while pictures are copied.
            whole = file.schema_arrow.equals(schema)
            there = set(file.schema_arrow.names)
            leaves = [leaf for field in schema if field.name in there for leaf in _leaves(field)]
            columns = None if whole else leaves
            for batch in file.iter_batches(batch_size=batch_rows, columns=columns, use_threads=whole):
                yield conformed(pa.Table.from_batches([batch]), schema)
    except (OSError, pa.ArrowException) as error:
        raise SchemaError("a shard cannot be read", path=path, hint="Export again.") from error


def _leaves(field: pa.Field, prefix: str = "") -> list[str]:
    """Return the Parquet paths of a field's leaves."""
    place, kind = f"{prefix}{field.name}", field.type
    while pa.types.is_list(kind):
        place, kind = f"{place}.list.element", kind.value_type
    if not pa.types.is_struct(kind):
        return [place]
    return [leaf for member in kind for leaf in _leaves(member, f"{place}.")]


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with exactly the columns of ``schema``; what it lacks, at any depth, is null."""
    if table.schema.equals(schema):
        return table.replace_schema_metadata(
            schema.metadata
        )  # one look, where one at every column takes 1.5 ms
    columns = []
    for field in schema:
        if field.name in table.column_names:
            column = table.column(field.name)
            # As it is wherever possible: joining the chunks of a column of pictures copies them all.
            same = column.type.equals(field.type)
            columns.append(column if same else _conformed(column.combine_chunks(), field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.table(columns, schema=schema)


def _conformed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type.equals(kind):
        return array
    mask = array.is_null()
    if pa.types.is_list(kind):
        offsets = _offsets(array)
        return pa.ListArray.from_arrays(
            offsets, _conformed(array.flatten(), kind.value_type), type=kind, mask=mask
        )
    if pa.types.is_struct(kind):
        members = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
        children = [
            _conformed(members[field.name], field.type)
            if field.name in members
            else pa.nulls(len(array), field.type)
            for field in kind
        ]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    return array.cast(kind)


def _offsets(array: pa.ListArray) -> pa.Array:
    """Return offsets into ``array.flatten()``, which leaves out what null cells and a slice hide."""
    lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array([0, *lengths.cumsum().tolist()], pa.int32())

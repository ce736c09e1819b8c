"""Which readings a dataset holds, told by its shards alone, so that a half-written one can be asked too."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple

import h5py
import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.hdf5_guard import open_hdf5
from keyframes.errors import SchemaError

__all__ = ["ShardRow", "rows_in"]


class ShardRow(NamedTuple):
    """What identifies a row."""

    reading_id: str
    reader_code: str
    config_hash: str


def rows_in(dataset: Path) -> set[ShardRow]:
    """Return the rows that stand in either format. Raises SchemaError for a damaged shard."""
    found: set[ShardRow] = set()
    for path in sorted([*dataset.glob("readings/*.parquet"), *dataset.glob("hdf5/*.h5")]):
        try:
            columns = _parquet(path) if path.suffix == ".parquet" else _hdf5(path)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise SchemaError(
                "a shard cannot be read", path=path, hint="Export again, or remove the dataset's folder."
            ) from error
        found |= set(map(ShardRow._make, zip(*columns, strict=True)))
    return found


def _parquet(path: Path) -> list[list[str]]:
    table = pq.read_table(path, columns=list(ShardRow._fields))
    return [[value or "" for value in table[name].to_pylist()] for name in ShardRow._fields]


def _hdf5(path: Path) -> list[list[str]]:
    with open_hdf5(path) as file:
        return [_strings(file[name]) for name in ShardRow._fields]


def _strings(group: h5py.Group) -> list[str]:
    data, offsets = group["data"][:].tobytes(), group["offsets"][:].tolist()
    return [data[a:b].decode() for a, b in itertools.pairwise(offsets)]

"""Where a dataset's shards are, and whether this code may read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

SHARD_MAJOR = "1"
"""This reader knows shards of schema version 1.x."""
Form = Literal["parquet", "hdf5"]
FOLDERS: Mapping[Form, str] = MappingProxyType({"parquet": "readings", "hdf5": "hdf5"})


class ShardError(Exception):
    """A shard that this code cannot read."""


class NewerShardError(ShardError):
    """A shard of a major version that this code does not know."""


def shards_of(dataset: Path, folder: str, split: str | None) -> list[Path]:
    """Return the files of one format (``readings`` or ``hdf5``), of one split or all, in order of name."""
    found = sorted((dataset / folder).glob(f"{split or '*'}-*"))
    if not found:
        raise FileNotFoundError(f"{dataset / folder} holds no shards of split {split or 'any'}")
    return found


def check_version(found: str, path: Path) -> None:
    """Refuse a shard of another major version. Raises NewerShardError."""
    if found.split(".")[0] != SHARD_MAJOR:
        raise NewerShardError(
            f"{path.name} has shard format {found or 'unknown'}, this code reads {SHARD_MAJOR}.x: update it"
        )

"""What writes a shard, whatever its format, and what both formats share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from curation.export.schema import SHARD_SCHEMA_VERSION
from keyframes.errors import SchemaError

__all__ = ["ShardWriter", "check_version", "picture_bytes", "table_of"]


class ShardWriter(Protocol):
    """Takes rows one by one; `close` makes the file whole."""

    def add(self, row: dict[str, Any]) -> None:
        """Take one row of `curation.export.schema.SHARD`."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def check_version(found: str, path: Path) -> None:
    """Raise SchemaError for a shard of another major version than this tool's, or of none."""
    if found.split(".")[0] != SHARD_SCHEMA_VERSION.split(".")[0]:
        raise SchemaError(
            f"{path.name}: shard format {found or 'unknown'}, this tool reads {SHARD_SCHEMA_VERSION}",
            hint="Use the version of the tool that wrote it, or a newer one.",
            path=path,
        )


def table_of(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows of `curation.export.schema.SHARD` as a table; keys that the schema does not have are left out."""
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in schema.names} for row in rows], schema=schema
    )


def picture_bytes(row: dict[str, Any]) -> int:
    """Return how many bytes of encoded pictures a row holds: nearly all that it takes."""
    pictures = [*(row["images"] or ()), *(k["picture"] for k in row["keyframes"] or () if k["picture"])]
    return sum(len(p["bytes"]) for p in pictures)

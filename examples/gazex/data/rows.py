"""The rows of a split without their pictures: what tasks are made of.

A million key frames without pictures are some hundred megabytes; the pictures are fetched one by one when they are
shown (`pictures`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import pyarrow as pa
import pyarrow.parquet as pq

from examples.gazex.data.shards import FOLDERS, Form, NewerShardError, check_version, shards_of
from examples.gazex.errors import TrainerError

__all__ = ["COLUMNS", "Row", "light_rows", "shards"]

COLUMNS = (
    "reading_id", "split", "patient_key", "public_patient_id", "study_key", "reader_code", "study_arm", "synthetic",
    "access_tier", "indication", "report_sections", "text", "sentences", "image_info", "fixations", "keyframes",
    "trajectory", "regions", "findings", "truth", "qa",
)  # fmt: skip
"""What the tasks use. Without any of them a shard is refused."""

ROWS_AT_ONCE = 64
"""Opening a field costs as much as hundreds of its rows; this many are some megabytes."""
_KEYFRAME_PICTURE = "has_picture"


class Row(dict[str, Any]):
    """One reading, and where its pictures are: ``shard`` is a place in `shards`, ``row`` a row of that file."""

    shard: int
    row: int


def shards(dataset: Path, kind: Form, split: str | None) -> list[Path]:
    """Return the files of a split in order. Raises TrainerError (GX-NO-SHARDS) where there are none."""
    try:
        return shards_of(dataset, FOLDERS[kind], split)
    except FileNotFoundError as error:
        raise TrainerError(
            str(error), code="GX-NO-SHARDS", hint="Check the folder, the format and the name of the split."
        ) from None


def light_rows(paths: list[Path]) -> Iterator[Row]:
    """Give the rows of shards of either format; of a key frame's picture only whether there is one.

    Raises TrainerError: GX-SHARD where a file cannot be read, GX-NEWER-SHARD where its format is a later one, GX-COLUMN
    where a column is missing, each with the file's name.
    """
    for shard, path in enumerate(paths):
        try:
            found = _parquet(path) if path.suffix == ".parquet" else _hdf5(path)
            for place, content in enumerate(found):
                row = Row(content)
                row.shard, row.row = shard, place
                yield row
        except NewerShardError as error:
            raise TrainerError(str(error), code="GX-NEWER-SHARD", hint="Use a newer trainer.") from None
        except (OSError, ValueError, KeyError, pa.ArrowException, UnicodeDecodeError) as error:
            raise TrainerError(
                f"{path} cannot be read: {error}",
                code="GX-SHARD",
                hint="Check it with `gazecurate verify`, or copy it anew.",
            ) from None


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        check_version((file.schema_arrow.metadata or {}).get(b"schema_version", b"").decode(), path)
        _check_columns(file.schema_arrow.names, path)
        leaves = [file.schema.column(i).path for i in range(len(file.schema))]
        wanted = [leaf for leaf in leaves if leaf.split(".")[0] in COLUMNS and not leaf.endswith("bytes")]
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=wanted):
            for row in batch.to_pylist():
                for frame in row["keyframes"] or ():
                    frame[_KEYFRAME_PICTURE] = frame.pop("picture") is not None
                yield row


def _hdf5(path: Path) -> Iterator[dict[str, Any]]:
    with h5py.File(path, "r") as file:
        check_version(str(file.attrs.get("schema_version", "")), path)
        _check_columns(list(file), path)
        n_rows = int(file.attrs["n_rows"])
        for first in range(0, n_rows, ROWS_AT_ONCE):
            some = [_cells(file[name], first, min(first + ROWS_AT_ONCE, n_rows)) for name in COLUMNS]
            for cells in zip(*some, strict=True):
                yield dict(zip(COLUMNS, cells, strict=True))


def _check_columns(found: list[str], path: Path) -> None:
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise TrainerError(
            f"{path.name} has no column {missing[0]!r}",
            code="GX-COLUMN",
            hint="Export the dataset again with a current version of gazecurate.",
        )


def _cells(group: h5py.Group, start: int, stop: int) -> list[Any]:
    """Return cells of one field; a picture comes as whether it is there."""
    valid = group["valid"][start:stop].astype(bool)
    match group.attrs["kind"]:
        case "struct":
            fields = {name: child for name, child in group.items() if isinstance(child, h5py.Group)}
            picture = fields.pop("picture", None)
            columns = {name: _cells(child, start, stop) for name, child in fields.items()}
            if picture is not None:
                columns[_KEYFRAME_PICTURE] = picture["valid"][start:stop].astype(bool).tolist()
            values: list[Any] = [
                dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
            ]
        case "list":
            ends = group["offsets"][start : stop + 1]
            items = _cells(group["items"], int(ends[0]), int(ends[-1]))
            values = [items[a - ends[0] : b - ends[0]] for a, b in pairwise(ends)]
        case "string":
            ends = group["offsets"][start : stop + 1]
            data = group["data"][int(ends[0]) : int(ends[-1])].tobytes()
            values = [data[a - ends[0] : b - ends[0]].decode() for a, b in pairwise(ends)]
        case kind:
            numbers = group["values"][start:stop]
            values = (numbers.astype(bool) if kind == "bool" else numbers).tolist()
    return [value if ok else None for value, ok in zip(values, valid, strict=True)]

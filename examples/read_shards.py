"""Read the shards with pyarrow and h5py alone: nothing of this toolkit is imported.

python examples/read_shards.py DATASET            a table of both formats
python examples/read_shards.py DATASET --pictures FOLDER     also saves the pictures
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq

SHARD_MAJOR = "1"
"""This reader knows shards of schema version 1.x."""


def parquet_rows(dataset: Path) -> Iterator[dict[str, Any]]:
    """Give one dict per reading from the Parquet shards."""
    for path in sorted((dataset / "readings").glob("*.parquet")):
        file = pq.ParquetFile(path)
        check_version((file.schema_arrow.metadata or {}).get(b"schema_version", b"").decode(), path)
        for batch in file.iter_batches(batch_size=4):
            yield from batch.to_pylist()


def hdf5_rows(dataset: Path) -> Iterator[dict[str, Any]]:
    """Give one dict per reading from the HDF5 shards, loading one reading at a time."""
    for path in sorted((dataset / "hdf5").glob("*.h5")):
        with h5py.File(path, "r") as file:
            check_version(str(file.attrs.get("schema_version", "")), path)
            for row in range(int(file.attrs["n_rows"])):
                yield {name: cells(group, row, row + 1)[0] for name, group in ordered(file)}


def cells(group: h5py.Group, start: int, stop: int) -> list[Any]:
    """Return cells ``start`` to ``stop`` of one field as Python values; None where the cell is null."""
    valid = group["valid"][start:stop].astype(bool)
    kind = group.attrs["kind"]
    values: list[Any]
    if kind == "struct":
        members = {name: cells(child, start, stop) for name, child in ordered(group)}
        values = [{name: column[i] for name, column in members.items()} for i in range(stop - start)]
    elif kind == "list":
        ends = group["offsets"][start : stop + 1]
        items = cells(group["items"], int(ends[0]), int(ends[-1]))
        values = [items[a - ends[0] : b - ends[0]] for a, b in pairwise(ends)]
    elif kind in {"string", "bytes"}:
        ends = group["offsets"][start : stop + 1]
        data = group["data"][int(ends[0]) : int(ends[-1])].tobytes()
        parts = [data[a - ends[0] : b - ends[0]] for a, b in pairwise(ends)]
        values = [part.decode() for part in parts] if kind == "string" else list(parts)
    else:
        numbers = group["values"][start:stop]
        values = (numbers.astype(bool) if kind == "bool" else numbers).tolist()
    return [value if ok else None for value, ok in zip(values, valid, strict=True)]


def ordered(group: h5py.Group) -> list[tuple[str, h5py.Group]]:
    """Return the fields of a group (datasets belong to the field itself)."""
    return [(name, child) for name, child in group.items() if isinstance(child, h5py.Group)]


def check_version(found: str, path: Path) -> None:
    """Refuse a shard of another major version."""
    if found.split(".")[0] != SHARD_MAJOR:
        raise SystemExit(
            f"{path.name} has shard format {found or 'unknown'}, this script reads {SHARD_MAJOR}.x"
        )


def save_pictures(row: dict[str, Any], folder: Path) -> None:
    """Save a reading's radiographs and key frames."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [*row["images"], *(k["picture"] for k in row["keyframes"] if k["picture"])]
    for picture in pictures:
        # Only the bare name is used: a path inside a shard must not choose where a file goes.
        (folder / Path(picture["path"]).name).write_bytes(picture["bytes"])


def main() -> None:
    """Print a line per reading and format, and say whether the two agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    rows = {"parquet": list(parquet_rows(options.dataset)), "hdf5": list(hdf5_rows(options.dataset))}
    if not any(rows.values()):
        raise SystemExit(f"{options.dataset} holds no shards")
    for source, readings in rows.items():
        for row in readings:
            dwell_s = sum(f["duration_s"] for f in row["fixations"])
            letters = "".join(step["letter"] for step in row["trajectory"])
            print(
                f"{source:8} {row['reading_id']} {row['split']:8} {len(row['images'])} images, "
                f"{len(row['fixations'])} fixations ({dwell_s:.1f} s), {len(row['keyframes'])} key frames, {letters}"
            )
    if options.pictures:
        for row in rows["parquet"] or rows["hdf5"]:
            save_pictures(row, options.pictures)
    if rows["parquet"] and rows["hdf5"]:
        same = all(same_value(a, b) for a, b in zip(rows["parquet"], rows["hdf5"], strict=True))
        print("both formats hold the same rows" if same else "the formats differ")


def same_value(a: Any, b: Any) -> bool:
    """Compare nested values; NaN equals NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_value(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return a == b or bool(np.isnan(a) and np.isnan(b))
    return bool(a == b)


if __name__ == "__main__":
    main()

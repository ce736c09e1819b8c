"""Check a dataset against its manifest, and its two formats against each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import h5py
import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.dataset import MANIFEST
from gazecapture.files import sha256_of
from keyframes.errors import SchemaError, ShardIntegrityError, UsageError

__all__ = ["VerifySummary", "verify_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySummary:
    """What was checked."""

    n_files: int
    n_bytes: int
    n_readings: int


def verify_dataset(dataset: Path) -> VerifySummary:
    """Check every file of a dataset.

    Raises ShardIntegrityError where a file is missing, altered or not in the manifest, or where the formats
    disagree on the number of rows; UsageError where the folder holds no dataset.
    """
    try:
        manifest = json.loads((dataset / MANIFEST).read_bytes())
        entries = {str(f["path"]): f for f in manifest["files"]}
        n_readings = int(manifest["n_readings"])
    except FileNotFoundError:
        raise UsageError(
            f"{dataset} holds no finished dataset ({MANIFEST} is absent)",
            path=dataset,
            code="GT-NOT-A-DATASET",
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ShardIntegrityError(f"{MANIFEST} is damaged", path=dataset) from error
    for name, entry in entries.items():
        _check_file(dataset, name, str(entry["sha256"]))
    for path in _unlisted(dataset, set(entries)):
        raise ShardIntegrityError(
            "a file stands in the dataset that its manifest does not list",
            path=path,
            hint="Remove it, or export again.",
        )
    for folder, rows in (("readings", _parquet_rows(dataset)), ("hdf5", _hdf5_rows(dataset))):
        if any(name.startswith(f"{folder}/") for name in entries) and rows != n_readings:
            raise ShardIntegrityError(f"{folder}/ holds {rows} readings, expected {n_readings}", path=dataset)
    return VerifySummary(
        n_files=len(entries), n_bytes=sum(int(e["bytes"]) for e in entries.values()), n_readings=n_readings
    )


def _check_file(dataset: Path, name: str, expected: str) -> None:
    relative = PurePosixPath(name)
    # A manifest is untrusted text: it must not lead out of its folder.
    if relative.is_absolute() or ".." in relative.parts:
        raise ShardIntegrityError(f"{MANIFEST} names a file outside the dataset", path=dataset)
    path = dataset / relative
    if not path.is_file():
        raise ShardIntegrityError("a file of the dataset is missing", path=path, hint="Export again.")
    actual = sha256_of(path)
    if actual != expected:
        raise ShardIntegrityError(
            f"SHA-256 differs: expected {expected[:12]}, found {actual[:12]}",
            expected_sha256=expected,
            actual_sha256=actual,
            path=path,
            hint="Export again.",
        )


def _unlisted(dataset: Path, listed: set[str]) -> Iterator[Path]:
    for folder in ("readings", "hdf5", "images"):
        for path in sorted((dataset / folder).rglob("*")):
            if path.is_file() and path.relative_to(dataset).as_posix() not in listed:
                yield path


def _parquet_rows(dataset: Path) -> int:
    try:
        return sum(pq.read_metadata(path).num_rows for path in (dataset / "readings").glob("*.parquet"))
    except (OSError, pa.ArrowException) as error:
        raise SchemaError("a Parquet shard cannot be opened", path=dataset / "readings") from error


def _hdf5_rows(dataset: Path) -> int:
    rows = 0
    for path in (dataset / "hdf5").glob("*.h5"):
        with h5py.File(path, "r") as file:
            rows += int(file.attrs["n_rows"])
    return rows

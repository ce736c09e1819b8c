"""Check a dataset against its manifest and its formats against each other, and that what was forgotten is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.contents import rows_in
from curation.export.dataset import MANIFEST
from curation.export.dataset_views import VIEWS_FOLDER
from curation.export.hdf5_guard import open_hdf5
from curation.export.marks import check_marks
from curation.export.place import private_strings
from curation.export.scan import scan_output
from curation.export.stays import what_stays
from curation.lead import READERS_FOLDER
from curation.lock import INTENT
from curation.manifest import read_lines
from curation.sessions import known_sessions
from curation.tombstones import Tombstones
from gazecapture.files import sha256_of
from gazecapture.session.addenda import session_reading_id
from gazecapture.session.schema import read_session_info
from gazecapture.store import KeyedHash, Store
from keyframes.errors import PrivacyError, SchemaError, ShardIntegrityError, UsageError

__all__ = ["VerifySummary", "finds_in", "verify_absence", "verify_dataset"]

_CODE = "GT-FORGOTTEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySummary:
    """What was checked."""

    n_files: int
    n_bytes: int
    n_readings: int


def verify_dataset(dataset: Path) -> VerifySummary:
    """Check every file of a dataset, and every row (`curation.export.marks`).

    Raises ShardIntegrityError where a file is missing, altered or not in the manifest, where the formats disagree, or a
    shard has not the schema; PrivacyError where it holds what its own marks keep back; UsageError where the folder
    holds no dataset.
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
    check_marks(dataset, manifest)
    return VerifySummary(
        n_files=len(entries), n_bytes=sum(int(e["bytes"]) for e in entries.values()), n_readings=n_readings
    )


def verify_absence(store: Store, dataset: Path) -> int:
    """Check that a store, its sessions and a dataset hold nothing that was forgotten; return how many tombstones.

    Looked at: rows and picture names of the dataset; folders, manifest and fitted leads of the store; readers and
    finished studies of the sessions that the store was filled from. Then every file of the dataset, decoded and inside
    every container (`curation.export.decoded`): for what was forgotten, and once more for all that the last scan of an
    export looks for in the store's readings as they are now.

    Raises PrivacyError at the first kind of find: GT-FORGOTTEN, also where a withdrawal that was interrupted is still
    to be completed, or GT-PRIVACY for what must stay in the store.
    """
    if (store.root / INTENT).is_file():
        raise PrivacyError(
            "a withdrawal was interrupted",
            hint="Any command that writes to the store completes it, such as `gazecurate run`.",
            path=store.root,
            code=_CODE,
        )
    tombstones = Tombstones.of(store)
    for row in sorted(rows_in(dataset)):
        if tombstones.names(reading_id=row.reading_id, reader_code=row.reader_code):
            _found("a row", dataset)
    named = (path for part in ("images", "samples", "events") for path in (dataset / part).rglob("*"))
    in_dataset = ((path.stem.split("_")[0], path) for path in named if path.is_file())
    in_store = ((path.name.strip(".").split(".")[0], path) for path in store.root.iterdir())
    in_manifest = ((line.reading_id, store.root) for line in read_lines(store.root))
    for reading_id, path in (*in_dataset, *in_store, *in_manifest):
        if tombstones.has("reading", reading_id):
            _found("a trace of a reading", path)
    for reading_id in store.reading_ids():
        meta = store.meta(reading_id)
        if tombstones.has("reader", meta.reader_code):
            _found("a reading of a forgotten reader", store.folder(reading_id))
        if tombstones.has("reading", meta.repeat_of):
            _found("the name of a reading", store.folder(reading_id))
    for path in (store.root / READERS_FOLDER).glob("*.json"):
        if tombstones.has("reader", str(json.loads(path.read_bytes()).get("reader_code"))):
            _found("a fitted lead", path)
    pseudonym = KeyedHash(store.pseudonym_key)
    for session in known_sessions(store.root):
        info = read_session_info(session)
        ids = (session_reading_id(info, s.reading_number, pseudonym) for s in info.studies if s.images)
        if any(tombstones.names(reading_id=i, reader_code=info.reader_code) for i in ids):
            _found("a reading", session)
    hits = finds_in(store, dataset)
    if any("forgotten" in hit for hit in hits):
        _found("something", dataset / next(hit for hit in hits if "forgotten" in hit).partition(": ")[0])
    if hits:
        raise PrivacyError(
            f"the dataset holds what must stay in the store: {'; '.join(hits[:3])}",
            hint="Remove the file if it is your own, else export again.",
            record=f"{len(hits)} finds",
            path=dataset,
        )
    return tombstones.n_names


def finds_in(store: Store, dataset: Path) -> list[str]:
    """Look into every file of a dataset; return what was found, one line each: the file and the kind."""
    kept, config = what_stays(store, dataset)
    return scan_output(
        dataset,
        kept.identifiers,
        private_strings(store, config),
        codes=kept.codes,
        words=kept.words,
        forgotten=Tombstones.of(store).finder(),
    )


def _found(what: str, path: Path) -> NoReturn:
    raise PrivacyError(
        f"{what} that was forgotten is there",
        hint="Forget it again, with --dataset or --session if it lies elsewhere than it did.",
        path=path,
        code=_CODE,
    )


def _check_file(dataset: Path, name: str, expected: str) -> None:
    relative = PurePosixPath(name)
    # A manifest is untrusted text: it must not lead out of its folder.
    if relative.is_absolute() or ".." in relative.parts or "\0" in name:
        raise ShardIntegrityError(f"{MANIFEST} names a file outside the dataset", path=dataset)
    path = dataset / relative
    if not path.resolve().is_relative_to(dataset.resolve()):
        raise ShardIntegrityError(f"{MANIFEST} names a link that leads outside the dataset", path=dataset)
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
    for folder in ("readings", "hdf5", "images", "samples", "events", "tables", VIEWS_FOLDER):
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
        with open_hdf5(path) as file:
            rows += int(file.attrs["n_rows"])
    return rows

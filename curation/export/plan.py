"""Plan an export: which readings, in which splits and shards, and a key that tells whether it is done already."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from curation.config import CurationConfig, settings_hash
from curation.consent import Permission
from curation.export.admission import admit, dataset_tier
from curation.export.schema import SHARD_SCHEMA_VERSION
from curation.export.splits import SPLITS, Candidate, assign_splits
from gazecapture import __version__
from gazecapture.store import Store
from keyframes.access import AccessTier
from keyframes.errors import DataError, SchemaError
from keyframes.reading import ReadingMeta

__all__ = ["ExportPlan", "make_plan", "shards_of"]

EXPORT_CODE_VERSION = "11"
"""Raised by hand whenever the written bytes change for unchanged input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What is to be written."""

    reading_ids: tuple[str, ...]
    split_of: Mapping[str, str]
    permissions: Mapping[str, Permission]
    """What each reading's reader allows."""
    held_back: Mapping[str, str]
    """Reading id -> why its reader does not let it out."""
    tier: AccessTier
    """Of the dataset."""
    repeat_of: Mapping[str, str]
    """Reading id -> the same reader's first reading of the study, where the dataset holds both."""
    picture_salt: str
    """Of the hashes of pictures that stay behind, written into the dataset; empty where they do not."""
    key: str


def make_plan(
    store: Store,
    reading_ids: Sequence[str],
    config: CurationConfig,
    damaged: dict[str, DataError],
) -> ExportPlan:
    """Deal the readings that may leave out to splits; those that cannot be read go into ``damaged``.

    Of each reading only its scalars, its findings and the hashes of what its stages did are looked at, so that time
    grows with the number of readings and memory by some 2 kB for each.

    Raises PrivacyError (GT-TIER) where one may not go to the tier that the settings ask for.
    """
    export = config.export
    candidates = []
    said: dict[str, str] = {}
    digest = hashlib.sha256()
    known: dict[str, tuple[Candidate, str]] = {}

    def metas() -> Iterator[ReadingMeta]:
        for reading_id in sorted(reading_ids):
            try:
                meta, source_hash = store.head(reading_id)
            except DataError as error:
                damaged[reading_id] = error
                continue
            known[reading_id] = _candidate(meta), source_hash
            if meta.repeat_of:
                said[reading_id] = meta.repeat_of
            yield meta

    admission = admit(store, metas())
    for reading_id in sorted(admission.permissions):
        candidate, source_hash = known[reading_id]
        try:
            labels = _labels(store, reading_id, "truth") or _labels(store, reading_id, "findings")
        except DataError as error:
            damaged[reading_id] = error
            continue
        candidates.append(replace(candidate, labels=labels))
        inputs = [reading_id, source_hash, *store.record_hashes(reading_id), ""]
        digest.update("\0".join(inputs).encode())
    shares = {
        "train": export.split_train,
        "validate": export.split_validate,
        "test": max(1.0 - export.split_train - export.split_validate, 0.0),
    }
    split_of = assign_splits(
        candidates,
        shares,
        seed=export.seed,
        axis=export.split_axis,
        honour_official=export.split_official == "honour",
    )
    permissions = {reading_id: admission.permissions[reading_id] for reading_id in sorted(split_of)}
    tier = dataset_tier(permissions, export.tier)
    # No dataset names a reading that it does not hold: one that was forgotten is named nowhere.
    repeat_of = {
        again: first for again, first in said.items() if again in permissions and first in permissions
    }
    key = settings_hash(
        {
            "readings": digest.hexdigest(),
            "permissions": [[i, sorted(p.scopes), p.tier] for i, p in permissions.items()],
            "repeat_of": repeat_of,
            "config": config.model_dump(mode="json", exclude={"views"}),
            "versions": [EXPORT_CODE_VERSION, SHARD_SCHEMA_VERSION, __version__],
        }
    )
    return ExportPlan(
        reading_ids=tuple(permissions),
        split_of=split_of,
        permissions=permissions,
        held_back=admission.held_back,
        tier=tier,
        repeat_of=repeat_of,
        picture_salt=_salt(store, key) if config.privacy.images == "exclude" else "",
        key=key,
    )


def _salt(store: Store, key: str) -> str:
    """Return 128 bits that nobody can foresee and that the same export has again."""
    return "".join(store.keyed_hash("picture salt", half, key) for half in ("1", "2"))


def _candidate(meta: ReadingMeta) -> Candidate:
    """Return what the splits must know, but for the findings."""
    return Candidate(
        reading_id=meta.reading_id,
        patient_key=meta.patient_key,
        study_key=meta.study_key,
        reader_code=meta.reader_code,
        reader_site=meta.reader_site,
        public_patient_id=meta.public_patient_id,
        source_format=meta.source_format,
        split_official=meta.split_official,
    )


def _labels(store: Store, reading_id: str, table: str) -> frozenset[str]:
    """Return the findings that are present in one of the reading's source tables."""
    path = store.folder(reading_id) / f"{table}.parquet"
    try:
        with pq.ParquetFile(pa.BufferReader(path.read_bytes())) as file:
            rows = file.read(columns=["label", "present"], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise SchemaError(
            f"table {table!r} of the reading cannot be read",
            hint="Ingest the reading again.",
            path=path,
            record=reading_id,
        ) from error
    return frozenset(sys.intern(row["label"]) for row in rows.to_pylist() if row["present"])


def shards_of(plan: ExportPlan, readings_per_shard: int) -> Iterator[tuple[str, int, int, list[str]]]:
    """Give (split, number, of how many, reading ids) of every shard."""
    for split in SPLITS:
        ids = sorted(i for i in plan.reading_ids if plan.split_of[i] == split)
        pieces = [ids[a : a + readings_per_shard] for a in range(0, len(ids), readings_per_shard)]
        for number, piece in enumerate(pieces):
            yield split, number, len(pieces), piece

"""Plan an export: which readings, in which splits and shards, and a key that tells whether it is done already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from curation.config import CurationConfig, settings_hash
from curation.consent import Permission
from curation.export.admission import Admission, admit, dataset_tier
from curation.export.schema import SHARD_SCHEMA_VERSION
from curation.export.splits import SPLITS, Candidate, assign_splits
from gazecapture import __version__
from gazecapture.files import sha256_of
from gazecapture.store import Store
from keyframes.access import AccessTier
from keyframes.errors import DataError

__all__ = ["ExportPlan", "make_plan", "shards_of"]

EXPORT_CODE_VERSION = "4"
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
    picture_salt: str
    """Of the hashes of pictures that stay behind, written into the dataset; empty where they do not."""
    key: str


def make_plan(
    store: Store, reading_ids: Sequence[str], config: CurationConfig, damaged: dict[str, DataError]
) -> ExportPlan:
    """Deal the readings that may leave out to splits; those that cannot be read go into ``damaged``.

    Raises PrivacyError (GT-TIER) where one may not go to the tier that the settings ask for.
    """
    candidates, hashes = [], []
    admission = _admitted(store, reading_ids, damaged)
    for reading_id in sorted(admission.permissions):
        try:
            reading = store.load(reading_id)
        except DataError as error:
            damaged[reading_id] = error
            continue
        labels = reading.table("truth" if reading.table("truth").num_rows else "findings")
        present = labels.filter(pc.equal(labels["present"], True)).column("label").to_pylist()
        candidates.append(
            Candidate(
                reading_id=reading_id,
                patient_key=reading.meta.patient_key,
                stratum=f"{reading.meta.source_format}/{min(present, default='')}",
            )
        )
        stages = sorted((store.folder(reading_id) / "stages").glob("*/stage.json"))
        hashes.append([reading_id, store.source_hash(reading_id), *(sha256_of(path) for path in stages)])
    export = config.export
    shares = {
        "train": export.split_train,
        "validate": export.split_validate,
        "test": 1.0 - export.split_train - export.split_validate,
    }
    split_of = assign_splits(candidates, shares, seed=export.seed)
    permissions = {reading_id: admission.permissions[reading_id] for reading_id in split_of}
    tier = dataset_tier(permissions, export.tier)
    key = settings_hash(
        {
            "readings": hashes,
            "permissions": [[i, sorted(p.scopes), p.tier] for i, p in sorted(permissions.items())],
            "config": config.model_dump(mode="json", exclude={"views"}),
            "versions": [EXPORT_CODE_VERSION, SHARD_SCHEMA_VERSION, __version__],
        }
    )
    return ExportPlan(
        reading_ids=tuple(split_of),
        split_of=split_of,
        permissions=permissions,
        held_back=admission.held_back,
        tier=tier,
        picture_salt=_salt(store, key) if config.privacy.images == "exclude" else "",
        key=key,
    )


def _salt(store: Store, key: str) -> str:
    """Return 128 bits that nobody can foresee and that the same export has again."""
    return "".join(store.keyed_hash("picture salt", half, key) for half in ("1", "2"))


def _admitted(store: Store, reading_ids: Sequence[str], damaged: dict[str, DataError]) -> Admission:
    metas = []
    for reading_id in sorted(reading_ids):
        try:
            metas.append(store.meta(reading_id))
        except DataError as error:
            damaged[reading_id] = error
    return admit(store, metas)


def shards_of(plan: ExportPlan, readings_per_shard: int) -> Iterator[tuple[str, int, int, list[str]]]:
    """Give (split, number, of how many, reading ids) of every shard."""
    for split in SPLITS:
        ids = sorted(i for i in plan.reading_ids if plan.split_of[i] == split)
        pieces = [ids[a : a + readings_per_shard] for a in range(0, len(ids), readings_per_shard)]
        for number, piece in enumerate(pieces):
            yield split, number, len(pieces), piece

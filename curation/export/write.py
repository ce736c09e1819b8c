"""Write what is planned into a staging folder: shards, originals and the card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curation.config import CurationConfig, config_hash
from curation.decided import with_corrected_words
from curation.decisions import read_decisions
from curation.export.admission import may_show_public_ids, public_ids_of
from curation.export.card import CardFacts, ReadingFacts, dataset_card
from curation.export.croissant import CROISSANT_FILE, croissant
from curation.export.originals import write_original
from curation.export.pictures import Box, encode_png, masked, shrink
from curation.export.plan import ExportPlan, shards_of
from curation.export.rows import GAZE_COLUMNS, RowOptions, build_row
from curation.export.samples import export_gaze
from curation.export.shard_files import open_shard
from curation.export.tables import write_tables
from curation.privacy import Identifiers, Redactor, RowGuard
from curation.privacy.book import IdentifierBook
from curation.privacy.narrowing import narrowed
from gazecapture.files import (
    make_private_folder,
    sha256_of,
    write_bytes_atomically,
    write_json_atomically,
)
from gazecapture.radiograph.decode import Radiograph, load_radiograph
from gazecapture.session.consent import SCOPES
from gazecapture.store import Store
from keyframes.errors import DataError, ImageError
from keyframes.reading import Reading

__all__ = ["LeftBehind", "exported_hashes", "left_behind", "write_all"]


@dataclass(slots=True, kw_only=True)
class LeftBehind:
    """What stayed behind, for `scan_output`: less than 1 kB for each reading."""

    identifiers: IdentifierBook = field(default_factory=IdentifierBook)
    codes: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    def add(
        self, store: Store, reading: Reading, identifiers: Identifiers, guard: RowGuard, options: RowOptions
    ) -> None:
        """Add what stayed behind of one reading, whose row the guard has judged."""
        reading_id = reading.meta.reading_id
        shown = public_ids_of(reading) if options.public_ids else frozenset()
        self.identifiers[reading_id] = Identifiers(names=identifiers.names, ids=identifiers.ids - shown)
        self.codes |= guard.replaced_codes | {store.source_hash(reading_id)}
        self.codes |= set(reading.table("images").column("sha256").to_pylist())
        self.words |= guard.unknown_words


def write_all(
    store: Store,
    staging: Path,
    plan: ExportPlan,
    config: CurationConfig,
    progress: Callable[[int, int], None] | None,
    damaged: dict[str, DataError],
    *,
    hash_of: Callable[[Path], str] = sha256_of,
) -> LeftBehind:
    """Write everything but the manifest into ``staging``; return what the scan must look for.

    hash_of : gives the SHA-256 of a finished file.

    A reading that cannot be read goes into ``damaged``, and what was written is of no use then.
    """
    removed = LeftBehind()
    lexicon = config.privacy.lexicon()
    metas, n_keyframes, n_fixations, done = [], 0, 0, 0
    profiles: set[str] = set()
    schemes: set[str] = set()
    for split, number, total, ids in shards_of(plan, config.export.readings_per_shard):
        stem = f"{split}-{number:05d}-of-{total:05d}"
        with open_shard(staging, stem, config.export, config.export.formats) as rows:
            for reading_id in ids:
                try:
                    reading = _what_may_leave(store, reading_id, plan, config)
                    radiographs = _radiographs(store, reading)
                    identifiers = Identifiers.of(radiographs.values())
                    guard = _guard(
                        store, reading, Redactor(identifiers=identifiers, lexicon=lexicon), plan, config
                    )
                    masks = _masks(store, reading)
                    options = _row_options(reading, plan, config, guard)
                    row = build_row(reading, _greys(radiographs, masks), options)
                    rows.add(row)
                    export_gaze(staging, reading, config.privacy.gaze_tier, plan.permissions[reading_id])
                    if config.privacy.images == "include" and config.privacy.originals:
                        _write_originals(store, reading, staging, masks, patient=row["patient_key"])
                except DataError as error:
                    damaged[reading_id] = error
                    continue
                removed.add(store, reading, identifiers, guard, options)
                metas.append(ReadingFacts.of(reading.meta))
                n_keyframes += len(row["keyframes"])
                profiles |= {frame["profile"] for frame in row["keyframes"]}
                schemes |= {row["region_scheme"]} - {None}
                n_fixations += len(row["fixations"])
                done += 1
                if progress is not None:
                    progress(done, len(plan.reading_ids))
    if 0 < done == len(plan.reading_ids):
        write_tables(staging)
    facts = CardFacts(
        metas=metas,
        splits=plan.split_of,
        n_keyframes=n_keyframes,
        n_fixations=n_fixations,
        keyframe_profiles=profiles,
        region_schemes=schemes,
        config_hash=config_hash(config),
        access_tier=plan.tier,
        gaze_tier=config.privacy.gaze_tier,
        authors=config.export.authors,
    )
    write_bytes_atomically(staging / "README.md", dataset_card(facts).encode())
    write_json_atomically(staging / CROISSANT_FILE, croissant(staging, facts, hash_of=hash_of))
    return removed


def left_behind(store: Store, plan: ExportPlan, config: CurationConfig) -> LeftBehind:
    """Return what stayed behind when the shards of this plan were written, without making their pictures again."""
    removed = LeftBehind()
    lexicon = config.privacy.lexicon()
    for reading_id in plan.reading_ids:
        reading = _what_may_leave(store, reading_id, plan, config)
        identifiers = Identifiers.of(_radiographs(store, reading).values())
        guard = _guard(store, reading, Redactor(identifiers=identifiers, lexicon=lexicon), plan, config)
        options = _row_options(reading, plan, config, guard)
        build_row(reading, {}, options)
        removed.add(store, reading, identifiers, guard, options)
    return removed


def _what_may_leave(store: Store, reading_id: str, plan: ExportPlan, config: CurationConfig) -> Reading:
    # Of samples that no file of the dataset will hold the columns behind the rows are enough.
    few = GAZE_COLUMNS if config.privacy.gaze_tier == "fixations" else None
    reading = store.load(reading_id, gaze_columns=few)
    decided = with_corrected_words(reading, read_decisions(store.folder(reading_id)))
    return narrowed(decided, plan.permissions[reading_id], config.privacy.gaze_tier)


def _guard(
    store: Store, reading: Reading, redactor: Redactor, plan: ExportPlan, config: CurationConfig
) -> RowGuard:
    meta = reading.meta
    computed = {meta.reading_id, meta.patient_key, meta.study_key, meta.session_id, config_hash(config)}
    computed.add(plan.repeat_of.get(meta.reading_id, ""))
    return RowGuard(
        redactor=redactor,
        keyed_hash=store.keyed_hash,
        own_ids=computed
        | {plan.repeat_of.get(meta.reading_id, "")}
        | set(reading.table("sentences")["sentence_id"].to_pylist()),
    )


def _row_options(reading: Reading, plan: ExportPlan, config: CurationConfig, guard: RowGuard) -> RowOptions:
    permission = plan.permissions[reading.meta.reading_id]
    return RowOptions(
        split=plan.split_of[reading.meta.reading_id],
        access_tier=permission.tier,
        gaze_tier=config.privacy.gaze_tier,
        repeat_of=plan.repeat_of.get(reading.meta.reading_id, ""),
        consent_scopes=tuple(scope for scope in SCOPES if scope in permission.scopes),
        public_ids=may_show_public_ids(reading.meta.source_format, plan.tier),
        config_hash=config_hash(config),
        with_images=config.privacy.images == "include",
        with_keyframe_pictures=config.export.keyframe_pictures,
        picture_salt=plan.picture_salt,
        picture_max_side_px=config.export.picture_max_side_px,
        keyframe_max_side_px=config.export.keyframe_max_side_px,
        guard=guard,
    )


def _radiographs(store: Store, reading: Reading) -> dict[int, Radiograph]:
    paths = {}
    for row in reading.table("images").select(["image_index", "file"]).to_pylist():
        index = int(row["image_index"])
        paths[index] = store.image_path(reading.meta.reading_id, index)
        if paths[index] is None and row["file"] is not None:
            raise ImageError(
                f"picture {index} of the reading is missing from the store",
                hint="Ingest the reading again.",
                record=reading.meta.reading_id,
            )
    return {index: load_radiograph(path) for index, path in paths.items() if path is not None}


def exported_hashes(store: Store, reading_id: str, config: CurationConfig) -> set[str]:
    """Return the SHA-256 of the reading's pictures as an export would write them. Raises DataError."""
    reading = store.load(reading_id)
    greys = _greys(_radiographs(store, reading), _masks(store, reading))
    longest_px = config.export.picture_max_side_px
    return {hashlib.sha256(encode_png(shrink(grey, longest_px))).hexdigest() for grey in greys.values()}


def _masks(store: Store, reading: Reading) -> dict[int, Sequence[Box]]:
    """Return, by picture, the boxes that a reviewer wants masked."""
    decisions = read_decisions(store.folder(reading.meta.reading_id))
    indexes = reading.table("images").column("image_index").to_pylist()
    return {index: decisions.burned_in(index) or () for index in indexes}


def _greys(
    radiographs: Mapping[int, Radiograph], masks: Mapping[int, Sequence[Box]]
) -> dict[int, NDArray[np.uint8]]:
    return {
        index: masked(radiograph.grey8(), masks[index], fill=0) for index, radiograph in radiographs.items()
    }


def _write_originals(
    store: Store, reading: Reading, staging: Path, masks: Mapping[int, Sequence[Box]], *, patient: str
) -> None:
    folder = make_private_folder(staging / "images")
    for index in reading.table("images").column("image_index").to_pylist():
        source = store.image_path(reading.meta.reading_id, index)
        if source is not None:
            write_original(
                source,
                folder / f"{reading.meta.reading_id}_{index}",
                patient=patient,
                pseudonym=store.keyed_hash,
                masks=masks[index],
            )

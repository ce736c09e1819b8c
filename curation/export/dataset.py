"""Write a dataset: shards, originals, card and manifest, scanned before anything gets its final name."""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.config import CurationConfig, config_hash, settings_hash
from curation.decisions import read_decisions
from curation.export.card import CardFacts, dataset_card
from curation.export.originals import write_original
from curation.export.pictures import Box, masked
from curation.export.rows import RowOptions, build_row
from curation.export.scan import scan_output
from curation.export.schema import SHARD_SCHEMA_VERSION
from curation.export.shards import Hdf5ShardWriter, ParquetShardWriter, ShardWriter
from curation.export.splits import SPLITS, Candidate, assign_splits
from curation.manifest import Failure
from curation.privacy import Identifiers, Redactor, RowGuard, load_lexicon
from gazecapture import __version__
from gazecapture.files import (
    claim_output_folder,
    make_private_folder,
    sha256_of,
    write_bytes_atomically,
    write_json_atomically,
)
from gazecapture.radiograph.decode import Radiograph, load_radiograph
from gazecapture.store import Store
from keyframes.errors import DataError, ImageError, PrivacyError
from keyframes.reading import Reading

__all__ = ["MANIFEST", "ExportSummary", "export_dataset"]

logger = logging.getLogger(__name__)

MANIFEST = "dataset.json"
EXPORT_CODE_VERSION = "2"
"""Raised by hand whenever the written bytes change for unchanged input."""
_PARTS = ("readings", "hdf5", "images", "README.md")
_OWN_NAMES = "names"
"""The setting whose keys are not ours: what a source calls a region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSummary:
    """What an export did."""

    n_readings: int
    """0 where every reading failed: nothing was written."""
    n_by_split: Mapping[str, int]
    n_files: int
    n_bytes: int
    up_to_date: bool
    """The dataset already held exactly this; nothing was written."""
    failed: tuple[Failure, ...] = ()
    """Readings that are damaged in the store; the dataset is without them."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready values."""
        return {
            **asdict(self),
            "n_by_split": dict(self.n_by_split),
            "failed": [failure.model_dump() for failure in self.failed],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    reading_ids: tuple[str, ...]
    split_of: Mapping[str, str]
    key: str


@dataclass(slots=True, kw_only=True)
class _Removed:
    """What stayed behind, for `scan_output`."""

    identifiers: dict[str, Identifiers] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


def export_dataset(
    store: Store,
    out: Path,
    *,
    reading_ids: Sequence[str],
    config: CurationConfig,
    progress: Callable[[int, int], None] | None = None,
) -> ExportSummary:
    """Write the given readings, whose stages are done, to dataset folder ``out``.

    Nothing changes in ``out`` before all is written beside it and scanned; a second call with the same input
    writes nothing. Memory does not grow with the dataset.

    A reading that cannot be read any more fails alone: the dataset is written without it; where none is left, no
    dataset is written.

    Raises PrivacyError where the scan finds an identifier (no dataset is left then, not even an older one with
    the same manifest), UsageError for a foreign folder.
    """
    claim_output_folder(out, kind="dataset")
    for leftover in out.glob(".*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    damaged: dict[str, DataError] = {}
    while True:
        plan = _make_plan(store, [i for i in reading_ids if i not in damaged], config, damaged)
        if not plan.reading_ids and damaged:
            return _summary(plan, {"files": []}, damaged, up_to_date=False)
        manifest = _manifest_of(out)
        if manifest.get("key") == plan.key and all((out / f["path"]).is_file() for f in manifest["files"]):
            return _summary(plan, manifest, damaged, up_to_date=True)
        summary = _export(store, out, plan, config, progress, damaged)
        if summary is not None:
            return summary


def _export(
    store: Store,
    out: Path,
    plan: _Plan,
    config: CurationConfig,
    progress: Callable[[int, int], None] | None,
    damaged: dict[str, DataError],
) -> ExportSummary | None:
    """Write what is planned; None, and nothing written, where readings had to be added to ``damaged``.

    Splits and shards are planned over all readings, so that one which drops out asks for another plan.
    """
    staging = make_private_folder(out / f".{uuid.uuid4().hex[:8]}.partial")
    try:
        n_damaged = len(damaged)
        removed = _write_all(store, staging, plan, config, progress, damaged)
        if len(damaged) > n_damaged:
            return None
        manifest = _manifest(staging, plan, config)
        write_json_atomically(staging / MANIFEST, manifest)
        hits = scan_output(
            staging,
            removed.identifiers,
            _private_strings(store, config),
            # A picture that leaves as it was stored has told its hash by itself.
            codes=removed.codes - {file["sha256"] for file in manifest["files"]},
            words=removed.words,
        )
        if hits:
            raise PrivacyError(
                f"the finished output holds what must stay in the store: {'; '.join(hits[:3])}",
                hint="No dataset was written. Look at the readings' texts, then run again.",
                record=f"{len(hits)} files",
            )
        _put_in_place(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return _summary(plan, manifest, damaged, up_to_date=False)


def _make_plan(
    store: Store, reading_ids: Sequence[str], config: CurationConfig, damaged: dict[str, DataError]
) -> _Plan:
    candidates, hashes = [], []
    for reading_id in sorted(reading_ids):
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
    key = settings_hash(
        {
            "readings": hashes,
            "config": config.model_dump(mode="json"),
            "versions": [EXPORT_CODE_VERSION, SHARD_SCHEMA_VERSION, __version__],
        }
    )
    return _Plan(reading_ids=tuple(split_of), split_of=split_of, key=key)


def _write_all(
    store: Store,
    staging: Path,
    plan: _Plan,
    config: CurationConfig,
    progress: Callable[[int, int], None] | None,
    damaged: dict[str, DataError],
) -> _Removed:
    """Write everything but the manifest into ``staging``; return what the scan must look for.

    A reading that cannot be read goes into ``damaged``, and what was written is of no use then.
    """
    removed = _Removed()
    lexicon = config.privacy.lexicon()
    metas, n_keyframes, n_fixations, done = [], 0, 0, 0
    profiles: set[str] = set()
    schemes: set[str] = set()
    for split, number, total, ids in _shards(plan, config.export.readings_per_shard):
        stem = f"{split}-{number:05d}-of-{total:05d}"
        with _writers(staging, stem, config) as writers:
            for reading_id in ids:
                try:
                    reading = store.load(reading_id)
                    radiographs = _radiographs(store, reading)
                    identifiers = Identifiers.of(radiographs.values())
                    guard = RowGuard(
                        redactor=Redactor(identifiers=identifiers, lexicon=lexicon),
                        keyed_hash=store.keyed_hash,
                    )
                    masks = _masks(store, reading)
                    row = build_row(reading, _greys(radiographs, masks), _row_options(split, config, guard))
                    for writer in writers:
                        writer.add(row)
                    if config.privacy.images == "include" and config.privacy.originals:
                        _write_originals(store, reading, staging, masks, patient=row["patient_key"])
                except DataError as error:
                    damaged[reading_id] = error
                    continue
                removed.identifiers[reading_id] = identifiers
                removed.codes |= guard.replaced_codes | {store.source_hash(reading_id)}
                removed.codes |= set(reading.table("images").column("sha256").to_pylist())
                removed.words |= guard.unknown_words
                metas.append(reading.meta)
                n_keyframes += len(row["keyframes"])
                profiles |= {frame["profile"] for frame in row["keyframes"]}
                schemes |= {row["region_scheme"]} - {None}
                n_fixations += len(row["fixations"])
                done += 1
                if progress is not None:
                    progress(done, len(plan.reading_ids))
    facts = CardFacts(
        metas=metas,
        splits=plan.split_of,
        n_keyframes=n_keyframes,
        n_fixations=n_fixations,
        keyframe_profiles=profiles,
        region_schemes=schemes,
        config_hash=config_hash(config),
    )
    write_bytes_atomically(staging / "README.md", dataset_card(facts).encode())
    return removed


def _shards(plan: _Plan, readings_per_shard: int) -> Iterator[tuple[str, int, int, list[str]]]:
    """Give (split, number, of how many, reading ids) of every shard."""
    for split in SPLITS:
        ids = sorted(i for i in plan.reading_ids if plan.split_of[i] == split)
        pieces = [ids[a : a + readings_per_shard] for a in range(0, len(ids), readings_per_shard)]
        for number, piece in enumerate(pieces):
            yield split, number, len(pieces), piece


@contextmanager
def _writers(staging: Path, stem: str, config: CurationConfig) -> Iterator[list[ShardWriter]]:
    export = config.export
    writers: list[ShardWriter] = []
    with ExitStack() as stack:
        if "parquet" in export.formats:
            path = make_private_folder(staging / "readings") / f"{stem}.parquet"
            writers.append(
                ParquetShardWriter(
                    path, row_group_bytes=export.row_group_mib << 20, row_group_rows=export.row_group_rows
                )
            )
        if "hdf5" in export.formats:
            writers.append(Hdf5ShardWriter(make_private_folder(staging / "hdf5") / f"{stem}.h5"))
        for writer in writers:
            stack.callback(writer.close)
        yield writers


def _row_options(split: str, config: CurationConfig, guard: RowGuard) -> RowOptions:
    return RowOptions(
        split=split,
        config_hash=config_hash(config),
        with_images=config.privacy.images == "include",
        with_keyframe_pictures=config.export.keyframe_pictures,
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


def _private_strings(store: Store, config: CurationConfig) -> list[str]:
    """Return what may stand nowhere in the output, apart from what the headers give."""
    # With a separator at its end: a home folder "/root" must not be found in "apex/root".
    return [
        f"{store.root.resolve()}",
        f"{Path.home()}{os.sep}",
        store.pseudonym_key.hex(),
        *map(str, _paths_in(config.model_dump())),
    ]


def _paths_in(settings: Any) -> Iterator[Path]:
    if isinstance(settings, Path):
        yield settings.absolute()
    elif isinstance(settings, Mapping | list | tuple):
        for value in settings.values() if isinstance(settings, Mapping) else settings:
            yield from _paths_in(value)


def _manifest_of(out: Path) -> dict[str, Any]:
    try:
        content = json.loads((out / MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and isinstance(content.get("files"), list) else {}


def _manifest(staging: Path, plan: _Plan, config: CurationConfig) -> dict[str, Any]:
    files = [
        {
            "path": path.relative_to(staging).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(p for p in staging.rglob("*") if p.is_file())
    ]
    return {
        "schema_version": SHARD_SCHEMA_VERSION,
        "tool_version": __version__,
        "key": plan.key,
        "config": _shareable(config.model_dump(), Redactor(lexicon=load_lexicon())),
        "n_readings": len(plan.reading_ids),
        "files": files,
    }


def _shareable(settings: Any, redactor: Redactor) -> Any:
    """Return settings, JSON-ready, without what a lab's own files and names in them would tell."""
    if isinstance(settings, Mapping):
        return {
            name: {redactor(k): _shareable(v, redactor) for k, v in value.items()}
            if name == _OWN_NAMES
            else _shareable(value, redactor)
            for name, value in settings.items()
        }
    if isinstance(settings, list | tuple):
        return [_shareable(value, redactor) for value in settings]
    if isinstance(settings, Path):
        return "(a file)"
    return redactor(settings) if isinstance(settings, str) else settings


def _put_in_place(staging: Path, out: Path) -> None:
    """Swap the new parts in; without its manifest, which goes first and comes last, a dataset does not count."""
    (out / MANIFEST).unlink(missing_ok=True)
    for part in _PARTS:
        old, new = out / part, staging / part
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
        if new.exists():
            new.replace(old)
    (staging / MANIFEST).replace(out / MANIFEST)


def _summary(
    plan: _Plan, manifest: Mapping[str, Any], damaged: Mapping[str, DataError], *, up_to_date: bool
) -> ExportSummary:
    splits = list(plan.split_of.values())
    return ExportSummary(
        n_readings=len(splits),
        n_by_split={split: splits.count(split) for split in SPLITS},
        n_files=len(manifest["files"]),
        n_bytes=sum(int(f["bytes"]) for f in manifest["files"]),
        up_to_date=up_to_date,
        failed=tuple(
            Failure.of(error, reading_id=name, stage="export") for name, error in sorted(damaged.items())
        ),
    )

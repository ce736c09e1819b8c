"""Write a dataset: planned, written beside its place, scanned, and only then given its final name."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from curation.config import CurationConfig
from curation.export.dataset_views import ViewRequest, add_views, requested_views, write_views
from curation.export.place import make_manifest, private_strings
from curation.export.plan import ExportPlan, make_plan
from curation.export.scan import scan_output
from curation.export.splits import SPLITS
from curation.export.switch import MANIFEST, complete_switch, manifest_of, staging_folder, switch
from curation.export.write import LeftBehind, left_behind, write_all
from curation.funnel import Funnel
from curation.manifest import Failure
from gazecapture.files import claim_output_folder, sha256_of, write_json_atomically
from gazecapture.store import Store
from keyframes.errors import DataError, PrivacyError

__all__ = ["MANIFEST", "ExportSummary", "export_dataset"]


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
    held_back: Mapping[str, str] = field(default_factory=dict)
    """Reading id -> why its reader's consent does not let it out; the dataset is without them."""

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready values."""
        return {
            **asdict(self),
            "n_by_split": dict(self.n_by_split),
            "failed": [failure.model_dump() for failure in self.failed],
            "held_back": dict(self.held_back),
        }


def export_dataset(
    store: Store,
    out: Path,
    *,
    reading_ids: Sequence[str],
    config: CurationConfig,
    views: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    funnel: Funnel | None = None,
) -> ExportSummary:
    """Write the given readings, whose stages are done, to dataset folder ``out``.

    views : names of views to write beside those that the settings name and those that the dataset has. Where only
            views are missing, the shards stay as they are.
    funnel : what became of all readings of the store, these being kept; its counts go into the manifest, for the
             report.

    Nothing changes in ``out`` before all is written beside it and scanned; a second call with the same input
    writes nothing, and one with other counts in ``funnel`` nothing else. Memory does not grow with the dataset.

    A reading that cannot be read any more fails alone, and one whose reader did not agree is held back: the dataset is
    written without it; where none is left, no dataset is written.

    Raises PrivacyError where the scan finds an identifier, and where a reading may not go to the tier that
    ``[export] tier`` asks for (an older dataset stays as it was); UsageError for a foreign folder.
    """
    claim_output_folder(out, kind="dataset")
    complete_switch(out)
    damaged: dict[str, DataError] = {}
    while True:
        plan = make_plan(store, [i for i in reading_ids if i not in damaged], config, damaged)
        if not plan.reading_ids and (damaged or plan.held_back):
            return _summary(plan, {"files": []}, damaged, up_to_date=False)
        manifest = manifest_of(out)
        requests = requested_views(config.views, views, manifest)
        if manifest.get("key") == plan.key and all((out / f["path"]).is_file() for f in manifest["files"]):
            whole = _with_views(store, out, plan, config, manifest, requests)
            _count_anew(out, whole, _counts(funnel, plan, damaged))
            return _summary(plan, whole, damaged, up_to_date=whole is manifest)
        summary = _export(store, out, plan, config, requests, progress, damaged, funnel)
        if summary is not None:
            return summary


def _export(
    store: Store,
    out: Path,
    plan: ExportPlan,
    config: CurationConfig,
    requests: Sequence[ViewRequest],
    progress: Callable[[int, int], None] | None,
    damaged: dict[str, DataError],
    funnel: Funnel | None,
) -> ExportSummary | None:
    """Write what is planned; None, and nothing written, where readings had to be added to ``damaged``.

    Splits and shards are planned over all readings, so that one which drops out asks for another plan.
    """
    staging = staging_folder(out)
    try:
        n_damaged = len(damaged)
        hash_of = functools.cache(sha256_of)  # catalogue and manifest name the same shards
        removed = write_all(store, staging, plan, config, progress, damaged, hash_of=hash_of)
        if len(damaged) > n_damaged:
            return None
        views_of = write_views(staging, staging, requests, plan.key)
        manifest = make_manifest(staging, plan, config, views_of, hash_of=hash_of)
        if (counts := _counts(funnel, plan, damaged)) is not None:
            manifest["funnel"] = counts
        write_json_atomically(staging / MANIFEST, manifest)
        _check_output(store, staging, config, removed, manifest["files"])
        switch(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return _summary(plan, manifest, damaged, up_to_date=False)


def _counts(
    funnel: Funnel | None, plan: ExportPlan, damaged: Mapping[str, DataError]
) -> dict[str, Any] | None:
    """Return what a manifest says of the readings that came in; None where nobody counted them."""
    if funnel is None:
        return None
    failures = [Failure.of(e, reading_id=name, stage="export") for name, e in damaged.items()]
    return funnel.after_export(failed=failures, held_back=plan.held_back.values()).to_dict()


def _count_anew(out: Path, manifest: Mapping[str, Any], counts: dict[str, Any] | None) -> None:
    """Put other counts into the manifest of a dataset that holds all that it should."""
    if counts is not None and manifest.get("funnel") != counts:
        write_json_atomically(out / MANIFEST, {**manifest, "funnel": counts})


def _with_views(
    store: Store,
    out: Path,
    plan: ExportPlan,
    config: CurationConfig,
    manifest: dict[str, Any],
    requests: Sequence[ViewRequest],
) -> dict[str, Any]:
    """Write the views that a finished dataset lacks; return its manifest, the same one if it lacks none."""

    def check(staging: Path) -> None:
        _check_output(store, staging, config, left_behind(store, plan, config), manifest["files"])

    return add_views(out, manifest, requests, manifest_name=MANIFEST, check=check)


def _check_output(
    store: Store,
    staging: Path,
    config: CurationConfig,
    removed: LeftBehind,
    files: Sequence[Mapping[str, Any]],
) -> None:
    """Scan what was written. Raises PrivacyError where it holds what must stay in the store."""
    hits = scan_output(
        staging,
        removed.identifiers,
        private_strings(store, config),
        # A picture that leaves as it was stored has told its hash by itself.
        codes=removed.codes - {file["sha256"] for file in files},
        words=removed.words,
    )
    if hits:
        raise PrivacyError(
            f"the finished output holds what must stay in the store: {'; '.join(hits[:3])}",
            hint="Nothing was written. Look at the readings' texts, then run again.",
            record=f"{len(hits)} files",
        )


def _summary(
    plan: ExportPlan, manifest: Mapping[str, Any], damaged: Mapping[str, DataError], *, up_to_date: bool
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
        held_back=plan.held_back,
    )

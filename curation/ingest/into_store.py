"""Putting a source's Readings into the store: new and changed ones are written, the others left as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.consent import Consents
from curation.ingest.bids import BidsIngester
from curation.ingest.egd import EgdIngester
from curation.ingest.mimic_cxr import MimicCxrIngester
from curation.ingest.mimic_cxr_vqa import MimicCxrVqaIngester
from curation.ingest.mimic_eye import MimicEyeIngester
from curation.ingest.ms_cxr import MsCxrIngester
from curation.ingest.protocol import CountsReadings, Ingested, Ingester
from curation.ingest.reflacx import ReflacxIngester
from curation.ingest.session import SessionIngester
from curation.ingest.trackers import EYELINK_ASC_INGESTER, NEON_INGESTER, TOBII_TSV_INGESTER
from curation.ingest.xdf import XdfIngester
from curation.manifest import Failure, ManifestLine, append_lines
from curation.tombstones import Tombstones
from gazecapture.session.decisions import copy_decisions
from gazecapture.store import DECISIONS_FILE, Store
from keyframes.errors import DataError, DiskFullError, ExitCode, GazeToolError
from keyframes.reading import SOURCE_TABLES, Reading

__all__ = ["INGESTERS", "IngestSummary", "ingest"]

INGESTERS: dict[str, Ingester] = {
    "session": SessionIngester(),
    "reflacx": ReflacxIngester(),
    "eyelink-asc": EYELINK_ASC_INGESTER,
    "tobii-tsv": TOBII_TSV_INGESTER,
    "neon": NEON_INGESTER,
    "egd": EgdIngester(),
    "mimic-eye": MimicEyeIngester(),
    "xdf": XdfIngester(),
    "bids": BidsIngester(),
    "mimic-cxr": MimicCxrIngester(),
    "ms-cxr": MsCxrIngester(),
    "mimic-cxr-vqa": MimicCxrVqaIngester(),
}
"""By the name that ``--format`` takes."""
_STAGE = "ingest"

Progress = Callable[[int, int, int], None]
"""Called with (done, all, failures); counted are readings where the ingester can count them beforehand, else units."""


@dataclass(slots=True, kw_only=True)
class IngestSummary:
    """What became of every reading of the source."""

    n_units: int
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Were in the store with other content; their stages are to be done again."""
    unchanged: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    """``reading_id`` holds the label in the source: there is no id yet."""

    @property
    def exit_code(self) -> ExitCode:
        """3 where some failed, else 0."""
        return ExitCode.SOME_FAILED if self.failed else ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-ready values."""
        return {
            "n_units": self.n_units,
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "failed": [failure.model_dump() for failure in self.failed],
        }


def ingest(
    store: Store,
    ingester: Ingester,
    units: list[Path],
    *,
    fail_fast: bool = False,
    progress: Progress | None = None,
) -> IngestSummary:
    """Put the readings of ``units`` into the store. The caller holds the store's lock.

    A reading that was forgotten is refused (GT-FORGOTTEN). One bad reading or unit never stops the others, unless
    ``fail_fast``. Raises DiskFullError where there is no room left, and the first failure itself where nothing at all
    could be ingested.
    """
    summary = IngestSummary(n_units=len(units))
    key = store.pseudonym_key
    tombstones, consents = Tombstones.of(store), Consents.of(store)
    first: GazeToolError | None = None
    sizes = [ingester.count(unit) if isinstance(ingester, CountsReadings) else 1 for unit in units]
    n_done = 0
    for unit, size in zip(units, sizes, strict=True):
        if progress is not None:
            progress(n_done, sum(sizes), len(summary.failed))
        for n_here, item in enumerate(ingester.readings(unit, key=key), start=1):
            if item.consent is not None and not tombstones.has("reader", item.consent.reader_code):
                consents = consents.put(item.consent)
            error = _put(store, item, summary, tombstones)
            if error is not None:
                first = first or error
                summary.failed.append(Failure.of(error, reading_id=item.label, stage=_STAGE))
                if fail_fast:
                    raise error
            if progress is not None and n_here < size:
                progress(n_done + n_here, sum(sizes), len(summary.failed))
        n_done += size
    if progress is not None:
        progress(sum(sizes), sum(sizes), len(summary.failed))
    if first is not None and not (summary.added or summary.changed or summary.unchanged):
        raise first
    return summary


def _put(
    store: Store, item: Ingested, summary: IngestSummary, tombstones: Tombstones
) -> GazeToolError | None:
    """Write one reading where it is new or changed; return what is wrong with it, if anything."""
    reading = item.reading
    if item.error is not None or reading is None:
        return item.error or DataError("the source gave neither a reading nor a reason", code="GT-INGEST")
    reading_id = reading.meta.reading_id
    try:
        tombstones.refuse(reading_id=reading_id, reader_code=reading.meta.reader_code)
        known = store.has(reading_id)
        unchanged = known and _same(store, reading)
        if not unchanged:
            store.add(reading, item.images)
        copy_decisions(item.decisions, store.folder(reading_id) / DECISIONS_FILE)
        if unchanged:
            summary.unchanged.append(reading_id)
            return None
    except DiskFullError:
        raise
    except GazeToolError as error:
        return error
    append_lines(store.root, [ManifestLine(reading_id=reading_id, stage=_STAGE, verdict="ok")])
    (summary.changed if known else summary.added).append(reading_id)
    return None


def _same(store: Store, reading: Reading) -> bool:
    """Say whether the store holds this very reading; a picture's content is told by its SHA-256."""
    try:
        stored = store.load(reading.meta.reading_id)
    except GazeToolError:
        return False
    if stored.meta != reading.meta:
        return False
    for name in SOURCE_TABLES:
        ours, theirs = reading.table(name), stored.table(name)
        if name == "images":  # the store sets the file names
            attached = all(
                store.image_path(reading.meta.reading_id, int(row["image_index"])) is not None
                for row in theirs.to_pylist()
                if row["file"] is not None
            )
            if not attached:
                return False
            ours, theirs = ours.drop_columns(["file"]), theirs.drop_columns(["file"])
        if not _equal(ours, theirs):
            return False
    return True


def _equal(a: pa.Table, b: pa.Table) -> bool:
    """Compare two tables; unlike `pyarrow.Table.equals`, lost gaze (NaN) equals lost gaze."""
    if a.schema != b.schema or a.num_rows != b.num_rows:
        return False
    for left, right in zip(a.columns, b.columns, strict=True):
        if pa.types.is_floating(left.type):
            if left.null_count != right.null_count or not np.array_equal(
                left.to_numpy(), right.to_numpy(), equal_nan=True
            ):
                return False
        elif not left.equals(right):
            return False
    return True

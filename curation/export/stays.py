"""What of a store may not be in a dataset, as the store is now: names and ids, replaced codes, redacted words."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from curation.config import CurationConfig, remembered_config
from curation.export.admission import public_ids_of
from curation.export.contents import rows_in
from curation.export.plan import make_plan
from curation.export.switch import manifest_of
from curation.export.write import LeftBehind, left_behind
from curation.exports import export_config
from curation.privacy import Identifiers
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.store import Store
from keyframes.errors import DataError, GazeToolError

__all__ = ["what_stays"]


def what_stays(store: Store, dataset: Path) -> tuple[LeftBehind, CurationConfig]:
    """Return what the readings of a store leave behind, and the settings that the dataset was written by.

    Readings that are not in the dataset count as well. A reading that cannot be read any more names nobody.
    """
    rows, manifest = rows_in(dataset), manifest_of(dataset)
    known = [config for h in {row.config_hash for row in rows} if (config := export_config(store.root, h))]
    config = known[0] if known else remembered_config(store.root)
    damaged: dict[str, DataError] = {}
    there = sorted({row.reading_id for row in rows if store.has(row.reading_id)})
    any_tier = config.model_copy(update={"export": config.export.model_copy(update={"tier": None})})
    plan = make_plan(store, there, any_tier, damaged)
    plan = replace(plan, tier=manifest.get("access_tier", plan.tier))
    kept = left_behind(store, plan, config)
    public: set[str] = set()
    for reading_id in store.reading_ids():
        with contextlib.suppress(GazeToolError):
            reading = store.load(reading_id)
            public |= public_ids_of(reading)
            if reading_id not in kept.identifiers:
                paths = [
                    store.image_path(reading_id, i)
                    for i in reading.table("images")["image_index"].to_pylist()
                ]
                kept.identifiers[reading_id] = Identifiers.of(
                    load_radiograph(p) for p in paths if p is not None
                )
    for reading_id, own in kept.identifiers.items():
        if reading_id not in plan.reading_ids:
            kept.identifiers[reading_id] = Identifiers(names=own.names, ids=own.ids - public)
    # A picture that leaves as it was stored has told its hash by itself.
    kept.codes -= {str(file["sha256"]) for file in manifest.get("files", ())}
    return kept, config

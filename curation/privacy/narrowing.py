"""What of a reading is left where its reader did not agree to all of it, and at each tier of gaze.

Export narrows every reading before anything is made of it, so that rows, samples and views cannot differ in this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.consent import Permission
from curation.ingest.terms import has_no_gaze
from curation.privacy.gaze_tier import PUPIL_COLUMNS, GazeTier
from keyframes.reading import Reading, Tracker, empty_table

__all__ = ["GAZE_TABLES", "WORD_TABLES", "gaze_tier_of", "narrowed"]

GAZE_TABLES: Final = (
    "gaze", "display", "validations", "events", "event_regions", "keyframes", "trajectory", "region_coverage",
    "letter_coverage", "transitions", "inspection", "lesion_gaze",
)  # fmt: skip
"""What the eyes and the hands at the viewer did, and what is made of it."""
WORD_TABLES: Final = ("words", "sentences")
_SILENT_SOURCES = frozenset({"typed"})
"""Words that nobody spoke."""
_OF_THE_READING = frozenset({"duration"})
"""Quality figures that say nothing of the gaze."""
_OF_THE_WORDS = frozenset({"dictation_overlap"})
_FINER_THAN_120_HZ: Final[Mapping[str, float]] = MappingProxyType(
    {"peak_velocity_deg_per_s": float("nan"), "mean_velocity_deg_per_s": float("nan")}
)
"""Columns of events that are measured at the full rate; samples of 120 Hz do not have them."""


def narrowed(reading: Reading, permission: Permission, tier: GazeTier) -> Reading:
    """Return what of a reading may leave the store.

    No gaze: no table of what the eyes did, nor of the tracker, nor issues, which tell of it; those of datasets in which
    no eye was followed stay. No pupil: every pupil NaN. No audio: no spoken words, no sentences, no key frames of
    sentences. Tier fixations: no other events; tier 120hz: no velocities. The samples themselves stay in table
    ``gaze``, which only `curation.privacy.gaze_tier.samples_for_tier` may give out.
    """
    present = set(reading.tables)
    if not permission.gaze:
        empty: dict[str, pa.Table] = {name: empty_table(name) for name in GAZE_TABLES if name in present}
        if "quality" in present:
            empty["quality"] = _only(reading.table("quality"), "metric", _OF_THE_READING)
        if "issues" in present and not has_no_gaze(reading.meta.source_format):
            empty["issues"] = empty_table("issues")
        reading = replace(reading, meta=replace(reading.meta, tracker=Tracker(), n_samples_expected=None))
        reading = reading.with_tables(**empty)
    elif not permission.pupil:
        reading = reading.with_tables(gaze=_without_pupil(reading.table("gaze")))
    if not permission.words and not _is_typed(reading):
        reading = reading.with_tables(**_without_words(reading))
    if "events" in present and tier != "raw":
        reading = reading.with_tables(events=_coarser(reading.table("events"), tier))
    return reading


def gaze_tier_of(reading: Reading, tier: GazeTier) -> str:
    """Return what a row of the narrowed reading says of its gaze: the tier, or none where there is no gaze."""
    return tier if reading.table("gaze").num_rows else "none"


def _without_pupil(gaze: pa.Table) -> pa.Table:
    nan, unit = pa.array(np.full(gaze.num_rows, np.nan)), pa.array(["none"] * gaze.num_rows, pa.string())
    unknown = {**dict.fromkeys(PUPIL_COLUMNS, nan), "pupil_unit": unit}
    for name in unknown.keys() & set(gaze.column_names):  # of a table read in part some are not there
        values = unknown[name]
        gaze = gaze.set_column(gaze.column_names.index(name), gaze.schema.field(name), values)
    return gaze


def _is_typed(reading: Reading) -> bool:
    return set(reading.table("words")["source"].to_pylist()) <= _SILENT_SOURCES


def _without_words(reading: Reading) -> dict[str, pa.Table]:
    tables = {name: empty_table(name) for name in WORD_TABLES if name in reading.tables}
    for name in ("findings", "truth"):
        table = reading.table(name)
        nobody = pa.array([[]] * table.num_rows, pa.list_(pa.string()))
        tables[name] = table.set_column(
            table.column_names.index("sentence_ids"), table.schema.field("sentence_ids"), nobody
        )
    for name in ("keyframes", "quality", "issues"):
        if name in reading.tables:
            table = reading.table(name)
            tables[name] = table.filter(pc.is_null(table["sentence_id"]))
    if "quality" in tables:
        quality = tables["quality"]
        tables["quality"] = quality.filter(
            pc.invert(pc.is_in(quality["metric"], pa.array(sorted(_OF_THE_WORDS))))
        )
    return tables


def _coarser(events: pa.Table, tier: GazeTier) -> pa.Table:
    if tier == "fixations":
        events = _only(events, "kind", frozenset({"fixation"}))
    for name, value in _FINER_THAN_120_HZ.items():
        column = pa.array(np.full(events.num_rows, value))
        events = events.set_column(events.column_names.index(name), events.schema.field(name), column)
    return events


def _only(table: pa.Table, column: str, values: frozenset[str]) -> pa.Table:
    return table.filter(pc.is_in(table[column], pa.array(sorted(values))))

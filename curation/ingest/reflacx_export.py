"""A folder in REFLACX's layout that view ``reflacx`` wrote: its readings are a lab's own, under their own terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from curation.ingest.csv_files import malformed, read_rows
from gazecapture.store import KeyedHash
from keyframes.reading import Reading, Tracker

__all__ = ["EXPORTED", "EXPORTED_COLUMNS", "SOURCE_FORMAT", "exported_readings", "of_an_export"]

EXPORTED: Final = "exported_readings.csv"
"""By this file, beside main_data, an export is told from REFLACX itself, whose terms let readings out."""
EXPORTED_COLUMNS: Final = ("id", "reading_id", "reader_code", "source_licence", "synthetic")
SOURCE_FORMAT: Final = "reflacx-layout"
"""A format without terms of its own: its readings need their reader's consent."""
_CODE_SHAPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MAX_LICENCE_LETTERS: Final = 200


def exported_readings(folder: Path) -> Mapping[str, Mapping[str, str]] | None:
    """Return what an export says of its readings, by id; None where the folder is none. Raises SchemaError."""
    path = folder / EXPORTED
    return {row["id"]: row for row in read_rows(path, EXPORTED_COLUMNS)} if path.exists() else None


def of_an_export(
    reading: Reading, label: str, facts: Mapping[str, Mapping[str, str]], folder: Path, pseudonym: KeyedHash
) -> Reading:
    """Return the reading under its own terms, without what REFLACX alone is known by. Raises SchemaError."""
    row = facts.get(label)
    if row is None or not _CODE_SHAPE.fullmatch(row["reader_code"]) or not row["reading_id"].isalnum():
        malformed("it does not say whose the reading is", folder / EXPORTED, record=label)
    if len(row["source_licence"]) > _MAX_LICENCE_LETTERS or not row["source_licence"].isprintable():
        malformed("a licence is none", folder / EXPORTED, record=label)
    meta = replace(
        reading.meta,
        reading_id=pseudonym(SOURCE_FORMAT, row["reading_id"]),
        source_format=SOURCE_FORMAT,
        reader_code=row["reader_code"],
        study_arm="",
        tracker=Tracker(effective_rate_hz=reading.meta.tracker.effective_rate_hz),
        display=None,
        consent_scopes=(),
        source_licence=row["source_licence"] or "own recording",
        access_tier="local-only",
        synthetic=row["synthetic"] == "True",
        provenance={"tool_version": reading.meta.provenance["tool_version"]},
    )
    images = reading.table("images")
    place = images.column_names.index("public_dicom_id")
    nobody = pa.nulls(images.num_rows, pa.string())
    images = images.set_column(place, images.schema.field("public_dicom_id"), nobody)
    return replace(reading, meta=meta).with_tables(images=images)

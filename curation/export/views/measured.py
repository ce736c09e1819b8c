"""Samples and events of a dataset's readings, for the views that have them; nothing where the gaze tier has none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.samples import EVENTS_FOLDER, SAMPLES_FOLDER
from keyframes.errors import SchemaError

__all__ = ["events_of", "samples_of"]


def samples_of(dataset: Path, reading_id: str) -> pa.Table | None:
    """Return the rows of `curation.export.samples.SAMPLES` of a reading, or None."""
    return _table(dataset / SAMPLES_FOLDER / f"{reading_id}.parquet")


def events_of(dataset: Path, reading_id: str) -> pa.Table | None:
    """Return the rows of `curation.export.samples.EVENT_ROWS` of a reading, or None."""
    return _table(dataset / EVENTS_FOLDER / f"{reading_id}.parquet")


def _table(path: Path) -> pa.Table | None:
    if not path.is_file():
        return None
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SchemaError("a table of samples cannot be read", path=path, hint="Export again.") from error

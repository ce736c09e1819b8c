"""``samples/`` and ``events/``: gaze as measured and all its events, one typed Parquet file per reading.

``t_ns`` is ns since image on (`ReadingMeta.time_origin`). Screen px are physical pixels of the screen, image px those
of the stored matrix; a lost sample is NaN. What the device does not measure at all is null throughout (NaN in pandas,
NA in R). Samples leave the store only where the gaze tier lets them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.consent import Permission
from curation.privacy.gaze_tier import GazeTier, samples_for_tier
from gazecapture.files import as_tool_error, make_private_folder
from keyframes.reading import EVENT_KINDS, Reading

__all__ = [
    "EVENTS_FOLDER",
    "EVENT_ROWS",
    "SAMPLES",
    "SAMPLES_FOLDER",
    "SAMPLES_SCHEMA_VERSION",
    "SamplesWriter",
    "events_table",
    "export_gaze",
    "samples_table",
    "write_events",
    "write_samples",
]

SAMPLES_FOLDER, EVENTS_FOLDER = "samples", "events"
SAMPLES_SCHEMA_VERSION = "1.0"
"""A reader refuses a greater MAJOR; MINOR adds columns."""

ROW_GROUP_ROWS = 131_072
"""One row group holds 131 s at 1000 Hz: mostly a whole reading, and what a reader of windows must decode at once. A
column of it is one page: in pages of 20,000 rows, the default, the codec sees less and needs a fifth more time for a
tenth more bytes."""
ZSTD_LEVEL = 1
"""Levels 3 and more take a tenth longer for 2 to 3 % fewer bytes: the low bytes of measured numbers are noise."""

_F32, _I16, _I32 = pa.float32(), pa.int16(), pa.int32()
_LABEL = pa.dictionary(pa.int8(), pa.string())
_LABELS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "source": ("live", "backfill", "mouse", "simulated", "imported"),
        "combined_by": ("mean_of_valid", "left", "right", "device"),
        "pupil_unit": ("mm", "diameter_au", "area_au", "normalised", "none"),
    }
)
"""The words that these columns may hold (`keyframes.reading.GAZE`); any other leaves as ``other``."""
_OTHER = "other"

SAMPLES = pa.schema(
    [
        pa.field("reading_id", _LABEL, nullable=False),
        pa.field("t_ns", pa.int64(), nullable=False),
        ("x_image_px", _F32),
        ("y_image_px", _F32),
        ("x_screen_px", _F32),
        ("y_screen_px", _F32),
        ("left_x_screen_px", _F32),
        ("left_y_screen_px", _F32),
        ("right_x_screen_px", _F32),
        ("right_y_screen_px", _F32),
        ("pupil", _F32),
        ("left_pupil", _F32),
        ("right_pupil", _F32),
        ("image_px_per_deg_x", _F32),
        ("image_px_per_deg_y", _F32),
        ("eye_distance_mm", _F32),
        pa.field("valid", pa.bool_(), nullable=False),
        ("left_valid", pa.bool_()),
        ("right_valid", pa.bool_()),
        ("image_index", _I16),
        ("viewport_id", _I16),
        ("event_index", _I32),
        pa.field("event_kind", _LABEL, nullable=False),
        pa.field("source", _LABEL, nullable=False),
        pa.field("combined_by", _LABEL, nullable=False),
        pa.field("pupil_unit", _LABEL, nullable=False),
    ]
)
"""One row per sample. x/y_screen_px: of both eyes, as ``combined_by`` says; image_px_per_deg_*: at that moment, zoom
included; image_index: null on no image; event_index: row of ``events/`` that holds the sample, null in none;
event_kind: its kind, else ``none``."""

_RENAMED = MappingProxyType({"image_px_per_deg_x": "px_per_deg_x", "image_px_per_deg_y": "px_per_deg_y"})

EVENT_ROWS = pa.schema(
    [
        pa.field("reading_id", _LABEL, nullable=False),
        pa.field("event_index", _I32, nullable=False),
        pa.field("kind", _LABEL, nullable=False),
        pa.field("t_start_ns", pa.int64(), nullable=False),
        pa.field("t_end_ns", pa.int64(), nullable=False),
        ("image_index", _I16),
        *(
            (name, _F32)
            for name in (
                "x_image_px", "y_image_px", "x_screen_px", "y_screen_px",
                "x_start_screen_px", "y_start_screen_px", "x_end_screen_px", "y_end_screen_px",
                "amplitude_deg", "direction_deg", "peak_velocity_deg_per_s", "mean_velocity_deg_per_s",
                "dispersion_deg", "rms_s2s_deg", "valid_share",
            )
        ),
    ]
)  # fmt: skip
"""One row per event of any kind, half-open in time. Positions are means over the event."""


def export_gaze(dataset: Path, reading: Reading, tier: GazeTier, permission: Permission | None) -> None:
    """Write ``samples/`` and ``events/`` of one reading where the gaze tier and the reader's consent let them out."""
    if permission is None or not permission.gaze:
        return
    gaze = samples_for_tier(reading.table("gaze"), tier, with_pupil=permission.pupil)
    if gaze is None or not gaze.num_rows:
        return
    facts = {"gaze_tier": tier, "time_origin": reading.meta.time_origin}
    name = f"{reading.meta.reading_id}.parquet"
    write_samples(make_private_folder(dataset / SAMPLES_FOLDER) / name, reading, gaze, facts=facts)
    write_events(make_private_folder(dataset / EVENTS_FOLDER) / name, reading, facts=facts)


def samples_table(reading: Reading, gaze: pa.Table | None = None) -> pa.Table:
    """Return the rows of `SAMPLES` of one reading.

    gaze : rows to take in place of the reading's own, as the gaze tier lets them out.
    """
    rows = reading.table("gaze") if gaze is None else gaze
    events = reading.table("events")
    held_by = _event_rows(rows.column("t_ns").to_numpy(), events)
    kinds = np.append(_kind_codes(events), 0).astype(np.int8)  # the last one is for samples in no event
    index = np.append(events.column("event_index").to_numpy(), -1)
    made = {
        "reading_id": _constant(reading.meta.reading_id, rows.num_rows),
        "event_index": pa.array(index[held_by], _I32, mask=held_by < 0),
        "event_kind": pa.DictionaryArray.from_arrays(kinds[held_by], list(EVENT_KINDS)),
        **{name: _label(rows.column(name), known) for name, known in _LABELS.items()},
    }
    columns = [
        made[field.name] if field.name in made else _typed(rows, _RENAMED.get(field.name, field.name), field)
        for field in SAMPLES
    ]
    return pa.table(columns, schema=SAMPLES)


def events_table(reading: Reading) -> pa.Table:
    """Return the rows of `EVENT_ROWS` of one reading."""
    events = reading.table("events")
    made = {
        "reading_id": _constant(reading.meta.reading_id, events.num_rows),
        "kind": pa.DictionaryArray.from_arrays(_kind_codes(events), list(EVENT_KINDS)),
    }
    columns = [
        made[field.name] if field.name in made else events.column(field.name).cast(field.type)
        for field in EVENT_ROWS
    ]
    return pa.table(columns, schema=EVENT_ROWS)


class SamplesWriter:
    """Writes one Parquet file of typed rows, in parts if need be; the same bytes for the same rows.

    Times are DELTA_BINARY_PACKED, floats BYTE_STREAM_SPLIT, labels by dictionary, all zstd, without statistics (they
    would repeat values).
    """

    def __init__(
        self, path: Path, schema: pa.Schema = SAMPLES, *, facts: Mapping[str, str] | None = None
    ) -> None:
        """``facts`` go into the footer beside the schema version."""
        self._path = path
        notes = {"schema_version": SAMPLES_SCHEMA_VERSION, **(facts or {})}
        self._schema = schema.with_metadata({key.encode(): notes[key].encode() for key in sorted(notes)})
        try:
            self._writer = pq.ParquetWriter(
                path,
                self._schema,
                compression="zstd",
                compression_level=ZSTD_LEVEL,
                use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
                column_encoding=_encodings(schema),
                # Rows that the encoder takes at once; its default of 1,024 spends a tenth of the time between them.
                write_batch_size=ROW_GROUP_ROWS,
                max_rows_per_page=ROW_GROUP_ROWS,
                write_statistics=False,
            )
        except OSError as error:
            raise as_tool_error(error, path, "writing samples") from error

    def write(self, rows: pa.Table) -> None:
        """Write rows of the file's schema; they begin a row group of their own."""
        try:
            self._writer.write_table(
                rows.replace_schema_metadata(self._schema.metadata), row_group_size=ROW_GROUP_ROWS
            )
        except OSError as error:
            raise as_tool_error(error, self._path, "writing samples") from error

    def close(self) -> None:
        """Write the footer."""
        try:
            self._writer.close()
        except OSError as error:
            raise as_tool_error(error, self._path, "writing samples") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_samples(
    path: Path, reading: Reading, gaze: pa.Table | None = None, *, facts: Mapping[str, str] | None = None
) -> int:
    """Write the samples of one reading (`samples_table`) and return how many they are."""
    rows = samples_table(reading, gaze)
    with SamplesWriter(path, facts=facts) as writer:
        writer.write(rows)
    return int(rows.num_rows)


def write_events(path: Path, reading: Reading, *, facts: Mapping[str, str] | None = None) -> int:
    """Write the events of one reading (`events_table`) and return how many they are."""
    rows = events_table(reading)
    with SamplesWriter(path, EVENT_ROWS, facts=facts) as writer:
        writer.write(rows)
    return int(rows.num_rows)


def _encodings(schema: pa.Schema) -> dict[str, str]:
    found = {}
    for field in schema:
        if pa.types.is_floating(field.type):
            found[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_integer(field.type):
            found[field.name] = "DELTA_BINARY_PACKED"
    return found


def _typed(rows: pa.Table, name: str, field: pa.Field) -> pa.ChunkedArray:
    """Return a column in its type; null throughout where it holds no number at all, so that it costs nothing."""
    if name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    column = rows.column(name)
    if pa.types.is_floating(field.type):
        if not pc.any(pc.is_finite(column)).as_py():
            return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        column = pc.fill_null(column, float("nan"))
    return column.cast(field.type)


def _event_rows(t_ns: NDArray[np.int64], events: pa.Table) -> NDArray[np.int64]:
    """Return, for each sample, the row of the event that holds it; -1 for none. Events are half-open and disjoint."""
    starts, ends = (events.column(name).to_numpy() for name in ("t_start_ns", "t_end_ns"))
    if not starts.size:
        return np.full(t_ns.size, -1)
    order = np.argsort(starts, kind="stable")
    place = np.searchsorted(starts[order], t_ns, side="right") - 1
    held = (place >= 0) & (t_ns < ends[order][place])
    return np.where(held, order[place], -1)


def _kind_codes(events: pa.Table) -> NDArray[np.int8]:
    code = {kind: place for place, kind in enumerate(EVENT_KINDS)}
    return np.array([code[kind] for kind in events.column("kind").to_pylist()], np.int8)


def _label(column: pa.ChunkedArray, known: Sequence[str]) -> pa.DictionaryArray:
    words = [*known, _OTHER]
    places = pc.index_in(column, value_set=pa.array(known, column.type)).combine_chunks()
    return pa.DictionaryArray.from_arrays(pc.fill_null(places, len(known)).cast(pa.int8()), words)


def _constant(word: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), [word])

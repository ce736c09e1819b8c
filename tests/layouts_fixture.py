"""A reading in which every field says something, written as a shard and read back from the layouts of views."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.export.parquet_shard import ParquetShardWriter
from curation.export.rows import RowOptions, build_row
from curation.export.samples import write_events, write_samples
from curation.export.shards import RowBatches
from keyframes.geometry import Display
from keyframes.reading import SCHEMAS, SOURCE_TABLES, Reading, ReadingMeta, Tracker

N_SAMPLES, STEP_NS = 240, 4_000_000
"""250 Hz; two of the samples never came."""
GAP = (100, 102)
_WORDS = ("the", "heart", "is", "large", ".")


def full_reading(number: int = 1) -> Reading:
    """Return a reading with a value other than the default in every scalar and every column of every table."""
    meta = ReadingMeta(
        reading_id=f"{number:016x}", source_format="session", time_origin="recording_start", reader_code="R07",
        study_key="a" * 16, patient_key="b" * 16, public_patient_id="90000001", public_study_id="95000001",
        session_id="c" * 16, reading_number=3, minutes_into_session=12.5, repeat_of="d" * 16, reader_site="S2",
        duration_ns=1_200_000_000, study_arm="arm A", indication="cough", sex="F", age_band="40-49",
        report_sections={"findings": "clear"},
        tracker=Tracker(name="Eye", manufacturer="Maker", model="Model", profile="eyelink", nominal_rate_hz=251.0,
                        effective_rate_hz=250.0),
        display=Display(width_px=1920, height_px=1080, width_mm=530.0, height_mm=298.0, distance_mm=650.0),
        display_lag_ms=21.5, split_official="validate", consent_scopes=("gaze", "audio"), source_licence="CC BY 4.0",
        access_tier="consented", synthetic=True, n_samples_expected=N_SAMPLES, provenance={"tool_version": "x"},
    )  # fmt: skip
    tables = {name: _filled(name) for name in SCHEMAS} | {
        "gaze": _gaze(),
        "quality": accuracy_table(0.75),
        "findings": _findings(),
        "images": _images(),
        "words": _words(),
    }
    return Reading.build(meta, {**tables, "events": _events()})


def write_shard(dataset: Path, reading: Reading) -> Path:
    """Write the reading as a dataset of one row, as it is: what privacy would take out stays."""
    options = RowOptions(
        split="test", access_tier="open", gaze_tier="raw", config_hash="0" * 16, with_images=False,
        with_keyframe_pictures=False, picture_max_side_px=64, keyframe_max_side_px=64, public_ids=True, guard=dict,
    )  # fmt: skip
    for name in ("readings", "samples", "events"):
        (dataset / name).mkdir(parents=True)
    writer = ParquetShardWriter(
        dataset / "readings" / "test-00000-of-00001.parquet", row_group_bytes=1 << 20, row_group_rows=8
    )
    with RowBatches(writer) as rows:
        rows.add(build_row(reading, {}, options))
    write_samples(dataset / "samples" / f"{reading.meta.reading_id}.parquet", reading)
    write_events(dataset / "events" / f"{reading.meta.reading_id}.parquet", reading)
    return dataset


def accuracy_table(accuracy_deg: float) -> pa.Table:
    """Return what the quality stage says of a reading's accuracy."""
    row = {"metric": "accuracy", "value": accuracy_deg, "unit": "deg", "sentence_id": None}
    return pa.Table.from_pylist([row], schema=SCHEMAS["quality"])


def lost_fields(before: Reading, after: Reading, rounding: Mapping[str, float]) -> set[str]:
    """Return what differs: ``meta.name``, ``meta.tracker.name``, ``table.column``, a table where all of it does.

    rounding : largest difference of a field's numbers that is none, by field; 0 for the others.
    """
    lost = set()
    for name, value in _scalars(before.meta).items():
        if not _same(value, _scalars(after.meta)[name], rounding.get(name, 0.0)):
            lost.add(name)
    for table in SCHEMAS:
        if table not in after.tables:
            lost.add(table)
            continue
        ours, theirs = before.table(table), after.table(table)
        differ = {
            f"{table}.{column}"
            for column in SCHEMAS[table].names
            if not _same(
                ours.column(column).to_pylist(),
                theirs.column(column).to_pylist(),
                rounding.get(f"{table}.{column}", 0.0),
            )
        }
        lost |= {table} if len(differ) == len(SCHEMAS[table]) else differ
    return lost


def default_fields(reading: Reading) -> set[str]:
    """Return fields that say nothing, so that nobody would see that they were lost."""
    unset = {
        f"meta.{field.name}"
        for field in dataclasses.fields(ReadingMeta)
        if field.default is not dataclasses.MISSING and getattr(reading.meta, field.name) == field.default
    }
    for table in SOURCE_TABLES:
        for column in SCHEMAS[table].names:
            values = reading.table(table).column(column).drop_null().to_pylist()
            if not any(value not in ("", []) and value == value for value in values):
                unset.add(f"{table}.{column}")
    return unset


def _scalars(meta: ReadingMeta) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(ReadingMeta):
        value = getattr(meta, field.name)
        if field.name in ("tracker", "display"):
            kind = Tracker if field.name == "tracker" else Display
            parts = {part.name: getattr(value, part.name, None) for part in dataclasses.fields(kind)}
            found |= {f"meta.{field.name}.{name}": part for name, part in parts.items()}
        else:
            found[f"meta.{field.name}"] = value
    return found


def _same(a: Any, b: Any, within: float) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y, within) for x, y in zip(a, b, strict=True))
    if isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(a, bool):
        return (a != a and b != b) or abs(a - b) <= within
    return bool(a == b)


def _gaze() -> pa.Table:
    place = np.arange(N_SAMPLES)
    t_ns = (place + 2 * (place >= GAP[0])) * STEP_NS + 3
    lost = (place >= 40) & (place < 50)
    off = place >= 200
    x = np.where(lost, np.nan, 700 + np.sin(place / 9) * 50)
    y = np.where(lost, np.nan, 500 + place / 2)
    on_image = ~lost & ~off
    return pa.table(
        {
            "t_ns": t_ns, "x_screen_px": x, "y_screen_px": y,
            "left_x_screen_px": x - 1.5, "left_y_screen_px": y - 0.25, "left_pupil": np.where(lost, np.nan, 3.25),
            "right_x_screen_px": x + 1.5, "right_y_screen_px": y + 0.25, "right_pupil": np.where(lost, np.nan, 3.75),
            "x_image_px": np.where(on_image, (x - 600) / 4.5, np.nan),
            "y_image_px": np.where(on_image, (y - 100) / 4.5, np.nan),
            "px_per_deg_x": np.where(on_image, 9.0, np.nan), "px_per_deg_y": np.where(on_image, 9.0, np.nan),
            "pupil": np.where(lost, np.nan, 3.5), "valid": ~lost,
            "combined_by": ["mean_of_valid"] * N_SAMPLES, "pupil_unit": ["mm"] * N_SAMPLES,
            "source": ["live"] * N_SAMPLES, "left_valid": ~lost, "right_valid": ~lost,
            "viewport_id": pa.array(np.full(N_SAMPLES, 1, np.int16), mask=~on_image),
            "image_index": pa.array(np.zeros(N_SAMPLES, np.int16), mask=~on_image),
            "eye_distance_mm": pa.array(np.full(N_SAMPLES, 642.5)),
        }
    )  # fmt: skip


def _images() -> pa.Table:
    row = {
        "image_index": 0, "role": "current", "width_px": 160, "height_px": 192, "spacing_kind": "detector",
        "sha256": "e" * 64, "view_position": "PA", "spacing_x_mm": 0.15, "spacing_y_mm": 0.16, "file": "0.png",
        "public_dicom_id": "0a1b2c3d",
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=SCHEMAS["images"])


def _words() -> pa.Table:
    rows = [
        {
            "word_index": k, "t_start_ns": 100_000_000 * k, "t_end_ns": 100_000_000 * k + 90_000_000, "word": word,
            "supported": k != 3, "source": "dictated", "confidence": 0.75,
            "placing": "measured", "transcript": "reviewed",
        }
        for k, word in enumerate(_WORDS)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMAS["words"])


def _findings() -> pa.Table:
    """Return an ellipse, and a box of another label."""
    ellipse = {
        "finding_id": "f", "label": "Nodule", "present": True, "shape": "ellipse", "sentence_ids": ["s"],
        "source": "reader 1", "certainty": 0.75, "rating": 4.0, "image_index": 0, "box": [10.0, 20.0, 50.0, 60.0],
        "t_ns": 9,
    }  # fmt: skip
    box = {**ellipse, "finding_id": "g", "label": "Mass", "shape": "box", "box": [60.0, 70.0, 90.0, 110.0]}
    return pa.Table.from_pylist([ellipse, box], schema=SCHEMAS["findings"])


def _events() -> pa.Table:
    kinds = ("fixation", "saccade", "blink", "fixation")
    numbers = {f.name: 7.5 for f in SCHEMAS["events"] if f.type == pa.float64()}
    rows = [
        {
            **numbers, "event_index": k, "kind": kind, "t_start_ns": 200_000_000 * k + 3, "image_index": 0,
            "t_end_ns": 200_000_000 * (k + 1) + 3, "duration_s": 0.2,
        }
        for k, kind in enumerate(kinds)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMAS["events"])


def _filled(table: str) -> pa.Table:
    """Return one row with something in each column."""
    row = {field.name: _something(field.name, field.type) for field in SCHEMAS[table]}
    return pa.Table.from_pylist([row], schema=SCHEMAS[table])


_SAID = {
    "shape": "ellipse",
    "kind": "cluster",
    "phase": "after",
    "eye": "left",
    "finding_ids": ["f"],
    "label": "Nodule",
}


def _something(name: str, kind: pa.DataType) -> Any:
    if name in _SAID:
        return _SAID[name]
    if name == "box":
        return [10.0, 20.0, 50.0, 60.0]
    if name in ("affine", "source_rect", "dest_rect", "viewport_rect", "lens"):
        return [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] if name == "affine" else [0.0, 0.0, 160.0, 192.0]
    if name == "image_index":
        return 0
    if pa.types.is_list(kind):
        return [_something("", kind.value_type)]
    if pa.types.is_struct(kind):
        return {field.name: _something(field.name, field.type) for field in kind}
    if pa.types.is_boolean(kind):
        return True
    if pa.types.is_floating(kind):
        return 0.75
    return 4 if pa.types.is_integer(kind) else "said"

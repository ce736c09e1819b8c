"""Typed samples and events: what they hold, how they are encoded, that the bytes depend on the rows alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.export.samples import (
    EVENT_ROWS,
    SAMPLES,
    SamplesWriter,
    events_table,
    samples_table,
    write_events,
    write_samples,
)
from keyframes.reading import Reading, empty_table


def event_rows(spans: Sequence[tuple[str, int, int]]) -> pa.Table:
    """Return events of the kinds and times given, ns; everything else is 0."""
    schema = empty_table("events").schema
    blank = dict.fromkeys(schema.names, 0.0) | {"image_index": None}
    rows = [
        {**blank, "event_index": place, "kind": kind, "t_start_ns": start, "t_end_ns": end}
        for place, (kind, start, end) in enumerate(spans)
    ]
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.fixture(scope="module")
def reading(readings: ModuleType) -> Reading:
    """A reading with a loss, one sample in no viewport, and its events."""
    made: Reading = readings.make_reading(duration_s=4.0, rate_hz=500.0, lost=[(1.0, 1.3)])
    spans = [("fixation", 0, 300), ("saccade", 300, 340), ("fixation", 360, 1000), ("loss", 1000, 1300)]
    spans += [("pso", 1300, 1320), ("fixation", 1320, 3900)]
    return made.with_tables(events=event_rows([(k, a * 1_000_000, b * 1_000_000) for k, a, b in spans]))


def test_rows_hold_what_was_measured(reading: Reading, tmp_path: Path) -> None:
    n = write_samples(tmp_path / "a.parquet", reading)
    rows, gaze = pq.read_table(tmp_path / "a.parquet"), reading.table("gaze")
    assert n == rows.num_rows == gaze.num_rows == 2000
    assert rows.schema.equals(SAMPLES)
    assert rows.column("t_ns").equals(gaze.column("t_ns"))
    for name, source in {
        "x_screen_px": "x_screen_px",
        "y_image_px": "y_image_px",
        "image_px_per_deg_x": "px_per_deg_x",
    }.items():
        np.testing.assert_array_equal(
            rows.column(name).to_numpy(), gaze.column(source).to_numpy().astype(np.float32)
        )
    lost = (rows.column("t_ns").to_numpy() >= 1_000_000_000) & (
        rows.column("t_ns").to_numpy() < 1_300_000_000
    )
    assert np.array_equal(np.isnan(rows.column("x_screen_px").to_numpy()), lost)
    assert rows.column("x_screen_px").null_count == 0, "a lost sample is NaN, not null"
    assert rows.column("left_pupil").null_count == 2000, "what the device never gave is null"
    assert set(rows.column("source").to_pylist()) == {"simulated"}
    assert set(rows.column("reading_id").to_pylist()) == {reading.meta.reading_id}


def test_every_sample_knows_its_event(reading: Reading) -> None:
    rows = samples_table(reading).to_pylist()
    events = {row["event_index"]: row for row in reading.table("events").to_pylist()}
    assert {"fixation", "saccade", "loss"} <= {event["kind"] for event in events.values()}
    for row in rows:
        inside = [e for e in events.values() if e["t_start_ns"] <= row["t_ns"] < e["t_end_ns"]]
        assert row["event_index"] == (inside[0]["event_index"] if inside else None)
        assert row["event_kind"] == (inside[0]["kind"] if inside else "none")


def test_events_of_all_kinds_are_written(reading: Reading, tmp_path: Path) -> None:
    n = write_events(tmp_path / "e.parquet", reading)
    rows = pq.read_table(tmp_path / "e.parquet")
    assert rows.schema.equals(EVENT_ROWS)
    assert n == rows.num_rows == reading.table("events").num_rows
    assert rows.column("kind").to_pylist() == reading.table("events").column("kind").to_pylist()
    joined = samples_table(reading).column("event_index").drop_null().unique().to_pylist()
    assert set(joined) <= set(rows.column("event_index").to_pylist())


def test_a_word_that_no_list_has_does_not_leave(readings: ModuleType) -> None:
    made = readings.make_reading(duration_s=1.0)
    made = readings.with_gaze(made, source=["Dr Example"] * made.table("gaze").num_rows)
    made = made.with_tables(events=empty_table("events"))
    assert set(samples_table(made).column("source").to_pylist()) == {"other"}
    assert "Example" not in str(samples_table(made).column("source").combine_chunks().dictionary)


def test_the_encodings_are_the_ones_that_were_measured(reading: Reading, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_samples(path, reading)
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in columns["t_ns"].encodings
    assert "BYTE_STREAM_SPLIT" in columns["x_screen_px"].encodings
    assert "RLE_DICTIONARY" in columns["source"].encodings
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert not any(column.is_stats_set for column in columns.values()), "statistics repeat values"


def test_parts_stream_into_one_file_and_bytes_depend_on_rows_alone(reading: Reading, tmp_path: Path) -> None:
    rows = samples_table(reading)

    def write(name: str, *parts: pa.Table) -> str:
        with SamplesWriter(tmp_path / name, facts={"gaze_tier": "raw"}) as writer:
            for part in parts:
                writer.write(part)
        return hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()

    assert write("a", rows) == write("b", samples_table(reading))
    assert write("c", rows.slice(0, 700), rows.slice(700)) == write("d", rows.slice(0, 700), rows.slice(700))
    assert repr(pq.read_table(tmp_path / "c").to_pylist()) == repr(rows.to_pylist())
    assert pq.ParquetFile(tmp_path / "c").num_row_groups == 2
    assert pq.ParquetFile(tmp_path / "a").schema_arrow.metadata[b"gaze_tier"] == b"raw"


def test_a_folder_of_readings_is_one_table(readings: ModuleType, tmp_path: Path) -> None:
    for number in (1, 2):
        made = readings.make_reading(number, duration_s=1.0).with_tables(events=empty_table("events"))
        write_samples(tmp_path / f"{made.meta.reading_id}.parquet", made)
    table = ds.dataset(tmp_path).to_table()
    assert table.num_rows == 500
    assert len(table.column("reading_id").unique()) == 2


@given(
    bounds=st.lists(st.integers(0, 60), min_size=2, max_size=10, unique=True).map(sorted),
    t_ns=st.lists(st.integers(-5, 65), max_size=30).map(sorted),
)
def test_events_are_half_open(bounds: list[int], t_ns: list[int], readings: ModuleType) -> None:
    spans = list(zip(bounds[::2], bounds[1::2], strict=False))
    made = readings.make_reading(duration_s=1.0)
    nan = {name: [float("nan")] * len(t_ns) for name in made.table("gaze").column_names}
    gaze = pa.table(
        {
            **nan,
            "t_ns": pa.array(t_ns, pa.int64()),
            "valid": pa.array([False] * len(t_ns)),
            **{name: pa.array(["device"] * len(t_ns), pa.string()) for name in ("combined_by", "pupil_unit", "source")},
            **{name: pa.nulls(len(t_ns), pa.int16()) for name in ("viewport_id", "image_index")},
        }
    )  # fmt: skip
    made = made.with_tables(events=event_rows([("fixation", a, b) for a, b in spans]))
    found = samples_table(made, gaze).column("event_index").to_pylist()
    assert found == [next((i for i, (a, b) in enumerate(spans) if a <= t < b), None) for t in t_ns]
    assert events_table(made).num_rows == len(spans)

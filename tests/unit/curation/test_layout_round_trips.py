"""Reading -> layout of a view -> Reading: equal but for what the view lists as lost, and stable from then on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from curation.export.read import ShardReader
from curation.export.views import view_named
from curation.export.views.bids import LOST as LOST_IN_BIDS
from curation.export.views.reflacx import LOST as LOST_IN_REFLACX
from curation.ingest.into_store import INGESTERS
from curation.ingest.reflacx_export import EXPORTED
from curation.ingest.terms import TERMS
from curation.view_settings import ViewsConfig
from keyframes.reading import SCHEMAS, SOURCE_TABLES, Reading, empty_table
from keyframes.validation import validation_error_deg
from tests.layouts_fixture import accuracy_table, default_fields, full_reading, lost_fields, write_shard

KEY = b"k" * 32
RENEWED = {
    "bids": {"meta.reading_id", "meta.study_key", "meta.patient_key", "meta.session_id"},
    "reflacx": {"meta.reading_id", "meta.study_key", "meta.patient_key"},
}
"""Keyed hashes: every store gives its own."""
FLOAT32_PX = 6.2e-5
"""Half a step of float32 below 1024, in which samples are exported."""
ROUNDING = {
    "bids": {
        **{
            f"gaze.{eye}{axis}_screen_px": 5e-4 + FLOAT32_PX
            for eye in ("", "left_", "right_")
            for axis in "xy"
        },
        **{f"gaze.{axis}_image_px": 5e-4 + FLOAT32_PX for axis in "xy"},
    },
    "reflacx": {
        **{f"gaze.{axis}_image_px": 0.5 + FLOAT32_PX for axis in "xy"},
        **{f"gaze.px_per_deg_{axis}": 0.5 for axis in "xy"},
        "words.t_start_ns": 5_000_000,
        "words.t_end_ns": 5_000_000,
    },
}
"""BIDS: 0.001 px. REFLACX: whole px, words to 0.01 s."""
LOST = {"bids": LOST_IN_BIDS, "reflacx": LOST_IN_REFLACX}
IN_THE_FILES = {
    "bids": {
        "events": {"event_index", "kind", "t_start_ns", "t_end_ns", "duration_s"},
        "sentences": {"text", "t_start_ns", "t_end_ns"},
    },
    "reflacx": {},
}
"""Columns of stages' tables that the layout holds, though an ingester gives no such table; asked for below."""


def round_trip(name: str, reading: Reading, folder: Path) -> Reading:
    dataset = write_shard(folder / "dataset", reading)
    view = view_named(name)
    (folder / name).mkdir()
    assert view.write(ShardReader(dataset), folder / name, ViewsConfig().options_of(name)).n_readings == 1
    ingester = INGESTERS[name]
    (unit,) = ingester.find(folder / name)
    (item,) = ingester.readings(unit, key=KEY)
    assert item.error is None, item.error
    assert item.reading is not None
    return item.reading


def with_stages(reading: Reading) -> Reading:
    """Return an ingested reading as an export takes it."""
    made = {name: empty_table(name) for name in SCHEMAS if name not in reading.tables}
    error_deg = validation_error_deg(reading.table("validations"))
    return reading.with_tables(
        **{**made, **({} if error_deg is None else {"quality": accuracy_table(error_deg)})}
    )


def test_the_reading_says_something_in_every_field() -> None:
    assert default_fields(full_reading()) == set()


@pytest.mark.parametrize("name", sorted(LOST))
def test_what_is_lost_is_what_the_view_lists(name: str, tmp_path: Path) -> None:
    before = full_reading()
    after = round_trip(name, before, tmp_path)
    found = lost_fields(before, after, ROUNDING[name]) - RENEWED[name]
    for table, held in IN_THE_FILES[name].items():
        found -= {table}
        found |= {f"{table}.{column}" for column in SCHEMAS[table].names if column not in held}
    assert found == set(LOST[name])
    assert len(LOST[name]) == len(set(LOST[name]))


@pytest.mark.parametrize("name", sorted(LOST))
def test_a_second_round_trip_changes_nothing(name: str, tmp_path: Path) -> None:
    once = round_trip(name, full_reading(), tmp_path / "1")
    twice = round_trip(name, with_stages(once), tmp_path / "2")
    assert lost_fields(once, twice, {}) - (set(SCHEMAS) - set(SOURCE_TABLES)) <= RENEWED[name]
    assert set(once.tables) == set(SOURCE_TABLES)


def test_a_lab_s_own_readings_do_not_come_back_under_the_terms_of_reflacx(tmp_path: Path) -> None:
    back = round_trip("reflacx", full_reading(), tmp_path)
    meta = back.meta
    assert (meta.reader_code, meta.source_licence, meta.synthetic) == ("R07", "CC BY 4.0", True)
    assert (meta.consent_scopes, meta.access_tier, meta.source_format) == ((), "local-only", "reflacx-layout")
    assert meta.source_format not in TERMS
    (tmp_path / "reflacx" / EXPORTED).write_text("id,reading_id\n")
    (unit,) = INGESTERS["reflacx"].find(tmp_path / "reflacx")
    (item,) = INGESTERS["reflacx"].readings(unit, key=KEY)
    assert item.reading is None, "whose they are is not known then"


@pytest.mark.parametrize(("name", "file"), [("bids", "dataset_description.json"), ("reflacx", "layout.json")])
def test_the_list_is_in_the_dataset(name: str, file: str, tmp_path: Path) -> None:
    round_trip(name, full_reading(), tmp_path)
    assert json.loads((tmp_path / name / file).read_bytes())["LostFields"] == list(LOST[name])


def test_the_files_of_bids_hold_what_stages_made(tmp_path: Path) -> None:
    before = full_reading()
    round_trip("bids", before, tmp_path)
    stem = str(next(tmp_path.rglob("*_physioevents.tsv.gz"))).removesuffix(
        "_recording-eye1_physioevents.tsv.gz"
    )
    with gzip.open(f"{stem}_recording-eye1_physioevents.tsv.gz", "rt") as file:
        events = [line.rstrip("\n").split("\t") for line in file]
    for cells, event in zip(events, before.table("events").to_pylist(), strict=True):
        onset, length, kind, blink, message = cells
        assert round(float(onset) * 1e9) == event["t_start_ns"]
        assert float(length) == event["duration_s"]
        assert (kind if kind != "n/a" else message) == event["kind"]
        assert (blink == "1") == (event["kind"] == "blink")
    (sentence,) = before.table("sentences").to_pylist()
    rows = [line.split("\t") for line in Path(f"{stem}_events.tsv").read_text().splitlines()]
    assert [
        f"{sentence['t_start_ns'] / 1e9:.9f}",
        f"{(sentence['t_end_ns'] - sentence['t_start_ns']) / 1e9:.9f}",
        "sentence",
        sentence["text"],
    ] in rows

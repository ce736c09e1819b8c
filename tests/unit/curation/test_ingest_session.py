from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from curation.ingest.into_store import INGESTERS, ingest
from curation.ingest.protocol import Ingester
from curation.ingest.session import SessionIngester
from curation.issues import source_issues
from curation.manifest import last_lines
from gazecapture.session.schema import SessionInfo, read_session_info, write_session_info
from gazecapture.store import Store
from keyframes.errors import GazeToolError, SchemaError, UsageError

SESSION = SessionIngester()
KEY = bytes(32)


def test_every_ingester_keeps_the_protocol() -> None:
    for name, ingester in INGESTERS.items():
        assert isinstance(ingester, Ingester)
        assert ingester.name == name


def test_one_session_a_folder_of_them_and_two_levels(readings: ModuleType, tmp_path: Path) -> None:
    first = readings.write_session(tmp_path / "day" / "room", name="s1")
    second = readings.write_session(tmp_path / "day" / "room", name="s2")
    assert SESSION.find(first) == [first]
    assert SESSION.find(tmp_path / "day" / "room") == [first, second]
    assert SESSION.find(tmp_path / "day") == [first, second]
    with pytest.raises(UsageError, match="holds no session"):
        SESSION.find(tmp_path)


def test_another_file_of_that_name_is_no_session(readings: ModuleType, tmp_path: Path) -> None:
    session = readings.write_session(tmp_path / "sessions", name="s1")
    truth = tmp_path / "ground_truth" / "s1"
    truth.mkdir(parents=True)
    (truth / "session.json").write_text("{}")
    assert SESSION.find(tmp_path) == [session]
    with pytest.raises(UsageError, match="holds no session"):
        SESSION.find(tmp_path / "ground_truth")


def test_what_an_interrupted_command_left_half_written_is_no_session(
    readings: ModuleType, tmp_path: Path
) -> None:
    session = readings.write_session(tmp_path / "sessions", name="s1")
    shutil.copytree(session, session.with_name(".s2.0a1b2c3d.partial"))
    shutil.copytree(tmp_path / "sessions", tmp_path / ".sessions.0a1b2c3d.partial")
    assert SESSION.find(tmp_path) == [session]
    assert SESSION.find(tmp_path / "sessions") == [session]


def test_no_folder_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        SESSION.find(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        SESSION.find(tmp_path / "file")


def test_readings_land_in_the_store_with_their_pictures(readings: ModuleType, tmp_path: Path) -> None:
    session = readings.write_session(tmp_path, 2)
    store = Store.create(tmp_path / "store")
    summary = ingest(store, SESSION, [session])
    assert sorted(summary.added) == store.reading_ids()
    assert len(summary.added) == 2
    assert summary.exit_code == 0
    reading = store.load(summary.added[0])
    assert reading.meta.duration_ns == 4_000_000_000
    assert reading.table("gaze").num_rows > 1000
    picture = store.image_path(summary.added[0], 0)
    assert picture is not None
    assert picture.read_bytes() == next((session / "images").iterdir()).read_bytes()
    assert last_lines(store.root)[summary.added[0]].stage == "ingest"


def test_a_second_time_nothing_is_written(readings: ModuleType, tmp_path: Path) -> None:
    session = readings.write_session(tmp_path, 2)
    store = Store.create(tmp_path / "store")
    ingest(store, SESSION, [session])
    before = {path: path.stat().st_mtime_ns for path in sorted(store.root.rglob("*"))}
    summary = ingest(store, SESSION, [session])
    assert (summary.added, summary.changed, len(summary.unchanged)) == ([], [], 2)
    assert {path: path.stat().st_mtime_ns for path in sorted(store.root.rglob("*"))} == before


def test_a_changed_reading_is_written_again_without_its_old_stages(
    readings: ModuleType, tmp_path: Path
) -> None:
    session = readings.write_session(tmp_path, 2)
    store = Store.create(tmp_path / "store")
    ids = ingest(store, SESSION, [session]).added
    store.write_stage(ids[0], "privacy", {}, {"key": "old"})
    info = read_session_info(session)
    changed = {**{name: getattr(info, name) for name in info.__dataclass_fields__}, "display_lag_ms": 33.0}
    write_session_info(session, SessionInfo(**changed))
    summary = ingest(store, SESSION, [session])
    assert sorted(summary.changed) == sorted(ids)
    assert store.load(ids[0]).meta.display_lag_ms == 33.0
    assert store.stage_record(ids[0], "privacy") is None


def test_a_picture_lost_from_the_store_is_put_back(readings: ModuleType, tmp_path: Path) -> None:
    session = readings.write_session(tmp_path, 1)
    store = Store.create(tmp_path / "store")
    (reading_id,) = ingest(store, SESSION, [session]).added
    path = store.image_path(reading_id, 0)
    assert path is not None
    path.unlink()
    assert ingest(store, SESSION, [session]).changed == [reading_id]
    assert store.image_path(reading_id, 0) is not None


def test_a_damaged_session_does_not_stop_the_others(readings: ModuleType, tmp_path: Path) -> None:
    good = readings.write_session(tmp_path / "all", name="good")
    bad = readings.write_session(tmp_path / "all", name="bad")
    (bad / "session.json").write_text('{"session_id": 3')
    gone = readings.write_session(tmp_path / "all", name="gone", seed=5)
    for picture in (gone / "images").iterdir():
        picture.unlink()
    store = Store.create(tmp_path / "store")
    summary = ingest(store, SESSION, SESSION.find(tmp_path / "all"))
    assert len(summary.added) == 2
    assert summary.exit_code == 3
    assert [(f.reading_id, f.code) for f in summary.failed] == [
        ("bad", "GT-SCHEMA"),
        ("gone reading 1", "GT-IMAGE"),
        ("gone reading 2", "GT-IMAGE"),
    ]
    assert good.name == "good"


def test_fail_fast_stops_at_the_first_failure(readings: ModuleType, tmp_path: Path) -> None:
    readings.write_session(tmp_path / "all", name="b")
    bad = readings.write_session(tmp_path / "all", name="a")
    (bad / "session.json").write_text("{")
    store = Store.create(tmp_path / "store")
    with pytest.raises(SchemaError):
        ingest(store, SESSION, SESSION.find(tmp_path / "all"), fail_fast=True)
    assert store.reading_ids() == []


def test_where_nothing_could_be_ingested_the_reason_is_raised(readings: ModuleType, tmp_path: Path) -> None:
    bad = readings.write_session(tmp_path, name="bad")
    shutil.rmtree(bad / "images")
    with pytest.raises(GazeToolError, match="missing from the session"):
        ingest(Store.create(tmp_path / "store"), SESSION, [bad])


def test_what_cannot_be_read_of_a_journal_is_an_issue_of_the_readings(
    readings: ModuleType, tmp_path: Path
) -> None:
    session = readings.write_session(tmp_path / "s", name="s1")
    journal = max((session / "streams").glob("*/*.arrows"), key=lambda path: path.stat().st_size)
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    before = [
        source_issues(i.reading.meta.provenance) for i in SESSION.readings(session, key=KEY) if i.reading
    ]
    journal.write_bytes(content)
    after = [
        source_issues(i.reading.meta.provenance) for i in SESSION.readings(session, key=KEY) if i.reading
    ]
    assert not any(before)
    assert after == [{"GI-JOURNAL-DAMAGED": 1}] * len(before)

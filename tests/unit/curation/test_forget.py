"""Forgetting: nothing is left in store, sessions and datasets, the rest is what it was, and nobody takes it again."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.cli import cli
from curation.export.contents import rows_in
from curation.export.read import ShardReader
from curation.export.verify import verify_absence
from curation.retention import delete_old_audio
from curation.tombstones import TOMBSTONES, Tombstones
from gazecapture.access_log import log_access, read_access_log
from gazecapture.console import run_command
from gazecapture.session.addenda import session_reading_id
from gazecapture.session.journal import read_journal
from gazecapture.session.removal import AUDIO_FOLDER, remove_reading
from gazecapture.session.schema import SessionInfo, read_session_info, write_session_info
from gazecapture.session.to_readings import to_readings
from gazecapture.store import KeyedHash, Store
from keyframes.errors import ExitCode, PrivacyError, RecordingError
from keyframes.reading import Reading

KEY = bytes(32)
SETTINGS = "[privacy]\noriginals = false\n"
"""Without originals, whose files the shards' pictures repeat: these tests are about rows."""


class Place:
    """A store filled from two readers' sessions, and its dataset."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.sessions, self.dataset = root / "sessions", root / "dataset"
        self.store = Store(root / "store")
        self._capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str | Path, expect: ExitCode = ExitCode.OK) -> Any:
        command = [str(arguments[0]), *map(str, arguments[1:])]
        code = run_command(cli, [*command, "--store", str(self.store.root), "--json"])
        out, self.err = self._capsys.readouterr()
        assert code == expect, self.err
        return json.loads(out) if out else None

    def by_reader(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for reading_id in self.store.reading_ids():
            found.setdefault(self.store.meta(reading_id).reader_code, []).append(reading_id)
        return found


def _session(readings: ModuleType, folder: Path, code: str, n_readings: int, seed: int) -> Path:
    session: Path = readings.write_session(folder, n_readings, name=code, seed=seed, reader_code=code)
    return session


@pytest.fixture(scope="module")
def made(readings: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two readers, three readings, curated and exported; never changed: tests copy it to the same place."""
    root = tmp_path_factory.mktemp("made")
    repeated = _session(readings, root / "sessions", "R07", 2, seed=1)
    info = read_session_info(repeated)
    first, again = info.studies
    write_session_info(repeated, replace(info, studies=(first, replace(again, repeat_of=first.study_id))))
    _session(readings, root / "sessions", "R08", 1, seed=2)
    store = ["--store", str(root / "store")]
    assert run_command(cli, ["ingest", str(root / "sessions"), "--format", "session", *store]) == ExitCode.OK
    settings = root / "settings.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    run = ["run", "--out", str(root / "dataset"), "-j", "1", "-c", str(settings), *store]
    assert run_command(cli, run) == ExitCode.OK
    shutil.copytree(root, root.with_name("untouched"))
    return root


@pytest.fixture
def place(made: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    """As made. Sessions and datasets are known by their paths, so it is put back where it was made."""
    shutil.rmtree(made)
    shutil.copytree(made.with_name("untouched"), made)
    capsys.readouterr()
    return Place(made, capsys)


def _bytes_of(*folders: Path) -> bytes:
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return b"\0".join(
        path.relative_to(path.parents[1]).as_posix().encode() + path.read_bytes() for path in files
    )


def _same_tables(a: Reading, b: Reading) -> bool:
    def plain(reading: Reading) -> str:
        return repr({name: table.to_pylist() for name, table in reading.tables.items()})

    # Minutes count from the first reading that is left.
    a_meta, b_meta = (replace(reading.meta, minutes_into_session=None) for reading in (a, b))
    return a_meta == b_meta and plain(a) == plain(b)


def test_a_reader_is_gone_everywhere(place: Place) -> None:
    ids = place.by_reader()["R07"]
    assert len(ids) == 2
    result = place("forget", "--reader", "R07")
    assert (result["n_readings"], result["n_sessions_removed"]) == (2, 1)
    assert place.by_reader().keys() == {"R08"}
    assert not (place.sessions / "R07").exists()
    assert {row.reader_code for row in rows_in(place.dataset)} == {"R08"}
    assert json.loads((place.dataset / "dataset.json").read_bytes())["funnel"]["n_by_state"] == {"kept": 1}
    everything = _bytes_of(place.store.root, place.dataset, place.sessions)
    for name in (*ids, "R07"):
        assert name.encode() not in everything, "also in logs, file names and manifests"
    assert place("verify", place.dataset)["n_forgotten"] == 3


def test_the_dataset_is_what_an_export_without_it_would_be(place: Place, tmp_path: Path) -> None:
    (gone,) = place.by_reader()["R08"]
    (tmp_path / "excluded").write_text(gone, encoding="utf-8")
    place("export", "--out", tmp_path / "wanted", "--exclude-list", tmp_path / "excluded")
    place("forget", "--reading", gone)
    assert {row.reading_id for row in rows_in(place.dataset)} == set(place.store.reading_ids())
    assert _bytes_of(
        place.dataset / "readings", place.dataset / "images", place.dataset / "hdf5"
    ) == _bytes_of(
        tmp_path / "wanted" / "readings", tmp_path / "wanted" / "images", tmp_path / "wanted" / "hdf5"
    )


def test_settings_of_a_dataset_are_kept(place: Place, tmp_path: Path) -> None:
    """One without pictures must not get any by being written again."""
    place("export", "--out", tmp_path / "bare", "--without-images")
    place("forget", "--reading", place.by_reader()["R07"][0])
    for folder, has_pictures in ((tmp_path / "bare", False), (place.dataset, True)):
        assert len(rows_in(folder)) == 2
        settings = json.loads((folder / "dataset.json").read_bytes())["config"]
        assert settings["privacy"]["images"] == ("include" if has_pictures else "exclude")


def test_it_is_not_taken_again(place: Place) -> None:
    shutil.copytree(place.sessions / "R07", place.sessions / "again" / "R07")
    place("forget", "--reader", "R07")
    result = place("ingest", place.sessions, "--format", "session", expect=ExitCode.SOME_FAILED)
    assert {failure["code"] for failure in result["failed"]} == {"GT-FORGOTTEN"}
    assert place.by_reader().keys() == {"R08"}


def test_the_tombstone_says_nothing(place: Place) -> None:
    (gone,) = place.by_reader()["R08"]
    place("forget", "--reading", gone)
    (line,) = (place.store.root / TOMBSTONES).read_text(encoding="utf-8").splitlines()
    assert json.loads(line).keys() == {"hash", "kind", "date"}
    assert gone not in line
    assert Tombstones.of(place.store).has("reading", gone)
    assert not Tombstones.of(place.store).has("reader", gone)


def test_one_reading_is_cut_out_of_its_session(place: Place) -> None:
    session = place.sessions / "R07"
    key = place.store.pseudonym_key
    info = read_session_info(session)
    gone = session_reading_id(info, 1, KeyedHash(key))
    result = place("forget", "--reading", gone)
    assert (result["n_readings"], result["n_sessions_cut"]) == (1, 1)
    assert [item.reading_number for item in to_readings(session, key=key)] == [2]
    display = read_journal(session / "display").table
    assert set(display["reading_number"].to_pylist()) == {2}
    first_t_ns = read_journal(session / "streams" / "eye").table["t_remote_s"][0].as_py() * 1e9
    assert first_t_ns >= 5_000_000_000, "the gaze of the first reading is gone"
    assert len(read_journal(session / "words").table) == 3
    place("ingest", place.sessions, "--format", "session")
    assert gone not in place.store.reading_ids()


def test_no_other_reading_is_said_to_repeat_the_one_that_went(place: Place) -> None:
    first, second = sorted(place.by_reader()["R07"], key=lambda i: place.store.meta(i).reading_number)
    assert place.store.meta(second).repeat_of == first
    assert _repeats(place.dataset)[second] == first
    place("forget", "--reading", first)
    assert place.store.meta(second).repeat_of == ""
    assert _repeats(place.dataset)[second] is None
    assert first.encode() not in _bytes_of(place.store.root, place.dataset)
    assert place("verify", place.dataset)["n_forgotten"] == 1


def test_a_reading_that_is_not_in_the_dataset_is_not_named_there(place: Place, tmp_path: Path) -> None:
    first, second = sorted(place.by_reader()["R07"], key=lambda i: place.store.meta(i).reading_number)
    (tmp_path / "excluded").write_text(first, encoding="utf-8")
    place("export", "--out", tmp_path / "other", "--exclude-list", tmp_path / "excluded")
    assert _repeats(tmp_path / "other")[second] is None


def _repeats(dataset: Path) -> dict[str, str | None]:
    rows = ShardReader(dataset).rows(["reading_id", "repeat_of"])
    return {row["reading_id"]: row["repeat_of"] for row in rows}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_others_of_a_session_stay_what_they_were(
    readings: ModuleType, tmp_path: Path, number: int
) -> None:
    session = readings.write_session(tmp_path, 3)
    before = {item.reading_number: item.reading for item in to_readings(session, key=KEY)}
    remove_reading(session, number)
    after = {item.reading_number: item.reading for item in to_readings(session, key=KEY)}
    assert after.keys() == {1, 2, 3} - {number}
    for left, reading in after.items():
        other = before[left]
        assert reading is not None
        assert other is not None
        assert _same_tables(reading, other)
    once = _bytes_of(session)
    remove_reading(session, number)
    assert _bytes_of(session) == once, "a second time changes nothing"


def test_the_others_of_a_session_do_not_name_it(readings: ModuleType, tmp_path: Path) -> None:
    session = readings.write_session(tmp_path, 2)
    info = read_session_info(session)
    first, again = info.studies
    linked = replace(again, repeat_of=first.study_id, addendum_of=first.reading_number)
    write_session_info(session, replace(info, studies=(first, linked)))
    before = {item.reading_number: item.reading for item in to_readings(session, key=KEY)}
    remove_reading(session, first.reading_number)
    (left,) = (item.reading for item in to_readings(session, key=KEY))
    assert before[1] is not None
    assert before[2] is not None
    assert left is not None
    assert before[2].meta.repeat_of == before[2].meta.provenance["addendum_of"] == before[1].meta.reading_id
    assert before[1].meta.reading_id not in repr(left.meta)


def test_films_of_that_study_alone_go(readings: ModuleType, tmp_path: Path) -> None:
    session = readings.write_session(tmp_path, 2)  # both studies show the same film
    remove_reading(session, 1)
    assert len(list((session / "images").iterdir())) == 1
    remove_reading(session, 2)
    assert not list((session / "images").iterdir())
    assert not any(study.images or study.study_id for study in read_session_info(session).studies)


def test_a_session_that_is_being_written_stops_it_before_anything(place: Place) -> None:
    from gazecapture.session.lock import FolderLock

    lock = FolderLock(place.sessions / "R07" / "display")
    lock.acquire()
    try:
        with pytest.raises(RecordingError):
            remove_reading(place.sessions / "R07", 1)
        place("forget", "--reader", "R07", expect=ExitCode.INTERNAL)
    finally:
        lock.release()
    assert "GT-BUSY" in place.err
    assert place.by_reader().keys() == {"R07", "R08"}


def test_a_dataset_without_any_reading_left_is_removed(place: Place) -> None:
    notes = place.dataset / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    place("forget", "--reader", "R07")
    result = place("forget", "--reader", "R08")
    assert [d["outcome"] for d in result["datasets"]] == ["removed"]
    assert sorted(path.name for path in place.dataset.iterdir()) == [".gazecapture", "notes.txt"]


def test_a_dataset_elsewhere_is_named(place: Place, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(place.dataset, tmp_path / "copy"))
    place("forget", "--reader", "R07")
    with pytest.raises(PrivacyError, match="row"):
        verify_absence(place.store, copy)
    place("verify", copy, expect=ExitCode.PRIVACY)
    place("forget", "--reader", "R07", "--dataset", copy)
    assert len(rows_in(copy)) == 1
    verify_absence(place.store, copy)


def test_other_stores_datasets_are_left_alone(place: Place, tmp_path: Path) -> None:
    """The same reader code in a store with another key is somebody else."""
    theirs = tmp_path / "theirs"
    (theirs / "readings").mkdir(parents=True)
    (theirs / ".gazecapture").write_text("dataset\n", encoding="utf-8")
    row = {"reading_id": ["0123456789abcdef"], "reader_code": ["R07"], "config_hash": ["0123"]}
    pq.write_table(pa.table(row), theirs / "readings" / "train-00000-of-00001.parquet")
    before = _bytes_of(theirs)
    place("forget", "--reader", "R07", "--dataset", theirs)
    assert _bytes_of(theirs) == before


def test_fitted_leads_and_reports_go(place: Place) -> None:
    leads = place.store.root / "readers"
    assert {path.stem for path in leads.iterdir()} == {"R07", "R08"}
    (place.store.root / "report.html").write_text("readings", encoding="utf-8")
    (place.dataset / "report.html").write_text("readings", encoding="utf-8")
    place("forget", "--reading", place.by_reader()["R07"][0])
    assert {path.stem for path in leads.iterdir()} == {"R08"}
    assert not (place.store.root / "report.html").exists()
    assert not (place.dataset / "report.html").exists()


def test_an_export_is_logged_before_and_after(place: Place) -> None:
    """Before, so that a folder is known also where the export is killed."""
    entries = [entry for entry in read_access_log(place.store.root) if entry.command == "run"]
    assert [(entry.event, entry.folder, bool(entry.key)) for entry in entries] == [
        ("begins", place.dataset, False),
        ("done", place.dataset, True),
    ]


def test_versions_that_may_have_been_passed_on_are_listed(place: Place) -> None:
    """Also one that another has replaced since."""
    key = json.loads((place.dataset / "dataset.json").read_bytes())["key"]
    log_access(place.store.root, command="export", folder=place.dataset, key="replaced", n_readings=3)
    result = place("forget", "--reader", "R08")
    assert [version["key"] for version in result["may_have_been_passed_on"]] == [key, "replaced"]
    assert read_access_log(place.store.root)[-1].may_have_been_passed_on == (key, "replaced")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--reader", "R99"], "GT-NO-READER"),
        (["--reading", "0123456789abcdef"], "GT-NO-READING"),
        (["--reading", "../sessions"], "GT-NO-READING"),
        ([], "GT-USAGE"),
        (["--reader", "R07", "--reading", "0123456789abcdef"], "GT-USAGE"),
        (["--reader", "R07", "--dataset", "{root}"], "GT-FOREIGN-FOLDER"),
        (["--reader", "R07", "--session", "{root}/dataset"], "GT-NOT-A-SESSION"),
    ],
)
def test_what_cannot_be_done_changes_nothing(place: Place, arguments: list[str], code: str) -> None:
    root = place.store.root.parent
    before = _bytes_of(root)
    place("forget", *(argument.format(root=root) for argument in arguments), expect=ExitCode.USAGE)
    assert code in place.err
    assert _bytes_of(root) == before


def test_unknown_settings_are_refused_before_anything(place: Place) -> None:
    shutil.rmtree(place.store.root / "exports")
    (place.store.root / "last_config.json").write_text(
        '{"quality": {"min_duration_s": 0.5}}', encoding="utf-8"
    )
    place("forget", "--reader", "R07", expect=ExitCode.USAGE)
    assert "GT-DATASET-SETTINGS" in place.err
    assert place.by_reader().keys() == {"R07", "R08"}


def test_old_audio_is_deleted_and_young_is_kept(place: Place) -> None:
    for code in ("R07", "R08"):
        folder = place.sessions / code / AUDIO_FOLDER
        folder.mkdir()
        (folder / "00000.wav").write_bytes(b"RIFF")
    day_ns = 86_400 * 10**9
    for code, age_days in (("R07", 31), ("R08", 29)):
        info = read_session_info(place.sessions / code)
        changed = {name: getattr(info, name) for name in info.__dataclass_fields__}
        write_session_info(
            place.sessions / code, SessionInfo(**{**changed, "created_unix_ns": (100 - age_days) * day_ns})
        )
    assert delete_old_audio(place.store, None, now_unix_ns=100 * day_ns) == 0
    assert delete_old_audio(place.store, 30, now_unix_ns=100 * day_ns) == 1
    assert not (place.sessions / "R07" / AUDIO_FOLDER).exists()
    assert (place.sessions / "R08" / AUDIO_FOLDER / "00000.wav").is_file()
    assert read_access_log(place.store.root)[-1].n_files_deleted == 1


def test_run_applies_retention_and_it_is_no_other_result(place: Place, tmp_path: Path) -> None:
    folder = place.sessions / "R07" / AUDIO_FOLDER
    folder.mkdir()
    (folder / "00000.wav").write_bytes(b"RIFF")
    (tmp_path / "settings.toml").write_text(f"{SETTINGS}[retention]\nretain_days = 30\n", encoding="utf-8")
    result = place("run", "--out", place.dataset, "-j", "1", "-c", tmp_path / "settings.toml")
    assert result["n_unchanged"] == 3
    assert not folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows knows other permissions")
def test_logs_and_lists_are_their_owners_alone(place: Place) -> None:
    place("forget", "--reader", "R07")
    for name in ("access.jsonl", TOMBSTONES, "pseudonym.key"):
        assert (place.store.root / name).stat().st_mode & 0o077 == 0, name

"""The branches for Windows and macOS, run wherever the tests run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curation.cli.options import hold_store
from gazecapture import doctor, files, workers
from gazecapture.files import claim_output_folder, create_file, write_json_atomically
from gazecapture.session import journal, recorder
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.sources.lsl_xml import folder_name
from gazecapture.store import Store


class Posing:
    """The module ``os`` of another system: another name, and some functions fewer."""

    def __init__(self, name: str, *absent: str) -> None:
        self.name = name
        self._absent = absent

    def __getattr__(self, name: str) -> Any:
        if name in self._absent:
            raise AttributeError(name)
        return getattr(os, name)


WINDOWS = Posing("nt", "fdatasync", "link", "sched_getaffinity", "geteuid")
MACOS = Posing("posix", "fdatasync", "sched_getaffinity")


@pytest.fixture(params=[WINDOWS, MACOS], ids=["windows", "macos"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Posing:
    for module in (files, journal, doctor, workers):
        monkeypatch.setattr(module, "os", request.param)
    return request.param


@pytest.mark.usefixtures("system")
def test_files_and_folders(tmp_path: Path) -> None:
    out = claim_output_folder(tmp_path / "Größe (1)" / "out", kind="store")
    write_json_atomically(out / "x.json", {"a": "ü"})
    write_json_atomically(out / "x.json", {"a": "ö"})
    assert json.loads((out / "x.json").read_text(encoding="utf-8")) == {"a": "ö"}
    assert b"\r" not in (out / "x.json").read_bytes()
    assert create_file(out / "key", b"\n\r\n")
    assert (out / "key").read_bytes() == b"\n\r\n"
    assert sorted(p.name for p in out.iterdir()) == [".gazecapture", "key", "x.json"]


@pytest.mark.usefixtures("system")
def test_the_pseudonym_key_is_made_once(tmp_path: Path) -> None:
    key = Store.create(tmp_path / "store").pseudonym_key
    assert Store.create(tmp_path / "store").pseudonym_key == key


@pytest.mark.parametrize("error", [FileExistsError, PermissionError])
def test_a_volume_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise error(1, "Operation not permitted", str(target))

    monkeypatch.setattr(os, "link", refuse)
    assert create_file(tmp_path / "key", b"1") == (error is PermissionError)
    assert not create_file(tmp_path / "key", b"2") or error is FileExistsError
    if error is PermissionError:
        assert (tmp_path / "key").read_bytes() == b"1"


@pytest.mark.usefixtures("system")
def test_journals(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("t_ns", pa.int64(), nullable=False)])
    with JournalWriter(tmp_path / "journal", schema) as writer:
        for n in range(3):
            writer.append(
                pa.table({"t_ns": [10, 13, 26 + n]}, schema=schema)
            )  # 10, 13, 26: what text mode alters
            writer.sync()
    content = read_journal(tmp_path / "journal", schema=schema)
    assert content.table["t_ns"].to_pylist() == [10, 13, 26, 10, 13, 27, 10, 13, 28]
    assert (content.n_unverified, list(content.damage)) == (0, [])


@pytest.mark.usefixtures("system")
def test_the_doctor_measures_the_disk(tmp_path: Path) -> None:
    names = {check.name for check in doctor._folder(tmp_path)}
    assert {"disk sync", "disk speed"} <= names
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("system")
def test_processors_and_interrupts_of_the_pool() -> None:
    assert workers.default_jobs() >= 1
    steps = []

    def press_ctrl_c_meanwhile() -> None:
        with workers.interrupts_wait():
            signal.raise_signal(signal.SIGINT)
            steps.append("the block ran to its end")

    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c_meanwhile()
    assert steps


@pytest.fixture
def ctrl_break(monkeypatch: pytest.MonkeyPatch) -> int:
    """The signal that Windows sends for Ctrl-Break; elsewhere another one stands in."""
    number = int(getattr(signal, "SIGBREAK", getattr(signal, "SIGUSR1", 0)))
    monkeypatch.setattr(signal, "SIGBREAK", number, raising=False)
    return number


def test_ctrl_break_ends_a_curation_as_ctrl_c_does(tmp_path: Path, ctrl_break: int) -> None:
    store = Store.create(tmp_path / "store")
    before = signal.getsignal(ctrl_break)
    with pytest.raises(KeyboardInterrupt), hold_store(store):
        signal.raise_signal(ctrl_break)
    assert signal.getsignal(ctrl_break) == before
    assert not (store.root / ".lock").exists()


def test_ctrl_break_ends_a_recording(ctrl_break: int) -> None:
    with recorder._signals() as stop:
        signal.raise_signal(ctrl_break)
        assert stop.is_set()


@pytest.mark.parametrize("name", ["CON", "aux", "Nul ", "com1", "LPT9", "con."])
def test_a_stream_named_as_a_device_gets_a_folder(name: str) -> None:
    assert folder_name(name) == f"{name.strip(' .').lower()}_stream"


def test_other_streams_keep_their_name() -> None:
    assert [folder_name(n) for n in ("Gaze", "COM10", "console", "Tobii Pro/1")] == [
        "gaze", "com10", "console", "tobii_pro_1",
    ]  # fmt: skip

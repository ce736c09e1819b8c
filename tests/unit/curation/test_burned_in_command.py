"""What is held back for text in its pixels is listed, shown, decided, and the decision obeyed."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.cli import cli
from curation.config import CurationConfig
from curation.decisions import read_decisions
from curation.run import curate
from gazecapture.access_log import read_access_log
from gazecapture.console import run_command
from gazecapture.store import DECISIONS_FILE, Store
from gazecapture.viewer.review.source import StoreSource
from keyframes.errors import ExitCode

BOX = (20, 150, 90, 170)


@pytest.fixture
def store(readings: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """One reading, held back: the detector sees a line of text in it."""
    from gazecapture.radiograph.burned_in import BurnedInText

    found = (BurnedInText(box=BOX, n_glyphs=5),)
    monkeypatch.setattr("gazecapture.radiograph.burned_in.find_burned_in_text", lambda _: found)
    filled: Store = readings.fill_store(tmp_path / "store", 1, duration_s=3.0, rate_hz=100.0)
    assert list(curate(filled, CurationConfig()).held_back) == filled.reading_ids()
    return filled


def command(store: Store, *arguments: str) -> ExitCode:
    return run_command(cli, ["burned-in", "--store", str(store.root), *arguments])


def listed(store: Store, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert command(store, "--json", *arguments) == ExitCode.OK
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["held_back"]
    return found


def test_it_is_listed_and_shown(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (entry,) = listed(store, capsys, "--out", str(tmp_path / "private"))
    assert (entry["picture"], entry["boxes"]) == (0, [list(BOX)])
    shown = np.asarray(Image.open(entry["file"]))
    assert shown.shape == (192 - 110, 130)
    assert (tmp_path / "private").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("decision", [("--ok",), ("--mask", "20,150,90,170", "--mask", "0,0,4,4")])
def test_the_decision_is_obeyed(
    store: Store, capsys: pytest.CaptureFixture[str], decision: tuple[str, ...]
) -> None:
    (reading_id,) = store.reading_ids()
    signed = ("--reading", reading_id, "--reviewer", "V1")
    assert command(store, *signed, *decision) == ExitCode.OK
    expected = () if decision == ("--ok",) else (BOX, (0, 0, 4, 4))
    assert read_decisions(store.folder(reading_id)).burned_in(0) == expected
    line = json.loads((store.folder(reading_id) / DECISIONS_FILE).read_text())
    assert line.keys() == {"decision_id", "time", "reviewer", "kind", "target", "value", "reason"}
    assert curate(store, CurationConfig()).kept == [reading_id]
    assert listed(store, capsys) == []
    assert [entry.command for entry in read_access_log(store.root)] == ["review"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ok",),
        ("--reading", "ID", "--ok"),
        ("--reading", "ID", "--reviewer", "V1"),
        ("--reading", "ID", "--reviewer", "V1", "--ok", "--mask", "1,1,2,2"),
        ("--reading", "ID", "--reviewer", "V1", "--mask", "9,1,2,2"),
        ("--reading", "ID", "--reviewer", "V1", "--ok", "--picture", "1"),
    ],
)
def test_half_a_decision_is_none(store: Store, arguments: tuple[str, ...]) -> None:
    (reading_id,) = store.reading_ids()
    filled = [argument.replace("ID", reading_id) for argument in arguments]
    assert command(store, *filled) == ExitCode.USAGE
    assert not (store.folder(reading_id) / DECISIONS_FILE).exists()


def test_whoever_opens_a_store_for_review_is_in_its_log(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    StoreSource(store.root)
    (entry,) = read_access_log(store.root)
    assert (entry.command, entry.event, entry.who != "") == ("review", "begins", True)

"""kill -9 while `gazecurate` exports, replaces a dataset, or ingests: a second run ends up the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curation.cli import cli
from gazecapture.console import run_command
from keyframes.errors import ExitCode
from tests.killed_command import killed_when

if TYPE_CHECKING:
    from tests.conftest import SmallDataset


@pytest.fixture
def store(small_dataset: SmallDataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_dataset.store, tmp_path / "store"))


def finish(*arguments: str | Path) -> None:
    """Run it to its end, in this process: only who is killed needs one of its own."""
    assert run_command(cli, [str(argument) for argument in arguments]) == ExitCode.OK


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a dataset or store, but for the logs, whose times differ, and the sessions' paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.jsonl", "access.jsonl", "sessions.json")
    }


def test_killed_while_shards_are_written(small_dataset: SmallDataset, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    command = ("run", "--store", store, "--out", out, "-j", "1")
    killed_when(tmp_path, ".dataset.*.partial/readings/*", "curation", *command)
    assert not (out / "dataset.json").exists()
    assert list(tmp_path.glob(".dataset.*.partial")), "killed in the middle of it"
    finish(*command)
    assert not list(tmp_path.glob(".*.partial"))
    assert content(out) == content(small_dataset.dataset)
    assert content(store) == content(small_dataset.store)


def test_killed_while_an_older_dataset_is_replaced(
    small_dataset: SmallDataset, store: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(small_dataset.dataset, tmp_path / "dataset"))
    excluded = tmp_path / "excluded.txt"
    excluded.write_text(min(p.parent.name for p in store.glob("*/reading.json")), encoding="utf-8")
    other = ("export", "--store", store, "--out", out, "--exclude-list", excluded)
    before = content(out)
    # All is written but not scanned yet; kills during the switch itself: test_switch_killed.py.
    killed_when(tmp_path, ".dataset.*.partial/dataset.json", "curation", *other)
    assert content(out) == before
    finish("run", "--store", store, "--out", out, "-j", "1")
    assert content(out) == content(small_dataset.dataset)
    assert not list(tmp_path.glob(".*.partial"))


def test_killed_while_readings_are_ingested(small_dataset: SmallDataset, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    for name in (".gazecapture", "pseudonym.key"):  # the same key gives the same readings
        shutil.copy(small_dataset.store / name, store)
    command = ("ingest", small_dataset.studies.parent / "sessions", "--format", "session", "--store", store)
    killed_when(store, "[!.]*/reading.json", "curation", *command)
    finish(*command)
    assert not list(store.glob(".*.partial"))
    finish("run", "--store", store, "--out", tmp_path / "dataset", "-j", "1")
    assert content(tmp_path / "dataset") == content(small_dataset.dataset)
    assert content(store) == content(small_dataset.store)

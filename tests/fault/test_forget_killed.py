"""kill -9 while `gazecurate forget` works: each dataset is the old or the new one, the next command does the rest."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from curation.cli import cli
from curation.config import remembered_config
from curation.export.verify import verify_absence, verify_dataset
from curation.exports import logged_export
from curation.lock import INTENT
from curation.sessions import remember_sessions
from gazecapture.console import run_command
from gazecapture.store import Store
from keyframes.errors import ExitCode

if TYPE_CHECKING:
    from tests.conftest import SmallDataset

PATIENCE_S = 60.0


class Place:
    """A store, its sessions and two datasets, all of this test's own."""

    def __init__(self, small: SmallDataset, root: Path) -> None:
        self.store, self.sessions = root / "store", root / "sessions"
        self.datasets = root / "dataset", root / "other"
        shutil.copytree(small.store, self.store)
        shutil.copytree(small.studies.parent / "sessions", self.sessions)
        (self.store / "access.jsonl").unlink()
        (self.store / "sessions.json").unlink()
        remember_sessions(self.store, self.sessions.iterdir())
        for dataset in self.datasets:
            with logged_export(
                self.store, dataset, remembered_config(self.store), command="run", n_readings=4
            ):
                shutil.copytree(small.dataset, dataset)

    @property
    def command(self) -> tuple[str | Path, ...]:
        return ("forget", "--store", self.store, "--reader", "R01")


@pytest.fixture
def place(small_dataset: SmallDataset, tmp_path: Path) -> Place:
    return Place(small_dataset, tmp_path)


def gazecurate(*arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "curation", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Kill the process at the moment when ``reached`` is true; it must not be over by then."""
    try:
        until = time.monotonic() + PATIENCE_S
        while not reached():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.0005)
    finally:
        process.kill()
        process.wait()


POINTS: dict[str, Callable[[Place], bool]] = {
    "the session goes": lambda place: not (place.sessions / "R01").exists(),
    "the first dataset is written": lambda place: any(
        place.store.parent.glob(".dataset.*.partial/readings/*")
    ),
    "the second dataset is written": lambda place: any(
        place.store.parent.glob(".other.*.partial/dataset.json")
    ),
}


@pytest.mark.parametrize("point", POINTS)
def test_the_next_command_does_the_rest(place: Place, point: str) -> None:
    kill_when(gazecurate(*place.command), lambda: POINTS[point](place))
    assert (place.store / INTENT).is_file(), "killed before the end"
    for dataset in place.datasets:
        assert verify_dataset(dataset).n_readings in (2, 4)
    assert run_command(cli, ["qc", "--store", str(place.store), "-j", "1"]) == ExitCode.OK
    assert not (place.store / INTENT).exists()
    assert not list(place.store.glob(".*.partial"))
    assert {path.name for path in place.sessions.iterdir()} == {"R02"}
    store = Store.open(place.store)
    assert {store.meta(i).reader_code for i in store.reading_ids()} == {"R02"}
    for dataset in place.datasets:
        assert not list(dataset.glob(".*.partial"))
        assert not list(dataset.parent.glob(".*.partial"))
        assert verify_dataset(dataset).n_readings == 2
        assert verify_absence(store, dataset) == 3


def test_what_the_commands_write_is_their_owners_alone(small_dataset: SmallDataset) -> None:
    """The store was made by processes of their own, under whatever permissions this one has."""
    for path in small_dataset.store, *small_dataset.store.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name

"""kill -9 while `gazecurate forget` works: each dataset is the old or the new one, the next command does the rest."""

from __future__ import annotations

import shutil
import signal
import stat
import subprocess
import sys
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


FORGET = """
import os, signal, sys
from curation import forget
from curation.cli import cli
from curation.export import switch as switching
from gazecapture.console import run_command

def killed_after(module, name, n_calls):
    real, left = getattr(module, name), [n_calls]
    def call(*arguments, **options):
        result = real(*arguments, **options)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, call)

{point}
run_command(cli, sys.argv[1:])
"""
POINTS = {
    "the session is gone": "killed_after(forget, 'remove_session', 1)",
    "the first dataset is half in its place, where two folders cannot change names": (
        "switching._EXCHANGES = {}\nkilled_after(switching, 'replace_patiently', 3)"
    ),
    "the second dataset has changed names with its old one": "killed_after(switching, '_exchange', 2)",
}
"""Where the command kills itself, at once and without a word: as ``kill -9`` at that moment would."""


@pytest.mark.parametrize("point", POINTS)
def test_the_next_command_does_the_rest(place: Place, point: str) -> None:
    command = [sys.executable, "-c", FORGET.replace("{point}", POINTS[point]), *map(str, place.command)]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    halfway = (place.datasets[0] / ".switching").is_dir()
    assert halfway == ("half in its place" in point)
    assert (place.store / INTENT).is_file(), "killed before the end"
    for dataset in place.datasets[halfway:]:
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

"""Bad input ends in one clear line, the documented exit code, and nothing lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from curation.cli import cli as gazecurate_cli
from gazecapture.cli import cli as gazecapture_cli
from gazecapture.console import run_command
from keyframes.errors import ExitCode

if TYPE_CHECKING:
    from tests.conftest import SmallDataset


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; in one of its own each would import for a second what it then does not use."""

    def in_this_process(*arguments: str | Path) -> Done:
        program = {"gazecapture": gazecapture_cli, "gazecurate": gazecurate_cli}[str(arguments[0])]
        capsys.readouterr()
        code = run_command(program, [str(argument) for argument in arguments[1:]])
        return Done(code, *capsys.readouterr())

    return in_this_process


def complaint(done: Done, code: int) -> str:
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert done.code == code, done.err
    assert len(errors) == 1, done.err
    assert "Traceback" not in done.err
    return errors[0]


def test_demo_with_a_folder_without_pictures(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    done = run("gazecapture", "demo", "--out", tmp_path / "out", "--images", tmp_path)
    assert complaint(done, done.code)
    assert done.code in {1, 2}


def test_demo_into_a_foreign_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    line = complaint(run("gazecapture", "demo", "--out", tmp_path), 2)
    assert "not empty" in line
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.doc"]


def test_read_without_a_worklist(run: Run, tmp_path: Path) -> None:
    line = complaint(run("gazecapture", "read", tmp_path / "none.csv", "--out", tmp_path / "s"), 2)
    assert "none.csv" in line
    assert not (tmp_path / "s").exists()


def test_ingest_of_what_is_no_session(run: Run, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    done = run("gazecurate", "ingest", tmp_path / "src", "--format", "session", "--store", tmp_path / "store")
    assert complaint(done, done.code)
    assert done.code in {1, 2}


def test_run_into_a_foreign_folder_does_no_work(
    run: Run, small_dataset: SmallDataset, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("x")
    line = complaint(run("gazecurate", "run", "--store", small_dataset.store, "--out", tmp_path), 2)
    assert "not empty" in line
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_no_permission_to_write(run: Run, small_dataset: SmallDataset, tmp_path: Path) -> None:
    # The superuser may write anywhere but where the kernel itself refuses.
    forbidden = Path("/sys") if os.name == "posix" and os.geteuid() == 0 else tmp_path
    tmp_path.chmod(0o500)
    try:
        line = complaint(
            run("gazecurate", "run", "--store", small_dataset.store, "--out", forbidden / "d"), 2
        )
    finally:
        tmp_path.chmod(0o700)
    assert "permission" in line


def test_one_bad_picture_fails_one_reading(run: Run, small_dataset: SmallDataset, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(small_dataset.store, store)
    victim = min(store.glob("*/images/0.dcm"))
    victim.write_bytes(b"not a picture")
    shutil.rmtree(victim.parent.parent / "stages")
    done = run("gazecurate", "run", "--store", store, "--out", tmp_path / "d", "-j", "1")
    assert done.code == 3, done.err
    assert len(list((tmp_path / "d" / "readings").glob("*.parquet"))) >= 1
    assert "GT-IMAGE" in done.out + done.err


def test_verify_of_an_altered_dataset(run: Run, small_dataset: SmallDataset, tmp_path: Path) -> None:
    shutil.copytree(small_dataset.dataset, tmp_path / "d")
    shard = next((tmp_path / "d" / "readings").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes() + b"x")
    assert "GT-INTEGRITY" in complaint(run("gazecurate", "verify", tmp_path / "d"), 6)


@pytest.mark.parametrize("program", [gazecapture_cli, gazecurate_cli], ids=["gazecapture", "gazecurate"])
def test_every_command_that_is_offered_is_there(program: click.Group) -> None:
    with click.Context(program) as context:
        names = program.list_commands(context)
    assert names
    for name in names:
        assert run_command(program, [name, "--help"]) == ExitCode.OK, name

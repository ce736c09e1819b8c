"""`gazecurate run` stopped in the middle, by hand, by the scheduler, by force: a second run ends up the same."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from curation.cli import cli
from curation.manifest import read_lines
from gazecapture.console import run_command
from keyframes.errors import ExitCode

N_READINGS = 4
READINGS = Path(__file__).parents[1] / "unit" / "curation" / "readings.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("synthetic_readings_for_faults", READINGS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def filled(generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test changes."""
    return Path(generator.fill_store(tmp_path_factory.mktemp("fault") / "store", N_READINGS).root)


@pytest.fixture(scope="module")
def undisturbed(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run that nobody disturbs leaves: the store and, beside it, the dataset."""
    store = Path(shutil.copytree(filled, tmp_path_factory.mktemp("undisturbed") / "store"))
    _run_to_the_end(store)
    return store


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "store"))


def _command(store: Path, *, jobs: int) -> list[str]:
    settings = store.parent / "one-format.toml"
    settings.write_text('[export]\nformats = ["parquet"]\n', encoding="utf-8")
    out = store.parent / "out"
    return ["run", "--store", str(store), "--out", str(out), "-c", str(settings), "-j", str(jobs)]


def _start(store: Path, *, jobs: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "curation", *_command(store, jobs=jobs)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _run_to_the_end(store: Path) -> None:
    """Run it in this process: only who is stopped needs one of its own."""
    assert run_command(cli, _command(store, jobs=1)) == ExitCode.OK


def _stages_done(store: Path) -> list[Path]:
    return sorted(store.glob("*/stages/*/stage.json"))


STAGES_WITHIN_S = 200
"""Of the first few stages: the first run after an installation compiles its kernels, in every process."""


def _in_mid_run(process: subprocess.Popen[str], store: Path) -> None:
    """Wait until some stages are done; the run must not be over."""
    until = time.monotonic() + STAGES_WITHIN_S
    while len(_stages_done(store)) < 4 and time.monotonic() < until:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.002)
    assert len(_stages_done(store)) >= 4


def _end(process: subprocess.Popen[str]) -> None:
    """Leave nothing running, whatever the test found."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _same_as(undisturbed: Path, store: Path) -> None:
    """Compare every stage's files and every shard, byte for byte."""
    for folder, pattern in ((Path(), "*/stages/*/*"), (Path("../out"), "readings/*")):
        ours = {p.relative_to(store / folder): p.read_bytes() for p in sorted((store / folder).glob(pattern))}
        theirs = {
            p.relative_to(undisturbed / folder): p.read_bytes()
            for p in sorted((undisturbed / folder).glob(pattern))
        }
        assert list(ours) == list(theirs)
        assert [name for name, content in ours.items() if content != theirs[name]] == []
    assert len(_stages_done(store)) == 7 * N_READINGS
    assert not list(store.rglob(".*.partial")), "what was half-written is swept"
    assert not list((store.parent / "out").rglob(".*.partial"))


def test_kill_minus_9_then_again(store: Path, undisturbed: Path) -> None:
    process = _start(store, jobs=2)
    try:
        _in_mid_run(process, store)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _gone, alive = psutil.wait_procs(workers, timeout=180)
        assert not alive, "workers end with their parent"
    finally:
        _end(process)
    n_before = len(_stages_done(store))
    assert n_before < 7 * N_READINGS, "killed too late to mean anything"
    _run_to_the_end(store)
    _same_as(undisturbed, store)


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C: every process of the terminal's group gets it."""
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize(
    ("stop", "jobs"), [(_interrupt, 2), (subprocess.Popen.terminate, 1)], ids=["ctrl-c", "terminate"]
)
def test_a_stop_is_clean_and_resumable(
    store: Path, undisturbed: Path, stop: Callable[[subprocess.Popen[str]], None], jobs: int
) -> None:
    process = _start(store, jobs=jobs)
    try:
        _in_mid_run(process, store)
        stop(process)
        assert process.wait(timeout=300) == 130
        assert process.stderr is not None
        said = process.stderr.read()
        assert "interrupted; run the same command again" in said
        assert "Traceback" not in said
    finally:
        _end(process)
    assert not (store / ".lock").exists()
    kept = {path: path.stat().st_mtime_ns for path in _stages_done(store)}
    _run_to_the_end(store)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "finished work is not done twice"
    _same_as(undisturbed, store)


def test_a_killed_worker_costs_nothing(store: Path, undisturbed: Path) -> None:
    process = _start(store, jobs=2)
    try:
        _in_mid_run(process, store)
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if any("spawn_main" in part for part in child.cmdline())
        ]
        workers[0].kill()
        assert process.wait(timeout=300) == 0
    finally:
        _end(process)
    _same_as(undisturbed, store)


def test_an_interrupt_while_workers_start(store: Path) -> None:
    process = _start(store, jobs=2)
    try:
        until = time.monotonic() + STAGES_WITHIN_S
        while time.monotonic() < until and not psutil.Process(process.pid).children(recursive=True):
            time.sleep(0.005)
        time.sleep(0.3)  # workers import for longer than this
        _interrupt(process)
        assert process.wait(timeout=300) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    finally:
        _end(process)
    assert not (store / ".lock").exists()


def _shard(store: Path, number: int) -> subprocess.Popen[str]:
    command = ["run", "--store", str(store), "--shard", f"{number}/3", "-j", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "curation", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_shards_at_the_same_time_then_export_are_one_run(store: Path, undisturbed: Path) -> None:
    shards = [_shard(store, number) for number in (1, 2, 3)]
    try:
        said = [process.communicate(timeout=300) for process in shards]
    finally:
        for process in shards:
            _end(process)
    assert [process.returncode for process in shards] == [0, 0, 0], said
    # Two, where one that marked its part looks for the others' marks only when another has finished.
    assert sum("done but for what waits" not in out for out, _ in said) >= 1, "one of them finishes"
    assert not (store.parent / "out").exists()
    assert len(list(store.glob("manifest-*.jsonl"))) == 3
    assert run_command(cli, ["export", *_command(store, jobs=1)[1:-2]]) == ExitCode.OK
    _same_as(undisturbed, store)
    assert not list(store.glob("manifest-*.jsonl"))
    done = [(line.reading_id, line.stage) for line in read_lines(store)]
    assert len(done) == len(set(done)) == 7 * N_READINGS

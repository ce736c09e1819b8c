"""The demonstration: the commands that a user would type, one after the other, and what came of them.

Every step can be interrupted; a second run goes on where the first stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from gazecapture.console import progress_bar
from gazecapture.demo.score import Score, score_session, scores_document
from gazecapture.demo.studies import write_demo_studies, write_user_studies
from gazecapture.files import (
    claim_output_folder,
    make_private_folder,
    write_bytes_atomically,
    write_json_atomically,
)
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder_client import adopt_recorder
from gazecapture.session.schema import DISPLAY_JOURNAL
from gazecapture.simulation.feed import check_rate
from gazecapture.store import Store
from gazecapture.worklist import load_worklist
from keyframes.errors import ExitCode, GazeToolError, UsageError

__all__ = ["DemoOptions", "DemoResult", "run_demo"]

READY_TIMEOUT_S = 60.0
"""For the simulated reader to be ready: it imports numba and reads every study; a busy machine takes 20 s."""
POLL_S = 0.25
CLOSE_TIMEOUT_S = 20.0
"""For the simulated reader to save its truth after the window has closed."""

LSL_CONFIG = """[ports]
IPv6 = disable
[multicast]
ResolveScope = machine
AddressesOverride = {{127.0.0.1}}
ListenAddress = 127.0.0.1
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = demo-{session_id}
[log]
level = -2
"""
"""The demo's streams are found on this machine only, and never mixed up with a laboratory's."""

MAX_READINGS = 1000
"""A reading takes half a minute: more is a slip of the finger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the demo is asked for."""

    out: Path
    images: Path | None = None
    n_readings: int = 3
    rate_hz: float = 1000.0
    seed: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What came of it, and where."""

    scores: tuple[Score, ...]
    paths: Mapping[str, Path]
    exit_code: ExitCode


def run_demo(options: DemoOptions, say: Callable[[str], None]) -> DemoResult:
    """Run the whole path in ``options.out``. ``say`` gets the lines for people.

    Raises GazeToolError where a step fails; what was done before stays and is not done again.
    """
    if not 1 <= options.n_readings <= MAX_READINGS:
        raise UsageError(f"--readings is {options.n_readings}, expected 1 to {MAX_READINGS}")
    if options.seed < 0:
        raise UsageError(f"--seed is {options.seed}, it counts from 0")
    check_rate(options.rate_hz)
    out = claim_output_folder(options.out.resolve(), kind="demo")
    paths = {
        "studies": out / "studies",
        "session": out / "session",
        "truth": out / "ground_truth",
        "store": out / "store",
        "dataset": out / "dataset",
        "screenshots": out / "screenshots",
        "scores": out / "scores.json",
        "report": out / "dataset" / "report.html",
        "logs": out / "logs",
    }
    make_private_folder(paths["logs"])
    _keep_settings(out, options)
    worklist = _write_studies(options, paths["studies"])
    _read(options, paths, worklist, say)
    codes = [
        _gazecurate(["ingest", paths["session"], "--format", "session", "--store", paths["store"]], say),
        _gazecurate(["run", "--store", paths["store"], "--out", paths["dataset"]], say),
    ]
    scores = score_session(
        paths["session"],
        Store.open(paths["store"]),
        _truth_runs(paths["truth"]),
        with_letters=options.images is None,
    )
    write_json_atomically(paths["scores"], scores_document(scores))
    pictures = [part for p in sorted(paths["screenshots"].glob("*.png")) for part in ("--picture", p)]
    report = ["report", "--dataset", paths["dataset"], *pictures, "--scores", paths["scores"]]
    codes.append(_gazecurate(report, say))
    # A lost sample is a failure of the toolkit; agreement with the truth is a measurement.
    failed = any(score.ok is False for score in scores if score.name.endswith("lost"))
    worst = max([*codes, ExitCode.INTERNAL if failed else ExitCode.OK])
    return DemoResult(scores=tuple(scores), paths=paths, exit_code=worst)


def _keep_settings(out: Path, options: DemoOptions) -> None:
    """Remember what this folder was made with; another request needs another folder."""
    settings = {
        "images": None if options.images is None else str(options.images.resolve()),
        "n_readings": options.n_readings,
        "rate_hz": options.rate_hz,
        "seed": options.seed,
    }
    path = out / "demo.json"
    if path.exists() and json.loads(path.read_bytes()) != settings:
        raise UsageError(
            f"{out} holds a demo that was made with other options",
            hint="Give another folder to --out, or the same options to go on with it.",
            path=out,
            code="GT-FOREIGN-FOLDER",
        )
    write_json_atomically(path, settings)


def _write_studies(options: DemoOptions, folder: Path) -> Path:
    worklist = folder / "worklist.csv"
    with _bar("writing the radiographs", options.n_readings) as (bar, task):

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if not worklist.exists():
            if options.images is None:
                write_demo_studies(folder, n_studies=options.n_readings, seed=options.seed, progress=advance)
            else:
                write_user_studies(options.images, folder, limit=options.n_readings, progress=advance)
        bar.update(task, completed=bar.tasks[0].total)
    return worklist


def _read(
    options: DemoOptions, paths: Mapping[str, Path], worklist: Path, say: Callable[[str], None]
) -> None:
    """Let the simulated reader read every study that is not read yet."""
    n_studies = len(load_worklist(worklist))
    if _n_read(paths["session"]) >= n_studies and adopt_recorder(paths["session"]) is None:
        return
    environment = _lsl_environment(paths["logs"])
    run = len(_truth_runs(paths["truth"], finished=False)) + 1
    truth = make_private_folder(paths["truth"] / f"run-{run:03d}")
    simulate: list[str | Path] = [
        "simulate", "--rate-hz", f"{options.rate_hz:g}", "--seed", str(options.seed), "--serve",
        "--studies", paths["studies"], "--truth", truth,
    ]  # fmt: skip
    with _process("gazecapture", simulate, paths["logs"] / "simulate.log", environment, say) as reader:
        port = _port_of(reader, paths["logs"] / "simulate.log")
        read: list[str | Path] = [
            "read", worklist, "--out", paths["session"], "--reader", "SIM1", "--driver", f"127.0.0.1:{port}",
            "--validation", "--screenshots", paths["screenshots"], "--wait-s", "60",
        ]  # fmt: skip
        with _process("gazecapture", read, paths["logs"] / "read.log", environment, say) as viewer:
            with _bar("reading", n_studies) as (bar, task):
                while viewer.poll() is None:
                    bar.update(
                        task, completed=_n_read(paths["session"]), description=_progress(paths["session"])
                    )
                    time.sleep(POLL_S)
                bar.update(task, completed=_n_read(paths["session"]))
            # 3: a film could not be shown; the window said so and the others were read.
            if viewer.returncode not in {ExitCode.OK, ExitCode.SOME_FAILED}:
                raise _failure("gazecapture read", viewer.returncode, paths["logs"] / "read.log")
        try:
            reader.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise GazeToolError(
                "the simulated reader did not end after the window was closed",
                path=paths["logs"] / "simulate.log",
            ) from None


def _n_read(session: Path) -> int:
    """Count the studies that were read to their end."""
    journal = read_journal(session / "display", schema=DISPLAY_JOURNAL).table
    rows = zip(journal["reading_number"].to_pylist(), journal["event"].to_pylist(), strict=True)
    return len({number for number, event in rows if event == "off"})


def _progress(session: Path) -> str:
    try:
        status = json.loads((session / "status.json").read_bytes())
        n_samples = sum(stream["n_samples"] for stream in status["streams"] if stream["role"] == "gaze")
    except (OSError, ValueError, KeyError):
        return "reading"
    return f"reading, {n_samples:,} samples"


def _truth_runs(truth: Path, *, finished: bool = True) -> list[Path]:
    runs = sorted(truth.glob("run-*"))
    return [run for run in runs if not finished or (run / "session.json").is_file()]


def _lsl_environment(folder: Path) -> dict[str, str]:
    config = folder / "lsl_api.cfg"
    if not config.exists():
        write_bytes_atomically(config, LSL_CONFIG.format(session_id=uuid.uuid4().hex).encode())
    return {**os.environ, "LSLAPICFG": str(config)}


def _gazecurate(arguments: Sequence[str | Path], say: Callable[[str], None]) -> ExitCode:
    """Run one gazecurate command; its progress goes to our stderr. Returns 0 or 3, raises for the others."""
    say(_shown("gazecurate", arguments))
    command = [sys.executable, "-m", "curation", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode in {ExitCode.OK, ExitCode.SOME_FAILED}:
        return ExitCode(done.returncode)
    if done.returncode == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    raise _failure(f"gazecurate {arguments[0]}", done.returncode, None)


@contextmanager
def _process(
    program: str,
    arguments: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process beside us; it is ended when we leave, and waited for."""
    say(_shown(program, arguments))
    command = [sys.executable, "-m", program, *map(str, arguments)]
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=dict(environment))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(CLOSE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _port_of(reader: subprocess.Popen[bytes], log: Path) -> int:
    """Wait for the line in which the simulated reader says where it listens."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    line = b"" if reader.stdout is None else reader.stdout.readline()
    while not line and reader.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    try:
        return int(json.loads(line)["port"])
    except (ValueError, KeyError, TypeError):
        raise _failure("gazecapture simulate", reader.poll(), log) from None


def _failure(command: str, code: int | None, log: Path | None) -> GazeToolError:
    last = ""
    if log is not None and log.exists():
        lines = [
            line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
        last = f": {lines[-1]}" if lines else ""
    return GazeToolError(
        f"{command} ended with code {code}{last}",
        hint="Run the same command again to go on from here.",
        path=log,
        code="GT-DEMO-STEP",
    )


def _shown(program: str, arguments: Sequence[str | Path]) -> str:
    return " ".join(["$", program, *(_short(a) for a in arguments)])


def _short(argument: str | Path) -> str:
    text = str(argument)
    if isinstance(argument, Path):
        try:
            text = str(argument.relative_to(Path.cwd()))
        except ValueError:
            text = str(argument)
    return f"'{text}'" if " " in text else text


@contextmanager
def _bar(title: str, total: int) -> Iterator[tuple[Progress, Any]]:
    with progress_bar() as bar:
        yield bar, bar.add_task(title, total=total)

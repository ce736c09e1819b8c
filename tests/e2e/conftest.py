"""One demo for all end-to-end tests: interrupted while a film is read, then run again to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gazecapture.session.journal import read_journal
from gazecapture.session.schema import DISPLAY_JOURNAL

N_READINGS = 2
RATE_HZ = 1000
READING_STARTED_S = 3.0
"""Gaze time after image on at which the first run is interrupted."""


@dataclass(frozen=True)
class DemoRun:
    """What the demo left behind."""

    out: Path
    interrupted_code: int
    finished: subprocess.CompletedProcess[str]
    summary: dict[str, Any]


def demo_command(out: Path) -> list[str]:
    return [
        sys.executable, "-m", "gazecapture", "demo", "--out", str(out), "--readings", str(N_READINGS),
        "--rate-hz", str(RATE_HZ), "--json",
    ]  # fmt: skip


def interrupt_while_reading(out: Path, log: Path) -> int:
    """Start the demo and press Ctrl-C (the signal goes to the whole foreground group) while a film is open."""
    with log.open("wb") as sink:
        process = subprocess.Popen(demo_command(out), stdout=sink, stderr=sink, start_new_session=True)
        try:
            deadline = time.monotonic() + 300
            n_at_image_on: int | None = None
            while time.monotonic() < deadline and process.poll() is None:
                if n_at_image_on is None and film_is_open(out):
                    n_at_image_on = n_samples(out)
                if n_at_image_on is not None and n_samples(out) - n_at_image_on > READING_STARTED_S * RATE_HZ:
                    os.killpg(process.pid, signal.SIGINT)
                    return process.wait(120)
                time.sleep(0.2)
            raise AssertionError(f"no film was read in time: {log.read_text(errors='replace')[-2000:]}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def film_is_open(out: Path) -> bool:
    journal = read_journal(out / "session" / "display", schema=DISPLAY_JOURNAL).table
    return "on" in journal["event"].to_pylist()


def n_samples(out: Path) -> int:
    try:
        status = json.loads((out / "session" / "status.json").read_bytes())
    except (OSError, ValueError):
        return 0
    return sum(stream["n_samples"] for stream in status["streams"] if stream["role"] == "gaze")


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    root = tmp_path_factory.mktemp("demo")
    out = root / "out"
    code = interrupt_while_reading(out, root / "first.log")
    finished = subprocess.run(demo_command(out), capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return DemoRun(out=out, interrupted_code=code, finished=finished, summary=json.loads(finished.stdout))

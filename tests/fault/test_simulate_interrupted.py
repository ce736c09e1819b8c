"""Ctrl-C while several processes simulate: a documented code, nothing half-made, nobody left at work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

BEGUN_WITHIN_S = 200
"""Of the first reading: the first run after an installation compiles its kernels."""


def test_ctrl_c_ends_all_processes_and_leaves_no_half_session(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--studies", "8", "--readers", "2", "--size", "64x78", "--rate-hz", "60", "--seconds", "600"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gazecapture",
            "simulate",
            "--offline",
            "--out",
            str(out),
            *arguments,
            "-j",
            "2",
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    family: list[psutil.Process] = []
    try:
        until = time.monotonic() + BEGUN_WITHIN_S
        while not list(out.glob("sessions/.R*.partial/streams")) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.002)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 2
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 130
        assert "interrupted; run the same command again" in said
        assert "Traceback" not in said
        gone, alive = psutil.wait_procs(family, timeout=60)
        assert gone
        assert not alive
        assert not list((out / "sessions").iterdir())
        assert (out / "studies" / "worklist.csv").is_file(), "what was done stays"
    finally:
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.kill()
        process.wait()

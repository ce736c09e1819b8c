"""A command that is killed at a moment that a file tells of."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

__all__ = ["killed_when"]

PATIENCE_S = 300.0
WATCHED = """
import os, runpy, signal, sys, threading, time
from pathlib import Path
folder, pattern, module = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.argv[:] = sys.argv[3:]
def watch():
    while not any(folder.glob(pattern)):
        time.sleep(0.001)
    os.killpg(0, signal.SIGKILL)
if __name__ == "__main__":
    threading.Thread(target=watch, daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""A thread of the process itself looks for the moment: the test might not have its turn before all is over."""


def killed_when(folder: Path, pattern: str, module: str, *arguments: str | Path) -> None:
    """Run ``python -m MODULE`` and kill it, with all that it started, once a file of ``pattern`` is in ``folder``."""
    command = [sys.executable, "-c", WATCHED, folder, pattern, module, *arguments]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, timeout=PATIENCE_S, check=False, start_new_session=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

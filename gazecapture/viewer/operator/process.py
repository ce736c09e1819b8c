"""The operator's window as a process of its own beside a sitting: what happens to it cannot reach the reader. No Qt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gazecapture.sources.neon_options import NeonChoice

__all__ = ["start_operator"]

_DETACHED: list[subprocess.Popen[bytes]] = []
"""They outlive whoever started them, and subprocess would warn of that."""


def start_operator(session: Path, screen_index: int, neon: NeonChoice | None = None) -> None:
    """Open the operator's window on a screen, for a session whose recorder is at work; returns at once.

    It closes by itself when the recorder has ended. One that cannot open or dies is no reason to stop a reading: it is
    left alone, and `gazecapture operator` opens another.

    neon : whose gaze is put on the screen there, with a connection of its own.
    """
    command = [
        sys.executable, "-m", "gazecapture", "operator", str(session), "--screen", str(screen_index), "--until-end",
    ]  # fmt: skip
    command += [] if neon is None or not neon.options.video else neon.arguments()
    _DETACHED.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))

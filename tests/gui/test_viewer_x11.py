"""A real window on a real X server, driven by mouse and keyboard, with a real stream and the real recorder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazecapture.session.journal import read_journal
from gazecapture.session.schema import read_session_info
from gazecapture.session.to_readings import to_readings
from keyframes.geometry import Affine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 and xdotool are Linux's")

SENDER = Path(__file__).parents[1] / "fault" / "lsl_sender.py"
SCREEN = (1280, 800)
SERVER_OPTIONS = ["-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24", "-nolisten", "tcp"]
PATIENCE_S = 40.0


@pytest.fixture
def display() -> Iterator[str]:
    """An X server of this test's own."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), *SERVER_OPTIONS],  # noqa: S607 - wherever the system has it
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait()


@pytest.fixture
def stream() -> Iterator[str]:
    name = f"gaze {uuid.uuid4().hex[:6]}"
    sender = subprocess.Popen(
        [sys.executable, str(SENDER), "--name", name, "--rate-hz", "250", "--seconds", "300"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sender.stdout is not None
    assert sender.stdin is not None
    assert sender.stdout.readline() == "ready\n"
    yield name
    sender.kill()
    sender.wait()
    sender.stdin.close()
    sender.stdout.close()


class Hands:
    """Mouse and keyboard of one X server."""

    def __init__(self, display: str) -> None:
        self._environment = {**os.environ, "DISPLAY": display}

    def do(self, *words: str | int) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, words)],  # noqa: S607 - wherever the system has it
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""


def rows(session: Path) -> list[dict[str, Any]]:
    if not (session / "display").is_dir():
        return []
    found: list[dict[str, Any]] = read_journal(session / "display").table.to_pylist()
    return found


def wait_for_rows(session: Path, n_rows: int) -> list[dict[str, Any]]:
    end = time.monotonic() + PATIENCE_S
    while len(found := rows(session)) < n_rows:
        assert time.monotonic() < end, f"{len(found)} of {n_rows} rows: {[r['event'] for r in found]}"
        time.sleep(0.05)
    return found


def test_a_session_by_mouse_and_keyboard(tmp_path: Path, display: str, stream: str) -> None:
    grey = (np.add.outer(np.arange(500), np.arange(400)) / 4).astype(np.uint8)
    for name in ("1.png", "2.png", "3.png"):
        Image.fromarray(grey).save(tmp_path / name)
    listed = tmp_path / "list.csv"
    listed.write_text("study_id,current,prior\nS1,1.png,\nS2,2.png,3.png\n")
    session = tmp_path / "session"
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"}
    viewer = subprocess.Popen(
        [
            sys.executable, "-m", "gazecapture", "read", str(listed), "--out", str(session), "--stream", stream,
            "--no-validation", "--display-mm", "340x212", "--distance-mm", "600",
        ],
        env={**environment, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    hands = Hands(display)
    try:
        (on,) = wait_for_rows(session, 1)
        assert on["viewport_rect"] == [0.0, 56.0, 1280.0, 800.0]  # full screen, below the caption
        # No window manager runs here to give the window the keyboard.
        window = hands.do("search", "--onlyvisible", "--name", "gazecapture").split()[0]
        hands.do("windowfocus", "--sync", window)

        hands.do("mousemove", 700, 300, "click", 4)
        zoomed = wait_for_rows(session, 2)[-1]
        before, after = Affine(*on["affine"]), Affine(*zoomed["affine"])
        assert before.a / after.a == pytest.approx(2**0.25)
        assert np.subtract(before.apply(700, 300), after.apply(700, 300)) == pytest.approx(0, abs=0.01)
        n = len(rows(session))
        hands.do("mousemove", 700, 300, "mousedown", 3, "mousemove", 760, 300, "mouseup", 3)
        dragged = wait_for_rows(session, n + 1)[-1]
        assert dragged["window_width"] > zoomed["window_width"]
        n = len(rows(session))
        hands.do("key", "n")  # one key closes a normal film

        found = wait_for_rows(session, n + 3)
        assert [(r["event"], r["reading_number"]) for r in found[n:]] == [("off", 1), ("on", 2), ("on", 2)]
        hands.do("mousemove", 1000, 400, "key", "h")
        flipped = wait_for_rows(session, n + 4)[-1]
        assert (flipped["viewport_id"], flipped["image_index"]) == (1, 1)
        assert flipped["affine"][0] < 0
        hands.do("key", "Next")
        output, errors = viewer.communicate(timeout=PATIENCE_S)
    finally:
        viewer.kill()
        viewer.wait()
    assert viewer.returncode == 0, errors
    assert "2 of 2 studies read" in output
    info = read_session_info(session)
    assert info.display is not None
    assert (info.display.width_px, info.display.height_px, info.display.width_mm) == (*SCREEN, 340.0)
    assert not info.synthetic
    readings = [r.reading for r in to_readings(session, key=bytes(32))]
    assert [r.meta.reading_number for r in readings if r is not None] == [1, 2]
    assert all(r is not None and r.table("gaze").num_rows > 0 for r in readings)

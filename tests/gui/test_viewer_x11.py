"""A real window on a real X server, driven by mouse and keyboard, with a real stream and the real recorder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazecapture.session.audio import RATE_HZ, AudioClip, read_wav, session_audio, write_wav
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import read_session_info
from gazecapture.session.to_readings import to_readings
from keyframes.geometry import Affine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 and xdotool are Linux's")

SCREEN = (1280, 800)
SERVER_OPTIONS = ["-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24", "-nolisten", "tcp"]
PATIENCE_S = 180.0


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
def reader() -> Iterator[None]:
    """A simulated reader's eyes and voice, without its hands."""
    simulated = subprocess.Popen(
        [sys.executable, "-m", "gazecapture", "simulate", "--rate-hz", "250", "--seed", "4"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield
    simulated.send_signal(signal.SIGINT)
    simulated.wait(timeout=PATIENCE_S)


class Hands:
    """Mouse and keyboard of one X server."""

    def __init__(self, display: str) -> None:
        self._environment = {**os.environ, "DISPLAY": display}
        self.n_inputs = 0
        """Keys pressed, buttons clicked or held, wheel notches."""

    def do(self, *words: str | int) -> str:
        self.n_inputs += sum(word in {"key", "click", "mousedown", "keydown"} for word in words)
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


def wait_for_event(session: Path, number: int, event: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE_S
    while True:
        found = [r for r in rows(session) if (r["reading_number"], r["event"]) == (number, event)]
        if found:
            return found[-1]
        assert time.monotonic() < end
        time.sleep(0.05)


def wait_for_window(hands: Hands) -> str:
    end = time.monotonic() + PATIENCE_S
    while not (found := hands.do("search", "--onlyvisible", "--name", "gazecapture").split()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found[0]


def press_until_rows(hands: Hands, key: str, session: Path, n_rows: int) -> None:
    """Press a key until a film is there: before its card is, a key does nothing."""
    end = time.monotonic() + PATIENCE_S
    while len(rows(session)) < n_rows:
        assert time.monotonic() < end
        hands.do("key", key)
        for _ in range(20):
            if len(rows(session)) >= n_rows:
                return
            time.sleep(0.05)


def test_a_session_by_mouse_and_keyboard(tmp_path: Path, display: str, reader: None) -> None:
    grey = (np.add.outer(np.arange(500), np.arange(400)) / 4).astype(np.uint8)
    for name in ("1.png", "2.png", "3.png"):
        Image.fromarray(grey).save(tmp_path / name)
    listed = tmp_path / "list.csv"
    listed.write_text("study_id,current,prior,indication\nS1,1.png,,Cough\nS2,2.png,3.png,\n")
    write_wav(tmp_path / "said.wav", AudioClip(samples=np.full(300 * RATE_HZ, 9000, np.int16)))
    session = tmp_path / "session"
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"}
    viewer = subprocess.Popen(
        [
            sys.executable, "-m", "gazecapture", "read", str(listed), "--out", str(session), "--wait-s", "40",
            "--no-validation", "--no-consent", "--display-mm", "340x212", "--distance-mm", "600",
            "--indication", "before", "--dictation", f"file:{tmp_path / 'said.wav'}", "--talk", "hold",
        ],
        env={**environment, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    hands = Hands(display)
    try:
        # No window manager runs here to give the window the keyboard.
        hands.do("windowfocus", "--sync", wait_for_window(hands))
        # A normal film: one key to see it, one to close it.
        press_until_rows(hands, "n", session, 1)
        hands.n_inputs = 0
        hands.do("keydown", "t", "sleep", 1, "keyup", "t")  # speaking
        hands.n_inputs = 1  # the key that showed the film
        hands.do("key", "n")
        assert hands.n_inputs == 2
        found = wait_for_rows(session, 4)
        assert [(r["event"], r["reading_number"]) for r in found] == [
            ("on", 1),
            ("off", 1),
            ("on", 2),
            ("on", 2),
        ]
        assert found[0]["viewport_rect"] == [0.0, 56.0, 1280.0, 800.0]  # full screen, below the caption

        # The second film: every tool, and back to the first.
        on = found[3]
        hands.do("mousemove", 700, 300, "click", 4)
        zoomed = wait_for_rows(session, 5)[-1]
        before, after = Affine(*on["affine"]), Affine(*zoomed["affine"])
        assert before.a / after.a == pytest.approx(2**0.25)
        assert np.subtract(before.apply(700, 300), after.apply(700, 300)) == pytest.approx(0, abs=0.01)
        n = len(rows(session))
        hands.do("mousemove", 700, 300, "mousedown", 3, "mousemove", 760, 300, "mouseup", 3)
        dragged = wait_for_rows(session, n + 1)[-1]
        assert dragged["window_width"] > zoomed["window_width"]
        n = len(rows(session)) - 3
        hands.do("mousemove", 1000, 400, "key", "h")
        flipped = wait_for_rows(session, n + 4)[-1]
        assert (flipped["viewport_id"], flipped["image_index"]) == (1, 1)
        assert flipped["affine"][0] < 0
        hands.do("key", "m")
        glass = wait_for_rows(session, n + 5)[-1]
        assert (glass["viewport_id"], glass["image_index"]) == (100, 1)
        hands.do("key", "Prior")
        opened = wait_for_event(session, 3, "on")
        assert opened["image_index"] == 0
        hands.do("key", "n")
        wait_for_event(session, 3, "off")
        wait_for_rows(session, len(rows(session)) + 2)  # the second film comes again
        hands.do("key", "Next")
        wait_for_event(session, 2, "off")
        for _ in range(50):
            if viewer.poll() is not None:
                break
            hands.do("key", "n")  # from the last card
            time.sleep(0.2)
        output, errors = viewer.communicate(timeout=PATIENCE_S)
    finally:
        viewer.kill()
        viewer.wait()
    assert viewer.returncode == 0, errors
    assert "2 of 2 studies read" in output
    assert json.loads((session / "self-check.json").read_text())["problems"] == []
    info = read_session_info(session)
    assert info.display is not None
    assert (info.display.width_px, info.display.height_px, info.display.width_mm) == (*SCREEN, 340.0)
    assert not info.synthetic
    readings = [r.reading for r in to_readings(session, key=bytes(32))]
    assert [r.meta.reading_number for r in readings if r is not None] == [1, 2, 3]
    (spoken,) = session_audio(session)
    on_ns, off_ns = (r["t_ns"] for r in rows(session)[:2])
    assert on_ns < spoken.t_ns[0] < off_ns
    assert 0.5 < read_wav(spoken.path).duration_s < 5
    assert all(r is not None and r.table("gaze").num_rows > 0 for r in readings)

"""A real window on a real X server, driven by mouse and keyboard, with a real stream and the real recorder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageGrab

from gazecapture.session.audio import RATE_HZ, AudioClip, read_wav, session_audio, write_wav
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import read_session_info
from gazecapture.session.to_readings import to_readings
from gazecapture.viewer.qt.operator.panel import PANEL_WIDTH
from gazecapture.viewer.qt.operator.window import CAPTION_HEIGHT
from gazecapture.viewer.qt.review import palette
from keyframes.geometry import Affine
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="X11 and xdotool are Linux's")

SCREEN, SECOND_SCREEN = (1280, 800), (1024, 768)
PATIENCE_S = 180.0


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
            timeout=PATIENCE_S,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""


def rows(session: Path) -> list[dict[str, Any]]:
    if not (session / "display").is_dir():
        return []
    found: list[dict[str, Any]] = read_journal(session / "display").table.to_pylist()
    return found


def wait_for_rows(session: Path, n_rows: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(rows(session)) >= n_rows, f"for {n_rows} rows")
    return rows(session)


def wait_for_row(session: Path, fits: Callable[[dict[str, Any]], bool], *, n: int = 1) -> dict[str, Any]:
    """Wait until ``n`` rows fit; return the newest of them."""
    wait_until(lambda: sum(map(fits, rows(session))) >= n, "for a row")
    return [row for row in rows(session) if fits(row)][-1]


def is_event(number: int, event: str) -> Callable[[dict[str, Any]], bool]:
    return lambda row: (row["reading_number"], row["event"]) == (number, event)


def window_on(hands: Hands, screen: int) -> str:
    """Return our window on a screen of the X server; empty where none is."""
    return hands.do("search", "--onlyvisible", "--screen", screen, "--name", "gazecapture")


def wait_for_window(hands: Hands, screen: int = 0) -> str:
    wait_until(lambda: window_on(hands, screen), "for the window")
    return window_on(hands, screen).split()[0]


def geometry(hands: Hands, window: str) -> list[int]:
    said = hands.do("getwindowgeometry", "--shell", window).splitlines()
    place = dict(line.split("=") for line in said)
    return [int(place.get(name, -1)) for name in ("X", "Y", "WIDTH", "HEIGHT")]


def wait_for_card(display: str) -> None:
    """Wait until there is text in the middle of the screen: before a card is there, its key does nothing."""
    middle = (SCREEN[0] // 4, SCREEN[1] // 4, 3 * SCREEN[0] // 4, 3 * SCREEN[1] // 4)
    wait_until(
        lambda: np.asarray(ImageGrab.grab(bbox=middle, xdisplay=display).convert("L")).max() > 128,
        "for a card",
    )


def wait_for_operators_view(display: str, picture: Path) -> None:
    """Wait until the operator sees the film and on it, in its own colour, the newest gaze; keep a picture of that."""
    film = (0, CAPTION_HEIGHT, SECOND_SCREEN[0] - PANEL_WIDTH, SECOND_SCREEN[1])
    colour = palette.SELECTED.getRgb()[:3]

    def is_seen() -> bool:
        shown = np.asarray(ImageGrab.grab(bbox=film, xdisplay=display).convert("RGB"), np.int64)
        is_grey = (shown.max(axis=2) == shown.min(axis=2)) & (shown[..., 0] > 30)
        is_gaze = np.abs(shown - colour).max(axis=2) <= 2
        return is_grey.mean() > 0.1 and is_gaze.sum() > 10

    wait_until(is_seen, "for film and gaze on the operator's screen")
    ImageGrab.grab(xdisplay=display).save(picture)


def test_a_session_by_mouse_and_keyboard(
    tmp_path: Path, display: str, reader: None, screenshots: Path
) -> None:
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
            sys.executable, "-m", "gazecapture", "read", str(listed), "--out", str(session), "--wait-s", "170",
            "--no-validation", "--no-consent", "--display-mm", "340x212", "--distance-mm", "600",
            "--indication", "before", "--dictation", f"file:{tmp_path / 'said.wav'}", "--talk", "hold",
            "--operator", "1",
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
        wait_for_card(display)
        hands.n_inputs = 0
        hands.do("key", "n")
        wait_for_rows(session, 1)
        hands.do("keydown", "t")  # speaking
        wait_until(lambda: sum(p.stat().st_size for p in session.glob("audio/*.wav")) > RATE_HZ, "for sound")
        hands.do("keyup", "t")
        hands.do("key", "n")
        assert hands.n_inputs == 3, "one of them for speaking"
        found = wait_for_rows(session, 4)
        assert [(r["event"], r["reading_number"]) for r in found] == [
            ("on", 1),
            ("off", 1),
            ("on", 2),
            ("on", 2),
        ]
        assert found[0]["viewport_rect"] == [0.0, 56.0, 1280.0, 800.0]  # full screen, below the caption

        operator = wait_for_window(hands, screen=1)
        wait_until(lambda: geometry(hands, operator) == [0, 0, *SECOND_SCREEN], "for it to fill its screen")
        wait_for_operators_view(f"{display}.1", screenshots / "operator-second-screen.png")

        # The second film: every tool, and back to the first.
        on = found[3]
        hands.do("mousemove", 700, 300, "click", 4)
        zoomed = wait_for_rows(session, 5)[-1]
        before, after = Affine(*on["affine"]), Affine(*zoomed["affine"])
        assert before.a / after.a == pytest.approx(2**0.25)
        assert np.subtract(before.apply(700, 300), after.apply(700, 300)) == pytest.approx(0, abs=0.01)
        hands.do("mousemove", 700, 300, "mousedown", 3, "mousemove", 760, 300, "mouseup", 3)
        wait_for_row(session, lambda row: (row["window_width"] or 0) > zoomed["window_width"])
        hands.do("mousemove", 1000, 400, "key", "h")
        wait_for_row(session, lambda r: (r["viewport_id"], r["image_index"]) == (1, 1) and r["affine"][0] < 0)
        hands.do("key", "m")
        wait_for_row(session, lambda row: (row["viewport_id"], row["image_index"]) == (100, 1))
        hands.do("key", "Prior")
        opened = wait_for_row(session, is_event(3, "on"))
        assert opened["image_index"] == 0
        hands.do("key", "n")
        wait_for_row(session, is_event(3, "off"))
        wait_for_row(session, is_event(2, "on"), n=4)  # the second film comes again
        hands.do("key", "Next")
        wait_for_row(session, is_event(2, "off"))

        def closed() -> bool:
            hands.do("key", "n")  # from the last card, once it is there
            return viewer.poll() is not None

        wait_until(closed, "for the end")
        output, errors = viewer.communicate(timeout=PATIENCE_S)
        # The operator's window closes by itself with the recorder.
        wait_until(lambda: not window_on(hands, 1), "for the operator's window to close")
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
    assert 0.5 <= read_wav(spoken.path).duration_s <= (off_ns - on_ns) / 1e9
    assert all(r is not None and r.table("gaze").num_rows > 0 for r in readings)

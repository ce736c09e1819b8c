"""The operator's window on a session that goes on: it shows it, never holds it up, and closes with it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot

from gazecapture.viewer import background
from gazecapture.viewer.qt.operator.window import OperatorWindow
from tests.going_session import Going

SECOND_NS = 1_000_000_000
PATIENCE_MS = 60_000


@pytest.fixture
def going(tmp_path: Path) -> Iterator[Going]:
    made = Going(tmp_path)
    yield made
    made.close()


def test_the_window_shows_what_goes_on_and_closes_with_the_recorder(
    going: Going, qtbot: QtBot, screenshots: Path
) -> None:
    going.go_on(3 * SECOND_NS)
    going.say(3 * SECOND_NS, n_overflows=1)
    window = OperatorWindow(going.session, closes_at_end=True, now=lambda: 3 * SECOND_NS)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(
        lambda: window.view is not None and bool(window.view.dwell) and window.view.reading_number == 1,
        timeout=PATIENCE_MS,
    )
    assert window.isVisible(), "a session that goes on keeps it open"
    picture = window.grab()
    picture.save(str(screenshots / "operator.png"))
    grey = picture.toImage()
    middle = window.film.geometry().center()
    assert grey.pixelColor(middle).lightness() > 20, "the film is on it"
    assert window.view is not None
    assert window.view.trail_x_screen_px.size
    assert window.view is not None
    assert any("keep up" in worry.text for worry in window.view.worries)
    with qtbot.waitSignal(window.closed, timeout=PATIENCE_MS):
        going.say(4 * SECOND_NS, state="stopped")


def test_it_is_closed_by_a_key_and_a_second_close_does_nothing(going: Going, qtbot: QtBot) -> None:
    window = OperatorWindow(going.session)
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(window.closed, timeout=PATIENCE_MS):
        qtbot.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert window.close()


def test_no_thread_holds_the_window_any_more_when_it_says_that_it_is_closed(
    going: Going, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that another thread than the one that shows it lets go of last takes the process with it at times."""
    started: list[threading.Thread] = []

    def lingering(*, target: Callable[[], None], daemon: bool) -> threading.Thread:
        def work() -> None:
            target()
            time.sleep(0.3)

        started.append(threading.Thread(target=work, daemon=daemon))
        return started[-1]

    monkeypatch.setattr(background, "threading", SimpleNamespace(Thread=lingering))
    window = OperatorWindow(going.session)
    qtbot.addWidget(window)
    alive: list[bool] = []
    window.closed.connect(lambda: alive.extend(thread.is_alive() for thread in started))
    with qtbot.waitSignal(window.closed, timeout=PATIENCE_MS):
        window.close()
    assert alive == [False]


def test_the_command_watches_a_session_that_is_over(going: Going) -> None:
    """As a process of its own, as it is meant to be: it starts and ends an application."""
    going.say(SECOND_NS, state="stopped")
    arguments = ["operator", str(going.session), "--size", "900x600", "--until-end"]
    done = subprocess.run(
        [sys.executable, "-m", "gazecapture", *arguments],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

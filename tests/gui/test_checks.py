"""The check screen by keys and mouse, with a tracker's own program as a real process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from gazecapture.clock import session_now_ns
from gazecapture.screen.measures import EyeSamples, Light
from gazecapture.viewer.gaze_check import GazeCheck, Page
from gazecapture.viewer.live_gaze import LiveGaze
from gazecapture.viewer.qt.checks import GazeChecks
from gazecapture.viewer.settings import ValidationSettings
from keyframes.geometry import Display

SETTINGS = ValidationSettings(settle_s=0.05, window_s=0.03, timeout_s=0.5)
DISPLAY = Display(width_px=1000, height_px=700, width_mm=300.0, height_mm=210.0, distance_mm=600.0)
PX_PER_DEG = DISPLAY.px_per_deg()[0]


class Eyes:
    """Gaze of somebody who looks where the last point was painted, off by ``offset_px``."""

    def __init__(self) -> None:
        self.at, self.offset_px = (0.0, 0.0), 0.0
        self._given_ns = session_now_ns()

    def look(self, x: float, y: float) -> None:
        self.at = (x, y)

    def take(self) -> EyeSamples:
        t_ns = np.arange(self._given_ns, session_now_ns(), 2_000_000)
        self._given_ns = int(t_ns[-1]) + 2_000_000 if t_ns.size else self._given_ns
        x, y = (np.full(t_ns.size, v) for v in (self.at[0] + self.offset_px, self.at[1]))
        return EyeSamples(t_ns=t_ns, x_screen_px={"both": x}, y_screen_px={"both": y})


class Room:
    """A window with its checks."""

    def __init__(self, qtbot: QtBot, calibrate_command: str = "") -> None:
        self.qtbot, self.eyes = qtbot, Eyes()
        self.rows: list[dict[str, Any]] = []
        self.ends: list[str] = []
        self.window = QWidget()
        qtbot.addWidget(self.window)
        self.window.resize(1000, 700)
        self.window.show()
        screen = self.window.screen()
        assert screen is not None
        self.checks = GazeChecks(
            self.window, screen, DISPLAY, room=self.window.rect, gaze=cast("LiveGaze", self.eyes),
            write=lambda rows: self.rows.extend(map(dict, rows)), settings=SETTINGS,
            calibrate_command=calibrate_command,
        )  # fmt: skip
        self.checks.target_shown.connect(self.eyes.look)

    def begin(self) -> None:
        self.checks.run("validate", background=0.3, then=lambda: self.ends.append("over"))
        self.key(Qt.Key.Key_Space)

    @property
    def check(self) -> GazeCheck:
        assert self.checks.last is not None
        return self.checks.last

    def key(self, key: Qt.Key) -> None:
        self.qtbot.keyClick(self.checks.screen, key)

    def wait_for(self, page: Page) -> None:
        self.qtbot.waitUntil(lambda: self.check.page is page, timeout=60_000)

    def grey(self) -> int:
        return self.window.grab().toImage().pixelColor(5, 5).red()


@pytest.fixture
def room(qtbot: QtBot) -> Iterator[Callable[..., Room]]:
    made: list[Room] = []

    def make(**options: str) -> Room:
        made.append(Room(qtbot, **options))
        return made[-1]

    yield make
    for one in made:
        one.checks.stop()


def test_a_whole_validation_leaves_the_screen_to_the_films(room: Callable[..., Room], qtbot: QtBot) -> None:
    here = room()
    here.begin()
    assert here.checks.screen.isVisible()
    assert here.grey() == pytest.approx(0.3 * 255, abs=1), "the points are on the films' own grey"
    qtbot.waitUntil(lambda: here.ends == ["over"], timeout=60_000)
    assert not here.checks.screen.isVisible()
    assert here.checks.sitting.light is Light.GREEN
    assert [row["event"] for row in here.rows] == ["point"] * 9 + ["summary"]
    shown = np.array([(row["target_x_screen_px"], row["target_y_screen_px"]) for row in here.rows[:9]])
    assert (shown > 0).all()
    assert (shown < (1000, 700)).all()


def test_red_asks_for_a_reason_and_escape_goes_back(room: Callable[..., Room]) -> None:
    here = room()
    here.eyes.offset_px = 3 * PX_PER_DEG
    here.begin()
    here.wait_for(Page.RESULT)
    here.key(Qt.Key.Key_Return)
    assert here.check.page is Page.RESULT, "a red result is not waved through"
    here.key(Qt.Key.Key_O)
    field = here.checks.screen.findChild(QLineEdit)
    assert field is not None
    here.qtbot.waitUntil(field.isVisible, timeout=60_000)
    here.qtbot.keyClick(field, Qt.Key.Key_Escape)
    here.qtbot.waitUntil(lambda: not field.isVisible(), timeout=60_000)
    assert here.check.page is Page.RESULT
    here.key(Qt.Key.Key_O)
    here.qtbot.waitUntil(field.isVisible, timeout=60_000)
    here.qtbot.keyClicks(field, "contact lenses")
    here.qtbot.keyClick(field, Qt.Key.Key_Return)
    here.qtbot.waitUntil(lambda: here.ends == ["over"], timeout=60_000)
    assert here.rows[-1]["event"] == "override"
    assert here.rows[-1]["detail"] == "contact lenses"


def test_a_click_measures_that_point_again(room: Callable[..., Room]) -> None:
    here = room()
    here.eyes.offset_px = 0.7 * PX_PER_DEG
    here.begin()
    here.wait_for(Page.RESULT)
    row = here.rows[4]
    at = QPoint(round(row["target_x_screen_px"]), round(row["target_y_screen_px"]))
    here.eyes.offset_px = 0.0
    here.qtbot.mouseClick(here.checks.screen, Qt.MouseButton.LeftButton, pos=at)
    assert here.check.page is Page.TARGETS
    here.wait_for(Page.RESULT)
    accuracy = {r["point_index"]: r["accuracy_deg"] for r in here.rows[10:19]}
    assert accuracy.pop(row["point_index"]) == pytest.approx(0.0, abs=0.05)
    assert min(accuracy.values()) > 0.5, "the others are as they were"


def test_the_trackers_own_program_gets_the_screen_and_the_next_validation_follows(
    room: Callable[..., Room], tmp_path: Path
) -> None:
    proof = tmp_path / "ran"
    program = f"import pathlib; pathlib.Path({str(proof)!r}).touch()"
    here = room(calibrate_command=f'"{sys.executable}" -c "{program}"')
    hidden: list[bool] = []
    here.checks.screen.calibration_asked.connect(lambda: hidden.append(here.window.isHidden()))
    here.eyes.offset_px = 3 * PX_PER_DEG
    here.begin()
    here.wait_for(Page.RESULT)
    here.eyes.offset_px = 0.0
    here.key(Qt.Key.Key_C)
    here.qtbot.waitUntil(lambda: here.ends == ["over"], timeout=60_000)
    assert hidden == [True], "the program has the screen for itself"
    assert proof.exists()
    assert here.window.isVisible()
    events = [row["event"] for row in here.rows if row["event"] != "point"]
    assert events == ["summary", "calibrated", "summary"]
    assert here.checks.sitting.light is Light.GREEN


def test_a_program_that_is_not_there_is_no_end(room: Callable[..., Room]) -> None:
    here = room(calibrate_command="no-such-tracker --calibrate")
    here.eyes.offset_px = 3 * PX_PER_DEG
    here.begin()
    here.wait_for(Page.RESULT)
    here.eyes.offset_px = 0.0
    here.key(Qt.Key.Key_C)
    here.qtbot.waitUntil(lambda: here.ends == ["over"], timeout=60_000)
    (note,) = [row for row in here.rows if row["event"] == "calibrated"]
    assert "could not be run" in note["detail"]


def test_what_is_broken_off_calls_nobody(room: Callable[..., Room], qtbot: QtBot) -> None:
    here = room()
    here.begin()
    here.wait_for(Page.TARGETS)
    here.checks.stop()
    qtbot.wait(100)
    assert here.ends == []
    assert here.rows == []
    assert not here.checks.screen.isVisible()

"""The reading window: every key and gesture, what is journaled per frame, and what covers the radiographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.viewer.findings import CHEXPERT_LABELS, Finding
from gazecapture.viewer.measures import Line
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.header import HEADER_HEIGHT, ImageLabel
from gazecapture.viewer.qt.viewport import DrawnBox
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.render import Picture
from keyframes.errors import UsageError
from keyframes.geometry import Affine

NO_BUTTON = Qt.MouseButton.NoButton
NO_MODIFIER = Qt.KeyboardModifier.NoModifier


@dataclass
class Rig:
    """A window on a study, and what it journals."""

    bot: QtBot
    window: ReadingWindow
    model: ViewerModel
    rows: list[dict[str, Any]] = field(default_factory=list)
    n_frames: int = 0

    def settle(self) -> None:
        """Let the coming frame be painted."""
        self.bot.wait(1)
        before = self.n_frames
        self.window.canvas.request_frame()
        self.bot.waitUntil(lambda: self.n_frames > before, timeout=60_000)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = NO_MODIFIER, *, repeat: bool = False) -> None:
        event = QKeyEvent(QEvent.Type.KeyPress, key, modifier, "", repeat)
        QApplication.sendEvent(self.window, event)

    def mouse(
        self,
        kind: QEvent.Type,
        x: float,
        y: float,
        button: Qt.MouseButton = NO_BUTTON,
        held: Qt.MouseButton = NO_BUTTON,
    ) -> None:
        canvas = self.window.canvas
        place = QPointF(x, y)
        everywhere = QPointF(canvas.mapToGlobal(QPoint(round(x), round(y))))
        QApplication.sendEvent(canvas, QMouseEvent(kind, place, everywhere, button, held, NO_MODIFIER))

    def drag(self, button: Qt.MouseButton, *points: tuple[float, float]) -> None:
        self.mouse(QEvent.Type.MouseButtonPress, *points[0], button, button)
        for x, y in points[1:]:
            self.mouse(QEvent.Type.MouseMove, x, y, NO_BUTTON, button)
        self.mouse(QEvent.Type.MouseButtonRelease, *points[-1], button)

    def wheel(self, x: float, y: float, eighths: int) -> None:
        canvas = self.window.canvas
        event = QWheelEvent(
            QPointF(x, y), QPointF(canvas.mapToGlobal(QPoint(round(x), round(y)))), QPoint(), QPoint(0, eighths),
            NO_BUTTON, NO_MODIFIER, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(canvas, event)


@pytest.fixture
def open_rig(qtbot: QtBot, tmp_path: Path) -> Iterator[Callable[[int], Rig]]:
    def make(n_images: int) -> Rig:
        screen = QApplication.primaryScreen()
        assert screen is not None
        model = ViewerModel((0.0, 0.0, 1.0, 1.0))
        rig: Rig

        def presented() -> None:
            rig.n_frames += 1
            rig.rows += model.presented(rig.n_frames)

        window = ReadingWindow(model, screen, on_presented=presented)
        rig = Rig(bot=qtbot, window=window, model=model)
        window.canvas.frame_interval_ms = 0.0
        window.setGeometry(10, 20, 800, 600)
        window.show()
        qtbot.waitExposed(window)
        pictures = []
        for index in range(n_images):
            path = tmp_path / f"{index}.png"
            grey = np.linspace(40, 200, 300 * 400).reshape(400, 300).astype(np.uint8)
            Image.fromarray(grey).save(path)
            pictures.append(Picture(load_radiograph(path), index))
        rig.settle()
        assert rig.rows == []  # nothing was shown yet
        model.open_study(1, [p.view for p in pictures])
        roles = [ImageLabel(role="current", view_position="PA"), ImageLabel(role="prior")]
        window.show_study(pictures, "Cough", roles[:n_images])
        rig.settle()
        windows.append(window)
        return rig

    windows: list[ReadingWindow] = []
    yield make
    for window in windows:
        window.hide()
        window.deleteLater()


@pytest.fixture
def rig(open_rig: Callable[[int], Rig]) -> Rig:
    return open_rig(1)


def test_the_first_frame_is_image_on_in_screen_px(rig: Rig) -> None:
    (row,) = rig.rows
    assert row["event"] == "on"
    assert row["viewport_rect"] == [10.0, 20.0 + HEADER_HEIGHT, 810.0, 620.0]
    assert row["panels"] == [{"name": "caption", "rect": [10.0, 20.0, 810.0, 20.0 + HEADER_HEIGHT]}]


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        (Qt.Key.Key_I, "inverted_by_reader"),
        (Qt.Key.Key_H, "flipped"),
        (Qt.Key.Key_V, "quarter_turns"),
        (Qt.Key.Key_Z, "scale"),
        (Qt.Key.Key_Plus, "scale"),
        (Qt.Key.Key_Left, "x_center_image_px"),
        (Qt.Key.Key_Down, "y_center_image_px"),
        (Qt.Key.Key_2, "preset_id"),
    ],
)
def test_a_key_changes_the_display_and_undo_takes_it_back(rig: Rig, key: Qt.Key, changed: str) -> None:
    before = rig.model.viewports[0]
    rig.key(key)
    rig.settle()
    after = rig.model.viewports[0]
    assert getattr(after, changed) != getattr(before, changed)
    assert [r["event"] for r in rig.rows] == ["on", "change"]
    rig.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert rig.model.viewports[0] == before


def test_reset_and_fit(rig: Rig) -> None:
    first = rig.model.viewports[0]
    for key in (Qt.Key.Key_I, Qt.Key.Key_H, Qt.Key.Key_V, Qt.Key.Key_Plus, Qt.Key.Key_2):
        rig.key(key)
    rig.key(Qt.Key.Key_F)
    fitted = rig.model.viewports[0]
    assert fitted.shown()[0] == pytest.approx((0, 0, 300, 400))
    assert fitted.flipped
    rig.key(Qt.Key.Key_R)
    assert rig.model.viewports[0] == first


def test_a_preset_that_the_file_does_not_have_is_no_key(rig: Rig) -> None:
    before = rig.model.viewports
    rig.key(Qt.Key.Key_9)
    assert rig.model.viewports == before


def test_the_wheel_zooms_to_the_cursor(rig: Rig) -> None:
    x, y = rig.model.area[0] + 300, rig.model.area[1] + 200
    before = rig.model.viewports[0].screen_to_image().apply(x, y)
    rig.wheel(300, 200, 240)
    viewport = rig.model.viewports[0]
    assert viewport.screen_to_image().apply(x, y) == pytest.approx(before)
    assert rig.rows[0]["affine"][0] / viewport.screen_to_image().a == pytest.approx(2**0.5)


def test_drags_pan_and_window_and_are_one_step_of_undo(rig: Rig) -> None:
    first = rig.model.viewports[0]
    rig.drag(Qt.MouseButton.MiddleButton, (300, 300), (310, 305), (330, 320))
    panned = rig.model.viewports[0]
    moved = np.subtract(panned.image_to_screen().apply(0, 0), first.image_to_screen().apply(0, 0))
    assert moved == pytest.approx((30, 20))
    rig.drag(Qt.MouseButton.RightButton, (300, 300), (340, 300), (380, 290))
    assert rig.model.viewports[0].width > panned.width
    assert rig.model.viewports[0].center < panned.center
    rig.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert rig.model.viewports[0] == panned
    rig.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert rig.model.viewports[0] == first


def test_space_and_left_drag_pan_but_left_drag_alone_does_nothing(rig: Rig) -> None:
    first = rig.model.viewports[0]
    rig.drag(Qt.MouseButton.LeftButton, (300, 300), (330, 320))
    assert rig.model.viewports[0] == first
    rig.key(Qt.Key.Key_Space)
    rig.drag(Qt.MouseButton.LeftButton, (300, 300), (330, 320))
    assert rig.model.viewports[0] != first
    QApplication.sendEvent(rig.window, QKeyEvent(QEvent.Type.KeyRelease, Qt.Key.Key_Space, NO_MODIFIER))
    panned = rig.model.viewports[0]
    rig.drag(Qt.MouseButton.LeftButton, (300, 300), (330, 320))
    assert rig.model.viewports[0] == panned


def test_keys_act_on_the_viewport_under_the_mouse(open_rig: Callable[[int], Rig]) -> None:
    rig = open_rig(2)
    rig.mouse(QEvent.Type.MouseMove, 700, 300)
    rig.key(Qt.Key.Key_I)
    assert [v.inverted for v in rig.model.viewports] == [False, True]
    rig.settle()
    assert [(r["event"], r["viewport_id"]) for r in rig.rows] == [("on", 0), ("on", 1), ("change", 1)]
    rig.key(Qt.Key.Key_L)
    rig.wheel(700, 300, 120)
    left, right = rig.model.viewports
    assert left.scale == right.scale


def test_many_actions_between_two_frames_are_one_row(rig: Rig) -> None:
    for step in range(20):
        rig.window.act(Action(kind="pan", x=float(step)))
    rig.settle()
    assert [r["event"] for r in rig.rows] == ["on", "change"]
    rig.settle()
    assert len(rig.rows) == 2  # a frame that shows nothing new is no row


def test_uncovering_a_part_of_the_window_journals_nothing(rig: Rig) -> None:
    rig.window.model.act(Action(kind="invert"))  # a change that no frame has shown yet
    frames = rig.n_frames
    rig.window.canvas.repaint(0, 0, 50, 50)
    assert (rig.n_frames, len(rig.rows)) == (frames, 1)
    rig.window.grab()
    assert (rig.n_frames, len(rig.rows)) == (frames, 1)


def test_a_moved_window_is_journaled(rig: Rig) -> None:
    rig.window.setGeometry(50, 60, 800, 600)
    rig.bot.waitUntil(lambda: len(rig.rows) == 2, timeout=60_000)
    assert rig.rows[-1]["viewport_rect"] == [50.0, 60.0 + HEADER_HEIGHT, 850.0, 660.0]
    rig.window.resize(640, 500)
    rig.bot.waitUntil(lambda: len(rig.rows) == 3, timeout=60_000)
    assert rig.rows[-1]["viewport_rect"] == [50.0, 60.0 + HEADER_HEIGHT, 690.0, 560.0]


def test_the_cheat_sheet_is_a_panel_while_it_is_open(rig: Rig) -> None:
    rig.key(Qt.Key.Key_F1)
    rig.settle()
    assert [p["name"] for p in rig.rows[-1]["panels"]] == ["caption", "keys"]
    x0, y0, x1, y1 = rig.rows[-1]["panels"][1]["rect"]
    assert (x1 - x0, y1 - y0) == (rig.window.keys.width(), rig.window.keys.height())
    rig.key(Qt.Key.Key_Escape)
    rig.settle()
    assert [p["name"] for p in rig.rows[-1]["panels"]] == ["caption"]


def test_hovering_opens_nothing_and_draws_no_cursor(rig: Rig) -> None:
    for x in range(0, 800, 40):
        rig.mouse(QEvent.Type.MouseMove, x, 200)
    rig.settle()
    assert len(rig.rows) == 1


def test_a_held_key_does_not_close_two_studies(rig: Rig) -> None:
    with rig.bot.waitSignal(rig.window.next_asked):
        rig.key(Qt.Key.Key_N)
    with rig.bot.assertNotEmitted(rig.window.next_asked):
        rig.key(Qt.Key.Key_N, repeat=True)
        rig.key(Qt.Key.Key_PageDown, repeat=True)


def test_a_finding_is_one_box_and_one_key(rig: Rig) -> None:
    viewport = rig.model.viewports[0]
    x0, y0 = viewport.image_to_screen().apply(50.0, 60.0)
    x1, y1 = viewport.image_to_screen().apply(150.0, 260.0)
    area = rig.model.area
    rig.key(Qt.Key.Key_B)
    rig.drag(
        Qt.MouseButton.LeftButton,
        (float(x1) - area[0], float(y1) - area[1]),
        (float(x0) - area[0], float(y0) - area[1]),
    )
    assert rig.window.finding_menu.isVisible()
    rig.settle()
    assert [p["name"] for p in rig.rows[-1]["panels"]] == ["caption", "finding"]
    rig.key(Qt.Key.Key_2)  # the second certainty, not the second preset
    with rig.bot.waitSignal(rig.window.finding_made) as made:
        rig.key(Qt.Key.Key_L)  # the twelfth label, not the link
    assert made.args is not None
    drawn, label, certainty, rating = made.args
    assert rating is None
    assert isinstance(drawn, DrawnBox)
    assert drawn.box == pytest.approx((50, 60, 150, 260), abs=0.6)
    assert (label, certainty) == (CHEXPERT_LABELS[11], 0.75)
    assert rig.model.viewports[0] == viewport
    assert not rig.model.linked
    assert not rig.window.finding_menu.isVisible()


def test_a_box_ends_at_the_images_edge_and_a_slip_is_none(rig: Rig) -> None:
    rig.key(Qt.Key.Key_B)
    rig.drag(Qt.MouseButton.LeftButton, (1, 1), (799, 540))
    rig.bot.mouseClick(
        rig.window.finding_menu,
        Qt.MouseButton.LeftButton,
        pos=QPoint(60, rig.window.finding_menu.height() - 70),
    )
    assert not rig.window.finding_menu.isVisible()
    rig.key(Qt.Key.Key_B)
    rig.drag(Qt.MouseButton.LeftButton, (300, 300), (301, 300))
    assert not rig.window.finding_menu.isVisible()


def test_escape_discards_a_box(rig: Rig) -> None:
    rig.key(Qt.Key.Key_B)
    rig.drag(Qt.MouseButton.LeftButton, (300, 200), (400, 300))
    with rig.bot.assertNotEmitted(rig.window.finding_made):
        rig.key(Qt.Key.Key_Escape)
    assert not rig.window.finding_menu.isVisible()


def test_findings_are_drawn_on_their_own_image_only(open_rig: Callable[[int], Rig]) -> None:
    rig = open_rig(2)
    plain = rig.window.grab().toImage()
    rig.window.show_marks(
        [Finding(finding_id="a", label="Edema", image_index=1, box=(20.0, 20.0, 2000.0, 100.0))]
    )
    rig.settle()
    marked = rig.window.grab().toImage()
    assert marked.copy(0, 0, 399, 600) == plain.copy(0, 0, 399, 600)
    assert marked.copy(401, 0, 399, 600) != plain.copy(401, 0, 399, 600)


def test_nothing_is_done_while_nothing_is_shown(rig: Rig) -> None:
    rig.window.show_nothing()
    rig.settle()
    before = rig.model.viewports
    rig.key(Qt.Key.Key_I)
    rig.wheel(300, 300, 120)
    rig.drag(Qt.MouseButton.RightButton, (300, 300), (340, 300))
    assert rig.model.viewports == before
    with pytest.raises(UsageError, match="no study"):
        rig.window.act(Action(kind="fit"))
    picture = rig.window.grab().toImage()
    assert {picture.pixelColor(x, 300).rgb() & 0xFFFFFF for x in range(0, 800, 7)} == {0}


def test_closing_the_window_asks_for_the_end_and_keeps_it_open(rig: Rig) -> None:
    with rig.bot.waitSignal(rig.window.quit_asked):
        rig.window.close()
    assert rig.window.isVisible()
    with rig.bot.waitSignal(rig.window.quit_asked):
        rig.key(Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)


def test_an_ellipse_with_a_rating(rig: Rig) -> None:
    rig.key(Qt.Key.Key_E)
    rig.drag(Qt.MouseButton.LeftButton, (300, 200), (400, 300))
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Down):
        rig.key(key)
    with rig.bot.waitSignal(rig.window.finding_made) as made:
        rig.key(Qt.Key.Key_A)
    assert made.args is not None
    drawn, label, _, rating = made.args
    assert (drawn.shape, label, rating) == ("ellipse", CHEXPERT_LABELS[0], 2.0)


def test_the_magnifier_follows_the_cursor_and_is_journaled(rig: Rig) -> None:
    rig.mouse(QEvent.Type.MouseMove, 400, 250, NO_BUTTON)
    rig.key(Qt.Key.Key_M)
    rig.settle()
    glass = rig.rows[-1]
    assert (glass["viewport_id"], glass["image_index"], glass["lens"][4]) == (100, 0, 2.0)
    rig.mouse(QEvent.Type.MouseMove, 430, 260, NO_BUTTON)
    rig.settle()
    assert rig.rows[-1]["viewport_rect"] == [
        v + d for v, d in zip(glass["viewport_rect"], (30, 10, 30, 10), strict=True)
    ]
    plain = rig.model.viewports[0].image_to_screen()
    assert Affine(*rig.rows[-1]["affine"]).a == pytest.approx(1 / (2 * plain.a))
    rig.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)  # the glass is no step of undo
    rig.key(Qt.Key.Key_M)
    rig.settle()
    gone = rig.rows[-1]
    assert (gone["viewport_id"], gone["image_index"], gone["panels"]) == (100, None, [])


def test_lines_are_measured_and_one_key_shows_one_image(open_rig: Callable[[int], Rig]) -> None:
    rig = open_rig(2)
    lines: list[Line] = []
    rig.window.line_drawn.connect(lines.append)
    with rig.bot.waitSignal(rig.window.measure_begun) as begun:
        rig.key(Qt.Key.Key_D)
    assert begun.args == ["length"]
    rig.drag(Qt.MouseButton.LeftButton, (500, 200), (560, 280))
    (line,) = lines
    assert line.image_index == 1
    scale = rig.model.viewports[1].scale
    assert line.length_px == pytest.approx(100 / scale, abs=0.01)
    rig.mouse(QEvent.Type.MouseMove, 500, 200, NO_BUTTON)
    rig.key(Qt.Key.Key_S)
    rig.settle()
    assert [v.image.image_index for v in rig.model.viewports] == [1]
    assert [(r["viewport_id"], r["image_index"]) for r in rig.rows[-2:]] == [(0, 1), (1, None)]
    rig.key(Qt.Key.Key_Tab)
    rig.settle()
    assert (rig.rows[-1]["viewport_id"], rig.rows[-1]["image_index"]) == (0, 0)
    rig.key(Qt.Key.Key_S)
    assert [v.image.image_index for v in rig.model.viewports] == [0, 1]

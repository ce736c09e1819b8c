"""The review window by keys and mouse, on a synthetic session: every key does what the cheat sheet says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from gazecapture.session.decisions import session_decisions
from gazecapture.session.lock import FolderLock
from gazecapture.viewer.qt.film_painter import box_on
from gazecapture.viewer.qt.review.window import ReviewWindow
from gazecapture.viewer.review.loading import Prepared, prepare
from gazecapture.viewer.review.model import ReviewModel
from gazecapture.viewer.review.source import SESSION_LOCK, Material, SessionSource
from tests.unit.curation.readings import write_session

PATIENCE_MS = 60_000
K = Qt.Key


class PreparedOnce(SessionSource):
    """Gives the readings that were made ready once: finding regions takes a second each."""

    ready: dict[str, Prepared]

    def load(self, key: str) -> Material:
        return self.ready[key].material


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Prepared]]:
    session = write_session(tmp_path_factory.mktemp("review"), n_readings=2)
    source = SessionSource(session)
    return session, {item.key: prepare(source, item.key) for item in source.items()}


def close(qtbot: QtBot, window: ReviewWindow) -> None:
    """Close a window, and wait until its threads have ended.

    In place of `qtbot.addWidget`, which deletes a window as soon as it is closed.
    """
    with qtbot.waitSignal(window.closed, timeout=PATIENCE_MS):
        window.close()
    window.deleteLater()


class Desk:
    """A window on one reading, and hands."""

    def __init__(self, qtbot: QtBot, session: Path, ready: dict[str, Prepared]) -> None:
        self.qtbot, self.session = qtbot, session
        source = PreparedOnce(session)
        source.ready = ready
        self.window = ReviewWindow(source, reviewer="Q1")
        self.window.resize(1280, 800)
        self.window.show()
        self.wait_for_reading("1")

    def close(self) -> None:
        close(self.qtbot, self.window)

    def wait_for_reading(self, key: str) -> None:
        self.qtbot.waitUntil(
            lambda: self.window.model is not None and self.window.model.material.item.key == key,
            timeout=PATIENCE_MS,
        )

    @property
    def model(self) -> ReviewModel:
        assert self.window.model is not None
        return self.window.model

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        self.qtbot.keyClick(self.window, key, modifier)

    def undo(self) -> None:
        self.key(K.Key_Z, Qt.KeyboardModifier.ControlModifier)

    def drag(self, widget: QWidget, *points: QPoint) -> None:
        """Press at the first point, move along, let go at the last one."""
        # Not by qtbot: it moves the cursor of a screen that is smaller than the window.
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        kinds = QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease
        steps = [(kinds[0], left, left, points[0]), *((kinds[1], none, left, at) for at in points[1:])]
        for kind, button, held, at in [*steps, (kinds[2], left, none, points[-1])]:
            there = QPointF(at)
            event = QMouseEvent(kind, there, there, button, held, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(widget, event)

    def answer(self, text: str) -> None:
        field = self.window.findChild(QLineEdit)
        assert field is not None
        assert field.isVisible()
        field.setText(text)
        self.qtbot.keyClick(field, K.Key_Return)

    def written(self, number: int = 1) -> list[dict[str, Any]]:
        """The lines that are on the disk, once nothing waits."""
        self.qtbot.waitUntil(lambda: not self.window.writer.n_waiting, timeout=PATIENCE_MS)
        return session_decisions(self.session / "decisions.jsonl").get(number, [])


@pytest.fixture
def desk(ready: tuple[Path, dict[str, Prepared]], tmp_path: Path, qtbot: QtBot) -> Iterator[Desk]:
    session = shutil.copytree(ready[0], tmp_path / "session")
    made = Desk(qtbot, session, ready[1])
    yield made
    made.close()


def test_keys_go_through_the_time(desk: Desk, screenshots: Path) -> None:
    model = desk.model
    desk.key(K.Key_Right)
    assert model.t_ns == 100_000_000
    desk.key(K.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert model.t_ns == 1_100_000_000
    desk.key(K.Key_Period)
    assert model.moment.fixation is not None
    desk.key(K.Key_Down)
    assert model.sentence == model.timeline.sentences[0]
    assert model.t_ns == model.timeline.sentences[0].t_start_ns
    for key in (K.Key_P, K.Key_K):
        desk.key(key)
    desk.window.save_picture(screenshots / "review.png")
    before = model.t_ns
    desk.key(K.Key_Space)
    desk.qtbot.waitUntil(lambda: model.t_ns > before, timeout=PATIENCE_MS)
    desk.key(K.Key_Space)
    assert not model.is_playing
    desk.key(K.Key_End)
    desk.key(K.Key_H)
    desk.key(K.Key_D)
    assert not model.as_it_was
    desk.window.save_picture(screenshots / "review-heat.png")
    desk.key(K.Key_F1)
    assert desk.window.keys.isVisible()
    desk.window.save_picture(screenshots / "review-keys.png")


def test_a_rejection_asks_for_its_reason_and_undo_takes_it_back(desk: Desk) -> None:
    desk.key(K.Key_X)
    desk.answer("  ")
    assert not desk.model.verdict, "no reason, no rejection"
    desk.answer("looked away")
    assert desk.model.verdict == "reject"
    desk.undo()
    assert desk.model.verdict == ""
    desk.key(K.Key_A)
    assert desk.model.verdict == "accept"
    lines = [(line["kind"], line["target"], line["value"], line["reason"]) for line in desk.written()]
    assert lines == [
        ("verdict", "reading", "reject", "looked away"), ("verdict", "reading", None, "undo"),
        ("verdict", "reading", "accept", ""),
    ]  # fmt: skip


def test_a_sentence_is_moved_by_keys_and_by_mouse_and_its_text_corrected(desk: Desk) -> None:
    model, strip = desk.model, desk.window.strip
    desk.key(K.Key_Down)
    sentence = model.sentence
    assert sentence is not None
    model.seek(sentence.t_start_ns + 300_000_000)
    desk.key(K.Key_BracketLeft)
    # Beyond what a 32-bit number of ns holds.
    end = QPoint(round(strip.x_of(sentence.t_end_ns)), round(strip.row_rect("sentences").center().y()))
    desk.drag(strip, end, end + QPoint(60, 0))
    desk.key(K.Key_E)
    desk.answer("The lungs are clear.")
    moved = model.sentence
    assert moved is not None
    assert (moved.text, moved.is_moved, moved.is_corrected) == ("The lungs are clear.", True, True)
    assert moved.t_start_ns == sentence.t_start_ns + 300_000_000
    assert moved.t_end_ns == strip.t_of(end.x() + 60) > 2**31
    assert [line["kind"] for line in desk.written()] == ["sentence_bounds"] * 2 + ["sentence_text"]
    for _ in range(3):
        desk.undo()
    assert model.sentence == sentence


def test_regions_are_moved_by_arrows_and_by_drag_and_decided_by_enter(desk: Desk, screenshots: Path) -> None:
    model, film = desk.model, desk.window.film
    desk.key(K.Key_R)
    desk.key(K.Key_Tab)
    region = model.selected_region
    assert region is not None
    desk.key(K.Key_Right)
    moved = model.current_box
    assert moved is not None
    assert moved[0] == pytest.approx(region.box[0] + 0.01 * min(model.sizes[model.image_index]))
    film.repaint()
    middle = box_on(film._shown[0], moved).center().toPoint()
    desk.drag(film, middle, middle + QPoint(12, 20))
    dragged = model.current_box
    assert dragged is not None
    assert dragged[1] > moved[1]
    desk.window.save_picture(screenshots / "review-regions.png")
    assert desk.written() == [], "nothing is decided before Enter"
    desk.key(K.Key_Return)
    (line,) = desk.written()
    assert (line["kind"], line["target"]) == ("region_boxes", "0")
    assert line["value"] == {region.name: pytest.approx(list(dragged))}
    desk.key(K.Key_Delete)
    desk.key(K.Key_Escape)
    assert len(desk.written()) == 1, "what is left by Esc is not decided"


def test_text_in_the_pixels_is_masked_or_confirmed(desk: Desk, screenshots: Path) -> None:
    model, film = desk.model, desk.window.film
    desk.key(K.Key_T)
    film.repaint()
    x0, y0 = (round(side) for side in (film._shown[0].rect[0] + 260, film._shown[0].rect[1] + 40))
    desk.drag(film, QPoint(x0, y0), QPoint(x0 + 20, y0 + 10), QPoint(x0 + 90, y0 + 40))
    assert len(model.boxes) == 1
    desk.key(K.Key_N)
    desk.window.save_picture(screenshots / "review-text.png")
    desk.key(K.Key_Delete)
    desk.key(K.Key_Return)
    desk.key(K.Key_O)
    masked, confirmed = (line["value"] for line in desk.written())
    assert len(masked) == 1
    assert confirmed == "ok"


def test_readings_follow_each_other_and_decisions_stay_with_theirs(desk: Desk) -> None:
    desk.key(K.Key_A)
    desk.key(K.Key_PageDown)
    desk.wait_for_reading("2")
    assert desk.model.verdict == ""
    desk.key(K.Key_PageDown)
    desk.wait_for_reading("2")
    desk.key(K.Key_PageUp)
    desk.wait_for_reading("1")
    assert desk.model.verdict == "accept"
    assert desk.written(2) == []


def test_what_cannot_be_shown_is_said_and_the_others_are_reviewed(
    ready: tuple[Path, dict[str, Prepared]], tmp_path: Path, qtbot: QtBot
) -> None:
    session = shutil.copytree(ready[0], tmp_path / "session")
    for picture in (session / "images").iterdir():
        picture.unlink()
    window = ReviewWindow(SessionSource(session), reviewer="Q1", first="2")
    window.show()
    qtbot.waitUntil(lambda: "missing from the session" in window.said.text(), timeout=PATIENCE_MS)
    assert window.title.startswith("2")
    close(qtbot, window)
    shutil.rmtree(session / "streams" / next((session / "streams").iterdir()).name)
    (session / "decisions.jsonl").write_text("no decision\n")
    made = PreparedOnce(session)
    made.ready = ready[1]
    window = ReviewWindow(made, reviewer="Q1")
    window.show()
    qtbot.waitUntil(lambda: "GT-DECISION" in window.said.text(), timeout=PATIENCE_MS)
    assert window.model is None, "nobody decides on what cannot be read"
    close(qtbot, window)


def test_a_decision_that_must_wait_is_told_and_then_written(desk: Desk) -> None:
    lock = FolderLock(desk.session, name=SESSION_LOCK)
    lock.acquire()
    desk.key(K.Key_A)
    desk.qtbot.waitUntil(lambda: "wait to be written" in desk.window.said.text(), timeout=PATIENCE_MS)
    assert desk.model.verdict == "accept", "the reviewer goes on"
    lock.release()
    assert [line["value"] for line in desk.written()] == ["accept"]


def test_a_close_holds_nobody_up_and_tells_what_could_not_be_written(
    ready: tuple[Path, dict[str, Prepared]], tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line waits for a lock that nobody gives back: the window is gone all the same."""
    monkeypatch.setattr("gazecapture.viewer.qt.review.window.WRITE_PATIENCE_S", 0.5)
    session = shutil.copytree(ready[0], tmp_path / "session")
    desk = Desk(qtbot, session, ready[1])
    lock = FolderLock(session, name=SESSION_LOCK)
    lock.acquire()
    desk.key(K.Key_A)
    with qtbot.waitSignal(desk.window.closed, timeout=PATIENCE_MS):
        desk.window.close()
        assert not desk.window.isVisible()
        assert desk.window.unwritten == [], "a thread still tries to write them"
    assert desk.window.unwritten == ["verdict reading"]
    lock.release()
    assert session_decisions(session / "decisions.jsonl") == {}

"""Tags at the window's edge are where the session says, and the radiographs are inside of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtGui import QGuiApplication, QImage, QScreen
from pytestqt.qtbot import QtBot

from gazecapture.screen.tag_detectors import AprilTagDetector
from gazecapture.viewer.model import ViewerModel
from gazecapture.viewer.qt.window import ReadingWindow
from keyframes.geometry import Display


def the_screen() -> QScreen:
    screen = QGuiApplication.primaryScreen()
    assert screen is not None
    return screen


def grey_of(window: ReadingWindow) -> NDArray[np.uint8]:
    image = window.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    bits = image.constBits()
    assert bits is not None
    content = bits.asstring(image.sizeInBytes())
    rows = np.frombuffer(content, np.uint8).reshape(image.height(), image.bytesPerLine())
    return np.ascontiguousarray(rows[:, : image.width()])


def test_what_is_painted_is_found_where_the_session_says(qtbot: QtBot) -> None:
    display = Display(width_px=1400, height_px=900, width_mm=420.0, height_mm=270.0, distance_mm=600.0)
    screen = the_screen()
    window = ReadingWindow(
        ViewerModel((0.0, 0.0, 1.0, 1.0)), screen, on_presented=lambda: None, tags_for=display
    )
    qtbot.addWidget(window)
    window.resize(700, 560)
    window.show()
    qtbot.waitExposed(window)
    frame = window.tag_frame
    assert frame is not None
    assert len(frame.tags) == 8
    found = AprilTagDetector().find(grey_of(window), range(8), is_crop=True)
    assert set(found) == {tag.tag_id for tag in frame.tags}
    x0, y0 = window.mapToGlobal(window.rect().topLeft()).x(), window.mapToGlobal(window.rect().topLeft()).y()
    for tag in frame.tags:
        # The detector's whole numbers are the pixels' middles, the session's their outer corners.
        np.testing.assert_allclose(found[tag.tag_id] + 0.5 + (x0, y0), tag.corners_screen_px(), atol=0.6)
        assert tag.side_px * 420.0 / 1400 >= 18.0, "18 mm at least"
        left, top, right, bottom = tag.box_screen_px()
        inside = window.inside
        overlaps = (
            left - x0 < inside.right() and right - x0 > inside.left()
            and top - y0 < inside.bottom() and bottom - y0 > inside.top()
        )  # fmt: skip
        assert not overlaps, "no radiograph under a tag"


def test_the_tags_follow_the_window_and_a_window_without_them_has_all_its_room(qtbot: QtBot) -> None:
    display = Display(width_px=1400, height_px=900, width_mm=None, height_mm=None, distance_mm=None)
    window = ReadingWindow(
        ViewerModel((0.0, 0.0, 1.0, 1.0)), the_screen(), on_presented=lambda: None, tags_for=display
    )
    qtbot.addWidget(window)
    window.resize(900, 700)
    window.show()
    qtbot.waitExposed(window)
    assert window.tag_frame is not None
    first = window.tag_frame.tags
    window.resize(800, 650)
    qtbot.waitUntil(lambda: window.tag_frame is not None and window.tag_frame.tags != first, timeout=60_000)
    assert set(AprilTagDetector().find(grey_of(window), range(8), is_crop=True)) == set(range(8))
    plain = ReadingWindow(ViewerModel((0.0, 0.0, 1.0, 1.0)), the_screen(), on_presented=lambda: None)
    qtbot.addWidget(plain)
    plain.resize(800, 650)
    plain.show()
    qtbot.waitExposed(plain)
    assert plain.inside == plain.rect()

"""Every screen that a reader meets, painted and saved as a picture; each must differ from the one before.

The pictures lie in the folder that the variable GAZECAPTURE_SCREENS names, else in the test's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QImage, QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gazecapture.demo.studies import write_demo_studies
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.image import Radiograph
from gazecapture.viewer.findings import Finding
from gazecapture.viewer.measures import Line, Measure
from gazecapture.viewer.model import Action, ViewerModel
from gazecapture.viewer.qt.display_lag import FlipWindow
from gazecapture.viewer.qt.header import ImageLabel
from gazecapture.viewer.qt.viewport import DrawnBox
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.render import Picture
from gazecapture.viewer.transcripts import invitation
from gazecapture.worklist import load_worklist

SIZE = (1280, 800)
NO_BUTTON, NO_MODIFIER = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier


class Screens:
    """Shows one screen after the other and keeps a picture of each."""

    def __init__(self, window: ReadingWindow, model: ViewerModel, folder: Path) -> None:
        self.window, self.model, self.folder = window, model, folder
        self.taken: list[QImage] = []

    def take(self, name: str) -> None:
        self.window.canvas.present_now()
        QApplication.processEvents()  # the bar above follows the frame
        picture = self.window.grab().toImage()
        assert picture.save(str(self.folder / f"{len(self.taken) + 1:02}-{name}.png"))
        assert not self.taken or picture != self.taken[-1], f"{name} looks like the screen before it"
        self.taken.append(picture)

    def key(self, key: Qt.Key) -> None:
        QApplication.sendEvent(self.window, QKeyEvent(QEvent.Type.KeyPress, key, NO_MODIFIER))

    def point(self, x: int, y: int) -> None:
        canvas = self.window.canvas
        place = QPointF(canvas.mapToGlobal(QPoint(x, y)))
        event = QMouseEvent(QEvent.Type.MouseMove, QPointF(x, y), place, NO_BUTTON, NO_BUTTON, NO_MODIFIER)
        QApplication.sendEvent(canvas, event)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Radiograph:
    folder = tmp_path_factory.mktemp("films")
    write_demo_studies(folder, n_studies=1, seed=3, size_px=(640, 768))
    (study,) = load_worklist(folder / "worklist.csv")
    return load_radiograph(study.images[0].path)


@pytest.fixture
def screens(qtbot: QtBot, tmp_path: Path, film: Radiograph) -> Iterator[Callable[[int], Screens]]:
    folder = Path(os.environ.get("GAZECAPTURE_SCREENS", tmp_path / "screens"))
    folder.mkdir(parents=True, exist_ok=True)
    windows: list[ReadingWindow] = []

    def make(n_images: int) -> Screens:
        screen = QApplication.primaryScreen()
        assert screen is not None
        model = ViewerModel((0.0, 0.0, 1.0, 1.0))
        window = ReadingWindow(model, screen, on_presented=lambda: None)
        windows.append(window)
        window.setGeometry(0, 0, *SIZE)
        window.show()
        qtbot.waitExposed(window)
        pictures = [Picture(film, index) for index in range(n_images)]
        model.open_study(1, [p.view for p in pictures])
        roles = [ImageLabel(role="current", view_position="PA"), ImageLabel(role="prior", view_position="PA")]
        window.header.show_progress(12, 300)
        window.show_study(pictures, "Cough and fever for four days.", roles[:n_images])
        return Screens(window, model, folder)

    yield make
    for window in windows:
        window.hide()
        window.deleteLater()


def test_the_screens_of_a_film(screens: Callable[[int], Screens]) -> None:
    one = screens(1)
    one.take("film")
    one.key(Qt.Key.Key_F1)
    one.take("keys")
    one.key(Qt.Key.Key_F1)
    box = Finding(finding_id="f", label="Consolidation", image_index=0, box=(90.0, 380.0, 240.0, 520.0))
    ellipse = Finding(
        finding_id="g", label="Lung Lesion", image_index=0, shape="ellipse", box=(380.0, 180.0, 460.0, 260.0)
    )
    lines = [(180, 560, 440, 560), (60, 600, 580, 600), (300, 120, 360, 240)]
    heart, thorax, length = (Line(image_index=0, x0=a, y0=b, x1=c, y1=d) for a, b, c, d in lines)
    one.window.show_marks(
        [box, ellipse],
        [
            Measure(measure_id="m", kind="cardiothoracic", lines=(heart, thorax)),
            Measure(measure_id="n", kind="length", lines=(length,)),
        ],
    )
    one.take("marks")
    one.window.canvas.box_drawn.emit(DrawnBox(viewport_id=0, image_index=0, box=(90.0, 380.0, 240.0, 520.0)))
    one.take("finding")
    one.key(Qt.Key.Key_Escape)
    one.window.act(Action(kind="invert"))
    one.take("inverted")


def test_the_screens_of_two_images_and_between_films(screens: Callable[[int], Screens]) -> None:
    two = screens(2)
    two.take("two-images")
    two.point(300, 300)
    two.key(Qt.Key.Key_M)
    two.take("magnifier")
    two.key(Qt.Key.Key_M)
    two.window.blank()
    two.window.say("Paused", "Gaze and words of this time are not kept.", "P goes on.")
    two.take("paused")
    two.window.show_nothing()
    for title, text, hint, name in (
        ("Indication", "Cough and fever for four days.", "N shows the film.", "indication"),
        (
            "This study cannot be shown",
            "a.dcm: its compression cannot be decoded here",
            "N goes on.",
            "unreadable",
        ),
        ("Look at this", "The microphone heard nothing.", "N goes on.", "problem"),
        ("A break?", "25 of 300 films are read. Rest your eyes for a while.", "N goes on.", "break"),
    ):
        two.window.say(title, text, hint)
        two.take(name)
    two.window.message.hide()
    for text, has_sound in (("The heart is normal in size. No effusion.", True), ("", True), ("", False)):
        asked = invitation(has_words=bool(text), has_sound=has_sound)
        two.window.transcript.edit(1, text, asked)
        two.take("transcript")
        two.window.transcript.finish()


def test_the_screen_that_measures_the_display(qtbot: QtBot, tmp_path: Path) -> None:
    folder = Path(os.environ.get("GAZECAPTURE_SCREENS", tmp_path / "screens"))
    folder.mkdir(parents=True, exist_ok=True)
    window = FlipWindow(10, seed=1)
    window.resize(*SIZE)
    assert window.grab().save(str(folder / "display-lag.png"))
    window.deleteLater()

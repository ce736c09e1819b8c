"""A session in the window, in this process: studies follow each other, whoever drives, whatever goes wrong."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QApplication, QPlainTextEdit
from pytestqt.qtbot import QtBot

from gazecapture.clock import session_now_ns
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.pauses import PAUSE_SEAM_NS
from gazecapture.session.schema import WORDS_JOURNAL, SessionInfo, StudyInfo
from gazecapture.session.to_readings import to_readings
from gazecapture.session.tracker_marks import MarkSender, TrackerMarks
from gazecapture.viewer.film_check import GazeCount
from gazecapture.viewer.flow import ReadingRules
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.model import ViewerModel
from gazecapture.viewer.qt.controller import SessionController
from gazecapture.viewer.qt.driver import DriverClient, parse_action
from gazecapture.viewer.qt.screens import display_of
from gazecapture.viewer.qt.viewport import DrawnBox
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.recording import SessionRecorder
from gazecapture.viewer.session import ReadingSession, SessionSetup
from gazecapture.worklist import load_worklist
from keyframes.errors import DataError, DiskFullError, StreamLostError


class Sitting:
    """Everything but the recorder: that one is never started here, so that stopping it is nothing to do."""

    def __init__(
        self,
        folder: Path,
        bot: QtBot,
        driver: DriverClient | None = None,
        sender: MarkSender | None = None,
        *,
        rules: ReadingRules | None = None,
        gaze_count: Callable[[], GazeCount] | None = None,
    ) -> None:
        films = folder / "films"
        films.mkdir()
        for number in range(4):
            Image.fromarray(np.full((300, 200), 60 * number, np.uint8)).save(films / f"{number}.png")
        (films / "1.png").write_bytes(b"this is no picture")
        listed = films / "list.csv"
        listed.write_text("study_id,current,prior,indication\nS1,0.png,,Cough\nS2,1.png,,\nS3,2.png,3.png,\n")
        screen = QApplication.primaryScreen()
        assert screen is not None
        self.bot = bot
        self.folder = folder / "session"
        setup = SessionSetup(
            reader_code="R1", display=display_of(screen, size_mm=None, distance_mm=None), synthetic=True
        )
        self.session = ReadingSession.open(self.folder, load_worklist(listed), setup)
        self.model = ViewerModel((0.0, 0.0, 1.0, 1.0))
        self.controller = SessionController(
            self.session,
            self.model,
            recorder=SessionRecorder(self.folder),
            driver=driver,
            screenshots=folder / "shots",
            marks=None if sender is None else TrackerMarks(self.folder, sender),
            rules=rules,
        )
        self.journals = ViewerJournals(self.folder, on_error=self.controller.fail_later)
        self.window = ReadingWindow(self.model, screen, on_presented=self.controller.presented)
        self.controller.attach(self.window, self.journals, gaze_count=gaze_count)
        self.window.setGeometry(10, 20, 640, 480)
        self.over = False
        self.controller.finished.connect(self._ended)
        self.window.show()

    def _ended(self) -> None:
        self.over = True

    def wait_until_over(self) -> None:
        self.bot.waitUntil(lambda: self.over, timeout=60_000)
        self.window.hide()

    def wait_for_reading(self, number: int) -> None:
        self.bot.waitUntil(lambda: (number, "on") in self.rows(), timeout=60_000)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QApplication.sendEvent(self.window, QKeyEvent(QEvent.Type.KeyPress, key, modifier))

    def wait_for_card(self, title: str) -> None:
        message = self.window.message
        self.bot.waitUntil(lambda: message.isVisible() and message.title == title, timeout=60_000)

    def rows(self) -> list[tuple[int, str]]:
        table = read_journal(self.folder / "display").table
        return [(r["reading_number"], r["event"]) for r in table.to_pylist()]


@pytest.fixture
def sit(qtbot: QtBot, tmp_path: Path) -> Iterator[Callable[..., Sitting]]:
    made: list[Sitting] = []

    def make(driver: DriverClient | None = None, sender: MarkSender | None = None, **others: Any) -> Sitting:
        made.append(Sitting(tmp_path, qtbot, driver, sender, **others))
        return made[-1]

    yield make
    for sitting in made:
        if not sitting.over:
            sitting.controller.end()
            sitting.wait_until_over()
        sitting.window.deleteLater()


class Server:
    """The other end of the driver's line, driven step by step by the test."""

    def __init__(self, bot: QtBot) -> None:
        self._bot = bot
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._received = b""

    def accept(self) -> None:
        self._server.settimeout(120)
        self.connection, _ = self._server.accept()
        self.connection.setblocking(False)

    def receive(self) -> dict[str, Any]:
        self._bot.waitUntil(self._has_line, timeout=60_000)
        line, self._received = self._received.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def send(self, **message: Any) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        self.connection.close()
        self._server.close()

    def _has_line(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self._received += self.connection.recv(1 << 16)
        return b"\n" in self._received


@pytest.fixture
def server(qtbot: QtBot) -> Iterator[Server]:
    made = Server(qtbot)
    yield made
    made.close()


def test_a_person_reads_past_an_unreadable_study(sit: Callable[..., Sitting]) -> None:
    sitting = sit()
    sitting.controller.start()
    sitting.wait_for_reading(1)
    sitting.key(Qt.Key.Key_N)
    sitting.bot.waitUntil(sitting.window.message.isVisible, timeout=60_000)
    assert sitting.controller.unreadable[0][0] == "S2"
    assert sitting.window.canvas.is_blank
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_reading(3)
    assert not sitting.window.message.isVisible()
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_card("All films are read")
    sitting.key(Qt.Key.Key_N)
    sitting.wait_until_over()
    assert sitting.controller.error is None
    assert sitting.rows() == [(1, "on"), (1, "off"), (3, "on"), (3, "on"), (3, "off"), (3, "off")]
    assert sitting.session.unread() == [2]
    times = read_journal(sitting.folder / "display").table.column("t_ns").to_pylist()
    assert times == sorted(times)


def test_leaving_in_the_middle_keeps_the_study_unread(sit: Callable[..., Sitting]) -> None:
    sitting = sit()
    sitting.controller.start()
    sitting.wait_for_reading(1)
    sitting.key(Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    sitting.wait_until_over()
    assert sitting.controller.error is None
    assert sitting.rows() == [(1, "on")]
    assert sitting.session.unread() == [1, 2, 3]


def test_a_full_disk_ends_the_session_with_its_error(sit: Callable[..., Sitting]) -> None:
    sitting = sit()
    sitting.controller.start()
    sitting.wait_for_reading(1)
    error = DiskFullError("no room left")
    sitting.controller.fail_later(error)
    sitting.wait_until_over()
    assert sitting.controller.error is error
    assert sitting.rows() == [(1, "on")]


def test_a_driver_reads_the_list(sit: Callable[..., Sitting], server: Server, tmp_path: Path) -> None:
    sitting = sit(DriverClient("127.0.0.1", server.port))
    sitting.controller.start()
    server.accept()
    hello = server.receive()
    assert (hello["type"], hello["n_studies"]) == ("hello", 3)
    assert hello["display"]["width_px"] > 0
    on = server.receive()
    assert (on["type"], on["reading_number"], on["study_id"]) == ("image_on", 1, "S1")
    assert on["area"] == [10.0, 76.0, 650.0, 500.0]
    assert (on["images"][0]["width_px"], on["images"][0]["presets"][0]["voi"]) == (200, "LINEAR")
    assert on["panels"] == [{"name": "caption", "rect": [10.0, 20.0, 650.0, 76.0]}]
    server.send(type="action", kind="zoom", x=320, y=240, amount=2)
    server.send(type="action", kind="preset", amount=77)  # impossible: refused, and the session goes on
    server.send(type="something new")
    server.send(
        type="finding", finding_id="f1", label="Edema", image_index=0, box=[1, 2, 30, 40], certainty=0.5
    )
    server.send(type="screenshot", name="../one film")
    server.send(type="next")
    off = server.receive()
    assert (off["type"], off["reading_number"]) == ("image_off", 1)
    on = server.receive()  # the unreadable study is passed by itself
    assert (on["reading_number"], len(on["images"])) == (3, 2)
    server.send(type="next")
    assert server.receive()["reading_number"] == 3
    assert server.receive() == {"type": "session_end"}
    assert not sitting.over
    server.send(type="done", n_gaze_sent=12, n_words_sent=3)
    sitting.wait_until_over()
    assert sitting.controller.error is None
    assert sitting.controller.driver_counts == {"n_gaze_sent": 12, "n_words_sent": 3}
    (shot,) = (tmp_path / "shots").iterdir()
    assert [shot.name] == sitting.controller.screenshot_files == ["one_film.png"]
    with Image.open(shot) as picture:
        assert picture.size == (640, 480)
    table = read_journal(sitting.folder / "display").table
    change = table.to_pylist()[1]
    assert (change["event"], change["affine"][0]) == (
        "change",
        pytest.approx(table["affine"][0][0].as_py() / 2**0.5),
    )
    assert table["t_ns"][0].as_py() <= off["t_ns"]
    (finding,) = read_journal(sitting.folder / "annotations").table.to_pylist()
    assert (finding["label"], finding["box"], finding["certainty"]) == ("Edema", [1, 2, 30, 40], 0.5)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (b"no message\n", "sent a line that is no message"),
        (b'{"type":"action","kind":"zoom","x":"left"}\n', "cannot be carried out"),
        (b'{"type":"finding"}\n', "cannot be carried out"),
        (b"x" * (2 << 20), "more than 1 MiB"),
        (b"", "closed the connection before the session was over"),
    ],
)
def test_a_driver_that_fails_ends_the_session_cleanly(
    sit: Callable[..., Sitting], server: Server, what: bytes, told: str
) -> None:
    sitting = sit(DriverClient("127.0.0.1", server.port))
    sitting.controller.start()
    server.accept()
    server.receive()
    server.receive()
    server.connection.setblocking(True)

    def send() -> None:
        with contextlib.suppress(OSError):  # the viewer may hang up before the end
            server.connection.sendall(what)

    # More than a socket may hold, and the viewer that takes it is in this very thread.
    sending = threading.Thread(target=send if what else server.connection.close)
    sending.start()
    sitting.wait_until_over()
    sending.join()
    assert isinstance(sitting.controller.error, StreamLostError)
    assert told in sitting.controller.error.message
    assert sitting.rows() == [(1, "on")]


def test_a_driver_that_is_not_there_is_told(sit: Callable[..., Sitting]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # ours, so that nobody else listens there
        sitting = sit(DriverClient(*nobody.getsockname()))
        sitting.controller.start()
        sitting.wait_until_over()
    assert "cannot be reached" in str(sitting.controller.error)
    assert sitting.rows() == []


def test_an_action_without_kind_is_refused() -> None:
    with pytest.raises(DataError, match="lacks or has an impossible field"):
        parse_action({"x": 1.0})


class SentMarks:
    """A tracker that takes marks."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.threads: set[str] = set()

    def send(self, text: str) -> None:
        self.texts.append(text)
        self.threads.add(threading.current_thread().name)

    def close(self) -> None:
        pass


def test_the_tracker_gets_an_opaque_mark_at_image_on_and_off(sit: Callable[..., Sitting]) -> None:
    sent = SentMarks()
    sitting = sit(sender=sent)
    sitting.controller.start()
    sitting.wait_for_reading(1)
    sitting.key(Qt.Key.Key_N)
    sitting.bot.waitUntil(lambda: (1, "off") in sitting.rows(), timeout=60_000)
    sitting.controller.end()
    sitting.wait_until_over()
    rows = read_journal(sitting.folder / "tracker_marks").table.to_pylist()
    assert [(r["reading_number"], r["event"]) for r in rows][:2] == [(1, "on"), (1, "off")]
    assert sent.texts == [f"gazecapture-mark {r['mark']}" for r in rows]
    assert sent.threads == {"tracker-marks"}, "the window's thread sends nothing"
    assert not any("S1" in text for text in sent.texts)
    on_ns, off_ns = read_journal(sitting.folder / "display").table["t_ns"].to_pylist()[:2]
    assert on_ns <= rows[0]["t_ns"] < off_ns <= rows[1]["t_ns"]


def test_back_reads_the_last_film_anew_and_leaves_the_first_reading_as_it_was(
    sit: Callable[..., Sitting],
) -> None:
    sitting = sit()
    sitting.controller.start()
    sitting.wait_for_reading(1)
    sitting.window.finding_made.emit(
        DrawnBox(viewport_id=0, image_index=0, box=(1, 2, 30, 40)), "Edema", 0.5, 2.0
    )
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_card("This study cannot be shown")
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_reading(3)
    sitting.window.finding_made.emit(
        DrawnBox(viewport_id=0, image_index=0, box=(5, 5, 9, 9)), "Fracture", 0.5, None
    )
    first = (sitting.folder / "session.json").read_bytes()
    sitting.key(Qt.Key.Key_PageUp)
    sitting.wait_for_reading(4)
    assert sitting.session.info.studies[:3] == read_back(first)
    assert sitting.session.info.studies[3].addendum_of == 1
    sitting.key(Qt.Key.Key_N)
    sitting.bot.waitUntil(
        lambda: sitting.rows().count((3, "on")) == 4, timeout=60_000
    )  # the film comes again
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_card("All films are read")
    sitting.key(Qt.Key.Key_N)
    sitting.wait_until_over()
    assert sitting.rows() == [
        (1, "on"), (1, "off"), (3, "on"), (3, "on"), (4, "on"), (4, "off"), (3, "on"), (3, "on"), (3, "off"),
        (3, "off"),
    ]  # fmt: skip
    readings = {r.reading_number: r.reading for r in to_readings(sitting.folder, key=bytes(32))}
    assert sorted(readings) == [1, 3, 4]
    first_reading, again, addendum = readings[1], readings[3], readings[4]
    assert first_reading is not None
    assert again is not None
    assert addendum is not None
    assert addendum.meta.repeat_of == addendum.meta.provenance["addendum_of"] == first_reading.meta.reading_id
    assert "attempts_before" not in first_reading.meta.provenance
    assert again.meta.provenance["attempts_before"] == "1"
    assert first_reading.table("findings")["label"].to_pylist() == ["Edema"]
    assert addendum.table("findings").num_rows == 0
    assert again.table("findings")["label"].to_pylist() == ["Fracture"]  # marked before it was given up
    assert sitting.session.unread() == [2]


def read_back(content: bytes) -> tuple[StudyInfo, ...]:
    return TypeAdapter(SessionInfo).validate_json(content).studies


def test_a_pause_shows_nothing_and_counts_as_no_time(sit: Callable[..., Sitting]) -> None:
    sitting = sit()
    sitting.controller.start()
    sitting.wait_for_reading(1)
    sitting.key(Qt.Key.Key_P)
    sitting.wait_for_card("Paused")
    assert sitting.window.canvas.is_blank
    sitting.key(Qt.Key.Key_N)  # a pause is ended by its own key only
    sitting.bot.wait(400)
    sitting.key(Qt.Key.Key_P)
    sitting.bot.waitUntil(lambda: (1, "resume") in sitting.rows(), timeout=60_000)
    sitting.key(Qt.Key.Key_N)
    sitting.bot.waitUntil(lambda: (1, "off") in sitting.rows(), timeout=60_000)
    assert sitting.rows() == [(1, "on"), (1, "pause"), (1, "resume"), (1, "off")]
    times = dict(
        zip(
            ("on", "pause", "resume", "off"),
            read_journal(sitting.folder / "display").table["t_ns"].to_pylist(),
            strict=True,
        )
    )
    reading = next(r.reading for r in to_readings(sitting.folder, key=bytes(32)))
    assert reading is not None
    away_ns = times["resume"] - times["pause"]
    assert away_ns > PAUSE_SEAM_NS
    assert reading.meta.duration_ns == times["off"] - times["on"] - away_ns + PAUSE_SEAM_NS


def test_indication_before_the_film_break_and_lost_gaze_are_told_between_films(
    sit: Callable[..., Sitting],
) -> None:
    counts = [GazeCount(), GazeCount(n_samples=100, n_valid=20)]
    rules = ReadingRules(break_every_films=1, indication_before=True)
    sitting = sit(
        rules=rules, gaze_count=lambda: counts.pop(0) if counts else GazeCount(n_samples=100, n_valid=20)
    )
    sitting.controller.start()
    sitting.wait_for_card("Indication")
    assert sitting.rows() == []
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_reading(1)
    assert not sitting.window.message.isVisible()
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_card("Look at this")
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_card("A break?")
    sitting.key(Qt.Key.Key_N)
    sitting.wait_for_card("This study cannot be shown")


def test_the_reader_corrects_the_words_after_the_film(sit: Callable[..., Sitting]) -> None:
    sitting = sit(rules=ReadingRules(edits_transcript=True))
    sitting.controller.start()
    sitting.wait_for_reading(1)
    with JournalWriter(sitting.folder / "words", WORDS_JOURNAL) as words:
        t_ns = session_now_ns()
        row = {"t_end_ns": t_ns, "confidence": None, "source": "dictated"}
        said = ("no", "a", "fusion", ".")
        words.append_rows([{**row, "t_start_ns": t_ns + n, "word": word} for n, word in enumerate(said)])
    sitting.key(Qt.Key.Key_N)
    panel = sitting.window.transcript
    sitting.bot.waitUntil(panel.isVisible, timeout=60_000)
    field = panel.findChild(QPlainTextEdit)
    assert field is not None
    assert field.toPlainText() == "no a fusion."
    sitting.bot.keyClicks(field, "n", Qt.KeyboardModifier.NoModifier)  # a letter is a letter here
    assert field.toPlainText() == "nno a fusion."
    field.setPlainText("No effusion.")
    sitting.bot.keyClick(field, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    sitting.wait_for_card("This study cannot be shown")
    kept = sitting.folder / "transcripts" / "reading-1.txt"
    sitting.bot.waitUntil(kept.is_file, timeout=60_000)
    assert kept.read_text() == "No effusion.\n"

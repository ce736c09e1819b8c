"""`gazecapture validate`: one validation by itself, recorded and journaled as in a sitting."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import QRect, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QColor, QKeyEvent, QPalette
from PyQt6.QtWidgets import QWidget

from gazecapture.screen.validation import ValidationResult
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.live_gaze import LiveGaze
from gazecapture.viewer.qt.checks import GazeChecks
from gazecapture.viewer.qt.driver import DriverClient, hello_message
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.surroundings import (
    checks_of,
    ending_on_signals,
    live_gaze_of,
    screen_of,
    setup_of,
    show_on,
)
from gazecapture.viewer.qt.tag_frame import TagFrame
from gazecapture.viewer.recording import SessionRecorder
from gazecapture.viewer.session import ReadingSession
from gazecapture.viewer.station import Station
from keyframes.errors import GazeToolError

__all__ = ["Validated", "validate_tracker"]

BACKGROUND = 0.35
"""Grey, 0 to 1: about the mean of a chest radiograph in its default window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """What came of it."""

    session: Path
    result: ValidationResult | None
    """None where it was broken off before its last point."""
    interrupted: bool


class _Window(QWidget):
    """Black; the check screen covers it."""

    quit_asked = pyqtSignal()
    failed = pyqtSignal(object)
    """Something in another thread did, with this error."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("gazecapture validate: research use only, not for diagnosis")
        self.tag_frame: TagFrame | None = None
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.Window, QColor(0, 0, 0))
        self.setPalette(palette)

    def inside(self) -> QRect:
        """Return what may be covered."""
        return self.rect() if self.tag_frame is None else self.tag_frame.inside

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """End the validation; that closes the window."""
        if event is not None:
            event.ignore()
        self.quit_asked.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """End at Ctrl-Q or Escape."""
        if event is not None and event.text() in {"\x11", "\x1b"}:
            self.quit_asked.emit()


def validate_tracker(
    out: Path, station: Station, *, reader_code: str, say: Callable[[str], None]
) -> Validated:
    """Validate the tracker before a reader, and return when the recording is closed.

    out : session folder; new, or any session of this screen.
    say : gets the lines that tell how the start goes on.

    Raises UsageError where folder or screen do not fit, DeviceUnavailableError where there is no gaze stream.
    """
    application = make_application(station.size_px)
    screen = screen_of(application, station.screen_index)
    session = ReadingSession.open_without_studies(out, setup_of(screen, station, reader_code=reader_code))
    recorder = SessionRecorder(
        out,
        stream=station.stream,
        profile_files=station.profile_files,
        neon=() if station.neon is None else station.neon.arguments(),
        wait_s=station.wait_s,
    )
    problems: list[BaseException] = []

    def end(problem: BaseException | None = None) -> None:
        problems.extend([] if problem is None else [problem])
        application.exit(0)

    window = _Window()
    window.failed.connect(end)
    journals = ViewerJournals(out, on_error=window.failed.emit)
    gaze: LiveGaze | None = None
    driver = None if station.driver is None else DriverClient(*station.driver)
    try:
        recorder.start(say)
        session.complete_display(recorder.display_of_streams())
        show_on(window, screen, station.size_px)
        if station.has_scene_camera and session.info.display is not None:
            application.processEvents()  # only then is the window where its tags are to be
            window.tag_frame = TagFrame(window, screen, session.info.display)
            session.note_tags(window.tag_frame.tags)
        gaze = live_gaze_of(out, session.info, station)
        checks = checks_of(
            window,
            screen,
            session.info,
            out,
            room=window.inside,
            station=station,
            gaze=gaze,
            journals=journals,
        )
        window.quit_asked.connect(lambda: end(KeyboardInterrupt()))
        if driver is None:
            QTimer.singleShot(0, lambda: _run(checks, end))
        else:
            _let_driver_look(driver, session, checks, end)
        with ending_on_signals(end):
            application.exec()
    finally:
        window.hide()
        if gaze is not None:
            gaze.close()
        with contextlib.suppress(GazeToolError) if problems else contextlib.nullcontext():
            recorder.stop()
        if driver is not None:
            driver.close()
        journals.close()
    interrupted = any(isinstance(problem, KeyboardInterrupt) for problem in problems)
    if problems and not interrupted:
        raise problems[0]
    result = None if checks.last is None else checks.last.result
    return Validated(session=out, result=result, interrupted=interrupted)


def _run(checks: GazeChecks, end: Callable[[], None]) -> None:
    checks.run("validate", background=BACKGROUND, then=end, trigger="asked")


def _let_driver_look(
    driver: DriverClient,
    session: ReadingSession,
    checks: GazeChecks,
    end: Callable[[BaseException | None], None],
) -> None:
    """Let the simulated reader look in place of a person."""
    checks.target_shown.connect(
        lambda x, y: driver.send({"type": "look", "x_screen_px": x, "y_screen_px": y})
    )
    driver.connected.connect(lambda: driver.send(hello_message(session)))
    driver.connected.connect(lambda: _run(checks, driver.end_session))
    driver.done.connect(lambda _counts: end(None))
    driver.lost.connect(end)
    driver.connect_to_reader()

"""Runs one sitting at the window: screen, session folder, recorder, window, event loop, summary."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QScreen
from PyQt6.QtWidgets import QApplication

from gazecapture.viewer.cursor_outlet import CursorOutlet
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.model import ViewerModel
from gazecapture.viewer.qt.controller import SessionController
from gazecapture.viewer.qt.cursor import CursorWatch
from gazecapture.viewer.qt.driver import DriverClient
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.screens import display_of
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.recording import SessionRecorder
from gazecapture.viewer.session import ReadingSession, SessionSetup
from gazecapture.worklist import WorklistStudy
from keyframes.errors import GazeToolError, UsageError

__all__ = ["ReadOptions", "ReadSummary", "read_worklist"]

_LOGGER = logging.getLogger(__name__)

SIGNAL_POLL_MS = 200
"""ms; Python handles a signal only when it gets to run, which Qt's loop alone would not let it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the reading station is asked for."""

    out: Path
    reader_code: str
    display_mm: tuple[float, float] | None = None
    distance_mm: float | None = None
    driver: tuple[str, int] | None = None
    screenshots: Path | None = None
    size_px: tuple[int, int] | None = None
    """Of the window; None: the whole screen."""
    screen_index: int = 0
    gaze: Literal["stream", "mouse", "none"] = "stream"
    """What stands for the eyes."""
    stream: str | None = None
    profile_files: tuple[Path, ...] = ()
    """A user's own stream profiles."""
    wait_s: float = 10.0
    """s to look for the gaze stream."""
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSummary:
    """What a sitting came to."""

    session: Path
    n_studies: int
    n_read: int
    n_read_now: int
    unreadable: tuple[tuple[str, str], ...] = ()
    """Study id and reason."""
    interrupted: bool = False
    recording: dict[str, Any] = field(default_factory=dict)
    """The recorder's last counts, by stream."""
    driver: dict[str, Any] = field(default_factory=dict)
    """The simulated reader's own counts."""
    screenshots: tuple[str, ...] = ()

    @property
    def n_left(self) -> int:
        """Studies that are still to be read."""
        return self.n_studies - self.n_read


def read_worklist(
    studies: Sequence[WorklistStudy], options: ReadOptions, say: Callable[[str], None]
) -> ReadSummary:
    """Let a reader read the worklist, and return when the session is closed.

    say : gets the lines that tell how the start goes on.

    Raises UsageError where folder, worklist or screen do not fit, DeviceUnavailableError where there is no gaze
    stream, and whatever ended the session early; what was recorded by then is kept and the session can be resumed.
    """
    application = make_application(options.size_px)
    screen = _screen(application, options.screen_index)
    setup = SessionSetup(
        reader_code=options.reader_code,
        display=display_of(screen, size_mm=options.display_mm, distance_mm=options.distance_mm),
        refresh_hz=screen.refreshRate() or None,
        device_pixel_ratio=screen.devicePixelRatio(),
        seed=options.seed,
        synthetic=options.driver is not None,
        gaze=options.gaze,
    )
    session = ReadingSession.open(options.out, studies, setup)
    n_before = session.n_read
    if n_before:
        say(f"{n_before} of {session.n_studies} studies are read already")
    if not session.unread():
        return ReadSummary(session=options.out, n_studies=session.n_studies, n_read=n_before, n_read_now=0)
    cursor = (
        CursorOutlet(setup.display, session_id=session.info.session_id) if options.gaze == "mouse" else None
    )
    recorder = SessionRecorder(
        options.out,
        stream=options.stream if cursor is None else cursor.source_id,
        without_gaze=options.gaze == "none",
        profile_files=options.profile_files,
        wait_s=options.wait_s,
    )
    model = ViewerModel((0.0, 0.0, 1.0, 1.0))
    driver = None if options.driver is None else DriverClient(*options.driver)
    controller = SessionController(
        session, model, recorder=recorder, driver=driver, screenshots=options.screenshots
    )
    journals = ViewerJournals(options.out, on_error=controller.fail_later)
    try:
        recorder.start(say)
        session.complete_display(recorder.display_of_streams())
    except BaseException:
        with contextlib.suppress(GazeToolError):  # the first error is the one to tell
            recorder.stop()
        journals.close()
        raise
    window = ReadingWindow(model, screen, on_presented=controller.presented)
    controller.attach(window, journals)
    # Not `quit`: Qt asks every window before it quits, and this one never closes by itself.
    controller.finished.connect(lambda: application.exit(0))
    _show(window, screen, options.size_px)
    QTimer.singleShot(0, controller.start)
    watch = None if cursor is None else CursorWatch(screen, cursor)
    with _ending_on_signals(controller):
        application.exec()
    if watch is not None:
        watch.stop()
    if cursor is not None:
        cursor.close()
    if driver is not None:
        driver.close()
    window.hide()
    interrupted = isinstance(controller.error, KeyboardInterrupt)
    if controller.error is not None and not interrupted:
        raise controller.error
    return ReadSummary(
        session=options.out,
        n_studies=session.n_studies,
        n_read=session.n_read,
        n_read_now=session.n_read - n_before,
        unreadable=tuple(controller.unreadable),
        interrupted=interrupted,
        recording=recorder.counts(),
        driver=controller.driver_counts,
        screenshots=tuple(controller.screenshot_files),
    )


def _screen(application: QApplication, index: int) -> QScreen:
    screens = application.screens()
    if not 0 <= index < len(screens):
        raise UsageError(
            f"there is no screen {index}; this machine has {len(screens)}, counted from 0",
            hint="`gazecapture doctor` lists them.",
        )
    # Number 0 is the primary one, whatever order the system lists them in.
    primary = application.primaryScreen()
    ordered = sorted(screens, key=lambda s: s is not primary)
    return ordered[index]


def _show(window: ReadingWindow, screen: QScreen, size_px: tuple[int, int] | None) -> None:
    geometry = screen.geometry()
    if size_px is None:
        window.setGeometry(geometry)
        window.showFullScreen()
    else:
        ratio = screen.devicePixelRatio()
        window.setGeometry(geometry.x(), geometry.y(), round(size_px[0] / ratio), round(size_px[1] / ratio))
        window.show()
    window.activateWindow()
    window.setFocus()


@contextlib.contextmanager
def _ending_on_signals(controller: SessionController) -> Iterator[None]:
    """Close the session properly on Ctrl-C or a request to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        controller.end(KeyboardInterrupt())

    ticking = QTimer()
    ticking.timeout.connect(lambda: None)
    ticking.start(SIGNAL_POLL_MS)
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        ticking.stop()
        for number, handler in before.items():
            signal.signal(number, handler)

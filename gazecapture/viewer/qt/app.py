"""Runs one sitting at the window: screen, session folder, recorder, window, event loop, summary."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QTimer

from gazecapture.session.consent import may_record_speech
from gazecapture.session.tracker_marks import MarkSender, TrackerMarks
from gazecapture.viewer.cursor_outlet import CursorOutlet
from gazecapture.viewer.dictation import Dictation
from gazecapture.viewer.dictation_choice import DictationChoice
from gazecapture.viewer.dictation_status import forget_dictation_status
from gazecapture.viewer.flow import ReadingRules
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.live_gaze import LiveGaze
from gazecapture.viewer.model import ViewerModel
from gazecapture.viewer.operator.process import start_operator
from gazecapture.viewer.qt.awake import Awake
from gazecapture.viewer.qt.consent import ensure_consent
from gazecapture.viewer.qt.controller import SessionController
from gazecapture.viewer.qt.cursor import CursorWatch
from gazecapture.viewer.qt.driver import DriverClient
from gazecapture.viewer.qt.keys import talk_key
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.sound import dictation_of
from gazecapture.viewer.qt.surroundings import (
    checks_of,
    ending_on_signals,
    live_gaze_of,
    screen_of,
    setup_of,
    show_on,
)
from gazecapture.viewer.qt.window import ReadingWindow
from gazecapture.viewer.recording import SessionRecorder
from gazecapture.viewer.session import ReadingSession
from gazecapture.viewer.station import Station
from gazecapture.worklist import WorklistStudy
from keyframes.errors import GazeToolError

__all__ = ["ReadOptions", "ReadSummary", "read_worklist"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the reading station is asked for."""

    out: Path
    reader_code: str
    station: Station
    screenshots: Path | None = None
    seed: int | None = None
    validates: bool = True
    """Measure the tracker before, between and after the readings."""
    asks_consent: bool = False
    """Ask the reader before anything is recorded, where no consent to this version of the text is on record."""
    knows_reader: bool = False
    """The reader's code was given, so that the reader's records in the sessions beside this one count."""
    operator_screen: int | None = None
    """Where the operator's window opens, in a process of its own; None: nowhere."""
    marks: MarkSender | None = None
    """Tells the tracker's own recording when an image comes on and goes off."""
    dictation: DictationChoice | None = None
    """What is said is recorded."""
    rules: ReadingRules | None = None
    """How films follow each other; None: as the room's settings say."""


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
    station = options.station
    application = make_application(station.size_px)
    screen = screen_of(application, station.screen_index)
    setup = setup_of(screen, station, reader_code=options.reader_code, seed=options.seed)
    session = ReadingSession.open(options.out, studies, setup)
    n_before = session.n_read
    if n_before:
        say(f"{n_before} of {session.n_studies} studies are read already")
    if not session.unread():
        return ReadSummary(session=options.out, n_studies=session.n_studies, n_read=n_before, n_read_now=0)
    if options.asks_consent:
        ensure_consent(
            options.out,
            options.reader_code,
            screen,
            asked=station.room.consent,
            beside=options.knows_reader,
            size_px=station.size_px,
        )
    may_hear = may_record_speech(options.out)
    forget_dictation_status(options.out)
    cursor = (
        CursorOutlet(setup.display, session_id=session.info.session_id) if station.gaze == "mouse" else None
    )
    recorder = SessionRecorder(
        options.out,
        stream=station.stream if cursor is None else cursor.source_id,
        without_gaze=station.gaze == "none",
        profile_files=station.profile_files,
        neon=() if station.neon is None else station.neon.arguments(),
        may_hear=may_hear,
        wait_s=station.wait_s,
    )
    model = ViewerModel((0.0, 0.0, 1.0, 1.0))
    driver = None if station.driver is None else DriverClient(*station.driver)
    marks = None if options.marks is None else TrackerMarks(options.out, options.marks)
    settings = station.room
    controller = SessionController(
        session,
        model,
        recorder=recorder,
        driver=driver,
        screenshots=options.screenshots,
        marks=marks,
        rules=options.rules or settings.reading.rules(),
    )
    journals = ViewerJournals(options.out, on_error=controller.fail_later)
    gaze: LiveGaze | None = None
    window: ReadingWindow | None = None
    dictation: Dictation | None = None
    awake = Awake()
    try:
        recorder.start(say)
        if options.operator_screen is not None:
            start_operator(options.out, options.operator_screen, station.neon)
        session.complete_display(recorder.display_of_streams())
        if settings.display.lag_ms is not None:
            session.note_display_lag(settings.display.lag_ms, settings.display.lag_sd_ms)
        window = ReadingWindow(
            model,
            screen,
            on_presented=controller.presented,
            tags_for=session.info.display if station.has_scene_camera else None,
        )
        window.talk_key = talk_key(settings.reading.talk_key)
        show_on(window, screen, station.size_px)
        awake.start()
        if window.tag_frame is not None:
            application.processEvents()  # only then is the window where its tags are to be
            session.note_tags(window.tag_frame.tags)
        if options.validates:
            gaze = live_gaze_of(options.out, session.info, station)
        if options.dictation is not None and not may_hear:
            say("the reader did not agree that speech is recorded: dictation is off")
        elif options.dictation is not None:
            dictation = dictation_of(options.out, options.dictation, on_error=controller.fail_later)
    except BaseException:
        if window is not None:
            window.hide()
        awake.stop()
        if gaze is not None:
            gaze.close()
        with contextlib.suppress(GazeToolError):  # the first error is the one to tell
            recorder.stop()
        journals.close()
        if marks is not None:
            marks.close()
        raise
    checks = None
    if gaze is not None:
        checks = checks_of(
            window,
            screen,
            session.info,
            options.out,
            room=lambda: window.inside,
            station=station,
            gaze=gaze,
            journals=journals,
        )
    controller.attach(
        window, journals, checks, dictation=dictation, gaze_count=None if gaze is None else gaze.count
    )
    # Not `quit`: Qt asks every window before it quits, and this one never closes by itself.
    controller.finished.connect(lambda: application.exit(0))
    QTimer.singleShot(0, controller.start)
    watch = None if cursor is None else CursorWatch(screen, cursor)
    with ending_on_signals(controller.end):
        application.exec()
    if watch is not None:
        watch.stop()
    if cursor is not None:
        cursor.close()
    if driver is not None:
        driver.close()
    if gaze is not None:
        gaze.close()
    window.hide()
    awake.stop()
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

"""What every window before a reader needs: its screen, its place on it, an orderly end, what measures the tracker."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from PyQt6.QtCore import QRect, QTimer
from PyQt6.QtGui import QScreen
from PyQt6.QtWidgets import QApplication, QWidget

from gazecapture.session.profiles import session_profiles
from gazecapture.session.schema import SessionInfo, read_stream_info
from gazecapture.viewer.journals import ViewerJournals
from gazecapture.viewer.live_gaze import LiveGaze, live_neon, live_source
from gazecapture.viewer.qt.checks import GazeChecks
from gazecapture.viewer.qt.screens import display_of
from gazecapture.viewer.session import SessionSetup
from gazecapture.viewer.station import Station
from keyframes.errors import UsageError

__all__ = ["checks_of", "ending_on_signals", "live_gaze_of", "screen_of", "setup_of", "show_on"]

SIGNAL_POLL_MS = 200
"""ms; Python handles a signal only when it gets to run, which Qt's loop alone would not let it."""


def setup_of(screen: QScreen, station: Station, *, reader_code: str, seed: int | None = None) -> SessionSetup:
    """Return what is known of reader and screen when a session begins."""
    return SessionSetup(
        reader_code=reader_code,
        display=display_of(screen, size_mm=station.display_mm, distance_mm=station.distance_mm),
        refresh_hz=screen.refreshRate() or None,
        device_pixel_ratio=screen.devicePixelRatio(),
        seed=seed,
        synthetic=station.driver is not None,
        gaze=station.gaze,
        reader_site=station.room.site,
    )


def live_gaze_of(session: Path, info: SessionInfo, station: Station) -> LiveGaze:
    """Return gaze as it comes, begun; blocks while it connects. Raises DeviceUnavailableError where there is none."""
    if station.neon is None:
        source, scene = live_source(session, wait_s=station.wait_s), None
    else:
        source, scene = live_neon(session, station.neon, info.tags)
    gaze = LiveGaze(source, info.display, own_profiles=session_profiles(session), scene=scene)
    gaze.start()
    return gaze


def checks_of(
    window: QWidget,
    screen: QScreen,
    info: SessionInfo,
    session: Path,
    *,
    room: Callable[[], QRect],
    station: Station,
    gaze: LiveGaze,
    journals: ViewerJournals,
) -> GazeChecks:
    """Build what measures the tracker; without screen size or distance it measures in px and says so."""
    if info.display is None:
        raise UsageError("the session does not know its screen")
    return GazeChecks(
        window,
        screen,
        info.display,
        room=room,
        gaze=gaze,
        write=lambda rows: journals.write("validation", rows),
        settings=station.room.validation,
        calibrate_command=station.room.calibration.command(_profile_of(session)),
        is_attended=station.driver is None,
        seed=info.created_unix_ns % 2**32,
    )


def _profile_of(session: Path) -> str:
    """Return the name of the stream profile that reads the recorded gaze; empty where there is none."""
    infos = [read_stream_info(path.parent) for path in sorted((session / "streams").glob("*/stream.json"))]
    return next((info.profile for info in infos if info.role == "gaze"), "")


def screen_of(application: QApplication, index: int) -> QScreen:
    """Return a screen by its number, the primary one first. Raises UsageError where there is none."""
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


def show_on(window: QWidget, screen: QScreen, size_px: tuple[int, int] | None) -> None:
    """Show a window over the whole screen, or with a size in physical px at its top left corner."""
    geometry = screen.geometry()
    window.setScreen(screen)  # screens of one X server may all begin at 0, 0
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
def ending_on_signals(end: Callable[[BaseException], None]) -> Iterator[None]:
    """Call ``end`` with a KeyboardInterrupt on Ctrl-C or a request to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        end(KeyboardInterrupt())

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

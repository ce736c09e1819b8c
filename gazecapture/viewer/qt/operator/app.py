"""Runs the operator's window until it is closed."""

from __future__ import annotations

from pathlib import Path

from gazecapture.sources.neon_options import NeonChoice
from gazecapture.viewer.qt.operator.window import OperatorWindow
from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.surroundings import ending_on_signals, screen_of, show_on

__all__ = ["watch_session"]


def watch_session(
    session: Path,
    *,
    size_px: tuple[int, int] | None,
    screen_index: int,
    closes_at_end: bool,
    neon: NeonChoice | None = None,
) -> None:
    """Show a session that goes on; ``neon``: the phone whose gaze is put on the screen."""
    application = make_application(size_px)
    window = OperatorWindow(session, closes_at_end=closes_at_end, neon=neon)
    window.closed.connect(lambda: application.exit(0))
    show_on(window, screen_of(application, screen_index), size_px)

    def end(_error: BaseException) -> None:
        window.close()

    with ending_on_signals(end):
        application.exec()

"""Runs the review window until it is closed."""

from __future__ import annotations

from PyQt6.QtGui import QScreen

from gazecapture.viewer.qt.platform import make_application
from gazecapture.viewer.qt.review.window import ReviewWindow
from gazecapture.viewer.qt.surroundings import ending_on_signals, screen_of, show_on
from gazecapture.viewer.review.source import ReviewSource

__all__ = ["review"]


def review(
    source: ReviewSource,
    *,
    reviewer: str,
    first: str = "",
    size_px: tuple[int, int] | None = None,
    screen_index: int = 0,
) -> list[str]:
    """Let a person review; return the decisions that could not be written."""
    application = make_application(size_px)
    screen: QScreen = screen_of(application, screen_index)
    window = ReviewWindow(source, reviewer=reviewer, first=first)
    window.closed.connect(lambda: application.exit(0))
    show_on(window, screen, size_px)

    def end(_error: BaseException) -> None:
        window.close()

    with ending_on_signals(end):
        application.exec()
    return window.unwritten

"""Pictures of the window, as it is shown, written off the GUI thread."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtGui import QImage

from gazecapture.viewer.qt.window import ReadingWindow

__all__ = ["take_screenshot"]

_LOGGER = logging.getLogger(__name__)


def take_screenshot(
    window: ReadingWindow, folder: Path, name: str, in_background: Callable[[Callable[[], None]], None]
) -> str:
    """Take a picture and have it written; return the file's name, which is ``name`` without what no file may have."""
    window.canvas.present_now()
    picture = window.grab().toImage()
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", name.removesuffix(".png")).strip("._")
    file = f"{stem or 'screenshot'}.png"
    in_background(lambda: _save(picture, folder / file))
    return file


def _save(picture: QImage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path)):
        _LOGGER.warning("the screenshot cannot be written to %s", path)

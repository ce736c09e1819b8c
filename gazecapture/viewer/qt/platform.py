"""Starts Qt: on the display, or offscreen where there is none."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from keyframes.errors import UsageError

__all__ = ["OFFSCREEN_SIZE_PX", "has_display", "make_application"]

OFFSCREEN_SIZE_PX = (1920, 1080)
"""Size of the screen that is made up where there is none: the commonest one."""


def has_display(environment: Mapping[str, str], system: str) -> bool:
    """Say whether there is a display to open a window on. system: as ``sys.platform`` names it."""
    if system in {"win32", "darwin"}:
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def make_application(offscreen_size_px: tuple[int, int] | None) -> QApplication:
    """Return the application, started on first call.

    offscreen_size_px : (width, height) of the made-up screen where there is no display.
    """
    running = QApplication.instance()
    if isinstance(running, QApplication):
        return running
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if not platform and not has_display(os.environ, sys.platform):
        platform = "offscreen"
    # Fractional scales as they are: rounded ones would make screen px a guess.
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    if platform == "offscreen":
        with tempfile.TemporaryDirectory(prefix="gazecapture-screen-") as folder:
            config = Path(folder) / "screen.json"
            config.write_text(json.dumps(_offscreen_config(offscreen_size_px or OFFSCREEN_SIZE_PX)))
            application = QApplication([*sys.argv[:1], "-platform", f"offscreen:configfile={config}"])
    else:
        application = QApplication(sys.argv[:1])
    application.setApplicationName("gazecapture")
    application.setQuitOnLastWindowClosed(False)
    if not QGuiApplication.screens():
        raise UsageError("there is no screen to show radiographs on", hint="Connect one, or unset DISPLAY.")
    return application


def _offscreen_config(size_px: tuple[int, int]) -> dict[str, Any]:
    """Describe the made-up screen; Qt takes that from a file only."""
    screen = {"name": "offscreen", "x": 0, "y": 0, "width": size_px[0], "height": size_px[1]}
    scale = {"logicalDpi": 96, "logicalBaseDpi": 96, "dpr": 1}
    return {
        "synchronousWindowSystemEvents": False,
        "windowFrameMargins": False,
        "screens": [{**screen, **scale}],
    }

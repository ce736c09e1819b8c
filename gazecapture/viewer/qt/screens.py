"""Screens and microphones as Qt sees them, and where a widget is on its screen in physical pixels.

``python -m gazecapture.viewer.qt.screens`` prints them as JSON; `gazecapture doctor` runs that as a process of its
own, so that a Qt that cannot start takes nothing down with it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click
from PyQt6.QtCore import QPointF, QSizeF
from PyQt6.QtGui import QGuiApplication, QScreen
from PyQt6.QtWidgets import QWidget

from gazecapture.viewer.model import Rect
from gazecapture.viewer.qt.awake import Awake
from keyframes.geometry import Display

__all__ = ["describe_devices", "display_of", "physical_size_mm", "rect_on_screen"]

PLAUSIBLE_MM = (100.0, 3000.0)
"""mm; smaller or larger is not the size of a screen but a driver's filler."""
DESKTOP_ANSWERS_S = 1.0
"""s within which a desktop that is there answers."""
ASPECT_TOLERANCE = 0.1
"""Share by which the aspect ratio in mm may differ from that in px: pixels of real screens are square."""


def display_of(screen: QScreen, *, size_mm: tuple[float, float] | None, distance_mm: float | None) -> Display:
    """Describe a screen: physical px, and mm as given or, where plausible, as the screen itself says."""
    ratio = screen.devicePixelRatio()
    geometry = screen.geometry()
    width_mm, height_mm = size_mm or physical_size_mm(screen) or (None, None)
    return Display(
        width_px=round(geometry.width() * ratio),
        height_px=round(geometry.height() * ratio),
        width_mm=width_mm,
        height_mm=height_mm,
        distance_mm=distance_mm,
    )


def physical_size_mm(screen: QScreen) -> tuple[float, float] | None:
    """Return the screen's visible size if what the system says can be true, else None."""
    if QGuiApplication.platformName() in {"offscreen", "minimal"}:
        return None  # made up from a nominal resolution
    size: QSizeF = screen.physicalSize()
    low, high = PLAUSIBLE_MM
    if not (low <= size.width() <= high and low <= size.height() <= high):
        return None
    geometry = screen.geometry()
    aspect = (size.width() / size.height()) / (geometry.width() / geometry.height())
    if abs(aspect - 1) > ASPECT_TOLERANCE:
        return None
    return size.width(), size.height()


def rect_on_screen(widget: QWidget, screen: QScreen) -> Rect:
    """Return where a widget is, in physical px from the screen's top left corner."""
    ratio = screen.devicePixelRatio()
    corner = widget.mapToGlobal(QPointF(0.0, 0.0)) - QPointF(screen.geometry().topLeft())
    x0, y0 = corner.x() * ratio, corner.y() * ratio
    return x0, y0, x0 + round(widget.width() * ratio), y0 + round(widget.height() * ratio)


def describe_devices() -> dict[str, Any]:
    """Return what `gazecapture doctor` asks for: every screen, and the microphones or why they are unknown."""
    microphones, reason = _microphones()
    return {
        "platform": QGuiApplication.platformName(),
        "screens": [_described(screen) for screen in QGuiApplication.screens()],
        "microphones": microphones,
        "microphones_unknown_because": reason,
        "held_back": _held_back(),
    }


def _described(screen: QScreen) -> dict[str, Any]:
    ratio = screen.devicePixelRatio()
    geometry, size = screen.geometry(), screen.physicalSize()
    return {
        "name": screen.name(),
        "x": geometry.x(),
        "y": geometry.y(),
        "width_px": round(geometry.width() * ratio),
        "height_px": round(geometry.height() * ratio),
        "device_pixel_ratio": ratio,
        "refresh_hz": screen.refreshRate(),
        "width_mm": size.width(),
        "height_mm": size.height(),
        "size_is_plausible": physical_size_mm(screen) is not None,
    }


def _held_back() -> list[str]:
    """Try what keeps screen saver, sleep and notifications away; return what was granted."""
    awake = Awake()
    awake.start()
    end = time.monotonic() + DESKTOP_ANSWERS_S
    while not awake.is_answered and time.monotonic() < end:
        QGuiApplication.processEvents()
        time.sleep(0.01)
    held = list(awake.held)
    awake.stop()
    return held


def _microphones() -> tuple[list[str] | None, str]:
    try:
        # Here only: the module needs sound libraries that a reading station without dictation lacks.
        from PyQt6.QtMultimedia import QMediaDevices
    except ImportError as error:
        return None, f"Qt's multimedia module cannot be loaded ({error})"
    return [device.description() for device in QMediaDevices.audioInputs()], ""


def main() -> int:
    """Print `describe_devices` as JSON."""
    from gazecapture.viewer.qt.platform import make_application

    application = make_application(None)
    click.echo(json.dumps(describe_devices(), indent=2))
    application.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())

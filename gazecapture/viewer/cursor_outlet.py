"""The cursor as an outlet of its own, in place of an eye tracker: for trying the tools, never for a study. No Qt.

The stream's type is ``Mouse``: no recorder takes it for gaze unless it is asked for by name.
"""

from __future__ import annotations

import hashlib
from typing import Any

from gazecapture.clock import import_pylsl
from keyframes.geometry import Display

__all__ = ["CURSOR_RATE_HZ", "CursorOutlet"]

CURSOR_RATE_HZ = 1000 / 16
"""A screen refresh at 60 Hz, in the whole ms that a window's timer has."""
NAME = "Mouse cursor, not gaze"
BUFFER_S = 360
_CHANNELS = (
    ("cursor_x", "ScreenX", "both", "pixels"),
    ("cursor_y", "ScreenY", "both", "pixels"),
    ("frame_number", "FrameNumber", "both", "count"),
)


class CursorOutlet:
    """Sends the place of the cursor in physical px of the screen.

    display    : that screen.
    session_id : a window that comes back after a crash sends under the same source id, so that the recorder goes on.

    Raises DeviceUnavailableError where liblsl is absent.
    """

    def __init__(self, display: Display, *, session_id: str) -> None:
        pylsl = import_pylsl()
        self.source_id = f"mouse-{hashlib.sha256(session_id.encode()).hexdigest()[:16]}"
        header = pylsl.StreamInfo(
            NAME, "Mouse", len(_CHANNELS), CURSOR_RATE_HZ, pylsl.cf_double64, self.source_id
        )
        channels = header.desc().append_child("channels")
        for described in _CHANNELS:
            node = channels.append_child("channel")
            for tag, text in zip(("label", "type", "eye", "unit"), described, strict=True):
                node.append_child_value(tag, text)
        acquisition = header.desc().append_child("acquisition")
        acquisition.append_child_value("manufacturer", "gazecapture")
        acquisition.append_child_value("model", "mouse")
        self._size_px = (display.width_px, display.height_px)
        self._outlet: Any = pylsl.StreamOutlet(header, max_buffered=BUFFER_S)
        self._n = 0

    def push(self, x_screen_px: float, y_screen_px: float) -> None:
        """Send where the cursor is now; a place beyond the screen is lost (NaN)."""
        width, height = self._size_px
        inside = 0 <= x_screen_px < width and 0 <= y_screen_px < height
        place = [x_screen_px, y_screen_px] if inside else [float("nan")] * 2
        self._outlet.push_sample([*place, float(self._n)])
        self._n += 1

    def close(self) -> None:
        """Take the outlet off the network."""
        self._outlet = None

"""The place where somebody reads: screen, window, gaze stream, settings of the room. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gazecapture.sources.neon_options import NeonChoice
from gazecapture.viewer.settings import RoomSettings

__all__ = ["Station"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """What is known of it before a window opens."""

    display_mm: tuple[float, float] | None = None
    """Visible size of the screen; None: as the system says, where that can be true."""
    distance_mm: float | None = None
    """From eye to screen."""
    gaze: Literal["stream", "mouse", "none"] = "stream"
    """What stands for the eyes."""
    stream: str | None = None
    """Name of the gaze stream, where there are several."""
    profile_files: tuple[Path, ...] = ()
    """A user's own stream profiles."""
    neon: NeonChoice | None = None
    """In place of a stream."""
    wait_s: float = 10.0
    """s to look for it."""
    size_px: tuple[int, int] | None = None
    """Of the window; None: the whole screen."""
    screen_index: int = 0
    driver: tuple[str, int] | None = None
    """Where a simulated reader listens that reads in place of a person."""
    room: RoomSettings = field(default_factory=RoomSettings)

    @property
    def has_scene_camera(self) -> bool:
        """Say whether tags at the window's edge are looked for, to put gaze on the screen."""
        return self.neon is not None and self.neon.options.video

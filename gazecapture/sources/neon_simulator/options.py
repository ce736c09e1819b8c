"""What to simulate, and what is to go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from gazecapture.sources.neon_payload import GAZE_LAYOUTS
from keyframes.geometry import Display

__all__ = ["GAZE_PAYLOADS", "Faults", "SimulatorOptions"]

GAZE_PAYLOADS = {layout.name: layout for layout in GAZE_LAYOUTS.values()}
"""By the name that an option gives."""
SCREEN = Display(width_px=1920, height_px=1080, width_mm=531.0, height_mm=299.0, distance_mm=650.0)
"""A 24 inch screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What happens to packets and clock; all of it can be told again from the seed."""

    drop: float = 0.0
    """Share of packets that are not sent."""
    reorder: float = 0.0
    """Share of packets that the next one overtakes."""
    duplicate: float = 0.0
    """Share of packets that are sent twice."""
    garbage: float = 0.0
    """Share of packets before which a datagram of random bytes is sent."""
    clock_offset_s: float = 0.0
    """The phone's wall clock is ahead of the host's by so much."""
    drift_ppm: float = 0.0
    first_report_s: float = 0.0
    """s from the start of a stream to its first sender report."""
    report_interval_s: float = 5.0
    stall_at_s: float | None = None
    """s from the start of the simulator to a pause in which samples are taken and not sent."""
    stall_s: float = 0.0
    kill_at_s: float | None = None
    """s from the start of the simulator to a sudden end of all its connections."""
    down_s: float | None = None
    """s from there to its return, on the same ports; None: never."""
    extra_bytes: int = 0
    """So many bytes are appended to every gaze payload, as a newer app might."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """The simulated phone."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    rate_hz: float = 200.0
    payload: str = "eye_state"
    """A key of `GAZE_PAYLOADS`."""
    seed: int = 0
    display: Display = SCREEN
    """The screen that is looked at."""
    video: bool = True
    video_rate_hz: float = 30.0
    video_scale: float = 1.0
    """Of the camera's 1600 x 1200 px; the focal length goes with it."""
    noise_sd: float = 2.0
    """Grey levels."""
    blur_px: float = 0.8
    eye_events: bool = True
    imu: bool = True
    imu_rate_hz: float = 110.0
    announce: bool = False
    """It is found by name on the network of ``host``."""
    tcp: bool = False
    """The status names rtspt addresses; both are served either way."""
    faults: Faults = field(default_factory=Faults)

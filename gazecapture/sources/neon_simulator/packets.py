"""Putting data into RTP and RTCP packets, as the phone does."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from gazecapture.sources.neon_payload import GazeLayout

__all__ = [
    "PAYLOAD_TYPE",
    "eye_event_payload",
    "gaze_payload",
    "h264_payloads",
    "rtp_packet",
    "sender_report",
]

PAYLOAD_TYPE = 96
MAX_PAYLOAD = 1380
"""Bytes; with its headers a packet fits an Ethernet frame."""
NTP_OF_UNIX_S = 2_208_988_800
_STEADY = {
    "pupil_diameter_mm": 3.1,
    "eyeball_center_x_mm": 31.0,
    "eyeball_center_y_mm": 11.0,
    "eyeball_center_z_mm": -20.0,
    "optical_axis_x": 0.0,
    "optical_axis_y": 0.0,
    "optical_axis_z": 1.0,
    "eyelid_angle_top_rad": 0.3,
    "eyelid_angle_bottom_rad": -0.3,
    "eyelid_aperture_mm": 9.0,
}
"""What the simulated eyes do not vary, the left one's centre on the other side."""
MONOCULAR_PX = 5.0
"""Scene px by which each eye's own point is beside the common one."""


def rtp_packet(payload: bytes, *, sequence: int, timestamp: int, ssrc: int, marker: bool = True) -> bytes:
    """Return an RTP packet."""
    return (
        struct.pack(
            "!BBHII", 0x80, marker << 7 | PAYLOAD_TYPE, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
        )
        + payload
    )


def sender_report(*, ssrc: int, unix_s: float, timestamp: int, n_packets: int, n_octets: int) -> bytes:
    """Return an RTCP sender report."""
    seconds = int(unix_s)
    return struct.pack(
        "!BBHIIIIII",
        0x80,
        200,
        6,
        ssrc,
        seconds + NTP_OF_UNIX_S,
        int((unix_s - seconds) * 2**32),
        timestamp & 0xFFFFFFFF,
        n_packets & 0xFFFFFFFF,
        n_octets & 0xFFFFFFFF,
    )


def gaze_payload(layout: GazeLayout, x_scene_px: float, y_scene_px: float, *, worn: bool) -> bytes:
    """Return a gaze datum of the layout."""
    values: list[float] = []
    for field in layout.fields:
        eye = next((eye for eye in ("left", "right") if field.startswith(f"{eye}_")), "")
        bare = field.removeprefix(f"{eye}_")
        aside = {"": 0.0, "left": -MONOCULAR_PX, "right": MONOCULAR_PX}[eye]
        if bare == "worn":
            values.append(255 if worn else 0)
        elif bare == "x_scene_px":
            values.append(x_scene_px + aside)
        elif bare == "y_scene_px":
            values.append(y_scene_px)
        else:
            mirrored = eye == "left" and bare == "eyeball_center_x_mm"
            values.append(-_STEADY[bare] if mirrored else _STEADY[bare])
    return layout.packing.pack(*values)


def eye_event_payload(kind: int, start_ns: int, end_ns: int = 0, numbers: tuple[float, ...] = ()) -> bytes:
    """Return an eye event: 0 saccade, 1 fixation (ten ``numbers``), 2, 3 onsets, 4 blink, 5 keep-alive."""
    if kind in (0, 1):
        return struct.pack("!iqq10f", kind, start_ns, end_ns, *numbers)
    if kind in (2, 3):
        return struct.pack("!iq", kind, start_ns)
    return struct.pack("!iqq", kind, start_ns, end_ns) if kind == 4 else struct.pack("!i", kind)


def h264_payloads(units: list[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Give the payloads of one picture and whether it is the last one (RFC 6184: single units and FU-A)."""
    payloads: list[bytes] = []
    for unit in units:
        if len(unit) <= MAX_PAYLOAD:
            payloads.append(unit)
            continue
        indicator, kind, rest = unit[0] & 0xE0 | 28, unit[0] & 0x1F, unit[1:]
        pieces = [rest[start : start + MAX_PAYLOAD - 2] for start in range(0, len(rest), MAX_PAYLOAD - 2)]
        for place, piece in enumerate(pieces):
            flags = (0x80 if place == 0 else 0) | (0x40 if place == len(pieces) - 1 else 0)
            payloads.append(bytes([indicator, flags | kind]) + piece)
    for place, payload in enumerate(payloads):
        yield payload, place == len(payloads) - 1

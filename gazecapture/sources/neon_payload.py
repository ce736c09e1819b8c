"""What a Neon's packets hold: gaze, eye events, motion.

Source: the wire format that pupil-labs-realtime-api 1.9 reads. A gaze payload is told by its length; one of a length
unknown here gives what its beginning is known to hold, and the caller keeps its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "EYE_EVENT_FIELDS",
    "GAZE_LAYOUTS",
    "IMU_FIELDS",
    "GazeLayout",
    "gaze_layout",
    "parse_eye_event",
    "parse_gaze",
    "parse_imu",
]

_EYES = ("left", "right")
_EYE_STATE = tuple(
    f"{eye}_{field}"
    for eye in _EYES
    for field in (
        "pupil_diameter_mm",
        "eyeball_center_x_mm",
        "eyeball_center_y_mm",
        "eyeball_center_z_mm",
        "optical_axis_x",
        "optical_axis_y",
        "optical_axis_z",
    )
)
_EYELIDS = tuple(
    f"{eye}_{field}"
    for eye in _EYES
    for field in ("eyelid_angle_top_rad", "eyelid_angle_bottom_rad", "eyelid_aperture_mm")
)
_MONOCULAR = ("left_x_scene_px", "left_y_scene_px", "right_x_scene_px", "right_y_scene_px")
_POINT = ("x_scene_px", "y_scene_px", "worn")


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeLayout:
    """Fields of one kind of gaze payload, in their order; big-endian float32, `worn` one byte (255 or 0)."""

    name: str
    fields: tuple[str, ...]

    @property
    def packing(self) -> struct.Struct:
        """How the bytes are packed."""
        return struct.Struct("!" + "".join("B" if field == "worn" else "f" for field in self.fields))


def _layouts() -> dict[int, GazeLayout]:
    known = (
        GazeLayout(name="gaze", fields=_POINT),
        GazeLayout(
            name="dual_monocular",
            fields=("left_x_scene_px", "left_y_scene_px", "worn", "right_x_scene_px", "right_y_scene_px"),
        ),
        GazeLayout(name="gaze_dual", fields=(*_POINT, *_MONOCULAR)),
        GazeLayout(name="eye_state", fields=(*_POINT, *_EYE_STATE)),
        GazeLayout(name="eye_state_lids", fields=(*_POINT, *_EYE_STATE, *_EYELIDS)),
        GazeLayout(name="eye_state_lids_dual", fields=(*_POINT, *_EYE_STATE, *_EYELIDS, *_MONOCULAR)),
    )
    return {layout.packing.size: layout for layout in known}


GAZE_LAYOUTS: Mapping[int, GazeLayout] = _layouts()
"""By length in bytes: 9, 17, 25, 65, 89, 105."""
_PACKINGS = {size: layout.packing for size, layout in GAZE_LAYOUTS.items()}
_GROWN = (105, 89, 65, 9)
"""Lengths whose layouts grew by what they append: a longer payload begins like the longest of them that fits."""

EYE_EVENT_FIELDS = (
    "kind",
    "t_start_device_s",
    "t_end_device_s",
    "start_x_scene_px",
    "start_y_scene_px",
    "end_x_scene_px",
    "end_y_scene_px",
    "mean_x_scene_px",
    "mean_y_scene_px",
    "amplitude_scene_px",
    "amplitude_deg",
    "mean_velocity",
    "max_velocity",
)
"""kind: 0 saccade, 1 fixation, 2 saccade onset, 3 fixation onset, 4 blink. The client documents the velocities as px
per degree, the vendor's cloud export as px/s."""
_EVENT = struct.Struct("!iqq10f")
_BLINK = struct.Struct("!iqq")
_ONSET = struct.Struct("!iq")
_KIND = struct.Struct("!i")
KEEP_ALIVE = 5

IMU_FIELDS = (
    "gyro_x_deg_per_s",
    "gyro_y_deg_per_s",
    "gyro_z_deg_per_s",
    "acceleration_x_m_per_s2",
    "acceleration_y_m_per_s2",
    "acceleration_z_m_per_s2",
    "quaternion_x",
    "quaternion_y",
    "quaternion_z",
    "quaternion_w",
    "t_device_s",
)


def gaze_layout(n_bytes: int) -> GazeLayout | None:
    """Return the layout by which a payload of ``n_bytes`` is read; None where even its point is unknown."""
    if n_bytes in GAZE_LAYOUTS:
        return GAZE_LAYOUTS[n_bytes]
    return next((GAZE_LAYOUTS[size] for size in _GROWN if size < n_bytes), None)


def parse_gaze(payload: bytes) -> tuple[dict[str, float], bool]:
    """Return a gaze payload's fields, and whether they are all that it holds.

    A payload of unknown length gives the fields of its known beginning, one too short for any gives none.
    """
    size = len(payload)
    layout = gaze_layout(size)
    if layout is None:
        return {}, False
    known = layout.packing.size if size not in _PACKINGS else size
    values = _PACKINGS[known].unpack_from(payload)
    return dict(zip(layout.fields, map(float, values), strict=True)), known == size


def parse_eye_event(payload: bytes) -> dict[str, float] | None:
    """Return an eye event's fields, those that its kind lacks absent; {} for a keep-alive, None if unknown."""
    if len(payload) < _KIND.size:
        return None
    (kind,) = _KIND.unpack_from(payload)
    if kind in (0, 1) and len(payload) == _EVENT.size:
        _, start_ns, end_ns, *numbers = _EVENT.unpack(payload)
        values = (float(kind), start_ns / 1e9, end_ns / 1e9, *map(float, numbers))
        return dict(zip(EYE_EVENT_FIELDS, values, strict=True))
    if kind in (2, 3) and len(payload) == _ONSET.size:
        return {"kind": float(kind), "t_start_device_s": _ONSET.unpack(payload)[1] / 1e9}
    if kind == 4 and len(payload) == _BLINK.size:
        _, start_ns, end_ns = _BLINK.unpack(payload)
        return {
            "kind": float(kind),
            "t_start_device_s": start_ns / 1e9,
            "t_end_device_s": end_ns / 1e9,
        }
    return {} if kind == KEEP_ALIVE and len(payload) == _KIND.size else None


def parse_imu(payload: bytes, message: Any) -> dict[str, float] | None:
    """Return an IMU packet's fields by ``message``, the client's protobuf class; None where it is none."""
    packet = message()
    try:
        packet.ParseFromString(payload)
    except Exception:  # protobuf's DecodeError, which is another class in each of its implementations
        return None
    gyro, acceleration, rotation = packet.gyroData, packet.accelData, packet.rotVecData
    values = (gyro.x, gyro.y, gyro.z, acceleration.x, acceleration.y, acceleration.z,
              rotation.x, rotation.y, rotation.z, rotation.w, packet.tsNs / 1e9)  # fmt: skip
    return dict(zip(IMU_FIELDS, map(float, values), strict=True))

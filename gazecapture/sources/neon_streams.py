"""How a Neon's streams are described in a session."""

from __future__ import annotations

from dataclasses import replace

from gazecapture.session.schema import StreamChannel, StreamInfo
from gazecapture.sources.neon_payload import EYE_EVENT_FIELDS, IMU_FIELDS, GazeLayout
from keyframes.reading import Tracker

__all__ = [
    "EYE_EVENTS",
    "GAZE",
    "IMU",
    "PACKETS",
    "REPORTS",
    "REPORT_FIELDS",
    "RTP_FIELDS",
    "SCENE",
    "SCENE_FIELDS",
    "describe_eye_events",
    "describe_gaze",
    "describe_imu",
    "describe_packets",
    "describe_reports",
    "describe_scene",
    "tracker_of",
]

GAZE, EYE_EVENTS, IMU, SCENE = "neon_gaze", "neon_eye_events", "neon_imu", "neon_scene"
REPORTS, PACKETS = "neon_reports", "neon_packets"
SYNTHETIC_SERIAL = "SIM"
"""How the serial number of a simulated module begins; those of real ones are digits."""

RTP_FIELDS = ("frame_number", "rtp_timestamp", "rtp_sequence", "ssrc")
"""Of every row that comes of a packet: the device's count over restarts, and the packet's own header."""
SCENE_FIELDS = (
    "file_number",
    "frame_in_file",
    "is_key",
    "is_complete",
    "is_clean",
    "n_packets",
    "n_lost_packets",
    "rtp_timestamp",
    "rtp_sequence",
    "ssrc",
)
"""One row per picture: its place in ``video/neon_scene/{file_number:05d}.mp4`` (NaN: not in a file), whether all of it
came, whether it can be decoded without faults (nothing lost since the last key frame), and the packets of the stream
that were lost until then."""
REPORT_FIELDS = ("sensor", "ssrc", "ntp_seconds", "ntp_fraction", "rtp_timestamp", "n_packets", "n_octets")
"""One row per sender report, all that is needed to put RTP time stamps on the device's clock again. sensor: 0 gaze,
1 world, 2 eye_events, 3 imu."""


def tracker_of(serial: str) -> Tracker:
    """Return the tracker; a simulated one says that it is."""
    synthetic = serial.startswith(SYNTHETIC_SERIAL)
    return Tracker(
        name="Pupil Labs Neon (simulated)" if synthetic else "Pupil Labs Neon",
        manufacturer="synthetic" if synthetic else "Pupil Labs",
        model="Neon",
    )


def describe_gaze(layout: GazeLayout, serial: str, tracker: Tracker) -> StreamInfo:
    """Describe the gaze stream; x and y are px of the scene camera, not of a screen."""
    channels = [_gaze_channel(field) for field in layout.fields]
    return _info(GAZE, "gaze", "Neon Gaze", "Gaze", 200.0, (*channels, *_rtp_channels()), serial, tracker)


def describe_eye_events(serial: str, tracker: Tracker) -> StreamInfo:
    """Describe the device's own events."""
    channels = [StreamChannel(column=field, label=field, kind="EyeEvent") for field in EYE_EVENT_FIELDS]
    return _info(
        EYE_EVENTS,
        "other",
        "Neon Eye Events",
        "EyeEvents",
        0.0,
        (*channels, *_rtp_channels()),
        serial,
        tracker,
    )


def describe_imu(serial: str, tracker: Tracker) -> StreamInfo:
    """Describe the motion of the head."""
    channels = [StreamChannel(column=field, label=field, kind="Motion") for field in IMU_FIELDS]
    return _info(IMU, "other", "Neon IMU", "Motion", 110.0, (*channels, *_rtp_channels()), serial, tracker)


def describe_scene(serial: str, tracker: Tracker) -> StreamInfo:
    """Describe the journal of the scene video's frames."""
    channels = tuple(StreamChannel(column=field, label=field, kind="VideoFrame") for field in SCENE_FIELDS)
    return _info(SCENE, "other", "Neon Scene Video", "SceneVideo", 30.0, channels, serial, tracker)


def describe_reports(serial: str, tracker: Tracker) -> StreamInfo:
    """Describe the journal of sender reports."""
    channels = tuple(StreamChannel(column=field, label=field, kind="RtcpReport") for field in REPORT_FIELDS)
    return _info(REPORTS, "other", "Neon Sender Reports", "RtcpReports", 0.0, channels, serial, tracker)


def describe_packets(serial: str, tracker: Tracker) -> StreamInfo:
    """Describe the journal of raw packets: JSON with sensor, reason and the packet; bytes in base64."""
    channels = (StreamChannel(column="packet", label="packet", kind="RtpPacket"),)
    info = _info(PACKETS, "other", "Neon Raw Packets", "RtpPackets", 0.0, channels, serial, tracker)
    return replace(info, channel_format="string")


def _info(
    stream_id: str,
    role: str,
    name: str,
    kind: str,
    rate_hz: float,
    channels: tuple[StreamChannel, ...],
    serial: str,
    tracker: Tracker,
) -> StreamInfo:
    return StreamInfo(
        stream_id=stream_id,
        role=role,
        name=name,
        kind=kind,
        channel_format="double64",
        nominal_rate_hz=rate_hz,
        channels=channels,
        tracker=tracker,
        source_id=f"neon-{serial}-{stream_id}",
    )


def _gaze_channel(field: str) -> StreamChannel:
    eye = next((eye for eye in ("left", "right") if field.startswith(f"{eye}_")), "both")
    bare = field.removeprefix(f"{eye}_")
    kinds = {
        "x_scene_px": ("ScreenX", "pixels"),
        "y_scene_px": ("ScreenY", "pixels"),
        "worn": ("Confidence", ""),
        "pupil_diameter_mm": ("Diameter", "mm"),
        "eyelid_aperture_mm": ("", "mm"),
        "eyelid_angle_top_rad": ("", "rad"),
        "eyelid_angle_bottom_rad": ("", "rad"),
    }
    axis = bare.split("_")[-2 if bare.endswith("_mm") else -1].upper()
    if bare.startswith("eyeball_center"):
        kind, unit = f"Position{axis}", "mm"
    elif bare.startswith("optical_axis"):
        kind, unit = f"Direction{axis}", ""
    else:
        kind, unit = kinds[bare]
    system = "camera-space" if kind in ("ScreenX", "ScreenY") else ""
    return StreamChannel(column=field, label=field, kind=kind, eye=eye, unit=unit, coordinate_system=system)


def _rtp_channels() -> tuple[StreamChannel, ...]:
    kinds = {"frame_number": "FrameNumber"}
    return tuple(
        StreamChannel(column=field, label=field, kind=kinds.get(field, "RtpHeader")) for field in RTP_FIELDS
    )

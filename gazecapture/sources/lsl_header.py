"""A stream's description as an outlet's header, in the words of the XDF content type "Gaze"."""

from __future__ import annotations

from typing import Any

from gazecapture.clock import import_pylsl
from gazecapture.session.schema import StreamInfo
from keyframes.geometry import Display

__all__ = ["make_header"]


def make_header(
    info: StreamInfo, *, source_id: str, channel_format: str = "", display: Display | None = None
) -> Any:
    """Return a `pylsl.StreamInfo`: channels, manufacturer and model, nothing that names a person, a host or a device.

    channel_format : the stream's own where empty.
    display        : the screen that the gaze is on, where it is known.
    """
    pylsl = import_pylsl()
    header = pylsl.StreamInfo(
        info.name,
        info.kind,
        len(info.channels),
        info.nominal_rate_hz or pylsl.IRREGULAR_RATE,
        channel_format or info.channel_format,
        source_id,
    )
    channels = header.desc().append_child("channels")
    for channel in info.channels:
        node = channels.append_child("channel")
        described = {
            "label": channel.label,
            "type": channel.kind,
            "eye": channel.eye,
            "unit": channel.unit,
            "coordinate_system": channel.coordinate_system,
        }
        for tag, text in described.items():
            if text:
                node.append_child_value(tag, text)
    acquisition = header.desc().append_child("acquisition")
    for tag, text in (("manufacturer", info.tracker.manufacturer), ("model", info.tracker.model)):
        if text:
            acquisition.append_child_value(tag, text)
    if display is not None:
        setup = header.desc().append_child("setup").append_child("display")
        for field in ("width_px", "height_px", "width_mm", "height_mm", "distance_mm"):
            value = getattr(display, field)
            if value is not None:
                setup.append_child_value(field, f"{value:g}")
        setup.append_child_value("origin", "top-left")
    return header

"""From a Neon's packets to the rows of its streams; what cannot be read is kept as it came."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable

import numpy as np

from gazecapture.sources import neon_streams as streams
from gazecapture.sources.neon_payload import (
    EYE_EVENT_FIELDS,
    IMU_FIELDS,
    GazeLayout,
    gaze_layout,
    parse_eye_event,
    parse_gaze,
    parse_imu,
)
from gazecapture.sources.neon_phone import import_neon
from gazecapture.sources.neon_rows import RowQueue
from gazecapture.sources.neon_rtp import OrderedPacket, RtpPacket, SenderReport
from gazecapture.sources.neon_scene import SceneRow

__all__ = ["SensorRows"]

SENSOR_NUMBERS = {name: number for number, name in enumerate(("gaze", "world", "eye_events", "imu"))}
"""As `neon_streams.REPORT_FIELDS` tells them."""


class SensorRows:
    """Fills a queue with rows; times are the device's wall clock, s.

    Parameters
    ----------
    device_now_s : session ns to the device's wall clock, for packets whose own time is not known.
    """

    def __init__(self, queue: RowQueue, device_now_s: Callable[[int], float]) -> None:
        self._queue = queue
        self._device_now_s = device_now_s
        self._layout: GazeLayout | None = None
        self.first_gaze = threading.Event()
        """Set once a gaze datum of a known kind came."""

    @property
    def layout(self) -> GazeLayout | None:
        """What gaze holds; None before the first datum of a known kind."""
        return self._layout

    def take_gaze(self, ordered: OrderedPacket, t_s: float) -> None:
        """Take a gaze datum."""
        payload = ordered.packet.payload
        self._see_gaze(payload)
        fields, is_all = parse_gaze(payload)
        known = () if self._layout is None else self._layout.fields
        if not is_all or fields.keys() - set(known):
            self.keep_raw("gaze", ordered.packet, "unknown payload" if not is_all else "other payload")
        if fields and known:
            self._put(streams.GAZE, ordered, t_s, known, fields)

    def take_eye_event(self, ordered: OrderedPacket, t_s: float) -> None:
        """Take an event of the device's own detector."""
        fields = parse_eye_event(ordered.packet.payload)
        if fields is None:
            self.keep_raw("eye_events", ordered.packet, "unknown payload")
        elif fields:
            self._put(streams.EYE_EVENTS, ordered, t_s, EYE_EVENT_FIELDS, fields)

    def take_imu(self, ordered: OrderedPacket, t_s: float) -> None:
        """Take a datum of the head's motion."""
        fields = parse_imu(ordered.packet.payload, import_neon().ImuPacket)
        if fields is None:
            self.keep_raw("imu", ordered.packet, "unknown payload")
        else:
            self._put(streams.IMU, ordered, t_s, IMU_FIELDS, fields)

    def take_frame(self, row: SceneRow) -> None:
        """Take what became of a picture of the scene video."""
        frame = row.frame
        values = (
            np.nan if row.file_number is None else row.file_number,
            np.nan if row.frame_in_file is None else row.frame_in_file,
            frame.is_key,
            frame.is_complete,
            row.is_clean,
            frame.n_packets,
            row.n_lost_packets,
            frame.ticks % 2**32,
            frame.sequence,
            frame.ssrc,
        )
        self._queue.put(streams.SCENE, row.t_device_s, frame.t_received_ns, tuple(map(float, values)))

    def keep_raw(self, name: str, packet: RtpPacket, why: str) -> None:
        """Keep a packet of the sensor ``name`` as it came."""
        if name == "world":
            return  # its packets are large, and a frame that lacks one is not decoded anyway
        if name == "gaze":
            self._see_gaze(packet.payload)
        text = json.dumps(
            {
                "sensor": name,
                "why": why,
                "sequence": packet.sequence,
                "rtp_timestamp": packet.timestamp,
                "ssrc": packet.ssrc,
                "payload": base64.b64encode(packet.payload).decode(),
            }
        )
        t_s = self._device_now_s(packet.t_received_ns)
        self._queue.put(streams.PACKETS, t_s, packet.t_received_ns, (text,))

    def keep_report(self, name: str, report: SenderReport) -> None:
        """Keep a sender report of the sensor ``name``."""
        values = (
            SENSOR_NUMBERS[name],
            report.ssrc,
            report.ntp_seconds,
            report.ntp_fraction,
            report.rtp_timestamp,
            report.n_packets,
            report.n_octets,
        )
        self._queue.put(streams.REPORTS, report.unix_s, report.t_received_ns, tuple(map(float, values)))

    def _see_gaze(self, payload: bytes) -> None:
        """Learn from the first gaze what the stream holds, also where it waits for a sender report."""
        if self._layout is None:
            self._layout = gaze_layout(len(payload))
            if self._layout is not None:
                self.first_gaze.set()

    def _put(
        self,
        stream_id: str,
        ordered: OrderedPacket,
        t_s: float,
        names: tuple[str, ...],
        fields: dict[str, float],
    ) -> None:
        packet = ordered.packet
        header = (ordered.number, packet.timestamp, packet.sequence, packet.ssrc)
        values = (*(fields.get(name, np.nan) for name in names), *map(float, header))
        self._queue.put(stream_id, t_s, packet.t_received_ns, values)

"""The scene camera's video: H.264 out of RTP packets, into MP4 as it is.

Nothing is encoded again. A frame of which a packet is missing is not written; the ones after it refer to it and are
marked until the next key frame. The file is fragmented, one frame a fragment, so that a killed process leaves a file
that plays up to its last frame. Packetisation: RFC 6184.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from gazecapture.files import as_tool_error, make_private_folder
from gazecapture.sources.neon_phone import import_neon
from gazecapture.sources.neon_rtp import OrderedPacket
from keyframes.errors import RecordingError

__all__ = ["FrameAssembler", "SceneFrame", "VideoFile"]

_START = b"\x00\x00\x00\x01"
_IDR, _SPS, _PPS, _STAP_A, _FU_A = 5, 7, 8, 24, 28
_SLICES = (1, _IDR)
_FRAGMENTED = {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"}


@dataclass(slots=True, kw_only=True)
class SceneFrame:
    """One picture of the video: what came of it."""

    ticks: int
    """RTP time, unwrapped."""
    t_received_ns: int
    """Of its last packet."""
    first_number: int
    """Of its first packet, by the device's count."""
    n_packets: int = 0
    is_complete: bool = True
    is_key: bool = False
    ended: bool = False
    """The packet that says so came."""
    units: list[bytes] = field(default_factory=list)
    ssrc: int = 0
    sequence: int = 0
    """Of its first packet, 16 bit."""

    def annex_b(self) -> bytes:
        """Return the picture as a byte stream."""
        return b"".join(_START + unit for unit in self.units)


class FrameAssembler:
    """Puts frames together from packets in order."""

    def __init__(self) -> None:
        self._frame: SceneFrame | None = None
        self._last_number: int | None = None
        self._open_unit = bytearray()
        self.parameter_sets: dict[int, bytes] = {}
        """The newest SPS and PPS, by their kind."""

    def describe(self, sprop: str) -> None:
        """Take the parameter sets of the stream's description."""
        for text in filter(None, sprop.split(",")):
            try:
                self._note_parameters(base64.b64decode(text))
            except ValueError:
                continue

    def push(self, ordered: OrderedPacket) -> list[SceneFrame]:
        """Take a packet; return the frames that are finished."""
        finished = []
        packet = ordered.packet
        lost = self._last_number is not None and ordered.number != self._last_number + 1
        self._last_number = ordered.number
        frame = self._frame
        if frame is not None and frame.ticks != ordered.ticks:
            frame.is_complete = False  # its last packet never came
            finished.append(self._finish(frame))
            frame = None
        if frame is None:
            frame = self._frame = SceneFrame(
                ticks=ordered.ticks,
                t_received_ns=packet.t_received_ns,
                first_number=ordered.number,
                ssrc=packet.ssrc,
                sequence=packet.sequence,
                # What was lost in between may have been this frame's beginning.
                is_complete=not lost or bool(finished),
            )
            if lost and not self._begins(packet.payload):
                frame.is_complete = False
        elif lost:
            frame.is_complete = False
        frame.n_packets += 1
        frame.t_received_ns = packet.t_received_ns
        if not self._take(packet.payload, frame):
            frame.is_complete = False
        if packet.marker:
            frame.ended = True
            finished.append(self._finish(frame))
        return finished

    def flush(self) -> list[SceneFrame]:
        """Return the frame under way, incomplete."""
        if self._frame is None:
            return []
        self._frame.is_complete = False
        return [self._finish(self._frame)]

    @staticmethod
    def _begins(payload: bytes) -> bool:
        kind = payload[0] & 0x1F
        return kind in (_SPS, _STAP_A) or (kind == _FU_A and len(payload) > 1 and bool(payload[1] & 0x80))

    def _finish(self, frame: SceneFrame) -> SceneFrame:
        self._frame = None
        if self._open_unit:
            frame.is_complete = False
            self._open_unit.clear()
        frame.is_key = any(unit[0] & 0x1F == _IDR for unit in frame.units)
        frame.is_complete &= any(unit[0] & 0x1F in _SLICES for unit in frame.units)
        return frame

    def _take(self, payload: bytes, frame: SceneFrame) -> bool:
        """Add a payload's units to a frame; say whether it could be read."""
        kind = payload[0] & 0x1F
        if kind == _FU_A:
            if len(payload) < 3:
                return False
            if payload[1] & 0x80:
                self._open_unit = bytearray([payload[0] & 0xE0 | payload[1] & 0x1F])
            elif not self._open_unit:
                return False
            self._open_unit += payload[2:]
            if payload[1] & 0x40:
                self._add(bytes(self._open_unit), frame)
                self._open_unit.clear()
            return True
        if kind == _STAP_A:
            place = 1
            while place + 2 <= len(payload):
                size = int.from_bytes(payload[place : place + 2], "big")
                unit = payload[place + 2 : place + 2 + size]
                if not size or len(unit) < size:
                    return False
                self._add(unit, frame)
                place += 2 + size
            return True
        if not 1 <= kind <= 23:
            return False
        self._add(payload, frame)
        return True

    def _add(self, unit: bytes, frame: SceneFrame) -> None:
        frame.units.append(unit)
        self._note_parameters(unit)

    def _note_parameters(self, unit: bytes) -> None:
        if unit and unit[0] & 0x1F in (_SPS, _PPS):
            self.parameter_sets[unit[0] & 0x1F] = unit


class VideoFile:
    """One MP4 file: ``FOLDER/{number:05d}.mp4``, the next free number; frames of one connection.

    Raises GazeToolError where it cannot be written.
    """

    def __init__(self, folder: Path, *, rate_hz: float) -> None:
        make_private_folder(folder)
        numbers = [int(p.stem) for p in folder.glob("[0-9]*.mp4") if p.stem.isdigit()]
        self.number = max(numbers, default=-1) + 1
        self.path = folder / f"{self.number:05d}.mp4"
        self.n_frames = 0
        self._time_base = Fraction(1, round(rate_hz))
        self._container: Any = None
        self._stream: Any = None
        self._first_ticks = 0
        self._last_ticks = -1

    def write(self, frame: SceneFrame, parameter_sets: dict[int, bytes]) -> int:
        """Append a complete frame; return its place in the file.

        The first frame must be a key frame, and ``parameter_sets`` hold its SPS and PPS.
        """
        av = import_neon().av
        try:
            if self._container is None:
                self._begin(frame, parameter_sets)
            # A frame at the time of the one before would be refused; a tick is 0.01 ms.
            ticks = max(frame.ticks - self._first_ticks, self._last_ticks + 1)
            self._last_ticks = ticks
            packet = av.Packet(frame.annex_b())
            packet.stream, packet.time_base = self._stream, self._time_base
            packet.pts = packet.dts = ticks
            packet.is_keyframe = frame.is_key
            self._container.mux(packet)
        except OSError as error:  # those of PyAV that are the system's are OSErrors too
            raise as_tool_error(error, self.path, "writing the scene video") from error
        except (av.FFmpegError, IndexError) as error:
            raise RecordingError(
                f"{self.path}: the phone's video cannot be put into a file ({type(error).__name__})"
            ) from error
        self.n_frames += 1
        return self.n_frames - 1

    def close(self) -> None:
        """Finish the file."""
        container, self._container = self._container, None
        if container is not None:
            try:
                container.close()
            except OSError as error:
                raise as_tool_error(error, self.path, "closing the scene video") from error

    def _begin(self, frame: SceneFrame, parameter_sets: dict[int, bytes]) -> None:
        av = import_neon().av
        self._first_ticks = frame.ticks
        head = b"".join(_START + parameter_sets[kind] for kind in (_SPS, _PPS)) + frame.annex_b()
        # Width, height and codec data of the file's header are found by the demuxer in the first picture.
        self.path.touch(mode=0o600, exist_ok=False)
        with av.open(io.BytesIO(head), format="h264") as source:
            self._container = av.open(str(self.path), "w", options=_FRAGMENTED)
            self._stream = self._container.add_stream_from_template(source.streams.video[0])
        self._stream.time_base = self._time_base


def parameters_known(parameter_sets: dict[int, bytes]) -> bool:
    """Say whether SPS and PPS are there."""
    return _SPS in parameter_sets and _PPS in parameter_sets

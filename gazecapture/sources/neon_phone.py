"""The Companion app's control side: what it is, its sensors, its calibration, its own recording, events."""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason

__all__ = ["NeonPhone", "PhoneState", "SensorUrl", "import_neon"]

ANSWER_S = 5.0
"""s for the phone to answer a request; one that sleeps takes a second or two."""


@functools.cache
def import_neon() -> Any:
    """Return the parts of the official client that are used.

    Raises DeviceUnavailableError (library missing) where the extra is not installed.
    """
    try:
        api = importlib.import_module("pupil_labs.realtime_api")
        return SimpleNamespace(
            Device=api.Device,
            DeviceError=importlib.import_module("pupil_labs.realtime_api.device").DeviceError,
            ImuPacket=importlib.import_module("pupil_labs.neon_recording.timeseries.imu.imu_pb2").ImuPacket,
            RTSPConnection=importlib.import_module("aiortsp.rtsp.connection").RTSPConnection,
            RTSPError=importlib.import_module("aiortsp.rtsp.errors").RTSPError,
            RTSPMediaSession=importlib.import_module("aiortsp.rtsp.session").RTSPMediaSession,
            TCPTransport=importlib.import_module("aiortsp.transport").TCPTransport,
            UDPTransport=importlib.import_module("aiortsp.transport").UDPTransport,
            ClientError=importlib.import_module("aiohttp").ClientError,
            av=importlib.import_module("av"),
        )
    except (ImportError, OSError) as error:
        raise DeviceUnavailableError(
            f"a Neon needs the neon extra, which is not installed ({error})",
            reason=DeviceUnavailableReason.LIBRARY_MISSING,
            hint='pip install "gazecapture[neon]"',
            code="GT-EXTRA-MISSING",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorUrl:
    """Where one sensor's stream is."""

    name: str
    """gaze, world, imu, eye_events."""
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    """What the phone says of itself; never its name, which people give and which may be theirs."""

    time_echo_port: int | None
    module_serial: str
    sensors: Mapping[str, SensorUrl]
    recording_id: str | None
    """Of the recording under way."""
    battery_percent: int | None
    free_bytes: int | None


class NeonPhone:
    """Talks to one phone; every method is called in the event loop in which it was opened."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._device: Any = None

    def open(self) -> None:
        """Make the client's session."""
        self._device = import_neon().Device(self._host, self._port)

    async def close(self) -> None:
        """Close the client's session."""
        device, self._device = self._device, None
        if device is not None:
            await device.close()

    async def state(self, *, transport: str = "rtsp") -> PhoneState:
        """Ask for the state; ``transport`` rtspt asks for the streams over TCP.

        Raises DeviceUnavailableError where the phone does not answer.
        """
        status = await self._ask(self._device.get_status())
        phone = status.phone
        sensors = {}
        for sensor in status.sensors:
            if sensor.conn_type == "DIRECT" and sensor.connected and sensor.url:
                url = f"{transport}{sensor.url[sensor.url.index('://') :]}"
                sensors[sensor.sensor] = SensorUrl(name=sensor.sensor, url=url)
        recording = status.recording
        running = recording is not None and recording.action == "START"
        return PhoneState(
            time_echo_port=phone.time_echo_port,
            module_serial=_serial(status.hardware),
            sensors=sensors,
            recording_id=recording.id if running else None,
            battery_percent=phone.battery_level,
            free_bytes=phone.memory,
        )

    async def calibration(self) -> dict[str, Any] | None:
        """Return the cameras' calibration, as JSON has it; None where the phone gives none."""
        try:
            found = await self._ask(self._device.get_calibration())
        except DeviceUnavailableError:
            return None
        cameras = {
            camera: {
                "camera_matrix": getattr(found, f"{camera}_camera_matrix").reshape(3, 3).tolist(),
                "distortion_coefficients": getattr(found, f"{camera}_distortion_coefficients")
                .ravel()
                .tolist(),
                "extrinsics_affine_matrix": getattr(found, f"{camera}_extrinsics_affine_matrix")
                .reshape(4, 4)
                .tolist(),
            }
            for camera in ("scene", "right", "left")
        }
        return {"version": int(found.version), "serial": str(found.serial), **cameras}

    async def start_recording(self) -> str:
        """Start the phone's own recording; return its id. Raises DeviceUnavailableError where it refuses."""
        return str(await self._ask(self._device.recording_start()))

    async def stop_recording(self) -> None:
        """Stop and save it. Raises DeviceUnavailableError where the phone refuses."""
        await self._ask(self._device.recording_stop_and_save())

    async def send_event(self, name: str, unix_ns: int | None) -> None:
        """Put an event into the phone's recording; without a time it takes that of its arrival.

        Raises DeviceUnavailableError where the phone does not take it.
        """
        await self._ask(self._device.send_event(name, unix_ns))

    async def _ask(self, request: Any) -> Any:
        client = import_neon()
        where = f"{self._host}:{self._port}"
        try:
            return await asyncio.wait_for(request, ANSWER_S)
        except client.DeviceError as error:
            raise DeviceUnavailableError(
                f"the Neon at {where} refuses: {error.args[-1]}",
                reason=DeviceUnavailableReason.BUSY,
                code="GT-NEON-REFUSES",
            ) from error
        except (OSError, TimeoutError, ValueError, KeyError, client.ClientError) as error:
            raise DeviceUnavailableError(
                f"no Neon answers at {where} ({type(error).__name__})",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Is the Companion app open, and is the phone in the same network? "
                "The app shows its address under Streaming.",
                code="GT-NO-NEON",
            ) from error


def _serial(hardware: Any) -> str:
    serials = (hardware.module_serial, hardware.glasses_serial)
    return next((s for s in serials if s and s not in ("-1", "unknown")), "")

"""The simulated phone: control side, time echo, sensors, and its sudden death."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
import uuid
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from gazecapture.sources.neon_discovery import service_name
from gazecapture.sources.neon_phone import import_neon
from gazecapture.sources.neon_simulator.announcement import Announcement
from gazecapture.sources.neon_simulator.camera import SERIAL, SceneCamera, calibration_bytes
from gazecapture.sources.neon_simulator.clock import PhoneClock
from gazecapture.sources.neon_simulator.options import GAZE_PAYLOADS, SimulatorOptions
from gazecapture.sources.neon_simulator.rest import RestServer
from gazecapture.sources.neon_simulator.rtsp_server import RtspServer
from gazecapture.sources.neon_simulator.sensors import (
    EyeEventSensor,
    GazeSensor,
    ImuSensor,
    SceneSensor,
    Sensor,
)
from gazecapture.sources.neon_simulator.truth import Truth
from gazecapture.sources.neon_simulator.wearer import Wearer

__all__ = ["SimulatedNeon"]

START_S = 120.0
"""s to begin, where pictures of the whole camera are drawn and coded, or to end; a busy machine took 20."""
_T = TypeVar("_T")


class SimulatedNeon:
    """One phone, in a thread of this process.

    ``with SimulatedNeon(options) as phone:`` serves it on ``phone.host`` and ``phone.port``; leaving the block ends
    it. `kill` and `revive` are what a crash of the app and its new start are to whoever listens.

    Raises DeviceUnavailableError (library missing) where the neon extra is not installed.
    """

    def __init__(self, options: SimulatorOptions | None = None) -> None:
        import_neon()
        self.options = options or SimulatorOptions()
        faults = self.options.faults
        self.truth = Truth()
        self.clock = PhoneClock(offset_s=faults.clock_offset_s, drift_ppm=faults.drift_ppm)
        self._began_s = self.clock.now_s()
        self._rest = RestServer(self.clock)
        self._announcement = Announcement()
        self._echo: asyncio.Server | None = None
        self._echo_port = 0
        self._echo_clients: set[asyncio.StreamWriter] = set()
        self._servers = [
            RtspServer(
                sensor,
                clock=self.clock,
                began_unix_s=self._began_s,
                faults=faults,
                truth=self.truth,
                seed=self.options.seed,
            )
            for sensor in self._sensors()
        ]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="neon-simulator", daemon=True)
        self._fate: Future[None] | None = None

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.options.host

    @property
    def port(self) -> int:
        """Of the control side."""
        return self._rest.port

    @property
    def name(self) -> str:
        """As its owner calls the phone; of its own for each seed."""
        return f"Simulated Neon {self._device_id[:6]} (synthetic)"

    @property
    def events(self) -> list[dict[str, Any]]:
        """Events that were sent to it."""
        return self._rest.events

    @property
    def recordings(self) -> list[dict[str, Any]]:
        """Recordings that were begun on it, with their newest action."""
        return self._rest.recordings

    @property
    def n_over_tcp(self) -> int:
        """Streams that were asked for over TCP until now."""
        return sum(server.n_interleaved for server in self._servers)

    def start(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        self._call(self._open())
        if self.options.faults.kill_at_s is not None:
            self._fate = asyncio.run_coroutine_threadsafe(self._meet_fate(), self._loop)
        return self

    def stop(self) -> None:
        """End all of it; a second call does nothing."""
        if not self._thread.is_alive():
            return
        if self._fate is not None:
            self._fate.cancel()
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)

    def kill(self) -> None:
        """End every connection at once and listen no longer."""
        self._call(self._close())

    def revive(self) -> None:
        """Listen again on the same ports; streams get new senders."""
        self._call(self._open())

    def write_truth(self, path: Path) -> None:
        """Write what was sent, when, and where the eyes really were, as Parquet."""
        faults = self.options.faults
        self.truth.write(
            path,
            payload=self.options.payload,
            rate_hz=self.options.rate_hz,
            seed=self.options.seed,
            drift_ppm=faults.drift_ppm,
            clock_offset_s=faults.clock_offset_s,
            began_device_s=self._began_s,
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _sensors(self) -> list[Sensor]:
        options = self.options
        wearer = Wearer(options.display, seed=options.seed)
        camera = SceneCamera(
            wearer,
            options.display,
            scale=options.video_scale,
            noise_sd=options.noise_sd,
            blur_px=options.blur_px,
            seed=options.seed,
        )
        self._rest.calibration = calibration_bytes(camera)
        layout = GAZE_PAYLOADS[options.payload]
        sensors: list[Sensor] = [
            GazeSensor(
                wearer, camera, layout, rate_hz=options.rate_hz, extra_bytes=options.faults.extra_bytes
            )
        ]
        if options.video:
            sensors.append(SceneSensor(camera, rate_hz=options.video_rate_hz))
        if options.eye_events:
            sensors.append(EyeEventSensor(wearer, camera))
        if options.imu:
            sensors.append(ImuSensor(rate_hz=options.imu_rate_hz))
        return sensors

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    async def _open(self) -> None:
        host = self.options.host
        for server in self._servers:
            await server.start(host)
        self._echo = await asyncio.start_server(self._answer_echo, host, self._echo_port)
        self._echo_port = self._echo.sockets[0].getsockname()[1]
        await self._rest.start(host, self._rest.port or self.options.port, self._components())
        if self.options.announce:
            await self._announcement.begin(service_name(self.name, self._device_id), host, self.port)

    async def _close(self) -> None:
        await self._announcement.end()
        await self._rest.stop()
        echo, self._echo = self._echo, None
        if echo is not None:
            echo.close()
        for writer in list(self._echo_clients):
            writer.transport.abort()
        for server in self._servers:
            await server.stop()

    async def _meet_fate(self) -> None:
        faults = self.options.faults
        await asyncio.sleep(faults.kill_at_s or 0.0)
        await self._close()
        if faults.down_s is not None:
            await asyncio.sleep(faults.down_s)
            await self._open()

    async def _answer_echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._echo_clients.add(writer)
        try:
            while True:
                token = await reader.readexactly(8)
                writer.write(token + struct.pack("!Q", int(self.clock.now_s() * 1000)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._echo_clients.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @property
    def _device_id(self) -> str:
        return uuid.uuid5(uuid.NAMESPACE_OID, f"simulated neon {self.options.seed}").hex[:16]

    def _components(self) -> list[dict[str, Any]]:
        options = self.options
        phone = {
            "battery_level": 87,
            "battery_state": "OK",
            "device_id": self._device_id,
            "device_name": self.name,
            "ip": options.host,
            "memory": 100 * 2**30,
            "memory_state": "OK",
            "port": self._rest.port,
            "time_echo_port": self._echo_port,
        }
        hardware = {
            "version": "2.0",
            "glasses_serial": "-1",
            "world_camera_serial": "-1",
            "module_serial": SERIAL,
        }
        components = [{"model": "Phone", "data": phone}, {"model": "Hardware", "data": hardware}]
        for server in self._servers:
            for conn_type in ("DIRECT", "WEBSOCKET"):
                sensor = {
                    "sensor": server.sensor.name,
                    "conn_type": conn_type,
                    "connected": conn_type == "DIRECT",
                    "ip": options.host,
                    "port": server.port,
                    "params": f"camera={server.sensor.name}",
                    "protocol": "rtspt" if options.tcp else "rtsp",
                    "stream_error": False,
                }
                components.append({"model": "Sensor", "data": sensor})
        return components

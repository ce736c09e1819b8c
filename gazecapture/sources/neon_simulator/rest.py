"""The simulated phone's control side: status and its updates, events, recording, calibration."""

from __future__ import annotations

import contextlib
import importlib
import time
import uuid
from typing import Any

from gazecapture.sources.neon_simulator.clock import PhoneClock

__all__ = ["RestServer"]

_TEMPLATE = {
    "id": str(uuid.UUID(int=0)),
    "name": "Simulated",
    "items": [],
    "created_at": "2024-01-01T00:00:00Z",
    "updated_at": "2024-01-01T00:00:00Z",
    "recording_name_format": ["simulated"],
    "description": None,
    "is_default_template": True,
    "label_ids": [],
    "published_at": None,
    "archived_at": None,
}


class RestServer:
    """Serves ``/api`` and ``/calibration.bin``."""

    def __init__(self, clock: PhoneClock) -> None:
        self._web: Any = importlib.import_module("aiohttp.web")  # of the neon extra
        self._clock = clock
        self._runner: Any = None
        self._sockets: set[Any] = set()
        self._components: list[dict[str, Any]] = []
        self._began = 0.0
        self.port = 0
        self.calibration = b""
        self.events: list[dict[str, Any]] = []
        self.recordings: list[dict[str, Any]] = []

    async def start(self, host: str, port: int, components: list[dict[str, Any]]) -> None:
        """Serve; ``components`` are what the status says."""
        web = self._web
        app = web.Application()
        app.add_routes(
            [
                web.get("/api/status", self._status),
                web.post("/api/event", self._event),
                web.post("/api/recording:start", self._start_recording),
                web.post("/api/recording:stop_and_save", self._stop_recording),
                web.post("/api/recording:cancel", self._stop_recording),
                web.get("/api/template_def", self._template),
                web.get("/api/template_data", self._template_data),
                web.get("/calibration.bin", self._calibration),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._components = components
        components[0]["data"]["port"] = self.port

    async def stop(self) -> None:
        """Serve no longer."""
        runner, self._runner = self._runner, None
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.close()
        if runner is not None:
            await runner.cleanup()

    def _now(self) -> list[dict[str, Any]]:
        running = [r for r in self.recordings[-1:] if r["action"] == "START"]
        return [*self._components, *({"model": "Recording", "data": recording} for recording in running)]

    async def _status(self, request: Any) -> Any:
        web = self._web
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.json_response({"message": "Success", "result": self._now()})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            for component in self._now():
                await socket.send_json(component)
            async for _ in socket:
                pass
        finally:
            self._sockets.discard(socket)
        return socket

    async def _tell(self, model: str, data: dict[str, Any]) -> None:
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.send_json({"model": model, "data": data})

    async def _event(self, request: Any) -> Any:
        asked = await request.json()
        running = [r for r in self.recordings[-1:] if r["action"] == "START"]
        event = {
            "name": asked["name"],
            "timestamp": asked.get("timestamp") or int(self._clock.now_s() * 1e9),
            "recording_id": running[0]["id"] if running else None,
        }
        self.events.append(event)
        await self._tell("Event", event)
        return self._web.json_response({"message": "Success", "result": event})

    async def _start_recording(self, _request: Any) -> Any:
        if self.recordings and self.recordings[-1]["action"] == "START":
            return self._web.json_response({"message": "Already recording!"}, status=500)
        self._began = time.monotonic()
        recording = {"id": str(uuid.uuid4()), "action": "START", "message": "", "rec_duration_ns": 0}
        self.recordings.append(recording)
        return await self._told(recording)

    async def _stop_recording(self, request: Any) -> Any:
        if not self.recordings or self.recordings[-1]["action"] != "START":
            return self._web.json_response({"message": "Not recording!"}, status=500)
        recording = self.recordings[-1]
        recording["action"] = "SAVE" if request.path.endswith("save") else "DISCARD"
        recording["rec_duration_ns"] = round((time.monotonic() - self._began) * 1e9)
        return await self._told(recording)

    async def _told(self, recording: dict[str, Any]) -> Any:
        await self._tell("Recording", recording)
        result = {"id": recording["id"], "rec_duration_ns": recording["rec_duration_ns"]}
        return self._web.json_response({"message": "Success", "result": result})

    async def _template(self, _request: Any) -> Any:
        return self._web.json_response({"message": "Success", "result": _TEMPLATE})

    async def _template_data(self, _request: Any) -> Any:
        return self._web.json_response({"message": "Success", "result": {}})

    async def _calibration(self, _request: Any) -> Any:
        return self._web.Response(body=self.calibration, content_type="application/octet-stream")

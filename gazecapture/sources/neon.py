"""A Pupil Labs Neon as a source: gaze, eye events, scene video, read from the phone itself.

The phone's packets are read as they come on the wire, so that what is lost is counted and nothing is dropped before the
first sender report. Times are the phone's wall clock by its sender reports; its time echo says how far that is
from the session clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gazecapture.clock import session_now_ns
from gazecapture.files import make_private_folder, write_json_atomically
from gazecapture.session.schema import StreamInfo
from gazecapture.sources import neon_streams as streams
from gazecapture.sources.neon_backup import BACKUP, PhoneBackup
from gazecapture.sources.neon_clock import PhoneClockWatch
from gazecapture.sources.neon_echo import OffsetEstimate
from gazecapture.sources.neon_options import DEFAULT_PORT, NeonOptions
from gazecapture.sources.neon_payload import GAZE_LAYOUTS
from gazecapture.sources.neon_phone import NeonPhone, PhoneState, import_neon
from gazecapture.sources.neon_restart import RestartGap
from gazecapture.sources.neon_rows import RowQueue
from gazecapture.sources.neon_rtp import OrderedPacket, RtpCounts
from gazecapture.sources.neon_rtsp import MediaDescription, RtspListener, play
from gazecapture.sources.neon_scene import SceneRecorder, SceneSink
from gazecapture.sources.neon_sensor import SensorEvents, SensorPipeline
from gazecapture.sources.neon_sensor_rows import SensorRows
from gazecapture.sources.protocol import ClockOffset, SourceBatch, SourceMark
from keyframes.errors import (
    DeviceUnavailableError,
    DeviceUnavailableReason,
    GazeToolError,
    StreamLostError,
)

__all__ = ["NeonOptions", "NeonSource"]

logger = logging.getLogger(__name__)

FIRST_GAZE_S = 15.0
"""s for the first gaze to come; the phone starts its cameras when it is asked to stream."""
SILENCE_S = 4.0
"""s without a packet after which a connection is made anew; of gaze, 800 samples."""
RARE_SILENCE_S = 30.0
"""The same for eye events, which are rare."""
RETRY_S = 0.2
"""s before a lost connection is tried again; doubled with each failure, to `RETRY_MOST_S`."""
RETRY_MOST_S = 2.0
DUE_S = 0.01
"""s between two looks for packets that have waited long enough."""
CLOSE_S = 8.0
SENSORS = {"gaze": streams.GAZE, "world": streams.SCENE, "eye_events": streams.EYE_EVENTS, "imu": streams.IMU}
"""The phone's names of what it senses."""
_T = TypeVar("_T")


class NeonSource:
    """One Neon (`gazecapture.sources.protocol.Source`).

    Parameters
    ----------
    host, port : of the Companion app.
    session    : folder of the session, for the scene video and the calibration.
    scene      : takes the video where there is no session; without either there is none.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        session: Path | None = None,
        scene: SceneSink | None = None,
        options: NeonOptions | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._session = session
        self._options = options or NeonOptions()
        self._queue = RowQueue()
        self._rows = SensorRows(self._queue, self._device_now_s)
        self._infos: dict[str, StreamInfo] = {}
        self._offsets: deque[ClockOffset] = deque()
        self._marks: deque[SourceMark] = deque()
        self._clock = PhoneClockWatch(host, self._take_offset)
        self._phone = NeonPhone(host, port)
        self._backup = PhoneBackup(
            self._phone, session, lambda text: self._mark(streams.GAZE, BACKUP, detail=text)
        )
        self._pipelines: dict[str, SensorPipeline] = {}
        self._restarts: dict[str, RestartGap] = {}
        self._scene = scene
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def info(self) -> tuple[StreamInfo, ...]:
        """The streams; empty before it is open. Gaze is in px of the scene camera."""
        return tuple(self._infos.values())

    @property
    def recording_id(self) -> str | None:
        """The phone's own recording of this session, where one runs."""
        return self._backup.recording_id

    def counts(self) -> dict[str, RtpCounts]:
        """Return what happened to the packets of each sensor until now, by the phone's names of them."""
        return {name: replace(pipeline.counts) for name, pipeline in self._pipelines.items()}

    def open(self) -> None:
        """Connect, begin to buffer, let the phone record.

        Raises DeviceUnavailableError where no phone answers, its glasses are not attached or give no gaze.
        """
        import_neon()
        self._start_loop()
        try:
            state = self._call(self._connect())
            self._clock.measure_first(state.time_echo_port)
            self._begin(state)
            self._wait_for_gaze()
            if self._options.backup:
                self._call(self._backup.start(state.recording_id))
        except BaseException:
            self.close()
            raise
        self._describe(state)
        self._clock.start()

    def read(self, timeout_s: float) -> SourceBatch | None:
        """Wait for rows of any stream; return all that are there of the one that waited longest.

        What was held when it was closed, for an earlier packet or a sender report, is given after that.
        """
        ended = self._end.is_set()
        batch = self._queue.take(0.0 if ended else timeout_s, self._infos) if self._infos else None
        if batch is None and (ended or not self._infos):
            raise StreamLostError("the Neon is not open")
        return batch

    def offsets(self) -> list[ClockOffset]:
        """Return the measurements of the phone's clock since the last call, one per stream each."""
        return _drain(self._offsets)

    def marks(self) -> list[SourceMark]:
        """Return restarts, clock steps, lost connections and the phone's own recording."""
        return _drain(self._marks)

    def send_event(self, name: str, t_ns: int | None = None) -> None:
        """Put an event into the phone's recording; callable from any thread, waits for the phone's answer.

        Parameters
        ----------
        name : opaque, such as the number of a reading; never anything of a case.
        t_ns : session clock; None: now.

        Raises DeviceUnavailableError where the phone does not take it.
        """
        moment_ns = session_now_ns() if t_ns is None else t_ns
        self._call(self._phone.send_event(name, moment_ns - round(self._clock.offset_s * 1e9)))

    def close(self) -> None:
        """Disconnect; end the phone's recording if it was begun here."""
        if self._loop is None:
            self._end.set()
            return
        with contextlib.suppress(GazeToolError, TimeoutError):
            self._call(self._disconnect())
        self._end.set()
        loop, self._loop = self._loop, None
        loop.call_soon_threadsafe(loop.stop)
        for thread in self._threads:
            thread.join(CLOSE_S)
        if self._scene is not None:
            self._scene.close()
        self._clock.close()

    def _wait_for_gaze(self) -> None:
        if not self._rows.first_gaze.wait(FIRST_GAZE_S):
            raise DeviceUnavailableError(
                f"the Neon at {self._host}:{self._port} sends no gaze",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Are the glasses plugged in? A firewall must let UDP from the phone in.",
                code="GT-NEON-NO-GAZE",
            )

    # The event loop's side.

    def _start_loop(self) -> None:
        loop = asyncio.new_event_loop()
        # The client leaves futures behind whose errors we have seen; its complaints about them are no news.
        loop.set_exception_handler(lambda _loop, context: logger.debug("%s", context.get("message")))

        def run() -> None:
            asyncio.set_event_loop(loop)
            try:
                loop.run_forever()
            finally:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()

        self._loop = loop
        self._threads.append(threading.Thread(target=run, name="neon", daemon=True))
        self._threads[-1].start()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._loop is None:
            work.close()
            raise StreamLostError("the Neon is not open")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * CLOSE_S)

    async def _connect(self) -> PhoneState:
        self._phone.open()
        state = await self._state()
        if "gaze" not in state.sensors:
            raise DeviceUnavailableError(
                f"the phone at {self._host}:{self._port} has no gaze to give",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Plug the glasses in and wait until the app shows them.",
                code="GT-NEON-NO-GLASSES",
            )
        if self._session is not None:
            calibration = await self._phone.calibration()
            if calibration is not None:
                folder = make_private_folder(self._session / "video" / streams.SCENE)
                write_json_atomically(folder / "calibration.json", calibration)
        return state

    async def _state(self) -> PhoneState:
        return await self._phone.state(transport="rtspt" if self._options.tcp else "rtsp")

    async def _disconnect(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pipeline in self._pipelines.values():
            pipeline.finish()
        await self._backup.stop()
        await self._phone.close()

    def _begin(self, state: PhoneState) -> None:
        """Begin to listen to each sensor that is wanted and there."""
        wanted = {
            "gaze": True,
            "world": self._options.video and (self._session is not None or self._scene is not None),
            "eye_events": self._options.eye_events,
            "imu": self._options.imu,
        }
        takers: dict[str, Callable[[OrderedPacket, float], None]] = {
            "gaze": self._rows.take_gaze,
            "world": self._take_video,
            "eye_events": self._rows.take_eye_event,
            "imu": self._rows.take_imu,
        }
        if wanted["world"] and "world" in state.sensors and self._session is not None:
            folder = self._session / "video" / streams.SCENE
            self._scene = SceneRecorder(
                folder,
                on_row=self._rows.take_frame,
                on_trouble=lambda text: self._mark(streams.SCENE, "gap", detail=f"video not written: {text}"),
            )
        for name in wanted:
            if not wanted[name] or name not in state.sensors:
                continue
            self._restarts[name] = RestartGap()
            self._pipelines[name] = SensorPipeline(
                SensorEvents(
                    on_packet=partial(self._take, name, takers[name]),
                    on_raw=partial(self._rows.keep_raw, name),
                    on_report=partial(self._rows.keep_report, name),
                    on_restart=self._restarts[name].begin,
                    on_step=partial(self._note_step, name),
                    device_now_s=self._device_now_s,
                )
            )

        async def start() -> None:
            self._tasks += [asyncio.create_task(self._listen(name)) for name in self._pipelines]
            self._tasks.append(asyncio.create_task(self._tick()))

        self._call(start())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(DUE_S)
            now_ns = session_now_ns()
            for pipeline in self._pipelines.values():
                pipeline.due(now_ns)

    async def _listen(self, name: str) -> None:
        """Keep one sensor's stream, whatever happens to the phone."""
        pipeline, said, pause_s = self._pipelines[name], False, RETRY_S
        client = import_neon()
        while True:
            playing = False

            def on_playing() -> None:
                nonlocal playing, said
                playing, said = True, False

            try:
                sensor = (await self._state()).sensors.get(name)
                if sensor is None:
                    why = "the phone has lost the sensor"
                else:
                    why = await play(
                        sensor.url,
                        RtspListener(
                            on_described=partial(self._note_described, name),
                            on_rtp=pipeline.rtp,
                            on_rtcp=pipeline.rtcp,
                            on_playing=on_playing,
                        ),
                        media_type="video" if name == "world" else "application",
                        silence_s=RARE_SILENCE_S if name == "eye_events" else SILENCE_S,
                    )
            except GazeToolError as error:
                why = error.message
            except (OSError, TimeoutError, client.RTSPError) as error:
                why = str(error) or type(error).__name__
            if playing or not said:
                said = True
                logger.warning("Neon %s: %s; trying again", name, why)
                self._mark(SENSORS[name], "gap", detail=f"connection lost: {why}")
            pause_s = RETRY_S if playing else min(2 * pause_s, RETRY_MOST_S)
            await asyncio.sleep(pause_s)

    def _note_described(self, name: str, media: MediaDescription) -> None:
        self._pipelines[name].described(media)
        if name == "world" and self._scene is not None:
            self._scene.described(media)

    # What the sensors say.

    def _take(
        self, name: str, taker: Callable[[OrderedPacket, float], None], packet: OrderedPacket, t_s: float
    ) -> None:
        found = self._restarts[name].after(t_s)
        if found is not None:
            duration_s, n_samples = found
            self._mark(
                SENSORS[name],
                "restart",
                duration_s=duration_s,
                n_samples=n_samples if name in ("gaze", "imu") else None,
                detail="the phone began to send anew; samples estimated from time",
            )
        taker(packet, t_s)

    def _take_video(self, ordered: OrderedPacket, t_s: float) -> None:
        if self._scene is not None:
            self._scene.push(ordered, t_s, self._pipelines["world"].counts.n_lost)

    def _note_step(self, name: str, moved_s: float) -> None:
        self._mark(SENSORS[name], "clock_step", duration_s=moved_s, detail="the phone's clock was set")

    # Clock and description.

    def _device_now_s(self, t_ns: int) -> float:
        return t_ns / 1e9 - self._clock.offset_s

    def _take_offset(self, found: OffsetEstimate) -> None:
        for stream_id in self._infos or self._expected():
            self._offsets.append(
                ClockOffset(
                    stream_id=stream_id,
                    t_ns=found.t_ns,
                    offset_s=found.offset_s,
                    uncertainty_s=found.uncertainty_s,
                )
            )

    def _expected(self) -> list[str]:
        """Return the streams of which an offset is measured before they are described."""
        return [*SENSORS.values(), streams.REPORTS, streams.PACKETS]

    def _describe(self, state: PhoneState) -> None:
        serial, tracker = state.module_serial, streams.tracker_of(state.module_serial)
        layout = self._rows.layout or next(iter(GAZE_LAYOUTS.values()))
        described = [streams.describe_gaze(layout, serial, tracker)]
        if "eye_events" in self._pipelines:
            described.append(streams.describe_eye_events(serial, tracker))
        if "imu" in self._pipelines:
            described.append(streams.describe_imu(serial, tracker))
        if "world" in self._pipelines:
            described.append(streams.describe_scene(serial, tracker))
        described.append(streams.describe_reports(serial, tracker))
        described.append(streams.describe_packets(serial, tracker))
        self._infos = {info.stream_id: info for info in described}
        first = [offset for offset in _drain(self._offsets) if offset.stream_id in self._infos]
        self._offsets.extend(first)

    def _mark(
        self,
        stream_id: str,
        kind: str,
        *,
        duration_s: float | None = None,
        n_samples: int | None = None,
        detail: str = "",
    ) -> None:
        self._marks.append(
            SourceMark(
                stream_id=stream_id,
                t_ns=session_now_ns(),
                kind=kind,
                duration_s=duration_s,
                n_samples=n_samples,
                detail=detail,
            )
        )


def _drain(items: deque[_T]) -> list[_T]:
    drained = []
    while items:
        drained.append(items.popleft())
    return drained

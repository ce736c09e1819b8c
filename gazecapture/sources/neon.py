"""A Pupil Labs Neon as a source: gaze, eye events, scene video, read from the phone itself.

The phone's packets are read as they come on the wire, so that what is lost is counted and nothing is dropped before the
first sender report. Times are the phone's wall clock by its sender reports; its time echo says how far that is
from the session clock.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gazecapture.clock import session_now_ns
from gazecapture.files import make_private_folder, write_json_atomically
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import MARKS, StreamInfo
from gazecapture.sources import neon_streams as streams
from gazecapture.sources.neon_echo import EchoClient, OffsetEstimate
from gazecapture.sources.neon_options import DEFAULT_PORT, NeonOptions
from gazecapture.sources.neon_payload import (
    EYE_EVENT_FIELDS,
    GAZE_LAYOUTS,
    IMU_FIELDS,
    GazeLayout,
    gaze_layout,
    parse_eye_event,
    parse_gaze,
    parse_imu,
)
from gazecapture.sources.neon_phone import NeonPhone, PhoneState, import_neon
from gazecapture.sources.neon_rtp import OrderedPacket, RtpCounts, RtpPacket, SenderReport
from gazecapture.sources.neon_rtsp import MediaDescription, RtspListener, play
from gazecapture.sources.neon_scene import SceneRecorder, SceneRow, SceneSink
from gazecapture.sources.neon_sensor import SensorEvents, SensorPipeline
from gazecapture.sources.protocol import ClockOffset, SourceBatch, SourceMark
from keyframes.errors import (
    DeviceUnavailableError,
    DeviceUnavailableReason,
    GazeToolError,
    SchemaError,
    StreamLostError,
)

__all__ = ["NeonOptions", "NeonSource"]

logger = logging.getLogger(__name__)

OFFSET_INTERVAL_S = 2.0
"""s between measurements of the clock. Each is good to about 0.1 ms; at 200 ppm the clocks part by 0.4 ms meanwhile."""
FIRST_GAZE_S = 6.0
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
ASSUMED_UNCERTAINTY_S = 0.1
"""s by which two clocks set over the internet may differ, where the phone has no time echo."""
SENSORS = {"gaze": streams.GAZE, "world": streams.SCENE, "eye_events": streams.EYE_EVENTS, "imu": streams.IMU}
"""The phone's names of what it senses."""
SENSOR_NUMBERS = {name: number for number, name in enumerate(("gaze", "world", "eye_events", "imu"))}
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
        self._rows = _Rows()
        self._infos: dict[str, StreamInfo] = {}
        self._offsets: deque[ClockOffset] = deque()
        self._marks: deque[SourceMark] = deque()
        self._offset_s = 0.0
        self._phone = NeonPhone(host, port)
        self._pipelines: dict[str, SensorPipeline] = {}
        self._restarts: dict[str, _Restart] = {}
        self._scene = scene
        self._layout: GazeLayout | None = None
        self._first_gaze = threading.Event()
        self._end = threading.Event()
        self._echo: EchoClient | None = None
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._recording_id: str | None = None

    @property
    def info(self) -> tuple[StreamInfo, ...]:
        """The streams; empty before it is open. Gaze is in px of the scene camera."""
        return tuple(self._infos.values())

    @property
    def recording_id(self) -> str | None:
        """The phone's own recording of this session, where one runs."""
        return self._recording_id

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
            self._measure_first(state)
            self._begin(state)
            self._wait_for_gaze()
            if self._options.backup:
                self._start_backup(state)
        except BaseException:
            self.close()
            raise
        self._describe(state)
        thread = threading.Thread(target=self._watch_clock, name="neon-clock", daemon=True)
        self._threads.append(thread)
        thread.start()

    def read(self, timeout_s: float) -> SourceBatch | None:
        """Wait for rows of any stream; return all that are there of the one that waited longest."""
        if self._end.is_set() or not self._infos:
            raise StreamLostError("the Neon is not open")
        return self._rows.take(timeout_s, self._infos)

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
        self._call(self._phone.send_event(name, moment_ns - round(self._offset_s * 1e9)))

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
        if self._echo is not None:
            self._echo.close()

    def _wait_for_gaze(self) -> None:
        if not self._first_gaze.wait(FIRST_GAZE_S):
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
        if self._recording_id is not None:
            try:
                await self._phone.stop_recording()
            except GazeToolError as error:
                logger.warning("the phone's own recording was not stopped: %s", error.one_line())
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
            "gaze": self._take_gaze,
            "world": self._take_video,
            "eye_events": self._take_event,
            "imu": self._take_imu,
        }
        if wanted["world"] and "world" in state.sensors and self._session is not None:
            folder = self._session / "video" / streams.SCENE
            self._scene = SceneRecorder(
                folder,
                on_row=self._take_frame,
                on_trouble=lambda text: self._mark(streams.SCENE, "gap", detail=f"video not written: {text}"),
            )
        for name in wanted:
            if not wanted[name] or name not in state.sensors:
                continue
            self._restarts[name] = _Restart()
            self._pipelines[name] = SensorPipeline(
                SensorEvents(
                    on_packet=partial(self._take, name, takers[name]),
                    on_raw=partial(self._keep_raw, name),
                    on_report=partial(self._keep_report, name),
                    on_restart=partial(self._note_restart, name),
                    on_step=partial(self._note_step, name),
                    device_now_s=lambda ns: ns / 1e9 - self._offset_s,
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
        restart = self._restarts[name]
        found = restart.gap(t_s)
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

    def _take_gaze(self, ordered: OrderedPacket, t_s: float) -> None:
        payload = ordered.packet.payload
        self._see_gaze(payload)
        fields, is_all = parse_gaze(payload)
        known = () if self._layout is None else self._layout.fields
        if not is_all or fields.keys() - set(known):
            self._keep_raw("gaze", ordered.packet, "unknown payload" if not is_all else "other payload")
        if fields and known:
            self._put(streams.GAZE, ordered, t_s, known, fields)

    def _see_gaze(self, payload: bytes) -> None:
        """Learn from the first gaze what the stream holds, also where it waits for a sender report."""
        if self._layout is None:
            self._layout = gaze_layout(len(payload))
            if self._layout is not None:
                self._first_gaze.set()

    def _take_event(self, ordered: OrderedPacket, t_s: float) -> None:
        fields = parse_eye_event(ordered.packet.payload)
        if fields is None:
            self._keep_raw("eye_events", ordered.packet, "unknown payload")
        elif fields:
            self._put(streams.EYE_EVENTS, ordered, t_s, EYE_EVENT_FIELDS, fields)

    def _take_imu(self, ordered: OrderedPacket, t_s: float) -> None:
        fields = parse_imu(ordered.packet.payload, import_neon().ImuPacket)
        if fields is None:
            self._keep_raw("imu", ordered.packet, "unknown payload")
        else:
            self._put(streams.IMU, ordered, t_s, IMU_FIELDS, fields)

    def _take_video(self, ordered: OrderedPacket, t_s: float) -> None:
        if self._scene is not None:
            self._scene.push(ordered, t_s, self._pipelines["world"].counts.n_lost)

    def _take_frame(self, row: SceneRow) -> None:
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
        self._rows.put(streams.SCENE, row.t_device_s, frame.t_received_ns, tuple(map(float, values)))

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
        self._rows.put(stream_id, t_s, packet.t_received_ns, values)

    def _keep_raw(self, name: str, packet: RtpPacket, why: str) -> None:
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
        t_s = packet.t_received_ns / 1e9 - self._offset_s
        self._rows.put(streams.PACKETS, t_s, packet.t_received_ns, (text,))

    def _keep_report(self, name: str, report: SenderReport) -> None:
        values = (
            SENSOR_NUMBERS[name],
            report.ssrc,
            report.ntp_seconds,
            report.ntp_fraction,
            report.rtp_timestamp,
            report.n_packets,
            report.n_octets,
        )
        self._rows.put(streams.REPORTS, report.unix_s, report.t_received_ns, tuple(map(float, values)))

    def _note_restart(self, name: str) -> None:
        self._restarts[name].begun = True

    def _note_step(self, name: str, moved_s: float) -> None:
        self._mark(SENSORS[name], "clock_step", duration_s=moved_s, detail="the phone's clock was set")

    # Clock, description, backup.

    def _measure_first(self, state: PhoneState) -> None:
        if state.time_echo_port is None:
            now_ns = session_now_ns()
            self._take_offset(
                OffsetEstimate(
                    t_ns=now_ns,
                    offset_s=(now_ns - time.time_ns()) / 1e9,
                    uncertainty_s=ASSUMED_UNCERTAINTY_S,
                )
            )
            return
        self._echo = EchoClient(self._host, state.time_echo_port)
        try:
            self._take_offset(self._echo.measure())
        except OSError as error:
            raise DeviceUnavailableError(
                f"the Neon at {self._host} does not answer its time echo",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint=f"A firewall must let TCP to the phone's port {state.time_echo_port} through.",
                code="GT-NEON-NO-ECHO",
            ) from error

    def _take_offset(self, found: OffsetEstimate) -> None:
        self._offset_s = found.offset_s
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

    def _watch_clock(self) -> None:
        while not self._end.wait(OFFSET_INTERVAL_S):
            if self._echo is None:
                continue
            try:
                self._take_offset(self._echo.measure())
            except OSError:
                logger.debug("no time echo this time")

    def _describe(self, state: PhoneState) -> None:
        serial, tracker = state.module_serial, streams.tracker_of(state.module_serial)
        layout = self._layout or next(iter(GAZE_LAYOUTS.values()))
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

    def _start_backup(self, state: PhoneState) -> None:
        """Let the phone record, or go on with what it records."""
        running = state.recording_id
        try:
            if running is None:
                self._recording_id = self._call(self._phone.start_recording())
                self._mark(streams.GAZE, "backup", detail=f"phone recording {self._recording_id}")
            elif running in self._own_recordings():
                self._recording_id = running
                self._mark(streams.GAZE, "backup", detail=f"phone recording {running} goes on")
            else:
                self._mark(
                    streams.GAZE, "backup", detail=f"phone recording {running}, begun by somebody else"
                )
        except GazeToolError as error:
            logger.warning("no recording on the phone: %s", error.one_line())
            self._mark(streams.GAZE, "backup", detail=f"none: {error.message}")

    def _own_recordings(self) -> set[str]:
        """Return the ids of the phone's recordings that this session began: its recorder may have been killed."""
        if self._session is None:
            return set()
        try:
            rows = read_journal(self._session / "marks", schema=MARKS).table.to_pylist()
        except SchemaError:
            return set()
        details = [row["detail"] or "" for row in rows if row["kind"] == "backup"]
        return {detail.split()[2] for detail in details if detail.startswith("phone recording ")}

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


class _Rows:
    """Rows on their way from the event loop to the reader."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[float, int, tuple[Any, ...]]]] = {}
        self._there = threading.Condition()

    def put(self, stream_id: str, t_remote_s: float, t_received_ns: int, values: tuple[Any, ...]) -> None:
        with self._there:
            self._waiting.setdefault(stream_id, deque()).append((t_remote_s, t_received_ns, values))
            self._there.notify()

    def take(self, timeout_s: float, infos: dict[str, StreamInfo]) -> SourceBatch | None:
        """Return all rows of the stream whose first row waited longest; None after ``timeout_s``."""
        with self._there:
            if not self._there.wait_for(lambda: any(self._waiting.values()), timeout_s):
                return None
            filled = [name for name, rows in self._waiting.items() if rows]
            stream_id = min(filled, key=lambda name: self._waiting[name][0][1])
            rows = list(self._waiting[stream_id])
            self._waiting[stream_id].clear()
        t_remote_s, t_received_ns, values = zip(*rows, strict=True)
        kind = object if infos[stream_id].channel_format == "string" else np.float64
        table = np.array(values, kind)
        return SourceBatch(
            stream_id=stream_id,
            t_remote_s=np.array(t_remote_s, np.float64),
            t_received_ns=np.array(t_received_ns, np.int64),
            columns={c.column: table[:, place] for place, c in enumerate(infos[stream_id].channels)},
        )


class _Restart:
    """How much time a restart of a sender swallowed, and how many samples that were."""

    _KNOWN = 50

    def __init__(self) -> None:
        self.begun = False
        self._last_s: float | None = None
        self._steps: deque[float] = deque(maxlen=self._KNOWN)

    def gap(self, t_s: float) -> tuple[float, int | None] | None:
        """Take the time of the next sample; return duration and number of samples where a restart came before."""
        last, self._last_s = self._last_s, t_s
        if last is None:
            return None
        step = t_s - last
        if not self.begun:
            self._steps.append(step)
            return None
        self.begun = False
        usual = float(np.median(list(self._steps))) if self._steps else 0.0
        return step, max(round(step / usual) - 1, 0) if usual > 0 else None


def _drain(items: deque[_T]) -> list[_T]:
    drained = []
    while items:
        drained.append(items.popleft())
    return drained

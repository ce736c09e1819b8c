"""The recorder: a process of its own that takes sources to disk and knows nothing else."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Literal

import pyarrow as pa

from gazecapture import __version__
from gazecapture.clock import ClockTriples, session_now_ns
from gazecapture.files import claim_output_folder, free_bytes
from gazecapture.session.intake import Intake
from gazecapture.session.journal import JournalWriter
from gazecapture.session.lock import process_start_s
from gazecapture.session.recorded_stream import RecordedStream
from gazecapture.session.schema import MARKS, WORDS_JOURNAL, SessionInfo, write_session_info
from gazecapture.session.status import RecorderStatus, StatusWriter, stop_requested, withdraw_stop
from gazecapture.sources.lsl_xml import display_from_xml
from gazecapture.sources.protocol import Source, SourceMark
from keyframes.errors import DiskFullError, GazeToolError

__all__ = ["record_session"]

logger = logging.getLogger(__name__)

SYNC_S = 1.0
STATUS_S = 0.25
TICK_S = 0.05
LATE_LOOK_S = 1.0
DRAIN_IDLE_S = 0.5
DRAIN_LIMIT_S = 5.0
LOW_DISK_BYTES = 2 * 2**30
"""A day of binocular 1000 Hz gaze is about 7 GB: room is left to finish what runs."""
SWITCH_S = 0.0005
"""s after which a thread that computes gives way to one that has a sample; Python's own 5 ms is five of them."""
DISK_FULL_PATIENCE_S = 30.0
"""s in which somebody may make room; batches wait in memory meanwhile."""

Connect = Callable[[], Sequence[Source]]


def record_session(
    session: Path,
    *,
    connect: Connect,
    late: Connect | None = None,
    seconds: float | None = None,
    disk_full_patience_s: float = DISK_FULL_PATIENCE_S,
    on_start: Callable[[RecorderStatus], None] | None = None,
) -> RecorderStatus:
    """Record until asked to stop; return the final state, with counts.

    Parameters
    ----------
    session  : the session's folder, made where absent; one recorder at a time.
    connect  : gives the sources, not yet open. All of them must open, else nothing is recorded.
    late     : asked every second for further ones that appeared meanwhile.
    seconds  : s after which recording ends; None: SIGINT, SIGTERM or SESSION/control/stop ends it.
    on_start : called once, when all sources are open and recorded.

    Raises DeviceUnavailableError where a source is absent, RecordingError (GT-BUSY) where another recorder works
    here, DiskFullError where there was no room for longer than ``disk_full_patience_s``.
    """
    claim_output_folder(session, kind="session")
    with ExitStack() as stack, _signals() as stop, _prompt_threads():
        recorder = _Recorder(session, stack, stop, disk_full_patience_s)
        return recorder.run(connect, late, seconds, on_start)


class _Recorder:
    """One recording; everything that is open hangs on ``stack``."""

    def __init__(self, session: Path, stack: ExitStack, stop: threading.Event, patience_s: float) -> None:
        self._session = session
        self._stack = stack
        self._stop = stop
        self._start_s = process_start_s()
        self._journals: list[JournalWriter] = []
        self._streams: dict[str, RecordedStream] = {}
        self._sources: list[tuple[Source, dict[str, RecordedStream]]] = []
        self._noted: queue.SimpleQueue[SourceMark] = queue.SimpleQueue()
        self._unwritten: list[SourceMark] = []
        self._disk_is_low = False
        self._n_clock_steps = 0
        self._n_sleeps = 0
        # The lock of this journal keeps a second recorder out, so it comes before any state is written.
        self._marks = self._journal(session / "marks", MARKS)
        self._state_file = StatusWriter(session)
        stack.callback(self._state_file.close)
        self._intake = Intake(self._noted.put, patience_s=patience_s)

    def run(
        self,
        connect: Connect,
        late: Connect | None,
        seconds: float | None,
        on_start: Callable[[RecorderStatus], None] | None,
    ) -> RecorderStatus:
        """Record; whatever happens, the last state says so."""
        try:
            try:
                self._publish("starting")
                self._intake.words = self._journal(self._session / "words", WORDS_JOURNAL)
                self._clock = ClockTriples(self._session / "clock" / "recorder")
                self._stack.callback(_quietly, self._clock.close)
                self._journals.append(self._clock.journal)
                self._open(connect())
                self._write_session_info()
                for source, streams in self._sources:
                    self._intake.add(source, streams)
                self._record(late, seconds, on_start)
            finally:
                self._intake.finish()
            final = self._finish()
        except BaseException as error:
            text = error.one_line() if isinstance(error, GazeToolError) else type(error).__name__
            with suppress(GazeToolError):
                self._publish("failed", text)
            raise
        self._state_file.write(final)
        self._state_file.close()
        withdraw_stop(self._session)
        return final

    def _finish(self) -> RecorderStatus:
        """Write what is left, close everything, return the final state."""
        for source, _ in self._sources:
            _quietly(source.close)  # what a source has to say of its end is taken below
        self._housekeeping()
        for stream in self._streams.values():
            self._note("stop", stream.info.stream_id, n_samples=stream.monitor.n_samples)
        self._write_marks()
        if self._intake.failure is not None:
            raise self._intake.failure
        final = self._status("stopped")
        self._stack.close()
        return final

    def _record(
        self, late: Connect | None, seconds: float | None, on_start: Callable[[RecorderStatus], None] | None
    ) -> None:
        """Keep house until asked to stop, then wait for what is on its way."""
        ended = threading.Event()
        helpers = [threading.Thread(target=self._sync, args=(ended,), name="sync", daemon=True)]
        began = time.monotonic()
        if late is not None:
            helpers.append(
                threading.Thread(target=self._join_late, args=(late, began), name="late", daemon=True)
            )
        for thread in helpers:
            thread.start()
        state = self._publish("recording")
        if on_start is not None:
            on_start(state)
        published = began
        while not self._stop.wait(TICK_S) and self._intake.failure is None:
            now = time.monotonic()
            if now - published >= STATUS_S:
                published = now
                self._housekeeping(now - began)
                self._publish("recording")
                if stop_requested(self._session):
                    break
            if seconds is not None and now - began >= seconds:
                break
        self._stop.set()
        self._publish("stopping")
        self._drain()
        ended.set()
        for thread in helpers:
            thread.join()

    def _open(self, sources: Sequence[Source]) -> None:
        """Open sources, side by side because each takes a while, and begin their journals."""
        with ThreadPoolExecutor(max_workers=max(1, len(sources))) as pool:
            opening = [pool.submit(source.open) for source in sources]
        for source in sources:
            self._stack.callback(_quietly, source.close)
        for opened in opening:
            opened.result()
        for source in sources:
            self._sources.append((source, self._begin(source)))
        self._write_marks()  # what a source began on its device must be known to whoever comes after a kill

    def _begin(self, source: Source, *, late_s: float | None = None) -> dict[str, RecordedStream]:
        """Begin the journals of an open source; ``late_s``: how long after the others it came."""
        streams: dict[str, RecordedStream] = {}
        for info in source.info:
            stream = RecordedStream.begin(self._session, info, taken=set(self._streams))
            self._stack.callback(_quietly, stream.close)
            streams[info.stream_id] = self._streams[stream.info.stream_id] = stream
            self._journals += [stream.journal, stream.offsets]
            self._note("start", stream.info.stream_id, detail=info.kind)
            if late_s is not None:
                stream.late_start_s = late_s
                self._note("late_start", stream.info.stream_id, duration_s=late_s, detail="appeared late")
        self._collect(source, streams)  # the first words already need the offset
        return streams

    def _join_late(self, late: Connect, began: float) -> None:
        """Body of the thread that adds sources which appear while recording."""
        while not self._stop.wait(LATE_LOOK_S):
            try:
                for source in late():
                    source.open()
                    self._stack.callback(_quietly, source.close)
                    streams = self._begin(source, late_s=time.monotonic() - began)
                    self._sources.append((source, streams))
                    self._intake.add(source, streams)
            except GazeToolError as error:
                logger.warning("a stream that appeared late is not recorded: %s", error.one_line())

    def _sync(self, ended: threading.Event) -> None:
        """Body of the thread that forces the journals onto the disk."""
        while not ended.wait(SYNC_S):
            for journal in tuple(self._journals):
                try:
                    journal.sync()
                except GazeToolError as error:
                    self._intake.other_trouble = error.one_line()

    def _drain(self) -> None:
        """Wait until each stream is silent, or has given a sample that was taken after the stop."""
        asked_ns, asked = session_now_ns(), time.monotonic()
        while (now := time.monotonic()) - asked < DRAIN_LIMIT_S and self._intake.failure is None:
            if all(
                now - max(asked, stream.arrived_at) >= DRAIN_IDLE_S or (stream.last_taken_ns or 0) > asked_ns
                for stream in self._streams.values()
            ):
                return
            time.sleep(TICK_S)

    def _housekeeping(self, since_start_s: float = 0.0) -> None:
        """Write offsets, marks and clock triples; a full disk delays them and loses none but an offset."""
        for source, streams in tuple(self._sources):
            self._collect(source, streams)
        for stream in tuple(self._streams.values()):
            late_s = stream.late_by_s(since_start_s)
            if late_s is not None:
                self._note("late_start", stream.info.stream_id, duration_s=late_s, detail="first sample")
        is_low = free_bytes(self._session) < LOW_DISK_BYTES
        if is_low and not self._disk_is_low:
            self._note("disk_low", "", detail="nearly full")
        self._disk_is_low = is_low
        with suppress(DiskFullError):
            for step in self._clock.tick():
                if step.clock == "sleep":
                    self._n_sleeps += 1
                else:
                    self._n_clock_steps += 1
                self._note("clock_step", "", duration_s=step.step_s, detail=step.detail)
        self._write_marks()

    def _collect(self, source: Source, streams: Mapping[str, RecordedStream]) -> None:
        """Take a source's clock offsets and marks."""
        for offset in source.offsets():
            with suppress(DiskFullError):
                streams[offset.stream_id].add_offset(offset)
        for mark in source.marks():
            stream = streams[mark.stream_id]
            if mark.kind == "restart":
                stream.n_restarts += 1
                if mark.n_samples is None:  # a source that knows it itself says so
                    mark = replace(mark, n_samples=stream.swallowed_by_restart())
            self._noted.put(replace(mark, stream_id=stream.info.stream_id))

    def _note(
        self,
        kind: str,
        stream_id: str,
        *,
        duration_s: float | None = None,
        n_samples: int | None = None,
        detail: str = "",
    ) -> None:
        self._noted.put(
            SourceMark(
                stream_id=stream_id,
                t_ns=session_now_ns(),
                kind=kind,
                duration_s=duration_s,
                n_samples=n_samples,
                detail=detail,
            )
        )

    def _write_marks(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._unwritten.append(self._noted.get_nowait())
        with suppress(DiskFullError):
            self._marks.append_rows(
                [{name: getattr(m, name) for name in MARKS.names} for m in self._unwritten]
            )
            self._unwritten.clear()

    def _status(self, state: _State, error: str = "") -> RecorderStatus:
        return RecorderStatus(
            state=state,
            pid=os.getpid(),
            pid_start_s=self._start_s,
            t_ns=session_now_ns(),
            streams=tuple(stream.status() for stream in tuple(self._streams.values())),
            disk_free_bytes=free_bytes(self._session),
            queue_high_water=self._intake.high_water,
            n_overflows=self._intake.n_overflows,
            n_clock_steps=self._n_clock_steps,
            n_sleeps=self._n_sleeps,
            disk_is_low=self._disk_is_low,
            error=error or self._intake.trouble,
        )

    def _publish(self, state: _State, error: str = "") -> RecorderStatus:
        status = self._status(state, error)
        with suppress(DiskFullError):
            self._state_file.write(status)
        return status

    def _journal(self, folder: Path, schema: pa.Schema) -> JournalWriter:
        journal = JournalWriter(folder, schema)
        self._stack.callback(_quietly, journal.close)
        self._journals.append(journal)
        return journal

    def _write_session_info(self) -> None:
        """Describe the session, where nobody did, as a recording without a viewer."""
        if (self._session / "session.json").exists():
            return
        gaze = [stream.info for stream in self._streams.values() if stream.info.role == "gaze"]
        info = SessionInfo(
            session_id=uuid.uuid4().hex,
            reader_code="",
            created_unix_ns=time.time_ns(),
            tool_version=__version__,
            display=next((d for d in map(display_from_xml, (i.xml for i in gaze)) if d is not None), None),
            synthetic=any(i.tracker.manufacturer == "synthetic" for i in gaze),
        )
        write_session_info(self._session, info)


_State = Literal["starting", "recording", "stopping", "stopped", "failed"]


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM (Windows: Ctrl-C, Ctrl-Break) set; only the main thread can."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {name: signal.signal(getattr(signal, name), on_signal) for name in names}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _prompt_threads() -> Iterator[None]:
    """Let a receiving thread have the interpreter within `SWITCH_S`; what was set before is set again afterwards."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _quietly(close: Callable[[], None]) -> None:
    """Close something on the way out; what fails here is told and hides no earlier error."""
    try:
        close()
    except GazeToolError as error:
        logger.warning("%s", error.one_line())

"""The simulated reader in front of a real viewer: plans each study when it comes on, looks, speaks and acts live.

Speaks the protocol of docs/architecture.md, "The simulated reader drives the viewer", with one viewer.
"""

from __future__ import annotations

import json
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gazecapture.simulation.content import StudyContent, generic_content
from gazecapture.simulation.display import PlannedAction
from gazecapture.simulation.feed import GazeFeed
from gazecapture.simulation.oculomotor import TrackerModel
from gazecapture.simulation.outlets import Outlets
from gazecapture.simulation.performer import VIRTUAL_DISPLAY, Performer
from gazecapture.simulation.plan import DEFAULT_DURATION_S, Mark, ReadingPlan, plan_reading
from gazecapture.simulation.resting import looking_path
from gazecapture.simulation.scanpath import idle_point
from gazecapture.simulation.style import ReaderStyle
from gazecapture.simulation.truth import TruthWriter
from gazecapture.viewer.model import ImageView, Panel
from keyframes.errors import StreamLostError
from keyframes.geometry import Display

__all__ = ["DriverCounts", "DriverServer"]

ACCEPT_POLL_S = 0.2
"""s; how soon Ctrl-C is noticed while no viewer is there."""
CLOSE_TIMEOUT_S = 60.0
"""s that the outlets stay open after the last sample: the recorder drains its streams meanwhile."""
INTERRUPTED_TIMEOUT_S = 5.0
"""The same after Ctrl-C, which most often interrupts the viewer as well."""
SCREENSHOT_AFTER_ZOOM_S, SCREENSHOT_AFTER_SHARE = 0.25, 0.6
"""s after the last turn of the wheel, so that the picture shows something enlarged; else a share of the reading."""
LONGEST_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverCounts:
    """What was sent in all."""

    n_gaze_sent: int
    n_words_sent: int
    n_readings: int


@dataclass(slots=True, kw_only=True)
class _Open:
    """The reading on screen."""

    plan: ReadingPlan
    image_on_ns: int


class DriverServer:
    """Listens on loopback for one viewer and reads for it.

    Parameters
    ----------
    contents : what there is to see, by study id; a study that is not among them gets a generic anatomy.
    truth    : takes the truth; saved after every reading.
    """

    def __init__(
        self,
        *,
        rate_hz: float,
        style: ReaderStyle,
        contents: Mapping[str, StudyContent],
        truth: TruthWriter,
        model: TrackerModel | None = None,
        duration_s: float = DEFAULT_DURATION_S,
        display: Display = VIRTUAL_DISPLAY,
    ) -> None:
        self._rate_hz, self._style, self._contents = rate_hz, style, contents
        self._model = model or TrackerModel()
        self._truth, self._duration_s = truth, duration_s
        self._outlets = Outlets(rate_hz=rate_hz, display=display)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._performer: Performer | None = None
        self._display = display
        self._open: _Open | None = None
        self._n_readings = 0
        self._looked_at = idle_point(display)
        self._n_looks = 0
        self._ended = False
        self._interrupted = threading.Event()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="truth")
        self._written: list[Future[None]] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def gaze_source_id(self) -> str:
        """LSL source id of the gaze outlet."""
        return self._outlets.gaze_source_id

    def serve(self) -> DriverCounts:
        """Wait for the viewer, read all its studies, return when it has closed the connection.

        The truth is saved however this ends. Raises StreamLostError where the viewer goes before its session's
        end, or speaks something else.
        """
        try:
            with _interrupts_noted() as self._interrupted, self._accept() as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self._receive, args=(connection,), daemon=True)
                thread.start()
                try:
                    self._read_studies(connection)
                    self._await_close(CLOSE_TIMEOUT_S)
                except StreamLostError:
                    self._raise_if_interrupted()  # the viewer was, too
                    raise
                except KeyboardInterrupt:
                    self._await_close(INTERRUPTED_TIMEOUT_S)  # what was sent is on its way
                    raise
                finally:
                    with suppress(OSError):  # the other end may have been quicker
                        connection.shutdown(socket.SHUT_RDWR)  # wakes the receiving thread up
        finally:
            self._listener.close()
            self._save()
            self._outlets.close()
        return self._counts()

    def _accept(self) -> socket.socket:
        self._listener.settimeout(ACCEPT_POLL_S)
        while True:
            self._raise_if_interrupted()
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            return connection

    def _receive(self, connection: socket.socket) -> None:
        """Body of the thread that takes the viewer's lines; ends with the connection."""
        try:
            with connection.makefile("rb") as lines:
                while line := lines.readline(LONGEST_LINE_BYTES):
                    message = json.loads(line)
                    self._messages.put(message if isinstance(message, dict) else {"type": ""})
        except (OSError, ValueError):
            pass  # a broken line ends the conversation as a broken connection does
        self._messages.put(None)

    def _read_studies(self, connection: socket.socket) -> None:
        while not self._ended:
            self._raise_if_interrupted()
            pause = self._tick()
            try:
                message = self._messages.get(timeout=max(pause, 1e-4))
            except queue.Empty:
                continue
            if message is None:
                raise self._lost("closed the connection before the session's end")
            try:
                self._take(message, connection)
            except (KeyError, TypeError, ValueError, ValidationError) as error:
                raise self._lost(f"sent a message that cannot be read ({type(error).__name__})") from None
            except OSError:
                raise self._lost("closed the connection before the session's end") from None

    def _tick(self) -> float:
        performer = self._performer
        if performer is None:
            return ACCEPT_POLL_S
        now_s = self._outlets.now_s()
        # Samples that nobody receives yet would be lost without a trace, and counted as sent.
        if not performer.feed.is_started and self._outlets.have_consumers():
            performer.feed.start(now_s)
        try:
            return performer.tick(now_s)
        except OSError:
            raise self._lost("closed the connection before the session's end") from None

    def _take(self, message: Mapping[str, Any], connection: socket.socket) -> None:
        match message["type"]:
            case "hello":
                self._display = _with_degrees(TypeAdapter(Display | None).validate_python(message["display"]))
                feed = GazeFeed(
                    rate_hz=self._rate_hz,
                    display=self._display,
                    reader_seed=self._style.seed,
                    model=self._model,
                )
                self._performer = Performer(feed, self._outlets)
            case "look":
                self._look(float(message["x_screen_px"]), float(message["y_screen_px"]))
            case "image_on":
                self._begin(message, connection)
            case "image_off":
                self._finish(int(message["t_ns"]))
            case "session_end":
                self._ended = True
                counts = self._counts()
                _send(
                    connection,
                    {"type": "done", "n_gaze_sent": counts.n_gaze_sent, "n_words_sent": counts.n_words_sent},
                )
            case _:
                pass  # a newer viewer may say more than this reader understands

    def _look(self, x_screen_px: float, y_screen_px: float) -> None:
        """Turn the eyes to a point that the viewer shows between readings."""
        performer = self._performer
        if performer is None:
            raise ValueError("look before hello")
        self._n_looks += 1
        path = looking_path(
            self._display,
            ("look", self._style.seed, self._n_looks),
            self._looked_at,
            (x_screen_px, y_screen_px),
        )
        self._looked_at = x_screen_px, y_screen_px
        performer.stop_reading()
        performer.feed.follow(path, self._outlets.now_s())

    def _begin(self, message: Mapping[str, Any], connection: socket.socket) -> None:
        performer = self._performer
        if performer is None:
            raise ValueError("image_on before hello")
        images = TypeAdapter(tuple[ImageView, ...]).validate_python(message["images"])
        panels = TypeAdapter(tuple[Panel, ...]).validate_python(message.get("panels", []))
        study_id, number = str(message["study_id"]), int(message["reading_number"])
        x0, y0, x1, y1 = (float(v) for v in message["area"])
        plan = plan_reading(
            self._style,
            self._contents.get(study_id) or generic_content(study_id, images),
            reading_number=number,
            display=self._display,
            area=(x0, y0, x1, y1),
            images=images,
            panels=panels,
            duration_s=self._duration_s,
        )
        on_ns = int(message["t_ns"])
        on_s = on_ns / 1e9
        self._open = _Open(plan=plan, image_on_ns=on_ns)
        performer.stop_reading()
        performer.perform(plan, on_s)

        def later(t_s: float, content: Callable[[], dict[str, Any]]) -> None:
            performer.at(on_s + t_s, lambda: _send(connection, content()))

        for action in plan.actions:
            later(action.t_s, lambda action=action: _action_message(action))  # type: ignore[misc]
        for mark in plan.marks:
            later(mark.t_s, lambda mark=mark: _finding_message(mark, number, on_ns))  # type: ignore[misc]
        name = f"reading_{number:04d}"
        later(_screenshot_time_s(plan), lambda: {"type": "screenshot", "name": name})
        later(plan.duration_s, lambda: {"type": "next"})

    def _finish(self, t_ns: int) -> None:
        opened, performer = self._open, self._performer
        if opened is None or performer is None:
            return
        self._open = None
        self._n_readings += 1
        performer.stop_reading()
        on_ns = opened.image_on_ns
        # Samples up to image off are given even where the message overtook them.
        performer.tick(max(self._outlets.now_s(), t_ns / 1e9))
        n_sent = performer.feed.n_given_between(on_ns / 1e9, t_ns / 1e9)
        counts = self._counts()
        self._truth.n_gaze_sent, self._truth.n_words_sent = counts.n_gaze_sent, counts.n_words_sent
        self._written.append(
            self._writer.submit(
                self._truth.add,
                opened.plan,
                image_on_ns=on_ns,
                off_s=(t_ns - on_ns) / 1e9,
                n_gaze_sent_during=n_sent,
            )
        )

    def _raise_if_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise KeyboardInterrupt

    def _await_close(self, timeout_s: float) -> None:
        """Keep the outlets open until the viewer has closed the connection."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                if self._messages.get(timeout=ACCEPT_POLL_S) is None:
                    return
            except queue.Empty:
                continue

    def _save(self) -> None:
        self._writer.shutdown(wait=True)
        counts = self._counts()
        self._truth.n_gaze_sent, self._truth.n_words_sent = counts.n_gaze_sent, counts.n_words_sent
        self._truth.save()
        for written in self._written:
            written.result()

    def _counts(self) -> DriverCounts:
        performer = self._performer
        return DriverCounts(
            n_gaze_sent=0 if performer is None else performer.feed.n_given,
            n_words_sent=0 if performer is None else performer.n_words,
            n_readings=self._n_readings,
        )

    @staticmethod
    def _lost(what: str) -> StreamLostError:
        return StreamLostError(
            f"the viewer {what}",
            hint="The truth of the readings that were finished is saved.",
            code="GT-DRIVER",
        )


@contextmanager
def _interrupts_noted() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C sets: raised just anywhere, it could part samples that are sent from their count.

    A second one is raised as usual. Where this is not the main thread, which gets them, nothing is set.
    """
    noted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, _frame: object) -> None:
        noted.set()
        signal.signal(number, before)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _with_degrees(display: Display | None) -> Display:
    """Assume the usual pixel size and distance where the viewer does not know its screen's."""
    usual = VIRTUAL_DISPLAY
    if display is None or display.knows_degrees:
        return display or usual
    return replace(
        display,
        width_mm=display.width_px * (usual.width_mm or 1.0) / usual.width_px,
        height_mm=display.height_px * (usual.height_mm or 1.0) / usual.height_px,
        distance_mm=usual.distance_mm,
    )


def _send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n")


def _screenshot_time_s(plan: ReadingPlan) -> float:
    zooms = [a.t_s for a in plan.actions if a.action.kind == "zoom"]
    return max(zooms) + SCREENSHOT_AFTER_ZOOM_S if zooms else plan.duration_s * SCREENSHOT_AFTER_SHARE


def _action_message(planned: PlannedAction) -> dict[str, Any]:
    action = planned.action
    return {
        "type": "action", "kind": action.kind, "viewport_id": action.viewport_id, "x": action.x, "y": action.y,
        "amount": action.amount,
    }  # fmt: skip


def _finding_message(mark: Mark, reading_number: int, image_on_ns: int) -> dict[str, Any]:
    return {
        "type": "finding",
        "t_ns": image_on_ns + round(mark.t_s * 1e9),
        "reading_number": reading_number,
        "action": "put",
        "finding_id": mark.finding_id,
        "label": mark.label,
        "present": mark.present,
        "certainty": mark.certainty,
        "rating": None,
        "image_index": mark.image_index,
        "shape": "none" if mark.box is None else "box",
        "box": None if mark.box is None else list(mark.box),
    }

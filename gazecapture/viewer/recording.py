"""The recorder as the viewer sees it: started or adopted, awaited, stopped. No Qt."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gazecapture.session.recorder_client import RecorderHandle, adopt_recorder, start_recorder
from gazecapture.session.schema import read_stream_info
from gazecapture.session.status import read_status
from gazecapture.sources.lsl_xml import display_from_xml
from keyframes.geometry import Display

__all__ = ["RecorderWatch", "SessionRecorder"]

_LOGGER = logging.getLogger(__name__)

_LOOKING = "looking for the gaze stream"
WATCH_S = 2.0
"""s between two looks at the recorder's process; so long a gap is the most that its death costs."""
START_S = 60.0
"""s for the recorder's process to start and to connect, on top of the time to look for its stream."""


class SessionRecorder:
    """Holds the one recorder process of a session; it outlives the viewer, so that a killed window loses nothing.

    Parameters
    ----------
    session : folder of the session, with its session.json.
    stream  : name or source id of the gaze stream, where there are several.
    without_gaze  : there is no gaze to record.
    profile_files : a user's own stream profiles.
    neon    : arguments of `gazecapture record` that name a Neon.
    may_hear : words may be recorded. A running recorder that takes some all the same is not gone on with.
    wait_s  : s that a started recorder looks for the gaze stream.
    """

    def __init__(
        self,
        session: Path,
        *,
        stream: str | None = None,
        without_gaze: bool = False,
        profile_files: Sequence[Path] = (),
        neon: Sequence[str] = (),
        may_hear: bool = True,
        wait_s: float = 10.0,
    ) -> None:
        self._session = session
        self._stream = stream
        self._without_gaze = without_gaze
        self._profile_files = tuple(profile_files)
        self._neon = tuple(neon)
        self._may_hear = may_hear
        self._wait_s = wait_s
        self._handle: RecorderHandle | None = None
        self._guard = threading.Lock()

    def start(self, say: Callable[[str], None]) -> None:
        """Adopt the running recorder or start one, and wait until it records.

        Raises DeviceUnavailableError where there is no gaze stream, RecordingError where it cannot record.
        """
        handle = adopt_recorder(self._session)
        if handle is not None and not self._may_hear and self._takes_words(handle):
            say(
                "the reader did not agree that speech is recorded: the running recorder is replaced by another"
            )
            handle.stop()
            handle = None
        if handle is not None:
            say("a recorder is running for this session; it goes on")
        else:
            say(f"starting the recorder; {'no gaze is recorded' if self._without_gaze else _LOOKING}")
            handle = self._started()
        with self._guard:
            self._handle = handle
        status = handle.wait_until_recording(START_S + self._wait_s)
        names = ", ".join(f"{s.name} ({s.nominal_rate_hz:g} Hz)" for s in status.streams)
        say(f"recording {names or 'no stream yet'}")

    @staticmethod
    def _takes_words(handle: RecorderHandle) -> bool:
        return any(stream.role == "words" for stream in handle.wait_until_recording(START_S).streams)

    def revive(self) -> bool:
        """Start the recorder anew if its process died; say whether it had to be. Blocks meanwhile.

        Raises RecordingError where it cannot be started again.
        """
        with self._guard:
            if self._handle is None or self._handle.is_alive():
                return False
            self._handle = self._started()
            self._handle.wait_until_recording(START_S + self._wait_s)
            return True

    def _started(self) -> RecorderHandle:
        extra = [] if self._stream is None else ["--stream", self._stream]
        extra += ["--without-gaze"] if self._without_gaze else []
        for path in self._profile_files:
            extra += ["--profile", str(path.absolute())]
        extra += self._neon
        return start_recorder(self._session, wait_s=self._wait_s, extra_args=extra)

    def stop(self) -> None:
        """Let the recorder drain its streams and end; does nothing where there is none."""
        with self._guard:
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.stop()

    def display_of_streams(self) -> Display | None:
        """Return the screen as a recorded stream describes it, or None."""
        for described in sorted((self._session / "streams").glob("*/stream.json")):
            display = display_from_xml(read_stream_info(described.parent).xml)
            if display is not None:
                return display
        return None

    def counts(self) -> dict[str, Any]:
        """Return the recorder's last counts, by stream."""
        status = read_status(self._session)
        if status is None:
            return {}
        return {
            stream.stream_id: {
                "role": stream.role,
                "name": stream.name,
                "n_samples": stream.n_samples,
                "n_gaps": stream.n_gaps,
            }
            for stream in status.streams
        }


class RecorderWatch:
    """Starts the recorder anew, in a thread of its own, where its process dies.

    on_error : called from that thread where it cannot be started again. It must only pass the error on.
    """

    def __init__(self, recorder: SessionRecorder, *, on_error: Callable[[Exception], None]) -> None:
        self._recorder, self._on_error = recorder, on_error
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when that is so."""
        self._over.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.wait(WATCH_S):
                if self._recorder.revive():
                    _LOGGER.warning(
                        "the recorder had ended by itself and was started again; its marks say when"
                    )
        except Exception as error:
            self._on_error(error)

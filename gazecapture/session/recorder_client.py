"""Starting, watching and stopping the recorder process from another process.

The recorder is detached: it goes on when whoever started it freezes or dies, and can be adopted by the next one.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gazecapture.clock import session_now_ns
from gazecapture.files import as_tool_error, claim_output_folder
from gazecapture.session.lock import same_process
from gazecapture.session.status import RecorderStatus, read_status, request_stop, withdraw_stop
from keyframes.errors import RecordingError

__all__ = ["RecorderHandle", "adopt_recorder", "start_recorder"]

LOG_NAME = "recorder.log"
START_S = 60.0
"""s for an interpreter to start on a slow disk and to connect, on top of the time to look for streams."""
EXIT_S = 5.0
"""s for a recorder that has said its last word to end."""
_POLL_S = 0.05
_DETACHED: list[subprocess.Popen[bytes]] = []
"""Recorders started by this process: they outlive their handles, and subprocess would warn of that."""


class RecorderHandle:
    """One recorder process; made by `start_recorder` or `adopt_recorder`."""

    def __init__(
        self,
        session: Path,
        *,
        since_ns: int,
        process: subprocess.Popen[bytes] | None,
        adopted: RecorderStatus | None,
    ) -> None:
        self.session = session
        self._since_ns = since_ns
        self._process = process
        self._adopted = adopted

    def status(self) -> RecorderStatus | None:
        """Return this recorder's newest state; None before it wrote its first one."""
        status = read_status(self.session)
        return None if status is None or status.t_ns < self._since_ns else status

    def is_alive(self) -> bool:
        """Say whether the process lives."""
        if self._process is not None:
            return self._process.poll() is None
        return self._adopted is not None and same_process(self._adopted.pid, self._adopted.pid_start_s)

    def wait_until_recording(self, timeout_s: float = START_S) -> RecorderStatus:
        """Wait until every stream is open and recorded.

        Raises RecordingError, with what the recorder said, where it ends before that or takes longer.
        """
        end = time.monotonic() + timeout_s
        while True:
            alive = self.is_alive()
            status = self.status()
            if status is not None and status.state in ("recording", "stopping", "stopped"):
                return status
            if not alive or (status is not None and status.state == "failed"):
                self._wait_for_exit()
                raise self._died("the recorder did not start", status)
            if time.monotonic() >= end:
                raise RecordingError(
                    f"the recorder is not ready after {timeout_s:g} s",
                    hint=f"See {LOG_NAME} in the session's folder.",
                    path=self.session,
                    code="GT-RECORDER-SLOW",
                )
            time.sleep(_POLL_S)

    def stop(self, timeout_s: float = START_S) -> RecorderStatus:
        """Ask it to finish, wait for that, and return its final state.

        Raises RecordingError where it failed, died, or takes longer; what it wrote is intact then too.
        """
        status = self.status()
        if status is None or status.is_live:
            request_stop(self.session)
        end = time.monotonic() + timeout_s
        while True:
            alive = self.is_alive()
            status = self.status()
            if status is not None and status.state == "stopped":
                # Everything is on disk by then; what is left is the self-check, which may take longer than patience.
                if not alive or time.monotonic() >= end:
                    return status
                time.sleep(_POLL_S)
                continue
            if not alive:
                raise self._died("the recorder ended before it was asked to", status)
            if time.monotonic() >= end:
                raise RecordingError(
                    f"the recorder did not finish within {timeout_s:g} s",
                    hint=f"See {LOG_NAME} in the session's folder; it may still be writing.",
                    path=self.session,
                    code="GT-RECORDER-SLOW",
                )
            time.sleep(_POLL_S)

    def _wait_for_exit(self) -> None:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(EXIT_S)

    def _died(self, what: str, status: RecorderStatus | None) -> RecordingError:
        why = status.error if status is not None and status.error else self._last_log_line()
        why = why.removeprefix("error: ")
        # The recorder's own code, where it left one, is what a caller can act on.
        said = re.fullmatch(r"(.*) \((GT-[A-Z-]+)\)", why)
        text, code = said.groups() if said else (why or "it left no message", "GT-RECORDER-DIED")
        return RecordingError(f"{what}: {text}", path=self.session, code=code)

    def _last_log_line(self) -> str:
        try:
            text = (self.session / LOG_NAME).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def start_recorder(session: Path, *, wait_s: float = 10.0, extra_args: Sequence[str] = ()) -> RecorderHandle:
    """Start ``gazecapture record --out SESSION`` as a detached process.

    Parameters
    ----------
    wait_s     : s that it looks for its streams.
    extra_args : of `gazecapture record`, such as ``("--stream", "NAME")``.

    Raises RecordingError (GT-BUSY) where a recorder works here already; adopt that one.
    """
    claim_output_folder(session, kind="session")
    if adopt_recorder(session) is not None:
        raise RecordingError(
            f"{session}: a recorder works here already",
            hint="Adopt or stop it.",
            path=session,
            code="GT-BUSY",
        )
    withdraw_stop(session)
    command = [
        sys.executable,
        "-m",
        "gazecapture",
        "record",
        "--out",
        str(session),
        "--wait-s",
        f"{wait_s:g}",
    ]
    since_ns = session_now_ns()
    try:
        with (session / LOG_NAME).open("ab") as log:
            process = subprocess.Popen(
                [*command, *extra_args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                **detached_options(sys.platform),
            )
    except OSError as error:
        raise as_tool_error(error, session, "starting the recorder") from error
    _DETACHED[:] = [started for started in _DETACHED if started.poll() is None]
    _DETACHED.append(process)
    return RecorderHandle(session, since_ns=since_ns, process=process, adopted=None)


def adopt_recorder(session: Path) -> RecorderHandle | None:
    """Return a handle on the recorder that works in this session, or None where none does."""
    status = read_status(session)
    if status is None or not status.is_live or not same_process(status.pid, status.pid_start_s):
        return None
    return RecorderHandle(session, since_ns=0, process=None, adopted=status)


def detached_options(platform: str) -> dict[str, Any]:
    """Return Popen's options for a child that outlives its parent and gets none of its terminal's signals."""
    if platform == "win32":
        # Values of DETACHED_PROCESS and CREATE_NEW_PROCESS_GROUP (winbase.h), which subprocess has there only.
        return {"creationflags": 0x00000008 | 0x00000200}
    return {"start_new_session": True}

"""The recorder's newest state, SESSION/status.json, and the request to stop, SESSION/control/stop."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import psutil
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from gazecapture.files import as_tool_error, make_private_folder, replace_newest
from keyframes.errors import DiskFullError, SchemaError

__all__ = [
    "RecorderStatus",
    "StatusWriter",
    "StreamStatus",
    "read_status",
    "request_stop",
    "stop_requested",
    "withdraw_stop",
    "write_status",
]

STATUS_NAME = "status.json"
_REPLACE_ATTEMPTS = 20
_REPLACE_PAUSE_S = 0.01
"""Windows refuses to replace a file while somebody reads it; readers need far less than 0.2 s."""
SPARE_NAME = f".{STATUS_NAME}.spare"
SPARE_BYTES = 16 * 2**10
"""Room for the states of twenty streams; the blocks are taken while there are some."""
_CHECKED = ConfigDict(extra="ignore")


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class StreamStatus:
    """One stream as it stands."""

    stream_id: str
    role: str
    name: str
    n_samples: int = 0
    """Since this recorder process began."""
    rate_hz: float | None = None
    """Measured over the last seconds."""
    nominal_rate_hz: float = 0.0
    last_sample_age_s: float | None = None
    n_gaps: int = 0
    n_restarts: int = 0
    offset_s: float | None = None
    missing_by_frame_number: int | None = None
    """Numbers that the device's own count skipped; None where it does not count."""
    lost_at_restarts: int | None = None
    """Samples that senders had counted before the first one that arrived after their restart; None as above."""
    late_start_s: float | None = None
    """How long after the others it began, where it did."""


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class RecorderStatus:
    """The recorder as it stands."""

    state: Literal["starting", "recording", "stopping", "stopped", "failed"]
    pid: int
    pid_start_s: float = 0.0
    """When that process began, s since 1970: process ids are used again."""
    t_ns: int
    """Session clock."""
    streams: tuple[StreamStatus, ...] = ()
    disk_free_bytes: int = 0
    queue_high_water: int = 0
    """Most batches that ever waited for the writer."""
    n_overflows: int = 0
    """How often samples waited in their source because the writer was that far behind."""
    n_clock_steps: int = 0
    """How often a clock of this host was set; on a system that cannot tell (`gazecapture.clock`) also its sleeps."""
    n_sleeps: int = 0
    """How often the host slept."""
    disk_is_low: bool = False
    error: str = ""
    recovered: bool = False
    """The recorder was killed; `gazecapture recover` counted afterwards what it left."""

    @property
    def is_live(self) -> bool:
        """Say whether the state is one of a recorder at work (its process may be dead all the same)."""
        return self.state in ("starting", "recording", "stopping")


_ADAPTER = TypeAdapter(RecorderStatus)


class StatusWriter:
    """Replaces SESSION/status.json again and again, on a full disk too: a spare file holds room for the next one.

    A state is not forced onto the disk: 250 ms later there is a newer one.
    """

    def __init__(self, session: Path) -> None:
        self._session = session
        self._spare = session / SPARE_NAME

    def write(self, status: RecorderStatus) -> None:
        """Replace the state. Raises DiskFullError where even the spare room is gone."""
        try:
            write_status(self._session, status)
        except DiskFullError:
            if not self._spare.exists():
                raise
            replace_newest(self._session / STATUS_NAME, _as_json(status), into=self._spare)
        self._keep_spare()

    def close(self) -> None:
        """Give the spare room free."""
        self._spare.unlink(missing_ok=True)

    def _keep_spare(self) -> None:
        if self._spare.exists():
            return
        try:
            # Not a hole: bytes that are written have blocks, and writing over them needs no others.
            self._spare.write_bytes(b" " * SPARE_BYTES)
        except OSError:
            self._spare.unlink(missing_ok=True)


def write_status(session: Path, status: RecorderStatus) -> None:
    """Replace SESSION/status.json once. Raises DiskFullError where there is no room."""
    replace_newest(session / STATUS_NAME, _as_json(status))


def _as_json(status: RecorderStatus) -> bytes:
    return _ADAPTER.dump_json(status, indent=2) + b"\n"


def read_status(session: Path) -> RecorderStatus | None:
    """Return the recorder's newest state, or None where no recorder ran here. Raises SchemaError if damaged."""
    path = session / STATUS_NAME
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            return _ADAPTER.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except PermissionError as error:
            if attempt == _REPLACE_ATTEMPTS - 1:
                raise as_tool_error(error, path, "reading the recorder's state") from error
            time.sleep(_REPLACE_PAUSE_S)
        except ValidationError as error:
            raise SchemaError(
                "the recorder's state is damaged", hint="`gazecapture recover` writes it anew.", path=path
            ) from error
    return None


def request_stop(session: Path) -> None:
    """Ask the recorder of this session to finish."""
    path = make_private_folder(session / "control") / "stop"
    try:
        path.write_bytes(b"stop\n")
    except OSError as error:
        raise as_tool_error(error, path, "asking the recorder to stop") from error


def withdraw_stop(session: Path) -> None:
    """Take back a request to stop, before a recorder is started."""
    (session / "control" / "stop").unlink(missing_ok=True)


def stop_requested(session: Path) -> bool:
    """Say whether this process is asked to finish; a request older than the process was for another one."""
    try:
        asked_s = (session / "control" / "stop").stat().st_mtime
    except OSError:
        return False
    return asked_s >= psutil.Process(os.getpid()).create_time() - 1.0

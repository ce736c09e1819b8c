"""What a session keeps of a backfill: one stream folder with the tracker's samples and how they were aligned.

::

    SESSION/streams/backfill/stream.json      StreamInfo of role ``backfill``
    SESSION/streams/backfill/00000.arrows     the samples; t_remote_s is on the session clock already
    SESSION/streams/backfill/backfill.json    BackfillRecord

The folder appears as a whole, so that it being there is the state of being done. Neither the file's name nor anything
that it says of persons is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from gazecapture.files import write_json_atomically
from keyframes.errors import SchemaError

__all__ = ["BACKFILL_ID", "ROLE", "AlignmentRecord", "BackfillRecord", "read_record", "write_record"]

BACKFILL_ID = "backfill"
"""Name of the stream's folder."""
ROLE = "backfill"
"""`StreamInfo.role`: whoever looks for gaze streams finds the live ones only."""
_FILE = "backfill.json"
_CHECKED = ConfigDict(extra="forbid")


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class AlignmentRecord:
    """`gazecapture.session.alignment.Alignment` as it is kept."""

    method: Literal["device_time", "marks", "gaze"]
    live_clock: Literal["", "device_time", "t_remote"]
    file_clock: Literal["t_ns", "t_device_ns"]
    file_ns: int
    session_ns: int
    drift_ppm: float
    residual_p50_ms: float
    residual_p99_ms: float
    n_windows: int
    n_marks: int
    correlation: float | None


@checked_dataclass(frozen=True, kw_only=True, config=_CHECKED)
class BackfillRecord:
    """One backfill."""

    sha256: str
    """Of the tracker's file, or over all files of its folder."""
    format: str
    recording: int
    """1-based, of the recordings that the file holds."""
    frame: Literal["screen", "scene"]
    n_samples: int
    """Kept: those within the session."""
    interval_ns: int
    """Median step of the tracker's own times."""
    alignment: AlignmentRecord
    issues: dict[str, int]
    """Code -> count of what was odd in the file."""
    tool_version: str


def read_record(session: Path) -> BackfillRecord | None:
    """Return the session's backfill, None where there is none. Raises SchemaError where it cannot be read."""
    path = session / "streams" / BACKFILL_ID / _FILE
    try:
        return TypeAdapter(BackfillRecord).validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SchemaError(
            f"{path}: field {place!r}: {first['msg']}",
            hint="Run `gazecapture backfill` again with --replace.",
            path=path,
        ) from None


def write_record(folder: Path, record: BackfillRecord) -> None:
    """Write it into the stream's folder."""
    write_json_atomically(folder / _FILE, TypeAdapter(BackfillRecord).dump_python(record, mode="json"))

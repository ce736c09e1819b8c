"""How the dictation stands, SESSION/dictation.json: the reading window writes it for the operator's. No Qt."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from gazecapture.files import replace_newest

__all__ = [
    "DICTATION_STATUS", "METER_QUIETEST_DBFS", "DictationStatus", "forget_dictation_status", "level_share",
    "read_dictation_status", "write_dictation_status",
]  # fmt: skip

DICTATION_STATUS = "dictation.json"
METER_QUIETEST_DBFS = -60.0
"""dB below full scale at a meter's quiet end; a room with a computer in it is hardly quieter."""


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class DictationStatus:
    """Loudness and what becomes of the sound; no word of what is said."""

    t_ns: int
    """Session clock when this was written: as long as sound comes, every quarter of a second."""
    level_dbfs: float
    """Of the newest sound, dB below full scale."""
    is_recording: bool = False
    """What is said now is kept."""
    recorded_s: float = 0.0
    """Of this film, or of the last one between films."""
    loudest_dbfs: float
    """Of what was kept of it."""
    trouble: str = ""
    """Why nothing comes any more; empty while all is well."""
    is_over: bool = False
    """The dictation was closed, as it should."""


_ADAPTER = TypeAdapter(DictationStatus)


def level_share(level_dbfs: float) -> float:
    """Return how much of a level meter lights up, 0 to 1."""
    return min(1.0, max(0.0, 1 - level_dbfs / METER_QUIETEST_DBFS))


def write_dictation_status(session: Path, status: DictationStatus) -> None:
    """Replace the state. Raises DiskFullError."""
    replace_newest(session / DICTATION_STATUS, _ADAPTER.dump_json(status, indent=2) + b"\n")


def forget_dictation_status(session: Path) -> None:
    """Take away what a sitting that was broken off left behind: nobody is to wait for its microphone."""
    (session / DICTATION_STATUS).unlink(missing_ok=True)


def read_dictation_status(session: Path) -> DictationStatus | None:
    """Return the newest state; None where nobody dictates, or it cannot be read at this moment."""
    try:
        return _ADAPTER.validate_json((session / DICTATION_STATUS).read_bytes())
    except (OSError, ValidationError):
        return None

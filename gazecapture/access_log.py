"""Who took what out of a store, and when: ``STORE/access.jsonl``, one line per event, only ever appended.

A line names folders and counts, never a reading, a reader or a patient. An export has two lines, one before anything is
written and one after, so that a folder is known also where the export was killed.
"""

from __future__ import annotations

import contextlib
import getpass
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gazecapture.files import append_json_line

__all__ = [
    "ACCESS_LOG",
    "AccessEntry",
    "log_access",
    "read_access_log",
]

ACCESS_LOG = "access.jsonl"


class AccessEntry(BaseModel):
    """One line of the log."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    time: str
    """ISO 8601, UTC."""
    command: str
    event: Literal["begins", "done"] = "done"
    who: str = ""
    """The operating system's name of the user."""
    folder: Path | None = None
    """The dataset's folder, or the file that was written."""
    key: str = ""
    """Of the dataset's manifest."""
    n_readings: int | None = None
    n_files_deleted: int | None = None
    """Of audio, by `retain_days`."""
    may_have_been_passed_on: tuple[str, ...] = ()
    """Keys of dataset versions that held what was forgotten."""


def log_access(
    store_root: Path,
    *,
    command: str,
    event: Literal["begins", "done"] = "done",
    folder: Path | None = None,
    **facts: Any,
) -> None:
    """Append one line, durable when this returns; ``facts`` are fields of `AccessEntry`. Raises as_tool_error's."""
    entry = AccessEntry(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        event=event,
        who=_user(),
        folder=None if folder is None else folder.resolve(),
        **facts,
    )
    content = entry.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    append_json_line(store_root / ACCESS_LOG, content | {"event": event})


def read_access_log(store_root: Path) -> list[AccessEntry]:
    """Return the lines in the order of writing; torn ones are passed over."""
    try:
        raw = (store_root / ACCESS_LOG).read_bytes()
    except FileNotFoundError:
        return []
    entries = []
    for line in raw.splitlines():
        with contextlib.suppress(ValidationError):
            entries.append(AccessEntry.model_validate_json(line))
    return entries


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have a user without a name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"

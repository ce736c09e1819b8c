"""Which sessions a store was filled from: ``STORE/sessions.json``, so that retention and forgetting find them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from gazecapture.files import write_json_atomically

__all__ = ["KNOWN_SESSIONS", "known_sessions", "remember_sessions"]

KNOWN_SESSIONS = "sessions.json"


def known_sessions(store_root: Path) -> list[Path]:
    """Return the sessions that are still where they were ingested from, sorted."""
    return [folder for folder in _remembered(store_root) if (folder / "session.json").is_file()]


def remember_sessions(store_root: Path, sessions: Iterable[Path]) -> None:
    """Add sessions; those that are gone are dropped. The caller holds the store's lock."""
    before = _remembered(store_root)
    now = sorted({*known_sessions(store_root), *(session.resolve() for session in sessions)})
    if now != before:
        write_json_atomically(store_root / KNOWN_SESSIONS, [str(session) for session in now])


def _remembered(store_root: Path) -> list[Path]:
    try:
        content = json.loads((store_root / KNOWN_SESSIONS).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return []
    return [Path(entry) for entry in content if isinstance(entry, str)] if isinstance(content, list) else []

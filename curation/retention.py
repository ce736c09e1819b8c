"""How long voices are kept: ``[retention] retain_days``, counted from the day of the sitting."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from curation.sessions import known_sessions
from gazecapture.access_log import log_access
from gazecapture.session.removal import AUDIO_FOLDER, check_idle
from gazecapture.session.schema import read_session_info
from gazecapture.store import Store
from keyframes.errors import GazeToolError

__all__ = ["delete_old_audio"]

_DAY_NS = 86_400 * 1_000_000_000


def delete_old_audio(store: Store, retain_days: int | None, *, now_unix_ns: int | None = None) -> int:
    """Delete the audio of sessions older than that; return how many files. None keeps everything.

    The sessions are those that the store was filled from. One that is being written, or cannot be read, is left alone
    until the next run. What was deleted is in the access log. The caller holds the store's lock.
    """
    if retain_days is None:
        return 0
    now = time.time_ns() if now_unix_ns is None else now_unix_ns
    n_deleted = 0
    for session in known_sessions(store.root):
        folder = session / AUDIO_FOLDER
        try:
            if (
                not folder.is_dir()
                or now - read_session_info(session).created_unix_ns < retain_days * _DAY_NS
            ):
                continue
            check_idle(session)
        except GazeToolError:
            continue
        n_files = _n_files(folder)
        shutil.rmtree(folder)
        # Without the folder: a session's path often has its reader's code in it, and the log outlives the reader.
        log_access(store.root, command="retention", n_files_deleted=n_files)
        n_deleted += n_files
    return n_deleted


def _n_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))

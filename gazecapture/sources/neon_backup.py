"""The recording that the phone itself makes while we record: begun, gone on with, ended, all of it in the marks."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from gazecapture.session.journal import read_journal
from gazecapture.session.schema import MARKS
from gazecapture.sources.neon_phone import NeonPhone
from keyframes.errors import GazeToolError, SchemaError

__all__ = ["BACKUP", "PhoneBackup"]

logger = logging.getLogger(__name__)

BACKUP = "backup"
"""Kind of the marks."""
_OURS = re.compile(r"phone recording (\S+)(?: goes on)?")
"""What a mark says of a recording that is ours to end."""


class PhoneBackup:
    """The phone's own recording of one session; every method is called in the phone's event loop.

    Parameters
    ----------
    session : in whose marks a recorder that was killed has left the id of its recording; None: there is none.
    note    : takes the text of a mark.
    """

    def __init__(self, phone: NeonPhone, session: Path | None, note: Callable[[str], None]) -> None:
        self._phone = phone
        self._session = session
        self._note = note
        self._recording_id: str | None = None

    @property
    def recording_id(self) -> str | None:
        """The recording that is ours to end, where one runs."""
        return self._recording_id

    async def start(self, running: str | None) -> None:
        """Let the phone record, or go on with ``running``; one that somebody else began is left alone.

        A phone that refuses is noted: it must not keep us from recording.
        """
        try:
            if running is None:
                self._recording_id = await self._phone.start_recording()
                self._note(f"phone recording {self._recording_id}")
            elif running in self._begun_for_session():
                self._recording_id = running
                self._note(f"phone recording {running} goes on")
            else:
                self._note(f"phone recording {running}, begun by somebody else")
        except GazeToolError as error:
            logger.warning("no recording on the phone: %s", error.one_line())
            self._note(f"none: {error.message}")

    async def stop(self) -> None:
        """End and save what is ours; a second call does nothing."""
        recording_id, self._recording_id = self._recording_id, None
        if recording_id is None:
            return
        try:
            await self._phone.stop_recording()
        except GazeToolError as error:
            logger.warning("the phone's own recording was not stopped: %s", error.one_line())
            self._note(f"phone recording {recording_id} not ended: {error.message}")
        else:
            self._note(f"phone recording {recording_id} ended")

    def _begun_for_session(self) -> set[str]:
        """Return the ids of the recordings that this session began: its recorder may have been killed."""
        if self._session is None:
            return set()
        try:
            rows = read_journal(self._session / "marks", schema=MARKS).table.to_pylist()
        except SchemaError:
            return set()
        ours = (_OURS.fullmatch(row["detail"] or "") for row in rows if row["kind"] == BACKUP)
        return {found[1] for found in ours if found is not None}

"""The news of a session, from the files that recorder and viewer write. No Qt, no lock, and no stream but a Neon's.

Whoever watches by this can neither delay nor lose what is recorded, and cannot be seen by the reader's window.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture import profiles
from gazecapture.profiles import Profile
from gazecapture.session.journal_tail import JournalTail
from gazecapture.session.profiles import session_profiles
from gazecapture.session.schema import SessionInfo, StreamInfo, read_session_info, read_stream_info
from gazecapture.session.status import RecorderStatus, read_status
from gazecapture.session.validations import SittingValidations
from gazecapture.sources.neon_options import NeonChoice
from gazecapture.viewer.dictation_status import DictationStatus, read_dictation_status
from gazecapture.viewer.operator.neon_gaze import NeonGaze
from keyframes.errors import GazeToolError
from keyframes.reading import DISPLAY

__all__ = ["News", "SessionFeed"]

VALIDATIONS_EVERY = 10
"""Looks between two readings of the validation journal, which changes a few times an hour."""

FloatArray = NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What came since the last look."""

    info: SessionInfo | None
    status: RecorderStatus | None
    t_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Of the gaze samples, session clock by the newest clock offset."""
    x_screen_px: FloatArray = field(default_factory=lambda: np.empty(0))
    y_screen_px: FloatArray = field(default_factory=lambda: np.empty(0))
    display: tuple[Row, ...] = ()
    """Rows of the display journal."""
    words: tuple[Row, ...] = ()
    dictation: DictationStatus | None = None
    """None where nobody dictates."""
    validations: SittingValidations | None = None
    """All of the sitting; None where nothing was looked up this time."""
    trouble: str = ""
    """Why gaze cannot be shown although it is recorded."""


class SessionFeed:
    """Reads a session's folder again and again; every call takes milliseconds.

    Parameters
    ----------
    neon : the phone that sends the gaze, which only it can put on the screen now; everything else is in the files.
    """

    def __init__(self, session: Path, *, neon: NeonChoice | None = None) -> None:
        self._session = session
        self._neon = neon
        self._neon_gaze: NeonGaze | None = None
        self._display = JournalTail(session / "display")
        self._words = JournalTail(session / "words", whole=False)
        self._gaze: JournalTail | None = None
        self._stream: StreamInfo | None = None
        self._profile: Profile | None = None
        self._info: SessionInfo | None = None
        self._n_looks = 0
        self._trouble = ""

    def look(self) -> News:
        """Return what is new. Never raises for a session that has only begun, or a file that is being written."""
        status = self._status()
        self._find_gaze()
        t_ns, x, y = self._samples(status)
        display, words = self._display.new_rows(), self._words.new_rows()
        if display is not None or self._info is None:
            self._info = self._session_info()  # a study's images are written before it is shown
        elif self._waits_for_tags and self._n_looks % VALIDATIONS_EVERY == 0:
            self._info = self._session_info()
        looked_up = None
        if self._n_looks % VALIDATIONS_EVERY == 0:
            looked_up = SittingValidations.load(self._session)
        self._n_looks += 1
        return News(
            info=self._info,
            status=status,
            t_ns=t_ns,
            x_screen_px=x,
            y_screen_px=y,
            display=() if display is None else tuple(display.to_pylist()),
            words=() if words is None else tuple(words.to_pylist()),
            dictation=read_dictation_status(self._session),
            validations=looked_up,
            trouble=self._trouble,
        )

    def close(self) -> None:
        """End the connection to a Neon, if there is one; may take as long as making one does."""
        if self._neon_gaze is not None:
            self._neon_gaze.close()

    def _session_info(self) -> SessionInfo | None:
        try:
            return read_session_info(self._session)
        except GazeToolError:
            return None

    def _status(self) -> RecorderStatus | None:
        try:
            return read_status(self._session)
        except GazeToolError:
            return None

    def _find_gaze(self) -> None:
        """Find the gaze stream, once it is there."""
        if self._gaze is not None:
            return
        for described in sorted((self._session / "streams").glob("*/stream.json")):
            try:
                info = read_stream_info(described.parent)
                profile = profiles.match(info, extra=session_profiles(self._session))
            except GazeToolError as error:
                self._trouble = error.one_line()
                continue
            if info.role == "gaze" and profile is not None:
                self._gaze = JournalTail(described.parent, whole=False)
                self._stream, self._profile = info, profile
                return

    def _samples(self, status: RecorderStatus | None) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
        nothing = np.empty(0, np.int64), np.empty(0), np.empty(0)
        if self._profile is not None and self._profile.frame == "scene":
            return self._neon_samples()
        rows = None if self._gaze is None else self._gaze.new_rows()
        if rows is None or self._stream is None or self._profile is None:
            return nothing
        display = None if self._info is None else self._info.display
        try:
            gaze = profiles.normalise(self._profile, self._stream, rows, display)
        except GazeToolError as error:
            self._trouble = error.one_line()
            return nothing
        own = [s for s in (status.streams if status else ()) if s.stream_id == self._stream.stream_id]
        offset_s = (own[0].offset_s if own else None) or 0.0
        t_s = rows.column("t_remote_s").to_numpy() + offset_s
        valid = np.asarray(gaze.valid, np.bool_)
        return (
            np.round(t_s * 1e9).astype(np.int64),
            np.where(valid, np.asarray(gaze.x_screen_px, np.float64), np.nan),
            np.where(valid, np.asarray(gaze.y_screen_px, np.float64), np.nan),
        )

    @property
    def _waits_for_tags(self) -> bool:
        """Say whether a Neon's gaze waits for the tags, which are known once the reading window is there."""
        return self._neon is not None and self._neon_gaze is None and not self._has_tags

    @property
    def _has_tags(self) -> bool:
        return self._info is not None and bool(self._info.tags)

    def _neon_samples(self) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
        """Return gaze that the phone sent since the last look, on the screen."""
        if self._neon is None:
            self._trouble = (
                "gaze is in the scene camera's picture: `operator --neon HOST` puts it on the film"
            )
        elif self._neon_gaze is None and self._info is not None and self._info.tags:
            self._neon_gaze = NeonGaze(self._session, self._neon, self._info)
        if self._neon_gaze is None:
            return np.empty(0, np.int64), np.empty(0), np.empty(0)
        self._trouble = self._neon_gaze.trouble
        came = self._neon_gaze.take()
        missing = np.full(came.t_ns.size, np.nan)
        return came.t_ns, came.x_screen_px.get("both", missing), came.y_screen_px.get("both", missing)


def display_table(rows: list[Row]) -> pa.Table:
    """Return display rows as `keyframes.geometry.map_gaze` takes them."""
    return pa.Table.from_pylist([{f.name: row.get(f.name) for f in DISPLAY} for row in rows], schema=DISPLAY)

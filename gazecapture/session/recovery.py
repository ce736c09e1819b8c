"""What a session folder holds after a crash: every journal read and counted, nothing in it changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gazecapture.clock import session_now_ns
from gazecapture.files import free_bytes
from gazecapture.session.journal import JournalContent, read_journal, read_segments
from gazecapture.session.lock import same_process
from gazecapture.session.schema import OFFSETS, StreamInfo, read_stream_info
from gazecapture.session.self_check import JournalCheck, count_stream, counted
from gazecapture.session.status import RecorderStatus, StreamStatus, read_status, write_status
from keyframes.errors import RecordingError, SchemaError, UsageError

__all__ = ["RecoveryReport", "recover_session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """A session as it was found."""

    journals: tuple[JournalCheck, ...]
    status: RecorderStatus | None
    """As it stands now; None for a session that no recorder worked in."""
    was_interrupted: bool
    """The recorder had not finished."""

    @property
    def is_damaged(self) -> bool:
        """Say whether any journal lost something."""
        return any(journal.damage for journal in self.journals)


def recover_session(session: Path) -> RecoveryReport:
    """Read all journals of a session and finish the state that a killed recorder left.

    Only status.json is written, never a segment. Raises UsageError where the folder is no session, RecordingError
    (GT-BUSY) while a recorder works in it.
    """
    if not any((session / name).exists() for name in ("session.json", "status.json", "streams", "marks")):
        raise UsageError(f"{session} is not a session", path=session, code="GT-NOT-A-SESSION")
    try:
        status = read_status(session)
    except SchemaError:
        status = None
    if status is not None and status.is_live and same_process(status.pid, status.pid_start_s):
        raise RecordingError(
            f"{session}: its recorder is at work", hint="Stop it first.", path=session, code="GT-BUSY"
        )
    reports: list[JournalCheck] = []
    streams = []
    for folder in _journal_folders(session):
        segments = counted(folder.relative_to(session).as_posix(), read_segments(folder), reports)
        if folder.parent.name == "streams":
            with suppress(SchemaError):  # without its description a stream's rows are counted, and no more
                streams.append(_stream_status(session, read_stream_info(folder), segments))
        deque(segments, maxlen=0)  # used up, so that it is counted
    was_interrupted = status is None or status.is_live
    if streams and was_interrupted:
        status = _finished(session, status, tuple(streams))
        write_status(session, status)
    return RecoveryReport(
        journals=tuple(reports), status=status, was_interrupted=was_interrupted and bool(streams)
    )


def _finished(
    session: Path, status: RecorderStatus | None, streams: tuple[StreamStatus, ...]
) -> RecorderStatus:
    before = status or RecorderStatus(state="failed", pid=0, t_ns=session_now_ns())
    return replace(
        before,
        state="failed",
        t_ns=session_now_ns(),
        streams=streams,
        disk_free_bytes=free_bytes(session),
        error="the recorder was ended before it finished; the counts are of what it had written",
        recovered=True,
    )


def _journal_folders(session: Path) -> list[Path]:
    folders = {path.parent for path in session.rglob("[0-9]*.arrows")}
    folders |= {path.parent for path in session.glob("streams/*/stream.json")}
    return sorted(folders)


def _stream_status(session: Path, info: StreamInfo, segments: Iterator[JournalContent]) -> StreamStatus:
    """Count a stream as its recorder would have."""
    monitor, _ = count_stream(session, info, segments)
    offsets = read_journal(session / "offsets" / info.stream_id, schema=OFFSETS).table
    return StreamStatus(
        stream_id=info.stream_id,
        role=info.role,
        name=info.name,
        n_samples=monitor.n_samples,
        nominal_rate_hz=info.nominal_rate_hz,
        n_gaps=monitor.n_gaps,
        offset_s=offsets.column("offset_s")[-1].as_py() if offsets.num_rows else None,
        missing_by_frame_number=monitor.n_missing,
        lost_at_restarts=monitor.n_swallowed,
    )

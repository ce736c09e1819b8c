"""What a session folder holds after a crash: every journal read and counted, nothing in it changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gazecapture.clock import session_now_ns
from gazecapture.files import free_bytes
from gazecapture.session.journal import JournalContent, read_journal
from gazecapture.session.lock import same_process
from gazecapture.session.monitor import StreamMonitor, frame_column
from gazecapture.session.profiles import session_profiles
from gazecapture.session.schema import OFFSETS, StreamInfo, read_stream_info
from gazecapture.session.status import RecorderStatus, StreamStatus, read_status, write_status
from gazecapture.sources.protocol import SourceBatch
from keyframes.errors import RecordingError, SchemaError, UsageError

__all__ = ["JournalReport", "RecoveryReport", "recover_session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReport:
    """One journal as it was found."""

    journal: str
    """Its folder, relative to the session."""
    n_rows: int
    n_verified: int
    """Rows proved by their checksum."""
    n_unverified: int
    """Rows that parse but have no checksum: written in the last moment."""
    n_segments: int
    damage: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """A session as it was found."""

    journals: tuple[JournalReport, ...]
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
    reports, streams = [], []
    for folder in _journal_folders(session):
        name = folder.relative_to(session).as_posix()
        try:
            content = read_journal(folder)
        except SchemaError as error:
            reports.append(_report(name, None, (error.message,)))
            continue
        reports.append(_report(name, content, content.damage))
        if folder.parent.name == "streams" and (folder / "stream.json").is_file():
            streams.append(_stream_status(session, read_stream_info(folder), content))
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


def _report(name: str, content: JournalContent | None, damage: tuple[str, ...]) -> JournalReport:
    n_rows = 0 if content is None else content.table.num_rows
    n_unverified = 0 if content is None else content.n_unverified
    return JournalReport(
        journal=name,
        n_rows=n_rows,
        n_verified=n_rows - n_unverified,
        n_unverified=n_unverified,
        n_segments=0 if content is None else content.n_segments,
        damage=damage,
    )


def _stream_status(session: Path, info: StreamInfo, content: JournalContent) -> StreamStatus:
    """Count a stream as its recorder would have."""
    own_profiles = session_profiles(session)
    monitor = StreamMonitor(info, own_profiles)
    table = content.table
    if table.num_rows:
        wanted = [name for name in (frame_column(info, own_profiles),) if name is not None]
        monitor.take(
            SourceBatch(
                stream_id=info.stream_id,
                t_remote_s=table.column("t_remote_s").to_numpy(),
                t_received_ns=table.column("t_received_ns").to_numpy(),
                columns={name: table.column(name).to_numpy() for name in wanted},
            )
        )
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
    )

"""What a recording holds when it ends: every journal read again and proved, and what a lab must know of it.

Saved as SESSION/self-check.json. It reads what is on disk, not what the recorder believes to have written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gazecapture.files import free_bytes, write_json_atomically
from gazecapture.session.clock_fit import fit_clock
from gazecapture.session.journal import JournalContent, read_journal, read_segments
from gazecapture.session.monitor import StreamMonitor, frame_column
from gazecapture.session.profiles import session_profiles
from gazecapture.session.schema import MARKS, OFFSETS, StreamInfo, read_stream_info
from gazecapture.session.status import RecorderStatus
from gazecapture.sources.protocol import SourceBatch
from keyframes.errors import ExitCode

__all__ = [
    "REPORT_NAME",
    "JournalCheck",
    "SelfCheck",
    "StreamCheck",
    "check_recording",
    "count_stream",
    "counted",
]

REPORT_NAME = "self-check.json"
THINNING = 10
"""Every tenth sample suffices to tell a step of the clock from a wrong measurement; it keeps memory flat."""
RATE_TOLERANCE = 0.05
"""A stream whose measured rate is further from its nominal one is named: nominal rates are often wrong."""
RESIDUAL_LIMIT_S = 0.002
"""Of the clock fit; more is worse than the design's 2 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalCheck:
    """One journal, read again."""

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
class StreamCheck:
    """One stream, read again; None where something is unknown."""

    stream_id: str
    name: str
    role: str
    n_samples: int
    n_counted: int | None
    """By the recorder that just ended, while it wrote; fewer than ``n_samples`` where another one wrote before."""
    nominal_rate_hz: float
    rate_hz: float | None
    """1 / median interval of its own time stamps."""
    n_gaps: int
    n_restarts: int
    missing_by_frame_number: int | None
    lost_at_restarts: int | None
    longest_silence_s: float
    clock_offset_ms: float
    clock_drift_ppm: float
    clock_residual_ms: float
    n_clock_pieces: int
    n_clock_measurements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """The report."""

    journals: tuple[JournalCheck, ...]
    streams: tuple[StreamCheck, ...]
    n_words: int
    n_clock_steps: int
    n_sleeps: int
    n_overflows: int
    disk_free_bytes: int
    recorded_bytes: int
    problems: tuple[str, ...]
    """What makes the recording wrong: data damaged or absent."""
    remarks: tuple[str, ...]
    """What somebody should look at; the data are what the sender gave."""

    @property
    def exit_code(self) -> ExitCode:
        """6 where something is really wrong, else 0."""
        return ExitCode.INTEGRITY if self.problems else ExitCode.OK

    def lines(self) -> list[str]:
        """Return the report for people."""
        lines = []
        for stream in self.streams:
            if stream.role == "words":
                lines.append(f"{stream.name}: {stream.n_samples} samples, {self.n_words} words")
                continue
            rate = "rate unknown" if stream.rate_hz is None else f"{stream.rate_hz:.1f} Hz"
            named = f" (named {stream.nominal_rate_hz:g})" if stream.nominal_rate_hz else ""
            missing = stream.missing_by_frame_number
            lost = (
                "losses unknown (no frame numbers)" if missing is None else f"{missing} lost by frame number"
            )
            lines.append(
                f"{stream.name}: {stream.n_samples} samples, {rate}{named}, {lost}, "
                f"{stream.n_gaps} gaps, {stream.n_restarts} restarts, "
                f"longest silence {stream.longest_silence_s:.2f} s"
            )
            lines.append(
                f"  clock: offset {stream.clock_offset_ms:.3f} ms, drift {stream.clock_drift_ppm:.1f} ppm, "
                f"residual {stream.clock_residual_ms:.3f} ms, {stream.n_clock_measurements} measurements"
            )
        n_rows = sum(journal.n_rows for journal in self.journals)
        unproved = sum(journal.n_unverified for journal in self.journals)
        lines.append(
            f"journals: {n_rows} rows read again, {n_rows - unproved} proved by their checksum, "
            f"{self.recorded_bytes / 1e6:.1f} MB, {self.disk_free_bytes / 1e9:.1f} GB free"
        )
        lines += [f"look at: {remark}" for remark in self.remarks]
        lines += [f"WRONG: {problem}" for problem in self.problems]
        return lines


def check_recording(session: Path, final: RecorderStatus) -> SelfCheck:
    """Read the recorder's journals again, compare them with what it counted, and save the report.

    final : the state that the recorder ended with. Raises GazeToolError where the report cannot be written.
    """
    journals: list[JournalCheck] = []
    streams = [_stream(session, final, folder, journals) for folder in _stream_folders(session)]
    for folder in ("words", "marks", "clock/recorder"):
        if (session / folder).is_dir():
            deque(counted(folder, read_segments(session / folder), journals), maxlen=0)
    n_words = sum(journal.n_rows for journal in journals if journal.journal == "words")
    report = SelfCheck(
        journals=tuple(journals),
        streams=tuple(streams),
        n_words=n_words,
        n_clock_steps=final.n_clock_steps,
        n_sleeps=final.n_sleeps,
        n_overflows=final.n_overflows,
        disk_free_bytes=free_bytes(session),
        recorded_bytes=sum(path.stat().st_size for path in session.rglob("[0-9]*.*") if path.is_file()),
        problems=tuple(_problems(journals, streams)),
        remarks=tuple(_remarks(final, streams)),
    )
    write_json_atomically(session / REPORT_NAME, asdict(report))
    return report


def count_stream(
    session: Path, info: StreamInfo, segments: Iterator[JournalContent]
) -> tuple[StreamMonitor, pa.Table]:
    """Count a stream from its journal as its recorder did; also return every tenth row, for its clock.

    segments : from `gazecapture.session.journal.read_segments`; used up.
    """
    own_profiles = session_profiles(session)
    monitor, thinned = StreamMonitor(info, own_profiles), []
    frames = frame_column(info, own_profiles)
    for segment in segments:
        table = segment.table
        if not table.num_rows:
            continue
        monitor.take(
            SourceBatch(
                stream_id=info.stream_id,
                t_remote_s=table.column("t_remote_s").to_numpy(),
                t_received_ns=table.column("t_received_ns").to_numpy(),
                columns={} if frames is None else {frames: table.column(frames).to_numpy()},
            )
        )
        few = table.select(["sequence", "t_remote_s", "t_received_ns"])
        thinned.append(few.take(np.arange(0, few.num_rows, THINNING)))
    return monitor, pa.concat_tables(thinned) if thinned else pa.table({})


def _stream_folders(session: Path) -> list[Path]:
    return sorted(path.parent for path in (session / "streams").glob("*/stream.json"))


def counted(
    name: str, segments: Iterator[JournalContent], journals: list[JournalCheck]
) -> Iterator[JournalContent]:
    """Pass a journal's segments on, and enter in ``journals`` what they were once they are used up."""
    n_rows, n_unverified, n_segments, damage = 0, 0, 0, list[str]()
    for segment in segments:
        n_rows += segment.table.num_rows
        n_unverified += segment.n_unverified
        n_segments += 1
        damage += segment.damage
        yield segment
    journals.append(
        JournalCheck(
            journal=name,
            n_rows=n_rows,
            n_verified=n_rows - n_unverified,
            n_unverified=n_unverified,
            n_segments=n_segments,
            damage=tuple(damage),
        )
    )


def _stream(session: Path, final: RecorderStatus, folder: Path, journals: list[JournalCheck]) -> StreamCheck:
    info = read_stream_info(folder)
    segments = counted(f"streams/{info.stream_id}", read_segments(folder), journals)
    monitor, thinned = count_stream(session, info, segments)
    offsets = read_journal(session / "offsets" / info.stream_id, schema=OFFSETS)
    clock = fit_clock(offsets.table, thinned)
    marks = read_journal(session / "marks", schema=MARKS).table.to_pylist()
    n_counted = next((s.n_samples for s in final.streams if s.stream_id == info.stream_id), None)
    return StreamCheck(
        stream_id=info.stream_id,
        name=info.name,
        role=info.role,
        n_samples=monitor.n_samples,
        n_counted=n_counted,
        nominal_rate_hz=info.nominal_rate_hz,
        rate_hz=monitor.usual_rate_hz,
        n_gaps=monitor.n_gaps,
        n_restarts=sum(m["kind"] == "restart" and m["stream_id"] == info.stream_id for m in marks),
        missing_by_frame_number=monitor.n_missing,
        lost_at_restarts=monitor.n_swallowed,
        longest_silence_s=monitor.longest_silence_s,
        clock_offset_ms=clock.offset_s * 1e3,
        clock_drift_ppm=clock.drift * 1e6,
        clock_residual_ms=clock.residual_s * 1e3,
        n_clock_pieces=len(clock.pieces),
        n_clock_measurements=clock.n_points,
    )


def _problems(journals: list[JournalCheck], streams: list[StreamCheck]) -> Iterator[str]:
    for journal in journals:
        for place in journal.damage:
            yield f"{journal.journal} is damaged: {place}"
    for stream in streams:
        if stream.n_counted is not None and stream.n_samples < stream.n_counted:
            yield f"{stream.name}: {stream.n_counted} samples were written, {stream.n_samples} can be read"
        if stream.role == "gaze" and stream.n_samples == 0:
            yield f"{stream.name} gave no sample at all"


def _remarks(final: RecorderStatus, streams: list[StreamCheck]) -> Iterator[str]:
    for stream in streams:
        if stream.missing_by_frame_number:
            yield f"{stream.name}: the device counted {stream.missing_by_frame_number} samples that never came"
        if stream.lost_at_restarts:
            yield f"{stream.name}: its sender's restarts swallowed {stream.lost_at_restarts} samples"
        if stream.n_clock_pieces > 1:
            yield f"{stream.name}: the sender's clock stepped {stream.n_clock_pieces - 1} times"
        if stream.clock_residual_ms > RESIDUAL_LIMIT_S * 1e3:
            yield f"{stream.name}: its clock is known to {stream.clock_residual_ms:.1f} ms only"
        rate, nominal = stream.rate_hz, stream.nominal_rate_hz
        if rate is not None and nominal and abs(rate / nominal - 1) > RATE_TOLERANCE:
            yield f"{stream.name}: sends at {rate:.1f} Hz and names {nominal:g} Hz"
    if final.n_clock_steps:
        yield f"this computer's clock was set {final.n_clock_steps} times"
    if final.n_sleeps:
        yield f"this computer slept {final.n_sleeps} times; nothing was recorded meanwhile"
    if final.n_overflows:
        yield f"writing fell behind {final.n_overflows} times; nothing was dropped for it"
    if final.disk_is_low:
        yield "the disk is nearly full"

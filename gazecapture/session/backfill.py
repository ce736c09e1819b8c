"""Puts the tracker's own recording into a finished session: what a stream lost on its way is in the tracker's file.

The live stream is never touched; the file's samples become a stream of their own beside it, whose folder appears as a
whole. What a Reading holds is decided when it is cut (`gazecapture.session.gaze_stream.load_gaze`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture import __version__
from gazecapture.files import atomic_path, sweep_scratch
from gazecapture.session.alignment import MAX_RESIDUAL_MS, Alignment, LiveGaze, find_alignment
from gazecapture.session.backfill_merge import LossShares
from gazecapture.session.backfill_record import (
    BACKFILL_ID,
    ROLE,
    AlignmentRecord,
    BackfillRecord,
    read_record,
    write_record,
)
from gazecapture.session.gaze_matching import GazeSignal
from gazecapture.session.gaze_stream import GazeStream, load_gaze, load_live_gaze
from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.lock import FolderLock
from gazecapture.session.recorded_stream import stream_schema
from gazecapture.session.removal import check_idle
from gazecapture.session.schema import (
    DISPLAY_JOURNAL,
    TRACKER_MARKS,
    StreamChannel,
    StreamInfo,
    read_session_info,
    write_stream_info,
)
from gazecapture.session.tracker_marks import MARK_TEXT
from gazecapture.trackers import TrackerRecording, read_recordings
from gazecapture.trackers.fingerprint import fingerprint
from keyframes.errors import DataError, GazeToolError, UsageError
from keyframes.reading import Tracker

__all__ = ["BackfillReport", "ReadingLoss", "backfill_session"]

MARGIN_NS = 1_000_000_000
"""ns of the file kept before and after the session; the rest of it may be of somebody else's sitting."""
ROWS_AT_ONCE = 100_000
"""Rows per message of the journal: a few MB."""

Clock = Literal["t_ns", "t_device_ns"]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLoss:
    """What was lost of one reading."""

    reading_number: int
    losses: LossShares


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillReport:
    """What a backfill came to."""

    record: BackfillRecord
    changed: bool
    """False where this very file was in the session already."""
    offset_s: float
    """Session clock minus the file's clock."""
    n_streamed: int
    """Live samples of the session, each device sample once."""
    n_backfilled: int
    n_live_kept: int
    """Live samples that the file lacks."""
    losses: LossShares
    """Of the session, from the first image on to the last off."""
    readings: tuple[ReadingLoss, ...]


def backfill_session(
    session: Path,
    file: Path,
    *,
    replace: bool = False,
    recording: int | None = None,
    tolerant: bool = False,
    max_residual_ms: float = MAX_RESIDUAL_MS,
    progress: Progress = lambda line: None,
) -> BackfillReport:
    """Align the tracker's own recording with a session and put it in.

    Parameters
    ----------
    file            : EyeLink ASC, Tobii TSV, or the folder of a Neon recording.
    replace         : take it in place of another file that was put in before.
    recording       : 1-based, of those that the file holds; None: the only one that fits.
    tolerant        : read what can be read of a damaged file.
    max_residual_ms : of the alignment, above which the file is refused.

    Put in a second time, the same file changes nothing. A killed call leaves the session as it was, or done. Raises
    DataError with nothing changed: GT-TRACKER-... where the file cannot be read, GT-BACKFILL-NO-MATCH, -AMBIGUOUS or
    -RESIDUAL where it does not go with the session, GT-BACKFILL-EXISTS where another one is in it; RecordingError
    (GT-BUSY) while the session is recorded.
    """
    info = read_session_info(session)
    streams = session / "streams"
    if not streams.is_dir():
        raise DataError("the session has no streams", path=session, code="GT-BACKFILL-NO-GAZE")
    check_idle(session)
    lock = FolderLock(streams)
    lock.acquire()
    try:
        sweep_scratch(streams)
        sha256 = fingerprint(file)
        present = _present(session, replace=replace)
        if present is not None and present.sha256 == sha256 and recording in (None, present.recording):
            return _report(session, present, changed=False)
        if present is not None and not replace:
            raise DataError(
                "another recording is in this session already",
                hint="Give --replace to take this one in its place.",
                path=session,
                code="GT-BACKFILL-EXISTS",
            )
        progress("reading the tracker's file")
        found = read_recordings(file, display=info.display, tolerant=tolerant)
        live = load_live_gaze(session, info.display)
        if not live.t_ns.size:
            progress("the session has no live gaze; only marks can align the file")
        progress("aligning it with the session")
        number, chosen, alignment = _aligned(session, found, live, recording, max_residual_ms)
        progress("writing it into the session")
        record = _write(session, sha256, number, chosen, alignment, _span(session, live))
    finally:
        lock.release()
    return _report(session, record, changed=True)


def _present(session: Path, *, replace: bool) -> BackfillRecord | None:
    """Return the record of what is in the session; a broken one counts as none where it is replaced anyway."""
    try:
        return read_record(session)
    except GazeToolError:
        if replace:
            return None
        raise


def _aligned(
    session: Path,
    found: tuple[TrackerRecording, ...],
    live: GazeStream,
    recording: int | None,
    max_residual_ms: float,
) -> tuple[int, TrackerRecording, Alignment]:
    """Find the one recording of the file that goes with the session."""
    if recording is not None and not 1 <= recording <= len(found):
        raise UsageError(
            f"the file holds {len(found)} recordings, there is no number {recording}",
            hint="Numbers count from 1 in the order of the file.",
        )
    candidates = [(n, r) for n, r in enumerate(found, start=1) if recording in (None, n)]
    fitting: list[tuple[int, TrackerRecording, Alignment]] = []
    errors: list[DataError] = []
    for number, one in candidates:
        try:
            alignment = find_alignment(
                _signals(one),
                _live_gaze(live, one),
                marks=_shared_marks(session, one),
                max_residual_ms=max_residual_ms,
            )
        except DataError as error:
            errors.append(error)
        else:
            fitting.append((number, one, alignment))
    if len(fitting) > 1:
        raise DataError(
            f"{len(fitting)} recordings of the file go with the session",
            hint="Say which one with --recording.",
            code="GT-BACKFILL-AMBIGUOUS",
        )
    if not fitting:
        raise min(errors, key=lambda error: error.code == "GT-BACKFILL-NO-MATCH")
    return fitting[0]


def _signals(one: TrackerRecording) -> dict[Clock, GazeSignal]:
    """Return the recording's gaze on each of its clocks: of both eyes where both are seen."""
    table = one.samples
    points = []
    for axis in ("x", "y"):
        columns = np.vstack([table.column(f"{eye}{axis}_px").to_numpy() for eye in ("left_", "right_", "")])
        seen = np.isfinite(columns)
        total = np.where(seen, columns, 0.0).sum(axis=0)
        count = seen.sum(axis=0)
        points.append(np.divide(total, count, out=np.full(total.size, np.nan), where=count > 0))
    clocks: tuple[Clock, ...] = ("t_ns", "t_device_ns")
    signals: dict[Clock, GazeSignal] = {}
    for clock in clocks:
        t_ns = table.column(clock).to_numpy()
        if clock == "t_device_ns" and (
            np.array_equal(t_ns, signals["t_ns"].t_ns) or (np.diff(t_ns) <= 0).any()
        ):
            continue
        signals[clock] = GazeSignal(t_ns=t_ns, x=points[0], y=points[1])
    return signals


def _live_gaze(live: GazeStream, one: TrackerRecording) -> LiveGaze:
    names = ("x_scene_px", "y_scene_px") if one.frame == "scene" and "x_scene_px" in live.gaze else (
        "x_screen_px", "y_screen_px",
    )  # fmt: skip
    clocks = {"device_time": live.device_time_s, "t_remote": live.t_remote_s}
    order = np.argsort(live.t_ns, kind="stable")
    x, y = (np.asarray(live.gaze[name], np.float64)[order] for name in names)
    return LiveGaze(
        signal=GazeSignal(t_ns=live.t_ns[order], x=x, y=y),
        clocks={name: values[order] for name, values in clocks.items() if values is not None},
    )


def _shared_marks(session: Path, one: TrackerRecording) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the times, on both clocks, of the marks that the session sent and the file holds, each once."""
    sent = {
        row["mark"]: row["t_ns"]
        for row in read_journal(session / "tracker_marks", schema=TRACKER_MARKS).table.to_pylist()
        if row["sent"]
    }
    pairs: dict[int, tuple[int, int]] = {}
    if sent:
        pattern = re.compile(MARK_TEXT.format(mark=r"(\d{1,18})"))
        for row in one.messages.to_pylist():
            said = pattern.search(row["text"])
            if said is not None and int(said[1]) in sent:
                pairs.setdefault(int(said[1]), (row["t_ns"], sent[int(said[1])]))
    ordered = np.array(sorted(pairs.values()), np.int64).reshape(-1, 2)
    return ordered[:, 0], ordered[:, 1]


def _span(session: Path, live: GazeStream) -> tuple[int, int]:
    """Return when the session was, session ns."""
    display = read_journal(session / "display", schema=DISPLAY_JOURNAL).table.column("t_ns").to_numpy()
    times = np.concatenate([live.t_ns[[0, -1]] if live.t_ns.size else [], display]).astype(np.int64)
    if not times.size:
        raise DataError("the session holds neither gaze nor images", path=session, code="GT-BACKFILL-NO-GAZE")
    return int(times.min()) - MARGIN_NS, int(times.max()) + MARGIN_NS


def _write(
    session: Path,
    sha256: str,
    number: int,
    one: TrackerRecording,
    alignment: Alignment,
    span_ns: tuple[int, int],
) -> BackfillRecord:
    """Write the stream's folder; it appears as a whole."""
    clock = one.samples.column(alignment.file_clock).to_numpy()
    t_ns = alignment.to_session_ns(clock)
    inside = (t_ns >= span_ns[0]) & (t_ns <= span_ns[1])
    kept = one.samples.filter(pa.array(inside))
    t_ns, clock = t_ns[inside], clock[inside]
    channels = _channels(one)
    info = StreamInfo(
        stream_id=BACKFILL_ID,
        role=ROLE,
        name="Tracker's own recording",
        kind="Gaze",
        channel_format="double64",
        nominal_rate_hz=one.rate_hz or 0.0,
        channels=channels,
        profile="xdf-generic-scene" if one.frame == "scene" else "xdf-generic",
        tracker=Tracker(manufacturer=one.manufacturer, profile=one.format),
    )
    steps = np.diff(clock)
    record = BackfillRecord(
        sha256=sha256,
        format=one.format,
        recording=number,
        frame=one.frame,
        n_samples=int(t_ns.size),
        interval_ns=max(1, int(np.median(steps))) if steps.size else 1_000_000_000,
        alignment=AlignmentRecord(
            method=alignment.method,
            live_clock=_live_clock(alignment.live_clock),
            file_clock=alignment.file_clock,
            file_ns=alignment.file_ns,
            session_ns=alignment.session_ns,
            drift_ppm=alignment.drift * 1e6,
            residual_p50_ms=alignment.residual_p50_ms,
            residual_p99_ms=alignment.residual_p99_ms,
            n_windows=alignment.n_windows,
            n_marks=alignment.n_marks,
            correlation=alignment.correlation if np.isfinite(alignment.correlation) else None,
        ),
        issues={issue.code: issue.n for issue in one.issues},
        tool_version=__version__,
    )
    columns: dict[str, Any] = {
        "sequence": np.arange(t_ns.size, dtype=np.int64),
        "t_remote_s": t_ns / 1e9,
        "t_received_ns": t_ns,
        "device_time": clock / 1e9,
        **{c.column: kept.column(c.column) for c in channels if c.column in kept.column_names},
    }
    schema = stream_schema(info)
    table = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    with atomic_path(session / "streams" / BACKFILL_ID) as scratch:
        with JournalWriter(scratch, schema) as journal:
            for first in range(0, table.num_rows, ROWS_AT_ONCE):
                journal.append(table.slice(first, ROWS_AT_ONCE))
        write_stream_info(scratch, info)
        write_record(scratch, record)
    return record


def _live_clock(name: str) -> Literal["", "device_time", "t_remote"]:
    return "device_time" if name == "device_time" else "t_remote" if name == "t_remote" else ""


def _channels(one: TrackerRecording) -> tuple[StreamChannel, ...]:
    """Describe the columns as the generic gaze profiles know them; the combined point only where no eye has its own."""
    table = one.samples
    seen = {
        eye: bool(np.isfinite(table.column(f"{eye}x_px").to_numpy()).any()) for eye in ("left_", "right_", "")
    }
    points = [eye for eye in ("left_", "right_") if seen[eye]] or [""]
    where = "world" if one.frame == "scene" else ""
    unit = {"area_au": "area", "mm": "mm"}.get(one.pupil_unit, "")
    channels = []
    for eye in points:
        said = eye.rstrip("_") or "both"
        channels += [
            StreamChannel(
                column=f"{eye}{axis}_px", label=f"{eye}{axis}", kind=f"Screen{axis.upper()}", eye=said, unit="pixels",
                coordinate_system=where,
            )
            for axis in ("x", "y")
        ]  # fmt: skip
    if one.pupil_unit != "none":
        channels += [
            StreamChannel(column=f"{eye}_pupil", label=f"{eye}_pupil", kind="Diameter", eye=eye, unit=unit)
            for eye in ("left", "right")
            if np.isfinite(table.column(f"{eye}_pupil").to_numpy()).any()
        ]
    channels.append(
        StreamChannel(column="device_time", label="device_time", kind="Time", eye="both", unit="seconds")
    )
    return tuple(channels)


def _report(session: Path, record: BackfillRecord, *, changed: bool) -> BackfillReport:
    info = read_session_info(session)
    gaze = load_gaze(session, info.display)
    display = read_journal(session / "display", schema=DISPLAY_JOURNAL).table
    spans: dict[int, tuple[int, int]] = {}
    opened: dict[int, int] = {}
    for row in display.select(["t_ns", "reading_number", "event"]).sort_by("t_ns").to_pylist():
        if row["event"] == "on":
            opened[row["reading_number"]] = row["t_ns"]
        elif row["event"] == "off" and row["reading_number"] in opened:
            spans[row["reading_number"]] = opened[row["reading_number"]], row["t_ns"]
    readings = []
    for number, (start_ns, end_ns) in sorted(spans.items()):
        losses = gaze.losses(start_ns, end_ns)
        if losses is not None:
            readings.append(ReadingLoss(reading_number=number, losses=losses))
    first, last = (
        (min(a for a, _ in spans.values()), max(b for _, b in spans.values()))
        if spans
        else (int(gaze.t_ns[0]), int(gaze.t_ns[-1]) + 1)
    )
    whole = gaze.losses(first, last)
    if whole is None:
        raise DataError("the session lost its backfill while it was counted", path=session, code="GT-BUSY")
    n_live = int((gaze.gaze["source"] != "backfill").sum())
    return BackfillReport(
        record=record,
        changed=changed,
        offset_s=(record.alignment.session_ns - record.alignment.file_ns) / 1e9,
        n_streamed=0 if gaze.streamed_ns is None else int(gaze.streamed_ns.size),
        n_backfilled=int(gaze.t_ns.size) - n_live,
        n_live_kept=n_live,
        losses=whole,
        readings=tuple(readings),
    )

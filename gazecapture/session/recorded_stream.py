"""One stream of a session while it is recorded: its journals, its figures, its words."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.clock import session_now_ns
from gazecapture.files import make_private_folder
from gazecapture.profiles import Profile
from gazecapture.session.journal import JournalWriter, read_last_row
from gazecapture.session.monitor import StreamMonitor, frame_column
from gazecapture.session.profiles import session_profiles
from gazecapture.session.schema import (
    OFFSETS,
    STREAM_PREFIX,
    StreamInfo,
    read_stream_info,
    write_stream_info,
)
from gazecapture.session.status import StreamStatus
from gazecapture.sources.protocol import ClockOffset, Rows, SourceBatch, SourceMark
from keyframes.errors import SchemaError

__all__ = ["RecordedStream", "merged", "stream_schema"]

logger = logging.getLogger(__name__)

LATE_START_S = 2.0
"""s without a first sample of a gaze stream that recording began with."""
_TYPES = {
    "float32": pa.float32(),
    "double64": pa.float64(),
    "string": pa.string(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
}


def stream_schema(info: StreamInfo) -> pa.Schema:
    """Return the schema of a stream's journal. Raises SchemaError for a channel format unknown here."""
    if info.channel_format not in _TYPES:
        raise SchemaError(f"stream {info.name!r} has channels of unknown format {info.channel_format!r}")
    kind = _TYPES[info.channel_format]
    fields = [pa.field(channel.column, kind, nullable=False) for channel in info.channels]
    return pa.schema([*STREAM_PREFIX, *fields])


class RecordedStream:
    """Journals of one stream; made by `begin`."""

    def __init__(
        self,
        info: StreamInfo,
        journal: JournalWriter,
        offsets: JournalWriter,
        sequence: int,
        own_profiles: Sequence[Profile] = (),
    ) -> None:
        self.info = info
        self.journal = journal
        self.offsets = offsets
        self.monitor = StreamMonitor(info, own_profiles)
        self.n_restarts = 0
        self.arrived_at = -math.inf
        """Monotonic s of the newest batch's arrival, written or not."""
        self._newest: SourceBatch | None = None
        self.late_start_s: float | None = None
        self._sequence = sequence
        self._late_noted = False
        self._n_swallowed_before = 0

    @classmethod
    def begin(cls, session: Path, info: StreamInfo, *, taken: Collection[str]) -> Self:
        """Make the stream's folders, or go on in those of the same stream that a recorder left before.

        A stream of the same name with other channels, or one among ``taken``, gets a folder of its own.
        """
        base, count = info.stream_id, 2
        while info.stream_id in taken or not _is_same(session / "streams" / info.stream_id, info):
            info, count = replace(info, stream_id=f"{base}_{count}"), count + 1
        folder = session / "streams" / info.stream_id
        last = read_last_row(folder)
        journal = JournalWriter(folder, stream_schema(info))
        try:
            write_stream_info(folder, info)
            offsets = JournalWriter(session / "offsets" / info.stream_id, OFFSETS)
        except BaseException:
            journal.close()
            raise
        own_profiles = session_profiles(session)
        stream = cls(info, journal, offsets, 0 if last is None else last["sequence"] + 1, own_profiles)
        if last is not None:
            column = frame_column(info, own_profiles)
            stream.monitor.resume(last["t_remote_s"], None if column is None else float(last[column]))
        return stream

    @property
    def offset_s(self) -> float:
        """The newest clock offset; 0 before the first, as outlets of the same host have it."""
        return self.monitor.offset_s or 0.0

    def note_arrival(self, batch: SourceBatch, at_s: float) -> None:
        """Remember that samples are here, before anything is done with them."""
        self.arrived_at = at_s
        self._newest = batch

    @property
    def last_taken_ns(self) -> int | None:
        """Session ns at which the newest sample that arrived was taken."""
        batch = self._newest
        return None if batch is None else round((float(batch.t_remote_s[-1]) + self.offset_s) * 1e9)

    def add_offset(self, offset: ClockOffset) -> None:
        """Journal a clock offset and use it from now on."""
        self.monitor.offset_s = offset.offset_s
        row = {"t_ns": offset.t_ns, "offset_s": offset.offset_s, "uncertainty_s": offset.uncertainty_s}
        self.offsets.append_rows([row])

    def rows(self, batch: SourceBatch) -> pa.RecordBatch:
        """Return a batch in the journal's schema; sequence numbers count on with `written`."""
        n = batch.t_remote_s.size
        columns: dict[str, Any] = {
            "sequence": np.arange(self._sequence, self._sequence + n, dtype=np.int64),
            "t_remote_s": batch.t_remote_s,
            "t_received_ns": batch.t_received_ns,
            **batch.columns,
        }
        schema = self.journal.schema
        arrays = [_arrow(columns[field.name], field.type) for field in schema]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def written(self, batch: SourceBatch) -> list[SourceMark]:
        """Count a batch that is in the journal; return the gaps that it shows."""
        self._sequence += batch.t_remote_s.size
        return self.monitor.take(batch)

    def words(self, batch: SourceBatch) -> list[dict[str, Any]]:
        """Return rows of the words journal, on the session clock; none for a stream of another role.

        A sample that is no word is left to the stream's own journal.
        """
        if self.info.role != "words":
            return []
        source = "simulated" if self.info.tracker.manufacturer == "synthetic" else "dictated"
        rows = []
        for text in batch.columns[self.info.channels[0].column]:
            row = _word(text, self.offset_s, source)
            if row is None:
                logger.warning(
                    "a sample of stream %s is no word; it is kept in its journal", self.info.stream_id
                )
            else:
                rows.append(row)
        return rows

    def late_by_s(self, since_start_s: float) -> float | None:
        """Return, once, how late the first sample of a gaze stream came, if it came late."""
        if self._late_noted or self.info.role != "gaze":
            return None
        if self.monitor.n_samples:
            self._late_noted = True
            if since_start_s > LATE_START_S:
                self.late_start_s = since_start_s
            return self.late_start_s
        return None

    def swallowed_by_restart(self) -> int | None:
        """Return how many samples the restart that was just told has cost; None where the device does not count."""
        total = self.monitor.n_swallowed
        if total is None:
            return None
        swallowed, self._n_swallowed_before = total - self._n_swallowed_before, total
        return swallowed

    def status(self) -> StreamStatus:
        """Return the figures for status.json."""
        monitor = self.monitor
        received = monitor.last_received_ns
        return StreamStatus(
            stream_id=self.info.stream_id,
            role=self.info.role,
            name=self.info.name,
            n_samples=monitor.n_samples,
            rate_hz=monitor.rate_hz,
            nominal_rate_hz=self.info.nominal_rate_hz,
            last_sample_age_s=None if received is None else max(0.0, (session_now_ns() - received) / 1e9),
            n_gaps=monitor.n_gaps,
            n_restarts=self.n_restarts,
            offset_s=monitor.offset_s,
            missing_by_frame_number=monitor.n_missing,
            lost_at_restarts=monitor.n_swallowed,
            late_start_s=self.late_start_s,
        )

    def close(self) -> None:
        """Close both journals."""
        try:
            self.journal.close()
        finally:
            self.offsets.close()


def merged(batches: Sequence[SourceBatch]) -> SourceBatch:
    """Return batches of one stream, at least one, as one."""
    if len(batches) == 1:
        return batches[0]
    parts = [batch.columns for batch in batches]
    rows = [part for part in parts if isinstance(part, Rows)]
    return SourceBatch(
        stream_id=batches[0].stream_id,
        t_remote_s=np.concatenate([batch.t_remote_s for batch in batches]),
        t_received_ns=np.concatenate([batch.t_received_ns for batch in batches]),
        columns=Rows.joined(rows)
        if len(rows) == len(parts)
        else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
    )


def _arrow(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return a column; numbers without a copy, and without pandas, which `pyarrow.array` would load for them."""
    if pa.types.is_string(kind):
        return pa.array(values.tolist(), kind)
    numbers = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, numbers.size, [None, pa.py_buffer(numbers)])


def _is_same(folder: Path, info: StreamInfo) -> bool:
    """Say whether ``folder`` is free or holds this very stream, of this or an earlier start of its sender."""
    if not (folder / "stream.json").exists():
        make_private_folder(folder)
        return True
    found = read_stream_info(folder)
    return (found.name, found.kind, found.channel_format, found.channels, found.source_id) == (
        info.name,
        info.kind,
        info.channel_format,
        info.channels,
        info.source_id,
    )


def _word(text: str, offset_s: float, source: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
        start_s, end_s, word = float(said["t_start_s"]), float(said["t_end_s"]), str(said["word"])
        confidence = said.get("confidence")
        row = {
            "t_start_ns": round((start_s + offset_s) * 1e9),
            "t_end_ns": round((end_s + offset_s) * 1e9),
            "word": word,
            "confidence": None if confidence is None else float(confidence),
            "source": source,
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return row if end_s >= start_s else None

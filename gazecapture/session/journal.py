"""The journal: append-only Arrow IPC segments with a checksum beside every message.

::

    FOLDER/00000.arrows    an Arrow IPC stream, written without a buffer: schema message, then one message per append
    FOLDER/00000.crc       one record per message: offset u64, length u64, CRC-32 u32 (little endian, 20 bytes)
    FOLDER/.lock           who writes here: process id and start time

What `JournalWriter.append` has returned from survives the death of the process; what `JournalWriter.sync` has
returned from survives the death of the machine. A restarted process goes on with the next segment, so that a
damaged tail is never written over. A segment is readable by any Arrow reader.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from gazecapture.files import make_private_folder
from gazecapture.session.lock import FolderLock
from gazecapture.session.segment import END_OF_STREAM, RECORD, Segment, force, journal_error
from keyframes.errors import RecordingError, SchemaError

__all__ = ["JournalContent", "JournalWriter", "read_journal", "read_last_row", "read_segments"]

SEGMENT_S = 60.0
"""s; what one damaged file can cost at most, and few enough files for a day (design)."""


class JournalWriter:
    """Writes one journal; one live writer per folder.

    Parameters
    ----------
    folder    : made if absent; existing segments are kept and never opened for writing.
    schema    : of every row; columns that may not be null are checked.
    metadata  : kept with the schema in every segment.
    segment_s : s, a new segment is begun when the present one is older.

    Raises RecordingError (GT-BUSY) where another live process writes here, DiskFullError where there is no room.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        metadata: Mapping[str, str] | None = None,
        segment_s: float = SEGMENT_S,
    ) -> None:
        if any(pa.types.is_dictionary(f.type) for f in schema):
            raise SchemaError("a journal's schema has no dictionary columns", path=folder)
        self.folder = folder
        self.schema = schema
        self._stored_schema = schema.with_metadata({**(schema.metadata or {}), **(metadata or {})} or None)
        self._segment_s = segment_s
        self._guard = threading.Lock()
        self._syncing = threading.Lock()
        self._retired: list[Segment] = []
        self._closed = False
        self._is_dirty = True  # the schema is there
        self.n_rows = 0
        make_private_folder(folder)
        self._lock = FolderLock(folder)
        self._lock.acquire()
        try:
            self._segment = self._begin_segment()
        except BaseException:
            self._lock.release()
            raise

    def append(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Write ``rows`` at once, as one message; no rows write nothing.

        All of them are in the journal when this returns, none of them when it raises: SchemaError where they do
        not fit the schema, DiskFullError where there is no room (the writer can be used again once there is).
        """
        if rows.num_rows == 0:
            return
        message = self._batch(rows).serialize()
        with self._guard:
            if self._closed:
                raise RecordingError("the journal is closed", path=self.folder)
            if self._segment.must_end(self._segment_s):
                following = self._begin_segment()
                self._segment.end()
                self._retired.append(self._segment)
                self._segment = following
            self._segment.write(message)
            self._is_dirty = True
            self.n_rows += rows.num_rows

    def append_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write ``rows`` given as mappings from column to value; an absent key is null."""
        self.append(self.table(rows))

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Return ``rows`` as a table of this journal. Raises SchemaError where they do not fit."""
        known = set(self.schema.names)
        for row in rows:
            if unknown := sorted(set(row) - known):
                raise SchemaError(f"a journal row has unknown columns {unknown}", path=self.folder)
        try:
            return pa.Table.from_pylist([dict(row) for row in rows], schema=self.schema)
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise SchemaError(f"a journal row does not fit the schema: {error}", path=self.folder) from error

    def sync(self) -> None:
        """Force all that was appended onto the disk; callable from another thread, appends go on meanwhile."""
        with self._syncing:
            with self._guard:
                if self._closed or not self._is_dirty:
                    return
                self._is_dirty = False
                retired, self._retired = self._retired, []
                copies = self._segment.duplicate()
            try:
                for descriptor in copies:
                    force(descriptor)
                _sync_folder(self.folder)
            except OSError as error:
                self._is_dirty = True
                raise journal_error(error, self.folder) from error
            finally:
                for descriptor in copies:
                    os.close(descriptor)
                for segment in retired:
                    segment.close()

    def close(self) -> None:
        """End the segment, force it onto the disk and give the folder free; a second call does nothing."""
        with self._syncing, self._guard:
            if self._closed:
                return
            self._closed = True
            try:
                for segment in self._retired:
                    segment.close()
                self._segment.end()
            finally:
                self._segment.close()
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin_segment(self) -> Segment:
        numbers = [int(p.stem) for p in self.folder.glob("[0-9]*.*") if p.stem.isdigit()]
        number = max(numbers, default=-1) + 1
        return Segment(self.folder / f"{number:05d}.arrows", self._stored_schema)

    def _batch(self, rows: pa.Table | pa.RecordBatch) -> pa.RecordBatch:
        """Return ``rows`` as one batch of the schema; a batch that is one already costs nothing."""
        if not rows.schema.equals(self.schema, check_metadata=False):
            try:
                rows = rows.select(self.schema.names).cast(self.schema)
            except (pa.ArrowException, KeyError, ValueError) as error:
                raise SchemaError(
                    f"rows do not fit the journal: {error}",
                    hint=f"Expected {self.schema.names}.",
                    path=self.folder,
                ) from error
        for expected, column in zip(self.schema, rows.columns, strict=True):
            if not expected.nullable and column.null_count:
                raise SchemaError(f"column {expected.name!r} may not be empty", path=self.folder)
        return rows if isinstance(rows, pa.RecordBatch) else rows.combine_chunks().to_batches()[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """What a journal holds."""

    table: pa.Table
    """All intact rows of all segments, in order."""
    n_unverified: int
    """Rows, among those of ``table``, that parse but have no checksum (the last ones before a crash)."""
    damage: tuple[str, ...]
    """One line per damaged place; empty for a sound journal."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    n_segments: int = 0


def read_journal(folder: Path, *, schema: pa.Schema | None = None) -> JournalContent:
    """Read every intact row of a journal, whatever happened to its files.

    A message whose checksum is off is left out and reported; those after it are kept, for each is proved by its own
    checksum. Messages after the last record are kept when they parse and validate, and counted as unverified.

    Parameters
    ----------
    folder : of the journal; it may be in use by a writer.
    schema : of the rows; a folder that is absent or empty then gives an empty table.

    Raises SchemaError where the folder holds no journal and no schema is given.
    """
    paths = _segment_paths(folder)
    damage: list[str] = []
    batches: list[pa.RecordBatch] = []
    n_unverified = 0
    stored: pa.Schema | None = None
    segments = [_SegmentReader(path, damage) for path in paths]
    for segment in segments:
        stored = stored or segment.schema
    expected = schema if schema is not None else stored
    if expected is None:
        if paths:
            raise SchemaError(f"no segment of the journal is readable: {'; '.join(damage)}", path=folder)
        raise SchemaError("there is no journal", path=folder, code="GT-NO-JOURNAL")
    for segment in segments:
        for batch, verified in segment.batches(expected):
            batches.append(batch)
            n_unverified += 0 if verified else batch.num_rows
    plain = expected.remove_metadata()
    table = pa.Table.from_batches([b.replace_schema_metadata(None) for b in batches], schema=plain)
    raw = (stored.metadata if stored is not None else None) or {}
    return JournalContent(
        table=table.combine_chunks(),
        n_unverified=n_unverified,
        damage=tuple(damage),
        metadata={k.decode(errors="replace"): v.decode(errors="replace") for k, v in raw.items()},
        n_segments=len(paths),
    )


def read_segments(folder: Path, *, schema: pa.Schema | None = None) -> Iterator[JournalContent]:
    """Read a journal as `read_journal` does, one segment at a time: for what is larger than memory.

    A segment whose schema cannot be read, with none known from elsewhere, comes without columns.
    """
    stored = schema
    for path in _segment_paths(folder):
        damage: list[str] = []
        segment = _SegmentReader(path, damage)
        stored = stored or segment.schema
        expected = stored if stored is not None else pa.schema([])
        batches = list(segment.batches(expected)) if stored is not None else []
        if stored is None and segment.has_content:
            damage.append(f"{path.name} at byte 0: the schema is not readable")
        plain = expected.remove_metadata()
        yield JournalContent(
            table=pa.Table.from_batches([b.replace_schema_metadata(None) for b, _ in batches], schema=plain),
            n_unverified=sum(batch.num_rows for batch, verified in batches if not verified),
            damage=tuple(damage),
            n_segments=1,
        )


def read_last_row(folder: Path) -> dict[str, Any] | None:
    """Return the last intact row of a journal, or None where it has none; reads no more segments than it must."""
    for path in reversed(_segment_paths(folder)):
        segment = _SegmentReader(path, [])
        if segment.schema is None:
            continue
        last = None
        for batch, _ in segment.batches(segment.schema):
            last = batch if batch.num_rows else last
        if last is not None:
            row: dict[str, Any] = last.slice(last.num_rows - 1).to_pylist()[0]
            return row
    return None


def _segment_paths(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("[0-9]*.arrows") if p.stem.isdigit()) if folder.is_dir() else []


class _SegmentReader:
    """Reads one pair of files; what is wrong goes to ``damage``."""

    def __init__(self, path: Path, damage: list[str]) -> None:
        self.path = path
        self.schema: pa.Schema | None = None
        self._damage = damage
        # The sidecar first: a live writer may append between the two reads, and a message without its record is
        # unverified, while a record without its message would look like damage.
        sidecar = path.with_suffix(".crc")
        records = sidecar.read_bytes() if sidecar.exists() else b""
        whole = len(records) - len(records) % RECORD.size
        self._records = list(RECORD.iter_unpack(records[:whole]))
        self._content = path.read_bytes()
        self._end_of_schema = 0
        if self._records:
            message = self._checked(0)
            if message is not None:
                self._take_schema(message)
        elif self._content:
            self._take_schema(self._content)

    @property
    def has_content(self) -> bool:
        """Say whether anything was written."""
        return bool(self._content)

    def batches(self, expected: pa.Schema) -> Iterator[tuple[pa.RecordBatch, bool]]:
        """Give the intact batches in order, each with whether its checksum proved it."""
        if self.schema is None and not self._records:
            if self._content:
                self._report("the schema is not readable", 0)
            return
        schema = self.schema if self.schema is not None else expected
        if not schema.equals(expected, check_metadata=False):
            self._report("it has another schema than the journal", 0)
            return
        position = self._end_of_schema
        intact = self.schema is not None
        for index in range(1, len(self._records)):
            message = self._checked(index)
            intact = message is not None
            if message is None:
                continue
            batch = self._parsed(pa.py_buffer(message), schema)
            if batch is None:
                self._report("a message with a good checksum cannot be parsed", self._records[index][0])
                continue
            yield batch, True
            position = self._records[index][0] + self._records[index][1]
        if intact:
            yield from self._tail(position, schema)

    def _checked(self, index: int) -> memoryview | None:
        offset, length, expected = self._records[index]
        message = memoryview(self._content)[offset : offset + length]
        if len(message) < length:
            self._report(
                f"cut: message {index} of {len(self._records)} should end at {offset + length}", offset
            )
            return None
        if zlib.crc32(message) != expected:
            self._report(f"checksum of message {index} is off", offset)
            return None
        return message

    def _take_schema(self, content: bytes | memoryview) -> None:
        try:
            source = pa.BufferReader(pa.py_buffer(content))
            self.schema = pa.ipc.read_schema(source)
            self._end_of_schema = source.tell()
        except (pa.ArrowException, OSError, EOFError, ValueError, MemoryError):
            if self._records:
                self._report("the schema message cannot be parsed", 0)

    def _tail(self, position: int, schema: pa.Schema) -> Iterator[tuple[pa.RecordBatch, bool]]:
        """Give what follows the last record: messages that the writer had no time to record."""
        source = pa.BufferReader(pa.py_buffer(self._content))
        while position < len(self._content):
            if self._content[position:] == END_OF_STREAM:
                return
            source.seek(position)
            try:
                message = pa.ipc.read_message(source)
            except (pa.ArrowException, OSError, EOFError, ValueError, MemoryError):
                message = None
            batch = None if message is None else self._parsed(message, schema)
            if batch is None or source.tell() <= position:
                self._report(f"{len(self._content) - position} bytes of an unfinished message", position)
                return
            yield batch, False
            position = source.tell()

    @staticmethod
    def _parsed(message: pa.Buffer | pa.Message, schema: pa.Schema) -> pa.RecordBatch | None:
        try:
            batch = pa.ipc.read_record_batch(message, schema)
            batch.validate(full=True)
        except (pa.ArrowException, OSError, EOFError, ValueError, MemoryError):
            return None
        return batch

    def _report(self, what: str, offset: int) -> None:
        self._damage.append(f"{self.path.name} at byte {offset}: {what}")


def _sync_folder(folder: Path) -> None:
    """Make new segments' names durable; Windows has no handle for a folder and needs none."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

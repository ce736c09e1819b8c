"""Follows a journal that somebody else writes: gives what is new, reads nothing twice, and touches nothing."""

from __future__ import annotations

import zlib
from pathlib import Path

import pyarrow as pa

from gazecapture.session.segment import RECORD

__all__ = ["JournalTail"]


class JournalTail:
    """Reads the rows that a journal got since the last look.

    Only messages whose checksum is written and fits are given; a damaged one is left out, for the report of the session
    to name. The folder may come into being later.

    Parameters
    ----------
    whole : begin with the journal's first row; else with its newest segment, at most a minute old.
    """

    def __init__(self, folder: Path, *, whole: bool = True) -> None:
        self._folder = folder
        self._whole = whole
        self._segment: Path | None = None
        self._n_records = 0
        self._schema: pa.Schema | None = None

    def new_rows(self) -> pa.Table | None:
        """Return what was appended since the last call; None where nothing was."""
        batches: list[pa.RecordBatch] = []
        while True:
            if self._segment is None and not self._enter_next():
                break
            batches += self._records()
            if not self._enter_next():
                break
        # A user who records other columns in a resumed session begins a segment of another schema.
        same = [batch for batch in batches if batch.schema.equals(batches[-1].schema)]
        return pa.Table.from_batches(same) if same else None

    def _enter_next(self) -> bool:
        paths = sorted(p for p in self._folder.glob("[0-9]*.arrows") if p.stem.isdigit())
        if self._segment is not None:
            paths = [path for path in paths if path.name > self._segment.name]
        if not paths:
            return False
        self._segment = paths[0] if self._whole or self._segment is not None else paths[-1]
        self._n_records, self._schema = 0, None
        return True

    def _records(self) -> list[pa.RecordBatch]:
        assert self._segment is not None  # noqa: S101 - entered before
        try:
            with self._segment.with_suffix(".crc").open("rb") as sidecar:
                sidecar.seek(self._n_records * RECORD.size)
                content = sidecar.read()
        except FileNotFoundError:
            return []
        records = list(RECORD.iter_unpack(content[: len(content) - len(content) % RECORD.size]))
        batches = []
        with self._segment.open("rb") as file:
            for offset, length, expected in records:
                file.seek(offset)
                message = file.read(length)
                is_schema, self._n_records = self._n_records == 0, self._n_records + 1
                if len(message) < length or zlib.crc32(message) != expected:
                    continue
                try:
                    if is_schema:
                        self._schema = pa.ipc.read_schema(pa.py_buffer(message)).remove_metadata()
                    elif self._schema is not None:
                        batches.append(pa.ipc.read_record_batch(pa.py_buffer(message), self._schema))
                except (pa.ArrowException, OSError, ValueError):
                    continue
        return batches

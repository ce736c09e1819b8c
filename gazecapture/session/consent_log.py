"""What the readers of a store agreed to: ``STORE/consent.jsonl``, append-only; the newest record of a reader counts."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import ValidationError

from gazecapture.files import append_json_line
from gazecapture.session.consent import SIMULATED_READER, ConsentRecord
from keyframes.reading import ReadingMeta

__all__ = ["CONSENT_LOG", "ConsentLog"]

CONSENT_LOG: Final = "consent.jsonl"


@dataclass(frozen=True, slots=True)
class ConsentLog:
    """The records of a store's readers."""

    path: Path
    records: tuple[ConsentRecord, ...]
    """Every record, in the order in which they came."""

    @classmethod
    def read(cls, store_root: Path) -> Self:
        """Read a store's records. A torn or damaged line gives nobody any permission."""
        path = store_root / CONSENT_LOG
        records = []
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            with contextlib.suppress(ValidationError):
                records.append(ConsentRecord.model_validate_json(line))
        return cls(path, tuple(records))

    def put(self, record: ConsentRecord) -> Self:
        """Append a record that is not there yet, durably; return the records with it."""
        if record in self.records:
            return self
        append_json_line(self.path, record.model_dump(mode="json"))
        return type(self)(self.path, (*self.records, record))

    def newest(self, reader_code: str, *, simulated: bool = False) -> ConsentRecord | None:
        """Return a reader's record that counts: the newest by its own time, of two of one moment the later line.

        simulated : the reader is a program. What a program may says nothing of a person with the same code.
        """
        own = [r for r in self.records if r.reader_code == reader_code and (simulated or not r.simulated)]
        return max(enumerate(own), key=lambda item: (item[1].time, item[0]))[1] if own else None

    def of_reader(self, meta: ReadingMeta) -> ConsentRecord | None:
        """Return the record that counts for a reading."""
        return self.newest(meta.reader_code, simulated=SIMULATED_READER.items() <= meta.provenance.items())

    def may_teach(self, *metas: ReadingMeta) -> bool:
        """Say whether readings may be shown to trainees side by side: all of their readers have agreed to that.

        Only a reader's own newest record counts; the terms of a published dataset say nothing of teaching.
        """
        records = [self.of_reader(meta) for meta in metas]
        return bool(records) and all(record is not None and "teaching" in record.scopes for record in records)

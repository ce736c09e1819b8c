"""What readers agreed to, in the store: ``STORE/consent.jsonl``, append-only; the newest record of a reader counts.

Records come from sessions at ingest and from `gazecurate consent`. Only a withdrawal of everything (`gazecurate
forget`) takes lines out.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from curation.ingest.terms import TERMS
from gazecapture.files import append_json_line
from gazecapture.session.consent import SCOPES, SIMULATED_READER, ConsentRecord
from gazecapture.store import Store
from keyframes.access import AccessTier, strictest
from keyframes.reading import ReadingMeta

__all__ = ["CONSENT_LOG", "NO_CONSENT", "Consents", "Permission"]

CONSENT_LOG = "consent.jsonl"
NO_CONSENT: Final = "GT-NO-CONSENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What of a reading may leave the store, and to whom."""

    scopes: frozenset[str]
    """A part of `gazecapture.session.consent.SCOPES`."""
    tier: AccessTier
    """The laxest tier of a dataset that it may be in."""

    @property
    def gaze(self) -> bool:
        """Say whether anything that the eyes did may leave."""
        return "gaze" in self.scopes

    @property
    def pupil(self) -> bool:
        """Say whether pupil sizes may leave; they are part of the gaze."""
        return {"gaze", "pupil"} <= self.scopes

    @property
    def words(self) -> bool:
        """Say whether what was spoken may leave, as text; the voice itself never does."""
        return "audio" in self.scopes


@dataclass(frozen=True, slots=True)
class Consents:
    """The records of a store's readers."""

    path: Path
    records: tuple[ConsentRecord, ...]
    """Every record, in the order in which they came."""

    @classmethod
    def of(cls, store: Store) -> Consents:
        """Read a store's records. A torn or damaged line gives nobody any permission."""
        path = store.root / CONSENT_LOG
        records = []
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            with contextlib.suppress(ValidationError):
                records.append(ConsentRecord.model_validate_json(line))
        return cls(path, tuple(records))

    def put(self, record: ConsentRecord) -> Consents:
        """Append a record that is not there yet, durably; return the records with it."""
        if record in self.records:
            return self
        append_json_line(self.path, record.model_dump(mode="json"))
        return Consents(self.path, (*self.records, record))

    def newest(self, reader_code: str, *, simulated: bool = False) -> ConsentRecord | None:
        """Return a reader's record that counts: the newest by its own time, of two of one moment the later line.

        simulated : the reader is a program. What a program may says nothing of a person with the same code.
        """
        own = [r for r in self.records if r.reader_code == reader_code and (simulated or not r.simulated)]
        return max(enumerate(own), key=lambda item: (item[1].time, item[0]))[1] if own else None

    def permission(self, meta: ReadingMeta) -> Permission | None:
        """Return what a reading's reader, or its dataset's terms, allow; None where nobody allowed anything.

        A reading of a published dataset (`curation.ingest.terms`) has the scopes of its terms, within its own tier. Any
        other needs its reader's record; its tier is the stricter one of the record's and the reading's own.
        """
        record = self._of_reader(meta)
        if meta.source_format in TERMS and record is None:
            scopes, tier = frozenset(meta.consent_scopes), strictest([meta.access_tier])
        elif record is not None:
            scopes, tier = frozenset(record.scopes), strictest([record.sharing_tier, meta.access_tier])
        else:
            return None
        return Permission(scopes=scopes, tier=tier) if scopes & set(SCOPES) - {"teaching"} else None

    def may_teach(self, *metas: ReadingMeta) -> bool:
        """Say whether readings may be shown to trainees side by side: all of their readers have agreed to that.

        Only a reader's own newest record counts; the terms of a published dataset say nothing of teaching.
        """
        records = [self._of_reader(meta) for meta in metas]
        return bool(records) and all(record is not None and "teaching" in record.scopes for record in records)

    def _of_reader(self, meta: ReadingMeta) -> ConsentRecord | None:
        return self.newest(meta.reader_code, simulated=SIMULATED_READER.items() <= meta.provenance.items())

"""What readers agreed to, in the store: ``STORE/consent.jsonl``, append-only; the newest record of a reader counts.

Records come from sessions at ingest and from `gazecurate consent`. Only a withdrawal of everything (`gazecurate
forget`) takes lines out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from curation.ingest.terms import TERMS
from gazecapture.session.consent import SCOPES
from gazecapture.session.consent_log import CONSENT_LOG, ConsentLog
from gazecapture.store import Store
from keyframes.access import AccessTier, strictest
from keyframes.reading import ReadingMeta

__all__ = ["CONSENT_LOG", "NO_CONSENT", "Consents", "Permission"]

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


class Consents(ConsentLog):
    """The records of a store's readers, and what they allow of a reading."""

    __slots__ = ()

    @classmethod
    def of(cls, store: Store) -> Consents:
        """Read a store's records; see `ConsentLog.read`."""
        return cls.read(store.root)

    def permission(self, meta: ReadingMeta) -> Permission | None:
        """Return what a reading's reader, or its dataset's terms, allow; None where nobody allowed anything.

        A reading of a published dataset (`curation.ingest.terms`) has the scopes of its terms, within its own tier. Any
        other needs its reader's record; its tier is the stricter one of the record's and the reading's own.
        """
        record = self.of_reader(meta)
        if meta.source_format in TERMS and record is None:
            scopes, tier = frozenset(meta.consent_scopes), strictest([meta.access_tier])
        elif record is not None:
            scopes, tier = frozenset(record.scopes), strictest([record.sharing_tier, meta.access_tier])
        else:
            return None
        return Permission(scopes=scopes, tier=tier) if scopes & set(SCOPES) - {"teaching"} else None

"""Which readings may go into a dataset, and to whom the dataset may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from curation.consent import NO_CONSENT, Consents, Permission
from curation.ingest.terms import TERMS
from gazecapture.store import Store
from keyframes.access import AccessTier, is_laxer, strictest
from keyframes.errors import PrivacyError
from keyframes.reading import Reading, ReadingMeta

__all__ = ["Admission", "admit", "dataset_tier", "may_show_public_ids", "public_ids_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What the readers allow."""

    permissions: Mapping[str, Permission]
    """By reading id, of those that get in."""
    held_back: Mapping[str, str]
    """Reading id -> why it does not get in."""


def admit(store: Store, metas: Iterable[ReadingMeta]) -> Admission:
    """Ask for each reading what its reader, or its dataset's terms, allow at this moment."""
    consents = Consents.of(store)
    known: dict[Permission | None, Permission | None] = {}
    """Permissions that readings share are kept once: a dataset may have 100,000 readings."""
    found = {}
    for meta in metas:
        allowed = consents.permission(meta)
        found[meta.reading_id] = known.setdefault(allowed, allowed)
    return Admission(
        permissions={reading_id: allowed for reading_id, allowed in found.items() if allowed is not None},
        held_back={
            reading_id: f"{NO_CONSENT}: its reader's consent is not on record, or was withdrawn"
            for reading_id, allowed in found.items()
            if allowed is None
        },
    )


def may_show_public_ids(source_format: str, tier: AccessTier) -> bool:
    """Say whether a dataset may hold ids that a published one gives out: at that one's tier or a stricter."""
    terms = TERMS.get(source_format)
    return terms is not None and not is_laxer(tier, than=terms.access_tier)


def public_ids_of(reading: Reading) -> frozenset[str]:
    """Return the ids that the published dataset gave this reading's patient, study and pictures."""
    of_pictures = reading.table("images")["public_dicom_id"].to_pylist()
    return frozenset(
        {reading.meta.public_patient_id, reading.meta.public_study_id, *of_pictures} - {"", None}
    )


def dataset_tier(permissions: Mapping[str, Permission], asked: AccessTier | None) -> AccessTier:
    """Return the tier of a dataset of these readings: the one asked for, else the strictest of theirs.

    Raises PrivacyError (GT-TIER) where a reading may not go to the tier that is asked for.
    """
    needed = strictest(permission.tier for permission in permissions.values())
    if asked is None or not permissions:
        return needed
    if is_laxer(asked, than=needed):
        n_stricter = sum(is_laxer(asked, than=permission.tier) for permission in permissions.values())
        raise PrivacyError(
            f"tier {asked} is asked for, {n_stricter} of {len(permissions)} readings allow {needed} at most",
            hint="No dataset was written. Ask for a stricter tier, or leave those readings out (--exclude-list).",
            code="GT-TIER",
        )
    return asked

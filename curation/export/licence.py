"""Under which terms a mixture of readings may be used: what the dataset card and Croissant say of licence and tier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from curation.ingest.terms import LICENCES, TERMS
from keyframes.access import AccessTier
from keyframes.reading import ReadingMeta

__all__ = ["OWN_LICENCE", "LicenceFacts", "licence_facts"]

OWN_LICENCE = "of the lab that recorded it"
"""What is said in place of a licence that is no known one: its words stay in the rows, freed of names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceFacts:
    """Terms of a dataset. Every one of the licences holds at once."""

    tier: AccessTier
    """To whom it may go: the one that was asked for, or the strictest of its readings."""
    licences: tuple[str, ...]
    """Of the readings and films in it, sorted."""
    sources: tuple[str, ...]
    """Published datasets in it, by name and version."""
    citations: tuple[str, ...]
    """That its users owe, sorted."""

    @property
    def needs_credentials(self) -> bool:
        """Say whether who receives it must have been admitted by the owner of a source."""
        return bool(self.sources) and self.tier in {"credentialed", "local-only"}


def licence_facts(metas: Iterable[ReadingMeta], tier: AccessTier) -> LicenceFacts:
    """Return the terms of a dataset of these readings and this tier."""
    licences, sources, citations = set[str](), set[str](), set[str]()
    for meta in metas:
        terms = TERMS.get(meta.source_format)
        if terms is not None:
            licences.add(terms.licence)
            sources.add(terms.name)
            citations |= set(terms.citations)
        else:
            licences.add(meta.source_licence if meta.source_licence in LICENCES else OWN_LICENCE)
    return LicenceFacts(
        tier=tier,
        licences=tuple(sorted(licences)),
        sources=tuple(sorted(sources)),
        citations=tuple(sorted(citations)),
    )

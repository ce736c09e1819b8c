"""What readers agree to, and access tiers: to whom readings may be given; of many the strictest decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

__all__ = ["ACCESS_TIERS", "SCOPES", "AccessTier", "Scope", "is_laxer", "strictest"]

AccessTier = Literal["open", "consented", "credentialed", "local-only"]
ACCESS_TIERS: Final[tuple[AccessTier, ...]] = get_args(AccessTier)
"""From the laxest to the strictest. open: anybody. consented: whom the readers agreed to, by agreement. credentialed:
people whom the source's owner has admitted. local-only: nobody outside the lab."""

Scope = Literal["gaze", "audio", "pupil", "teaching"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""gaze: where the reader looked, and what is made of it. audio: the voice, and the words that were spoken. pupil: its
size. teaching: to show the reading to trainees."""


def strictest(tiers: Iterable[str]) -> AccessTier:
    """Return the strictest of ``tiers``: what a mixture has. One that is unknown, or none at all, is local-only."""
    ranks = [_rank(tier) for tier in tiers]
    return ACCESS_TIERS[max(ranks, default=len(ACCESS_TIERS) - 1)]


def is_laxer(tier: str, *, than: str) -> bool:
    """Say whether ``tier`` lets more people in than ``than`` does."""
    return _rank(tier) < _rank(than)


def _rank(tier: str) -> int:
    known: tuple[str, ...] = ACCESS_TIERS
    return known.index(tier) if tier in known else len(known) - 1

"""Train, validate and test, by patient, seeded, balanced over findings and sources."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["SPLITS", "Candidate", "assign_splits"]

SPLITS = ("train", "validate", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the split must know of a reading."""

    reading_id: str
    patient_key: str
    stratum: str
    """Source and main finding; patients are dealt out within it."""


def assign_splits(
    candidates: Iterable[Candidate], shares: Mapping[str, float], *, seed: int
) -> dict[str, str]:
    """Return the split of each reading id.

    shares : share of each of `SPLITS`; they sum to 1.

    A patient is in one split only, with all studies and readers. Within a stratum (that of the patient's first
    reading by id) patients come in an order that the seed and their key give, and each goes to the split that is
    farthest below its share of the readings dealt so far. The same store and seed give the same splits.
    """
    by_patient: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda c: c.reading_id):
        by_patient[candidate.patient_key].append(candidate)

    def place(patient: str) -> tuple[str, str]:
        shuffled = hashlib.sha256(f"{seed}\0{patient}".encode()).hexdigest()
        return by_patient[patient][0].stratum, shuffled

    dealt: Counter[str] = Counter()
    result: dict[str, str] = {}
    for patient in sorted(by_patient, key=place):
        readings = by_patient[patient]
        total = sum(dealt.values()) + len(readings)
        # min over a fixed order: ties go to the earlier split.
        split = min(SPLITS, key=lambda name: dealt[name] - shares[name] * total)
        dealt[split] += len(readings)
        result |= {candidate.reading_id: split for candidate in readings}
    return result

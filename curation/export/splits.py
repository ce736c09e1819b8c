"""Train, validate and test: by patient, reader or site, seeded, balanced over sources and findings.

What may not be parted is one group: readings joined by a patient's or study's key, or all of a reader or a site. A
group has a place between 0 and 1 that the seed and its name alone decide. Within a stratum (source and rarest
finding) the groups lie in order of their places, and boundaries cut that order where the number of readings is nearest
to the asked shares; what a stratum is off by, the next one makes up for. A new group shifts ranks by one, so that
about one group at each boundary changes its split, and all others stay where they were.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["SPLITS", "Candidate", "SplitAxis", "assign_splits", "official_split"]

SPLITS = ("train", "validate", "test")
SplitAxis = Literal["patient", "reader", "site"]

MIN_STRATUM_GROUPS: Final = 20
"""Smaller strata of a source are dealt out together: from here on a share of 0.1 is two groups, so that both smaller
splits get some of a finding."""
_OFFICIAL: Final = {
    "train": "train", "training": "train",
    "validate": "validate", "validation": "validate", "valid": "validate", "val": "validate", "dev": "validate",
    "test": "test", "testing": "test",
}  # fmt: skip
_STRICTNESS: Final = {name: place for place, name in enumerate(SPLITS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the split must know of a reading."""

    reading_id: str
    patient_key: str
    study_key: str = ""
    reader_code: str = ""
    reader_site: str = ""
    public_patient_id: str = ""
    source_format: str = ""
    labels: frozenset[str] = frozenset()
    """Findings that are present."""
    split_official: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    name: str
    readings: tuple[Candidate, ...]

    @property
    def source(self) -> str:
        return "+".join(sorted({reading.source_format for reading in self.readings}))

    @property
    def labels(self) -> frozenset[str]:
        return frozenset().union(*(reading.labels for reading in self.readings))


def assign_splits(
    candidates: Iterable[Candidate],
    shares: Mapping[str, float],
    *,
    seed: int,
    axis: SplitAxis = "patient",
    honour_official: bool = True,
) -> dict[str, str]:
    """Return the split of each reading id.

    shares          : share of the readings for each of `SPLITS`; they sum to 1. Readings with an official split do not
                      count in.
    axis            : what may not be in two splits. patient: patients, with all their studies and readers. reader,
                      site: all readings of one reader or one site (a held-out reader); patients may then be in two.
    honour_official : a patient with a reading in a source's own split is in that split, of several in the one
                      farthest from training. By reader or site there are no official splits.

    The same candidates and seed give the same splits, whatever their order.
    """
    groups = _groups(candidates, axis)
    split_of: dict[str, str] = {}
    free = []
    for group in groups:
        official = _official(group) if honour_official and axis == "patient" else None
        if official is None:
            free.append(group)
        else:
            split_of |= {reading.reading_id: official for reading in group.readings}
    placed = {group.name: _place(group.name, seed) for group in free}
    owed = dict.fromkeys(SPLITS, 0.0)
    for stratum in _strata(free):
        _deal(sorted(stratum, key=lambda g: (placed[g.name], g.name)), shares, owed, split_of)
    return split_of


def official_split(name: str) -> str | None:
    """Return which of `SPLITS` a source's own name means; None where it means none of them."""
    return _OFFICIAL.get(name.strip().casefold())


def _official(group: _Group) -> str | None:
    found = {official_split(reading.split_official) for reading in group.readings} - {None}
    return max((name for name in found if name), key=_STRICTNESS.__getitem__, default=None)


def _place(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()


def _deal(
    groups: Sequence[_Group], shares: Mapping[str, float], owed: dict[str, float], split_of: dict[str, str]
) -> None:
    """Cut one stratum's groups at the boundaries; ``owed`` carries what a split got too little of so far."""
    total = sum(len(group.readings) for group in groups)
    asked = {name: shares[name] * total + owed[name] for name in SPLITS}
    got: Counter[str] = Counter()
    last = max((name for name in SPLITS if shares[name] > 0.0), key=_STRICTNESS.__getitem__)
    open_splits = [name for name in SPLITS if shares[name] > 0.0]
    for group in groups:
        size = len(group.readings)
        # A split takes the group if that brings it nearer to what it asks; the last one takes what is left.
        while open_splits[0] != last and asked[open_splits[0]] - got[open_splits[0]] < size / 2:
            open_splits.pop(0)
        got[open_splits[0]] += size
        split_of.update({reading.reading_id: open_splits[0] for reading in group.readings})
    for name in SPLITS:
        owed[name] = asked[name] - got[name]


def _strata(groups: Sequence[_Group]) -> list[list[_Group]]:
    """Return the groups by source and rarest finding; small strata of a source together, small sources together."""
    n_with = Counter(label for group in groups for label in group.labels)
    by_source: defaultdict[str, defaultdict[str, list[_Group]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        rarest = min(group.labels, key=lambda label: (n_with[label], label), default="")
        by_source[group.source][rarest].append(group)
    strata, small = [], []
    for _, by_label in sorted(by_source.items()):
        rest = []
        for _, members in sorted(by_label.items()):
            if len(members) >= MIN_STRATUM_GROUPS:
                strata.append(members)
            else:
                rest += members
        if len(rest) >= MIN_STRATUM_GROUPS:
            strata.append(rest)
        else:
            small += rest
    return [*strata, small] if small else strata


def _groups(candidates: Iterable[Candidate], axis: SplitAxis) -> list[_Group]:
    """Return what may not be parted, each named by the least of its keys."""
    ordered = sorted(candidates, key=lambda c: c.reading_id)
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for candidate in ordered:
        first, *others = _keys(candidate, axis)
        for key in others:
            a, b = sorted((root(first), root(key)))
            parent[b] = a
        root(first)
    members: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in ordered:
        members[root(_keys(candidate, axis)[0])].append(candidate)
    return [_Group(name=name, readings=tuple(readings)) for name, readings in sorted(members.items())]


def _keys(candidate: Candidate, axis: SplitAxis) -> list[str]:
    if axis == "reader":
        return [f"reader\0{candidate.reader_code}"]
    if axis == "site":
        return [f"site\0{candidate.reader_site}"]
    keys = {
        "patient": candidate.patient_key,
        "study": candidate.study_key,
        "public": candidate.public_patient_id,
    }
    return [f"{kind}\0{key}" for kind, key in keys.items() if key]

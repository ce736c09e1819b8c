"""The inspection trajectory: in which order, and how long, regions and letters were visited.

All of it describes; none of it grades a reader. Most radiologists do not search in letter order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keyframes.reading import TRAJECTORY

__all__ = [
    "MERGE_GAP_S",
    "MIN_DWELL_S",
    "OrderAdherence",
    "inspection_trajectory",
    "letter_coverage",
    "letter_visits",
    "missed_letters",
    "order_adherence",
]

MERGE_GAP_S = 1.0
"""Two fixations on one region farther apart in time are two visits: no saccade, and hardly a blink, lasts so long."""
MIN_DWELL_S = 0.1
"""A shorter visit on the way back to the same region is a stray fixation: below it hardly anything is identified."""

LETTER_DWELL = pa.schema(
    [
        pa.field("letter", pa.string(), nullable=False),
        pa.field("dwell_s", pa.float64(), nullable=False),
        pa.field("dwell_share", pa.float64(), nullable=False),
        pa.field("n_visits", pa.int32(), nullable=False),
        pa.field("n_fixations", pa.int32(), nullable=False),
        pa.field("t_first_ns", pa.int64(), nullable=True),
    ]
)
"""Table that `letter_coverage` gives; ``t_first_ns`` is null for a letter never visited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """One visit; ``key`` says what must agree for two to be one."""

    key: tuple[str, int | None]
    letter: str
    scheme: str
    t_start_ns: int
    t_end_ns: int
    dwell_s: float
    n_fixations: int

    def then(self, later: _Visit) -> _Visit:
        """Return one visit of both."""
        return replace(
            self,
            t_end_ns=max(self.t_end_ns, later.t_end_ns),
            dwell_s=self.dwell_s + later.dwell_s,
            n_fixations=self.n_fixations + later.n_fixations,
        )

    def joins(self, later: _Visit, gap_ns: float) -> bool:
        """Say whether ``later`` goes on with the same place soon enough."""
        return self.key == later.key and later.t_start_ns - self.t_end_ns <= gap_ns


def inspection_trajectory(
    events: pa.Table,
    event_regions: pa.Table,
    *,
    merge_gap_s: float = MERGE_GAP_S,
    min_dwell_s: float = MIN_DWELL_S,
) -> pa.Table:
    """Return table ``trajectory``: the visits to regions in order of time, ``order`` from 0.

    1. Every fixation with a primary region counts for that region of its image.
    2. Consecutive ones on the same region and image are one visit if no more than ``merge_gap_s`` lies between.
    3. A single fixation shorter than ``min_dwell_s`` between two visits to one and the same region and image is
       absorbed: the three become one visit, if no more than ``merge_gap_s`` lies between neighbours. One that is
       not so enclosed stays a visit.

    ``dwell_s`` is the sum of fixation durations, saccades between them left out; no fixation is counted twice or
    dropped, so the dwell of all visits equals that of all fixations with a region.
    """
    visits = _merged(_single_visits(events, event_regions), merge_gap_s)
    return _table(_absorbed(visits, merge_gap_s, min_dwell_s))


def letter_visits(trajectory: pa.Table) -> pa.Table:
    """Return the trajectory by letter: consecutive visits to one letter on one image are one, region ``""``.

    Same schema as ``trajectory``, ``order`` from 0.
    """
    visits = (
        _Visit(
            key=("", row["image_index"]),
            letter=row["letter"],
            scheme=row["scheme"],
            t_start_ns=row["t_start_ns"],
            t_end_ns=row["t_end_ns"],
            dwell_s=row["dwell_s"],
            n_fixations=row["n_fixations"],
        )
        for row in trajectory.to_pylist()
    )
    merged: list[_Visit] = []
    for visit in visits:
        if merged and (merged[-1].key, merged[-1].letter) == (visit.key, visit.letter):
            merged[-1] = merged[-1].then(visit)
        else:
            merged.append(visit)
    return _table(merged)


def letter_coverage(trajectory: pa.Table, letters: Sequence[str]) -> pa.Table:
    """Return dwell, share of all dwell, visits and first visit per letter, a row for each of ``letters`` in order.

    ``letters`` are those of the scheme; one never visited has dwell 0 and a null ``t_first_ns``. ``dwell_share``
    is 0 where nothing was visited at all.
    """
    visits = letter_visits(trajectory).to_pylist()
    total_s = sum(row["dwell_s"] for row in visits)
    rows = []
    for letter in letters:
        own = [row for row in visits if row["letter"] == letter]
        dwell_s = sum(row["dwell_s"] for row in own)
        rows.append(
            {
                "letter": letter,
                "dwell_s": float(dwell_s),
                "dwell_share": dwell_s / total_s if total_s > 0 else 0.0,
                "n_visits": len(own),
                "n_fixations": sum(row["n_fixations"] for row in own),
                "t_first_ns": min((row["t_start_ns"] for row in own), default=None),
            }
        )
    return pa.Table.from_pylist(rows, schema=LETTER_DWELL)


def missed_letters(trajectory: pa.Table, letters: Sequence[str]) -> tuple[str, ...]:
    """Return those of ``letters`` that were never visited, in order."""
    seen = set(trajectory.column("letter").to_pylist())
    return tuple(letter for letter in letters if letter not in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAdherence:
    """How far the letters were first visited in the scheme's order; a description, never a score."""

    tau: float
    """Kendall's tau of the order of first visits with the scheme's order: 1 as listed, -1 reversed; NaN below two
    letters."""
    n_letters: int
    """Letters visited; those never visited do not enter."""
    chance_tau: float
    """Expected for letters visited in random order: 0."""
    chance_sd: float
    """Standard deviation of tau for random order, sqrt(2 (2n + 5) / (9 n (n - 1))); NaN below two letters."""


def order_adherence(trajectory: pa.Table, letters: Sequence[str]) -> OrderAdherence:
    """Return Kendall's tau of the first visits to ``letters`` with their order, and its chance level.

    Visits on every image count, the earliest of each letter. Source: Kendall, Biometrika 30 (1938), 81-93.
    """
    first: dict[str, int] = {}
    for order, letter in enumerate(trajectory.column("letter").to_pylist()):
        first.setdefault(letter, order)
    places = [first[letter] for letter in letters if letter in first]
    n = len(places)
    if n < 2:
        return OrderAdherence(tau=float("nan"), n_letters=n, chance_tau=0.0, chance_sd=float("nan"))
    signs = [np.sign(later - earlier) for i, earlier in enumerate(places) for later in places[i + 1 :]]
    chance_sd = float(np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1))))
    return OrderAdherence(tau=float(np.mean(signs)), n_letters=n, chance_tau=0.0, chance_sd=chance_sd)


def _single_visits(events: pa.Table, event_regions: pa.Table) -> list[_Visit]:
    """Return a visit for each fixation with a primary region, in order of time."""
    primary = {
        row["event_index"]: row
        for row in event_regions.filter(event_regions.column("is_primary")).to_pylist()
    }
    fixations = events.filter(pc.equal(events.column("kind"), "fixation")).select(
        ["event_index", "t_start_ns", "t_end_ns", "duration_s", "image_index"]
    )
    rows: list[dict[str, Any]] = [row for row in fixations.to_pylist() if row["event_index"] in primary]
    return [
        _Visit(
            key=(primary[row["event_index"]]["region"], row["image_index"]),
            letter=primary[row["event_index"]]["letter"],
            scheme=primary[row["event_index"]]["scheme"],
            t_start_ns=row["t_start_ns"],
            t_end_ns=row["t_end_ns"],
            dwell_s=row["duration_s"],
            n_fixations=1,
        )
        for row in sorted(rows, key=lambda row: (row["t_start_ns"], row["event_index"]))
    ]


def _merged(visits: Iterable[_Visit], merge_gap_s: float) -> list[_Visit]:
    """Join neighbours on the same place."""
    merged: list[_Visit] = []
    for visit in visits:
        if merged and merged[-1].joins(visit, merge_gap_s * 1e9):
            merged[-1] = merged[-1].then(visit)
        else:
            merged.append(visit)
    return merged


def _absorbed(visits: Sequence[_Visit], merge_gap_s: float, min_dwell_s: float) -> list[_Visit]:
    """Join what encloses a stray fixation with it, from first to last."""
    gap_ns = merge_gap_s * 1e9
    kept: list[_Visit] = []
    for visit in visits:
        if len(kept) >= 2:
            around, stray = kept[-2:]
            near = all(b.t_start_ns - a.t_end_ns <= gap_ns for a, b in pairwise((around, stray, visit)))
            short = stray.n_fixations == 1 and stray.dwell_s < min_dwell_s
            if short and near and around.key == visit.key:
                kept[-2:] = [around.then(stray).then(visit)]
                continue
        kept.append(visit)
    return kept


def _table(visits: Sequence[_Visit]) -> pa.Table:
    """Return visits as a trajectory table."""
    return pa.Table.from_pylist(
        [
            {
                "order": order,
                "letter": visit.letter,
                "region": visit.key[0],
                "image_index": visit.key[1],
                "t_start_ns": visit.t_start_ns,
                "t_end_ns": visit.t_end_ns,
                "dwell_s": visit.dwell_s,
                "n_fixations": visit.n_fixations,
                "scheme": visit.scheme,
            }
            for order, visit in enumerate(visits)
        ],
        schema=TRAJECTORY,
    )

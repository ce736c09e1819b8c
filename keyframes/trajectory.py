"""The inspection trajectory: in which order, and how long, regions and letters were visited."""

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
    "inspection_trajectory",
    "letter_visits",
]

MERGE_GAP_S = 1.0
"""Two fixations on one region farther apart in time are two visits: no saccade, and hardly a blink, lasts so long."""
MIN_DWELL_S = 0.1
"""A shorter visit on the way back to the same region is a stray fixation: below it hardly anything is identified."""


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
    if not trajectory.num_rows:
        return TRAJECTORY.empty_table()
    places = list(
        zip(*(trajectory.column(name).to_pylist() for name in ("letter", "image_index")), strict=True)
    )
    first = np.array([at for at, place in enumerate(places) if not at or places[at - 1] != place])
    kept = trajectory.take(first)
    dwell_s, n_fixations, t_end_ns = (
        trajectory.column(name).to_numpy() for name in ("dwell_s", "n_fixations", "t_end_ns")
    )
    merged = {
        "order": np.arange(first.size),
        "region": [""] * first.size,
        "t_end_ns": np.maximum.reduceat(t_end_ns, first),
        "dwell_s": np.add.reduceat(dwell_s, first),
        "n_fixations": np.add.reduceat(n_fixations, first),
    }
    return pa.table(
        [merged[name] if name in merged else kept.column(name) for name in TRAJECTORY.names],
        schema=TRAJECTORY,
    )


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

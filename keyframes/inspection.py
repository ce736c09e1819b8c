"""How a reading inspected its images: coverage, dwell and revisits by region and letter, ways, order, what was missed.

All of it describes, none of it grades a reader: no gate and no score is made of it. Most radiologists do not search in
letter order, and a region that no fixation fell on may have been seen beside one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.fixations import Fixations
from keyframes.reading import INSPECTION, LETTER_COVERAGE, REGION_COVERAGE, TRANSITIONS
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import Scheme
from keyframes.scanpath import SEEN_RADIUS_DEG, covered_letters, covered_regions, transition_matrix
from keyframes.trajectory import MERGE_GAP_S, letter_visits
from keyframes.validation import UNVALIDATED_ERROR_DEG

__all__ = [
    "OrderAdherence",
    "first_visits",
    "inspection_summary",
    "letter_coverage",
    "order_adherence",
    "region_coverage",
    "transitions",
]

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAdherence:
    """How far letters were first visited in the order of the scheme, and what chance would give. Descriptive only."""

    tau: float
    """Kendall's tau: 1 in order, -1 in reverse; NaN below two letters visited."""
    n_letters: int
    chance_tau: float
    """Mean over all orders of the letters visited, each as likely as any other: 0."""
    chance_sd: float
    """Standard deviation over them, sqrt(2 (2n + 5) / (9 n (n - 1))); NaN below two letters."""
    chance_share: float
    """Share of all orders that are in order as much as this or more, counted exactly; NaN below two letters."""


def region_coverage(
    fixations: Fixations,
    maps: Mapping[int, RegionMap],
    scheme: Scheme,
    *,
    radius_deg: float = SEEN_RADIUS_DEG,
    error_deg: float = UNVALIDATED_ERROR_DEG,
    merge_gap_s: float = MERGE_GAP_S,
) -> pa.Table:
    """Return table ``region_coverage``: a row for every region of every image with a map that the scheme knows.

    Regions overlap (zones lie in lungs), and here a fixation counts for each region that holds its mean position, while
    a trajectory has one region per fixation. So dwell over all regions may exceed the reading.

    fixations   : of all images, in order of time.
    radius_deg  : what lies within it of a fixation is covered (`keyframes.scanpath.covered_regions`).
    error_deg   : a region is missed where no fixation lay in it, nor so near that the tracker's error explains it.
    merge_gap_s : two fixations in a region farther apart in time are two visits.

    Raises GeometryError where ``radius_deg`` is 0 or less.
    """
    rows = []
    for index, region_map in sorted(maps.items()):
        here = fixations.image_index == index
        own = fixations.part(here)
        covered = covered_regions(region_map, own, radius_deg=radius_deg)
        untouched = {}
        for name, region in region_map.regions.items():
            if name not in scheme:
                continue
            inside = here.copy()
            inside[here] = region.contains(own.x_image_px, own.y_image_px)
            if not inside.any():
                untouched[name] = region
            rows.append(
                {
                    "image_index": index,
                    "region": name,
                    "letter": scheme.letter_of(name),
                    "covered_share": _known(covered[name]),
                    "missed": False,
                    "scheme": scheme.name,
                    **_visited(fixations, inside, merge_gap_s),
                }
            )
        near = _near(region_map, untouched, own, error_deg)
        for row in rows:
            if row["image_index"] == index and row["region"] in untouched:
                row["missed"] = row["region"] not in near
    return pa.Table.from_pylist(rows, schema=REGION_COVERAGE)


def letter_coverage(
    trajectory: pa.Table,
    fixations: Fixations,
    maps: Mapping[int, RegionMap],
    scheme: Scheme,
    *,
    radius_deg: float = SEEN_RADIUS_DEG,
) -> pa.Table:
    """Return table ``letter_coverage``: a row for every letter of the scheme and image with a map, in reading order.

    Dwell and visits are those of the trajectory, so that every fixation counts for one letter; consecutive visits to
    regions of one letter are one. ``dwell_share`` is of the dwell on that image, 0 where there is none.
    ``covered_share`` is null where a letter has no area (`keyframes.scanpath.covered_letters`).
    """
    visits = letter_visits(trajectory).to_pylist()
    rows = []
    for index, region_map in sorted(maps.items()):
        covered = covered_letters(
            region_map, scheme, fixations.part(fixations.image_index == index), radius_deg=radius_deg
        )
        on_image = [visit for visit in visits if visit["image_index"] == index]
        total_s = sum(visit["dwell_s"] for visit in on_image)
        for letter, _ in scheme.letters:
            own = [visit for visit in on_image if visit["letter"] == letter]
            dwell_s = float(sum(visit["dwell_s"] for visit in own))
            rows.append(
                {
                    "image_index": index,
                    "letter": letter,
                    "covered_share": _known(covered[letter]),
                    "dwell_s": dwell_s,
                    "dwell_share": dwell_s / total_s if total_s > 0 else 0.0,
                    "n_fixations": sum(visit["n_fixations"] for visit in own),
                    "n_visits": len(own),
                    "n_revisits": max(0, len(own) - 1),
                    "t_first_ns": min((visit["t_start_ns"] for visit in own), default=None),
                    "missed": not own,
                    "scheme": scheme.name,
                }
            )
    return pa.Table.from_pylist(rows, schema=LETTER_COVERAGE)


def transitions(trajectory: pa.Table, scheme: Scheme) -> pa.Table:
    """Return table ``transitions``: how often a visit to one letter, and to one region, was followed by another.

    Only ways that occur have a row; ``share`` is of all ways out of the same place. A change of the image is no way.
    """
    letters = [letter for letter, _ in scheme.letters]
    kinds: tuple[tuple[Literal["letter", "region"], Sequence[str] | None], ...] = (
        ("letter", letters),
        ("region", None),
    )
    rows = []
    for by, labels in kinds:
        found = transition_matrix(trajectory, by=by, labels=labels)
        shares = found.shares()
        rows += [
            {
                "by": by,
                "source": found.labels[i],
                "target": found.labels[j],
                "n": int(found.counts[i, j]),
                "share": float(shares[i, j]),
                "scheme": scheme.name,
            }
            for i, j in np.argwhere(found.counts)
        ]
    return pa.Table.from_pylist(rows, schema=TRANSITIONS)


def first_visits(trajectory: pa.Table) -> tuple[str, ...]:
    """Return the letters in the order of their first visits, whatever the image."""
    return tuple(dict.fromkeys(trajectory.column("letter").to_pylist()))


def order_adherence(trajectory: pa.Table, letters: Sequence[str]) -> OrderAdherence:
    """Return Kendall's tau of the first visits to ``letters`` with their order, and its chance level.

    Visits on every image count, the earliest of each letter. Source: Kendall, Biometrika 30 (1938), 81-93.
    """
    visited = first_visits(trajectory)
    places = [visited.index(letter) for letter in letters if letter in visited]
    n = len(places)
    if n < 2:
        nan = float("nan")
        return OrderAdherence(tau=nan, n_letters=n, chance_tau=0.0, chance_sd=nan, chance_share=nan)
    n_pairs = n * (n - 1) // 2
    n_swapped = sum(later < earlier for i, earlier in enumerate(places) for later in places[i + 1 :])
    return OrderAdherence(
        tau=1.0 - 2.0 * n_swapped / n_pairs,
        n_letters=n,
        chance_tau=0.0,
        chance_sd=float(np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))),
        chance_share=sum(_orders_by_swapped_pairs(n)[: n_swapped + 1]) / factorial(n),
    )


def inspection_summary(trajectory: pa.Table, regions: pa.Table, scheme: Scheme) -> pa.Table:
    """Return table ``inspection``, one row: the order of the letters, and what was missed.

    regions : table ``region_coverage``. A region is missed where it was on every image that shows it, a letter where
        the trajectory never visits it.
    """
    adherence = order_adherence(trajectory, [letter for letter, _ in scheme.letters])
    visited = first_visits(trajectory)
    by_region: dict[str, bool] = {}
    for row in regions.select(["region", "missed"]).to_pylist():
        by_region[row["region"]] = by_region.get(row["region"], True) and row["missed"]
    return pa.Table.from_pylist(
        [
            {
                "scheme": scheme.name,
                "n_visits": trajectory.num_rows,
                "n_letter_visits": letter_visits(trajectory).num_rows,
                "n_fixations": int(np.sum(trajectory.column("n_fixations").to_numpy())),
                "dwell_s": float(np.sum(trajectory.column("dwell_s").to_numpy())),
                "letter_order": list(visited),
                "missed_letters": [letter for letter, _ in scheme.letters if letter not in visited],
                "missed_regions": [region for region, missed in by_region.items() if missed],
                "order_tau": _known(adherence.tau),
                "order_chance_tau": adherence.chance_tau,
                "order_chance_sd": _known(adherence.chance_sd),
                "order_chance_share": _known(adherence.chance_share),
            }
        ],
        schema=INSPECTION,
    )


def _visited(fixations: Fixations, inside: NDArray[np.bool_], merge_gap_s: float) -> dict[str, Any]:
    """Return the columns that say how often and how long a place was visited."""
    begins = fixations.visit_starts(inside, merge_gap_s)
    n_visits = int(begins.sum())
    return {
        "dwell_s": float(fixations.duration_s[inside].sum()),
        "n_fixations": int(inside.sum()),
        "n_visits": n_visits,
        "n_revisits": max(0, n_visits - 1),
        "t_first_ns": int(fixations.t_start_ns[inside].min()) if n_visits else None,
    }


def _near(region_map: RegionMap, names: Iterable[str], fixations: Fixations, error_deg: float) -> set[str]:
    """Return those of the regions that a fixation came as near to as the tracker's error."""
    chosen = {name: region_map.regions[name] for name in names}
    if not chosen or not error_deg > 0:
        return set()
    part = RegionMap.build(
        width_px=region_map.width_px,
        height_px=region_map.height_px,
        regions=chosen,
        provider=region_map.provider,
        confidence=region_map.confidence,
    )
    return {
        name for name, share in covered_regions(part, fixations, radius_deg=error_deg).items() if share > 0
    }


def _orders_by_swapped_pairs(n: int) -> list[int]:
    """Return how many orders of n things have 0, 1, 2 ... pairs in reverse."""
    counts = [1]
    for size in range(2, n + 1):
        longer = [0] * (len(counts) + size - 1)
        for at, count in enumerate(counts):
            for shift in range(size):
                longer[at + shift] += count
        counts = longer
    return counts


def _known(value: float) -> float | None:
    """Return a number, None for NaN."""
    return None if np.isnan(value) else float(value)

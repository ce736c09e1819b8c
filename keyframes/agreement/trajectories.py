"""Two inspection trajectories of one image, compared by their order of places and their dwell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from keyframes.agreement.sequences import grid_similarity, scanmatch, string_edit_similarity
from keyframes.errors import DataError
from keyframes.trajectory import letter_visits

__all__ = ["BIN_S", "TrajectoryAgreement", "compare_trajectories", "dwell_sequence"]

BIN_S = 0.1
"""s. Dwell counts in steps of this; ScanMatch's authors recommend 50 to 100 ms for fixations of common length."""
NEAR_DEG = 8.0
"""Degrees. Regions whose centres are nearer are rather alike: about the distance between the middles of neighbouring
lung zones on a film shown 25 degrees high. Two standard deviations of the saccade amplitude are the authors' rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryAgreement:
    """How alike two trajectories are; 1 = equal."""

    letters: float
    """String edit over the letters visited, consecutive visits to one letter merged."""
    regions: float
    """String edit over the regions visited."""
    scanmatch: float
    """ScanMatch over the regions visited with their dwell, near regions being alike; NaN without their centres."""


def compare_trajectories(
    first: pa.Table,
    second: pa.Table,
    *,
    image_index: int = 0,
    centres_deg: Mapping[str, tuple[float, float]] | None = None,
    bin_s: float = BIN_S,
    near_deg: float = NEAR_DEG,
) -> TrajectoryAgreement:
    """Compare two trajectory tables on one image.

    centres_deg : region -> its centre in degrees, any origin; `scanmatch` needs that of every region visited, and a
    region that is nowhere in particular (outside all others) may be left out: its visits are then passed over.
    """
    visits = [table.filter(pa.array(_on_image(table, image_index))) for table in (first, second)]
    letters = [letter_visits(table).column("letter").to_pylist() for table in visits]
    regions = [table.column("region").to_pylist() for table in visits]
    score = float("nan")
    if centres_deg:
        names = sorted(centres_deg)
        sequences = [
            dwell_sequence(
                table.filter(
                    pa.array([name in centres_deg for name in table.column("region").to_pylist()], pa.bool_())
                ),
                bin_s=bin_s,
            )
            for table in visits
        ]
        score = scanmatch(
            *sequences,
            places={name: row for row, name in enumerate(names)},
            similarity=grid_similarity([centres_deg[name] for name in names], near_deg=near_deg),
        )
    return TrajectoryAgreement(
        letters=string_edit_similarity(*letters), regions=string_edit_similarity(*regions), scanmatch=score
    )


def dwell_sequence(trajectory: pa.Table, *, bin_s: float = BIN_S) -> list[str]:
    """Return the regions visited, each repeated for every ``bin_s`` of its dwell, at least once."""
    if not bin_s > 0:
        raise DataError(f"bin_s is {bin_s}, expected more than 0")
    repeats = np.maximum(1, np.rint(trajectory.column("dwell_s").to_numpy() / bin_s)).astype(int)
    return [
        region
        for region, times in zip(trajectory.column("region").to_pylist(), repeats, strict=True)
        for _ in range(times)
    ]


def _on_image(trajectory: pa.Table, image_index: int) -> Iterable[bool]:
    return np.asarray(trajectory.column("image_index").to_numpy() == image_index)

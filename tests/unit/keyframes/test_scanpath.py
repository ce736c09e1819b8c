"""Transitions between places, and how much of a region was looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from keyframes.errors import GeometryError
from keyframes.reading import TRAJECTORY
from keyframes.regions.region_map import Region, RegionMap
from keyframes.regions.schemes import load_scheme
from keyframes.scanpath import region_coverage, transition_matrix


def make_trajectory(*places: tuple[str, int]) -> pa.Table:
    """Return visits of 200 ms to (region, image)."""
    rows: list[dict[str, Any]] = [
        {
            "order": i,
            "region": region,
            "letter": load_scheme().letter_of(region),
            "image_index": image,
            "t_start_ns": i * 250_000_000,
            "t_end_ns": i * 250_000_000 + 200_000_000,
            "dwell_s": 0.2,
            "n_fixations": 1,
            "scheme": "gazex-v1",
        }
        for i, (region, image) in enumerate(places)
    ]
    return pa.Table.from_pylist(rows, schema=TRAJECTORY)


def test_transitions_between_letters_and_regions() -> None:
    table = make_trajectory(("trachea", 0), ("carina", 0), ("left lung", 0), ("carina", 0), ("spine", 0))
    by_letter = transition_matrix(table, labels=["A", "B", "E", "F"])
    assert by_letter.counts.tolist() == [[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert by_letter.shares()[0].tolist() == [0.0, 0.5, 0.5, 0.0]
    assert by_letter.shares()[3].tolist() == [0.0] * 4
    by_region = transition_matrix(table, by="region")
    assert by_region.labels == ("carina", "left lung", "spine", "trachea")
    assert by_region.counts.sum() == 4
    assert by_region.counts[3, 0] == 1


def test_going_to_another_image_is_no_transition() -> None:
    table = make_trajectory(("trachea", 0), ("left lung", 1), ("spine", 1))
    assert transition_matrix(table).counts.sum() == 1
    assert transition_matrix(table.slice(0, 0)).counts.shape == (0, 0)


def make_map() -> RegionMap:
    return RegionMap.build(
        width_px=1000,
        height_px=1000,
        regions={
            "left lung": Region.from_box("left lung", (0, 0, 200, 200)),
            "spine": Region.from_box("spine", (800, 800, 900, 900)),
        },
        provider="manual",
        confidence=1.0,
    )


def test_coverage_is_the_share_of_the_area_within_the_radius() -> None:
    shares = region_coverage(make_map(), [100.0], [100.0], 40.0, 40.0, radius_deg=2.0)
    assert shares["left lung"] == pytest.approx(np.pi * 80**2 / 200**2, abs=0.01)
    assert shares["spine"] == 0.0


def test_coverage_is_angular_not_in_pixels() -> None:
    zoomed = region_coverage(make_map(), [100.0], [100.0], 80.0, 20.0, radius_deg=1.0)
    assert zoomed["left lung"] == pytest.approx(np.pi * 80 * 20 / 200**2, abs=0.01)


def test_overlapping_fixations_count_once_and_lost_ones_not_at_all() -> None:
    one = region_coverage(make_map(), [100.0], [100.0], 40.0, 40.0)
    same = region_coverage(
        make_map(), [100.0, 100.0, np.nan], [100.0, 100.0, 850.0], [40.0, 40.0, 40.0], 40.0
    )
    assert same == one
    unknown = region_coverage(make_map(), [100.0], [100.0], np.nan, 40.0)
    assert unknown == {"left lung": 0.0, "spine": 0.0}


def test_a_radius_of_nothing_is_refused() -> None:
    with pytest.raises(GeometryError, match="radius_deg"):
        region_coverage(make_map(), [1.0], [1.0], 1.0, 1.0, radius_deg=0.0)

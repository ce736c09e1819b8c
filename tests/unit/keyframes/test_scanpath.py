"""Transitions between places, and how much of a region and of a letter's area was looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import ArrayLike

from keyframes.errors import GeometryError
from keyframes.fixations import Fixations
from keyframes.reading import TRAJECTORY
from keyframes.regions.region_map import Region, RegionMap
from keyframes.regions.schemes import load_scheme
from keyframes.scanpath import covered_letters, covered_regions, transition_matrix

SCHEME = load_scheme()


def make_trajectory(*places: tuple[str, int]) -> pa.Table:
    """Return visits of 200 ms to (region, image)."""
    rows: list[dict[str, Any]] = [
        {
            "order": i,
            "region": region,
            "letter": SCHEME.letter_of(region),
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


def fixations(x: ArrayLike, y: ArrayLike, scale_x: ArrayLike, scale_y: ArrayLike) -> Fixations:
    columns = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(a, np.float64)) for a in (x, y, scale_x, scale_y))
    )
    n = np.arange(columns[0].size, dtype=np.int64)
    return Fixations(
        event_index=n,
        t_start_ns=n * 250_000_000,
        t_end_ns=n * 250_000_000 + 200_000_000,
        duration_s=np.full(n.size, 0.2),
        image_index=np.zeros_like(n),
        x_image_px=columns[0],
        y_image_px=columns[1],
        px_per_deg_x=columns[2],
        px_per_deg_y=columns[3],
    )


def test_coverage_is_the_share_of_the_area_within_the_radius() -> None:
    shares = covered_regions(make_map(), fixations(100, 100, 40, 40), radius_deg=2.0)
    assert shares["left lung"] == pytest.approx(np.pi * 80**2 / 200**2, abs=0.01)
    assert shares["spine"] == 0.0


def test_coverage_is_angular_not_in_pixels() -> None:
    each_axis = covered_regions(make_map(), fixations(100, 100, 80, 20), radius_deg=1.0)
    assert each_axis["left lung"] == pytest.approx(np.pi * 80 * 20 / 200**2, abs=0.01)
    zoomed = covered_regions(make_map(), fixations(100, 100, 20, 20), radius_deg=2.0)
    assert zoomed["left lung"] == pytest.approx(np.pi * 40**2 / 200**2, abs=0.01)


def test_every_fixation_has_the_zoom_of_its_own_moment() -> None:
    both = covered_regions(make_map(), fixations([50, 850], [100, 850], [20, 60], [20, 60]), radius_deg=1.0)
    assert both["left lung"] == pytest.approx(np.pi * 20**2 / 200**2, abs=0.01)
    assert both["spine"] == pytest.approx(
        covered_regions(make_map(), fixations(850, 850, 60, 60), radius_deg=1.0)["spine"]
    )
    assert both["spine"] > 0.9


def test_overlapping_fixations_count_once_and_those_without_a_scale_not_at_all() -> None:
    one = covered_regions(make_map(), fixations(100, 100, 40, 40))
    same = covered_regions(make_map(), fixations([100, 100, 850], [100, 100, 850], [40, 40, np.nan], 40))
    assert same == one


def test_where_no_scale_is_known_nothing_is_said() -> None:
    unknown = covered_regions(make_map(), fixations(100, 100, np.nan, 40))
    assert all(np.isnan(share) for share in unknown.values())
    nobody_looked = covered_regions(make_map(), fixations([], [], [], []))
    assert set(nobody_looked.values()) == {0.0}


def test_a_radius_of_nothing_is_refused() -> None:
    with pytest.raises(GeometryError, match="radius_deg"):
        covered_regions(make_map(), fixations(1, 1, 1, 1), radius_deg=0.0)


def test_a_letter_has_the_area_where_its_regions_win() -> None:
    regions = {
        "left lung": Region.from_box("left lung", (0, 0, 500, 1000)),
        "cardiac silhouette": Region.from_box("cardiac silhouette", (0, 0, 500, 500)),
    }
    found = RegionMap.build(width_px=1000, height_px=1000, regions=regions, provider="manual", confidence=1.0)
    shares = covered_letters(found, SCHEME, fixations(250, 250, 100, 100), radius_deg=2.5)
    assert shares["C"] == pytest.approx(np.pi * 0.25, abs=0.02)
    assert shares["B"] == 0.0
    assert shares["E"] == 0.0
    assert np.isnan(shares["A"])
    assert list(shares) == [letter for letter, _ in SCHEME.letters]
    beside = covered_letters(found, SCHEME, fixations(750, 500, 1000, 1000))
    assert beside["E"] == 1.0

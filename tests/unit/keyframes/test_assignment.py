"""Fixations to regions: the priority rule, and the spread by the tracker's error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from keyframes.errors import GeometryError
from keyframes.reading import EVENTS, GAZE, conform
from keyframes.regions.assignment import assign_regions, primary_region, region_table
from keyframes.regions.region_map import Region, RegionMap
from keyframes.regions.schemes import load_scheme, parse_scheme

SCHEME = load_scheme()
MS = 1_000_000


def make_map(boxes: dict[str, tuple[float, float, float, float]]) -> RegionMap:
    return RegionMap.build(
        width_px=1000,
        height_px=1000,
        regions={name: Region.from_box(name, box) for name, box in boxes.items()},
        provider="manual",
        confidence=1.0,
    )


def make_events(rows: list[dict[str, Any]]) -> pa.Table:
    """Fixations of 200 ms, one after the other, unless a row says otherwise."""
    filled = []
    for index, row in enumerate(rows):
        start = row.get("t_start_ns", index * 250 * MS)
        base: dict[str, Any] = {
            f.name: float("nan") if pa.types.is_floating(f.type) else None for f in EVENTS
        } | {
            "event_index": index,
            "kind": "fixation",
            "image_index": 0,
            "t_start_ns": start,
            "t_end_ns": start + 200 * MS,
            "duration_s": 0.2,
        }
        filled.append(base | row)
    return pa.Table.from_pylist(filled, schema=EVENTS)


def make_gaze(px_per_deg_x: float | list[float], px_per_deg_y: float, n: int = 2000) -> pa.Table:
    """Samples every ms from 0."""
    rows: dict[str, Any] = {}
    for f in GAZE:
        if pa.types.is_floating(f.type):
            rows[f.name] = np.full(n, np.nan)
        elif pa.types.is_string(f.type):
            rows[f.name] = ["simulated"] * n
        elif pa.types.is_boolean(f.type):
            rows[f.name] = [True] * n
        else:
            rows[f.name] = np.zeros(n, np.int64)
    rows["t_ns"] = np.arange(n) * MS
    rows["px_per_deg_x"] = np.resize(np.asarray(px_per_deg_x, np.float64), n)
    rows["px_per_deg_y"] = np.full(n, px_per_deg_y)
    return conform("gaze", pa.table(rows))


def weights_of(table: pa.Table, event: int = 0) -> dict[str, float]:
    return {r["region"]: r["weight"] for r in table.to_pylist() if r["event_index"] == event}


def test_of_overlapping_regions_the_first_group_wins_then_the_smaller() -> None:
    regions = make_map(
        {
            "mediastinum": (300, 0, 700, 900),
            "cardiac silhouette": (350, 400, 800, 900),
            "left cardiac silhouette": (575, 400, 800, 900),
            "left lung": (550, 100, 900, 900),
            "left lower lung zone": (700, 600, 900, 900),
            "trachea": (450, 0, 550, 300),
            "abdomen": (0, 800, 1000, 1000),
            "left upper abdomen": (500, 850, 1000, 1000),
            "device": (460, 100, 480, 200),
        }
    )
    x = [470, 500, 320, 600, 750, 600, 100, 950, 950, 1200, np.nan]
    y = [150, 150, 150, 500, 700, 200, 950, 820, 950, 500, 500]
    assert primary_region(regions, SCHEME, x, y).tolist() == [
        "device",
        "trachea",
        "mediastinum",
        "cardiac silhouette",
        "left lower lung zone",
        "left lung",
        "abdomen",
        "abdomen",
        "left upper abdomen",
        "external",
        "",
    ]


def test_primary_region_keeps_the_shape_of_its_input() -> None:
    regions = make_map({"spine": (0, 0, 500, 1000)})
    found = primary_region(regions, SCHEME, np.array([[100.0, 900.0]]), 10.0)
    assert found.tolist() == [["spine", "external"]]


def test_a_fixation_deep_inside_a_region_has_it_alone() -> None:
    maps = {0: make_map({"left lung": (0, 0, 1000, 1000)})}
    table = assign_regions(
        make_events([{"x_image_px": 500.0, "y_image_px": 500.0}]), make_gaze(50, 50), maps, SCHEME
    )
    assert table.to_pylist() == [
        {
            "event_index": 0,
            "region": "left lung",
            "letter": "B",
            "weight": pytest.approx(1.0),
            "is_primary": True,
            "scheme": "gazex-v1",
        }
    ]


def cut_gaussian_mass_below(off_sd: float) -> float:
    """Mass left of ``off_sd`` of a round Gaussian cut at 2 sd, by summing over a fine grid."""
    x, y = np.meshgrid(np.linspace(-2, 2, 801), np.linspace(-2, 2, 801))
    mass = np.exp(-(x**2 + y**2) / 2) * (x**2 + y**2 <= 4)
    return float(mass[x <= off_sd].sum() / mass.sum())


@pytest.mark.parametrize("off_sd", [-1.6, -0.5, 0.0, 0.4, 0.9, 1.3])
def test_the_weights_are_the_gaussians_mass_on_both_sides_of_a_border(off_sd: float) -> None:
    maps = {0: make_map({"left lung": (0, 0, 500.0, 1000), "spine": (500.0, 0, 1000, 1000)})}
    sd_px = 0.5 * 1.5 * 40
    events = make_events([{"x_image_px": 500.0 + off_sd * sd_px, "y_image_px": 500.0}])
    weights = weights_of(assign_regions(events, make_gaze(40, 40), maps, SCHEME, error_deg=1.5))
    assert weights["spine"] == pytest.approx(cut_gaussian_mass_below(off_sd), abs=0.05)


def test_each_axis_has_its_own_scale() -> None:
    maps = {0: make_map({"left lung": (480, 0, 520, 1000), "spine": (0, 480, 1000, 520)})}
    events = make_events([{"x_image_px": 500.0, "y_image_px": 500.0}])
    wide = weights_of(assign_regions(events, make_gaze(200, 1), maps, SCHEME))
    tall = weights_of(assign_regions(events, make_gaze(1, 200), maps, SCHEME))
    assert wide["spine"] > 0.6
    assert tall["left lung"] == pytest.approx(1.0)


def test_the_scale_is_that_of_the_fixations_own_time() -> None:
    maps = {0: make_map({"left lung": (0, 0, 510, 1000), "spine": (510, 0, 1000, 1000)})}
    events = make_events(
        [{"x_image_px": 500.0, "y_image_px": 500.0}, {"x_image_px": 500.0, "y_image_px": 500.0}]
    )
    zoomed_in_later = [200.0] * 225 + [2.0] * 1775
    table = assign_regions(events, make_gaze(zoomed_in_later, 50), maps, SCHEME)
    assert weights_of(table, 0)["spine"] > 0.2
    assert weights_of(table, 1) == {"left lung": pytest.approx(1.0)}


def test_gaze_may_come_in_any_order() -> None:
    maps = {0: make_map({"left lung": (0, 0, 510, 1000), "spine": (510, 0, 1000, 1000)})}
    events = make_events([{"x_image_px": 500.0, "y_image_px": 500.0}] * 3)
    gaze = make_gaze(np.linspace(10, 300, 2000).tolist(), 50)
    shuffled = gaze.take(np.random.default_rng(1).permutation(gaze.num_rows))
    assert assign_regions(events, shuffled, maps, SCHEME).equals(assign_regions(events, gaze, maps, SCHEME))


def test_without_a_scale_a_fixation_is_a_point() -> None:
    maps = {0: make_map({"left lung": (0, 0, 501, 1000), "spine": (501, 0, 1000, 1000)})}
    events = make_events([{"x_image_px": 500.0, "y_image_px": 500.0}])
    for gaze in (make_gaze(np.nan, np.nan), make_gaze(50, np.nan), make_gaze(50, 50, n=0)):
        assert weights_of(assign_regions(events, gaze, maps, SCHEME)) == {"left lung": 1.0}
    assert weights_of(assign_regions(events, make_gaze(50, 50), maps, SCHEME, error_deg=0.0)) == {
        "left lung": 1.0
    }


def test_off_the_image_but_in_its_viewport_is_outside() -> None:
    maps = {0: make_map({"spine": (400, 0, 600, 1000)})}
    events = make_events([{"x_image_px": -80.0, "y_image_px": 500.0}])
    rows = assign_regions(events, make_gaze(30, 30), maps, SCHEME).to_pylist()
    assert [(r["region"], r["letter"], r["is_primary"]) for r in rows] == [("external", "E", True)]


def test_only_fixations_on_an_image_with_a_map_have_rows() -> None:
    maps = {0: make_map({"spine": (0, 0, 1000, 1000)})}
    here = {"x_image_px": 500.0, "y_image_px": 500.0}
    events = make_events(
        [
            here | {"kind": "saccade"},
            here | {"image_index": None},
            here | {"image_index": 3},
            {"x_image_px": float("nan"), "y_image_px": 4.0},
            here | {"event_index": 77},
        ]
    )
    assert assign_regions(events, make_gaze(50, 50), maps, SCHEME).column("event_index").to_pylist() == [77]
    assert assign_regions(events, make_gaze(50, 50), {}, SCHEME).num_rows == 0
    assert assign_regions(events.slice(0, 0), make_gaze(50, 50), maps, SCHEME).num_rows == 0


def test_each_image_has_its_own_map() -> None:
    maps = {0: make_map({"spine": (0, 0, 1000, 1000)}), 1: make_map({"abdomen": (0, 0, 1000, 1000)})}
    here = {"x_image_px": 500.0, "y_image_px": 500.0}
    events = make_events([here | {"image_index": 1}, here, here | {"image_index": 1}])
    table = assign_regions(events, make_gaze(50, 50), maps, SCHEME)
    assert table.column("region").to_pylist() == ["abdomen", "spine", "abdomen"]
    assert table.column("event_index").to_pylist() == [0, 1, 2]


@pytest.mark.parametrize("error_deg", [-1.0, float("nan"), float("inf")])
def test_an_impossible_error_is_refused(error_deg: float) -> None:
    with pytest.raises(GeometryError, match="error_deg"):
        assign_regions(make_events([]), make_gaze(50, 50), {}, SCHEME, error_deg=error_deg)


def test_the_region_table_lists_every_region_of_every_image() -> None:
    maps = {
        1: make_map({"spine": (0, 0, 10, 20)}),
        0: make_map({"left lung": (1, 2, 3, 4), "femur": (0, 0, 9, 9)}),
    }
    rows = region_table(maps, SCHEME).to_pylist()
    assert [(r["image_index"], r["region"], r["letter"]) for r in rows] == [
        (0, "left lung", "B"),
        (1, "spine", "E"),
    ]
    assert rows[0]["box"] == [1.0, 2.0, 3.0, 4.0]
    assert (rows[0]["provider"], rows[0]["confidence"], rows[0]["scheme"]) == ("manual", 1.0, "gazex-v1")


def test_a_scheme_of_another_body_part_goes_through() -> None:
    scheme = parse_scheme(
        'name = "knee"\ntitle = "Knee"\noutside = { name = "rest", letter = "R" }\n'
        'letters = [{ letter = "J", title = "joint" }, { letter = "R", title = "rest" }]\n'
        '[[groups]]\nname = "joint"\nregions = [{ name = "joint space", letter = "J" }]\n'
    )
    maps = {0: make_map({"joint space": (0, 400, 1000, 600)})}
    events = make_events(
        [{"x_image_px": 500.0, "y_image_px": 500.0}, {"x_image_px": 500.0, "y_image_px": 900.0}]
    )
    table = assign_regions(events, make_gaze(20, 20), maps, scheme)
    assert table.column("region").to_pylist() == ["joint space", "rest"]
    assert set(table.column("scheme").to_pylist()) == {"knee"}

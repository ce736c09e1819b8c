"""What holds of regions for any map, any gaze and any picture."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keyframes.fixations import Fixations
from keyframes.inspection import letter_coverage, region_coverage
from keyframes.reading import EVENT_REGIONS, EVENTS, GAZE
from keyframes.regions import atlas
from keyframes.regions.assignment import assign_regions, primary_region, region_maps, region_table
from keyframes.regions.region_map import Region, RegionMap
from keyframes.regions.schemes import load_scheme
from keyframes.trajectory import inspection_trajectory, letter_visits

SCHEME = load_scheme()
NAMES = sorted(name for name in SCHEME.regions if name != SCHEME.outside)
SIDE = 100
# Eighths of a px: corners and points meet often, and no polygon is thinner than a float can hold.
coordinate = st.integers(-20 * 8, (SIDE + 20) * 8).map(lambda eighths: eighths / 8)
corner = st.tuples(*(st.integers(0, SIDE * 8).map(lambda eighths: eighths / 8) for _ in range(2)))


@st.composite
def drawn_maps(draw: st.DrawFn) -> RegionMap:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=8))
    return RegionMap.build(
        width_px=SIDE,
        height_px=SIDE,
        regions={
            name: Region(name=name, polygon=tuple(draw(st.lists(corner, min_size=3, max_size=7))))
            for name in names
        },
        provider="manual",
        confidence=1.0,
    )


@st.composite
def readings(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    """Return events and gaze: fixations one after the other, some lost, some without a known scale."""
    rows: list[dict[str, Any]] = []
    t = 0
    for index in range(draw(st.integers(0, 12))):
        t += draw(st.integers(1, 1500)) * 1_000_000
        duration = draw(st.integers(20, 600)) * 1_000_000
        rows.append(
            {f.name: float("nan") if pa.types.is_floating(f.type) else None for f in EVENTS}
            | {
                "event_index": index,
                "kind": draw(st.sampled_from(["fixation", "fixation", "fixation", "saccade", "blink"])),
                "t_start_ns": t,
                "t_end_ns": t + duration,
                "duration_s": duration / 1e9,
                "image_index": draw(st.sampled_from([0, 0, 0, 1, None])),
                "x_image_px": draw(coordinate),
                "y_image_px": draw(coordinate),
            }
        )
        t += duration
    n = draw(st.integers(0, 20))
    columns: dict[str, Any] = {}
    for f in GAZE:
        kind = f.type
        columns[f.name] = (
            np.full(n, np.nan)
            if pa.types.is_floating(kind)
            else [""] * n
            if pa.types.is_string(kind)
            else [True] * n
            if pa.types.is_boolean(kind)
            else np.zeros(n, np.int64)
        )
    columns["t_ns"] = np.linspace(0, max(t, 1), n).astype(np.int64)
    scale = st.one_of(st.just(float("nan")), st.floats(0.01, 200))
    for name in ("px_per_deg_x", "px_per_deg_y"):
        columns[name] = np.array(draw(st.lists(scale, min_size=n, max_size=n)), np.float64)
    return pa.Table.from_pylist(rows, schema=EVENTS), pa.table(columns).cast(
        pa.schema([pa.field(f.name, f.type) for f in GAZE])
    )


@settings(max_examples=60, deadline=None)
@given(drawn_maps(), st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=30))
def test_the_primary_region_is_the_one_that_the_rule_names(
    region_map: RegionMap, points: list[tuple[float, float]]
) -> None:
    x, y = np.array(points).T
    for px, py, found in zip(x, y, primary_region(region_map, SCHEME, x, y).tolist(), strict=True):
        holding = [name for name, region in region_map.regions.items() if bool(region.contains(px, py))]
        if not holding:
            assert found == SCHEME.outside
            continue
        rank = {n: (SCHEME.priority(n), region_map.regions[n].area_px2) for n in holding}
        assert rank[found] == min(rank.values())


@settings(max_examples=60, deadline=None)
@given(readings(), drawn_maps(), st.floats(0, 5))
def test_weights_of_a_fixation_sum_to_one_and_one_row_is_primary(
    reading: tuple[pa.Table, pa.Table], region_map: RegionMap, error_deg: float
) -> None:
    events, gaze = reading
    table = assign_regions(events, gaze, {0: region_map}, SCHEME, error_deg=error_deg)
    assert table.schema.equals(EVENT_REGIONS)
    rows = table.to_pylist()
    expected = {
        e["event_index"]: e for e in events.to_pylist() if e["kind"] == "fixation" and e["image_index"] == 0
    }
    assert {r["event_index"] for r in rows} == set(expected)
    for index, event in expected.items():
        own = [r for r in rows if r["event_index"] == index]
        assert sum(r["weight"] for r in own) == pytest.approx(1.0)
        assert all(0.0 <= r["weight"] <= 1.0 for r in own)
        assert len({r["region"] for r in own}) == len(own)
        primary = [r for r in own if r["is_primary"]]
        assert len(primary) == 1
        here = str(primary_region(region_map, SCHEME, event["x_image_px"], event["y_image_px"]))
        assert primary[0]["region"] == here
        assert all(r["letter"] == SCHEME.letter_of(r["region"]) for r in own)


@settings(max_examples=60, deadline=None)
@given(readings(), drawn_maps(), st.floats(0, 2), st.floats(0, 0.5))
def test_a_trajectory_neither_loses_nor_invents_dwell(
    reading: tuple[pa.Table, pa.Table], region_map: RegionMap, merge_gap_s: float, min_dwell_s: float
) -> None:
    events, gaze = reading
    regions = assign_regions(events, gaze, {0: region_map, 1: region_map}, SCHEME)
    with_region = set(regions.column("event_index").to_pylist())
    fixations = [e for e in events.to_pylist() if e["event_index"] in with_region]
    table = inspection_trajectory(events, regions, merge_gap_s=merge_gap_s, min_dwell_s=min_dwell_s)
    visits = table.to_pylist()
    assert [v["order"] for v in visits] == list(range(len(visits)))
    assert sum(v["n_fixations"] for v in visits) == len(fixations)
    assert sum(v["dwell_s"] for v in visits) == pytest.approx(sum(e["duration_s"] for e in fixations))
    for before, after in pairwise(visits):
        assert before["t_end_ns"] <= after["t_start_ns"]
    by_letter = letter_coverage(
        table, Fixations.of(events, gaze), {0: region_map, 1: region_map}, SCHEME
    ).to_pylist()
    assert sum(row["dwell_s"] for row in by_letter) == pytest.approx(sum(v["dwell_s"] for v in visits))
    for before, after in pairwise(letter_visits(table).to_pylist()):
        assert (before["letter"], before["image_index"]) != (after["letter"], after["image_index"])


@settings(max_examples=40, deadline=None)
@given(readings(), drawn_maps(), st.floats(0.1, 5))
def test_more_reach_covers_no_less_and_what_is_missed_was_not_looked_at(
    reading: tuple[pa.Table, pa.Table], region_map: RegionMap, radius_deg: float
) -> None:
    fixations, maps = Fixations.of(*reading), {0: region_map}
    near = region_coverage(fixations, maps, SCHEME, radius_deg=radius_deg).to_pylist()
    far = region_coverage(fixations, maps, SCHEME, radius_deg=2 * radius_deg).to_pylist()
    assert [row["region"] for row in near] == list(region_map.regions)
    for row, wider in zip(near, far, strict=True):
        assert (row["covered_share"] is None) == (wider["covered_share"] is None)
        assert 0.0 <= (row["covered_share"] or 0.0) <= (wider["covered_share"] or 0.0) <= 1.0
        assert (row["n_fixations"] > 0) == (row["t_first_ns"] is not None)
        assert row["n_fixations"] >= row["n_visits"] >= row["n_revisits"]
        assert not (row["missed"] and row["n_fixations"])


@settings(max_examples=40, deadline=None)
@given(drawn_maps())
def test_a_region_map_comes_back_from_its_table(region_map: RegionMap) -> None:
    table = region_table({3: region_map}, SCHEME)
    found = region_maps(table, {3: (SIDE, SIDE), 4: (SIDE, SIDE)})
    assert found == ({3: region_map} if region_map.regions else {})
    assert region_maps(table, {}) == {}


@settings(max_examples=25, deadline=None)
@given(
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=60).flatmap(
        lambda shape: hnp.arrays(np.uint8, shape, elements=st.integers(0, 255), fill=st.integers(0, 255))
    ),
    st.integers(1, 9),
)
def test_any_picture_gets_a_valid_map(small: np.ndarray[Any, np.dtype[np.uint8]], times: int) -> None:
    picture = np.kron(small, np.ones((times, times), np.uint8))
    found = atlas.fit(picture)
    assert 0.0 <= found.confidence <= 1.0
    height, width = picture.shape
    assert (found.height_px, found.width_px) == (height, width)
    assert found.regions
    for region in found.regions.values():
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 <= x1 <= width
        assert 0 <= y0 <= y1 <= height
    assert RegionMap.from_dict(found.to_dict()) == found

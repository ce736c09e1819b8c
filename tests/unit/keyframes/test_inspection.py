"""Coverage tables, ways, order of letters, what was missed."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import kendalltau

from keyframes.fixations import Fixations
from keyframes.inspection import (
    first_visits,
    inspection_summary,
    letter_coverage,
    order_adherence,
    region_coverage,
    transitions,
)
from keyframes.reading import INSPECTION, LETTER_COVERAGE, REGION_COVERAGE, TRAJECTORY, TRANSITIONS
from keyframes.regions.region_map import Region, RegionMap
from keyframes.regions.schemes import load_scheme

SCHEME = load_scheme()
LETTERS = [letter for letter, _ in SCHEME.letters]
MS = 1_000_000
BOXES = {
    "left lung": (500.0, 0.0, 1000.0, 1000.0),
    "left upper lung zone": (500.0, 0.0, 1000.0, 400.0),
    "carina": (480.0, 300.0, 500.0, 320.0),
    "abdomen": (0.0, 900.0, 400.0, 1000.0),
}


def make_map() -> RegionMap:
    return RegionMap.build(
        width_px=1000,
        height_px=1000,
        regions={name: Region.from_box(name, box) for name, box in BOXES.items()},
        provider="manual",
        confidence=1.0,
    )


def looks(
    *rows: tuple[int, int, float, float], images: list[int] | None = None, scale: float = 40.0
) -> Fixations:
    """Fixations given as (start ms, end ms, x, y)."""
    start, end, x, y = (np.array(column) for column in zip(*rows, strict=True))
    return Fixations(
        event_index=np.arange(len(rows)),
        t_start_ns=start.astype(np.int64) * MS,
        t_end_ns=end.astype(np.int64) * MS,
        duration_s=(end - start) / 1000,
        image_index=np.array(images or [0] * len(rows)),
        x_image_px=x.astype(np.float64),
        y_image_px=y.astype(np.float64),
        px_per_deg_x=np.full(len(rows), scale),
        px_per_deg_y=np.full(len(rows), scale),
    )


def make_trajectory(*visits: tuple[str, int, int], images: list[int] | None = None) -> pa.Table:
    """Visits given as (region, start ms, end ms)."""
    rows: list[dict[str, Any]] = [
        {
            "order": i,
            "region": region,
            "letter": SCHEME.letter_of(region),
            "image_index": images[i] if images else 0,
            "t_start_ns": start * MS,
            "t_end_ns": end * MS,
            "dwell_s": (end - start) / 1000,
            "n_fixations": 1,
            "scheme": SCHEME.name,
        }
        for i, (region, start, end) in enumerate(visits)
    ]
    return pa.Table.from_pylist(rows, schema=TRAJECTORY)


def rows_of(table: pa.Table, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in table.to_pylist()}


def test_dwell_visits_and_first_look_of_regions() -> None:
    seen = looks((0, 200, 700, 200), (240, 440, 800, 700), (480, 680, 100, 100), (720, 1020, 600, 300))
    table = region_coverage(seen, {0: make_map()}, SCHEME)
    assert table.schema.equals(REGION_COVERAGE)
    rows = rows_of(table, "region")
    lung, zone = rows["left lung"], rows["left upper lung zone"]
    assert (lung["dwell_s"], lung["n_fixations"], lung["n_visits"], lung["n_revisits"]) == (
        pytest.approx(0.7), 3, 2, 1)  # fmt: skip
    assert (zone["dwell_s"], zone["n_visits"], zone["t_first_ns"]) == (pytest.approx(0.5), 2, 0)
    assert rows["carina"]["t_first_ns"] is None
    assert 0.0 < lung["covered_share"] < zone["covered_share"] < 1.0
    assert {row["scheme"] for row in rows.values()} == {SCHEME.name}


def test_a_long_absence_begins_another_visit() -> None:
    seen = looks((0, 200, 700, 200), (1300, 1500, 700, 200))
    for gap_s, n_visits in ((1.0, 2), (1.2, 1)):
        rows = rows_of(region_coverage(seen, {0: make_map()}, SCHEME, merge_gap_s=gap_s), "region")
        assert rows["left lung"]["n_visits"] == n_visits


def test_a_look_at_another_image_ends_a_visit_and_counts_there() -> None:
    seen = looks((0, 200, 700, 200), (240, 440, 700, 200), (480, 680, 700, 200), images=[0, 1, 0])
    table = region_coverage(seen, {0: make_map(), 1: make_map()}, SCHEME).to_pylist()
    counts = {(r["image_index"], r["region"]): (r["n_fixations"], r["n_visits"]) for r in table}
    assert counts[0, "left lung"] == (2, 2)
    assert counts[1, "left lung"] == (1, 1)


def test_missed_is_what_no_fixation_came_near_to() -> None:
    beside = looks((0, 200, 540, 310))  # 1 degree right of the carina's edge
    for error_deg, missed in ((0.9, True), (1.1, False), (0.0, True)):
        rows = rows_of(region_coverage(beside, {0: make_map()}, SCHEME, error_deg=error_deg), "region")
        assert rows["carina"]["missed"] is missed
        assert rows["abdomen"]["missed"] is True
        assert rows["left lung"]["missed"] is False


def test_regions_that_the_scheme_does_not_know_are_left_out() -> None:
    regions = {
        "left lung": Region.from_box("left lung", (0, 0, 9, 9)),
        "femur": Region.from_box("femur", (0, 0, 9, 9)),
    }
    strange = RegionMap.build(width_px=9, height_px=9, regions=regions, provider="manual", confidence=1.0)
    table = region_coverage(looks((0, 200, 5, 5)), {0: strange}, SCHEME)
    assert table.column("region").to_pylist() == ["left lung"]
    assert region_coverage(looks((0, 200, 5, 5)), {}, SCHEME).num_rows == 0


def test_without_a_scale_there_is_dwell_but_no_coverage() -> None:
    rows = rows_of(
        region_coverage(looks((0, 200, 700, 200), scale=float("nan")), {0: make_map()}, SCHEME), "region"
    )
    assert rows["left lung"]["covered_share"] is None
    assert rows["left lung"]["dwell_s"] == pytest.approx(0.2)
    assert rows["carina"]["missed"] is True


def test_letters_have_a_row_each_in_reading_order() -> None:
    visits = make_trajectory(
        ("carina", 0, 200), ("left lung", 240, 640), ("left upper lung zone", 680, 780), ("spine", 800, 900),
        ("left lung", 940, 1040),
    )  # fmt: skip
    seen = looks((0, 200, 490, 310), (240, 640, 700, 700))
    table = letter_coverage(visits, seen, {0: make_map(), 3: make_map()}, SCHEME)
    assert table.schema.equals(LETTER_COVERAGE)
    assert table.column("letter").to_pylist() == LETTERS * 2
    rows = rows_of(table.slice(0, 6), "letter")
    assert (rows["B"]["n_visits"], rows["B"]["n_revisits"], rows["B"]["n_fixations"]) == (2, 1, 3)
    assert rows["B"]["dwell_s"] == pytest.approx(0.6)
    assert rows["B"]["dwell_share"] == pytest.approx(0.6 / 0.9)
    assert (rows["D"]["missed"], rows["D"]["t_first_ns"], rows["B"]["t_first_ns"]) == (True, None, 240 * MS)
    assert rows["A"]["covered_share"] == pytest.approx(1.0)
    assert rows["F"]["covered_share"] is None
    assert 0.0 < rows["B"]["covered_share"] < 0.5
    assert all(row["dwell_s"] == 0.0 for row in table.slice(6).to_pylist())


def test_ways_between_letters_and_regions() -> None:
    visits = make_trajectory(
        ("carina", 0, 200), ("left lung", 240, 640), ("left upper lung zone", 680, 780), ("carina", 800, 900)
    )
    table = transitions(visits, SCHEME)
    assert table.schema.equals(TRANSITIONS)
    ways = {(r["by"], r["source"], r["target"]): (r["n"], r["share"]) for r in table.to_pylist()}
    assert ways == {
        ("letter", "A", "B"): (1, 1.0),
        ("letter", "B", "A"): (1, 1.0),
        ("region", "carina", "left lung"): (1, 1.0),
        ("region", "left lung", "left upper lung zone"): (1, 1.0),
        ("region", "left upper lung zone", "carina"): (1, 1.0),
    }


REGION_OF = {"A": "carina", "B": "left lung", "C": "svc", "D": "abdomen", "E": "spine", "F": "device"}


def visits_in(order: str) -> pa.Table:
    return make_trajectory(*((REGION_OF[letter], i * 300, i * 300 + 250) for i, letter in enumerate(order)))


def test_order_adherence_is_kendalls_tau_of_first_visits_beside_all_orders() -> None:
    orders = ["".join(order) for order in permutations("ABDE")]
    found = [order_adherence(visits_in(order + "AE"), LETTERS) for order in orders]
    taus = np.array([adherence.tau for adherence in found])
    for order, adherence in zip(orders, found, strict=True):
        assert adherence.tau == pytest.approx(
            kendalltau([order.index(c) for c in "ABDE"], range(4)).statistic
        )
        assert adherence.n_letters == 4
        assert adherence.chance_share == pytest.approx(np.mean(taus >= adherence.tau - 1e-9))
    assert np.mean(taus) == pytest.approx(found[0].chance_tau)
    assert np.std(taus) == pytest.approx(found[0].chance_sd)


@pytest.mark.parametrize("order", ["", "C", "CCC"])
def test_one_letter_has_no_order(order: str) -> None:
    adherence = order_adherence(visits_in(order), LETTERS)
    assert math.isnan(adherence.tau)
    assert math.isnan(adherence.chance_share)
    assert adherence.n_letters == len(set(order))


def test_the_summary_names_order_and_what_was_missed() -> None:
    seen = looks((0, 200, 700, 200), (240, 440, 490, 310), images=[0, 1])
    covered = region_coverage(seen, {0: make_map(), 1: make_map()}, SCHEME)
    visits = make_trajectory(("left lung", 0, 200), ("carina", 240, 440), images=[0, 1])
    table = inspection_summary(visits, covered, SCHEME)
    assert table.schema.equals(INSPECTION)
    (row,) = table.to_pylist()
    assert row["letter_order"] == ["B", "A"]
    assert row["missed_letters"] == ["C", "D", "E", "F"]
    assert row["missed_regions"] == ["abdomen"]
    assert (row["n_visits"], row["n_fixations"], row["dwell_s"]) == (2, 2, pytest.approx(0.4))
    assert (row["order_tau"], row["order_chance_tau"], row["order_chance_share"]) == (-1.0, 0.0, 1.0)


def test_the_summary_of_nothing_is_a_row_too() -> None:
    (row,) = inspection_summary(TRAJECTORY.empty_table(), REGION_COVERAGE.empty_table(), SCHEME).to_pylist()
    assert row["missed_letters"] == LETTERS
    assert row["order_tau"] is None
    assert row["n_fixations"] == 0
    assert first_visits(TRAJECTORY.empty_table()) == ()

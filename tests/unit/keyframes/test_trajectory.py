"""The inspection trajectory: merging, absorbing, letters."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from keyframes.reading import EVENT_REGIONS, EVENTS, TRAJECTORY
from keyframes.regions.schemes import load_scheme
from keyframes.trajectory import inspection_trajectory, letter_visits

MS = 1_000_000


def make(*fixations: tuple[str, int, int], images: list[int] | None = None) -> tuple[pa.Table, pa.Table]:
    """Return both tables for fixations given as (region, start in ms, end in ms)."""
    scheme = load_scheme()
    events: list[dict[str, Any]] = []
    regions: list[dict[str, Any]] = []
    for index, (region, start, end) in enumerate(fixations):
        events.append(
            {f.name: float("nan") if pa.types.is_floating(f.type) else None for f in EVENTS}
            | {
                "event_index": index,
                "kind": "fixation",
                "t_start_ns": start * MS,
                "t_end_ns": end * MS,
                "duration_s": (end - start) / 1000,
                "image_index": images[index] if images else 0,
            }
        )
        if not region:
            continue
        for name, primary in ((region, True), ("external", False)):
            regions.append(
                {
                    "event_index": index,
                    "region": name,
                    "letter": scheme.letter_of(name),
                    "weight": 0.6 if primary else 0.4,
                    "is_primary": primary,
                    "scheme": scheme.name,
                }
            )
    return pa.Table.from_pylist(events, schema=EVENTS), pa.Table.from_pylist(regions, schema=EVENT_REGIONS)


def visits(table: pa.Table) -> list[tuple[str, float, int]]:
    return [(r["region"], round(r["dwell_s"], 6), r["n_fixations"]) for r in table.to_pylist()]


def test_consecutive_fixations_on_one_region_are_one_visit() -> None:
    table = inspection_trajectory(*make(("carina", 0, 200), ("carina", 240, 500), ("left lung", 540, 800)))
    assert visits(table) == [("carina", 0.46, 2), ("left lung", 0.26, 1)]
    assert table.column("order").to_pylist() == [0, 1]
    assert table.column("t_start_ns").to_pylist() == [0, 540 * MS]
    assert table.column("t_end_ns").to_pylist() == [500 * MS, 800 * MS]
    assert table.schema.equals(TRAJECTORY)


def test_a_long_absence_begins_a_new_visit() -> None:
    fixations = make(("carina", 0, 200), ("carina", 1300, 1500))
    assert len(visits(inspection_trajectory(*fixations))) == 2
    assert visits(inspection_trajectory(*fixations, merge_gap_s=1.1)) == [("carina", 0.4, 2)]


def test_another_image_begins_a_new_visit() -> None:
    table = inspection_trajectory(*make(("carina", 0, 200), ("carina", 240, 500), images=[0, 1]))
    assert table.column("image_index").to_pylist() == [0, 1]


def test_a_short_stray_fixation_is_absorbed_by_what_encloses_it() -> None:
    table = inspection_trajectory(
        *make(("carina", 0, 200), ("spine", 240, 300), ("carina", 340, 600), ("left lung", 640, 900))
    )
    assert visits(table) == [("carina", 0.52, 3), ("left lung", 0.26, 1)]


@pytest.mark.parametrize(
    "fixations",
    [
        [("carina", 0, 200), ("spine", 240, 340), ("carina", 380, 600)],
        [("carina", 0, 200), ("spine", 240, 290), ("left lung", 330, 600)],
        [("carina", 0, 200), ("spine", 240, 290), ("spine", 300, 340), ("carina", 380, 600)],
        [("spine", 0, 50), ("carina", 90, 300)],
        [("carina", 0, 200), ("spine", 240, 290), ("carina", 1400, 1600)],
    ],
    ids=["long enough", "not enclosed", "two fixations", "at the start", "back too late"],
)
def test_any_other_short_fixation_stays_a_visit(fixations: list[tuple[str, int, int]]) -> None:
    assert "spine" in inspection_trajectory(*make(*fixations)).column("region").to_pylist()


def test_strays_in_a_row_are_absorbed_one_by_one() -> None:
    table = inspection_trajectory(
        *make(
            ("carina", 0, 200),
            ("spine", 240, 300),
            ("carina", 340, 400),
            ("trachea", 440, 500),
            ("carina", 540, 900),
        )
    )
    assert visits(table) == [("carina", 0.74, 5)]


def test_fixations_without_a_region_and_other_events_do_not_count() -> None:
    events, regions = make(("carina", 0, 200), ("", 240, 400), ("carina", 440, 600))
    assert visits(inspection_trajectory(events, regions)) == [("carina", 0.36, 2)]
    kinds = pa.array(["fixation", "saccade", "saccade"])
    events = events.set_column(events.schema.get_field_index("kind"), EVENTS.field("kind"), kinds)
    assert visits(inspection_trajectory(events, regions)) == [("carina", 0.2, 1)]


def test_no_fixation_no_visit() -> None:
    table = inspection_trajectory(EVENTS.empty_table(), EVENT_REGIONS.empty_table())
    assert table.num_rows == 0
    assert letter_visits(table).num_rows == 0


def test_events_need_not_be_in_order_of_time() -> None:
    events, regions = make(("carina", 0, 200), ("left lung", 240, 400), ("spine", 440, 600))
    shuffled = events.take([2, 0, 1])
    assert inspection_trajectory(shuffled, regions).equals(inspection_trajectory(events, regions))


def reading() -> pa.Table:
    return inspection_trajectory(
        *make(
            ("trachea", 0, 200),
            ("carina", 240, 400),
            ("left lung", 440, 700),
            ("cardiac silhouette", 740, 1000),
            ("left upper lung zone", 1040, 1300),
            ("left lower lung zone", 1340, 1600),
        )
    )


def test_visits_to_regions_of_one_letter_are_one_letter_visit() -> None:
    table = letter_visits(reading())
    assert table.column("letter").to_pylist() == ["A", "B", "C", "B"]
    assert table.column("n_fixations").to_pylist() == [2, 1, 1, 2]
    assert table.column("dwell_s").to_pylist() == pytest.approx([0.36, 0.26, 0.26, 0.52])
    assert table.column("order").to_pylist() == [0, 1, 2, 3]

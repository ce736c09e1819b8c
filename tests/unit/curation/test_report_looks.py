"""The report's tables of letters, regions missed and reference lesions."""

from __future__ import annotations

from typing import Any

from curation.report.hints import DASH
from curation.report.looks import lesion_looks, letter_looks, missed_regions


def test_letters_have_their_name_and_image_where_there_are_several() -> None:
    look = {
        "image_index": 1, "letter": "B", "covered_share": None, "dwell_s": 1.25, "dwell_share": 0.5, "n_visits": 2,
        "t_first_ns": 2_500_000_000,
    }  # fmt: skip
    row = {"letter_coverage": [look]}
    (shown,) = letter_looks(row, {"B": "breathing"}, {0: "Current image", 1: "Prior image"})
    assert (shown.name, shown.image_name, shown.first) == ("breathing", "Prior image", "2.5 s")
    assert (shown.share, shown.n_visits, shown.covered) == ("50 %", 2, DASH)
    (alone,) = letter_looks(row, {}, {1: "Prior image"})
    assert (alone.name, alone.image_name) == ("", "")


def test_a_region_is_missed_where_it_was_on_every_image() -> None:
    looks = [("carina", True), ("spine", True), ("carina", False), ("spine", True)]
    row = {"region_coverage": [{"region": region, "missed": missed} for region, missed in looks]}
    assert missed_regions(row) == ("spine",)


def test_lesions_have_their_label_and_what_became_of_them() -> None:
    base: dict[str, Any] = {
        "reported": False,
        "t_first_ns": None,
        "dwell_s": 0.0,
        "n_visits": 0,
        "error": "search",
    }
    row = {
        "truth": [{"finding_id": str(i), "label": f"lesion {i}", "image_index": 0} for i in range(3)],
        "lesion_gaze": [
            {**base, "finding_id": "0"},
            {**base, "finding_id": "1", "reported": True, "error": None, "dwell_s": 2.0, "n_visits": 3,
             "t_first_ns": 10**9},
            {**base, "finding_id": "2", "dwell_s": None, "n_visits": None, "error": None},
            {**base, "finding_id": "gone"},
        ],
    }  # fmt: skip
    never, reported, nowhere = lesion_looks(row, {0: "Current image"})
    assert (never.label, never.first, never.outcome.split(" (")[0]) == (
        "lesion 0",
        DASH,
        "not reported: search",
    )
    assert (reported.first, reported.dwell, reported.visits, reported.outcome) == (
        "1.0 s",
        "2.0 s",
        "3",
        "reported",
    )
    assert (nowhere.dwell, nowhere.visits, nowhere.outcome) == (DASH, DASH, "not reported")


def test_a_dataset_from_before_they_were_measured_has_none() -> None:
    assert letter_looks({}, {}, {}) == ()
    assert missed_regions({"region_coverage": None}) == ()
    assert lesion_looks({"truth": None}, {}) == ()

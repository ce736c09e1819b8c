"""Two trajectories of one image beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from keyframes.agreement import compare_trajectories, dwell_sequence
from keyframes.errors import DataError
from keyframes.reading import TRAJECTORY

LETTER = {"trachea": "A", "carina": "A", "left lung": "B", "right lung": "B", "heart": "C"}
CENTRES = {
    "trachea": (0.0, -8.0),
    "carina": (0.0, -6.0),
    "left lung": (5.0, 0.0),
    "right lung": (-5.0, 0.0),
    "heart": (1.0, 3.0),
}


def trajectory(*visits: tuple[str, float], image_index: int = 0) -> pa.Table:
    """Return visits of (region, dwell)."""
    rows: list[dict[str, Any]] = [
        {
            "order": i,
            "region": region,
            "letter": LETTER[region],
            "image_index": image_index,
            "t_start_ns": i * 10**9,
            "t_end_ns": i * 10**9 + int(dwell_s * 1e9),
            "dwell_s": dwell_s,
            "n_fixations": 1,
            "scheme": "gazex-v1",
        }
        for i, (region, dwell_s) in enumerate(visits)
    ]
    return pa.Table.from_pylist(rows, schema=TRAJECTORY)


def test_equal_ones_are_equal() -> None:
    one = trajectory(("trachea", 0.5), ("left lung", 1.0), ("heart", 0.3))
    found = compare_trajectories(one, one, centres_deg=CENTRES)
    assert (found.letters, found.regions, found.scanmatch) == (1.0, 1.0, 1.0)


def test_regions_differ_where_letters_agree_and_near_ones_are_alike() -> None:
    one = trajectory(("trachea", 0.5), ("left lung", 1.0))
    near = trajectory(("carina", 0.5), ("left lung", 1.0))
    far = trajectory(("heart", 0.5), ("left lung", 1.0))
    found = compare_trajectories(one, near, centres_deg=CENTRES)
    assert (found.letters, found.regions) == (1.0, 0.5)
    assert compare_trajectories(one, far, centres_deg=CENTRES).scanmatch < found.scanmatch < 1.0


def test_dwell_counts_in_scanmatch_alone() -> None:
    one, longer = trajectory(("trachea", 0.5), ("heart", 0.5)), trajectory(("trachea", 0.5), ("heart", 2.5))
    found = compare_trajectories(one, longer, centres_deg=CENTRES)
    assert (found.letters, found.regions) == (1.0, 1.0)
    assert found.scanmatch == pytest.approx(10 / 30)


def test_only_the_image_asked_for_counts_and_centres_are_optional() -> None:
    one = trajectory(("trachea", 0.5), ("heart", 0.5))
    other = trajectory(("heart", 0.5), ("trachea", 0.5), image_index=1)
    both = pa.concat_tables([one, other])
    found = compare_trajectories(one, both)
    assert (found.letters, found.regions) == (1.0, 1.0)
    assert np.isnan(found.scanmatch)
    assert compare_trajectories(one, both, image_index=1).regions == 0.0


def test_a_place_without_a_centre_is_passed_over() -> None:
    one = trajectory(("trachea", 0.5), ("heart", 0.5))
    without = {name: at for name, at in CENTRES.items() if name != "heart"}
    assert compare_trajectories(one, trajectory(("trachea", 0.5)), centres_deg=without).scanmatch == 1.0


def test_dwell_in_bins() -> None:
    assert dwell_sequence(trajectory(("heart", 0.31), ("carina", 0.01))) == ["heart"] * 3 + ["carina"]
    with pytest.raises(DataError, match="bin_s"):
        dwell_sequence(trajectory(("heart", 0.31)), bin_s=0.0)

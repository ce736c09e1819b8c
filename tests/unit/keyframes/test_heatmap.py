"""Heat maps and clusters of fixations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from keyframes.clusters import NOISE, cluster_fixations
from keyframes.errors import GeometryError
from keyframes.heatmap import LONGEST_CELLS, DwellMap, dwell_map, log_normalised


def test_a_lone_fixation_is_a_gaussian_of_its_dwell() -> None:
    drawn = dwell_map([100.5], [60.5], [0.4], 10.0, 20.0, width_px=200, height_px=150)
    assert drawn.cell_px == 1.0
    assert drawn.heat.shape == (150, 200)
    assert drawn.heat.dtype == np.float32
    assert int(np.argmax(drawn.heat)) == 60 * 200 + 100
    assert drawn.heat[60, 100] == pytest.approx(0.4)
    assert drawn.heat[60, 110] == pytest.approx(0.4 * np.exp(-0.5), rel=1e-5)
    assert drawn.heat[80, 100] == pytest.approx(0.4 * np.exp(-0.5), rel=1e-5)


def test_the_grid_does_not_grow_with_the_image() -> None:
    small = dwell_map([125.0], [150.0], [1.0], 10.0, 10.0, width_px=250, height_px=300)
    large = dwell_map([1250.0], [1500.0], [1.0], 100.0, 100.0, width_px=2500, height_px=3000)
    assert max(large.heat.shape) == LONGEST_CELLS
    np.testing.assert_allclose(small.heat, large.heat, atol=1e-5)


def test_a_gaussian_ends_where_the_image_was_not_shown() -> None:
    rect = [[40.0, 0.0, 60.0, 100.0]]
    drawn = dwell_map([50.0], [50.0], [1.0], 15.0, 15.0, width_px=100, height_px=100, shown_rects=rect)
    lit = np.flatnonzero(drawn.heat.any(axis=0))
    assert (lit[0], lit[-1]) == (40, 59)
    assert np.flatnonzero(drawn.heat.any(axis=1)).size == 100


def test_what_is_smaller_than_a_cell_is_still_there() -> None:
    tiny = [[1500.0, 1500.0, 1501.0, 1501.0]]
    drawn = dwell_map([1500.5], [1500.5], [0.3], 0.01, 0.01, width_px=3000, height_px=3000, shown_rects=tiny)
    assert np.count_nonzero(drawn.heat) == 1


def test_box_is_half_open_and_cut_at_the_image() -> None:
    drawn = dwell_map([1.0], [1.0], [1.0], 5000.0, 5000.0, width_px=1001, height_px=700)
    assert drawn.hot_boxes(0.5, width_px=1001, height_px=700) == [[0.0, 0.0, 1001.0, 700.0]]


def test_every_connected_hot_area_has_a_box_the_longest_looked_at_first() -> None:
    x, y, dwell = [20.5, 100.5, 106.5, 180.5], [20.5, 50.5, 50.5, 20.5], [1.1, 1.0, 1.0, 0.1]
    drawn = dwell_map(x, y, dwell, 4.0, 4.0, width_px=200, height_px=80)
    boxes = drawn.hot_boxes(0.3, width_px=200, height_px=80)
    assert len(boxes) == 2, "the last one is not hot"
    (x0, y0, x1, y1), lone = boxes
    assert x0 < 96
    assert x1 > 111
    assert y0 < 50 < y1
    assert lone[0] < 20 < lone[2] < x0


def test_areas_that_touch_at_a_corner_are_one() -> None:
    heat = np.zeros((6, 6), np.float32)
    heat[1, 1] = heat[2, 2] = heat[5, 5] = 1.0
    drawn = DwellMap(heat=heat, cell_px=2.0)
    assert drawn.hot_boxes(0.5, width_px=11, height_px=12) == [[2.0, 2.0, 6.0, 6.0], [10.0, 10.0, 11.0, 12.0]]
    assert (
        DwellMap(heat=np.zeros((3, 3), np.float32), cell_px=1.0).hot_boxes(0.5, width_px=3, height_px=3) == []
    )


def test_nothing_gives_zeros_and_an_image_of_no_size_an_error() -> None:
    empty = dwell_map([], [], [], 1.0, 1.0, width_px=10, height_px=10)
    assert not empty.heat.any()
    assert not log_normalised(empty.heat).any()
    with pytest.raises(GeometryError, match="0 x 10"):
        dwell_map([], [], [], 1.0, 1.0, width_px=0, height_px=10)


def test_logarithmic_heat_goes_from_0_to_1() -> None:
    heat = log_normalised(np.array([[0.0, 0.001, 1.0]], np.float32))
    np.testing.assert_allclose(heat, [[0.0, np.log(2) / np.log(1001), 1.0]], rtol=1e-5)


def brute_force(
    xy: NDArray[np.float64],
    dwell: NDArray[np.float64],
    per_deg: NDArray[np.float64],
    radius: float,
    least: float,
) -> NDArray[np.int64]:
    """Return the cores' components by repeated spreading, and border points by nearest core."""
    mean = (per_deg[:, None] + per_deg[None, :]) / 2
    distance = np.hypot(*(np.abs(xy[:, None, k] - xy[None, :, k]) / mean for k in (0, 1)))
    core = (np.where(distance <= radius, dwell[None, :], 0.0).sum(axis=1)) >= least
    labels = np.where(core, np.arange(len(xy)), NOISE)
    for _ in range(len(xy)):
        for i in np.flatnonzero(core):
            labels[i] = labels[core & (distance[i] <= radius)].min()
    for i in np.flatnonzero(~core):
        near = np.flatnonzero(core & (distance[i] <= radius))
        if near.size:
            labels[i] = labels[near[np.argmin(distance[i, near])]]
    seen: dict[int, int] = {NOISE: NOISE}
    for label in labels.tolist():
        seen.setdefault(label, len(seen) - 1)
    return np.array([seen[label] for label in labels.tolist()])


@given(st.integers(0, 2**32 - 1), st.integers(0, 25))
def test_clusters_agree_with_their_definition(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 300, (n, 2))
    dwell, per_deg = rng.uniform(0.05, 0.5, n), rng.uniform(15, 45, n)
    found = cluster_fixations(xy[:, 0], xy[:, 1], dwell, per_deg, per_deg, radius_deg=1.5, min_dwell_s=0.4)
    np.testing.assert_array_equal(found, brute_force(xy, dwell, per_deg, 1.5, 0.4))


def test_clusters_by_hand() -> None:
    x, y = [0.0, 10.0, 100.0, 200.0], [0.0, 0.0, 0.0, 0.0]
    labels = cluster_fixations(x, y, [0.2, 0.2, 0.5, 0.1], 20.0, 20.0, radius_deg=1.0, min_dwell_s=0.3)
    assert labels.tolist() == [0, 0, 1, NOISE]

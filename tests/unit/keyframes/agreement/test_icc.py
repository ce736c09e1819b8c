"""Intraclass correlations, against the worked example of Shrout and Fleiss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyframes.agreement import centroid_icc, icc
from keyframes.errors import DataError

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
"""Table 2 of Shrout & Fleiss 1979: six targets, four judges."""


def test_the_published_example() -> None:
    found = icc(SHROUT_FLEISS)
    assert found.one_way == pytest.approx(0.17, abs=0.005)
    assert found.absolute == pytest.approx(0.29, abs=0.005)
    assert found.consistent == pytest.approx(0.71, abs=0.006)
    assert found.absolute_of_mean == pytest.approx(0.62, abs=0.005)
    assert (found.n_targets, found.n_readers) == (6, 4)


def test_a_target_without_one_rating_is_left_out() -> None:
    with_a_gap = np.vstack([SHROUT_FLEISS, [1.0, np.nan, 2.0, 3.0]])
    assert icc(with_a_gap) == icc(SHROUT_FLEISS)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), offset=st.floats(-50, 50), factor=st.floats(0.1, 20))
def test_units_do_not_matter_and_a_readers_offset_only_to_absolute_agreement(
    seed: int, offset: float, factor: float
) -> None:
    random = np.random.default_rng(seed)
    table = random.normal(0, 10, (8, 1)) + random.normal(0, 3, (8, 3))
    found, scaled = icc(table), icc(table * factor + 7)
    assert scaled.absolute == pytest.approx(found.absolute)
    shifted = icc(table + np.array([0.0, 0.0, offset]))
    assert shifted.consistent == pytest.approx(found.consistent)
    if abs(offset) > 20:
        assert shifted.absolute < found.absolute


def test_perfect_agreement_and_no_variance() -> None:
    assert icc([[1, 1], [2, 2], [5, 5]]).absolute == 1.0
    assert np.isnan(icc([[1, 1], [1, 1]]).absolute)


def test_centroids() -> None:
    x = np.asarray(SHROUT_FLEISS, np.float64)
    y = np.arange(6.0)[:, None] * np.ones(4)
    in_x, in_y = centroid_icc(np.stack([x, y], axis=2))
    assert in_x == icc(x)
    assert in_y.absolute == 1.0
    lost = np.stack([x, y], axis=2)
    lost[0, 0, 0] = np.nan
    assert centroid_icc(lost)[1].n_targets == 5


def test_what_it_refuses() -> None:
    with pytest.raises(DataError, match="2 or more readers"):
        icc([[1.0], [2.0]])
    with pytest.raises(DataError, match="1 targets"):
        icc([[1.0, 2.0], [np.nan, 1.0]])
    with pytest.raises(DataError, match="expected"):
        centroid_icc(np.zeros((3, 2)))

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from gazecapture.session.robust_line import theil_sen

FINITE = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(FINITE, st.integers(0, 20)), min_size=2, max_size=30))
def test_it_is_the_line_that_scipy_finds(points: list[tuple[float, int]]) -> None:
    y, x = (np.array(column, float) for column in zip(*points, strict=True))
    if np.ptp(x):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", RuntimeWarning
            )  # of its confidence limits, which ours does not give
            expected = theilslopes(y, x)[:2]
        assert theil_sen(y, x) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    else:  # SciPy gives NaN
        assert theil_sen(y, x) == (0.0, np.median(y))


def test_a_quarter_of_the_points_may_be_anything() -> None:
    x = np.arange(40.0)
    y = 3.0 + 0.5 * x
    y[::4] = 1e9
    slope, level = theil_sen(y, x)
    assert slope == pytest.approx(0.5)
    y[::4] = -1e9
    assert theil_sen(y, x)[0] == pytest.approx(0.5)
    assert np.isfinite(level)

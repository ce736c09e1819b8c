"""The lag of a screen, from flips and a sensor that this test makes up, known to the microsecond."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gazecapture.screen.display_lag import measure_display_lag
from keyframes.errors import DataError

MS = 1_000_000
RATE_HZ = 1000


def flips(n: int = 40) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    gaps = np.random.default_rng(1).integers(300, 500, n)
    return 10**12 + np.cumsum(gaps) * MS, np.arange(n) % 2 == 0


def sensor(
    flip_ns: NDArray[np.int64],
    is_bright: NDArray[np.bool_],
    lag_ms: NDArray[np.float64],
    *,
    noise: float = 0.02,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A photodiode at 1000 Hz before a screen that takes 4 ms from dark to bright or back."""
    t_ns = np.arange(flip_ns[0] - 500 * MS, flip_ns[-1] + 500 * MS, 10**9 // RATE_HZ)
    light = np.full(t_ns.size, 1.0 - is_bright[0])
    for start, bright, lag in zip(flip_ns, is_bright, lag_ms, strict=True):
        share = np.clip((t_ns - start - (lag - 2) * MS) / (4 * MS), 0, 1)
        light = np.where(t_ns >= start + (lag - 2) * MS, share if bright else 1 - share, light)
    return t_ns, 3 * light + np.random.default_rng(2).normal(0, noise, t_ns.size)


def test_the_lag_and_its_spread_are_found() -> None:
    flip_ns, is_bright = flips()
    lags = 21.4 + np.random.default_rng(3).uniform(-8.3, 8.3, flip_ns.size)
    found = measure_display_lag(flip_ns, is_bright, *sensor(flip_ns, is_bright, lags))
    assert found.lag_ms == pytest.approx(np.median(lags), abs=0.2)
    assert found.sd_ms == pytest.approx(np.std(lags, ddof=1), abs=0.2)
    assert (found.n_flips, found.n_seen) == (40, 40)


def test_bright_and_dark_are_told_apart() -> None:
    flip_ns, is_bright = flips()
    found = measure_display_lag(
        flip_ns, is_bright, *sensor(flip_ns, is_bright, np.where(is_bright, 18.0, 30.0))
    )
    assert found.brighter_ms == pytest.approx(18, abs=0.2)
    assert found.darker_ms == pytest.approx(30, abs=0.2)


def test_a_sensor_that_looks_elsewhere_is_told() -> None:
    flip_ns, is_bright = flips()
    t_ns, values = sensor(flip_ns, is_bright, np.full(flip_ns.size, 20.0))
    rng = np.random.default_rng(4)
    for wrong in (
        rng.normal(0, 1, values.size),
        np.zeros(values.size),
        np.full(values.size, np.nan),
        -values,
    ):
        with pytest.raises(DataError, match="did not see the patch"):
            measure_display_lag(flip_ns, is_bright, t_ns, wrong)
    with pytest.raises(DataError, match="9 flips"):
        measure_display_lag(flip_ns[:9], is_bright[:9], t_ns, values)

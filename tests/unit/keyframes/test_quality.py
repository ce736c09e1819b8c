"""Quality figures against ETDQualitizer, hand-worked values and the cases where they have no value."""

from __future__ import annotations

import math
from collections.abc import Callable

import ETDQualitizer as etdq  # noqa: N813 - the package's own spelling
import numpy as np
import pytest
from numpy.typing import NDArray

from keyframes import quality
from keyframes.errors import DataError, TimestampError

FloatArray = NDArray[np.float64]
AGREES = 1e-6


@pytest.fixture(params=[0, 1, 2])
def gaze(request: pytest.FixtureRequest) -> tuple[FloatArray, FloatArray]:
    """A correlated cloud off the centre, some samples lost."""
    rng = np.random.default_rng(request.param)
    x = 12.0 + rng.normal(0, 0.3, 400)
    y = -7.0 + 0.4 * (x - 12.0) + rng.normal(0, 0.2, 400)
    lost = rng.random(400) < 0.05
    x[lost] = y[lost] = np.nan
    return x, y


def test_agrees_with_etdqualitizer(gaze: tuple[FloatArray, FloatArray]) -> None:
    x, y = gaze
    assert quality.accuracy_deg(x, y, 11.0, -8.0) == pytest.approx(
        etdq.accuracy(x, y, 11.0, -8.0)[0], abs=AGREES
    )
    assert quality.rms_s2s_deg(x, y) == pytest.approx(etdq.rms_s2s(x, y)[0], abs=AGREES)
    assert quality.sd_deg(x, y) == pytest.approx(etdq.std(x, y)[0], abs=AGREES)
    assert quality.bcea_deg2(x, y) == pytest.approx(etdq.bcea(x, y)[0], abs=AGREES)
    assert quality.bcea_deg2(x, y, probability=0.95) == pytest.approx(etdq.bcea(x, y, 0.95)[0], abs=AGREES)
    assert 100 * quality.loss_share(x, y) == pytest.approx(etdq.data_loss_from_invalid(x, y), abs=AGREES)


def test_effective_rate_agrees_with_etdqualitizer_without_loss_and_not_with_it() -> None:
    t = np.arange(500) / 250.0
    x = np.zeros(500)
    assert quality.effective_rate_hz(t) == pytest.approx(etdq.effective_frequency(x, x, 2.0), abs=AGREES)
    kept = np.ones(500, np.bool_)
    kept[100:200] = False
    assert quality.effective_rate_hz(t[kept]) == pytest.approx(250.0, abs=AGREES)
    assert etdq.effective_frequency(x[kept], x[kept], 2.0) == pytest.approx(200.0)


def test_hand_worked_values() -> None:
    assert quality.accuracy_deg([1.0, 1.0], [0.0, 0.0], 0.0, 0.0) == pytest.approx(1.0)
    assert quality.accuracy_deg([0.0], [90.0], 123.0, 90.0) == pytest.approx(
        0.0, abs=1e-9
    )  # one pole, any azimuth
    assert quality.rms_s2s_deg([0, 3, 3], [0, 4, 4]) == pytest.approx(math.sqrt(12.5))
    assert quality.sd_deg([1, -1], [1, -1]) == pytest.approx(math.sqrt(2))
    assert quality.loss_share([1, np.nan, 3, 4], [1, 2, np.inf, 4]) == 0.5
    assert quality.effective_rate_hz([0.0, 0.1, 0.2, 5.0]) == pytest.approx(10.0)


def test_rms_s2s_forms_no_pair_across_a_loss() -> None:
    assert quality.rms_s2s_deg([0.0, 0.0, np.nan, 9.0, 9.0], np.zeros(5)) == 0.0


def test_a_sample_lost_on_one_axis_counts_on_neither() -> None:
    assert quality.sd_deg([1, -1, 50], [1, -1, np.nan]) == pytest.approx(math.sqrt(2))


def test_samples_on_a_line_have_no_area() -> None:
    x = np.linspace(0.0, 1.0, 20)
    assert quality.bcea_deg2(x, np.zeros(20)) == 0.0
    assert quality.bcea_deg2(x, 2 * x) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("values", [[], [np.nan], [np.nan, np.inf]])
def test_nothing_valid_gives_nan_without_a_warning(values: list[float]) -> None:
    assert math.isnan(quality.accuracy_deg(values, values, 0.0, 0.0))
    assert math.isnan(quality.rms_s2s_deg(values, values))
    assert math.isnan(quality.sd_deg(values, values))
    assert math.isnan(quality.bcea_deg2(values, values))


def test_too_little_data_gives_nan() -> None:
    assert math.isnan(quality.loss_share([], []))
    assert math.isnan(quality.effective_rate_hz([]))
    assert math.isnan(quality.effective_rate_hz([1.0]))
    assert math.isnan(quality.bcea_deg2([1.0], [1.0]))


def test_bad_input_is_named() -> None:
    with pytest.raises(TimestampError, match="backward") as backward:
        quality.effective_rate_hz([0.0, 1.0, 0.5])
    assert backward.value.record == 2
    with pytest.raises(TimestampError, match="not finite"):
        quality.effective_rate_hz([0.0, np.nan])
    with pytest.raises(TimestampError, match="equal"):
        quality.effective_rate_hz([0.0, 0.0, 0.0, 1.0])
    with pytest.raises(DataError, match="one length"):
        quality.sd_deg([1.0, 2.0], [1.0])
    with pytest.raises(DataError, match="probability"):
        quality.bcea_deg2([1.0, 2.0], [1.0, 3.0], probability=1.0)


ETDQ_NAMES = {"rms_s2s_deg": "RMS-S2S", "sd_deg": "STD", "bcea_deg2": "BCEA"}


@pytest.mark.parametrize("metric", sorted(ETDQ_NAMES))
def test_moving_windows_agree_with_etdqualitizer(
    gaze: tuple[FloatArray, FloatArray], metric: quality.Metric
) -> None:
    x, y = gaze
    for rate_hz in (50.0, 333.0):
        values = quality.moving(metric, 7.0 + np.arange(400) / rate_hz, x, y, window_s=40 / rate_hz)
        assert np.isfinite(values).sum() == 361
        theirs = etdq.precision_using_moving_window(x, y, 40, ETDQ_NAMES[metric])
        assert np.nanmedian(values) == pytest.approx(theirs, abs=AGREES)


def test_the_rate_of_valid_samples_agrees_with_etdqualitizer(gaze: tuple[FloatArray, FloatArray]) -> None:
    x, y = gaze
    assert quality.valid_rate_hz(x, y, 1.6) == pytest.approx(etdq.effective_frequency(x, y, 1.6), abs=AGREES)
    expected_percent = etdq.data_loss_from_expected(x, y, 1.6, 250.0)
    assert 100 * (1 - quality.valid_rate_hz(x, y, 1.6) / 250.0) == pytest.approx(expected_percent, abs=AGREES)


def test_moving_windows_follow_time_and_not_the_number_of_samples() -> None:
    t = np.array([0.0, 0.1, 0.2, 1.0, 1.1, 1.2])
    x = np.array([0.0, np.nan, 0.0, 5.0, 5.0, 5.0])
    y = np.zeros(6)
    np.testing.assert_allclose(
        quality.moving("loss_share", t, x, y, window_s=0.3), [1 / 3, 0.5, 0, 0, np.nan, np.nan]
    )
    np.testing.assert_allclose(
        quality.moving("valid_rate_hz", t, x, y, window_s=0.2), [5, 5, 5, 10, 10, np.nan]
    )
    accuracy = quality.moving("accuracy_deg", t, x, y, window_s=0.1, target_x_deg=1.0)
    np.testing.assert_allclose(accuracy, [1, np.nan, 1, 4, 4, 4], atol=1e-9)


FUNCTIONS: dict[quality.Metric, Callable[[FloatArray, FloatArray], float]] = {
    "rms_s2s_deg": quality.rms_s2s_deg,
    "sd_deg": quality.sd_deg,
    "bcea_deg2": lambda x, y: quality.bcea_deg2(x, y, probability=0.9),
    "loss_share": quality.loss_share,
    "accuracy_deg": lambda x, y: quality.accuracy_deg(x, y, 3.0, -2.0),
    "valid_rate_hz": lambda x, y: quality.valid_rate_hz(x, y, 0.1),
}


@pytest.mark.parametrize("metric", FUNCTIONS)
def test_a_moving_window_s_value_is_that_of_its_samples_alone(
    metric: quality.Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the windows are taken in several goes.
    monkeypatch.setattr(quality, "WINDOWS_AT_ONCE", 100)
    rng = np.random.default_rng(4)
    t = np.cumsum(rng.choice([0.0, 0.001, 0.002, 0.002, 0.002, 0.003, 0.02], 1500))
    x, y = np.repeat(rng.normal(0, 15, (2, 30)), 50, axis=1) + rng.normal(0, 0.02, (2, 1500))
    lost = rng.random(1500) < 0.1
    lost[700:800] = True
    x[lost], y[rng.random(1500) < 0.02] = np.nan, np.inf
    x[1200] = 1e9  # finite nonsense, which must not spoil the digits of windows without it
    values = quality.moving(
        metric, t, x, y, window_s=0.1, target_x_deg=3.0, target_y_deg=-2.0, probability=0.9
    )
    interval_s = np.median(np.diff(t))
    inside = [(t >= start) & (t < start + 0.1 - 0.01 * interval_s) for start in t]
    for i in range(1500):
        inside[i][:i] = False
    last = np.searchsorted(t, t[-1] + 1.01 * interval_s - 0.1, side="right")
    expected = [FUNCTIONS[metric](x[rows], y[rows]) for rows in inside[:last]]
    assert np.isnan(values[last:]).all()
    # Two samples, or three in a line, have an area of 0 that rounding makes as large as the root of a last digit.
    tolerance = 1e-6 if metric == "bcea_deg2" else 1e-9
    np.testing.assert_allclose(values[:last], expected, rtol=1e-9, atol=tolerance)


def test_moving_windows_of_too_little_or_wrong_input() -> None:
    assert quality.moving("sd_deg", [], [], [], window_s=1.0).size == 0
    assert np.isnan(quality.moving("sd_deg", [0.0, 0.1], [1.0, 1.0], [1.0, 1.0], window_s=1.0)).all()
    with pytest.raises(DataError, match="one time per sample"):
        quality.moving("sd_deg", [0.0], [1.0, 2.0], [1.0, 2.0], window_s=1.0)
    with pytest.raises(DataError, match="positive window"):
        quality.moving("sd_deg", [0.0], [1.0], [1.0], window_s=0.0)
    with pytest.raises(DataError, match="found 'std'"):
        quality.moving("std", [0.0], [1.0], [1.0], window_s=1.0)  # type: ignore[arg-type]
    with pytest.raises(TimestampError, match="backward"):
        quality.moving("sd_deg", [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], window_s=0.1)
    with pytest.raises(DataError, match="duration"):
        quality.valid_rate_hz([1.0], [1.0], 0.0)

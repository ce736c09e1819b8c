"""The adaptive detector's own rules: thresholds of the place and moment, long losses, drift, oscillation, pursuit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from keyframes.events import BLINK, FIXATION, NONE, PURSUIT, SACCADE, detect
from keyframes.events.adaptive import DEFAULT, detect_adaptive
from keyframes.events.kinematics import noise_rms_s2s_deg, velocity
from keyframes.events.samples import prepare
from keyframes.events.thresholds import speed_thresholds

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int8]
Gaze = tuple[FloatArray, FloatArray, FloatArray]
SCALE = (40.0, 36.0)


def steps(rate_hz: float, duration_s: float, *, noise_deg: float, seed: int) -> Gaze:
    """Return t_s, x_px, y_px: a 3 degree step of 30 ms every 0.3 s, to and fro, and white noise."""
    t = np.arange(round(rate_hz * duration_s)) / rate_hz
    phase = np.clip((t % 0.3 - 0.2) / 0.03, 0, 1)
    curve = 10 * phase**3 - 15 * phase**4 + 6 * phase**5
    x_deg = 10 + 3 * np.where((t // 0.3) % 2 == 0, curve, 1 - curve)
    noise = np.random.default_rng(seed).normal(0, noise_deg, (2, t.size))
    return t, (x_deg + noise[0]) * SCALE[0], (8 + noise[1]) * SCALE[1]


def labels_of(t: FloatArray, x: FloatArray, y: FloatArray) -> Labels:
    return detect(t, x, y, *SCALE, method="adaptive").labels


def count(labels: Labels, code: int) -> int:
    """Return the number of runs of a code."""
    return int(np.count_nonzero(np.diff((labels == code).astype(np.int8), prepend=0) == 1))


@pytest.mark.parametrize("rate_hz", [120.0, 500.0, 1000.0])
def test_parts_between_long_losses_know_nothing_of_each_other(rate_hz: float) -> None:
    """A quiet half and a noisy one give what each gives alone, to the last digit of every column."""
    quiet = steps(rate_hz, 6.0, noise_deg=0.01, seed=1)
    noisy = steps(rate_hz, 6.0, noise_deg=0.12, seed=2)
    gap_s = 1.5
    t = np.concatenate([quiet[0], noisy[0] + 6.0 + gap_s])
    x, y = (np.concatenate([quiet[i], noisy[i]]) for i in (1, 2))
    alone = [labels_of(*quiet), labels_of(*noisy)]
    assert count(alone[0], SACCADE) == count(alone[1], SACCADE) == 20
    np.testing.assert_array_equal(labels_of(t, x, y), np.concatenate(alone))
    n = quiet[0].size
    lost = np.full(round(gap_s * rate_hz), np.nan)
    t_all = np.arange(2 * n + lost.size) / rate_hz
    x_all, y_all = (np.concatenate([quiet[i], lost, noisy[i]]) for i in (1, 2))
    whole = detect(t_all, x_all, y_all, *SCALE, method="adaptive").table.to_pandas()
    first = detect(t_all[:n], x_all[:n], y_all[:n], *SCALE, method="adaptive").table.to_pandas()
    measured = first.columns.drop(["event_index", "image_index"])
    assert whole[measured].iloc[: len(first)].equals(first[measured])


def test_a_burst_of_noise_is_no_burst_of_saccades() -> None:
    t, x, y = steps(500.0, 30.0, noise_deg=0.01, seed=3)
    burst = (t > 12.22) & (t < 13.02)
    rng = np.random.default_rng(0)
    x, y = (a + burst * rng.normal(0, 0.15 * s, t.size) for a, s in zip((x, y), SCALE, strict=True))
    samples = prepare(t, x, y, *SCALE)
    fixed = dataclasses.replace(DEFAULT, local_noise_max_multiple=1.0)
    extra = count(detect_adaptive(samples, 0.02, fixed).labels, SACCADE) - 100
    mine = count(labels_of(t, x, y), SACCADE) - 100
    assert extra >= 10
    assert abs(mine) <= 2


@pytest.mark.parametrize("rate_hz", [60.0, 250.0, 500.0, 2000.0])
def test_noise_alone_holds_no_saccade_at_any_rate(rate_hz: float) -> None:
    t = np.arange(round(20 * rate_hz)) / rate_hz
    x, y = np.random.default_rng(1).normal(400, 0.05 * 40, (2, t.size))
    assert count(labels_of(t, x, y), SACCADE) == 0


def test_the_lid_s_drift_belongs_to_the_blink() -> None:
    t, x, y = steps(500.0, 3.0, noise_deg=0.01, seed=5)
    x[:] = 400 + np.random.default_rng(0).normal(0, 0.4, t.size)
    x[500:560] = np.nan
    since = t[560:] - t[560]
    y[560:] += 36 * 3 * np.exp(-since / 0.004) + 36 * 2.0 * np.exp(
        -since / 0.060
    )  # fast, then down to a few deg/s
    labels = labels_of(t, x, y)
    end = 500 + int(np.argmax(labels[500:] != BLINK))
    assert 0.04 < t[end] - t[560] < 0.08  # it drifts at 10 deg/s after 60 ms
    assert labels[end + 5] == FIXATION


def test_what_lasts_longer_than_any_saccade_is_no_event() -> None:
    t, x, y = steps(500.0, 3.0, noise_deg=0.01, seed=6)
    x[:] = 400.0 + np.random.default_rng(1).normal(0, 0.4, t.size)
    x += 40 * 60 * np.clip(t - 1.0, 0, 0.4)  # 60 deg/s for 0.4 s
    labels = labels_of(t, x, y)
    assert count(labels, SACCADE) == 0
    assert (labels[(t > 1.02) & (t < 1.38)] == NONE).all()
    assert count(labels, FIXATION) == 2


def test_an_oscillation_ends_where_it_does_not_swing_any_more() -> None:
    t, x, y = steps(1000.0, 12.0, noise_deg=0.004, seed=7)
    phase = np.maximum(t % 0.3 - 0.23, 0)
    sign = np.where((t // 0.3) % 2 == 0, 1, -1)
    x += 40 * 0.4 * sign * (t % 0.3 > 0.23) * np.exp(-phase / 0.010) * np.sin(2 * np.pi * 25 * phase)
    table = detect(t, x, y, *SCALE, method="adaptive").table.to_pandas()
    pso = table[table.kind == "pso"]
    assert len(pso) >= 38
    assert 0.010 < pso.duration_s.median() <= 0.040
    np.testing.assert_allclose((pso.t_start_ns * 1e-9) % 0.3, 0.23, atol=0.008)


def test_pursuit_only_on_request_and_only_where_the_eye_follows() -> None:
    t, x, y = steps(500.0, 4.0, noise_deg=0.01, seed=8)
    x[:] = 400.0 + np.random.default_rng(2).normal(0, 0.4, t.size)
    x += 40 * 12 * np.clip(t - 1.5, 0, 1.0)  # 12 deg/s for a second
    assert PURSUIT not in labels_of(t, x, y)
    found = detect(t, x, y, *SCALE, method="adaptive", pursuit=True)
    follows = (t > 1.5) & (t < 2.5)
    assert ((found.labels == PURSUIT) == follows).mean() > 0.95
    assert count(found.labels, PURSUIT) == 1
    row = found.table.to_pandas().query("kind == 'pursuit'").iloc[0]
    assert row.mean_velocity_deg_per_s == pytest.approx(12, rel=0.15)
    assert row.direction_deg == pytest.approx(0, abs=2)
    assert found.parameters["pursuit_min_deg_per_s"] == 5.0
    still = steps(500.0, 6.0, noise_deg=0.01, seed=9)
    assert PURSUIT not in detect(*still, *SCALE, method="adaptive", pursuit=True).labels


def test_slopes_of_even_times_are_those_of_least_squares() -> None:
    """Both ways of computing them, and numpy's; jitter beyond a thousandth switches the way."""
    t, x, y = steps(500.0, 1.0, noise_deg=0.02, seed=10)
    half = 3
    for jitter_s in (0.0, 1e-5):
        at = t + np.random.default_rng(3).uniform(-jitter_s, jitter_s, t.size)
        speed = velocity(prepare(at, x, y, *SCALE), half * 0.002).speed_deg_per_s
        for i in range(20, 480, 7):
            rows = slice(i - half, i + half + 1)
            vx, vy = (np.polyfit(at[rows] - at[i], p[rows], 1)[0] for p in (x, y))
            assert speed[i] == pytest.approx(
                np.hypot(vx / SCALE[0], vy / SCALE[1]), rel=1e-3 if jitter_s else 1e-9
            )
    assert not np.isnan(speed).any()


def test_thresholds_are_the_fixed_point_of_median_and_deviation() -> None:
    rng = np.random.default_rng(0)
    speed = np.concatenate([rng.rayleigh(6.0, 9000), rng.uniform(150, 400, 1000), [np.nan] * 5])
    found = speed_thresholds(
        speed, peak_noise_multiple=8, edge_noise_multiple=4, peak_min_deg_per_s=18, edge_share=0.3
    )
    slow = speed[speed < found.peak]
    median = np.median(slow)
    deviation = 1.4826 * np.median(np.abs(slow - median))
    assert found.peak == pytest.approx(median + 8 * deviation, abs=0.1)
    assert found.edge == pytest.approx(median + 4 * deviation, abs=0.1)
    assert 35 < found.peak < 60


@pytest.mark.parametrize("rate_hz", [60.0, 500.0])
def test_noise_is_measured_in_parts_too(rate_hz: float) -> None:
    quiet, noisy = (steps(rate_hz, 20.0, noise_deg=s, seed=4) for s in (0.01, 0.1))
    x, y = (np.concatenate([quiet[i], noisy[i]]) for i in (1, 2))
    samples = prepare(np.arange(x.size) / rate_hz, x, y, *SCALE)
    half = x.size // 2
    assert noise_rms_s2s_deg(samples, 0, half) < 0.06
    assert noise_rms_s2s_deg(samples, half, x.size) == pytest.approx(0.2, rel=0.3)


def test_ten_hours_at_60_hz_with_losses() -> None:
    n = 36_000 * 60
    _, x, y = steps(60.0, 300.0, noise_deg=0.05, seed=11)
    x, y = np.resize(x, n), np.resize(y, n)
    x[:: 60 * 20] = np.nan
    x[60_000:61_000] = np.nan
    found = detect(np.arange(n) / 60.0, x, y, *SCALE, method="adaptive")
    assert found.labels.shape == (n,)
    assert (found.labels[60_000:61_000] == NONE).all()
    assert 0.8 < count(found.labels, SACCADE) / (36_000 / 0.3) < 1.1

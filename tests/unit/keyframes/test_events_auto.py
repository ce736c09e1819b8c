"""Which detector `auto` takes, and why."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from keyframes.events import FIXATION, detect

FloatArray = NDArray[np.float64]
SCALE = 40.0


def reading(
    rate_hz: float, noise_deg: float, *, seed: int = 0
) -> tuple[FloatArray, FloatArray, FloatArray, list[tuple[float, float]]]:
    """Return t_s, x_px, y_px and the fixations' start and end in s: 20 s of steps of 1 to 8 degrees."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(20.0 * rate_hz)) / rate_hz
    deg, at_s, fixations = np.zeros((2, t.size)), 0.0, []
    while at_s < 20.0:
        rest_s = float(np.clip(rng.lognormal(np.log(0.25), 0.4), 0.1, 1.0))
        fixations.append((at_s, at_s + rest_s))
        size, angle = rng.uniform(1, 8), rng.uniform(0, 2 * np.pi)
        lasts_s = 0.021 + 0.0022 * size
        phase = np.clip((t - at_s - rest_s) / lasts_s, 0, 1)
        way = 10 * phase**3 - 15 * phase**4 + 6 * phase**5
        deg += size * np.array([[np.cos(angle)], [np.sin(angle)]]) * way
        at_s += rest_s + lasts_s
    deg += rng.normal(0, noise_deg, deg.shape)
    return t, deg[0] * SCALE, deg[1] * SCALE, fixations


def share_found(labels: NDArray[np.int8], rate_hz: float, fixations: list[tuple[float, float]]) -> float:
    """Return 2 * matched / (found + true) fixations, overlap over union at least one half."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], labels == FIXATION, [False]]).astype(np.int8)))
    found = (edges / rate_hz).reshape(-1, 2)
    hits = sum(2 * (min(b, d) - max(a, c)) >= max(b, d) - min(a, c) for a, b in found for c, d in fixations)
    return 2 * hits / (len(found) + len(fixations))


CHOICES = [
    (500.0, 0.05, "adaptive"),
    (1000.0, 0.1, "adaptive"),
    (2000.0, 0.05, "adaptive"),
    (120.0, 0.03, "adaptive"),
    (500.0, 0.3, "clustering"),
    (1000.0, 0.6, "clustering"),
    (120.0, 0.2, "clustering"),
    (60.0, 0.02, "clustering"),
    (60.0, 0.4, "clustering"),
    (30.0, 0.05, "clustering"),
]


@pytest.mark.parametrize(("rate_hz", "noise_deg", "expected"), CHOICES)
def test_auto_chooses_by_noise_and_rate_and_says_why(rate_hz: float, noise_deg: float, expected: str) -> None:
    t, x, y, fixations = reading(rate_hz, noise_deg)
    chosen = detect(t, x, y, SCALE, SCALE)
    assert chosen.method == expected
    assert f"{rate_hz:.0f} Hz" in chosen.reason
    assert f"{chosen.parameters['noise_rms_s2s_deg']:.3f} deg" in chosen.reason
    by_name = detect(t, x, y, SCALE, SCALE, method=expected)
    np.testing.assert_array_equal(chosen.labels, by_name.labels)
    assert by_name.reason == "asked for by name"
    assert share_found(chosen.labels, rate_hz, fixations) >= (0.9 if rate_hz > 30 else 0.8)


@pytest.mark.parametrize(("rate_hz", "noise_deg"), [(500.0, 0.5), (120.0, 0.4), (60.0, 0.3)])
def test_clustering_is_better_where_it_is_chosen_for_noise(rate_hz: float, noise_deg: float) -> None:
    t, x, y, fixations = reading(rate_hz, noise_deg)
    chosen, other = (detect(t, x, y, SCALE, SCALE, method=m).labels for m in ("clustering", "adaptive"))
    assert share_found(chosen, rate_hz, fixations) > share_found(other, rate_hz, fixations)


def test_too_few_samples_to_measure_the_noise() -> None:
    found = detect(np.array([0.0, 0.002]), np.array([1.0, 1.0]), np.array([1.0, 1.0]), SCALE, SCALE)
    assert found.method == "adaptive"
    assert "too few" in found.reason


def test_the_baselines_know_no_noise() -> None:
    t, x, y, _ = reading(500.0, 0.3)
    for method in ("ivt", "idt"):
        assert FIXATION not in detect(t, x, y, SCALE, SCALE, method=method).labels


@pytest.mark.parametrize(("method", "shortest_s"), [("ivt", 0.055), ("idt", 0.100)])
@pytest.mark.parametrize("rate_hz", [60.0, 500.0])
def test_the_baselines_round_durations_to_samples(method: str, shortest_s: float, rate_hz: float) -> None:
    """The shortest fixation need be no multiple of the interval: 55 ms is 27 or 28 samples of 2 ms, 3 of 17 ms."""
    found_s = []
    for count in range(1, round(shortest_s * rate_hz) + 8):
        rest = np.full(count, 100.0)
        x = np.concatenate([rest, 100.0 + 400.0 * np.arange(1, 61)])
        t = np.arange(x.size) / rate_hz
        table = detect(t, x, np.zeros(x.size), SCALE, SCALE, method=method).table.to_pandas()
        found_s += table.duration_s[(table.kind == "fixation") & (table.t_start_ns == 0)].tolist()
    assert min(found_s) == pytest.approx(shortest_s, abs=0.51 / rate_hz)

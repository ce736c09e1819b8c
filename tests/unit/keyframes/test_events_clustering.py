"""The clustering detector: places and the steps between them, in gaze too noisy or too slow for velocity."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keyframes.events import BLINK, FIXATION, NONE, SACCADE, detect
from keyframes.events.clustering import ClusteringParameters, detect_clustering
from keyframes.events.kinematics import noise_rms_s2s_deg
from keyframes.events.samples import prepare
from keyframes.events.segmentation import cut_into_places, places_of

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int8]
SCALE = (40.0, 30.0)
DEFAULT = ClusteringParameters()


def looks(
    places_deg: list[tuple[float, float]],
    *,
    rate_hz: float = 500.0,
    noise_deg: float = 0.3,
    rest_s: float = 0.3,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray, FloatArray, list[tuple[float, float]]]:
    """Return t_s, x_px, y_px and start and end of the saccades: rests on places, minimum-jerk steps between."""
    saccades, start = [], rest_s
    t_end = rest_s
    for here, there in itertools.pairwise(places_deg):
        lasts = 0.021 + 0.0022 * float(np.hypot(*np.subtract(there, here)))
        saccades.append((t_end, t_end + lasts))
        t_end += lasts + rest_s
    t = np.arange(round(t_end * rate_hz)) / rate_hz
    deg = np.tile(np.array(places_deg[0], np.float64)[:, None], t.size)
    for (here, there), (start, end) in zip(itertools.pairwise(places_deg), saccades, strict=True):
        phase = np.clip((t - start) / (end - start), 0, 1)
        deg += np.subtract(there, here)[:, None] * (10 * phase**3 - 15 * phase**4 + 6 * phase**5)
    deg += np.random.default_rng(seed).normal(0, noise_deg, deg.shape)
    return t, deg[0] * SCALE[0], deg[1] * SCALE[1], saccades


def labels_of(t: FloatArray, x: FloatArray, y: FloatArray) -> Labels:
    return detect(t, x, y, *SCALE, method="clustering").labels


def runs(labels: Labels, code: int) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], labels == code, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


THREE = [(0.0, 0.0), (4.0, 1.0), (2.5, 6.0)]


@pytest.mark.parametrize("rate_hz", [60.0, 120.0, 500.0, 2000.0])
@pytest.mark.parametrize("noise_deg", [0.02, 0.3])
def test_places_and_steps_at_every_rate(rate_hz: float, noise_deg: float) -> None:
    t, x, y, saccades = looks(THREE, rate_hz=rate_hz, noise_deg=noise_deg)
    events = detect(t, x, y, *SCALE, method="clustering")
    table = events.table.to_pandas()
    assert table.kind.tolist() == ["fixation", "saccade", "fixation", "saccade", "fixation"]
    fixations = table[table.kind == "fixation"]
    mean_error = 0.05 + 3 * noise_deg / np.sqrt(0.3 * rate_hz)
    np.testing.assert_allclose(fixations.x_screen_px / SCALE[0], [p[0] for p in THREE], atol=mean_error)
    np.testing.assert_allclose(fixations.y_screen_px / SCALE[1], [p[1] for p in THREE], atol=mean_error)
    edge_s = 0.012 + 1 / rate_hz
    for (_, found), (start, end) in zip(table[table.kind == "saccade"].iterrows(), saccades, strict=True):
        assert found.t_start_ns * 1e-9 == pytest.approx(start, abs=edge_s)
        assert found.t_end_ns * 1e-9 == pytest.approx(end, abs=edge_s)


@pytest.mark.parametrize(("noise_deg", "size_deg"), [(0.05, 0.8), (0.3, 1.2), (0.5, 1.8)])
def test_a_step_that_stands_out_of_the_noise_is_found(noise_deg: float, size_deg: float) -> None:
    for seed in range(5):
        t, x, y, _ = looks([(0, 0), (size_deg, 0)], noise_deg=noise_deg, seed=seed)
        assert len(runs(labels_of(t, x, y), SACCADE)) == 1


@pytest.mark.parametrize("noise_deg", [0.0, 0.02, 0.1, 0.3, 0.5, 1.0])
def test_rest_is_one_fixation_whatever_the_noise(noise_deg: float) -> None:
    for rate_hz, seed in ((500.0, 1), (60.0, 2)):
        t, x, y, _ = looks([(0, 0)], rate_hz=rate_hz, noise_deg=noise_deg, rest_s=3.0, seed=seed)
        assert (labels_of(t, x, y) == FIXATION).all()


def test_drift_and_small_corrections_stay_in_their_fixation() -> None:
    t, x, y, _ = looks([(0, 0), (0.2, 0.0)], noise_deg=0.05, rest_s=0.5)
    x = x + 0.5 * t * SCALE[0]  # half a degree per second
    assert (labels_of(t, x, y) == FIXATION).all()


def test_a_minute_of_rest_is_one_fixation() -> None:
    t, x, y, _ = looks([(0, 0)], rate_hz=1000.0, noise_deg=0.4, rest_s=60.0)
    assert runs(labels_of(t, x, y), FIXATION) == [(0, t.size)]


def test_a_growing_distance_makes_no_step() -> None:
    t, x, y, _ = looks([(45.0, 30.0)], noise_deg=0.1, rest_s=0.6)
    scale = np.where(t < 0.3, 40.0, 44.0)
    found = detect(t, x, y, scale, scale, method="clustering")
    assert (found.labels == FIXATION).all()


def test_short_loss_stays_in_its_fixation_and_long_loss_parts_two() -> None:
    t, x, y, _ = looks([(0, 0)], rest_s=1.0)
    x[100:130] = np.nan  # 60 ms
    x[300:320] = np.nan
    x[320:] += 2 * SCALE[0]  # gaze is elsewhere after 40 ms
    labels = labels_of(t, x, y)
    (first, second) = runs(labels, FIXATION)
    assert first[0] == 0
    assert 294 <= first[1] <= 300
    assert 320 <= second[0] <= 326
    assert (labels[300:320] == NONE).all()


def test_a_blink_takes_the_shift_of_its_lid() -> None:
    t, x, y, _ = looks([(0, 0)], rest_s=1.2, noise_deg=0.2)
    lid_deg = np.zeros(t.size)
    lid_deg[200:220], lid_deg[280:300] = np.linspace(0, 6, 20), np.linspace(6, 0, 20)
    y = y + lid_deg * SCALE[1]
    x[220:280] = np.nan  # 120 ms
    ((start, end),) = runs(labels_of(t, x, y), BLINK)
    assert 200 <= start <= 212
    assert 288 <= end <= 306


def test_a_dropout_on_the_way_is_no_blink() -> None:
    t, x, y, ((start, end),) = looks([(0, 0), (8, 0)], noise_deg=0.2)
    middle = round((start + end) / 2 * 500)
    x[middle - 3 : middle + 4] = np.nan  # 14 ms in a saccade of 39 ms
    labels = labels_of(t, x, y)
    assert BLINK not in labels
    assert len(runs(labels, FIXATION)) == 2


def test_what_is_beyond_a_long_loss_changes_nothing() -> None:
    t, x, y, _ = looks([(0, 0), (3, 0), (3, 3), (0, 3)], noise_deg=0.1)
    noise = np.random.default_rng(3).normal(0, 0.6, (2, t.size))
    n = t.size
    gap = np.full(300, np.nan)  # 0.6 s
    both_t = np.arange(2 * n + gap.size) / 500.0
    both_x = np.concatenate([x, gap, x + noise[0] * SCALE[0]])
    both_y = np.concatenate([y, gap, y + noise[1] * SCALE[1]])
    together = labels_of(both_t, both_x, both_y)
    np.testing.assert_array_equal(together[:n], labels_of(t, x, y))
    np.testing.assert_array_equal(together[-n:], labels_of(t, both_x[-n:], both_y[-n:]))


def test_uneven_sampling_finds_the_same_places() -> None:
    t, x, y, saccades = looks([*THREE, (0.0, 0.0)])
    rng = np.random.default_rng(5)
    keep = rng.random(t.size) < 0.8
    t = t + rng.uniform(-0.0008, 0.0008, t.size)
    found = detect(t[keep], x[keep], y[keep], *SCALE, method="clustering").table.to_pandas()
    starts_s = found.t_start_ns[found.kind == "saccade"].to_numpy() * 1e-9
    np.testing.assert_allclose(starts_s, [start for start, _ in saccades], atol=0.015)


def test_parameters_are_recorded_and_can_be_given() -> None:
    t, x, y, _ = looks([(0, 0), (1.0, 0)], noise_deg=0.05)
    found = detect(t, x, y, *SCALE, method="clustering")
    assert found.parameters["drift_deg2_per_s"] == DEFAULT.drift_deg2_per_s
    assert found.parameters["block_s"] == pytest.approx(0.008)
    samples = prepare(t, x, y, *SCALE)
    apart = detect_clustering(samples, noise_rms_s2s_deg(samples), ClusteringParameters(min_saccade_deg=1.5))
    assert (apart.labels == FIXATION).all()


def cheapest_by_trying_all(x: FloatArray, y: FloatArray, t: FloatArray, interval_s: float) -> float:
    """Return the cost of the best cut of single-sample blocks by plain recursion over all of them."""
    n = x.size
    squared = np.diff(x, 2) ** 2 + np.diff(y, 2) ** 2
    noise = float(np.median(squared)) / (12 * np.log(2)) + DEFAULT.eye_noise_deg_per_sqrt_hz**2 / interval_s
    price_of_movement = 2 + DEFAULT.movement_noise_multiple**2
    cheapest = [0.0] + [np.inf] * n
    for start in range(n):
        cheapest[start + 1] = min(cheapest[start + 1], cheapest[start] + price_of_movement)
        cost, spread, at_x, at_y = cheapest[start] + DEFAULT.change_penalty, noise, x[start], y[start]
        for i in range(start, n):
            if i > start:
                spread += DEFAULT.drift_deg2_per_s * (t[i] - t[i - 1])
                cost += ((x[i] - at_x) ** 2 + (y[i] - at_y) ** 2) / (spread + noise)
                gain = spread / (spread + noise)
                at_x, at_y, spread = (
                    at_x + gain * (x[i] - at_x),
                    at_y + gain * (y[i] - at_y),
                    spread * (1 - gain),
                )
            if t[i] + interval_s - t[start] >= DEFAULT.min_fixation_s - 0.499 * interval_s:
                cheapest[i + 1] = min(cheapest[i + 1], cost)
    return cheapest[n]


def cost_of(cut: NDArray[np.int64], x: FloatArray, y: FloatArray, t: FloatArray, interval_s: float) -> float:
    """Return the cost of a given cut by the same rules."""
    squared = np.diff(x, 2) ** 2 + np.diff(y, 2) ** 2
    noise = float(np.median(squared)) / (12 * np.log(2)) + DEFAULT.eye_noise_deg_per_sqrt_hz**2 / interval_s
    total = (2 + DEFAULT.movement_noise_multiple**2) * (x.size - int((cut[:, 1] - cut[:, 0]).sum()))
    for start, end in cut:
        total += DEFAULT.change_penalty
        spread, at = noise, np.array([x[start], y[start]])
        for i in range(start + 1, end):
            spread += DEFAULT.drift_deg2_per_s * (t[i] - t[i - 1])
            error = np.array([x[i], y[i]]) - at
            total += float(error @ error) / (spread + noise)
            gain = spread / (spread + noise)
            at, spread = at + gain * error, spread * (1 - gain)
    return float(total)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), noise_deg=st.sampled_from([0.05, 0.2, 0.5]), n_places=st.integers(1, 6)
)
def test_the_cut_is_nearly_the_cheapest_of_all(seed: int, noise_deg: float, n_places: int) -> None:
    rng = np.random.default_rng(seed)
    places = [(float(a), float(b)) for a, b in rng.normal(0, 3, (n_places, 2))]
    t, x, y, _ = looks(
        places, rate_hz=60.0, noise_deg=noise_deg, rest_s=float(rng.uniform(0.1, 0.5)), seed=seed
    )
    samples = prepare(t, x, y, *SCALE)
    found = cut_into_places(
        samples,
        places_of(samples),
        eye_noise_deg_per_sqrt_hz=DEFAULT.eye_noise_deg_per_sqrt_hz,
        drift_deg2_per_s=DEFAULT.drift_deg2_per_s,
        change_penalty=DEFAULT.change_penalty,
        movement_noise_multiple=DEFAULT.movement_noise_multiple,
        min_fixation_s=DEFAULT.min_fixation_s,
    )
    x_deg, y_deg = x / SCALE[0], y / SCALE[1]
    cost = cost_of(found, x_deg, y_deg, samples.t_s, samples.interval_s)
    best = cheapest_by_trying_all(x_deg, y_deg, samples.t_s, samples.interval_s)
    # Old candidates are dropped: a cut that shows itself only after a quarter of a second may be missed.
    assert best - 1e-6 <= cost <= best + 0.5 * DEFAULT.change_penalty


@pytest.mark.shared
@pytest.mark.parametrize(
    ("step", "noise_deg", "fixations", "saccades"),
    [(1, 0.3, 0.90, 0.87), (1, 0.5, 0.88, 0.84), (8, 0.0, 0.94, 0.83)],
)
def test_finds_the_coders_fixations_in_noisy_and_slow_gaze(
    shared: Path, step: int, noise_deg: float, fixations: float, saccades: float
) -> None:
    folder = shared / "data" / "lund2013"
    if not folder.is_dir():
        pytest.skip("lund2013 is not in the shared data")
    hits, total = {FIXATION: 0, SACCADE: 0}, {FIXATION: 0, SACCADE: 0}
    for index, item in enumerate(json.loads((folder / "manifest.json").read_text())):
        if item["stim"] != "image":
            continue
        table = pq.read_table(folder / item["file"])
        t_ms, x, y, truth = (table.column(c).to_numpy()[::step] for c in ("t_ms", "x_px", "y_px", "label_MN"))
        noise = np.random.default_rng(index).normal(0, noise_deg, (2, x.size))
        scale = item["px_per_deg_center"]
        found = detect(t_ms / 1000, x + noise[0] * scale[0], y + noise[1] * scale[1], *scale)
        assert found.method == "clustering"
        truth = np.where(truth == 4, FIXATION, truth).astype(np.int8)
        for code in hits:
            mine, theirs = runs(found.labels, code), runs(truth, code)
            total[code] += len(mine) + len(theirs)
            hits[code] += sum(
                2 * (min(b, d) - max(a, c)) >= max(b, d) - min(a, c) for a, b in mine for c, d in theirs
            )
    assert 2 * hits[FIXATION] / total[FIXATION] >= fixations
    assert 2 * hits[SACCADE] / total[SACCADE] >= saccades


@pytest.mark.parametrize("rate_hz", [11.0, 15.0, 20.0, 30.0])
def test_places_of_one_sample_stay_places(rate_hz: float) -> None:
    rng = np.random.default_rng(0)
    n = 600
    t = np.arange(n) / rate_hz
    x, y = (np.repeat(rng.uniform(0, 1000, n // 2), 2) + rng.normal(0, 0.5, n) for _ in range(2))
    x[rng.random(n) < 0.1] = np.nan
    labels = detect(t, x, y, 40.0, 40.0, method="clustering").labels
    assert np.count_nonzero(labels == FIXATION) > 50

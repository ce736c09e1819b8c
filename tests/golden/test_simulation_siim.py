"""Simulated gaze beside that of real radiologists (SIIM, Saab et al. 2021).

Two things about that set were measured, and the comparison heeds them. Its horizontal fractions are shifted: the
first dwell point of an image lies at a median of 0.25 and the two lungs at 0.17 and 0.57, so that 0.13 is added. And
its dwell points are runs within 0.0125 of the run's first sample (no two neighbours are nearer), of samples that
cannot be 1/60 s apart: three quarters of the runs would last 17 ms. Runs and steps agree with samples 0.15 s apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.presets import ImageView, Preset
from gazecapture.simulation.content import StudyContent
from gazecapture.simulation.oculomotor import TrackerModel, sample_tracker
from gazecapture.simulation.performer import VIRTUAL_DISPLAY
from gazecapture.simulation.plan import plan_reading
from gazecapture.simulation.style import ReaderStyle
from keyframes.regions.region_map import RegionMap

X_SHIFT = 0.13
RUN_BOX = 0.0125
SAMPLE_S = 0.15
NOISE_DEG = 0.3
"""Per eye; what a 60 Hz screen tracker has."""
N_BODIES, N_READINGS = 4, 40
WIDTH, HEIGHT = 110, 134
BINS = np.linspace(0.0, 1.0, 9)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Dwells:
    """Runs of samples: where, how many, and the steps between neighbours."""

    x: FloatArray
    y: FloatArray
    n: FloatArray
    steps: FloatArray


def runs(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    found: list[list[float]] = []
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if found and max(abs(a - found[-1][0]), abs(b - found[-1][1])) < RUN_BOX:
            found[-1][2] += 1
        else:
            found.append([a, b, 1.0])
    columns = np.array(found).T
    return columns[0], columns[1], columns[2]


@pytest.fixture(scope="module")
def real(shared: Path) -> Dwells:
    path = shared / "data" / "siim_gaze" / "siim_cxr_p_gaze.parquet"
    if not path.is_file():
        pytest.skip("the SIIM gaze is not in the shared data")
    table = pq.read_table(path).to_pandas()
    of_image = table.groupby("image_id", sort=False)
    steps = np.maximum(of_image.x_image_frac.diff().abs(), of_image.y_image_frac.diff().abs()).dropna()
    return Dwells(
        x=table.x_image_frac.to_numpy() + X_SHIFT,
        y=table.y_image_frac.to_numpy(),
        n=table.n_samples_60hz.to_numpy(np.float64),
        steps=steps.to_numpy(),
    )


@cache
def bodies() -> tuple[RegionMap, ...]:
    return tuple(make_phantom(seed, size_px=(WIDTH, HEIGHT)).region_map for seed in range(N_BODIES))


def simulated(*, search_only: bool) -> Dwells:
    maps = bodies()
    preset = Preset(preset_id="auto", name="auto", center=1.0, width=2.0, voi="LINEAR")
    view = ImageView(image_index=0, width_px=WIDTH, height_px=HEIGHT, presets=(preset,))
    parts = []
    for seed in range(N_READINGS):
        plan = plan_reading(
            ReaderStyle.from_seed(seed),
            StudyContent(study_id=f"S{seed}", maps={0: maps[seed % N_BODIES]}, lesions=()),
            reading_number=1,
            display=VIRTUAL_DISPLAY,
            area=(0.0, 0.0, 1920.0, 1080.0),
            images=[view],
        )
        for interval in plan.schedule.intervals:
            if search_only and interval.sentence_index is not None:
                continue
            tau = np.arange(interval.t_start_s, interval.t_end_s, SAMPLE_S)
            index = np.arange(tau.size, dtype=np.int64) + round(interval.t_start_s * 1e4)
            model = TrackerModel(noise_deg=NOISE_DEG)
            s = sample_tracker(plan.path, tau, index, model=model, reader_seed=seed)
            x_screen, y_screen = (
                (s.left_x_screen_px + s.right_x_screen_px) / 2,
                (s.left_y_screen_px + s.right_y_screen_px) / 2,
            )
            x, y = plan.path.states.image(tau, np.zeros(tau.size, np.intp), x_screen, y_screen)
            x, y = x / WIDTH, y / HEIGHT
            seen = (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
            if seen.sum() > 2:
                parts.append(runs(x[seen], y[seen]))
    return Dwells(
        x=np.concatenate([p[0] for p in parts]),
        y=np.concatenate([p[1] for p in parts]),
        n=np.concatenate([p[2] for p in parts]),
        steps=np.concatenate([np.maximum(np.abs(np.diff(p[0])), np.abs(np.diff(p[1]))) for p in parts]),
    )


@pytest.fixture(scope="module")
def search() -> Dwells:
    return simulated(search_only=True)


def overlap(first: Dwells, second: Dwells) -> float:
    """Share of dwell that two maps of the image have in common."""
    shares = []
    for dwells in (first, second):
        counts = np.histogram2d(dwells.x, dwells.y, bins=[BINS, BINS], weights=dwells.n)[0]
        shares.append(counts / counts.sum())
    return float(np.minimum(*shares).sum())


@pytest.mark.shared
def test_the_set_is_as_this_comparison_says(real: Dwells) -> None:
    assert real.steps.min() >= RUN_BOX - 1e-9
    assert real.steps.min() < RUN_BOX + 1e-3
    assert np.mean(real.n == 1) > 0.75


@pytest.mark.shared
def test_dwell_is_distributed_as_that_of_radiologists(real: Dwells, search: Dwells) -> None:
    for length in (1, 2, 3, 4):
        assert np.mean(search.n == length) == pytest.approx(np.mean(real.n == length), abs=0.04)
    assert search.n.mean() == pytest.approx(real.n.mean(), abs=0.08)


@pytest.mark.shared
def test_steps_are_distributed_as_those_of_radiologists(real: Dwells, search: Dwells) -> None:
    assert wasserstein_distance(search.steps, real.steps) < 0.03
    for share in (10, 25, 50, 75, 90):
        ours, theirs = np.percentile(search.steps, share), np.percentile(real.steps, share)
        assert 0.6 < ours / theirs < 1.5


@pytest.mark.shared
def test_search_goes_where_radiologists_look(real: Dwells, search: Dwells) -> None:
    assert wasserstein_distance(search.x, real.x, search.n, real.n) < 0.05
    assert wasserstein_distance(search.y, real.y, search.n, real.n) < 0.08
    assert overlap(search, real) > 0.6
    spread_evenly = Dwells(x=np.tile(np.linspace(0, 1, 64), 64), y=np.repeat(np.linspace(0, 1, 64), 64),
                           n=np.ones(4096), steps=np.empty(0))  # fmt: skip
    assert overlap(search, real) > overlap(spread_evenly, real) + 0.05, (
        "a bound that anything passes says nothing"
    )


@pytest.mark.shared
def test_a_whole_reading_with_its_dictation_stays_near_that(real: Dwells) -> None:
    whole = simulated(search_only=False)
    assert wasserstein_distance(whole.x, real.x, whole.n, real.n) < 0.09
    assert wasserstein_distance(whole.y, real.y, whole.n, real.n) < 0.1
    assert overlap(whole, real) > 0.55

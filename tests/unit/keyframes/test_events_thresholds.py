"""Thresholds of a stretch and of a moment, and what they make of its movements."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from keyframes.events import PSO, SACCADE, detect
from keyframes.events.labels import runs_of
from keyframes.events.saccades import find_movements
from keyframes.events.samples import prepare
from keyframes.events.thresholds import local_noise, speed_thresholds

FloatArray = NDArray[np.float64]
ROWS_PER_BLOCK = 100
"""0.2 s at 500 Hz."""


def relative_noise(share_moving: float) -> FloatArray:
    """Return the noise of 50 blocks relative to all; every tenth moves and is noisy for that share of its rows."""
    n = 50 * ROWS_PER_BLOCK
    row = np.arange(n)
    moves = (row // ROWS_PER_BLOCK % 10 == 3) & (row % ROWS_PER_BLOCK < share_moving * ROWS_PER_BLOCK)
    x, y = 400.0 + np.random.default_rng(0).normal(0, 0.4, (2, n)) * np.where(moves, 50.0, 1.0)
    speed = np.where(moves, 200.0, 2.0)
    relative, rows = local_noise(prepare(row / 500.0, x, y, 40.0, 40.0), 0, n, speed, 30.0)
    assert rows == ROWS_PER_BLOCK
    return relative[3::10]


def test_a_movement_is_no_noise_of_its_moment() -> None:
    assert np.median(relative_noise(0.45)) < 1.3


def test_what_moves_for_most_of_a_moment_is_its_noise() -> None:
    assert relative_noise(0.7).min() > 10.0


def test_an_edge_is_at_least_a_share_of_the_peak() -> None:
    found = speed_thresholds(
        np.abs(np.random.default_rng(0).normal(0, 0.1, 5000)),
        peak_noise_multiple=8.0,
        edge_noise_multiple=4.0,
        peak_min_deg_per_s=30.0,
        edge_share=0.4,
    )
    assert found.peak == pytest.approx(30.0)
    assert found.edge == pytest.approx(12.0)
    assert found.edge_of_noise < 1.0


def test_the_ends_of_a_movement_are_where_the_window_smears_it() -> None:
    speed = np.concatenate([np.full(20, 1.0), [10, 30, 60, 100, 60, 30, 10], np.full(20, 1.0)])
    for smear, rows in ((0.0, (20, 27)), (0.2, (21, 26)), (0.5, (22, 25))):
        moves, edges = np.zeros((5, 3), np.int64), np.zeros(5)
        assert (
            find_movements(speed, 0, 47, np.full(1, 40.0), np.full(1, 5.0), 100, smear, moves, edges, 0) == 1
        )
        assert tuple(moves[0, :2]) == rows
        assert moves[0, 2] == 27


def test_a_wider_window_smears_and_the_narrowest_does_not() -> None:
    t = np.arange(3000) / 500.0
    smear = []
    for noise_deg in (0.01, 0.1):
        x = 400.0 + np.random.default_rng(0).normal(0, 40 * noise_deg, t.size)
        smear.append(detect(t, x, x, 40.0, 40.0, method="adaptive").parameters["edge_share_of_peak"])
    assert smear[0] == 0.0
    assert 0.0 < smear[1] < 0.5


def test_a_swing_as_fast_as_its_saccade_is_a_saccade() -> None:
    t = np.arange(1000) / 500.0
    phase = np.clip((t - 1.0) / 0.034, 0, 1) - np.clip(
        (t - 1.046) / 0.034, 0, 1
    )  # there and, 12 ms later, back
    x = 400.0 + 200.0 * (10 * phase**3 - 15 * phase**4 + 6 * phase**5)
    x += np.random.default_rng(0).normal(0, 0.2, t.size)
    labels = detect(t, x, np.full(t.size, 300.0), 40.0, 40.0, method="adaptive").labels
    assert PSO not in labels
    assert len(runs_of(labels == SACCADE)) == 2

"""MultiMatch, against the reference implementation of its authors' method."""

from __future__ import annotations

import multimatch_gaze
import numpy as np
import pytest
from numpy.typing import NDArray

from keyframes.agreement import multimatch
from keyframes.errors import DataError

SIZE = (1000.0, 800.0)


def scanpath(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return (3, n): x, y, duration in s."""
    return np.stack(
        [random.uniform(0, SIZE[0], n), random.uniform(0, SIZE[1], n), random.uniform(0.05, 0.8, n)]
    )


def as_records(path: NDArray[np.float64]) -> NDArray[np.void]:
    records = np.zeros(path.shape[1], [("start_x", "f8"), ("start_y", "f8"), ("duration", "f8")])
    records["start_x"], records["start_y"], records["duration"] = path
    return records


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_the_reference_implementation(seed: int) -> None:
    random = np.random.default_rng(seed)
    a = scanpath(random, int(random.integers(3, 25)))
    b = scanpath(random, int(random.integers(3, 25)))
    mine = multimatch(*a, *b, width=SIZE[0], height=SIZE[1])
    reference = multimatch_gaze.docomparison(as_records(a), as_records(b), screensize=list(SIZE))
    assert (mine.shape, mine.direction, mine.length, mine.position, mine.duration) == pytest.approx(reference)


def test_equal_paths_are_equal_and_a_mirrored_one_is_not() -> None:
    path = scanpath(np.random.default_rng(1), 10)
    same = multimatch(*path, *path, width=SIZE[0], height=SIZE[1])
    assert (same.shape, same.length, same.direction, same.position, same.duration) == (1, 1, 1, 1, 1)
    mirrored = path.copy()
    mirrored[0] = SIZE[0] - mirrored[0]
    other = multimatch(*path, *mirrored, width=SIZE[0], height=SIZE[1])
    assert other.duration > other.direction
    assert other.position < 1


def test_a_fixation_of_no_duration_is_no_division_by_zero() -> None:
    path = np.array([[0.0, 10.0, 20.0], [0.0, 0.0, 10.0], [0.0, 0.0, 0.0]])
    assert multimatch(*path, *path, width=100, height=100).duration == 1.0


def test_what_it_refuses() -> None:
    path = scanpath(np.random.default_rng(2), 5)
    with pytest.raises(DataError, match="second scanpath has shapes"):
        multimatch(*path, *path[:, :2], width=10, height=10)
    with pytest.raises(DataError, match="expected positive"):
        multimatch(*path, *path, width=0, height=10)
    lost = path.copy()
    lost[0, 1] = np.nan
    with pytest.raises(DataError, match="first scanpath holds NaN"):
        multimatch(*lost, *path, width=10, height=10)

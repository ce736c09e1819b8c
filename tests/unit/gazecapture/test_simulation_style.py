"""Who the simulated readers are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazecapture.simulation.randomness import generator, sample_noise
from gazecapture.simulation.style import KINDS, ReaderKind, ReaderStyle, reader_seed


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_at_most_a_third_of_the_readers_are_systematic(base_seed: int, n_readers: int) -> None:
    kinds = [ReaderStyle.from_seed(reader_seed(base_seed, place)).kind for place in range(n_readers)]
    assert kinds.count("systematic") <= n_readers / 3


def test_all_kinds_of_reader_occur() -> None:
    assert {ReaderStyle.from_seed(reader_seed(4, place)).kind for place in range(3)} == set(KINDS)


def test_same_seed_same_reader_and_other_seed_another() -> None:
    assert ReaderStyle.from_seed(12) == ReaderStyle.from_seed(12)
    assert ReaderStyle.from_seed(12) != ReaderStyle.from_seed(15)


@given(st.integers(0, 500), st.integers(0, 50))
def test_seeds_of_readers_never_meet(base_seed: int, place: int) -> None:
    others = {reader_seed(base_seed, other) for other in range(60) if other != place}
    assert reader_seed(base_seed, place) not in others


def test_a_generator_depends_on_every_name() -> None:
    first = generator("a", 1).random(4)
    assert np.array_equal(first, generator("a", 1).random(4))
    assert not np.array_equal(first, generator("a", 2).random(4))
    assert not np.array_equal(first, generator("b", 1).random(4))


def test_noise_is_standard_normal_and_white() -> None:
    noise = sample_noise(99, np.arange(200_000), 0)
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1.0) < 0.01
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.01
    assert 0.0024 < np.mean(np.abs(noise) > 3.0) < 0.0030
    other = sample_noise(99, np.arange(200_000), 1)
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.01


@given(st.integers(0, 2**40), st.integers(-1000, 1000), st.integers(1, 50))
def test_noise_of_a_sample_does_not_depend_on_its_neighbours(key: int, first: int, n: int) -> None:
    together = sample_noise(key, np.arange(first, first + n), 2)
    alone = [sample_noise(key, [index], 2)[0] for index in range(first, first + n)]
    assert np.array_equal(together, alone)
    assert np.isfinite(together).all()


@pytest.mark.parametrize("kind", KINDS)
def test_readers_of_one_kind_are_asked_for_by_name(kind: ReaderKind) -> None:
    seeds = [reader_seed(4, place, kind) for place in range(5)]
    assert {ReaderStyle.from_seed(seed).kind for seed in seeds} == {kind}
    assert len(set(seeds)) == 5

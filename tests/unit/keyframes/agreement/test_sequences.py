"""String edit and ScanMatch, against worked examples and plain definitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keyframes.agreement import grid_similarity, scanmatch, string_edit_similarity
from keyframes.errors import DataError

WORDS = st.text(alphabet="ABCD", max_size=9)


def plain_distance(a: str, b: str) -> int:
    """Levenshtein's own recursion."""

    @cache
    def away(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(away(i - 1, j) + 1, away(i, j - 1) + 1, away(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return away(len(a), len(b))


def plain_alignment(a: Sequence[int], b: Sequence[int], matrix: NDArray[np.float64], gap: float) -> float:
    """Needleman and Wunsch's own recursion."""

    @cache
    def best(i: int, j: int) -> float:
        if not i or not j:
            return gap * (i + j)
        return max(
            best(i - 1, j) + gap, best(i, j - 1) + gap, best(i - 1, j - 1) + matrix[a[i - 1], b[j - 1]]
        )

    return best(len(a), len(b))


def test_the_textbook_example() -> None:
    assert string_edit_similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert string_edit_similarity("", "") == 1.0
    assert string_edit_similarity("ABC", "") == 0.0


@settings(max_examples=60)
@given(a=WORDS, b=WORDS)
def test_string_edit_is_levenshteins(a: str, b: str) -> None:
    expected = 1 - plain_distance(a, b) / max(len(a), len(b), 1)
    assert string_edit_similarity(a, b) == pytest.approx(expected)
    assert string_edit_similarity(b, a) == pytest.approx(expected)


@settings(max_examples=60)
@given(a=WORDS, b=WORDS, gap=st.sampled_from([0.0, -0.3, -1.0]), near_deg=st.floats(0.5, 6.0))
def test_scanmatch_is_the_best_alignment(a: str, b: str, gap: float, near_deg: float) -> None:
    matrix = grid_similarity([(0, 0), (1, 0), (0, 2), (3, 4)], near_deg=near_deg)
    places = {"A": 0, "B": 1, "C": 2, "D": 3}
    score = scanmatch(a, b, places=places, similarity=matrix, gap=gap)
    best = plain_alignment([places[p] for p in a], [places[p] for p in b], matrix, gap)
    assert score == pytest.approx(best / max(len(a), len(b), 1) if a or b else 1.0)


def test_a_worked_scanmatch() -> None:
    # Places 1 degree apart, a mismatch from 2 degrees on: near ones score one half, equal ones 1.
    matrix = grid_similarity([(0, 0), (1, 0), (2, 0)], near_deg=2.0)
    assert matrix.tolist() == [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]
    places = {"l": 0, "m": 1, "r": 2}
    assert scanmatch("lmr", "lmr", places=places, similarity=matrix) == 1.0
    assert scanmatch("lmr", "mmr", places=places, similarity=matrix) == pytest.approx(2.5 / 3)
    assert scanmatch("lll", "rrr", places=places, similarity=matrix) == 0.0
    assert scanmatch("lll", "rrr", places=places, similarity=matrix, gap=-1.0) == 0.0
    assert scanmatch("ll", "llll", places=places, similarity=matrix) == 0.5


def test_what_scanmatch_refuses() -> None:
    matrix = grid_similarity([(0, 0), (1, 0)], near_deg=2.0)
    with pytest.raises(DataError, match="'z'"):
        scanmatch("lz", "l", places={"l": 0}, similarity=matrix)
    with pytest.raises(DataError, match="gap"):
        scanmatch("l", "l", places={"l": 0}, similarity=matrix, gap=0.1)
    with pytest.raises(DataError, match="no positive"):
        scanmatch("l", "l", places={"l": 0}, similarity=-np.eye(2))
    with pytest.raises(DataError, match="square"):
        scanmatch("l", "l", places={"l": 0}, similarity=[[1.0, 2.0]])
    with pytest.raises(DataError, match="centres_deg"):
        grid_similarity([(0, np.nan)], near_deg=1.0)
    with pytest.raises(DataError, match="near_deg"):
        grid_similarity([(0, 0)], near_deg=0.0)

"""What is measured of an answer, and how sure a mean is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from examples.gazex.tasks.example import Box

__all__ = [
    "Estimate",
    "area_under_precision",
    "bootstrap",
    "cosine",
    "edit_similarity",
    "f1",
    "icc_agreement",
    "iou",
    "order_tau",
    "path_distance",
]

T = TypeVar("T")

RESAMPLES = 1000
LEVEL = 0.95
ITERATED_POINTS = 101
"""Recall levels of an average precision, as in COCO's evaluation."""
_RECALLS = np.linspace(0, 1, ITERATED_POINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measure with its bootstrap interval; ``n`` answers of ``n_groups`` readings."""

    value: float
    low: float
    high: float
    n: int
    n_groups: int


def iou(a: Box, b: Box) -> float:
    """Return intersection over union of two boxes; 0 where both are empty."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    shared = max(0.0, width) * max(0.0, height)
    whole = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - shared
    return shared / whole if whole > 0 else 0.0


def order_tau(said: Sequence[int] | None, right: Sequence[int]) -> float:
    """Return Kendall's tau of two orders of the same numbers; 0, as by chance, where none was said.

    >>> order_tau([1, 2, 3], [1, 2, 3]), order_tau([3, 2, 1], [1, 2, 3])
    (1.0, -1.0)
    """
    if said is None:
        return 0.0
    place = {number: rank for rank, number in enumerate(right)}
    return float(kendalltau([place[number] for number in said], range(len(said))).statistic)


def f1(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Return F1 of (said, right); nan where neither ever is true."""
    hit = sum(said and right for said, right in pairs)
    wrong = sum(said != right for said, right in pairs)
    return 2 * hit / (2 * hit + wrong) if hit or wrong else float("nan")


def icc_agreement(pairs: Sequence[tuple[float, float]]) -> float:
    """Return ICC(A,1) of two raters: two-way, absolute agreement, single measures (McGraw and Wong 1996).

    pairs : (one, other) of each target. nan for fewer than two targets, or where nothing varies.
    """
    values = np.asarray(pairs, float)
    n = len(values)
    if n < 2:
        return float("nan")
    k, whole = 2, values.mean()
    rows = k * ((values.mean(1) - whole) ** 2).sum() / (n - 1)
    columns = n * ((values.mean(0) - whole) ** 2).sum() / (k - 1)
    rest = ((values - values.mean(1, keepdims=True) - values.mean(0) + whole) ** 2).sum() / (
        (n - 1) * (k - 1)
    )
    spread = rows + (k - 1) * rest + k * (columns - rest) / n
    return float((rows - rest) / spread) if spread > 0 else float("nan")


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the cosine of two maps of one shape; 0 where one is empty."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / size if size > 0 else 0.0


def edit_similarity(said: Sequence[str], right: Sequence[str]) -> float:
    """Return 1 - edits / the longer length: the string edit similarity of two orders of looks.

    >>> edit_similarity("ABC", "ABC"), edit_similarity("ABC", "AC"), edit_similarity("", "A")
    (1.0, 0.6666666666666667, 0.0)
    """
    row = list(range(len(right) + 1))
    for i, a in enumerate(said, start=1):
        before, row = row, [i]
        for j, b in enumerate(right, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
    longest = max(len(said), len(right))
    return 1 - row[-1] / longest if longest else 1.0


def path_distance(said: Sequence[tuple[float, float]], right: Sequence[tuple[float, float]]) -> float:
    """Return the mean distance of two ways of points, matched in order (dynamic time warping); nan without points."""
    if not said or not right:
        return float("nan")
    best = np.full((len(said) + 1, len(right) + 1, 2), np.inf)
    best[0, 0] = 0  # sum of distances, number of matches
    for i, a in enumerate(said, start=1):
        for j, b in enumerate(right, start=1):
            before = min(
                (best[i - 1, j - 1], best[i - 1, j], best[i, j - 1]), key=lambda cell: float(cell[0])
            )
            best[i, j] = before + np.array([np.hypot(a[0] - b[0], a[1] - b[1]), 1.0])
    return float(best[-1, -1, 0] / best[-1, -1, 1])


def area_under_precision(found: Sequence[tuple[float, bool]], n_right: int) -> float:
    """Return average precision of (confidence, is right) against ``n_right`` that were to be found.

    Precision is the best at any greater recall, its mean over 101 recalls (COCO). nan where nothing was to be found.
    """
    if n_right == 0:
        return float("nan")
    ranked = [right for _, right in sorted(found, key=lambda pair: -pair[0])]
    hits = np.cumsum(ranked)
    recall, precision = hits / n_right, hits / np.arange(1, len(ranked) + 1)
    best = np.zeros(len(ranked) + 1)  # beyond the last hit nothing is precise
    best[:-1] = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.mean(best[np.searchsorted(recall, _RECALLS)]))


def bootstrap(
    by_group: Mapping[str, Sequence[T]], measure: Callable[[Sequence[T]], float], *, seed: int = 0
) -> Estimate:
    """Return a measure over all groups' values with its interval over resampled groups.

    Groups (readings of one patient) are drawn whole: answers of one picture are not independent. nan without values.
    """
    names = sorted(by_group)
    everything = [value for name in names for value in by_group[name]]
    rng = np.random.default_rng(seed)
    groups = [by_group[name] for name in names]
    resamples = RESAMPLES if len(names) > 1 else 0
    draws = rng.integers(max(len(names), 1), size=(resamples, len(names))).tolist()
    drawn = [measure([value for k in chosen for value in groups[k]]) for chosen in draws]
    value = measure(everything) if everything else float("nan")
    finite = np.asarray(drawn)[np.isfinite(drawn)] if drawn else np.empty(0)
    low, high = (
        np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist() if len(finite) else (value, value)
    )
    return Estimate(value=value, low=low, high=high, n=len(everything), n_groups=len(names))

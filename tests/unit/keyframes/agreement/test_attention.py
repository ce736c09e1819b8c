"""Measures of attention, against other libraries and worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from keyframes.agreement import (
    attention_auc,
    attention_cc,
    attention_kl,
    attention_nss,
    cluster_cosine,
    map_cosine,
)
from keyframes.errors import DataError

RANDOM = np.random.default_rng(5)


def heat(seed: int) -> NDArray[np.float64]:
    # Few grey levels, so that there are ties.
    return np.random.default_rng(seed).integers(0, 9, (20, 30)).astype(np.float64)


@pytest.mark.parametrize("seed", range(4))
def test_auc_is_the_exact_area_under_the_curve(seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, 30, 40), random.uniform(0, 20, 40)
    fixated = np.zeros((20, 30), np.int64)
    fixated[y.astype(int), x.astype(int)] = 1
    assert attention_auc(heat(seed), x, y) == pytest.approx(
        roc_auc_score(fixated.ravel(), heat(seed).ravel())
    )


def test_nss_by_hand() -> None:
    # Mean 1, standard deviation sqrt(3): the fixation on the peak has z = 3 / sqrt(3), one elsewhere -1 / sqrt(3).
    square = np.array([[4.0, 0.0], [0.0, 0.0]])
    assert attention_nss(square, [0.5], [0.5]) == pytest.approx(np.sqrt(3))
    assert attention_nss(square, [0.5, 1.5], [0.5, 1.5]) == pytest.approx(1 / np.sqrt(3))
    # A fixation off the map, on any side, or lost, does not count.
    assert attention_nss(square, [0.5, -0.1, 2.0, np.nan], [0.5, 0.5, 0.5, 0.5]) == pytest.approx(np.sqrt(3))
    assert np.isnan(attention_nss(square, [], []))
    assert np.isnan(attention_nss(np.ones((2, 2)), [0.5], [0.5]))


def test_correlation_and_divergence_are_scipys() -> None:
    a, b = heat(1) + 0.5, heat(2) + 0.5
    assert attention_cc(a, b) == pytest.approx(stats.pearsonr(a.ravel(), b.ravel()).statistic)
    assert attention_kl(a, b) == pytest.approx(stats.entropy(b.ravel(), a.ravel()), abs=1e-9)
    assert attention_kl(a, 3 * a) == pytest.approx(0.0, abs=1e-9)
    assert attention_kl(a, b) != pytest.approx(attention_kl(b, a))
    assert np.isnan(attention_cc(a, np.ones_like(a)))
    assert np.isnan(attention_kl(a, np.zeros_like(a)))
    # Where the prediction has nothing the divergence is large, not infinite.
    assert 10 < attention_kl([[1.0, 0.0]], [[0.0, 1.0]]) < 50


def test_cosine_of_maps() -> None:
    assert map_cosine([[3.0, 0.0]], [[4.0, 3.0]]) == pytest.approx(0.8)
    assert map_cosine([[1.0, 0.0]], [[0.0, 2.0]]) == 0.0
    assert np.isnan(map_cosine([[1.0, 0.0]], [[0.0, 0.0]]))


def test_cosine_of_clusters_pairs_them_best_and_counts_the_unpaired() -> None:
    left, right = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    both = np.array([[1.0, 1.0]])
    assert cluster_cosine([left, right], [right, left]) == pytest.approx(1.0)
    assert cluster_cosine([left, right], [left]) == pytest.approx(0.5)
    assert cluster_cosine([both], [left]) == pytest.approx(np.sqrt(0.5))
    # The first with the first is a good pair; the best sum takes the other way round.
    assert cluster_cosine([left, both], [both, right]) == pytest.approx((np.sqrt(0.5) * 2) / 2)
    assert cluster_cosine(np.zeros((0, 1, 2)), [left]) == 0.0
    assert np.isnan(cluster_cosine(np.zeros((0, 1, 2)), np.zeros((0, 1, 2))))


def test_what_is_no_map() -> None:
    for wrong in (np.zeros((0, 3)), np.ones(3), [[np.nan, 1.0]], [[-1.0, 1.0]]):
        with pytest.raises(DataError, match="a map of shape"):
            attention_nss(wrong, [0.5], [0.5])
    with pytest.raises(DataError, match="expected one"):
        attention_cc(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(DataError, match="one length"):
        attention_auc(heat(1), [0.5], [0.5, 0.5])
    with pytest.raises(DataError, match=r"\(n, h, w\)"):
        cluster_cosine(heat(1), heat(2))

"""Agreement of attention: maps against fixations, maps against maps, clusters against clusters.

Definitions as in Bylinskii, Judd, Oliva, Torralba & Durand 2019, IEEE TPAMI 41:740-757, where not said otherwise. A map
is (h, w), finite and not negative; bright means more attention; its scale does not matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from keyframes.errors import DataError

__all__ = ["attention_auc", "attention_cc", "attention_kl", "attention_nss", "cluster_cosine", "map_cosine"]

KL_EPSILON = float(np.finfo(np.float64).eps)
"""Of a share; keeps the logarithm finite where a map is 0."""

FloatArray = NDArray[np.float64]


def attention_nss(attention: ArrayLike, x_cells: ArrayLike, y_cells: ArrayLike) -> float:
    """Return the normalised scanpath saliency: the mean z-score of the map at the fixations; 0 is chance.

    x_cells, y_cells : (n,), in cells of the map, origin at its outer corner; fixations off the map are left out.
    NaN where no fixation is on the map or the map is constant.
    """
    heat = _checked(attention)
    at = _on_map(heat, x_cells, y_cells)
    spread = float(heat.std())
    if not at.size or spread == 0:
        return float("nan")
    return float((heat.ravel()[at] - heat.mean()).mean() / spread)


def attention_auc(attention: ArrayLike, x_cells: ArrayLike, y_cells: ArrayLike) -> float:
    """Return the area under the ROC curve: fixated cells against all others, by the map's value; .5 is chance.

    A cell fixated twice counts once, ties count half: the exact area, of which AUC-Judd is the usual sampled form.
    Arguments as in `attention_nss`. NaN where no cell, or every cell, is fixated.
    """
    heat = _checked(attention)
    fixated = np.zeros(heat.size, np.bool_)
    fixated[_on_map(heat, x_cells, y_cells)] = True
    n_in = int(fixated.sum())
    n_out = heat.size - n_in
    if not n_in or not n_out:
        return float("nan")
    rank_sum = float(rankdata(heat.ravel())[fixated].sum())
    return (rank_sum - n_in * (n_in + 1) / 2) / (n_in * n_out)


def attention_cc(first: ArrayLike, second: ArrayLike) -> float:
    """Return Pearson's correlation of two maps of one shape, -1 to 1; NaN where one is constant."""
    a, b = _pair(first, second)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip((a * b).sum() / size, -1.0, 1.0)) if size > 0 else float("nan")


def attention_kl(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Return the Kullback-Leibler divergence, nats, of the reference from the predicted map; 0 for equal maps.

    Both are made to sum to 1. Not symmetric: it punishes attention of the reference that the prediction lacks. NaN
    where a map is all 0.
    """
    p, q = _pair(predicted, reference)
    if not p.sum() > 0 or not q.sum() > 0:
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    return float((q * np.log(KL_EPSILON + q / (p + KL_EPSILON))).sum())


def map_cosine(first: ArrayLike, second: ArrayLike) -> float:
    """Return the cosine between two maps taken as vectors, 0 (nowhere both) to 1; NaN where one is all 0."""
    a, b = _pair(first, second)
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(1.0, float((a * b).sum() / size)) if size > 0 else float("nan")


def cluster_cosine(first: ArrayLike, second: ArrayLike) -> float:
    """Return the mean cosine of the clusters of two readers, 0 to 1, each cluster with its partner.

    first, second : (a, h, w) and (b, h, w), one map per cluster. Partners are chosen for the largest sum (Hungarian
    method); a cluster that is left over counts 0. NaN where neither has a cluster; 0 where one has none.

    The GazeX paper states a cosine similarity of gaze clusters without saying how it was computed; this is ours.
    """
    stacks = []
    for stack in (np.asarray(first, np.float64), np.asarray(second, np.float64)):
        if stack.ndim != 3:
            raise DataError(f"the clusters have shape {stack.shape}, expected (n, h, w)")
        stacks.append(stack)
    a, b = stacks
    if not len(a) and not len(b):
        return float("nan")
    if not len(a) or not len(b):
        return 0.0
    cosines = np.array([[map_cosine(one, other) for other in b] for one in a])
    cosines = np.nan_to_num(cosines, nan=0.0)
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    return float(cosines[rows, columns].sum() / max(len(a), len(b)))


def _checked(attention: ArrayLike) -> FloatArray:
    """Return the map as floats. Raises DataError where it is none."""
    heat = np.asarray(attention, np.float64)
    if heat.ndim != 2 or not heat.size or not np.isfinite(heat).all() or (heat < 0).any():
        raise DataError(f"a map of shape {heat.shape} is off: expected (h, w), finite, none negative")
    return heat


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return two maps of one shape."""
    a, b = _checked(first), _checked(second)
    if a.shape != b.shape:
        raise DataError(
            f"the maps have shapes {a.shape} and {b.shape}, expected one", hint="Draw both on one grid."
        )
    return a, b


def _on_map(heat: FloatArray, x_cells: ArrayLike, y_cells: ArrayLike) -> NDArray[np.int64]:
    """Return the flat cell indexes of the fixations that lie on the map."""
    x, y = np.asarray(x_cells, np.float64), np.asarray(y_cells, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(f"the fixations have shapes {x.shape} and {y.shape}, expected one length")
    inside = (x >= 0) & (y >= 0) & (x < heat.shape[1]) & (y < heat.shape[0])
    rows, columns = np.floor(y[inside]).astype(np.int64), np.floor(x[inside]).astype(np.int64)
    cells: NDArray[np.int64] = rows * heat.shape[1] + columns
    return cells

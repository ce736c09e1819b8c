"""Clusters of fixations, in degrees and weighted by dwell."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NOISE", "cluster_fixations"]

NOISE = -1


def cluster_fixations(
    x_image_px: ArrayLike,
    y_image_px: ArrayLike,
    dwell_s: ArrayLike,
    px_per_deg_x: ArrayLike,
    px_per_deg_y: ArrayLike,
    *,
    radius_deg: float,
    min_dwell_s: float,
) -> NDArray[np.int64]:
    """Return (n,) the cluster of each fixation, numbered from 0 by first member; `NOISE` for those in none.

    DBSCAN with dwell as weight (Ester et al. 1996): a fixation is a core where all fixations within ``radius_deg``
    of it, itself included, dwelt ``min_dwell_s`` together; cores within the radius are one cluster; any other
    fixation joins the cluster of its nearest core within the radius. Deterministic.

    x_image_px, y_image_px : (n,), image px, finite.
    px_per_deg_x, _y       : (n,) or scalar, image px per degree then. Between two zooms a degree is the mean of both.
    """
    x, y, dwell = (np.atleast_1d(np.asarray(v, np.float64)) for v in (x_image_px, y_image_px, dwell_s))
    n = x.size
    labels = np.full(n, NOISE, np.int64)
    if not n:
        return labels
    per_deg_x, per_deg_y = (
        np.broadcast_to(np.asarray(v, np.float64), x.shape) for v in (px_per_deg_x, px_per_deg_y)
    )
    first, second, distance = _near_pairs(x, y, per_deg_x, per_deg_y, radius_deg)
    near_dwell = dwell.copy()
    np.add.at(near_dwell, first, dwell[second])
    np.add.at(near_dwell, second, dwell[first])
    core = near_dwell >= min_dwell_s
    if not core.any():
        return labels
    from scipy.sparse import csr_array  # only here: every command would wait for it
    from scipy.sparse.csgraph import connected_components

    joined = core[first] & core[second]
    graph = csr_array((np.ones(int(joined.sum())), (first[joined], second[joined])), shape=(n, n))
    component = connected_components(graph, directed=False)[1]
    labels[core] = component[core]
    other, near_to, apart = np.r_[first, second], np.r_[second, first], np.r_[distance, distance]
    joins = np.flatnonzero(~core[other] & core[near_to])
    joins = joins[np.lexsort((apart[joins], other[joins]))]
    border, nearest = np.unique(other[joins], return_index=True)
    labels[border] = component[near_to[joins[nearest]]]
    return _numbered_by_first(labels)


def _near_pairs(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    per_deg_x: NDArray[np.float64],
    per_deg_y: NDArray[np.float64],
    radius_deg: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return index pairs within the radius, each once, and their distance in degrees."""
    from scipy.spatial import cKDTree

    reach_px = radius_deg * float(max(per_deg_x.max(), per_deg_y.max())) * (1 + 1e-9)
    pairs = cKDTree(np.stack([x, y], axis=1)).query_pairs(reach_px, output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)
    a, b = pairs[:, 0], pairs[:, 1]
    distance = np.hypot(
        2 * (x[a] - x[b]) / (per_deg_x[a] + per_deg_x[b]), 2 * (y[a] - y[b]) / (per_deg_y[a] + per_deg_y[b])
    )
    near = distance <= radius_deg
    return a[near], b[near], distance[near]


def _numbered_by_first(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    found, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    is_cluster = found != NOISE
    number = np.full(found.size, NOISE, np.int64)
    number[np.flatnonzero(is_cluster)[np.argsort(first[is_cluster])]] = np.arange(int(is_cluster.sum()))
    return number[inverse]

"""DBSCAN of many points in a small space (Ester et al. 1996), on a grid: no distance matrix, no tree.

A cell of the grid is so small that all of its points are near each other. A cell with many points needs no counting
then, and two cells are joined by the first near pair.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NOISE", "dbscan"]

NOISE = -1
_REACH = 2
"""Cells to each side that can hold a point within eps: a cell's side is eps / sqrt(3)."""

_OFFSETS = np.array(
    sorted(
        (
            (i, j, k)
            for i in range(-_REACH, _REACH + 1)
            for j in range(-_REACH, _REACH + 1)
            for k in range(-_REACH, _REACH + 1)
        ),
        key=lambda cell: sum(step * step for step in cell),
    ),
    np.int64,
)
"""Nearest cells first: most are joined by then, and the far pairs need no search."""


def dbscan(points: ArrayLike, *, eps: float, min_samples: int) -> NDArray[np.int64]:
    """Return (n,) the cluster of each point, numbered from 0 by first core point; `NOISE` for those in none.

    points : (n, 3), finite, any unit; their extent at most some 10^5 times ``eps``.

    A point with at least ``min_samples`` points within ``eps`` (itself included, the bound included) is a core; cores
    within ``eps`` of each other are one cluster. A border point, no core itself, joins the lowest-numbered of the
    clusters that have a core within ``eps`` of it: the one that a search in the order of the points reaches first.
    """
    at = np.ascontiguousarray(points, np.float64).reshape(-1, 3)
    if not len(at):
        return np.empty(0, np.int64)
    side = eps / np.sqrt(3.0) * (1.0 - 1e-9)  # rounding must not put two points of a cell beyond eps
    cell = np.floor((at - at.min(axis=0)) / side).astype(np.int64)
    n_along = cell.max(axis=0) + 1
    key = (cell[:, 0] * n_along[1] + cell[:, 1]) * n_along[2] + cell[:, 2]
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    bounds = np.append(first, len(at))
    labels = np.empty(len(at), np.int64)
    labels[order] = _clusters(
        at[order], order, key[first], cell[order][first], n_along, bounds, eps * eps, min_samples, _OFFSETS
    )
    return labels


@numba.njit(cache=True)
def _find(cells, keys, n_along, own, offset):  # type: ignore[no-untyped-def]
    """Return the number of the cell ``offset`` away from cell ``own``, -1 where that is empty."""
    key = 0
    for axis in range(3):
        place = cells[own, axis] + offset[axis]
        if place < 0 or place >= n_along[axis]:
            return -1
        key = key * n_along[axis] + place
    found = np.searchsorted(keys, key)
    return found if found < keys.size and keys[found] == key else -1


@numba.njit(cache=True)
def _near(p, q):  # type: ignore[no-untyped-def]
    return (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2


@numba.njit(cache=True)
def _root(parent, node):  # type: ignore[no-untyped-def]
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True)
def _any_near(points, core, low, high, box, point, eps2):  # type: ignore[no-untyped-def]
    """Say whether one of the cores ``low`` to ``high``, which lie in ``box``, is within eps of a point."""
    beyond = 0.0
    for axis in range(3):
        gap = max(box[0, axis] - point[axis], point[axis] - box[1, axis], 0.0)
        beyond += gap * gap
    if beyond > eps2:
        return False
    for other in range(low, high):  # noqa: SIM110 - numba compiles no generator
        if core[other] and _near(points[other], point) <= eps2:
            return True
    return False


@numba.njit(cache=True)
def _clusters(points, rank, keys, cells, n_along, bounds, eps2, min_samples, offsets):  # type: ignore[no-untyped-def]
    """Return the cluster of each point; points are in the order of their cells, ``rank`` is their own order."""
    n, n_cells = len(points), len(keys)
    core = np.zeros(n, np.bool_)
    has_core = np.zeros(n_cells, np.bool_)
    boxes = np.empty((n_cells, 2, 3))
    for own in range(n_cells):
        low, high = bounds[own], bounds[own + 1]
        boxes[own, 0], boxes[own, 1] = points[low], points[low]
        for i in range(low, high):
            count = high - low
            for place in range(1, len(offsets)):
                if count >= min_samples:
                    break
                other = _find(cells, keys, n_along, own, offsets[place])
                if other >= 0:
                    for j in range(bounds[other], bounds[other + 1]):
                        if _near(points[i], points[j]) <= eps2:
                            count += 1
            core[i] = count >= min_samples
            has_core[own] |= core[i]
            for axis in range(3):
                boxes[own, 0, axis] = min(boxes[own, 0, axis], points[i, axis])
                boxes[own, 1, axis] = max(boxes[own, 1, axis], points[i, axis])
    parent = np.arange(n_cells)
    for place in range(1, len(offsets)):
        for own in range(n_cells):
            other = _find(cells, keys, n_along, own, offsets[place]) if has_core[own] else -1
            if other <= own or not has_core[other]:
                continue
            a, b = _root(parent, own), _root(parent, other)
            if a == b:
                continue
            for i in range(bounds[own], bounds[own + 1]):
                if core[i] and _any_near(
                    points, core, bounds[other], bounds[other + 1], boxes[other], points[i], eps2
                ):
                    parent[max(a, b)] = min(a, b)
                    break
    # The number of a cluster is the place of its first core among all clusters' first cores.
    first_rank = np.full(n_cells, n)
    for own in range(n_cells):
        root = _root(parent, own)
        for i in range(bounds[own], bounds[own + 1]):
            if core[i]:
                first_rank[root] = min(first_rank[root], rank[i])
    number = np.full(n_cells, -1)
    for label, root in enumerate(np.argsort(first_rank, kind="mergesort")):
        if first_rank[root] == n:
            break
        number[root] = label
    labels = np.full(n, -1)
    for own in range(n_cells):
        for i in range(bounds[own], bounds[own + 1]):
            if core[i]:
                labels[i] = number[_root(parent, own)]
                continue
            for place in range(len(offsets)):
                other = _find(cells, keys, n_along, own, offsets[place])
                if other < 0 or not has_core[other]:
                    continue
                label = number[_root(parent, other)]
                if (labels[i] < 0 or label < labels[i]) and _any_near(
                    points, core, bounds[other], bounds[other + 1], boxes[other], points[i], eps2
                ):
                    labels[i] = label
    return labels

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
    n = len(at)
    if not n:
        return np.empty(0, np.int64)
    side = eps / np.sqrt(3.0) * (1.0 - 1e-9)  # rounding must not put two points of a cell beyond eps
    cell = np.floor((at - at.min(axis=0)) / side).astype(np.int64) + _REACH
    n_along = cell.max(axis=0) + 1 + _REACH
    strides = np.array([n_along[1] * n_along[2], n_along[2], 1])
    key = cell @ strides
    order = np.argsort(key, kind="stable")
    keys, first = np.unique(key[order], return_index=True)
    bounds = np.append(first, n)
    wanted = keys[:, None] + _OFFSETS @ strides
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    beside = np.where(keys[place] == wanted, place, -1)
    points_by_cell = at[order]
    low = np.minimum.reduceat(points_by_cell, first)
    high = np.maximum.reduceat(points_by_cell, first)
    grid = (points_by_cell, bounds, np.stack([low, high], axis=1), beside)
    core, root = _cores(*grid, eps * eps, min_samples)
    if not core.any():
        return np.full(n, NOISE)
    root_of_core = np.repeat(root, np.diff(bounds))[core]
    first_core = np.full(keys.size, n)
    np.minimum.at(first_core, root_of_core, order[core])
    number = np.empty(keys.size, np.int64)
    number[np.argsort(first_core, kind="stable")] = np.arange(keys.size)
    labels = np.empty(n, np.int64)
    labels[order] = _labels(*grid, core, number[root], eps * eps)
    return labels


@numba.njit(cache=True)
def _distance2(p, q):  # type: ignore[no-untyped-def]
    return (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2


@numba.njit(cache=True)
def _near_core(point, points, core, start, end, box, eps2):  # type: ignore[no-untyped-def]
    """Say whether one of the cores from ``start`` to ``end``, which lie in ``box``, is within eps of a point."""
    beyond = 0.0
    for axis in range(3):
        gap = max(box[0, axis] - point[axis], point[axis] - box[1, axis], 0.0)
        beyond += gap * gap
    if beyond > eps2:
        return False
    for other in range(start, end):  # noqa: SIM110 - numba compiles no generator
        if core[other] and _distance2(points[other], point) <= eps2:
            return True
    return False


@numba.njit(cache=True)
def _root(parent, node):  # type: ignore[no-untyped-def]
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True)
def _cores(points, bounds, boxes, beside, eps2, min_samples):  # type: ignore[no-untyped-def]
    """Return which points are cores, and for each cell the first cell of those that its cores are joined with."""
    n_cells = bounds.size - 1
    core = np.zeros(len(points), np.bool_)
    has_core = np.zeros(n_cells, np.bool_)
    for own in range(n_cells):
        for i in range(bounds[own], bounds[own + 1]):
            count = bounds[own + 1] - bounds[own]
            for other in beside[own, 1:]:
                if count >= min_samples:
                    break
                if other >= 0:
                    for j in range(bounds[other], bounds[other + 1]):
                        if _distance2(points[i], points[j]) <= eps2:
                            count += 1
            core[i] = count >= min_samples
            has_core[own] |= core[i]
    parent = np.arange(n_cells)
    for place in range(1, beside.shape[1]):
        for own in range(n_cells):
            other = beside[own, place]
            if other <= own or not has_core[own] or not has_core[other]:
                continue
            a, b = _root(parent, own), _root(parent, other)
            if a == b:
                continue
            for i in range(bounds[own], bounds[own + 1]):
                if core[i] and _near_core(
                    points[i], points, core, bounds[other], bounds[other + 1], boxes[other], eps2
                ):
                    parent[max(a, b)] = min(a, b)
                    break
    for own in range(n_cells):
        parent[own] = _root(parent, own)
    return core, parent


@numba.njit(cache=True)
def _labels(points, bounds, boxes, beside, core, number, eps2):  # type: ignore[no-untyped-def]
    """Return the cluster of each point: a core's is its cell's ``number``, another's the least of cores near it."""
    labels = np.full(len(points), -1)
    for own in range(bounds.size - 1):
        for i in range(bounds[own], bounds[own + 1]):
            if core[i]:
                labels[i] = number[own]
                continue
            for other in beside[own]:
                if (
                    other >= 0
                    and (labels[i] < 0 or number[other] < labels[i])
                    and _near_core(
                        points[i], points, core, bounds[other], bounds[other + 1], boxes[other], eps2
                    )
                ):
                    labels[i] = number[other]
    return labels

"""Following a border across a picture: contrast gathered along it, the path that gathers most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keyframes.regions.path_kernel import follow

__all__ = ["best_path", "sampled", "step_up"]

FloatArray = NDArray[np.float64]


def sampled(picture: FloatArray, x_px: FloatArray, y_px: FloatArray) -> FloatArray:
    """Return the picture's brightness at places in px (any shape), by linear interpolation; its edge goes on."""
    values: FloatArray = ndimage.map_coordinates(picture, [y_px - 0.5, x_px - 0.5], order=1, mode="nearest")
    return values


def step_up(values: FloatArray, spans: Sequence[int]) -> FloatArray:
    """Return how much brighter each row of ``values`` gets at a place: what follows less what went before.

    values : (n, m). spans : samples on either side over which is averaged, each counting alike; the first and the
    last ``max(spans)`` columns are needed for that and have no place in the (n, m - 2 * max(spans)) result.
    """
    reach = max(spans)
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    at = np.arange(reach, values.shape[1] - reach)
    steps = [(total[:, at + n] - 2 * total[:, at] + total[:, at - n]) / n for n in spans]
    mean: FloatArray = np.mean(steps, axis=0)
    return mean


def best_path(
    gain: FloatArray, places: FloatArray, expected: FloatArray, bend_cost: float
) -> tuple[FloatArray, float]:
    """Return the place of each row that gains most over the whole path, (n,), and the gain less its bends.

    gain : (n, m) at every row and place. places : (m,). expected : (n,), the usual course: a step from row to row
    that differs from its step costs ``bend_cost`` times the difference squared.
    """
    step = np.diff(expected)
    # -cost * (to - from - step)^2, its parts that hang on one place alone taken out of the table.
    path, gained = follow(
        np.ascontiguousarray(gain),
        2 * bend_cost * step[:, None] * places,
        -bend_cost * (places - places[:, None]) ** 2,
        bend_cost * step**2,
    )
    chosen: FloatArray = places[path]
    return chosen, float(gained)

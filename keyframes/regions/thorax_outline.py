"""The lungs' outlines and the heart's borders on a picture whose thorax has been found."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keyframes.regions.anatomy import HEART_BORDERS, LUNG_OUTLINE, Outline, widened
from keyframes.regions.thorax_frame import ThoraxFrame

__all__ = ["heart_width", "lung_outline"]

FloatArray = NDArray[np.float64]

N_OUTLINE = 60
"""Points of a lung's outline: one per 3 to 4 work px."""
REACH = 0.16
"""An outline moves by no more than this share of the half width: about 2 cm in an adult."""
N_OFFSETS = 25
"""Places tried across the outline."""
STRAY_COST = 2.0
"""Cost of an offset squared, in grey contrast (0 to 1) per squared half width."""
BEND_COST = 15.0
"""Cost of the squared difference of neighbouring offsets, same unit."""
OUTER_EDGE = 0.04
"""Share of the half width by which a lung ends outside its edge's steepest place: it thins out towards the wall."""
APEX_EDGE = 0.08
"""The same at the apex, whose top the first rib and the shoulder's shadow hide."""
CROSSED_V, CROSSED_TRUST = 0.15, 0.4
"""Above this, clavicles and first ribs cross the lung, and their edges are no border of it."""
EDGE_SPAN = 0.05
"""Distance, as share of the half width, over which a border's contrast is measured."""
HEART_FACTORS = (0.8, 1.45)
"""A heart's border is looked for between these multiples of its usual distance from the midline."""
HEART_EDGE_U = 0.05
"""Distance from the border, to both sides, at which its contrast is measured."""
HEART_OUTER = 1.07
"""The heart ends outside its border's steepest place: it thins out towards it."""
HEART_STRAY_COST = 0.6
"""Cost of the squared logarithm of the factor, in grey contrast (0 to 1)."""


def heart_width(picture: FloatArray, frame: ThoraxFrame, side: int) -> float:
    """Return by which factor the heart's border on one side lies farther out than usual.

    The border is where brightness falls most from the heart outwards into the lung; an unusual one costs.
    """
    u, v = np.array(HEART_BORDERS[side]).T
    v = np.linspace(v[0], v[-1], 7)
    u = np.interp(v, *np.array(HEART_BORDERS[side]).T[::-1])
    factor = np.linspace(*HEART_FACTORS, 29)
    border = widened(side, u, v, factor[:, None])
    inner, outer = (
        _sampled(picture, np.stack(frame.to_px(border + side * shift, np.tile(v, (29, 1))), axis=-1))
        for shift in (-HEART_EDGE_U, HEART_EDGE_U)
    )
    gain = (inner - outer).mean(axis=1) - HEART_STRAY_COST * np.log(factor) ** 2
    return float(factor[gain.argmax()]) * HEART_OUTER


def _resampled(outline: Outline, n: int) -> FloatArray:
    """Return n points at equal distances along a closed outline, (n, 2)."""
    closed = np.array([*outline, outline[0]])
    length = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))))
    at = np.linspace(0, length[-1], n, endpoint=False)
    return np.column_stack([np.interp(at, length, closed[:, 0]), np.interp(at, length, closed[:, 1])])


@cache
def _template_outline() -> FloatArray:
    """Return N_OUTLINE points (|u|, v) along the template's lung, beginning beside the spine at mid height."""
    start = min(range(len(LUNG_OUTLINE)), key=lambda i: abs(LUNG_OUTLINE[i][1] - 0.34) + LUNG_OUTLINE[i][0])
    return _resampled(LUNG_OUTLINE[start:] + LUNG_OUTLINE[:start], N_OUTLINE)


def lung_outline(picture: FloatArray, frame: ThoraxFrame, side: int) -> FloatArray:
    """Return one lung's outline in work px, (N_OUTLINE, 2): the template's, each point moved across itself.

    Dynamic programming over the offsets: contrast from dark inside to bright outside is gained, far and uneven
    offsets cost. Where heart and spine hide the lung's border the template is kept.
    """
    u, v = _template_outline().T
    points = np.column_stack(frame.to_px(side * u, v))
    half = frame.half_width_right_px if side < 0 else frame.half_width_left_px
    tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    normal = np.column_stack([tangent[:, 1], -tangent[:, 0]])
    normal /= np.maximum(np.hypot(*normal.T), 1e-9)[:, None]
    x, y = points.T
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        normal = -normal
    offset = np.linspace(-REACH, REACH, N_OFFSETS)
    place = points[:, None] + (offset * half)[None, :, None] * normal[:, None]
    contrast = np.zeros((N_OUTLINE, N_OFFSETS))
    smooth = ndimage.gaussian_filter(picture, 1.0)
    for span in (EDGE_SPAN / 2, EDGE_SPAN):
        across = span * half * normal[:, None]
        contrast += (_sampled(smooth, place + across) - _sampled(smooth, place - across)) / 2
    height, width = picture.shape
    on = (place[..., 0] > 0) & (place[..., 0] < width) & (place[..., 1] > 0) & (place[..., 1] < height)
    trust = np.where(u < 0.25, 0.3, 1.0)
    trust[v < CROSSED_V] *= CROSSED_TRUST
    if side > 0:
        trust[(v > 0.45) & (u < 0.45)] = 0.15
    gain = trust[:, None] * np.where(on, contrast, 0.0) - STRAY_COST * offset**2
    # Both ends of the chain are the same point of the outline, beside the spine: it stays.
    gain[[0, -1]] -= 2 * BEND_COST * offset**2
    moved = ndimage.gaussian_filter1d(_best_path(gain, offset), 1.0, mode="wrap")
    free = np.clip((u - 0.3) / 0.2, 0, 1)
    outline: FloatArray = (
        points + ((moved + np.where(v < CROSSED_V, APEX_EDGE, OUTER_EDGE) * free) * half)[:, None] * normal
    )
    return outline


def _sampled(picture: FloatArray, place: FloatArray) -> FloatArray:
    """Return the picture's brightness at (..., 2) places in px, by linear interpolation."""
    values: FloatArray = ndimage.map_coordinates(
        picture, [place[..., 1] - 0.5, place[..., 0] - 0.5], order=1, mode="nearest"
    )
    return values


def _best_path(gain: FloatArray, offset: FloatArray) -> FloatArray:
    """Return the offset of each point that gains most over the whole chain."""
    bend = -BEND_COST * (offset[:, None] - offset[None, :]) ** 2
    total = gain[0]
    came_from = np.zeros(gain.shape, np.intp)
    for i in range(1, len(gain)):
        options = total[:, None] + bend
        came_from[i] = options.argmax(axis=0)
        total = options.max(axis=0) + gain[i]
    path = np.empty(len(gain), np.intp)
    path[-1] = total.argmax()
    for i in range(len(gain) - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    chosen: FloatArray = offset[path]
    return chosen

"""The lungs' outer outlines, over the apex and down the chest wall, on a picture whose thorax has been found."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keyframes.regions.anatomy import LUNG_OUTLINE
from keyframes.regions.thorax_frame import ThoraxFrame
from keyframes.regions.thorax_paths import best_path, sampled

__all__ = ["lung_wall"]

FloatArray = NDArray[np.float64]

N_OUTLINE = 60
"""Points of a lung's outline: one per 3 to 4 work px."""
WALL_FROM_V, WALL_TO_V = 0.12, 0.87
"""Of the outline, the wall begins in the apex beside the spine and ends above the costophrenic angle."""
REACH = 0.16
"""An outline moves by no more than this share of the half width: about 2 cm in an adult."""
N_OFFSETS = 25
"""Places tried across the outline."""
STRAY_COST = 2.0
"""Cost of an offset squared, in grey contrast (0 to 1) per squared half width."""
BEND_COST = 15.0
"""Cost of the squared difference of neighbouring offsets, same unit."""
OUTER_EDGE = 0.05
"""Share of the half width by which a lung ends outside its edge's steepest place: it thins out towards the wall."""
APEX_EDGE = 0.08
"""The same at the apex, whose top the first rib and the shoulder's shadow hide."""
CROSSED_V, CROSSED_TRUST = 0.15, 0.4
"""Above this, clavicles and first ribs cross the lung, and their edges are no border of it."""
EDGE_SPAN = 0.05
"""Distance, as share of the half width, over which a border's contrast is measured."""


def lung_wall(picture: FloatArray, frame: ThoraxFrame, side: int) -> tuple[FloatArray, float]:
    """Return one lung's outer outline in work px, (n, 2), and the contrast gained.

    It runs from the apex' inner end to above the costophrenic angle. The template's outline is taken, each point of
    it moved across itself: contrast from dark inside to bright outside is gained, far and uneven offsets cost. The
    whole outline is moved, the lung's inner and lower border with it, so that the wall's ends are held; of the latter
    two, `keyframes.regions.thorax_floor` knows more.
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
        outside, inside = place + across, place - across
        contrast += (sampled(smooth, *outside.T).T - sampled(smooth, *inside.T).T) / 2
    height, width = picture.shape
    on = (place[..., 0] > 0) & (place[..., 0] < width) & (place[..., 1] > 0) & (place[..., 1] < height)
    trust = np.where(u < 0.25, 0.3, 1.0)
    trust[v < CROSSED_V] *= CROSSED_TRUST
    if side > 0:
        trust[(v > 0.45) & (u < 0.45)] = 0.15
    gain = trust[:, None] * np.where(on, contrast, 0.0) - STRAY_COST * offset**2
    # Both ends of the chain are the same point of the outline, beside the spine: it stays.
    gain[[0, -1]] -= 2 * BEND_COST * offset**2
    path, gained = best_path(gain, offset, np.zeros(N_OUTLINE), BEND_COST)
    moved = ndimage.gaussian_filter1d(path, 1.0, mode="wrap")
    free = np.clip((u - 0.3) / 0.2, 0, 1)
    outline = (
        points + ((moved + np.where(v < CROSSED_V, APEX_EDGE, OUTER_EDGE) * free) * half)[:, None] * normal
    )
    first = int(np.argmax(v < WALL_FROM_V))
    last = int(np.flatnonzero((u > 0.9) & (v < WALL_TO_V))[-1])
    wall: FloatArray = outline[first : last + 1]
    return wall, gained


@cache
def _template_outline() -> FloatArray:
    """Return N_OUTLINE points (|u|, v) along the template's lung, beginning beside the spine at mid height."""
    start = min(range(len(LUNG_OUTLINE)), key=lambda i: abs(LUNG_OUTLINE[i][1] - 0.34) + LUNG_OUTLINE[i][0])
    outline = LUNG_OUTLINE[start:] + LUNG_OUTLINE[: start + 1]
    closed = np.array(outline)
    length = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))))
    at = np.linspace(0, length[-1], N_OUTLINE, endpoint=False)
    return np.column_stack([np.interp(at, length, closed[:, 0]), np.interp(at, length, closed[:, 1])])

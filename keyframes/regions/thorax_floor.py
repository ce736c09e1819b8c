"""The diaphragm and the mediastinum's borders on a picture whose thorax has been found, in its frame.

The two are found together: the heart hides the diaphragm's inner part, and the diaphragm ends the heart's border.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keyframes.regions.anatomy import DOME, MEDIASTINUM_BORDERS
from keyframes.regions.thorax_frame import ThoraxFrame
from keyframes.regions.thorax_paths import best_path, sampled, step_up

__all__ = ["BORDER_V", "FLOOR_U", "TIP", "LowerThorax", "find_lower_thorax"]

FloatArray = NDArray[np.float64]

STEP = 0.01
"""Grid of the candidates, in u and in v: a third of a work px."""
FLOOR_U = np.linspace(0.22, 1.0, 27)
"""Columns in which a hemidiaphragm is looked for, |u|."""
_FLOOR_V = np.arange(0.5, 1.35, STEP)
BORDER_V = np.linspace(0.02, 1.0, 50)
"""Rows in which the mediastinum's border is looked for."""
_BORDER_U = np.arange(0.02, 0.98, STEP)
FLOOR_SPANS, BORDER_SPANS = (3, 6, 12), (3, 6, 10)
"""Distances over which a border's contrast is measured, in grid steps: its edge, and what lies to both sides. Ribs
are no wider than the short ones, lungs and abdomen wider than the long."""
TIP = len(FLOOR_U) - 1
"""The column of `FLOOR_U` that stands for the costophrenic angle's tip."""
LATERAL_U = 0.5
"""From here outwards a dome falls, where fluid climbs."""

FLOOR_STRAY_COST, BORDER_STRAY_COST = 1.0, 0.2
"""Cost of the squared distance from the usual course, in grey contrast (0 to 1): weak, since bodies differ."""
VESSEL_STRAY_COST = 3.0
"""The same of the mediastinum above the heart: great vessels differ less, and what lies beside them may be dense."""
HIDDEN_STRAY_COST = 20.0
"""The same where the heart hides the diaphragm."""
FLOOR_BEND_COST, BORDER_BEND_COST, SHAPE_BEND_COST = 200.0, 60.0, 60.0
"""Cost of the squared difference from the usual course's slope, per grid row; the last to tell dome from fluid."""
FLOOR_EDGE_V = 0.006
"""A dome ends above its border's steepest place, 1 to 2 mm: the lung thins out over its far slope. Measured against
the lower ends of lung masks on real films."""
BORDER_EDGE_U = 0.02
"""The heart ends outside its border's steepest place, by 2 to 3 mm: it thins out towards the lung."""
NEAR_FLOOR_V = 0.03
"""So near to the diaphragm the heart's border is no longer seen."""
HEART_FROM_V = 0.5
"""Where the mediastinum's border becomes the heart's."""
HEART_SIZES = (0.7, 1.8)
"""How far a heart's border stands out against the usual one, least and most: the part that is seen says how the part
goes on that fluid hides."""
SEEN_FROM_U = {-1: 0.25, 1: 0.5}
"""Beyond the heart's usual edge a dome is seen, before the heart has been found."""
SEEN_WITHIN_U = 0.12
"""Over this distance from the heart outwards a dome becomes fully trusted."""
MEASURED_HEART_U = 0.62
"""A dome's height above its tip can be measured where the heart leaves free at least the rest."""
MIN_SEEN = 7
"""Columns that make a dome's height measurable."""
DOME_RISE_V = {-1: 0.135, 1: 0.10}
"""Of a dome above its tip: 4 cm in an adult on the right, 1 cm less on the left. The other side's shows the rest."""
MENISCUS_V, MENISCUS_REACH_U = 0.13, 0.13
"""How far fluid climbs at the wall, 3 to 4 cm, and the distance from it over which it does."""
HIGHER_SHARE = 0.06
"""Fluid is considered where a base stands above the other by more than this share of the thorax's height."""
RAISED_SHARE = 0.25
"""Above the other by more than this no dome stands: a paralysed one rises by 4 to 6 cm of 28. It is dense lung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerThorax:
    """One side's diaphragm and mediastinal border."""

    floor_v: FloatArray
    """At `FLOOR_U`."""
    border_u: FloatArray
    """|u| at `BORDER_V`; below the diaphragm it has no meaning."""
    hidden: bool
    """Fluid or dense lung hides the diaphragm: ``floor_v`` is where it is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    gain: FloatArray
    trust: FloatArray
    floor_v: FloatArray
    border_u: FloatArray
    tip_y_px: float
    rise_v: float | None
    climbs: bool
    """The lower border of what is dark climbs towards the wall, as fluid does; a dome falls."""


def find_lower_thorax(picture: FloatArray, frame: ThoraxFrame) -> dict[int, LowerThorax]:
    """Return the diaphragm and the mediastinum's border of the right (-1) and the left (1) side.

    picture : (h, w) brightness, about 0 to 1, bright = dense; ``frame`` in its px.

    Where fluid or dense lung hides a diaphragm the other side's takes its place, mirrored; under the heart the dome
    goes on in its usual shape.
    """
    sides = {side: _side(picture, frame, side) for side in (-1, 1)}
    height = {-1: frame.base_right_y_px - frame.apex_y_px, 1: frame.base_left_y_px - frame.apex_y_px}
    found = {}
    for side, own in sides.items():
        other = sides[-side]
        higher = 2 * (other.tip_y_px - own.tip_y_px) / (height[-1] + height[1])
        hidden = (own.climbs and (higher > HIGHER_SHARE or other.climbs)) or higher > RAISED_SHARE
        rise = DOME_RISE_V[side]
        if own.rise_v is not None and not hidden:
            rise = own.rise_v
        elif other.rise_v is not None and not other.climbs:
            rise += other.rise_v - DOME_RISE_V[-side]
        tip = float(own.floor_v[TIP])
        if hidden:
            tip = 1.0 if other.climbs else (other.tip_y_px - frame.apex_y_px) / height[side]
        usual = _usual_dome()
        expected = tip - rise * (usual[TIP] - usual) / np.ptp(usual)
        floor = expected
        if not hidden:
            stray = np.where(own.trust > 0.5, FLOOR_STRAY_COST, HIDDEN_STRAY_COST)
            floor = _floor(own.gain, own.trust, expected, stray)
        found[side] = LowerThorax(
            floor_v=floor - FLOOR_EDGE_V, border_u=own.border_u + BORDER_EDGE_U, hidden=hidden
        )
    return found


def _side(picture: FloatArray, frame: ThoraxFrame, side: int) -> _Side:
    """Return what one side shows by itself."""
    gain = _floor_gain(picture, frame, side)
    usual = _usual_dome()
    floor, border, heart_u, heart_size = usual, usual, SEEN_FROM_U[side], 1.0
    for _ in range(2):
        trust = np.clip((FLOOR_U - heart_u) / SEEN_WITHIN_U, 0, 1)
        stray = np.where(trust > 0, FLOOR_STRAY_COST, 0.1 * FLOOR_STRAY_COST)
        floor = _floor(gain, trust, usual, stray)
        border = _border(picture, frame, side, floor, heart_size)
        lowest_v = np.interp(border, FLOOR_U, floor) - NEAR_FLOOR_V
        heart = (BORDER_V > HEART_FROM_V) & (lowest_v > BORDER_V)
        if heart.any():
            heart_u = float(border[heart].max())
            heart_size = _heart_size(border, heart, side)
    seen = trust > 0.5
    measured = heart_u < MEASURED_HEART_U and seen.sum() >= MIN_SEEN
    height = (frame.base_right_y_px if side < 0 else frame.base_left_y_px) - frame.apex_y_px
    return _Side(
        gain=gain,
        trust=trust,
        floor_v=floor,
        border_u=border,
        tip_y_px=frame.apex_y_px + float(floor[TIP]) * height,
        rise_v=float(floor[TIP] - floor[seen].min()) if measured else None,
        climbs=_climbs(gain),
    )


def _usual_dome() -> FloatArray:
    u, v = np.array(DOME).T
    usual: FloatArray = np.interp(FLOOR_U, u, v)
    return usual


def _floor_gain(picture: FloatArray, frame: ThoraxFrame, side: int) -> FloatArray:
    """Return how much brighter it gets downwards at each candidate, (columns, candidates)."""
    x, y = frame.to_px(*np.meshgrid(side * FLOOR_U, _around(_FLOOR_V, FLOOR_SPANS), indexing="ij"))
    gain = step_up(sampled(picture, x, y), FLOOR_SPANS)
    height, width = picture.shape
    off = (y > height - 1) | (x < 0) | (x > width)
    reach = max(FLOOR_SPANS)
    gain[off[:, reach:-reach]] = 0.0
    return gain


def _floor(gain: FloatArray, trust: FloatArray, usual: FloatArray, stray_cost: FloatArray) -> FloatArray:
    """Return the diaphragm's course, v at `FLOOR_U`, before the correction of its edge."""
    stray = stray_cost[:, None] * (_FLOOR_V - usual[:, None]) ** 2
    return best_path(gain * trust[:, None] - stray, _FLOOR_V, usual, FLOOR_BEND_COST)[0]


def _usual_border(side: int, heart_size: float = 1.0) -> FloatArray:
    """Return the usual border of mediastinum and heart, |u| at `BORDER_V`, the heart standing out so much more."""
    u, v = np.array(MEDIASTINUM_BORDERS[side]).T
    usual: FloatArray = np.interp(BORDER_V, v, u)
    top = float(np.interp(HEART_FROM_V, v, u))
    return np.where(BORDER_V > HEART_FROM_V, top + heart_size * (usual - top), usual)


def _heart_size(border_u: FloatArray, seen: NDArray[np.bool_], side: int) -> float:
    """Return how far the seen rows of a heart's border stand out, as ratio to the usual border."""
    top = float(np.interp(HEART_FROM_V, BORDER_V, _usual_border(side)))
    out, usual = border_u[seen] - top, _usual_border(side)[seen] - top
    return float(np.clip(usual @ out / max(float(usual @ usual), 1e-6), *HEART_SIZES))


def _border(
    picture: FloatArray, frame: ThoraxFrame, side: int, floor_v: FloatArray, heart_size: float
) -> FloatArray:
    """Return the mediastinum's border above a diaphragm, |u| at `BORDER_V`, before the correction of its edge."""
    u, v = np.meshgrid(side * _around(_BORDER_U, BORDER_SPANS), BORDER_V)
    gain = -step_up(sampled(picture, *frame.to_px(u, v)), BORDER_SPANS)
    floor = np.interp(_BORDER_U, FLOOR_U, floor_v)
    gain[BORDER_V[:, None] > floor - NEAR_FLOOR_V] = 0.0
    usual = _usual_border(side, heart_size)
    cost = np.where(BORDER_V < HEART_FROM_V, VESSEL_STRAY_COST, BORDER_STRAY_COST)
    stray = cost[:, None] * (_BORDER_U - usual[:, None]) ** 2
    return best_path(gain - stray, _BORDER_U, usual, BORDER_BEND_COST)[0]


def _climbs(floor_gain: FloatArray) -> bool:
    """Say whether fluid's upper border, a meniscus, fits what is seen better than a dome."""
    lateral = FLOOR_U >= LATERAL_U
    meniscus = -MENISCUS_V * np.exp((FLOOR_U - 1.0) / MENISCUS_REACH_U)
    dome, fluid = (
        best_path(floor_gain[lateral], _FLOOR_V, shape[lateral], SHAPE_BEND_COST)[1]
        for shape in (_usual_dome(), meniscus)
    )
    return fluid > dome


def _around(grid: FloatArray, spans: tuple[int, ...]) -> FloatArray:
    """Return a grid with room at both ends for measuring steps."""
    reach = max(spans)
    wider: FloatArray = grid[0] + STEP * np.arange(-reach, len(grid) + reach)
    return wider

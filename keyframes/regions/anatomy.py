"""Where the 36 Chest ImaGenome locations lie in a frontal thorax, as shapes in the thorax's own coordinates.

u runs from -1 (the patient's right chest wall, at the left of a frontal film) over 0 (midline) to 1 (left wall),
v from 0 (apices) to 1 (tips of the costophrenic angles). The proportions are textbook anatomy of an upright
adult in inspiration (e.g. heart half as wide as the thorax, carina at T5, left hilum higher than the right);
lungs, zones, angles and diaphragm follow the outlines found on the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from keyframes.regions.region_map import Region

__all__ = ["HEART_BORDERS", "LUNG_OUTLINE", "Outline", "inside_polygon", "regions_of", "widened"]

FloatArray = NDArray[np.float64]
Outline = tuple[tuple[float, float], ...]
ToPx = Callable[[ArrayLike, ArrayLike], tuple[FloatArray, FloatArray]]

LUNG_OUTLINE: Outline = (
    (0.42, 0.0), (0.56, 0.015), (0.69, 0.06), (0.80, 0.15), (0.88, 0.29), (0.935, 0.46), (0.97, 0.66),
    (0.995, 0.86), (0.985, 1.0), (0.92, 0.96), (0.84, 0.915), (0.72, 0.88), (0.57, 0.865), (0.42, 0.865), (0.28, 0.88),
    (0.18, 0.91), (0.165, 0.80), (0.16, 0.64), (0.155, 0.48), (0.155, 0.34), (0.16, 0.20), (0.19, 0.09),
    (0.28, 0.02),
)  # fmt: skip
"""A lung in (|u|, v), the part behind the heart included: from the apex down the chest wall, along the dome."""

HEART_BORDERS: dict[int, Outline] = {
    -1: ((-0.25, 0.58), (-0.285, 0.69), (-0.275, 0.80)),
    1: ((0.43, 0.59), (0.56, 0.71), (0.63, 0.83)),
}
"""The heart's right (-1) and left (1) border where it stands against the lung."""

APEX_GAIN = 1.6
"""A heart that is wider than usual on the left is so above all at its apex: there its excess counts by this factor,
at the upper end of the border by 1. (A large left ventricle pushes the apex down and out.)"""

_HEART_CROWN: Outline = ((0.32, 0.50), (0.27, 0.43), (0.2, 0.39), (0.0, 0.40), (-0.17, 0.47))
_HEART_TOP_V = 0.39
_HEART_FOOT_V = 0.93
"""Where the heart of these proportions sits on the diaphragm; it is moved to where the diaphragm was found."""
_SEATED_STRETCH = (0.75, 1.25)
"""A heart is never flattened or stretched beyond this by a high or low diaphragm."""
_FIXED: dict[str, Outline] = {
    "trachea": ((-0.085, -0.3), (0.08, -0.3), (0.085, 0.33), (-0.085, 0.33)),
    "carina": ((-0.11, 0.295), (0.12, 0.295), (0.14, 0.37), (-0.12, 0.37)),
    "upper mediastinum": (
        (-0.15, 0.0), (-0.17, 0.2), (-0.18, 0.37), (0.28, 0.37), (0.29, 0.24), (0.2, 0.14), (0.15, 0.0),
    ),
    "aortic arch": (
        (0.0, 0.19), (0.16, 0.175), (0.25, 0.19), (0.29, 0.235), (0.29, 0.30), (0.25, 0.335), (0.0, 0.335),
    ),
    "svc": ((-0.07, 0.17), (-0.19, 0.17), (-0.21, 0.46), (-0.07, 0.46)),
    "right hilar structures": ((-0.15, 0.31), (-0.49, 0.31), (-0.49, 0.57), (-0.15, 0.57)),
    "left hilar structures": ((0.17, 0.275), (0.52, 0.275), (0.52, 0.535), (0.17, 0.535)),
    "spine": ((-0.15, -0.3), (0.15, -0.3), (0.15, 1.8), (-0.15, 1.8)),
}  # fmt: skip
_SEATED: dict[str, Outline] = {
    "descending aorta": ((0.03, 0.355), (0.235, 0.335), (0.2, 0.6), (0.13, 0.93), (0.03, 0.93), (0.07, 0.6)),
    "cavoatrial junction": ((-0.09, 0.46), (-0.2, 0.46), (-0.25, 0.56), (-0.09, 0.56)),
    "right atrium": ((-0.05, 0.56), (-0.25, 0.56), (-0.285, 0.69), (-0.275, 0.82), (-0.22, 0.89), (-0.05, 0.89)),
}  # fmt: skip
"""Shapes that move with the diaphragm and, right of the midline, with the heart's right border."""
_MEDIASTINUM_CROWN: Outline = (
    (0.26, 0.42), (0.25, 0.24), (0.17, 0.14), (0.15, 0.0), (-0.15, 0.0), (-0.17, 0.2), (-0.19, 0.4),
)  # fmt: skip
_CLAVICLE: Outline = (
    (0.12, 0.155), (0.3, 0.115), (0.5, 0.06), (0.75, 0.01), (1.0, -0.03), (1.0, 0.02), (0.76, 0.065), (0.5, 0.12),
    (0.3, 0.17), (0.13, 0.215),
)  # fmt: skip

APICAL_V = 0.14
"""Lower end of the apical zone: where the clavicles cross the lungs."""
UPPER_V, LOWER_V = 0.36, 0.60
"""The hila lie in the mid zone, between these two."""
ANGLE_U, ANGLE_V = (0.79, 1.04), (0.87, 1.04)
"""A costophrenic angle's box, from the lung's last corner to just beyond the wall."""
DOME_ABOVE, DOME_BELOW = 0.035, 0.075
"""The hemidiaphragm's band above and below the lung's lower border, in v: 1 and 2 cm in an adult."""
DOME_U = (0.25, 0.95)
"""Between these a lung's lower border is its dome; nearer the midline it is the heart's foot."""
HEMIDIAPHRAGM_U = (0.20, 1.02)
"""The band goes on to the wall and under the heart's edge, as the muscle does."""
DOME_SMOOTH = 5
"""Columns over which a dome is averaged."""
FOOT_U, FOOT_V = 0.12, (-0.07, 0.055)
"""Half width of a cardiophrenic angle, and its reach in v from where the heart's border meets the diaphragm."""
UPPER_ABDOMEN_V, ABDOMEN_V = 1.2, 1.8
"""Lower ends where the picture goes on below."""
N_COLUMNS = 28
"""Points along each border of a lung's zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Floor:
    """The diaphragm from wall to wall: v at ascending u; between the domes a straight line."""

    u: FloatArray
    v: FloatArray

    def at(self, u: ArrayLike) -> FloatArray:
        """Return the diaphragm's v at ``u``."""
        return np.interp(np.asarray(u, np.float64), self.u, self.v)

    def seated(self, outline: Outline) -> Outline:
        """Return a shape of the heart's neighbourhood moved to this diaphragm, nothing of it below."""
        foot = float(self.at(0.15))
        stretch = np.clip((foot - _HEART_TOP_V) / (_HEART_FOOT_V - _HEART_TOP_V), *_SEATED_STRETCH)
        moved = ((u, v + max(v - _HEART_TOP_V, 0.0) * (float(stretch) - 1.0)) for u, v in outline)
        return tuple((u, min(v, float(self.at(u)))) for u, v in moved)

    def along(self, from_u: float, to_u: float) -> Outline:
        """Return the diaphragm between two places."""
        u = np.linspace(from_u, to_u, N_COLUMNS)
        return tuple(zip(u.tolist(), self.at(u).tolist(), strict=True))


def widened(side: int, u: ArrayLike, v: ArrayLike, factor: ArrayLike) -> FloatArray:
    """Return where points of the heart's border on one side lie when it is ``factor`` times as wide as usual."""
    u, v, excess = (np.asarray(values, np.float64) for values in (u, v, factor))
    excess = excess - 1.0
    if side > 0:
        top, bottom = HEART_BORDERS[1][0][1], HEART_BORDERS[1][-1][1]
        downwards = np.clip((v - top) / (bottom - top), 0.0, 1.0)
        excess = np.where(excess > 0, excess * (1.0 + (APEX_GAIN - 1.0) * downwards), excess)
    moved: FloatArray = u * (1.0 + excess)
    return moved


def inside_polygon(outline: Outline, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
    """Say which points lie inside a closed outline (even-odd rule)."""
    return Region(name="", polygon=outline).contains(x, y)


def regions_of(
    right_lung: Outline,
    left_lung: Outline,
    heart_right: float,
    heart_left: float,
    to_px: ToPx,
    width_px: int,
    height_px: int,
) -> dict[str, Region]:
    """Return the 36 locations as polygons in image px, cut at the picture's edge.

    The lungs' outlines are in (u, v); ``heart_right`` and ``heart_left`` say how much wider than usual the heart is
    on either side; ``to_px`` maps (u, v) to image px. A location that lies wholly off the picture is left out.
    """
    right_dome, left_dome = _dome(right_lung, -1), _dome(left_lung, 1)
    floor = _Floor(
        u=np.concatenate([right_dome[::-1, 0], left_dome[:, 0]]),
        v=np.concatenate([right_dome[::-1, 1], left_dome[:, 1]]),
    )
    heart, mediastinum = _heart(floor, heart_right, heart_left)
    shapes = dict(_FIXED) | {"cardiac silhouette": heart, "mediastinum": mediastinum}
    for name, shape in _SEATED.items():
        shapes[name] = floor.seated(tuple((u * (heart_right if u < -0.1 else 1.0), v) for u, v in shape))
    for name, side, lung in (("right", -1, right_lung), ("left", 1, left_lung)):
        shapes[f"{name} lung"] = lung
        shapes[f"{name} clavicle"] = tuple((side * u, v) for u, v in _CLAVICLE)
        shapes[f"{name} cardiac silhouette"] = _half_plane(heart, axis=0, limit=0.0, above=side > 0)
        shapes |= {
            f"{name} {part}": shape for part, shape in _parts_of_lung(lung, side, heart, floor).items()
        }
        border = floor.along(side, 0.0)
        shapes[f"{name} upper abdomen"] = (*border, (0.0, UPPER_ABDOMEN_V), (side, UPPER_ABDOMEN_V))
    shapes["abdomen"] = (*floor.along(-1.0, 1.0), (1.0, ABDOMEN_V), (-1.0, ABDOMEN_V))
    regions = {}
    for name, shape in shapes.items():
        if len(shape) < 3:
            continue
        x, y = to_px(*np.array(shape).T)
        polygon = _cut(tuple(zip(x.tolist(), y.tolist(), strict=True)), width_px, height_px)
        if len(polygon) >= 3:
            regions[name] = Region(name=name, polygon=polygon)
    return regions


def _heart(floor: _Floor, wider_right: float, wider_left: float) -> tuple[Outline, Outline]:
    """Return the heart and the whole mediastinum, sitting on the diaphragm."""
    right = tuple((u * wider_right, v) for u, v in HEART_BORDERS[-1])
    left = tuple((float(widened(1, u, v, wider_left)), v) for u, v in HEART_BORDERS[1])
    right_foot, left_foot = -0.22 * wider_right, float(widened(1, 0.58, 1.0, wider_left))
    upper = floor.seated((*reversed(left), *_HEART_CROWN, *right))
    around = floor.seated((*reversed(left), *_MEDIASTINUM_CROWN, *right))
    base = floor.along(right_foot, left_foot)
    return (*upper, *base), (*around, *base)


def _parts_of_lung(lung: Outline, side: int, heart: Outline, floor: _Floor) -> dict[str, Outline]:
    """Return a lung's zones, apex, angles and hemidiaphragm; the zones leave out what the heart covers."""
    u = _columns_of(lung)
    top, bottom = _span(lung, u)
    heart_top, _ = _span(heart, u)
    visible = np.where(np.isfinite(heart_top), np.minimum(bottom, heart_top), bottom)
    foot = side * max(side * point[0] for point in heart)
    foot_v = float(floor.at(foot))
    dome_u = side * np.linspace(*HEMIDIAPHRAGM_U, N_COLUMNS)
    dome_v = floor.at(dome_u)
    return {
        "apical zone": _between(u, top, np.minimum(bottom, APICAL_V)),
        "upper lung zone": _between(u, top, np.minimum(visible, UPPER_V)),
        "mid lung zone": _between(u, np.maximum(top, UPPER_V), np.minimum(visible, LOWER_V)),
        "lower lung zone": _between(u, np.maximum(top, LOWER_V), visible),
        "costophrenic angle": _box(side * ANGLE_U[0], side * ANGLE_U[1], *ANGLE_V),
        "cardiophrenic angle": _box(foot - FOOT_U, foot + FOOT_U, *(foot_v + reach for reach in FOOT_V)),
        "hemidiaphragm": _between(dome_u, dome_v - DOME_ABOVE, dome_v + DOME_BELOW),
    }


def _box(u0: float, u1: float, v0: float, v1: float) -> Outline:
    """Return a rectangle."""
    return ((u0, v0), (u1, v0), (u1, v1), (u0, v1))


def _columns_of(lung: Outline) -> FloatArray:
    """Return N_COLUMNS values of u just inside a lung, ascending."""
    u = [point[0] for point in lung]
    margin = 1e-3 * (max(u) - min(u))
    return np.linspace(min(u) + margin, max(u) - margin, N_COLUMNS)


def _span(outline: Outline, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the least and greatest v of an outline at each u; NaN where it does not reach."""
    top, bottom = np.full(u.shape, np.inf), np.full(u.shape, -np.inf)
    for (ua, va), (ub, vb) in zip(outline, (*outline[1:], outline[0]), strict=True):
        if ua == ub:
            continue
        at = (u >= min(ua, ub)) & (u <= max(ua, ub))
        v = va + (u[at] - ua) * (vb - va) / (ub - ua)
        top[at], bottom[at] = np.minimum(top[at], v), np.maximum(bottom[at], v)
    reached = top <= bottom
    return np.where(reached, top, np.nan), np.where(reached, bottom, np.nan)


def _between(u: FloatArray, top: FloatArray, bottom: FloatArray) -> Outline:
    """Return the outline of the longest run of columns whose bottom is below their top; ``()`` for fewer than 2."""
    good = np.concatenate(([False], bottom - top > 1e-6, [False]))
    starts, ends = np.flatnonzero(good[1:] & ~good[:-1]), np.flatnonzero(~good[1:] & good[:-1])
    if not starts.size:
        return ()
    longest = int(np.argmax(ends - starts))
    run = slice(starts[longest], ends[longest])
    if ends[longest] - starts[longest] < 2:
        return ()
    upper = zip(u[run].tolist(), top[run].tolist(), strict=True)
    lower = zip(u[run][::-1].tolist(), bottom[run][::-1].tolist(), strict=True)
    return (*upper, *lower)


def _dome(lung: Outline, side: int) -> FloatArray:
    """Return the lung's lower border as (n, 2) points from the midline outwards, smoothed."""
    u = side * np.linspace(*DOME_U, N_COLUMNS)
    _, bottom = _span(lung, u)
    known = np.isfinite(bottom)
    v = (
        np.interp(np.abs(u), np.abs(u[known]), bottom[known])
        if known.any()
        else np.full(u.shape, _HEART_FOOT_V)
    )
    return np.column_stack([u, ndimage.uniform_filter1d(v, DOME_SMOOTH, mode="nearest")])


def _half_plane(outline: Sequence[tuple[float, float]], *, axis: int, limit: float, above: bool) -> Outline:
    """Return the part of an outline on one side of a line along an axis (Sutherland and Hodgman 1974)."""
    sign = 1.0 if above else -1.0
    kept: list[tuple[float, float]] = []
    for a, b in zip(outline, (*outline[1:], outline[0]), strict=True):
        inside_a, inside_b = sign * (a[axis] - limit) >= 0, sign * (b[axis] - limit) >= 0
        if inside_a:
            kept.append(a)
        if inside_a != inside_b:
            share = (limit - a[axis]) / (b[axis] - a[axis])
            other = a[1 - axis] + share * (b[1 - axis] - a[1 - axis])
            kept.append((limit, other) if axis == 0 else (other, limit))
    return tuple(kept)


def _cut(polygon: Outline, width_px: int, height_px: int) -> Outline:
    """Return a polygon cut at the picture's edge; ``()`` where nothing is left."""
    for axis, limit, above in (
        (0, 0.0, True),
        (0, float(width_px), False),
        (1, 0.0, True),
        (1, float(height_px), False),
    ):
        polygon = _half_plane(polygon, axis=axis, limit=limit, above=above)
        if len(polygon) < 3:
            return ()
    return polygon if Region(name="", polygon=polygon).area_px2 > 0 else ()

"""Where the 36 Chest ImaGenome locations lie in a frontal thorax, as shapes in the thorax's own coordinates.

u runs from -1 (the patient's right chest wall, at the left of a frontal film) over 0 (midline) to 1 (left wall),
v from 0 (apices) to 1 (tips of the costophrenic angles). The proportions are textbook anatomy of an upright
adult in inspiration (e.g. heart half as wide as the thorax, carina at T5, left hilum higher than the right);
lungs, zones, angles and diaphragm follow the outlines found on the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.regions.region_map import Region

__all__ = ["LUNG_OUTLINE", "Outline", "inside_polygon", "regions_of"]

FloatArray = NDArray[np.float64]
Outline = tuple[tuple[float, float], ...]
ToPx = Callable[[ArrayLike, ArrayLike], tuple[FloatArray, FloatArray]]

LUNG_OUTLINE: Outline = (
    (0.42, 0.0), (0.56, 0.015), (0.69, 0.06), (0.80, 0.15), (0.88, 0.29), (0.935, 0.46), (0.97, 0.66),
    (0.995, 0.86), (0.985, 1.0), (0.90, 0.955), (0.75, 0.91), (0.58, 0.89), (0.42, 0.89), (0.28, 0.905),
    (0.18, 0.93), (0.165, 0.80), (0.16, 0.64), (0.155, 0.48), (0.155, 0.34), (0.16, 0.20), (0.19, 0.09),
    (0.28, 0.02),
)  # fmt: skip
"""A lung in (|u|, v), the part behind the heart included: from the apex down the chest wall, along the dome."""

_HEART: Outline = (
    (-0.17, 0.47), (-0.25, 0.58), (-0.29, 0.69), (-0.28, 0.80), (-0.22, 0.90), (0.0, 0.95), (0.3, 0.965),
    (0.5, 0.95), (0.6, 0.90), (0.63, 0.83), (0.56, 0.71), (0.43, 0.59), (0.32, 0.50), (0.27, 0.43), (0.2, 0.39),
    (0.0, 0.40),
)  # fmt: skip
_MEDIASTINUM: Outline = (
    (-0.15, 0.0), (-0.17, 0.2), (-0.19, 0.4), (-0.28, 0.65), (-0.24, 0.93), (0.5, 0.95), (0.6, 0.86),
    (0.45, 0.62), (0.26, 0.42), (0.25, 0.24), (0.17, 0.14), (0.15, 0.0),
)  # fmt: skip
_FIXED: dict[str, Outline] = {
    "trachea": ((-0.075, -0.14), (0.06, -0.14), (0.06, 0.29), (-0.075, 0.29)),
    "carina": ((-0.11, 0.29), (0.095, 0.29), (0.11, 0.36), (-0.125, 0.36)),
    "mediastinum": _MEDIASTINUM,
    "upper mediastinum": (
        (-0.15, 0.0), (-0.17, 0.2), (-0.18, 0.34), (0.25, 0.34), (0.25, 0.24), (0.17, 0.14), (0.15, 0.0)
    ),
    "aortic arch": (
        (0.07, 0.22), (0.16, 0.205), (0.23, 0.23), (0.255, 0.27), (0.24, 0.315), (0.17, 0.335), (0.115, 0.325),
    ),
    "descending aorta": ((0.12, 0.335), (0.235, 0.335), (0.2, 0.6), (0.13, 0.9), (0.03, 0.9), (0.07, 0.6)),
    "svc": ((-0.1, 0.2), (-0.19, 0.2), (-0.2, 0.46), (-0.12, 0.46)),
    "cavoatrial junction": ((-0.09, 0.46), (-0.2, 0.46), (-0.25, 0.56), (-0.09, 0.56)),
    "right atrium": ((-0.05, 0.56), (-0.25, 0.56), (-0.3, 0.69), (-0.28, 0.82), (-0.22, 0.88), (-0.05, 0.88)),
    "right hilar structures": (
        (-0.2, 0.36), (-0.31, 0.37), (-0.4, 0.43), (-0.4, 0.52), (-0.33, 0.57), (-0.25, 0.56), (-0.2, 0.46),
    ),
    "left hilar structures": (
        (0.25, 0.33), (0.34, 0.34), (0.42, 0.40), (0.42, 0.49), (0.35, 0.53), (0.31, 0.49), (0.25, 0.42),
    ),
    "cardiac silhouette": _HEART,
    "spine": ((-0.12, -0.2), (0.12, -0.2), (0.13, 1.6), (-0.13, 1.6)),
}  # fmt: skip
_CLAVICLE: Outline = (
    (0.12, 0.155), (0.3, 0.115), (0.5, 0.06), (0.75, 0.01), (1.0, -0.03), (1.0, 0.02), (0.76, 0.065), (0.5, 0.12),
    (0.3, 0.17), (0.13, 0.215),
)  # fmt: skip

APICAL_V = 0.14
"""Lower end of the apical zone: where the clavicles cross the lungs."""
UPPER_V, LOWER_V = 0.36, 0.60
"""The hila lie in the mid zone, between these two."""
ANGLE_U, ANGLE_V = 0.78, 0.87
"""A costophrenic angle is the lung beyond this, both ways."""
DOME_ABOVE, DOME_BELOW = 0.025, 0.07
"""The hemidiaphragm's band above and below the lung's lower border, in v: 0.5 and 1.5 cm in an adult."""
DOME_U = (0.2, 0.95)
ABDOMEN_V = 1.6
"""The abdomen's lower end where the picture goes on below."""
N_COLUMNS = 28
"""Points along each border of a lung's zone."""


def inside_polygon(outline: Outline, x: ArrayLike, y: ArrayLike) -> NDArray[np.bool_]:
    """Say which points lie inside a closed outline (even-odd rule)."""
    return Region(name="", polygon=outline).contains(x, y)


def regions_of(
    right_lung: Outline, left_lung: Outline, to_px: ToPx, width_px: int, height_px: int
) -> dict[str, Region]:
    """Return the 36 locations as polygons in image px, cut at the picture's edge.

    The lungs' outlines are in (u, v); ``to_px`` maps (u, v) to image px. A location that lies wholly off the
    picture is left out.
    """
    shapes = dict(_FIXED)
    shapes["left cardiac silhouette"], shapes["right cardiac silhouette"] = (
        _half_plane(_HEART, axis=0, limit=0.0, above=above) for above in (True, False)
    )
    domes = []
    for name, side, lung in (("right", -1, right_lung), ("left", 1, left_lung)):
        shapes[f"{name} lung"] = lung
        shapes[f"{name} clavicle"] = tuple((side * u, v) for u, v in _CLAVICLE)
        shapes |= {f"{name} {part}": shape for part, shape in _parts_of_lung(lung, side).items()}
        domes.append(_dome(lung, side))
    right_dome, left_dome = domes
    shapes["right upper abdomen"] = _below(right_dome, -1)
    shapes["left upper abdomen"] = _below(left_dome, 1)
    shapes["abdomen"] = (
        *_top_of(right_dome, -1),
        *reversed(_top_of(left_dome, 1)),
        *((1.0, ABDOMEN_V), (-1.0, ABDOMEN_V)),
    )
    regions = {}
    for name, shape in shapes.items():
        if len(shape) < 3:
            continue
        u, v = np.array(shape).T
        polygon = tuple(zip(*(axis.tolist() for axis in to_px(u, v)), strict=True))
        polygon = _cut(polygon, width_px, height_px)
        if len(polygon) >= 3:
            regions[name] = Region(name=name, polygon=polygon)
    return regions


def _parts_of_lung(lung: Outline, side: int) -> dict[str, Outline]:
    """Return a lung's zones, apex, angles and hemidiaphragm; the zones leave out what the heart covers."""
    u = _columns_of(lung)
    top, bottom = _span(lung, u)
    heart_top, _ = _span(_HEART, u)
    visible = np.where(np.isfinite(heart_top), np.minimum(bottom, heart_top), bottom)
    edge = np.abs(u)
    dome_u, dome_v = _dome(lung, side).T
    angle = edge > ANGLE_U
    heart_at = np.flatnonzero(np.isfinite(heart_top))
    foot = float(np.max(edge[heart_at])) if heart_at.size else 0.2
    near = np.abs(np.abs(dome_u) - foot) < 0.12
    return {
        "apical zone": _between(u, top, np.minimum(bottom, APICAL_V)),
        "upper lung zone": _between(u, top, np.minimum(visible, UPPER_V)),
        "mid lung zone": _between(u, np.maximum(top, UPPER_V), np.minimum(visible, LOWER_V)),
        "lower lung zone": _between(u, np.maximum(top, LOWER_V), visible),
        "costophrenic angle": _between(u[angle], np.maximum(top, ANGLE_V)[angle], bottom[angle]),
        "cardiophrenic angle": _between(dome_u[near], dome_v[near] - 0.09, dome_v[near]),
        "hemidiaphragm": _between(dome_u, dome_v - DOME_ABOVE, dome_v + DOME_BELOW),
    }


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
    """Return the lung's lower border as (n, 2) points from the midline outwards."""
    u = side * np.linspace(*DOME_U, N_COLUMNS)
    _, bottom = _span(lung, u)
    known = np.isfinite(bottom)
    if not known.any():
        return np.column_stack([u, np.full(u.shape, 0.92)])
    return np.column_stack([u, np.interp(np.abs(u), np.abs(u[known]), bottom[known])])


def _top_of(dome: FloatArray, side: int) -> list[tuple[float, float]]:
    """Return the upper border of the abdomen on one side, from the wall to the midline."""
    del side
    return [(float(u), float(v) + DOME_BELOW / 2) for u, v in dome[::-1]]


def _below(dome: FloatArray, side: int) -> Outline:
    """Return one half of the upper abdomen: from the dome down to 0.45 below the angles."""
    border = _top_of(dome, side)
    return (*border, (0.0, border[-1][1]), (0.0, 1.45), (border[0][0], 1.45))


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

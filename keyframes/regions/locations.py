"""Where the 36 Chest ImaGenome locations lie in a thorax that was found, as polygons on its picture.

Lungs, zones, angles, diaphragm and heart follow the borders found; what has no border of its own lies where anatomy
puts it in the thorax's coordinates (`keyframes.regions.anatomy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.regions.anatomy import Outline
from keyframes.regions.region_map import Region
from keyframes.regions.thorax import Hemithorax, Thorax

__all__ = ["regions_of"]

FloatArray = NDArray[np.float64]

HEART_TOP_V = 0.44
"""Where great vessels become heart, in the midline."""
HEART_SHOULDER_V = {-1: 0.52, 1: 0.47}
"""The same at the right and the left border."""
_HEART_FOOT_V = 0.93
"""Where the heart of these proportions sits on the diaphragm; it is moved to where the diaphragm was found."""
_SEATED_STRETCH = (0.75, 1.25)
"""A shape is never flattened or stretched beyond this by a high or low diaphragm."""
_FIXED: dict[str, Outline] = {
    "trachea": ((-0.085, -0.3), (0.08, -0.3), (0.085, 0.365), (-0.085, 0.365)),
    "carina": ((-0.11, 0.33), (0.12, 0.33), (0.14, 0.405), (-0.12, 0.405)),
    "right hilar structures": ((-0.15, 0.35), (-0.49, 0.35), (-0.49, 0.605), (-0.15, 0.605)),
    "left hilar structures": ((0.17, 0.315), (0.52, 0.315), (0.52, 0.57), (0.17, 0.57)),
    "spine": ((-0.15, -0.3), (0.15, -0.3), (0.15, 1.8), (-0.15, 1.8)),
}
"""Heights of knob and hila as read off seven real films: knob at 0.29, left hilum at 0.44, right one at 0.48."""
_DESCENDING_AORTA: Outline = (
    (0.03, 0.39), (0.235, 0.37), (0.2, 0.6), (0.13, 0.93), (0.03, 0.93), (0.07, 0.6),
)  # fmt: skip
_CLAVICLE: Outline = (
    (0.12, 0.155), (0.3, 0.115), (0.5, 0.06), (0.75, 0.01), (1.0, -0.03), (1.0, 0.02), (0.76, 0.065), (0.5, 0.12),
    (0.3, 0.17), (0.13, 0.215),
)  # fmt: skip
UPPER_MEDIASTINUM_V = (0.0, 0.40)
ARCH_U, ARCH_V = 0.0, (0.21, 0.37)
CAVA_U, CAVA_V = -0.07, (0.19, 0.49)
JUNCTION_U, JUNCTION_V = -0.09, (0.49, 0.59)
ATRIUM_U, ATRIUM_V = -0.05, (0.59, 0.91)
"""Vessels between this u and the border found, in these rows."""
VESSEL_WALL_U = 0.015
"""A vessel's region ends just outside its border: 2 mm."""

KNOB_V, KNOB_ROWS_V = 0.27, (0.18, 0.42)
"""Where the aortic knob stands out most in these proportions, and where it is looked for."""
KNOB_HALF_V = 0.07
"""Distance up and down at which the border has left the knob."""
PLAIN_KNOB_U = 0.04
"""A knob that stands out by less, 5 mm, is none that could be measured."""
KNOB_SHARE, KNOB_REACH_V = 0.7, 0.03
"""Arch, carina, cava and hila move with the knob by this share of its shift, and no farther."""

APICAL_V = 0.14
"""Lower end of the apical zone: where the clavicles cross the lungs."""
UPPER_V, LOWER_V = 0.38, 0.62
"""The hila lie in the mid zone, between these two."""
BEHIND_HEART_U = 0.16
"""Inner border of a lung behind the heart: beside the spine."""
HIDDEN_V = (0.40, 0.50)
"""Between these the lung's inner border goes over from the mediastinum's border to the one behind the heart."""
ANGLE_U, ANGLE_V = (0.78, 1.05), (-0.075, 0.055)
"""A costophrenic angle's box, 4 cm square: across, from the lung's last corner to just beyond the wall; down, about its
tip."""
DOME_ABOVE, DOME_BELOW = 0.035, 0.075
"""The hemidiaphragm's band above and below the lung's lower border, in v: 1 and 2 cm in an adult."""
HEMIDIAPHRAGM_U = (0.20, 1.0)
"""The band goes on to the wall and under the heart's edge, as the muscle does."""
FOOT_U, FOOT_V = 0.12, (-0.07, 0.055)
"""Half width of a cardiophrenic angle, and its reach in v from where the heart's border meets the diaphragm."""
UPPER_ABDOMEN_V, ABDOMEN_V = 1.2, 1.8
"""Lower ends where the picture goes on below."""
N_POINTS = 28
"""Points along each border."""


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
        stretch = np.clip((foot - HEART_TOP_V) / (_HEART_FOOT_V - HEART_TOP_V), *_SEATED_STRETCH)
        moved = ((u, v + max(v - HEART_TOP_V, 0.0) * (float(stretch) - 1.0)) for u, v in outline)
        return tuple((u, min(v, float(self.at(u)))) for u, v in moved)

    def along(self, from_u: float, to_u: float) -> Outline:
        """Return the diaphragm between two places."""
        u = np.linspace(from_u, to_u, N_POINTS)
        return tuple(zip(u.tolist(), self.at(u).tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Border:
    """One side's border of mediastinum and heart: u at ascending v, down to where it meets the diaphragm."""

    u: FloatArray
    v: FloatArray
    foot: tuple[float, float]

    def at(self, v: ArrayLike) -> FloatArray:
        """Return the border's u at ``v``."""
        return np.interp(np.asarray(v, np.float64), self.v, self.u)

    def between(self, from_v: float, to_v: float) -> Outline:
        """Return the border between two rows, the latter no lower than the foot."""
        v = np.linspace(from_v, min(to_v, self.foot[1]), N_POINTS)
        return tuple(zip(self.at(v).tolist(), v.tolist(), strict=True))


def regions_of(thorax: Thorax, width_px: int, height_px: int) -> dict[str, Region]:
    """Return the 36 locations as polygons in image px, cut at the picture's edge.

    A location that lies wholly off the picture is left out.
    """
    floor = _floor(thorax)
    borders = {-1: _border(thorax.right, floor), 1: _border(thorax.left, floor)}
    shift = _knob_shift(borders[1])
    shapes = {name: _lowered(shape, shift) for name, shape in _FIXED.items()} | _middle(borders, floor, shift)
    for name, side, half in (("right", -1, thorax.right), ("left", 1, thorax.left)):
        shapes[f"{name} clavicle"] = tuple((side * u, v) for u, v in _CLAVICLE)
        heart = shapes["cardiac silhouette"]
        shapes[f"{name} cardiac silhouette"] = _half_plane(heart, axis=0, limit=0.0, above=side > 0)
        parts = _parts_of_side(half, side, borders[side], floor)
        shapes |= {f"{name} {part}": shape for part, shape in parts.items()}
    regions = {}
    for name, shape in shapes.items():
        if len(shape) < 3:
            continue
        x, y = thorax.frame.to_px(*np.array(shape).T)
        polygon = _cut(tuple(zip(x.tolist(), y.tolist(), strict=True)), width_px, height_px)
        if len(polygon) >= 3:
            regions[name] = Region(name=name, polygon=polygon)
    return regions


def _floor(thorax: Thorax) -> _Floor:
    right, left = np.array(thorax.right.floor), np.array(thorax.left.floor)
    whole = np.concatenate([right[::-1], left])
    return _Floor(u=whole[:, 0], v=whole[:, 1])


def _border(half: Hemithorax, floor: _Floor) -> _Border:
    u, v = np.array(half.border).T
    below = np.flatnonzero(v >= floor.at(u))
    last = int(below[0]) if below.size else len(v) - 1
    return _Border(u=u, v=v, foot=(float(u[last]), float(floor.at(u[last]))))


def _knob_shift(left: _Border) -> float:
    """Return by how much, in v, the aortic knob is seen to stand lower than usual; 0 where it is not plain."""
    v = np.arange(*KNOB_ROWS_V, 0.005)
    u, above, below = left.at(v), left.at(v - KNOB_HALF_V), left.at(v + KNOB_HALF_V)
    stands_out = u - (above + below) / 2
    knob = int(stands_out.argmax())
    if stands_out[knob] < PLAIN_KNOB_U or u[knob] < below[knob]:
        return 0.0
    return float(np.clip(KNOB_SHARE * (v[knob] - KNOB_V), -KNOB_REACH_V, KNOB_REACH_V))


def _lowered(outline: Outline, shift_v: float) -> Outline:
    """Return an outline moved down, but for what lies off the chest."""
    return tuple((u, v + shift_v if 0 < v < 1 else v) for u, v in outline)


def _middle(borders: dict[int, _Border], floor: _Floor, shift: float) -> dict[str, Outline]:
    """Return heart, mediastinum and great vessels, and the abdomen; ``shift`` is the vessels'."""
    right, left = borders[-1], borders[1]
    base = floor.along(right.foot[0], left.foot[0])
    heart = (
        (0.0, HEART_TOP_V),
        *right.between(HEART_SHOULDER_V[-1], 2.0),
        *base,
        *left.between(HEART_SHOULDER_V[1], 2.0)[::-1],
    )
    top, bottom = UPPER_MEDIASTINUM_V
    return {
        "cardiac silhouette": heart,
        "mediastinum": (*right.between(0.0, 2.0), *base, *left.between(0.0, 2.0)[::-1]),
        "upper mediastinum": (*right.between(top, bottom), *left.between(top, bottom)[::-1]),
        "aortic arch": _vessel(left, ARCH_U, *(v + shift for v in ARCH_V)),
        "descending aorta": floor.seated(_DESCENDING_AORTA),
        "svc": _vessel(right, CAVA_U, *(v + shift for v in CAVA_V)),
        "cavoatrial junction": floor.seated(_vessel(right, JUNCTION_U, *JUNCTION_V)),
        "right atrium": floor.seated(_vessel(right, ATRIUM_U, *ATRIUM_V)),
        "abdomen": (*floor.along(-1.0, 1.0), (1.0, ABDOMEN_V), (-1.0, ABDOMEN_V)),
    }


def _vessel(border: _Border, inner_u: float, from_v: float, to_v: float) -> Outline:
    """Return what lies between ``inner_u`` and just outside a border."""
    out = np.sign(border.foot[0]) * VESSEL_WALL_U
    outer = tuple((u + out, v) for u, v in border.between(from_v, to_v))
    return ((inner_u, from_v), *outer, (inner_u, outer[-1][1]))


def _parts_of_side(half: Hemithorax, side: int, border: _Border, floor: _Floor) -> dict[str, Outline]:
    """Return a lung, its zones, apex, angles, hemidiaphragm and the upper abdomen."""
    (tip_u, tip_v), summit = half.floor[-1], min(v for _, v in half.wall)
    # Of the apex only what lies beside the mediastinum.
    beside = [abs(u) > abs(float(border.at(v))) or v <= summit for u, v in half.wall]
    wall = half.wall[beside.index(True) :]
    below_apex = max(0.0, wall[0][1])
    visible = (
        *wall, *floor.along(tip_u, border.foot[0]), *border.between(below_apex, 2.0)[::-1],
    )  # fmt: skip
    behind_v = np.linspace(float(floor.at(side * BEHIND_HEART_U)), below_apex, N_POINTS)
    behind = np.interp(behind_v, HIDDEN_V, (1.0, 0.0)) * (border.at(behind_v) - side * BEHIND_HEART_U)
    inner = zip((side * BEHIND_HEART_U + behind).tolist(), behind_v.tolist(), strict=True)
    dome_u = side * np.linspace(*HEMIDIAPHRAGM_U, N_POINTS)
    dome_v = floor.at(dome_u)
    low = np.minimum(dome_v + DOME_BELOW, tip_v + ANGLE_V[1])
    upper = zip(dome_u.tolist(), (dome_v - DOME_ABOVE).tolist(), strict=True)
    lower = zip(dome_u[::-1].tolist(), low[::-1].tolist(), strict=True)
    foot_u, foot_v = border.foot
    return {
        "lung": (*wall, *floor.along(tip_u, side * BEHIND_HEART_U), *inner),
        "apical zone": _half_plane(visible, axis=1, limit=APICAL_V, above=False),
        "upper lung zone": _half_plane(visible, axis=1, limit=UPPER_V, above=False),
        "mid lung zone": _band(visible, UPPER_V, LOWER_V),
        "lower lung zone": _half_plane(visible, axis=1, limit=LOWER_V, above=True),
        "costophrenic angle": _box(side * ANGLE_U[0], side * ANGLE_U[1], *(tip_v + v for v in ANGLE_V)),
        "cardiophrenic angle": _box(foot_u - FOOT_U, foot_u + FOOT_U, *(foot_v + v for v in FOOT_V)),
        "hemidiaphragm": (*upper, *lower),
        "upper abdomen": (*floor.along(side, 0.0), (0.0, UPPER_ABDOMEN_V), (side, UPPER_ABDOMEN_V)),
    }


def _box(u0: float, u1: float, v0: float, v1: float) -> Outline:
    """Return a rectangle."""
    return ((u0, v0), (u1, v0), (u1, v1), (u0, v1))


def _band(outline: Outline, from_v: float, to_v: float) -> Outline:
    """Return the part of an outline between two rows."""
    return _half_plane(
        _half_plane(outline, axis=1, limit=from_v, above=True), axis=1, limit=to_v, above=False
    )


def _half_plane(outline: Sequence[tuple[float, float]], *, axis: int, limit: float, above: bool) -> Outline:
    """Return the part of an outline on one side of a line along an axis (Sutherland and Hodgman 1974)."""
    sign = 1.0 if above else -1.0
    kept: list[tuple[float, float]] = []
    for a, b in zip(outline, (*outline[1:], *outline[:1]), strict=True):
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
    x0, y0, x1, y1 = Region(name="", polygon=polygon).box
    if x0 >= 0 and y0 >= 0 and x1 <= width_px and y1 <= height_px and x1 > x0 and y1 > y0:
        return polygon
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

"""The true regions of a phantom: the 36 Chest ImaGenome locations, and the device, as polygons in image px."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gazecapture.radiograph.phantom_anatomy import SIDES, Anatomy, Array, Side
from gazecapture.radiograph.phantom_canvas import Canvas
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["true_regions"]

Points = Sequence[tuple[float, float]]

APICAL_SHARE, UPPER_SHARE, MID_SHARE = 0.14, 0.36, 0.60
"""Lower ends of apical, upper and mid zone, of the height from apex to costophrenic angle: the clavicle crosses at
the first, the hila lie between the other two."""
HILUM_HALF_MM = (20.0, 33.0)
ANGLE_MM = 32.0
"""Side of the square at a costophrenic or cardiophrenic angle."""
DIAPHRAGM_MM = (9.0, 20.0)
"""A hemidiaphragm's band above and below its edge."""
CLAVICLE_HALF_MM = 7.5
DOME_START_SHARE = 0.2
"""Of the half-width: nearer to the midline the heart rests on the diaphragm."""
SPINE_HALF_MM = 20.0
UPPER_ABDOMEN_MM = 80.0
"""Height below the domes."""


def true_regions(
    canvas: Canvas, anatomy: Anatomy, device_box: tuple[float, float, float, float] | None
) -> RegionMap:
    """Return the map of one phantom.

    canvas     : of the finished picture's size. device_box : image px, or None.
    """
    regions = {name: _region(canvas, name, points) for name, points in _polygons(anatomy)}
    if device_box is not None:
        regions["device"] = Region.from_box("device", device_box)
    return RegionMap.build(
        width_px=canvas.width_px,
        height_px=canvas.height_px,
        regions=regions,
        provider="truth",
        confidence=1.0,
    )


def _region(canvas: Canvas, name: str, points: Points) -> Region:
    table = np.asarray(points, np.float64)
    x, y = canvas.to_px(table[:, 0], table[:, 1])
    x, y = np.clip(x, 0, canvas.width_px), np.clip(y, 0, canvas.height_px)
    return Region(
        name=name, polygon=tuple((round(float(a), 2), round(float(b), 2)) for a, b in zip(x, y, strict=True))
    )


def _polygons(anatomy: Anatomy) -> Iterator[tuple[str, Points]]:
    """Yield (name, corners in patient mm)."""
    for side in SIDES:
        yield from _of_a_side(anatomy, side)
    yield from _of_the_middle(anatomy)
    yield from _of_the_heart(anatomy)
    yield from _of_the_abdomen(anatomy)


def _box(x0: float, y0: float, x1: float, y1: float) -> Points:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def _of_a_side(anatomy: Anatomy, side: Side) -> Iterator[tuple[str, Points]]:
    sign = -1.0 if side == "right" else 1.0
    apex, tip_y = anatomy.apex_y_mm, anatomy.angle_mm(side)[1]
    dome = float(anatomy.dome_y_mm[SIDES.index(side)])
    height = tip_y - apex

    def between(y0: float, y1: float) -> Points:
        """Return the visible lung between two heights: wall, dome, heart's border, vault."""
        rows = np.linspace(y0, y1, 24)
        wall = np.column_stack([anatomy.lateral_mm(rows), rows])
        inner = np.minimum(anatomy.border_mm(side, rows), anatomy.lateral_mm(rows) - 2)
        floor = np.minimum(rows, anatomy.dome_mm(side, inner))
        back = np.column_stack([inner, floor])[::-1]
        bottom = np.zeros((0, 2))
        if y1 > dome:
            at = np.linspace(float(wall[-1, 0]), float(back[0, 0]), 24)
            bottom = np.column_stack([at, np.minimum(anatomy.dome_mm(side, at), y1)])
        table = np.concatenate([wall, bottom, back])
        table[:, 1] = np.maximum(table[:, 1], np.minimum(anatomy.vault_mm(table[:, 0]), y1))
        return [(sign * float(x), float(y)) for x, y in table]

    yield f"{side} lung", between(apex, tip_y)
    yield f"{side} apical zone", between(apex, apex + APICAL_SHARE * height)
    yield f"{side} upper lung zone", between(apex, apex + UPPER_SHARE * height)
    yield f"{side} mid lung zone", between(apex + UPPER_SHARE * height, apex + MID_SHARE * height)
    yield f"{side} lower lung zone", between(apex + MID_SHARE * height, tip_y)
    x, y = anatomy.hilum_mm(side)
    yield (
        f"{side} hilar structures",
        _box(x - HILUM_HALF_MM[0], y - HILUM_HALF_MM[1], x + HILUM_HALF_MM[0], y + HILUM_HALF_MM[1]),
    )
    reach, _ = anatomy.angle_mm(side)
    corner = sorted((sign * (reach + 5), sign * (reach + 5 - ANGLE_MM)))
    yield f"{side} costophrenic angle", _box(corner[0], tip_y + 5 - ANGLE_MM, corner[1], tip_y + 5)
    at = np.linspace(DOME_START_SHARE * anatomy.half_width_mm, reach, 30)
    edge = anatomy.dome_mm(side, at)
    band = np.concatenate([
        np.column_stack([at, edge - DIAPHRAGM_MM[0]]),
        np.column_stack([at, np.minimum(edge + DIAPHRAGM_MM[1], tip_y + 8)])[::-1],
    ])  # fmt: skip
    yield f"{side} hemidiaphragm", [(sign * float(a), float(b)) for a, b in band]
    line = anatomy.clavicle_mm(side)[::6]
    half = np.array([0.0, CLAVICLE_HALF_MM])
    outline = np.concatenate([line - half, (line + half)[::-1]])
    yield f"{side} clavicle", [(float(a), float(b)) for a, b in outline]
    border, base = float(anatomy.border_mm(side, anatomy.heart_base_mm)), anatomy.heart_base_mm
    corner = sorted((sign * (border - ANGLE_MM / 2), sign * (border + ANGLE_MM / 2)))
    yield (
        f"{side} cardiophrenic angle",
        _box(corner[0], base - ANGLE_MM * 0.7, corner[1], base + ANGLE_MM * 0.3),
    )


def _of_the_middle(anatomy: Anatomy) -> Iterator[tuple[str, Points]]:
    carina, apex = anatomy.carina_y_mm, anatomy.apex_y_mm
    wide = anatomy.trachea_radius_mm + 3
    yield "trachea", _box(-wide + 1, -40, wide + 1, carina)
    yield "carina", _box(-15, carina - 9, 19, carina + 13)
    yield "mediastinum", _between_borders(anatomy, apex, anatomy.heart_base_mm)
    yield "upper mediastinum", _between_borders(anatomy, apex, carina + 8)
    knob_r = anatomy.knob_radius_mm
    y = anatomy.knob_y_mm
    yield "aortic arch", _box(0, y - knob_r - 4, anatomy.knob_x_mm + knob_r + 4, y + knob_r + 2)
    x = anatomy.aorta_bulge_mm * 0.4
    yield "descending aorta", _box(2 + x, carina + 4, 30 + x, anatomy.heart_base_mm)
    right = float(anatomy.border_mm("right", carina))
    yield "svc", _box(-right - 3, carina - 52, -7, carina + 36)
    yield "spine", _box(-SPINE_HALF_MM, -80, SPINE_HALF_MM, 700)


def _between_borders(anatomy: Anatomy, y0: float, y1: float, *, only: Side | None = None) -> Points:
    rows: Array = np.linspace(y0, y1, 30)
    right = np.zeros(30) if only == "left" else -anatomy.border_mm("right", rows)
    left = np.zeros(30) if only == "right" else anatomy.border_mm("left", rows)
    table = np.concatenate([np.column_stack([right, rows]), np.column_stack([left, rows])[::-1]])
    return [(float(x), float(y)) for x, y in table]


def _of_the_heart(anatomy: Anatomy) -> Iterator[tuple[str, Points]]:
    top, base = anatomy.heart_top_mm, anatomy.heart_base_mm
    yield "cardiac silhouette", _between_borders(anatomy, top, base)
    yield "left cardiac silhouette", _between_borders(anatomy, top, base, only="left")
    yield "right cardiac silhouette", _between_borders(anatomy, top, base, only="right")
    right = anatomy.heart_edges_mm[0]
    junction = anatomy.carina_y_mm + 38
    yield "right atrium", _box(-right - 2, junction + 26, -4, base - 6)
    yield (
        "cavoatrial junction",
        _box(-float(anatomy.border_mm("right", junction)) - 4, junction - 4, -6, junction + 26),
    )


def _of_the_abdomen(anatomy: Anatomy) -> Iterator[tuple[str, Points]]:
    reach = anatomy.half_width_mm
    at = np.linspace(-reach, reach, 60)
    edge = np.where(at < 0, anatomy.dome_mm("right", np.abs(at)), anatomy.dome_mm("left", np.abs(at)))
    line = [(float(x), float(y)) for x, y in zip(at, edge, strict=True)]
    yield "abdomen", [*line, (reach, 700.0), (-reach, 700.0)]
    for side, half in (("right", line[:30]), ("left", line[30:])):
        low = max(anatomy.dome_y_mm) + UPPER_ABDOMEN_MM
        yield f"{side} upper abdomen", [*half, (half[-1][0], low), (half[0][0], low)]

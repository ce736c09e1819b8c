"""The skeleton of a phantom: hollow bones in space, added up along the beam."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gazecapture.radiograph.phantom_anatomy import SIDES, Anatomy, Array, Rib, Side
from gazecapture.radiograph.phantom_body import Layers
from gazecapture.radiograph.phantom_canvas import Canvas, Cloud, Map

__all__ = ["draw_bones", "rib_volumes"]

MARROW = 0.16
"""Density of spongy bone as share of cortical bone."""
RIB_CORTEX_MM = 1.15
BLADE_MM = 1.1
"""Thickness of the shoulder blade's plate."""
SPINE_REACH_MM = 24.0
"""Beside a vertebral body's half-width; farther out nothing of it is left, to the last bit of a single float."""
STEP_MM = 0.75
"""Between the volumes that a bone is made of."""


def draw_bones(canvas: Canvas, layers: Layers, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Add ribs, spine, clavicles, shoulder girdle and sternum to ``layers.bone``, mm of cortical bone."""
    parts = [rib_volumes(rib, rng) for rib in anatomy.ribs]
    parts += [_clavicle(anatomy, side, rng) for side in SIDES]
    for side in SIDES:
        parts += _shoulder(anatomy, side, rng)
    bone = canvas.splat(*parts)
    bone += _spine(canvas, layers, anatomy, rng)
    bone += _scapula_blade(layers, anatomy)
    bone += _humeral_heads(canvas, layers, anatomy)
    layers.bone += canvas.blurred(bone, 0.32)


def rib_volumes(rib: Rib, rng: np.random.Generator) -> Cloud:
    """Return the small volumes that a rib is made of."""
    tangent = np.gradient(rib.points, axis=0)
    length = np.linalg.norm(tangent, axis=1)
    tangent /= length[:, None]
    tall = np.asarray(rib.tall)
    wide = np.cross(tangent, tall)
    wide /= np.linalg.norm(wide, axis=1)[:, None]
    front = np.linspace(0, 1, len(length))
    return _hollow(
        rib.points, tangent, np.broadcast_to(tall, tangent.shape), wide, length, rib.half_height_mm,
        rib.half_thickness_mm, RIB_CORTEX_MM * (1.12 - 0.45 * front), rng,
    )  # fmt: skip


def _hollow(
    points: Array, tangent: Array, tall: Array, wide: Array, length: Array, half_tall: Array, half_wide: Array,
    cortex_mm: Array, rng: np.random.Generator,
) -> Cloud:  # fmt: skip
    """Fill a bent tube of elliptic section with volumes: dense in its cortex, spongy inside."""
    from gazecapture.radiograph.phantom_kernel import hollow  # with numba, for which only drawing has to wait

    n_along = max(1, round(float(length.mean()) / STEP_MM))
    n_tall = max(5, math.ceil(2 * float(half_tall.max()) / STEP_MM))
    n_wide = max(4, math.ceil(2 * float(half_wide.max()) / (STEP_MM * 1.3)))
    u, v = np.meshgrid((np.arange(n_tall) + 0.5) / n_tall * 2 - 1, (np.arange(n_wide) + 0.5) / n_wide * 2 - 1)
    section = np.stack([u, v])[:, u**2 + v**2 < 1]

    def single(values: Array) -> Map:
        return np.ascontiguousarray(values, np.float32)

    return hollow(
        single(points[:, :2]),
        single(tangent[:, :2]),
        single(tall[:, :2]),
        single(wide[:, :2]),
        single(length),
        single(half_tall),
        single(half_wide),
        single(cortex_mm),
        single(section),
        rng.random((len(points) * n_along, section.shape[1]), np.float32),
        np.float32(MARROW),
        np.float32(4 / n_along / n_tall / n_wide),
    )


def _flat_tube(
    line: Array,
    half_tall: Array | float,
    half_wide: Array | float,
    cortex_mm: float,
    rng: np.random.Generator,
) -> Cloud:
    """Return a hollow bone whose axis lies in the picture plane; ``line`` is (n, 2) mm."""
    points = np.column_stack([line, np.zeros(len(line))])
    tangent = np.gradient(points, axis=0)
    length = np.linalg.norm(tangent, axis=1)
    tangent /= length[:, None]
    tall = np.column_stack([-tangent[:, 1], tangent[:, 0], np.zeros(len(line))])
    wide = np.broadcast_to((0.0, 0.0, 1.0), tall.shape)
    n = np.ones(len(line))
    # Round ends: the section shrinks over the last of its own width.
    gone = np.cumsum(length) - length / 2
    from_end = np.minimum(gone, gone[-1] + length[-1] / 2 - gone)
    end = np.sqrt(1 - np.clip(1 - from_end / np.max(half_tall), 0, 1) ** 2).clip(0.12)
    half_tall, half_wide = half_tall * end, half_wide * end
    return _hollow(points, tangent, tall, wide, length, half_tall * n, half_wide * n, cortex_mm * n, rng)


def _clavicle(anatomy: Anatomy, side: Side, rng: np.random.Generator) -> Cloud:
    line = anatomy.clavicle_mm(side)
    along = np.linspace(0, 1, len(line))
    thick = 5.0 + 4.2 * np.exp(-((along / 0.13) ** 2)) + 1.6 * np.exp(-(((along - 1) / 0.2) ** 2))
    return _flat_tube(line, thick, thick * 0.9, 1.7, rng)


def _shoulder(anatomy: Anatomy, side: Side, rng: np.random.Generator) -> list[Cloud]:
    """Return humerus, outer border, spine, neck and hook of the shoulder blade."""
    sign = -1.0 if side == "right" else 1.0
    end = anatomy.clavicle_mm(side)[-1]
    reach, top = abs(float(end[0])), float(end[1])
    joint = (reach + 6, top + 30)

    def bone(points: Sequence[tuple[float, float]], tall: float, wide: float, cortex: float) -> Cloud:
        """Bend a bone along knots given relative to the joint, x outwards."""
        knots = np.asarray(points)
        at, numbers = np.linspace(0, len(points) - 1, 90), np.arange(len(points))
        line = np.stack([_rounded(np.interp(at, numbers, knots[:, i])) for i in range(2)], axis=1)
        line = (line + joint) * (sign, 1.0)
        return _flat_tube(line, tall, wide, cortex, rng)

    tip = (anatomy.half_width_mm * 0.94 - joint[0], 128.0)
    return [
        bone([(20, -2), (27, 30), (44, 200)], 12, 12, 3.2),  # humerus
        bone([(-3, 12), (-13, 50), tip], 3.4, 4.2, 1.6),  # outer border of the blade
        bone([(-3, -15), (-1, 14)], 5.0, 8, 1.4),  # socket
        bone([(-62, 12), (-25, -12), (8, -29)], 4.2, 3.6, 1.2),  # spine of the blade and acromion
        bone([(-22, -12), (-11, -18), (-2, -10)], 4.4, 4.4, 1.2),  # coracoid
        bone([tip, (tip[0] - 28, 60), (-62, -2)], 1.6, 2.2, 0.9),  # inner border
    ]


def _rounded(values: Array) -> Array:
    """Take the corners off a line through few knots."""
    kernel = np.hanning(25) / np.hanning(25).sum()
    return np.convolve(np.pad(values, 12, mode="reflect", reflect_type="odd"), kernel, "valid")


def _scapula_blade(layers: Layers, anatomy: Anatomy) -> Map:
    """Return the thin plate of both shoulder blades."""
    end = anatomy.clavicle_mm("left")[-1]
    reach, top = float(end[0]) + 6, float(end[1]) + 30
    out = np.abs(layers.x)
    tip_x, tip_y = anatomy.half_width_mm * 0.94, top + 128
    share = np.clip((layers.y - top + 4) / (tip_y - top), 0, 1)
    outer = reach - 5 - (reach - 5 - tip_x) * share
    inner = (reach - 62) + (tip_x - reach + 62) * share
    edge = np.minimum(np.minimum(outer - out, out - inner), np.minimum(layers.y - top + 4, tip_y - layers.y))
    return np.asarray(BLADE_MM * np.clip(edge / 4, 0, 1), np.float32)


def _humeral_heads(canvas: Canvas, layers: Layers, anatomy: Anatomy) -> Map:
    """Return both heads of the upper arm: a thin shell filled with spongy bone."""
    end = anatomy.clavicle_mm("left")[-1]
    total = layers.zeros()
    for sign in (-1.0, 1.0):
        center = (sign * (float(end[0]) + 27), float(end[1]) + 28)
        shell = canvas.ellipsoid(layers.x, layers.y, center, (23, 24, 21), 0.4 * sign)
        inside = canvas.ellipsoid(layers.x, layers.y, center, (21.9, 22.9, 19.9), 0.4 * sign)
        total += shell - (1 - MARROW * 0.6) * inside
    return total


def _spine(canvas: Canvas, layers: Layers, anatomy: Anatomy, rng: np.random.Generator) -> Map:
    """Return vertebral bodies with plates and discs between, arches, processes."""
    step = anatomy.vertebra_step_mm
    total = layers.zeros()
    sway = float(rng.normal(0, 1.2))
    for number in range(-3, 18):
        y0 = anatomy.vertebra_y_mm(number) + float(rng.normal(0, 0.3))
        x0 = sway * math.sin(number / 4)
        grown = np.clip((number + 3) / 16, 0, 1)
        half_w, half_h = 12.5 + 7.5 * grown, step * (0.385 + 0.02 * grown)
        rows = np.abs(layers.y - y0) < step
        lines = np.flatnonzero(rows.any(axis=1))
        if lines.size == 0:
            continue
        beside = np.abs(layers.x[lines[0] : lines[-1] + 1]) < half_w + SPINE_REACH_MM
        columns = np.flatnonzero(beside.any(axis=0))
        part = slice(int(lines[0]), int(lines[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        x, y = layers.x[part] - x0, layers.y[part] - y0
        waist = half_w * (0.9 + 0.1 * np.clip(np.abs(y) / half_h, 0, 1) ** 2)
        round_depth = np.sqrt(np.clip(1 - (x / (half_w * 1.06)) ** 2, 0, 1))
        wide_edge, tall_edge = np.clip((waist - np.abs(x)) / 1.1, 0, 1), np.clip(half_h - np.abs(y), 0, 1)
        body = wide_edge * tall_edge * (2.3 * round_depth + 0.4)
        plates = 1.5 * _ridge(np.abs(y) - half_h + 0.7, 0.8) * wide_edge
        sides = 1.2 * _ridge(np.abs(x) - waist + 0.8, 0.8) * tall_edge
        pedicle_r = np.hypot((np.abs(x) - half_w * 0.62) / 3.4, (y + half_h * 0.3) / 5.2)
        pedicles = 1.5 * _ridge(pedicle_r - 1, 0.28) + 0.5 * (pedicle_r < 1)
        process = 2.4 * _ridge(x, 2.4) * _ridge(y - half_h * 0.8, half_h * 0.5)
        reach = np.clip((half_w + 15 - np.abs(x)) / 4, 0, 1) * (np.abs(x) > half_w * 0.7)
        wings = 1.5 * _ridge(y + half_h * 0.25 + 0.12 * np.abs(x), 4.0) * reach
        total[part] += (body + plates + sides + pedicles + process + wings).astype(np.float32)
    return total


def _ridge(distance: Map | Array, width: float) -> Map:
    ridge: Map = np.exp(-((distance / width) ** 2)).astype(np.float32)
    return ridge

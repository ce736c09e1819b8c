"""Findings of a phantom: how each changes the body, and the box in which it is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from gazecapture.radiograph.phantom_anatomy import SIDES, Anatomy, Array, Rib, Side
from gazecapture.radiograph.phantom_body import Layers
from gazecapture.radiograph.phantom_bones import rib_volumes
from gazecapture.radiograph.phantom_canvas import Canvas, Map, smooth_noise

__all__ = ["Drawn", "changed_anatomy", "draw_findings"]

SEEN_SHARE = 0.18
"""Of a finding's strongest change; the box holds every pixel above it."""
DEVICE_MARGIN_MM = 3.0
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One finding as drawn."""

    label: str
    side: Side | None
    """None: both sides, or the midline."""
    box: Box
    """Canvas px, half-open."""


def changed_anatomy(anatomy: Anatomy, findings: tuple[str, ...], rng: np.random.Generator) -> Anatomy:
    """Return the body with those findings that change its shape: heart, vessels, a raised dome, a broken rib."""
    if "Cardiomegaly" in findings:
        anatomy = anatomy.with_big_heart(float(rng.uniform(0.565, 0.62)))
    if "Edema" in findings:
        anatomy = replace(anatomy, edema=1.0)
    return anatomy


def draw_findings(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, findings: tuple[str, ...], rng: np.random.Generator
) -> tuple[Drawn, ...]:
    """Draw every finding of which `_DRAWING` knows; each has a stream of chance of its own."""
    drawn = []
    sides = list(SIDES)
    rng.shuffle(sides)
    streams = dict(zip(_DRAWING, rng.spawn(len(_DRAWING)), strict=True))
    for place, label in enumerate(label for label in _DRAWING if label in findings):
        # Sides alternate, so that findings seldom hide each other.
        drawn.append(_DRAWING[label](canvas, layers, anatomy, sides[place % 2], streams[label]))
    return tuple(drawn)


def _box(canvas: Canvas, change: Map) -> Box:
    """Return the box of all that changed visibly."""
    strong = np.abs(change) > SEEN_SHARE * float(np.abs(change).max(initial=0.0))
    columns, rows = np.flatnonzero(strong.any(axis=0)), np.flatnonzero(strong.any(axis=1))
    if columns.size == 0:
        return 0.0, 0.0, float(canvas.width_px), float(canvas.height_px)
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _box_mm(canvas: Canvas, x0: float, y0: float, x1: float, y1: float) -> Box:
    xs, ys = canvas.to_px([x0, x1, x0, x1], [y0, y0, y1, y1])
    return (
        max(0.0, float(xs.min())), max(0.0, float(ys.min())),
        min(float(canvas.width_px), float(xs.max())), min(float(canvas.height_px), float(ys.max())),
    )  # fmt: skip


def _out(layers: Layers, side: Side) -> Map:
    return -layers.x if side == "right" else layers.x


def _smooth(values: Map) -> Map:
    share = np.clip(values, 0, 1)
    smooth: Map = (share * share * (3 - 2 * share)).astype(np.float32)
    return smooth


def _in_lung(anatomy: Anatomy, side: Side, out_share: float, height_share: float) -> tuple[float, float]:
    """Return patient mm of a place in the visible lung: 0 ... 1 from hilum to wall, and from apex to dome."""
    dome = float(anatomy.dome_mm(side, anatomy.half_width_mm * 0.55))
    y = anatomy.apex_y_mm + height_share * (dome - anatomy.apex_y_mm)
    inner, outer = float(anatomy.border_mm(side, y)), float(anatomy.lateral_mm(y))
    x = inner + out_share * (outer - inner)
    return (-x if side == "right" else x), y


def _cardiomegaly(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> Drawn:
    right, left = anatomy.heart_edges_mm
    box = _box_mm(canvas, -right, anatomy.heart_top_mm, left, anatomy.heart_base_mm + 4)
    return Drawn(label="Cardiomegaly", side=None, box=box)


def _effusion(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> Drawn:
    out = _out(layers, side)
    level = anatomy.recess_y_mm - float(rng.uniform(62, 105))
    wall = anatomy.half_width_mm
    # The meniscus climbs along the wall and, less, along the mediastinum.
    surface = level - 46 * np.exp((np.clip(out, 0, wall) - wall) / 17) - 14 * np.exp(-out / 22)
    share = _smooth((layers.y - surface + 4) / 16) * (out > 0)
    change = (layers.lung - np.minimum(layers.tissue, layers.lung)) * share * 0.96
    layers.tissue += change
    return Drawn(label="Pleural Effusion", side=side, box=_box(canvas, change))


def _pneumothorax(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> Drawn:
    out = _out(layers, side)
    widest = float(rng.uniform(24, 38))
    end = float(rng.uniform(0.5, 0.72))
    height = (layers.y - anatomy.apex_y_mm) / (anatomy.recess_y_mm - anatomy.apex_y_mm)
    gap = widest * np.clip(1 - height / end, 0, 1) ** 0.7
    rows = np.arange(-80.0, 700.0)
    lateral = np.interp(layers.y, rows, anatomy.lateral_mm(rows))
    vault = anatomy.vault_mm(out).astype(np.float32)
    from_wall = np.minimum(lateral - out, (layers.y - vault) * 0.9)
    free = (from_wall > 0) & (from_wall < gap) & (layers.full_lung > 4) & (out > 0)
    line = np.exp(-(((from_wall - gap) / 0.75) ** 2)) * (gap > 1.5) * (layers.full_lung > 4) * (out > 0)
    emptied = canvas.blurred(free.astype(np.float32), 0.5)
    layers.tissue *= 1 - emptied
    # Air without lung in it, and a pleura as thin as a hair.
    layers.air += 0.17 * layers.lung * emptied
    layers.tissue += 9.5 * line.astype(np.float32)
    layers.tissue += 0.06 * layers.lung * (1 - emptied) * (out > 0) * (height > -0.1)
    return Drawn(label="Pneumothorax", side=side, box=_box(canvas, emptied + line.astype(np.float32)))


def _blob(
    layers: Layers, center: tuple[float, float], axes: tuple[float, float], roughness: Map, edge: float
) -> Map:
    """Return 0 ... 1: an ellipse with a ragged, soft edge."""
    r2 = ((layers.x - center[0]) / axes[0]) ** 2 + ((layers.y - center[1]) / axes[1]) ** 2
    return _smooth((1 - r2 + roughness) / edge)


def _consolidation(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> Drawn:
    center = _in_lung(anatomy, side, float(rng.uniform(0.38, 0.55)), float(rng.uniform(0.68, 0.8)))
    axes = (float(rng.uniform(26, 36)), float(rng.uniform(22, 30)))
    shape = layers.x.shape
    rough = 0.3 * smooth_noise(rng, shape, 16 / canvas.spacing_mm)
    rough += 0.05 * smooth_noise(rng, shape, 5 / canvas.spacing_mm)
    share = _blob(layers, center, axes, rough + 0.2, 1.05) * 0.86
    hilum = anatomy.hilum_mm(side)
    for _ in range(4):
        turn = float(rng.normal(0, 0.3))
        along = np.linspace(0, 1, 24)
        dx, dy = center[0] - hilum[0], center[1] - hilum[1]
        line_x = hilum[0] + along * (dx * math.cos(turn) - dy * math.sin(turn)) * 1.15
        line_y = hilum[1] + along * (dx * math.sin(turn) + dy * math.cos(turn)) * 1.15
        tube = canvas.line(np.stack([line_x, line_y], axis=1), np.linspace(1.7, 0.8, 23))
        share = share * (1 - np.clip(canvas.blurred(tube, 0.6) / 4.5, 0, 0.5))
    change = (layers.lung - np.minimum(layers.tissue, layers.lung)) * share
    layers.tissue += change
    return Drawn(label="Consolidation", side=side, box=_box(canvas, share * (layers.lung > 5)))


def _pneumonia(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> Drawn:
    center = _in_lung(anatomy, side, float(rng.uniform(0.42, 0.6)), float(rng.uniform(0.55, 0.75)))
    rough = 0.25 * smooth_noise(rng, layers.x.shape, 7 / canvas.spacing_mm)
    clear = layers.zeros() + 1
    for _ in range(int(rng.integers(7, 12))):
        at = (center[0] + float(rng.normal(0, 15)), center[1] + float(rng.normal(0, 15)))
        size = float(rng.uniform(9, 17))
        clear = clear * (1 - 0.32 * _blob(layers, at, (size * 1.15, size), rough, 1.2))
    share = 1 - clear
    layers.tissue += (layers.lung - np.minimum(layers.tissue, layers.lung)) * share
    return Drawn(label="Pneumonia", side=side, box=_box(canvas, share * (layers.lung > 5)))


def _opacity(canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator) -> Drawn:
    center = _in_lung(anatomy, side, float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.35, 0.55)))
    axes = (float(rng.uniform(24, 32)), float(rng.uniform(24, 34)))
    rough = 0.22 * smooth_noise(rng, layers.x.shape, 9 / canvas.spacing_mm)
    share = 0.27 * _blob(layers, center, axes, rough, 0.95)
    layers.tissue += (layers.lung - np.minimum(layers.tissue, layers.lung)) * share
    return Drawn(label="Lung Opacity", side=side, box=_box(canvas, share * (layers.lung > 5)))


def _nodule(canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator) -> Drawn:
    center = _in_lung(anatomy, side, float(rng.uniform(0.35, 0.68)), float(rng.uniform(0.3, 0.58)))
    radius = float(rng.uniform(8, 14))
    axes = (radius, radius * float(rng.uniform(0.85, 1.1)), radius)
    ball = canvas.ellipsoid(layers.x, layers.y, center, axes, float(rng.uniform(0, 3)))
    for _ in range(3):
        turn = float(rng.uniform(0, 2 * math.pi))
        at = (center[0] + radius * 0.6 * math.cos(turn), center[1] + radius * 0.6 * math.sin(turn))
        lobe = canvas.ellipsoid(layers.x, layers.y, at, (radius * 0.55, radius * 0.55, radius * 0.8))
        ball = np.maximum(ball, lobe)
    ball = canvas.blurred(ball, 0.6)
    layers.tissue += 1.35 * ball
    return Drawn(label="Lung Lesion", side=side, box=_box(canvas, ball))


def _edema(canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator) -> Drawn:
    haze = layers.zeros()
    patchy = 1 + 0.16 * smooth_noise(rng, layers.x.shape, 9 / canvas.spacing_mm)
    lines: list[tuple[float, float, float, float]] = []
    for each in SIDES:
        hilum = anatomy.hilum_mm(each)
        sign = -1.0 if each == "right" else 1.0
        r2 = ((layers.x - hilum[0] - sign * 14) / 50) ** 2 + ((layers.y - hilum[1] - 22) / 72) ** 2
        haze = np.maximum(haze, np.exp(-r2))
        for number in range(9):
            y = anatomy.recess_y_mm - 46 - number * 7.5 + float(rng.normal(0, 1.5))
            x = float(anatomy.lateral_mm(y)) - 4
            length = float(rng.uniform(9, 16))
            lines.append((sign * x, y, sign * (x - length), y - float(rng.uniform(0, 3))))
    share = np.clip(0.55 * haze * patchy, 0, 0.8).astype(np.float32)
    layers.tissue += (layers.lung - np.minimum(layers.tissue, layers.lung)) * share
    table = np.asarray(lines)
    septa = canvas.tubes(table[:, [0, 2]], table[:, [1, 3]], np.full(len(table), 0.6))
    layers.tissue += 4.0 * canvas.blurred(septa, 0.3)
    return Drawn(label="Edema", side=None, box=_box(canvas, share * (layers.lung > 20) * (share > 0.17)))


def _atelectasis(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> Drawn:
    bands = layers.zeros()
    for number in range(int(rng.integers(2, 4))):
        x, y = _in_lung(anatomy, side, float(rng.uniform(0.4, 0.6)), 0.86 - 0.055 * number)
        turn = (0.14 + float(rng.normal(0, 0.08))) * (1 if side == "right" else -1)
        axes = (float(rng.uniform(20, 30)), float(rng.uniform(1.6, 2.6)), 17.0)
        bands += canvas.ellipsoid(layers.x, layers.y, (x, y), axes, turn)
    bands = canvas.blurred(bands, 0.5)
    layers.tissue += bands
    return Drawn(label="Atelectasis", side=side, box=_box(canvas, bands * (layers.lung > 5)))


def _broken(rib: Rib, at: int) -> tuple[Rib, Rib]:
    """Return the two fragments of a rib, the outer one displaced."""
    moved = rib.points.copy()
    moved[at:] += (-2.0 if rib.side == "left" else 2.0, 6.0, 0.0)
    keep = slice(0, at - 1), slice(at + 1, None)
    parts = [
        replace(
            rib,
            points=points[k],
            half_height_mm=rib.half_height_mm[k],
            half_thickness_mm=rib.half_thickness_mm[k],
        )
        for points, k in zip((rib.points, moved), keep, strict=True)
    ]
    return parts[0], parts[1]


def _fracture(
    canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator
) -> Drawn:
    rib = _fractured_rib(anatomy, side)
    at = BREAK_AT + int(rng.integers(-6, 7))
    whole = canvas.blurred(canvas.splat(rib_volumes(rib, np.random.default_rng(0))), 0.32)
    fragments = layers.zeros()
    for part in _broken(rib, at):
        fragments += canvas.blurred(canvas.splat(rib_volumes(part, np.random.default_rng(0))), 0.32)
    layers.bone += fragments - whole
    layers.bone[:] = np.maximum(layers.bone, 0)
    x, y = rib.points[at, :2]
    return Drawn(label="Fracture", side=side, box=_box_mm(canvas, x - 14, y - 13, x + 14, y + 17))


BREAK_AT = 88
"""Point of a rib's axis near its outermost place, of 260."""
FRACTURED_RIB = 6


def _fractured_rib(anatomy: Anatomy, side: Side) -> Rib:
    """Return the rib that a fracture breaks."""
    return next(r for r in anatomy.ribs if r.side == side and r.number == FRACTURED_RIB)


def _device(canvas: Canvas, layers: Layers, anatomy: Anatomy, side: Side, rng: np.random.Generator) -> Drawn:
    """Draw a pacemaker, or a port: a body below the clavicle and a lead or catheter through the upper cava."""
    pacemaker = bool(rng.random() < 0.65)
    side = "left" if pacemaker else "right"
    sign = -1.0 if side == "right" else 1.0
    x = sign * (anatomy.half_width_mm * 0.68)
    y = anatomy.vertebra_y_mm(5) + 6
    if pacemaker:
        dx, dy = (layers.x - x) / 23, (layers.y - y) / 20
        can = np.clip((1 - (np.abs(dx) ** 3.2 + np.abs(dy) ** 3.2)) * 7, 0, 1)
        inner = np.clip((1 - (np.abs(dx * 1.35) ** 4 + np.abs((dy + 0.18) * 1.75) ** 4)) * 6, 0, 1)
        header = np.clip(
            (1 - ((layers.x - x + sign * 4) / 15) ** 4 - ((layers.y - y + 21) / 6) ** 4) * 5, 0, 1
        )
        metal = 1.2 * can + 0.5 * inner * _circuit(layers, x, y) + 0.4 * header
        box = (x - 24, y - 28, x + 24, y + 21)
    else:
        r = np.hypot(layers.x - x, layers.y - y)
        metal = 1.0 * np.clip(14 - r, 0, 1) + 1.2 * np.clip(2.2 - np.abs(r - 11.5), 0, 1)
        box = (x - 15, y - 15, x + 15, y + 15)
    svc_x, carina = -16.0, anatomy.carina_y_mm
    entry = (sign * 58.0, anatomy.vertebra_y_mm(3) + 8)
    path = [
        (x - sign * 4, y - 22), (sign * anatomy.half_width_mm * 0.6, y - 34), entry, (sign * 20.0, carina - 46),
        (svc_x, carina - 26), (svc_x - 2, carina + 20),
    ]  # fmt: skip
    ends = [[(svc_x - 4, carina + 52)]]
    if pacemaker:
        base, left = anatomy.heart_base_mm, anatomy.heart_edges_mm[1]
        ends = [
            [(svc_x - 8, carina + 60), (svc_x - 12, base - 52), (svc_x - 20, base - 66)],
            [
                (svc_x - 6, carina + 62),
                (-10, base - 26),
                (12, base - 8),
                (left - 40, base - 6),
                (left - 30, base - 8),
            ],
        ]
    for end in ends:
        line = _curve([*path, *end])
        wire = canvas.line(line, np.full(len(line) - 1, 0.75 if pacemaker else 0.9))
        if pacemaker:
            wire += 1.3 * canvas.line(line[-8:], np.full(7, 1.2))
        metal = metal + 0.9 * canvas.blurred(wire, 0.25)
    layers.metal += metal.astype(np.float32)
    return Drawn(label="Support Devices", side=side, box=_box_mm(canvas, *_grown(box, DEVICE_MARGIN_MM)))


def _circuit(layers: Layers, x: float, y: float) -> Map:
    """Return the pattern of a pacemaker's battery and circuit."""
    waves = np.sin((layers.x - x) / 2.6) + 0.6 * np.sin((layers.y - y) / 1.9)
    return np.asarray(0.6 + 0.4 * np.sign(waves), np.float32)


def _grown(box: Box, by: float) -> Box:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _curve(points: list[tuple[float, float]]) -> Array:
    """Return a smooth line through the points, (n, 2)."""
    knots = np.asarray(points)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    return np.asarray(PchipInterpolator(length, knots)(np.linspace(0, length[-1], 160)))


_DRAWING: dict[str, Callable[[Canvas, Layers, Anatomy, Side, np.random.Generator], Drawn]] = {
    "Cardiomegaly": _cardiomegaly,
    "Edema": _edema,
    "Pneumonia": _pneumonia,
    "Lung Opacity": _opacity,
    "Consolidation": _consolidation,
    "Lung Lesion": _nodule,
    "Atelectasis": _atelectasis,
    "Pneumothorax": _pneumothorax,
    "Pleural Effusion": _effusion,
    "Fracture": _fracture,
    "Support Devices": _device,
}
"""In the order of drawing: air and fluid in the pleural space come after what lies in the lung."""

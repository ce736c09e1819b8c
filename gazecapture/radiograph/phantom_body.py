"""Soft tissue and air of a phantom: trunk, lungs, heart, diaphragm, airways, as path lengths along the beam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from gazecapture.radiograph.phantom_anatomy import SIDES, Anatomy, Side
from gazecapture.radiograph.phantom_canvas import Canvas, Map, smooth_noise

__all__ = ["Layers", "airway_lines", "draw_body"]

EDGE_MM = 30.0
"""Over which the lung, wrapped round the spine, runs out towards the midline."""
HEART_DEPTH_MM = 128.0
"""Of heart and great vessels from front to back; some lung stays behind them."""
DOME_DEPTH_MM = 88.0
"""Half-depth of the abdomen below a dome; sets how fast the film brightens below its edge."""
DOME_HEIGHT_MM = 60.0
"""Over which a dome reaches its full depth."""


@dataclass(kw_only=True, eq=False)
class Layers:
    """Path lengths, mm, on one canvas; findings change them before the film is made."""

    x: Map
    """Patient mm at every pixel."""
    y: Map
    body: Map
    """Through the whole trunk, as if it were solid."""
    lung: Map
    """Through aerated lung."""
    full_lung: Map
    """Through the lungs as if nothing lay before them."""
    air: Map
    """Through airways, stomach and bowel."""
    bone: Map
    tissue: Map
    """Through vessels and lesions that take the place of lung."""
    metal: Map

    def zeros(self) -> Map:
        """Return an empty map."""
        return np.zeros_like(self.body)


def draw_body(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> Layers:
    """Draw the trunk with lungs, heart, vessels' trunks, diaphragm, stomach and airways."""
    x, y = canvas.grid()
    body = _trunk(anatomy, x, y)
    full = np.zeros_like(body)
    lung = np.zeros_like(body)
    blocked = _mediastinum(canvas, anatomy, x, y)
    for side in SIDES:
        whole = _whole_lung(anatomy, x, y, side)
        full += whole
        dome = _abdomen(anatomy, x, y, side)
        lung += np.maximum(whole - blocked - dome, 0)
    lung = canvas.blurred(lung, 0.45)
    air = _airways(canvas, anatomy) + _gut(canvas, anatomy, x, y, rng)
    empty = np.zeros_like(body)
    return Layers(
        x=x, y=y, body=body, lung=lung, full_lung=full, air=air, bone=empty.copy(), tissue=empty.copy(),
        metal=empty.copy(),
    )  # fmt: skip


def _rows(values: object, y: Map) -> Map:
    """Evaluate a curve of y once per 0.25 mm and look it up."""
    low, high = float(y.min()) - 1, float(y.max()) + 1
    at = np.arange(low, high + 0.25, 0.25)
    table = np.asarray(values(at), np.float32)  # type: ignore[operator]
    place = np.clip(((y - np.float32(low)) * 4).astype(np.int32), 0, at.size - 1)
    return table[place]


def _trunk(anatomy: Anatomy, x: Map, y: Map) -> Map:
    """Return the path through neck, shoulders, arms and trunk."""
    half_width = _rows(anatomy.body_half_width_mm, y)
    deepest = anatomy.half_depth_mm + 20 + 0.75 * anatomy.wall_mm
    top = anatomy.shoulder_y_mm
    share = np.clip((y - (top - 60)) / 130, 0, 1)
    half_depth = 54 + (deepest - 54) * share * share * (3 - 2 * share)
    across = np.clip(np.abs(x) / half_width, 0, 1)
    path = np.asarray(2 * half_depth * np.sqrt(np.maximum(1 - across**2.6, 0)), np.float32)
    # Shoulders and arms are thinner than the chest beside them.
    outer = np.clip((np.abs(x) - anatomy.half_width_mm - 6) / 40, 0, 1)
    path *= 1 - 0.28 * outer * share
    # The arm stands off the trunk: a wedge of air opens below the armpit and widens downwards.
    opened = np.clip((y - (top + 132)) / 95, 0, 1)
    trunk = anatomy.half_width_mm + anatomy.wall_mm + 4
    outside = np.abs(x) - trunk + 10 * np.clip((y - anatomy.recess_y_mm + 60) / 160, 0, 1)
    wedge = (outside > 0) & (outside < 62 * opened**1.6)
    skin = np.sqrt(1 - (1 - np.clip(-outside / 60, 0, 1)) ** 2)
    path = np.where(wedge, 0, np.where(outside <= 0, path * (1 - opened * (1 - skin)), path)).astype(
        np.float32
    )
    if anatomy.breast_mm:
        for sign in (-1.0, 1.0):
            dx = (x - sign * anatomy.half_width_mm * 0.56) / (anatomy.half_width_mm * 0.5)
            dy = y - (anatomy.dome_y_mm[0] - 16)
            dy = np.where(dy < 0, dy / 78, dy / 38)
            bulge = np.maximum(1 - dx * dx - dy * dy, 0) ** 0.6
            path += np.where(path > 0, anatomy.breast_mm * bulge, 0).astype(np.float32)
    # Chest muscle: denser towards the armpits, with a soft oblique lower border.
    line = y - (top + 88) - 0.55 * (np.abs(x) - 60)
    muscle = 14 / (1 + np.exp(np.clip(line / 9, -30, 30))) * np.clip((np.abs(x) - 30) / 70, 0, 1)
    return np.asarray(path + np.where(path > 0, muscle * share, 0), np.float32)


def _mediastinum(canvas: Canvas, anatomy: Anatomy, x: Map, y: Map) -> Map:
    """Return the path through heart and great vessels: a rounded body between its two borders."""
    right, left = (_rows(lambda at, s=side: anatomy.border_mm(s, at), y) for side in SIDES)
    inside = np.minimum(x + right, left - x)
    depth = HEART_DEPTH_MM * np.clip((y - 20) / 100, 0.6, 1)
    rim = 13 + 13 * np.clip((y - anatomy.heart_top_mm + 20) / 50, 0, 1)
    share = np.clip(inside / rim, 0, 1)
    solid = depth * np.sqrt(1 - (1 - share) ** 2)
    # The aorta descends behind the heart, left of the spine.
    aorta_x = 13 + anatomy.aorta_bulge_mm * 0.4
    aorta = canvas.ellipsoid(x, y, (aorta_x, anatomy.carina_y_mm + 90), (15, 125, 13))
    return np.asarray(solid + np.minimum(aorta, 25), np.float32)


def _whole_lung(anatomy: Anatomy, x: Map, y: Map, side: Side) -> Map:
    out = -x if side == "right" else x
    lateral, medial = _rows(anatomy.lateral_mm, y), _rows(anatomy.medial_mm, y)
    depth = _rows(anatomy.cavity_half_depth_mm, y)
    rows = ((y > anatomy.apex_y_mm) & (y < anatomy.recess_y_mm)).astype(np.float32)
    across = np.clip(out / lateral, 0, 1)
    chord = 2 * depth * np.sqrt(1 - across**2)
    inner = np.clip((out - medial + 7) / EDGE_MM, 0, 1)
    inner = inner * (2 - inner)
    # The apex is a vault, not a shelf.
    top = anatomy.vault_mm(out).astype(np.float32)
    vault = np.sqrt(np.clip((y - top) / 34, 0, 1))
    return np.asarray(chord * inner * rows * vault * (out > 0), np.float32)


def _abdomen(anatomy: Anatomy, x: Map, y: Map, side: Side) -> Map:
    out = np.clip(-x if side == "right" else x, 0, None)
    at = np.arange(0, 400, 0.5)
    table = anatomy.dome_mm(side, at).astype(np.float32)
    edge = table[np.clip((out * 2).astype(np.int32), 0, at.size - 1)]
    below = np.clip((y - edge) / DOME_HEIGHT_MM, 0, 1)
    return np.asarray(2 * DOME_DEPTH_MM * np.sqrt(1 - (1 - below) ** 2), np.float32)


def airway_lines(anatomy: Anatomy) -> list[tuple[np.ndarray, float, float]]:
    """Return trachea and main bronchi: (n, 2) axis in patient mm, radius at start and end, mm."""
    carina = anatomy.carina_y_mm
    r = anatomy.trachea_radius_mm
    down = np.linspace(-40, carina + 2, 60)
    bend = 2.0 * np.clip((down - carina + 60) / 60, 0, 1)
    trachea = np.stack([bend, down], axis=1)
    along = np.linspace(0, 1, 30)
    right = np.stack([2 - 5 * along - 27 * along**1.1, carina - 3 + 36 * along], axis=1)
    left = np.stack([2 + 5 * along + 36 * along, carina - 3 + 29 * along - 4 * along**2], axis=1)
    lower_right = np.stack([-30 - 8 * along, carina + 33 + 34 * along], axis=1)
    lower_left = np.stack([43 + 6 * along, carina + 22 + 38 * along], axis=1)
    return [
        (trachea, r, r),
        (right, r * 0.86, r * 0.7),
        (left, r * 0.76, r * 0.6),
        (lower_right, r * 0.62, r * 0.4),
        (lower_left, r * 0.55, r * 0.36),
    ]


def _airways(canvas: Canvas, anatomy: Anatomy) -> Map:
    xs, ys, radii = [], [], []
    for line, first, last in airway_lines(anatomy):
        xs.append(np.stack([line[:-1, 0], line[1:, 0]], axis=1))
        ys.append(np.stack([line[:-1, 1], line[1:, 1]], axis=1))
        radii.append(np.linspace(first, last, len(line) - 1))
    return canvas.blurred(canvas.tubes(np.concatenate(xs), np.concatenate(ys), np.concatenate(radii)), 0.8)


def _gut(canvas: Canvas, anatomy: Anatomy, x: Map, y: Map, rng: np.random.Generator) -> Map:
    """Return the stomach's air bubble, with a fluid level now and then, and some bowel gas."""
    at_x = float(rng.uniform(48, 74))
    at_y = float(anatomy.dome_mm("left", at_x)) + float(rng.uniform(17, 24))
    bubble = canvas.ellipsoid(
        x, y, (at_x, at_y), (float(rng.uniform(20, 32)), float(rng.uniform(9, 14)), 16), -0.12
    )
    if rng.random() < 0.6:
        bubble = np.where(y > at_y + float(rng.uniform(0, 5)), 0, bubble).astype(np.float32)
    gas = np.zeros_like(bubble)
    for _ in range(int(rng.integers(0, 4))):
        center = (float(rng.uniform(40, 118)), anatomy.recess_y_mm + float(rng.uniform(12, 60)))
        gas += canvas.ellipsoid(
            x, y, center, (float(rng.uniform(6, 16)), float(rng.uniform(5, 10)), 9), float(rng.uniform(-1, 1))
        )
    wobble = 1 + 0.25 * smooth_noise(rng, gas.shape, 6 / canvas.spacing_mm)
    soft: Map = ndimage.gaussian_filter(bubble + gas * np.clip(wobble, 0, 2), 0.8 / canvas.spacing_mm)
    return soft

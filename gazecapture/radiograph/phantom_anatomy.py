"""The body of a phantom: its measures, drawn from a seed, and its curves in patient mm.

Measures follow adult frontal radiographs at 1.8 m: thorax about 270 mm wide inside the ribs, heart a little less
than half of that, carina at the height of T5, domes at that of T10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from gazecapture.radiograph.phantom_canvas import Pose

__all__ = ["SIDES", "Anatomy", "Rib", "Side", "sample_anatomy"]

Array = NDArray[np.float64]
Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")

N_RIBS = 11
"""Pairs that are drawn; the twelfth hides below the dome."""
LUNG_ROWS = (0.0, 0.012, 0.05, 0.11, 0.22, 0.36, 0.54, 0.72, 0.9, 1.0)
"""Height from apex (0) to the lowest point of the costophrenic recess (1)."""
LATERAL_SHARES = (0.34, 0.44, 0.585, 0.69, 0.81, 0.895, 0.965, 0.998, 1.0, 0.985)
"""Half-width of the lung's outer edge at those heights, as share of the widest."""
DEPTH_SHARES = (0.12, 0.24, 0.42, 0.58, 0.78, 0.92, 1.0, 1.0, 0.84, 0.42)
"""Half-depth of the chest inside the ribs at those heights, as share of the deepest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rib:
    """One rib as a curve in space with its own frame; (n, 3) mm, x y z."""

    number: int
    side: Side
    points: Array
    tall: tuple[float, float, float]
    """Unit vector of the rib's height."""
    half_height_mm: Array
    half_thickness_mm: Array


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Every measure of one body, mm; shares of the drawn seed are in `sample_anatomy`."""

    pose: Pose
    half_width_mm: float
    """Midline to the lung's outer edge at its widest."""
    half_depth_mm: float
    apex_y_mm: float
    recess_y_mm: float
    """Lowest point of the costophrenic recesses."""
    dome_y_mm: tuple[float, float]
    """Top of the right and left dome."""
    heart_share: float
    """Cardiothoracic ratio."""
    heart_lean: float
    """Share of the heart's width to the right of the midline."""
    wall_mm: float
    """Soft tissue outside the ribs."""
    breast_mm: float
    """Thickness of each breast; 0 for none."""
    knob_radius_mm: float
    aorta_bulge_mm: float
    carina_y_mm: float
    rib_tilt_rad: float
    trachea_radius_mm: float
    clavicle_lift_mm: float
    shoulder_y_mm: float
    edema: float = 0.0
    """0 to 1: widens upper vessels."""

    @property
    def vertebra_step_mm(self) -> float:
        """Distance between vertebral bodies."""
        return (self.recess_y_mm - self.apex_y_mm) / 11.2

    def vertebra_y_mm(self, number: int) -> float:
        """Height of thoracic vertebra 1 ... 12 (13, 14: lumbar)."""
        return self.apex_y_mm + 2 + (number - 1) * self.vertebra_step_mm

    @cached_property
    def _lateral(self) -> PchipInterpolator:
        return PchipInterpolator(LUNG_ROWS, LATERAL_SHARES)

    @cached_property
    def _depth(self) -> PchipInterpolator:
        return PchipInterpolator(LUNG_ROWS, DEPTH_SHARES)

    def height_share(self, y_mm: ArrayLike) -> Array:
        """Return the place between apex (0) and recess (1), clipped."""
        share = (np.asarray(y_mm, np.float64) - self.apex_y_mm) / (self.recess_y_mm - self.apex_y_mm)
        return np.clip(share, 0, 1)

    def lateral_mm(self, y_mm: ArrayLike) -> Array:
        """Return the distance of the lung's outer edge from the midline."""
        return np.asarray(self._lateral(self.height_share(y_mm)) * self.half_width_mm, np.float64)

    def medial_mm(self, y_mm: ArrayLike) -> Array:
        """Return the distance of the lung's inner edge from the midline, where nothing lies before it."""
        share = self.height_share(y_mm)
        apex = np.exp(-((share / 0.05) ** 2))
        return np.asarray(11.0 + 0.12 * self.half_width_mm * apex, np.float64)

    def vault_mm(self, x_mm: ArrayLike) -> Array:
        """Return the height of the apex' vault at distance ``x_mm`` from the midline."""
        across = np.asarray(x_mm, np.float64) - 0.34 * self.half_width_mm
        across = np.where(across < 0, across / 34, across / 62)
        return np.asarray(self.apex_y_mm + 22 * across**2, np.float64)

    def cavity_half_depth_mm(self, y_mm: ArrayLike) -> Array:
        """Return half of the chest's depth inside the ribs."""
        return np.asarray(self._depth(self.height_share(y_mm)) * self.half_depth_mm, np.float64)

    def dome_mm(self, side: Side, x_mm: ArrayLike) -> Array:
        """Return the height of the dome's upper edge at distance ``x_mm`` from the midline."""
        top = self.dome_y_mm[SIDES.index(side)]
        across = np.asarray(x_mm, np.float64) / self.half_width_mm
        lateral = np.clip((across - 0.5) / 0.5, 0, 1.3)
        medial = np.clip((0.5 - across) / 0.5, 0, 1)
        fall = (self.recess_y_mm - 9 - top) * (0.3 * lateral**2 + 0.7 * lateral**5)
        return np.asarray(top + fall + 11 * medial**2.0, np.float64)

    def angle_mm(self, side: Side) -> tuple[float, float]:
        """Return distance from the midline and height of the costophrenic angle's tip."""
        del side
        y = self.recess_y_mm - 9
        return float(self.lateral_mm(y)), y

    @cached_property
    def heart_width_mm(self) -> float:
        """Largest width of the cardiac silhouette."""
        return self.heart_share * 2 * self.half_width_mm

    @cached_property
    def heart_edges_mm(self) -> tuple[float, float]:
        """Largest distance of the right and the left heart border from the midline, both positive."""
        right = self.heart_width_mm * self.heart_lean
        return right, self.heart_width_mm - right

    @cached_property
    def heart_base_mm(self) -> float:
        """Height at which the heart rests on the diaphragm."""
        return sum(self.dome_y_mm) / 2 + 10

    @cached_property
    def heart_top_mm(self) -> float:
        """Height at which the silhouette passes from great vessels to heart."""
        return self.carina_y_mm + 26

    @cached_property
    def _left_border(self) -> PchipInterpolator:
        carina, base, left = self.carina_y_mm, self.heart_base_mm, self.heart_edges_mm[1]
        bulge, knob = self.aorta_bulge_mm, self.knob_radius_mm
        span = base - carina
        rows = (
            -80, self.apex_y_mm, carina - 21 - knob * 1.5, carina - 21 - knob * 0.7, carina - 21, carina - 21 + knob,
            carina + 10, carina + 28, carina + 46, carina + 0.6 * span, base - 24, base - 4, base + 14, base + 40,
        )  # fmt: skip
        edges = (
            9, 13, 20 + bulge * 0.5, 17 + bulge * 0.5 + 0.88 * knob, 17 + bulge * 0.5 + knob, 29 + bulge * 0.3, 34, 41,
            44, 0.52 * 42 + 0.52 * left, left, left - 1, left - 5, left - 14,
        )  # fmt: skip
        return PchipInterpolator(rows, edges)

    @cached_property
    def _right_border(self) -> PchipInterpolator:
        carina, base, right = self.carina_y_mm, self.heart_base_mm, self.heart_edges_mm[0]
        bulge = self.aorta_bulge_mm
        rows = (
            -80,
            self.apex_y_mm,
            carina - 50,
            carina - 20,
            carina + 18,
            carina + 50,
            base - 42,
            base - 12,
            base + 8,
            base + 36,
        )
        edges = (
            9,
            12,
            21,
            24 + bulge * 0.3,
            25 + bulge * 0.6,
            27 + bulge * 0.3,
            right,
            right - 1,
            right - 4,
            right - 10,
        )
        return PchipInterpolator(rows, edges)

    def border_mm(self, side: Side, y_mm: ArrayLike) -> Array:
        """Return the distance of the cardiomediastinal silhouette's edge from the midline."""
        curve = self._right_border if side == "right" else self._left_border
        return np.asarray(curve(np.clip(y_mm, -80, self.heart_base_mm + 36)), np.float64)

    @property
    def knob_x_mm(self) -> float:
        """Centre of the aortic knob."""
        return 17 + self.aorta_bulge_mm * 0.5

    @property
    def knob_y_mm(self) -> float:
        """Height of the aortic knob's centre."""
        return self.carina_y_mm - 21

    def hilum_mm(self, side: Side) -> tuple[float, float]:
        """Return the centre of the hilum, patient mm; the left one stands higher."""
        return (-42.0, self.carina_y_mm + 33) if side == "right" else (49.0, self.carina_y_mm + 23)

    @cached_property
    def ribs(self) -> tuple[Rib, ...]:
        """Both sides, first to last."""
        return tuple(self._rib(side, number) for side in SIDES for number in range(1, N_RIBS + 1))

    def _rib(self, side: Side, number: int) -> Rib:
        start_y = self.vertebra_y_mm(number) - 5
        tilt = self.rib_tilt_rad * (1.25 if number == 1 else 1.0)
        depth = float(self.cavity_half_depth_mm(start_y + 26)) + 4
        lateral_y = start_y + depth * math.tan(tilt)
        reach = float(self.lateral_mm(lateral_y)) + 3.5
        last_rad = math.radians((150, 150, 152, 152, 150, 147, 142, 136, 128, 118, 100)[number - 1])
        theta = np.linspace(math.radians(9), last_rad, 260)
        x = reach * np.sin(theta) ** 0.94
        z = -depth * np.cos(theta)
        y = start_y + math.tan(tilt) * (z + depth) - 5.0 * np.sin(np.minimum(theta * 2.2, math.pi)) ** 2
        sign = -1.0 if side == "right" else 1.0
        front = np.clip((theta - 1.2) / 1.0, 0, 1)
        size = 0.72 if number == 1 else 1.0 if number < 11 else 0.75
        return Rib(
            number=number,
            side=side,
            points=np.stack([sign * x, y, z], axis=1),
            tall=(0.0, math.cos(tilt), -math.sin(tilt)),
            half_height_mm=size * (5.6 + 1.7 * front),
            half_thickness_mm=size * (3.6 - 0.5 * front),
        )

    def clavicle_mm(self, side: Side) -> Array:
        """Return the clavicle's axis from sternum to shoulder, (n, 2) patient mm."""
        end_y = self.vertebra_y_mm(3) + 1
        along = np.linspace(0, 1, 120)
        lift = self.clavicle_lift_mm
        y = end_y - lift * (1 - (1 - along) ** 2) * 0.8 - 7 * np.sin(along * math.pi * 1.75) * along
        x = 14 + along * (self.half_width_mm + 10)
        return np.stack([(-x if side == "right" else x), y], axis=1)

    def body_half_width_mm(self, y_mm: ArrayLike) -> Array:
        """Return the distance of the skin from the midline: neck, shoulder, then the trunk."""
        top = self.shoulder_y_mm
        rows = (-60, top - 62, top - 44, top - 28, top - 8, top + 12, top + 60, top + 128, 700)
        widths = (58, 60, 72, 102, 148, 180, 222, 240, 260)
        return np.asarray(PchipInterpolator(rows, widths)(np.asarray(y_mm, np.float64)), np.float64)

    def with_big_heart(self, share: float) -> Anatomy:
        """Return the same body with another cardiothoracic ratio."""
        return replace(self, heart_share=share, heart_lean=0.34)


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw one adult body."""
    heavy = float(np.clip(rng.normal(0.35, 0.3), 0, 1))
    female = bool(rng.random() < 0.5)
    half_width = float(rng.normal(131 if female else 140, 5))
    apex = float(rng.normal(50, 5))
    length = float(rng.normal(278 if female else 294, 9))
    recess = apex + length
    dome = recess - float(rng.normal(48, 6))
    return Anatomy(
        pose=Pose(
            scale=float(rng.normal(1.0, 0.025)),
            tilt_rad=math.radians(float(rng.normal(0, 1.1))),
            x_shift_mm=float(rng.normal(0, 4)),
            y_shift_mm=float(rng.normal(4, 5)),
        ),
        half_width_mm=half_width,
        half_depth_mm=float(rng.normal(84, 5)),
        apex_y_mm=apex,
        recess_y_mm=recess,
        dome_y_mm=(dome, dome + float(rng.normal(11, 3))),
        heart_share=float(np.clip(rng.normal(0.435, 0.025), 0.38, 0.485)),
        heart_lean=float(rng.normal(0.33, 0.025)),
        wall_mm=14 + 24 * heavy,
        breast_mm=(14 + 26 * heavy + float(rng.uniform(0, 12))) if female else 0.0,
        knob_radius_mm=float(rng.normal(17.5, 1.8)),
        aorta_bulge_mm=float(np.clip(rng.normal(3, 4), 0, 12)),
        carina_y_mm=apex + length * float(rng.normal(0.328, 0.012)),
        rib_tilt_rad=math.radians(float(rng.normal(31, 2))),
        trachea_radius_mm=float(rng.normal(8.6, 0.7)),
        clavicle_lift_mm=float(rng.normal(28, 6)),
        shoulder_y_mm=apex + float(rng.normal(4, 4)),
    )

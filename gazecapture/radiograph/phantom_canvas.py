"""The plane on which a phantom is drawn: a grid in patient millimetres and primitives that add path lengths.

Patient frame: x to the patient's left (the picture's right), y downwards from the top of the field, z towards the
front, all mm; x = 0 is the midline. Everything drawn is a length along the beam in mm, so that overlapping parts
add up as they do in an X-ray picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

__all__ = ["FIELD_HEIGHT_MM", "FIELD_WIDTH_MM", "Canvas", "Cloud", "Map", "Pose", "smooth_noise"]

Map = NDArray[np.float32]
Line = NDArray[np.float64]
Points = NDArray[np.floating[Any]]
Cloud = tuple[Points, Points, Points]
"""Many small volumes, (n,) each: x and y in patient mm, and mm^3."""

FIELD_WIDTH_MM = 352.0
"""Of a 14 x 17 inch detector, upright."""
FIELD_HEIGHT_MM = 428.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the patient stands before the detector."""

    scale: float = 1.0
    """Field mm per patient mm: size, and magnification by the beam."""
    tilt_rad: float = 0.0
    x_shift_mm: float = 0.0
    y_shift_mm: float = 0.0

    def to_field(self, x_mm: ArrayLike, y_mm: ArrayLike) -> tuple[Line, Line]:
        """Return field mm (origin at the top, middle) of patient mm."""
        x, y = np.asarray(x_mm, np.float64), np.asarray(y_mm, np.float64) - FIELD_HEIGHT_MM / 2
        cos, sin = math.cos(self.tilt_rad) * self.scale, math.sin(self.tilt_rad) * self.scale
        return cos * x - sin * y + self.x_shift_mm, sin * x + cos * y + FIELD_HEIGHT_MM / 2 + self.y_shift_mm

    def to_patient(self, x_mm: ArrayLike, y_mm: ArrayLike) -> tuple[Line, Line]:
        """Return patient mm of field mm."""
        x = np.asarray(x_mm, np.float64) - self.x_shift_mm
        y = np.asarray(y_mm, np.float64) - FIELD_HEIGHT_MM / 2 - self.y_shift_mm
        cos, sin = math.cos(self.tilt_rad) / self.scale, math.sin(self.tilt_rad) / self.scale
        return cos * x + sin * y, -sin * x + cos * y + FIELD_HEIGHT_MM / 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """A grid of square pixels over the detector's field."""

    width_px: int
    height_px: int
    spacing_mm: float
    pose: Pose = field(default_factory=Pose)

    def grid(self) -> tuple[Map, Map]:
        """Return patient x and y, mm, at every pixel's centre."""
        x_field = (np.arange(self.width_px) + 0.5 - self.width_px / 2) * self.spacing_mm
        y_field = (
            np.arange(self.height_px) + 0.5 - self.height_px / 2
        ) * self.spacing_mm + FIELD_HEIGHT_MM / 2
        x, y = self.pose.to_patient(x_field[None, :], y_field[:, None])
        return x.astype(np.float32), y.astype(np.float32)

    def to_px(self, x_mm: ArrayLike, y_mm: ArrayLike) -> tuple[Line, Line]:
        """Return image px (origin at the first pixel's outer corner) of patient mm."""
        x, y = self.pose.to_field(x_mm, y_mm)
        return (
            x / self.spacing_mm + self.width_px / 2,
            (y - FIELD_HEIGHT_MM / 2) / self.spacing_mm + self.height_px / 2,
        )

    def splat(self, *clouds: Cloud) -> Map:
        """Return the path length, mm, of many small volumes; each is shared among the four nearest pixels."""
        from gazecapture.radiograph import phantom_kernel  # with numba, for which only drawing has to wait

        pose = self.pose
        parts = np.zeros((self.width_px * self.height_px, 4))
        for x, y, volume in clouds:
            phantom_kernel.splat(
                parts,
                x,
                y,
                volume,
                (math.cos(pose.tilt_rad) * pose.scale, math.sin(pose.tilt_rad) * pose.scale),
                (pose.x_shift_mm, pose.y_shift_mm),
                FIELD_HEIGHT_MM / 2,
                self.spacing_mm,
                self.width_px,
            )
        total = phantom_kernel.gathered(parts, self.width_px)
        # The volume was given in patient mm; a pixel covers (spacing / scale)^2 of those.
        total *= pose.scale**2 / self.spacing_mm**2
        return total.reshape(self.height_px, self.width_px).astype(np.float32)

    def tubes(self, x_mm: Line, y_mm: Line, radius_mm: Line, density: ArrayLike = 1.0) -> Map:
        """Return the path length, mm, through straight round tubes.

        x_mm, y_mm : (n, 2) ends of each piece. radius_mm : (n,). density : (n,), multiplies the path.
        """
        dense = np.broadcast_to(np.asarray(density, np.float64), radius_mm.shape)
        dx, dy = np.diff(x_mm)[:, 0], np.diff(y_mm)[:, 0]
        length = np.maximum(np.hypot(dx, dy), 1e-6)
        step = self.spacing_mm / self.pose.scale * 0.7
        clouds: list[Cloud] = []
        # Pieces are drawn in groups of like radius: each group has one pattern of points across.
        n_across = np.maximum(1, np.ceil(2 * radius_mm / step)).astype(int)
        for n in np.unique(n_across):
            group = np.flatnonzero(n_across == n)
            n_along = int(np.ceil(length[group].max() / step))
            along = (np.arange(n_along) + 0.5) / n_along
            across = (np.arange(n) + 0.5) / n * 2 - 1
            chord = 2 * np.sqrt(1 - across**2)
            chord *= math.pi / (chord.sum() * 2 / n)
            nx, ny, r = -dy[group] / length[group], dx[group] / length[group], radius_mm[group]
            px = x_mm[group, 0][:, None] + along * dx[group][:, None]
            py = y_mm[group, 0][:, None] + along * dy[group][:, None]
            x = (px[:, :, None] + across * (nx * r)[:, None, None]).ravel()
            y = (py[:, :, None] + across * (ny * r)[:, None, None]).ravel()
            cell = (dense[group] * length[group] / n_along * (2 * r / n) * r)[:, None, None]
            clouds.append((x, y, np.broadcast_to(cell * chord, (group.size, n_along, n)).ravel()))
        return self.splat(*clouds)

    def line(self, points_mm: Line, radius_mm: Line) -> Map:
        """Return the path length, mm, through a bent round tube; points (n, 2), radii (n - 1,)."""
        x, y = points_mm[:, 0], points_mm[:, 1]
        return self.tubes(np.stack([x[:-1], x[1:]], axis=1), np.stack([y[:-1], y[1:]], axis=1), radius_mm)

    def blurred(self, values: Map, sigma_mm: float) -> Map:
        """Return the map blurred; wide blurs are computed on a coarser grid."""
        sigma_px = sigma_mm / self.spacing_mm
        coarse = max(1, int(sigma_px / 3))
        if coarse == 1:
            blurred: Map = ndimage.gaussian_filter(values, sigma_px, mode="nearest", truncate=3.0)
            return blurred
        h, w = values.shape
        padded = np.pad(values, ((0, -h % coarse), (0, -w % coarse)), mode="edge")
        small = padded.reshape(padded.shape[0] // coarse, coarse, padded.shape[1] // coarse, coarse).mean(
            (1, 3)
        )
        small = ndimage.gaussian_filter(small, sigma_px / coarse, mode="nearest", truncate=3.0)
        return enlarged(small, padded.shape)[:h, :w]

    def ellipsoid(
        self,
        x: Map,
        y: Map,
        center: tuple[float, float],
        axes: tuple[float, float, float],
        turn_rad: float = 0.0,
    ) -> Map:
        """Return the path length, mm, through an ellipsoid.

        axes : half-axes along x, y (before ``turn_rad``) and z, mm.
        """
        cos, sin = math.cos(turn_rad), math.sin(turn_rad)
        dx, dy = x - np.float32(center[0]), y - np.float32(center[1])
        u = (dx * cos + dy * sin) / axes[0]
        v = (-dx * sin + dy * cos) / axes[1]
        path: Map = (2 * axes[2] * np.sqrt(np.maximum(1 - u * u - v * v, 0))).astype(np.float32)
        return path


def enlarged(small: Map, shape: tuple[int, int]) -> Map:
    """Return a map of ``shape`` by linear interpolation between the centres of the small one's pixels."""
    rows, row_share = _between(small.shape[0], shape[0])
    columns, column_share = _between(small.shape[1], shape[1])
    wide = small[:, columns] * (1 - column_share) + small[:, columns + 1] * column_share
    return np.asarray(wide[rows] * (1 - row_share[:, None]) + wide[rows + 1] * row_share[:, None], np.float32)


def _between(n_small: int, n_large: int) -> tuple[NDArray[np.int64], Map]:
    at = np.clip((np.arange(n_large) + 0.5) * n_small / n_large - 0.5, 0, n_small - 1)
    low = np.clip(np.floor(at), 0, max(0, n_small - 2)).astype(np.int64)
    return low, (at - low).astype(np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell_px: float) -> Map:
    """Return noise of mean 0 and standard deviation 1 whose grains are about ``cell_px`` wide."""
    # Half a cell of blur on white noise; wide grains are drawn coarse and enlarged.
    step = max(1, int(cell_px / 4))
    small_shape = (math.ceil(shape[0] / step) + 1, math.ceil(shape[1] / step) + 1)
    small = ndimage.gaussian_filter(
        rng.standard_normal(small_shape, np.float32), cell_px / step / 2.5, truncate=3.0
    )
    grains = enlarged(small, (small_shape[0] * step, small_shape[1] * step))[: shape[0], : shape[1]]
    spread = float(grains.std())
    return np.asarray((grains - grains.mean()) / (spread if spread > 0 else 1.0), np.float32)

"""The thorax's own coordinates, u across and v down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ThoraxFrame", "warp"]

FloatArray = NDArray[np.float64]

BLEND_U = 0.3
"""Between the lungs, up to so far from the midline, the base's height goes over from one side's to the other's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoraxFrame:
    """Where a thorax lies on a picture, in px of it.

    u runs from -1 (the patient's right chest wall) over 0 (midline) to 1 (left wall), v from 0 (apices) to 1 (tips of
    the costophrenic angles).
    """

    midline_x_px: float
    apex_y_px: float
    base_right_y_px: float
    base_left_y_px: float
    half_width_right_px: float
    half_width_left_px: float
    tilt_rad: float = 0.0
    """Clockwise on the picture, about the frame's centre."""

    def parameters(self) -> FloatArray:
        """Return the seven numbers as (7,), in the order of the fields."""
        return np.array(
            [
                self.midline_x_px,
                self.apex_y_px,
                self.base_right_y_px,
                self.base_left_y_px,
                self.half_width_right_px,
                self.half_width_left_px,
                self.tilt_rad,
            ]
        )

    def to_px(self, u: ArrayLike, v: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return x and y in px of points in the frame, any shape."""
        u, v = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        x, y = warp(self.parameters()[None], u.ravel(), v.ravel())
        return x[0].reshape(u.shape), y[0].reshape(u.shape)

    def from_px(self, x_px: ArrayLike, y_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return u and v of points in px: the inverse of `to_px`."""
        x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
        centre = (2 * self.apex_y_px + self.base_right_y_px + self.base_left_y_px) / 4
        cos, sin = np.cos(self.tilt_rad), np.sin(self.tilt_rad)
        dx, dy = x - self.midline_x_px, y - centre
        along, down = dx * cos + dy * sin, -dx * sin + dy * cos
        u = along / np.where(along < 0, self.half_width_right_px, self.half_width_left_px)
        share = (np.clip(u / BLEND_U, -1, 1) + 1) / 2
        base = self.base_right_y_px + share * (self.base_left_y_px - self.base_right_y_px)
        return u, (down + centre - self.apex_y_px) / (base - self.apex_y_px)


def warp(parameters: FloatArray, u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return px of m points in n frames, (n, m) each; ``parameters`` is (n, 7)."""
    midline, apex, base_right, base_left, half_right, half_left, tilt = parameters.T
    left_share = (np.clip(u / BLEND_U, -1, 1) + 1) / 2
    cos, sin = np.cos(tilt), np.sin(tilt)
    centre = (2 * apex + base_right + base_left) / 4
    # Across and down are sums over these, turned by the tilt about the centre.
    shapes = np.stack(
        [np.ones_like(u), np.minimum(u, 0), np.maximum(u, 0), 0.5 - v, v * (1 - left_share) - 0.25,
         v * left_share - 0.25]
    )  # fmt: skip
    x = np.stack(
        [midline, cos * half_right, cos * half_left, -sin * apex, -sin * base_right, -sin * base_left]
    )
    y = np.stack([centre, sin * half_right, sin * half_left, cos * apex, cos * base_right, cos * base_left])
    return x.T @ shapes, y.T @ shapes

"""A radiograph lit where a reader looked: key frames made from fixations, and gaze maps for the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from examples.gazex.tasks.example import Points

__all__ = ["gaze_map", "lights", "lit"]

DARK = 0.15
"""Share of the picture's brightness where nobody looked; the published value."""


def gaze_map(points: Points, height: int, width: int) -> NDArray[np.float32]:
    """Return (height, width) sums of Gaussians, greatest 1; zeros without points."""
    if not len(points):
        return np.zeros((height, width), np.float32)
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    sigma_x = points[:, 2:3]
    sigma_y = sigma_x * (width / height)
    across = np.exp(-0.5 * ((x - points[:, 0:1]) / sigma_x) ** 2)
    down = np.exp(-0.5 * ((y - points[:, 1:2]) / sigma_y) ** 2)
    heat: NDArray[np.float32] = np.einsum("n,nh,nw->hw", points[:, 3], down, across).astype(np.float32)
    greatest = heat.max()
    return heat / greatest if greatest > 0 else heat


def lights(points: Points, height: int, width: int) -> NDArray[np.float32]:
    """Return (height, width): how brightly a key frame is lit, 0 to 1; zeros without points."""
    heat = np.log1p(gaze_map(points, height, width))
    greatest = heat.max()
    return heat / greatest if greatest > 0 else heat


def lit(picture: NDArray[np.uint8], points: Points) -> NDArray[np.uint8]:
    """Return the picture with full brightness where was looked and `DARK` elsewhere."""
    return (picture * (DARK + (1 - DARK) * lights(points, *picture.shape))).astype(np.uint8)

"""Where the screen was in the scene camera's pictures over time, and gaze put on the screen by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gazecapture.screen.homography import ScreenHomography
from gazecapture.screen.scene_camera import SceneCamera

__all__ = ["FRESH_NS", "SceneMap"]

FloatArray = NDArray[np.float64]

FRESH_NS = 100_000_000
"""ns between two pictures with tags over which gaze is still put on the screen: three pictures at 30 Hz. Over more the
head may have been anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMap:
    """The homographies of n pictures, in time order; pictures without three tags are left out."""

    t_ns: NDArray[np.int64]
    """(n,) when the picture was taken; same clock as the gaze."""
    matrices: FloatArray
    """(n, 3, 3) as `ScreenHomography.matrix`."""
    n_tags: NDArray[np.int64]
    residual_px: FloatArray
    camera: SceneCamera

    @classmethod
    def build(
        cls, t_ns: ArrayLike, homographies: list[ScreenHomography | None], camera: SceneCamera
    ) -> SceneMap:
        """Collect what a tracker gave for pictures taken at ``t_ns``, (m,)."""
        kept = [(int(t), h) for t, h in zip(np.asarray(t_ns), homographies, strict=True) if h is not None]
        kept.sort(key=lambda pair: pair[0])
        return cls(
            t_ns=np.array([t for t, _ in kept], np.int64),
            matrices=np.array([h.matrix for _, h in kept], np.float64).reshape(-1, 3, 3),
            n_tags=np.array([h.n_tags for _, h in kept], np.int64),
            residual_px=np.array([h.residual_px for _, h in kept], np.float64),
            camera=camera,
        )

    def to_screen(
        self, t_ns: ArrayLike, x_scene_px: ArrayLike, y_scene_px: ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Put n samples of gaze on the screen; returns screen px, (n,) each.

        A sample is mapped by the picture before it and the one after it, in proportion to their distance in time: the
        head turns between two pictures. NaN (unmapped, never held) where there is no picture on one of the two sides
        or they are more than `FRESH_NS` apart, where the gaze is NaN, or away from the screen's plane.
        """
        t = np.asarray(t_ns, np.int64)
        rays = self.camera.rays(x_scene_px, y_scene_px)
        after = np.searchsorted(self.t_ns, t, side="right")
        before = after - 1
        inside = (before >= 0) & (after < self.t_ns.size)
        # A sample at the very time of the last picture needs no other.
        on_last = (after == self.t_ns.size) & (before >= 0)
        on_last[on_last] = self.t_ns[before[on_last]] == t[on_last]
        placed = np.full(rays.shape, np.nan)
        at = np.flatnonzero(inside | on_last)
        first, second = before[at], np.minimum(after[at], self.t_ns.size - 1)
        gap_ns = self.t_ns[second] - self.t_ns[first]
        fresh = gap_ns <= FRESH_NS
        at, first, second, gap_ns = at[fresh], first[fresh], second[fresh], gap_ns[fresh]
        share = (t[at] - self.t_ns[first]) / np.maximum(gap_ns, 1)
        placed[at] = (1 - share)[:, None] * _apply_each(self.matrices[first], rays[at])
        placed[at] += share[:, None] * _apply_each(self.matrices[second], rays[at])
        return placed[:, 0], placed[:, 1]


def _apply_each(matrices: FloatArray, rays: FloatArray) -> FloatArray:
    mapped = np.einsum("nij,nj->ni", matrices[:, :, :2], rays) + matrices[:, :, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(mapped[:, :2] / mapped[:, 2:], np.float64)

"""From a picture's tags to the plane map that takes the scene camera's directions to the screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gazecapture.screen.scene_camera import SceneCamera, import_cv2
from gazecapture.screen.tags import ScreenTag

__all__ = ["MIN_TAGS", "ScreenHomography", "fit_homography"]

FloatArray = NDArray[np.float64]

MIN_TAGS = 3
"""A homography has eight unknowns and two tags sixteen equations, but two tags in a row say nothing across it."""
OUTLIER_SCENE_PX = 3.0
"""Scene px; over four times the error of the coarser detector."""
MIN_CORNERS = 3
"""Corners of a tag that must fit for the tag to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenHomography:
    """The map of one picture."""

    matrix: FloatArray
    """(3, 3) from (x / z, y / z, 1) of the camera to homogeneous screen px."""
    n_tags: int
    residual_px: float
    """Root mean square over the corners that fit, screen px."""

    def to_screen(self, rays: ArrayLike) -> FloatArray:
        """Return (n, 2) screen px of (n, 2) directions."""
        return _apply(self.matrix, np.asarray(rays, np.float64))

    def to_rays(self, screen_px: ArrayLike) -> FloatArray:
        """Return (n, 2) directions of (n, 2) screen px."""
        inverse = np.asarray(np.linalg.inv(self.matrix), np.float64)
        return _apply(inverse, np.asarray(screen_px, np.float64))


def fit_homography(
    corners: Mapping[int, FloatArray], tags: Mapping[int, ScreenTag], camera: SceneCamera
) -> ScreenHomography | None:
    """Fit the map to found corners; None where fewer than `MIN_TAGS` tags agree.

    corners : by tag id, (4, 2) scene px; ids that are not in ``tags`` are left out.

    RANSAC (OpenCV) over all corners; a tag that was mistaken for another drops out as a whole.
    """
    numbers = [number for number in corners if number in tags]
    if len(numbers) < MIN_TAGS:
        return None
    seen = np.concatenate([corners[number] for number in numbers])
    shown = np.concatenate([tags[number].corners_screen_px() for number in numbers])
    rays = camera.rays(seen[:, 0], seen[:, 1])
    per_scene_px = np.median([_side(tags[n].corners_screen_px()) / _side(corners[n]) for n in numbers])
    cv2 = import_cv2()
    matrix, fits = cv2.findHomography(rays, shown, cv2.RANSAC, float(OUTLIER_SCENE_PX * per_scene_px))
    if matrix is None or not np.isfinite(matrix).all():
        return None
    fits = np.asarray(fits, np.bool_).ravel()
    n_tags = int(np.count_nonzero(fits.reshape(-1, 4).sum(axis=1) >= MIN_CORNERS))
    if n_tags < MIN_TAGS:
        return None
    error = _apply(matrix, rays[fits]) - shown[fits]
    return ScreenHomography(
        matrix=np.asarray(matrix, np.float64),
        n_tags=n_tags,
        residual_px=float(np.sqrt(np.mean(np.sum(error**2, axis=1)))),
    )


def _apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    # A direction away from the screen has no place on it; one parallel to it lies at infinity.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(mapped[..., :2] / mapped[..., 2:], np.float64)


def _side(corners: FloatArray) -> float:
    return float(np.mean(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)))

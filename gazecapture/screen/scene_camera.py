"""A scene camera by its calibration: from px of its picture to directions, and back.

Scene px are those of the picture as it is, lens distortion included; whole numbers are the pixels' middles, as OpenCV
and Pupil Labs have them. A direction is (x / z, y / z) in the camera's frame: x right, y down, z ahead.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from keyframes.errors import SchemaError, UsageError

__all__ = ["SceneCamera", "import_cv2", "read_scene_camera"]

FloatArray = NDArray[np.float64]
UNDISTORT_STEPS, UNDISTORT_EPS = 40, 1e-9
"""Steps until a direction moves by less than that; OpenCV's own 5 steps leave 0.1 px at the picture's corners."""


def import_cv2() -> Any:
    """Return OpenCV. Raises UsageError (GT-EXTRA-MISSING) where it is not installed."""
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise UsageError(
            "mapping a scene camera needs OpenCV, which is not installed",
            hint="pip install 'gazecapture[neon]'",
            code="GT-EXTRA-MISSING",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneCamera:
    """Pinhole with OpenCV's rational distortion (k1 k2 p1 p2 k3 k4 k5 k6)."""

    matrix: FloatArray
    """(3, 3) px."""
    distortion: FloatArray
    """(8,)."""

    def rays(self, x_scene_px: ArrayLike, y_scene_px: ArrayLike) -> FloatArray:
        """Return (n, 2) directions of n points of the picture; NaN stays NaN."""
        cv2 = import_cv2()
        points = np.column_stack([np.ravel(x_scene_px), np.ravel(y_scene_px)]).astype(np.float64)
        rays = np.full(points.shape, np.nan)
        known = np.isfinite(points).all(axis=1)
        if known.any():
            stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, UNDISTORT_STEPS, UNDISTORT_EPS)
            found = cv2.undistortPoints(
                points[known].reshape(-1, 1, 2), self.matrix, self.distortion, criteria=stop
            )
            rays[known] = found.reshape(-1, 2)
        return rays

    def project(self, rays: ArrayLike) -> FloatArray:
        """Return (n, 2) scene px of (n, 2) directions."""
        cv2 = import_cv2()
        at_depth_1 = np.column_stack(
            [np.asarray(rays, np.float64).reshape(-1, 2), np.ones(np.size(rays) // 2)]
        )
        points, _ = cv2.projectPoints(at_depth_1, np.zeros(3), np.zeros(3), self.matrix, self.distortion)
        return np.asarray(points, np.float64).reshape(-1, 2)


class _Camera(BaseModel):
    model_config = ConfigDict(extra="ignore")
    camera_matrix: list[list[float]]
    distortion_coefficients: list[float]


class _Calibration(BaseModel):
    model_config = ConfigDict(extra="ignore")
    scene: _Camera


def read_scene_camera(path: Path) -> SceneCamera:
    """Read the scene camera of a ``calibration.json``. Raises SchemaError where it is absent or none."""
    try:
        camera = _Calibration.model_validate_json(path.read_bytes()).scene
        matrix = np.array(camera.camera_matrix, np.float64).reshape(3, 3)
        distortion = np.array(camera.distortion_coefficients, np.float64).reshape(8)
    except (OSError, ValidationError, ValueError) as error:
        raise SchemaError(
            f"{path}: no calibration of a scene camera ({type(error).__name__})",
            hint="The phone gives it while the glasses are attached; without it gaze cannot be put on the screen.",
            path=path,
        ) from None
    return SceneCamera(matrix=matrix, distortion=distortion)

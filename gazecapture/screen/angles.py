"""Screen px as angles from the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import GeometryError
from keyframes.geometry import Display

__all__ = ["screen_angles_deg"]


def screen_angles_deg(
    display: Display, x_screen_px: ArrayLike, y_screen_px: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return azimuth (rightward) and elevation (downward) of points on the screen, as Fick angles.

    x_screen_px, y_screen_px : any shape, screen px; NaN stays NaN.
    Returns degrees of the same shape. The eye is taken to be straight before the screen's centre. Raises
    GeometryError (GT-NO-DEGREES) where size or distance of the screen is unknown.
    """
    if not (display.knows_degrees and display.width_mm and display.height_mm and display.distance_mm):
        raise GeometryError(
            "screen size or viewing distance is unknown, so there are no degrees",
            hint="Give --display-mm and --distance-mm.",
            code="GT-NO-DEGREES",
        )
    right_mm = (np.asarray(x_screen_px, np.float64) - display.width_px / 2) * (
        display.width_mm / display.width_px
    )
    down_mm = (np.asarray(y_screen_px, np.float64) - display.height_px / 2) * (
        display.height_mm / display.height_px
    )
    azimuth = np.arctan2(right_mm, display.distance_mm)
    elevation = np.arctan2(down_mm, np.hypot(right_mm, display.distance_mm))
    return np.rad2deg(azimuth), np.rad2deg(elevation)

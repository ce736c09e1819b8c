"""The frame in which a reading's gaze is measured in degrees: the screen where it is known, else the image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.geometry import map_gaze
from keyframes.reading import Reading

__all__ = ["GazeFrame", "best_frame"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeFrame:
    """Gaze of n samples and its scale."""

    kind: str
    """screen or image."""
    x_px: FloatArray
    """(n,); NaN = lost."""
    y_px: FloatArray
    px_per_deg_x: FloatArray
    """(n,); NaN = unknown at that moment."""
    px_per_deg_y: FloatArray

    @property
    def knows_degrees(self) -> bool:
        """Say whether any sample has a scale."""
        return bool(np.isfinite(self.px_per_deg_x).any() and np.isfinite(self.px_per_deg_y).any())


def best_frame(reading: Reading, gaze: pa.Table | None = None) -> GazeFrame:
    """Return the gaze in screen px where the source has them with a known scale, else in image px.

    gaze : rows of the reading's gaze table; all of them by default.

    The viewing distance is the median of what the tracker measured, else the display's; where neither is known, a
    scale that the source gives on the image is taken to the screen. On the screen a saccade is not bent by a zoom
    under it, which is why the screen comes first.
    """
    rows = reading.table("gaze") if gaze is None else gaze
    n = rows.num_rows
    x, y = (rows.column(name).to_numpy() for name in ("x_screen_px", "y_screen_px"))
    display = reading.meta.display
    if display is not None:
        measured = rows.column("eye_distance_mm").drop_null().to_numpy()
        measured = measured[np.isfinite(measured) & (measured > 0)]
        if measured.size:
            display = replace(display, distance_mm=float(np.median(measured)))
        if display.knows_degrees and (np.isfinite(x).any() or not n):
            scale_x, scale_y = display.px_per_deg()
            return GazeFrame(
                kind="screen",
                x_px=x,
                y_px=y,
                px_per_deg_x=np.full(n, scale_x),
                px_per_deg_y=np.full(n, scale_y),
            )
    names = ("x_image_px", "y_image_px", "px_per_deg_x", "px_per_deg_y")
    x_image, y_image, per_deg_x, per_deg_y = (rows.column(name).to_numpy() for name in names)
    on_screen = _screen_by_image_scale(reading, rows)
    if on_screen.knows_degrees:
        return on_screen
    if np.isfinite(x_image).any() or not np.isfinite(x).any():
        return GazeFrame(
            kind="image", x_px=x_image, y_px=y_image, px_per_deg_x=per_deg_x, px_per_deg_y=per_deg_y
        )
    unknown = np.full(n, np.nan)
    return GazeFrame(kind="screen", x_px=x, y_px=y, px_per_deg_x=unknown, px_per_deg_y=unknown)


def _screen_by_image_scale(reading: Reading, rows: pa.Table) -> GazeFrame:
    """Return the gaze in screen px, its scale from image px per degree and the zoom of that moment.

    A sample of which either is unknown has the median scale.
    """
    x, y, per_deg_x, per_deg_y = (
        rows.column(name).to_numpy()
        for name in ("x_screen_px", "y_screen_px", "px_per_deg_x", "px_per_deg_y")
    )
    mapped = map_gaze(rows.column("t_ns").to_numpy(), x, y, reading.table("display"))
    scales = []
    for per_deg, ratio in (
        (per_deg_x, mapped.image_px_per_screen_px_x),
        (per_deg_y, mapped.image_px_per_screen_px_y),
    ):
        scale = per_deg / ratio
        known = np.isfinite(scale)
        scales.append(np.where(known, scale, np.median(scale[known]) if known.any() else np.nan))
    return GazeFrame(kind="screen", x_px=x, y_px=y, px_per_deg_x=scales[0], px_per_deg_y=scales[1])

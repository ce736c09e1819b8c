"""Screen px, image px, mm and degrees, and the viewport affine that joins them.

Screen px are physical pixels of one screen, origin at its top left corner. Image px are those of the stored
matrix: x right, y down, origin at the outer corner of the first pixel. Boxes are half-open
``(x0, y0, x1, y1)``. Lost gaze is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import GeometryError

__all__ = ["Affine", "Display", "MappedGaze", "map_gaze"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """One screen and the eye's distance from it."""

    width_px: int
    height_px: int
    width_mm: float | None
    """Visible width; None where nobody measured it: then there are no degrees."""
    height_mm: float | None
    distance_mm: float | None

    @property
    def knows_degrees(self) -> bool:
        """Say whether size and distance are known, so that degrees may be given."""
        return all(v is not None and v > 0 for v in (self.width_mm, self.height_mm, self.distance_mm))

    def px_per_deg(self) -> tuple[float, float]:
        """Return screen px per degree at the screen's centre, x and y (pixels need not be square).

        Raises GeometryError where the size or the distance is unknown.
        """
        if not (self.knows_degrees and self.width_mm and self.height_mm and self.distance_mm):
            raise GeometryError(
                "screen size or viewing distance is unknown, so there are no degrees",
                hint="Give width_mm, height_mm and distance_mm of the display.",
                code="GT-NO-DEGREES",
            )
        mm_per_deg = float(np.tan(np.deg2rad(1.0))) * self.distance_mm
        return mm_per_deg * self.width_px / self.width_mm, mm_per_deg * self.height_px / self.height_mm


@dataclass(frozen=True, slots=True)
class Affine:
    """A 2-D affine map: ``x' = a*x + b*y + c``, ``y' = d*x + e*y + f``.

    The tables hold it as the six numbers in this order, always from screen px to image px.
    """

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0

    @classmethod
    def from_rects(
        cls, source: tuple[float, float, float, float], dest: tuple[float, float, float, float]
    ) -> Self:
        """Return the map that takes rectangle ``source`` onto ``dest``, both ``(x0, y0, x1, y1)``."""
        sx0, sy0, sx1, sy1 = source
        dx0, dy0, dx1, dy1 = dest
        if sx1 == sx0 or sy1 == sy0:
            raise GeometryError(f"a rectangle of no area has no affine: {source}")
        a, e = (dx1 - dx0) / (sx1 - sx0), (dy1 - dy0) / (sy1 - sy0)
        return cls(a=a, c=dx0 - a * sx0, e=e, f=dy0 - e * sy0)

    @property
    def coefficients(self) -> tuple[float, float, float, float, float, float]:
        """The six numbers in the order of the tables."""
        return self.a, self.b, self.c, self.d, self.e, self.f

    def apply(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Map points; any shape, NaN stays NaN."""
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        return self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f

    def inverse(self) -> Affine:
        """Return the map back. Raises GeometryError for a degenerate map."""
        det = self.a * self.e - self.b * self.d
        if not np.isfinite(det) or det == 0.0:
            raise GeometryError(f"affine {self.coefficients} cannot be inverted")
        a, b, d, e = self.e / det, -self.b / det, -self.d / det, self.a / det
        return Affine(a, b, -(a * self.c + b * self.f), d, e, -(d * self.c + e * self.f))

    def after(self, first: Affine) -> Affine:
        """Return the map that does ``first`` and then this one."""
        return Affine(
            self.a * first.a + self.b * first.d,
            self.a * first.b + self.b * first.e,
            self.a * first.c + self.b * first.f + self.c,
            self.d * first.a + self.e * first.d,
            self.d * first.b + self.e * first.e,
            self.d * first.c + self.e * first.f + self.f,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedGaze:
    """Gaze of n samples on the images that were shown; all arrays (n,)."""

    viewport_id: NDArray[np.int16]
    """-1: in no viewport, or on a panel."""
    image_index: NDArray[np.int16]
    """-1: on no image's viewport."""
    x_image_px: FloatArray
    """NaN where ``image_index`` is -1; beyond the image's edge it keeps its coordinate."""
    y_image_px: FloatArray
    image_px_per_screen_px_x: FloatArray
    """Image px that one screen px covers at that moment, along the screen's x axis; NaN off every image."""
    image_px_per_screen_px_y: FloatArray
    on_panel: NDArray[np.bool_]


def map_gaze(
    t_ns: ArrayLike, x_screen_px: ArrayLike, y_screen_px: ArrayLike, display: pa.Table
) -> MappedGaze:
    """Map screen gaze to the image that was shown there at that moment.

    Parameters
    ----------
    t_ns : (n,) int64, ns, on the clock of ``display``; any order.
    x_screen_px, y_screen_px : (n,) float, screen px; NaN = lost, stays unmapped.
    display : table with ``keyframes.reading.DISPLAY``'s columns: one row per change and viewport. A row holds
        from its time until the viewport's next row; a row with a null ``image_index`` empties the viewport.
        The panels of a viewport's row hold as long as the row does and cover what is under them.

    Returns MappedGaze. Where viewports overlap, the one with the greater id (drawn later) wins.
    """
    t = np.asarray(t_ns, dtype=np.int64)
    x = np.asarray(x_screen_px, dtype=np.float64)
    y = np.asarray(y_screen_px, dtype=np.float64)
    n = t.shape[0]
    viewport_id = np.full(n, -1, np.int16)
    image_index = np.full(n, -1, np.int16)
    x_image, y_image = np.full(n, np.nan), np.full(n, np.nan)
    ratio_x, ratio_y = np.full(n, np.nan), np.full(n, np.nan)
    on_panel = np.zeros(n, np.bool_)
    rows = display.to_pylist()
    for viewport in sorted({int(r["viewport_id"]) for r in rows}):
        own = sorted((r for r in rows if r["viewport_id"] == viewport), key=lambda r: r["t_ns"])
        current = np.searchsorted(np.array([r["t_ns"] for r in own], np.int64), t, side="right") - 1
        for index, row in enumerate(own):
            at = np.flatnonzero(current == index)
            if not at.size:
                continue
            for panel in row["panels"] or ():
                on_panel[at] |= _inside(panel["rect"], x[at], y[at])
            if row["image_index"] is None or row["affine"] is None or row["viewport_rect"] is None:
                continue
            at = at[_inside(row["viewport_rect"], x[at], y[at])]
            affine = Affine(*row["affine"])
            viewport_id[at], image_index[at] = viewport, row["image_index"]
            x_image[at], y_image[at] = affine.apply(x[at], y[at])
            ratio_x[at], ratio_y[at] = np.hypot(affine.a, affine.d), np.hypot(affine.b, affine.e)
    viewport_id[on_panel] = image_index[on_panel] = -1
    for values in (x_image, y_image, ratio_x, ratio_y):
        values[on_panel] = np.nan
    return MappedGaze(
        viewport_id=viewport_id,
        image_index=image_index,
        x_image_px=x_image,
        y_image_px=y_image,
        image_px_per_screen_px_x=ratio_x,
        image_px_per_screen_px_y=ratio_y,
        on_panel=on_panel,
    )


def _inside(rect: list[float], x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
    """Say which points lie in a half-open rectangle; NaN lies in none."""
    x0, y0, x1, y1 = rect
    inside: NDArray[np.bool_] = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return inside

"""From stored values to the grey levels of the screen, without Qt.

A mean pyramid is built once per image. When a viewport's affine changes, the level that is at most twice as fine as
the screen is resampled into a 16-bit cache of the viewport's size; a change of window then only looks that cache up
in a table. Both together meet 60 frames per second at 1920 x 1080 without a graphics card; a larger viewport is
resampled at half the screen's resolution while the image moves, and at all of it once it rests.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture.radiograph.decode import Radiograph
from gazecapture.viewer.model import Rect, ViewportState
from keyframes.errors import GeometryError
from keyframes.geometry import Affine

# Without OpenCV the numpy path gives the same picture, slower.
cv2: Any = importlib.import_module("cv2") if importlib.util.find_spec("cv2") else None

__all__ = ["Picture", "PixelRect", "ViewportRenderer", "build_pyramid", "pixel_rect", "resample"]

PixelRect = tuple[int, int, int, int]
"""(x0, y0, x1, y1), whole screen px, half-open."""

FINE_WHILE_MOVING_PX = 2_600_000
"""Largest viewport, screen px, that is drawn at full resolution while its image moves: 1920 x 1200 and a little more;
a 4K screen has three times as many, which take longer than a frame."""
SMALLEST_LEVEL_PX = 64
"""The pyramid ends where a further level would be of no use: no viewport is that small."""
TABLE_SIZE = 1 << 16
"""Entries of a table: one for every value that the cache can hold."""
CV2_LARGEST_PX = 32766
"""cv2.warpAffine addresses its source with 16-bit coordinates."""

Values = NDArray[np.uint16]
Grey = NDArray[np.uint8]


def build_pyramid(values: Values) -> tuple[Values, ...]:
    """Return ``values`` and its halvings by 2 x 2 means; an odd last row or column is repeated."""
    levels = [np.ascontiguousarray(values)]
    while min(levels[-1].shape) > 2 * SMALLEST_LEVEL_PX:
        fine = levels[-1]
        height, width = fine.shape
        if height % 2 or width % 2:
            fine = np.pad(fine, ((0, height % 2), (0, width % 2)), mode="edge")
        rows = fine[0::2].astype(np.uint32) + fine[1::2]
        levels.append(((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint16))
    return tuple(levels)


def pixel_rect(rect: Rect) -> PixelRect:
    """Return the screen pixels whose centres lie in ``rect``."""
    x0, y0, x1, y1 = (math.ceil(edge - 0.5) for edge in rect)
    return x0, y0, max(x0, x1), max(y0, y1)


def resample(
    levels: tuple[Values, ...], screen_to_image: Affine, rect: PixelRect, *, coarse: bool = False
) -> Values:
    """Return the image as it falls on the screen pixels of ``rect``, by linear interpolation.

    coarse : one value for every 2 x 2 screen pixels, the last column or row half outside where there is an odd number.

    Beyond the image's edge the edge value is repeated. Raises GeometryError where the affine turns by other than
    quarter turns and cv2 is absent.
    """
    x0, y0, x1, y1 = rect
    pitch = 2 if coarse else 1
    # Image px per value asked for; a level is taken while it is still at least as fine.
    step = pitch * math.hypot(screen_to_image.a, screen_to_image.d)
    level = min(len(levels) - 1, max(0, math.floor(math.log2(step) + 1e-9)))
    source = levels[level]
    # Pixel index i has its centre at i + 0.5, on the screen as in the image.
    to_level = (
        Affine(1 / 2**level, 0, -0.5, 0, 1 / 2**level, -0.5)
        .after(screen_to_image)
        .after(Affine(pitch, 0, x0 + pitch / 2, 0, pitch, y0 + pitch / 2))
    )
    width, height = -(-(x1 - x0) // pitch), -(-(y1 - y0) // pitch)
    if cv2 is not None and max(source.shape) <= CV2_LARGEST_PX:
        return _by_cv2(source, to_level, width, height, nearest=coarse)
    return _by_numpy(source, to_level, width, height)


def look_up(table: Grey, values: Values, out: Grey) -> None:
    """Put the grey level of each value into ``out``, of the same shape; ``table`` has `TABLE_SIZE` entries."""
    if cv2 is not None:
        looked_up = cv2.LUT(values, table, dst=out)
        if not np.shares_memory(looked_up, out):
            np.copyto(out, looked_up)
    else:
        np.take(table, values, out=out, mode="clip")


def doubled(grey: Grey, out: Grey) -> None:
    """Put a picture of half the resolution into ``out``; an odd last column or row is cut."""
    height, width = out.shape
    # Two equal pixels are one number of twice the size; OpenCV's resize takes twice as long.
    pairs = grey.astype(np.uint16)
    pairs |= pairs << 8
    rows = pairs.view(np.uint8)
    out[0::2] = rows[:, :width]
    out[1::2] = rows[: height // 2, :width]


def _by_cv2(source: Values, to_level: Affine, width: int, height: int, *, nearest: bool) -> Values:
    a, b, c, d, e, f = to_level.coefficients
    warped: Any = cv2.warpAffine(
        source,
        np.array([[a, b, c], [d, e, f]], np.float64),
        (width, height),
        # What moves is gone in a moment, and the level is a mean already; it takes a third of the time.
        flags=(cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    result: Values = warped
    return result


def _by_numpy(source: Values, to_level: Affine, width: int, height: int) -> Values:
    """Do the same in two passes, for the viewer turns by quarter turns only, so that axes stay apart."""
    a, b, c, d, e, f = to_level.coefficients
    i, j = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    if b == d == 0.0:
        return _two_passes(source, e * j + f, a * i + c)
    if a == e == 0.0:
        return np.ascontiguousarray(_two_passes(source, d * i + f, b * j + c).T)
    raise GeometryError(
        f"affine {to_level.coefficients} turns by other than quarter turns; that needs OpenCV"
    )


def _two_passes(source: Values, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Values:
    low, high, share = _neighbours(rows, source.shape[0])
    tall = source[low] * (1 - share[:, None]) + source[high] * share[:, None]
    low, high, share = _neighbours(columns, source.shape[1])
    mixed = tall[:, low] * (1 - share) + tall[:, high] * share
    return (mixed + np.float32(0.5)).astype(np.uint16)


def _neighbours(
    at: NDArray[np.float64], size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    at = np.clip(at, 0, size - 1)
    low = np.floor(at).astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)


class Picture:
    """A decoded radiograph, ready to be drawn; building one takes time and belongs off the GUI thread."""

    def __init__(self, radiograph: Radiograph, image_index: int) -> None:
        self.radiograph = radiograph
        self.view = radiograph.view(image_index)
        first = self.view.presets[0]
        self._offset = radiograph.lookup(
            center=first.center,
            width=first.width,
            voi=first.voi,
            preset_id=first.preset_id,
            inverted=self.view.base_inverted,
        ).offset
        self.levels = build_pyramid((radiograph.stored.astype(np.int64) - self._offset).astype(np.uint16))

    @property
    def mean_grey(self) -> float:
        """Of the picture as it is shown by default, 0 to 1; what the eye is adapted to."""
        first = self.view.presets[0]
        table = self.radiograph.lookup(
            center=first.center,
            width=first.width,
            voi=first.voi,
            preset_id=first.preset_id,
            inverted=self.view.base_inverted,
        )
        return float(np.take(table.values, self.levels[-1], mode="clip").mean() / 255)

    def table(self, state: ViewportState) -> Grey:
        """Return the grey level of every value of `levels` under the state's window and polarity."""
        table: Grey = self.radiograph.lookup(
            center=state.center,
            width=state.width,
            voi=state.voi,
            preset_id=state.preset_id,
            inverted=state.inverted,
        ).values
        return np.pad(table, (0, TABLE_SIZE - table.size), mode="edge")


@dataclass(slots=True)
class _Cache:
    place: tuple[Any, ...]
    view16: Values
    visible: PixelRect
    coarse: bool


class ViewportRenderer:
    """Draws one viewport; keeps what is costly from frame to frame."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self._cache: _Cache | None = None
        self._tone: tuple[Any, ...] = ()
        self._table: Grey = np.zeros(0, np.uint8)

    def draw(
        self,
        state: ViewportState,
        canvas: Grey,
        x0_canvas_px: int,
        y0_canvas_px: int,
        *,
        moving: bool = False,
    ) -> bool:
        """Draw the viewport into ``canvas``, black where the image is not; say whether at full resolution.

        canvas : (h, w) uint8; its first pixel is screen pixel (x0_canvas_px, y0_canvas_px).
        moving : a large viewport whose image is elsewhere than in the last frame may be drawn coarsely.
        """
        self._bring_up(state, moving)
        cache = self._cache
        assert cache is not None  # noqa: S101 - brought up just now
        x0, y0, x1, y1 = pixel_rect(state.rect)
        view = canvas[y0 - y0_canvas_px : y1 - y0_canvas_px, x0 - x0_canvas_px : x1 - x0_canvas_px]
        left, top, right, bottom = cache.visible
        view[: top - y0], view[bottom - y0 :] = 0, 0
        view[:, : left - x0], view[:, right - x0 :] = 0, 0
        if right <= left or bottom <= top:
            return True
        part = view[top - y0 : bottom - y0, left - x0 : right - x0]
        if cache.coarse:
            half = np.empty(cache.view16.shape, np.uint8)
            look_up(self._table, cache.view16, half)
            doubled(half, part)
        else:
            look_up(self._table, cache.view16, part)
        return not cache.coarse

    def _bring_up(self, state: ViewportState, moving: bool) -> None:
        """Resample and compute the table, where the state asks for others than the last frame's."""
        place = (state.rect, state.image_to_screen().coefficients)
        stale = self._cache is None or self._cache.place != place
        if self._cache is None or stale or (self._cache.coarse and not moving):
            visible = pixel_rect(state.shown()[1])
            n_px = (visible[2] - visible[0]) * (visible[3] - visible[1])
            coarse = moving and n_px > FINE_WHILE_MOVING_PX
            view16 = resample(self.picture.levels, state.screen_to_image(), visible, coarse=coarse)
            self._cache = _Cache(place, view16, visible, coarse)
        tone = (state.center, state.width, state.voi, state.preset_id, state.inverted)
        if tone != self._tone:
            self._table, self._tone = self.picture.table(state), tone

"""The fixations that lie on an image, each with the zoom and the part of the image that was shown at its time.

Gaze outside every viewport or on a panel has no image and does not count. Gaze beyond the edge of what was shown of
its image counts as far as the tracker's error makes it likely that it was inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from keyframes.validation import SD_PER_ERROR, UNVALIDATED_ERROR_DEG

__all__ = [
    "MAX_EDGE_TOLERANCE_DEG",
    "UNKNOWN_DEGREES_ACROSS",
    "Looks",
    "discarded_share",
    "image_sizes",
    "looks_on_images",
]

MAX_EDGE_TOLERANCE_DEG = 1.0
"""Degrees. Gaze farther beyond an image's edge than that looks at something else, however bad the tracker is."""

UNKNOWN_DEGREES_ACROSS = 25.0
"""Degrees that the image's longer side is taken to span where a source knows no degrees: a radiograph of 27 cm on a
screen at 60 cm."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Fixations on images, in order of time; all arrays (n,)."""

    event_index: IntArray
    t_start_ns: IntArray
    t_end_ns: IntArray
    image_index: IntArray
    x_image_px: FloatArray
    """Gaze beyond the edge is put on it."""
    y_image_px: FloatArray
    px_per_deg_x: FloatArray
    px_per_deg_y: FloatArray
    shown_rects: FloatArray
    """(n, 4), image px."""
    weight: FloatArray
    """Share of the tracker's error that lies inside: 1 on the image, 0.5 and less beyond its edge."""
    dwell_s: FloatArray
    """Times the weight."""

    def part(self, chosen: NDArray[np.bool_] | IntArray) -> Looks:
        """Return some of them, by mask or place."""
        return Looks(**{name: getattr(self, name)[chosen] for name in self.__slots__})

    def on_the_edge(self) -> Looks:
        """Return them with every position inside what was shown, moved by no more than needed."""
        x0, y0, x1, y1 = self.shown_rects.T
        return replace(
            self,
            x_image_px=np.clip(self.x_image_px, x0, np.nextafter(x1, x0)),
            y_image_px=np.clip(self.y_image_px, y0, np.nextafter(y1, y0)),
        )

    def within(self, t_start_ns: int, t_end_ns: int) -> Looks:
        """Return those that overlap a stretch of time, cut at its bounds."""
        start, end = np.maximum(self.t_start_ns, t_start_ns), np.minimum(self.t_end_ns, t_end_ns)
        cut = replace(self, t_start_ns=start, t_end_ns=end, dwell_s=self.weight * (end - start) / 1e9)
        return cut.part(end > start)


def looks_on_images(
    events: pa.Table,
    gaze: pa.Table,
    display: pa.Table | None,
    sizes: Mapping[int, tuple[int, int]],
    *,
    error_deg: float = UNVALIDATED_ERROR_DEG,
    edge_tolerance_deg: float | None = None,
) -> Looks:
    """Return the fixations that count, in order of time.

    sizes              : width and height by image index, px; an image without is left out.
    display            : None: all of an image counts as shown.
    error_deg          : the tracker's error in degrees, two standard deviations of a Gaussian on each axis.
    edge_tolerance_deg : a fixation so far or farther beyond the edge of what was shown does not count; a nearer one
                         counts with the share of the error's Gaussian that lies inside. None: ``error_deg``, at most
                         `MAX_EDGE_TOLERANCE_DEG`.

    Image px per degree are the median over a fixation's samples, or the nearest known value on the same image;
    where the source knows no degrees, the image's longer side is taken as `UNKNOWN_DEGREES_ACROSS`.
    """
    fixations = events.filter(pc.equal(events.column("kind"), "fixation"))
    x, y = (fixations.column(name).to_numpy() for name in ("x_image_px", "y_image_px"))
    image = fixations.column("image_index").fill_null(-1).to_numpy().astype(np.int64)
    start, end = (fixations.column(name).to_numpy() for name in ("t_start_ns", "t_end_ns"))
    has_size = np.isin(image, list(sizes))
    placed = np.flatnonzero(has_size & np.isfinite(x) & np.isfinite(y) & (end > start))
    placed = placed[np.lexsort((placed, start[placed]))]
    x, y, start, end, image = (values[placed] for values in (x, y, start, end, image))
    per_deg_x, per_deg_y = _px_per_deg(gaze, start, end, image, sizes)
    rects = _shown_rects(display, (start + end) // 2, image, sizes)
    tolerance_deg = (
        min(error_deg, MAX_EDGE_TOLERANCE_DEG) if edge_tolerance_deg is None else edge_tolerance_deg
    )
    weight_x, beyond_x_deg = _share_inside(x, rects[:, 0], rects[:, 2], per_deg_x, error_deg)
    weight_y, beyond_y_deg = _share_inside(y, rects[:, 1], rects[:, 3], per_deg_y, error_deg)
    weight = weight_x * weight_y
    beyond_deg = np.hypot(beyond_x_deg, beyond_y_deg)
    looks = Looks(
        event_index=fixations.column("event_index").to_numpy()[placed].astype(np.int64),
        t_start_ns=start,
        t_end_ns=end,
        image_index=image,
        x_image_px=x,
        y_image_px=y,
        px_per_deg_x=per_deg_x,
        px_per_deg_y=per_deg_y,
        shown_rects=rects,
        weight=weight,
        dwell_s=weight * (end - start) / 1e9,
    )
    return looks.part((weight == 1.0) | ((beyond_deg < tolerance_deg) & (weight > 0.0))).on_the_edge()


def image_sizes(images: pa.Table) -> dict[int, tuple[int, int]]:
    """Return width and height, px, by image index, of table ``images``."""
    rows = images.select(["image_index", "width_px", "height_px"]).to_pylist()
    return {row["image_index"]: (row["width_px"], row["height_px"]) for row in rows}


def discarded_share(events: pa.Table, looks: Looks) -> float:
    """Return the share, 0 to 1, of the fixations' time that does not count; NaN where there is no fixation."""
    fixations = events.filter(pc.equal(events.column("kind"), "fixation"))
    start, end = (fixations.column(name).to_numpy() for name in ("t_start_ns", "t_end_ns"))
    total_s = float((end - start).sum()) / 1e9
    return max(0.0, 1.0 - float(looks.dwell_s.sum()) / total_s) if total_s > 0 else float("nan")


def _share_inside(
    at: FloatArray, low: FloatArray, high: FloatArray, px_per_deg: FloatArray, error_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Return, along one axis, the share of the error inside of an edge that was passed, and how far beyond it is."""
    from scipy.special import ndtr  # only here: every command would wait for it

    is_beyond = (at < low) | (at >= high)
    beyond_deg = np.maximum(np.maximum(low - at, at - high), 0.0) / px_per_deg
    sd_deg = max(SD_PER_ERROR * error_deg, np.finfo(np.float64).tiny)
    with np.errstate(over="ignore"):
        return np.where(is_beyond, ndtr(-beyond_deg / sd_deg), 1.0), beyond_deg


def _px_per_deg(
    gaze: pa.Table, start: IntArray, end: IntArray, image: IntArray, sizes: Mapping[int, tuple[int, int]]
) -> tuple[FloatArray, FloatArray]:
    """Return image px per degree of each fixation: the median over its samples on its image, else the nearest."""
    longest = np.array([max(sizes[i]) for i in image.tolist()], np.float64)
    x, y = longest / UNKNOWN_DEGREES_ACROSS, longest / UNKNOWN_DEGREES_ACROSS
    t_ns = gaze.column("t_ns").to_numpy()
    shown = gaze.column("image_index").fill_null(-1).to_numpy()
    all_x, all_y = (gaze.column(f"px_per_deg_{axis}").to_numpy() for axis in "xy")
    known = np.isfinite(all_x) & np.isfinite(all_y) & (all_x > 0) & (all_y > 0)
    for index in np.unique(image):
        rows = np.flatnonzero(known & (shown == index))
        if not rows.size:
            continue
        if np.any(np.diff(t_ns[rows]) < 0):
            rows = rows[np.argsort(t_ns[rows], kind="stable")]
        t_own, x_own, y_own = t_ns[rows], all_x[rows], all_y[rows]
        mine = np.flatnonzero(image == index)
        low, high = np.searchsorted(t_own, start[mine]), np.searchsorted(t_own, end[mine])
        for own, a, b in zip(mine.tolist(), low.tolist(), high.tolist(), strict=True):
            nearest = min(a, rows.size - 1)
            part = slice(a, b) if b > a else slice(nearest, nearest + 1)
            x[own], y[own] = _median(x_own[part]), _median(y_own[part])
    return x, y


def _median(values: FloatArray) -> float:
    """Return the median of finite values; five times as fast as numpy's for some hundred of them."""
    ordered = np.sort(values)
    return float((ordered[(values.size - 1) // 2] + ordered[values.size // 2]) / 2)


def _shown_rects(
    display: pa.Table | None, t_ns: IntArray, image: IntArray, sizes: Mapping[int, tuple[int, int]]
) -> FloatArray:
    """Return (n, 4) the part of its image that was shown at each time, cut at the image; unknown or none: all of it."""
    rects = np.array([(0.0, 0.0, *sizes[i]) for i in image.tolist()], np.float64).reshape(-1, 4)
    if display is None or not display.num_rows or not t_ns.size:
        return rects
    whole = rects.copy()
    t_shown = display.column("t_ns").to_numpy()
    viewport = display.column("viewport_id").to_numpy()
    shown_image = display.column("image_index").fill_null(-1).to_numpy()
    chosen = np.full(t_ns.size, -1, np.int64)
    # A magnifier shows a spot of what lies around it, not the part of the image that is in view.
    glasses = set(viewport[display.column("lens").is_valid().to_numpy(zero_copy_only=False)].tolist())
    for one in sorted(set(viewport.tolist()) - glasses):
        own = np.flatnonzero(viewport == one)
        own = own[np.argsort(t_shown[own], kind="stable")]
        place = np.searchsorted(t_shown[own], t_ns, side="right") - 1
        current = own[np.maximum(place, 0)]
        # Where two viewports show the same image the one drawn later wins, as in `geometry.map_gaze`.
        chosen = np.where((place >= 0) & (shown_image[current] == image), current, chosen)
    rows = np.flatnonzero(chosen >= 0)
    found = display.column("source_rect").take(chosen[rows]).to_pylist()
    for i, rect in zip(rows.tolist(), found, strict=True):
        if rect is not None:
            rects[i, :2] = np.maximum(rect[:2], 0.0)
            rects[i, 2:] = np.minimum(rect[2:], whole[i, 2:])
    empty = (rects[:, 2] <= rects[:, 0]) | (rects[:, 3] <= rects[:, 1])
    rects[empty] = whole[empty]
    return rects

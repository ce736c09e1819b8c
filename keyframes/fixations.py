"""The fixations of a reading as arrays, with the zoom at which each was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Fixations"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixations:
    """Fixations on images, in order of time; all arrays (n,)."""

    event_index: IntArray
    t_start_ns: IntArray
    t_end_ns: IntArray
    duration_s: FloatArray
    image_index: IntArray
    x_image_px: FloatArray
    """Finite; may lie beyond the image's edge."""
    y_image_px: FloatArray
    px_per_deg_x: FloatArray
    """Mean image px per degree over the fixation's samples, zoom included; NaN where none of them knows it."""
    px_per_deg_y: FloatArray

    @classmethod
    def of(cls, events: pa.Table, gaze: pa.Table) -> Self:
        """Return the fixations of table ``events`` that have an image and a position.

        events, gaze : `keyframes.reading.EVENTS` and `GAZE`, rows in any order.
        """
        found = events.filter(
            pc.and_(pc.equal(events.column("kind"), "fixation"), pc.is_valid(events.column("image_index")))
        )
        start, end, index = (_ints(found, name) for name in ("t_start_ns", "t_end_ns", "event_index"))
        x, y = _floats(found, "x_image_px"), _floats(found, "y_image_px")
        order = np.lexsort((index, start))
        order = order[(np.isfinite(x) & np.isfinite(y))[order]]
        scale_x, scale_y = _mean_scales(gaze, start[order], end[order])
        return cls(
            event_index=index[order],
            t_start_ns=start[order],
            t_end_ns=end[order],
            duration_s=_floats(found, "duration_s")[order],
            image_index=_ints(found, "image_index")[order],
            x_image_px=x[order],
            y_image_px=y[order],
            px_per_deg_x=scale_x,
            px_per_deg_y=scale_y,
        )

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Fixations:
        """Return some of them, by mask or place."""
        return Fixations(**{name: getattr(self, name)[chosen] for name in self.__slots__})

    def visit_starts(self, inside: NDArray[np.bool_], merge_gap_s: float) -> NDArray[np.bool_]:
        """Say which fixations begin a visit to a place: those inside it whose predecessor was not, or was long ago.

        inside : (n,), which fixations lie in the place. A fixation elsewhere, on another image too, ends a visit, and
        so does a pause of more than ``merge_gap_s``.
        """
        if not inside.size:
            return inside
        goes_on = inside[:-1] & (self.t_start_ns[1:] - self.t_end_ns[:-1] <= merge_gap_s * 1e9)
        begins: NDArray[np.bool_] = inside & ~np.concatenate([[False], goes_on])
        return begins


def _mean_scales(gaze: pa.Table, t_start_ns: IntArray, t_end_ns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return mean image px per degree, x and y, over half-open spans; NaN where no sample knows it."""
    t = _ints(gaze, "t_ns")
    columns = [_floats(gaze, name) for name in ("px_per_deg_x", "px_per_deg_y")]
    if t.size and not np.all(t[1:] >= t[:-1]):
        order = np.argsort(t, kind="stable")
        t, columns = t[order], [values[order] for values in columns]
    first, last = (np.searchsorted(t, edge, side="left") for edge in (t_start_ns, t_end_ns))
    means = []
    for values in columns:
        good = np.isfinite(values) & (values > 0.0)
        total = np.concatenate(([0.0], np.cumsum(np.where(good, values, 0.0))))
        count = np.concatenate(([0], np.cumsum(good)))
        n = count[last] - count[first]
        means.append(np.where(n > 0, (total[last] - total[first]) / np.maximum(n, 1), np.nan))
    return means[0], means[1]


def _floats(table: pa.Table, name: str) -> FloatArray:
    """Return a column as float64, null as NaN."""
    values: FloatArray = table.column(name).to_numpy().astype(np.float64)
    return values


def _ints(table: pa.Table, name: str) -> IntArray:
    """Return a column without nulls as int64."""
    values: IntArray = table.column(name).to_numpy().astype(np.int64)
    return values

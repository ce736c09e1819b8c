"""Gaze as the detectors want it: checked, in order, one sample per time, holes in time filled with a lost sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keyframes.errors import DataError, GeometryError, TimestampError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GazeInput", "Samples", "prepare"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

if TYPE_CHECKING:
    GazeInput = ArrayLike | pd.Series[float]
else:
    GazeInput = ArrayLike
"""What a column of gaze may be: array, list or pandas Series of numbers."""

MIN_RATE_HZ, MAX_RATE_HZ = 10.0, 5000.0
"""Median rates outside are refused: the times are then in another unit, or stamped in bunches."""

MIN_INTERVALS_TO_JUDGE_RATE = 10
"""Fewer intervals say too little to refuse anything."""

HOLE_INTERVALS = 3.0
"""A step in time longer than this many median intervals is a hole, and so a loss. Two and a little is one dropped
sample at jittered times, which needs no row of its own."""

_NUMBERS = "biufO"
"""numpy kinds of arrays that may hold plain numbers: dates, texts and complex numbers do not."""

MAX_ABS_PX = 1e7
"""px. Trackers write huge numbers for lost gaze (EyeLink: 1e8); no screen is that large."""

MIN_PX_PER_DEG = 1e-6
"""Below, degrees overflow; a frame of unit width still has 0.01."""

MAX_ABS_TIME_S = 9.2e9
"""int64 ns end at 9.22e9 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A recording on its detection grid of m rows, strictly increasing in time.

    A row is one distinct time of the recording (samples of equal time, to the ns, are averaged), or the start
    of a hole in time (lost).
    """

    t_ns: IntArray
    """(m,) int64 ns, as given, rounded."""
    t_s: FloatArray
    """(m,) s since the first row; what all computation uses, so that an offset of the clock changes nothing."""
    end_ns: IntArray
    """(m,) int64 ns where each row's time ends: at the next row, for the last one after one more interval."""
    end_s: FloatArray
    """The same on the clock of ``t_s``."""
    x_px: FloatArray
    """(m,) px; NaN = lost, then y is NaN too."""
    y_px: FloatArray
    px_per_deg_x: FloatArray
    """(m,) px per degree, finite and positive on every row."""
    px_per_deg_y: FloatArray
    row_of_sample: IntArray
    """(n,) the grid row of each sample given."""
    interval_s: float
    """Median interval; 0 for fewer than two rows."""

    @property
    def n(self) -> int:
        """Number of rows of the grid."""
        return int(self.t_ns.size)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(m,) whether the row has a position."""
        return np.isfinite(self.x_px)

    @property
    def rate_hz(self) -> float:
        """One over the median interval; NaN for fewer than two rows."""
        return 1.0 / self.interval_s if self.interval_s > 0 else float("nan")


def prepare(
    t_s: GazeInput, x_px: GazeInput, y_px: GazeInput, px_per_deg_x: GazeInput, px_per_deg_y: GazeInput
) -> Samples:
    """Check a recording and put it on its detection grid; the input is never changed.

    t_s : (n,) s, finite, not decreasing. x_px, y_px : (n,) px; not finite, or 1e7 and more, on one axis = lost on both.
    px_per_deg_x, px_per_deg_y : scalar or (n,); a sample without a finite scale is lost.
    Raises DataError (shape, no numbers), TimestampError (not finite, backward, out of range, or a median rate
    outside 10 to 5000 Hz), GeometryError (a scale that is not positive, or none at all).
    """
    t = _column(t_s, "t_s")
    x, y = _column(x_px, "x_px", t.size), _column(y_px, "y_px", t.size)
    scale_x = _scale(px_per_deg_x, "px_per_deg_x", t.size)
    scale_y = _scale(px_per_deg_y, "px_per_deg_y", t.size)
    t_ns = _nanoseconds(t)
    with np.errstate(invalid="ignore"):
        on = (np.abs(x) < MAX_ABS_PX) & (np.abs(y) < MAX_ABS_PX)
    scaled = np.isfinite(scale_x) & np.isfinite(scale_y)
    if on.any() and not (on & scaled).any():
        raise GeometryError(
            "px_per_deg_x, px_per_deg_y: no sample with a position has a scale, so there are no degrees",
            code="GT-NO-DEGREES",
        )
    valid = on & scaled
    first_of_time = np.diff(t_ns, prepend=t_ns[:1] - 1) > 0
    row_of_sample = np.cumsum(first_of_time) - 1
    rows_ns = t_ns[first_of_time]
    if rows_ns.size == t_ns.size:
        columns = [np.where(valid, c, np.nan) for c in (x, y, scale_x, scale_y)]
    else:
        columns = [_mean_by_row(c, valid, row_of_sample, rows_ns.size) for c in (x, y, scale_x, scale_y)]
    interval_s = float(np.median(np.diff(rows_ns))) * 1e-9 if rows_ns.size > 1 else 0.0
    if rows_ns.size > MIN_INTERVALS_TO_JUDGE_RATE and not MIN_RATE_HZ <= 1.0 / interval_s <= MAX_RATE_HZ:
        raise TimestampError(
            f"t_s: the median interval is {interval_s:.3g} s, not that of {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz",
            hint="Give seconds, one time per sample; smooth times that were stamped in bunches.",
        )
    rows_ns, columns, row_of_sample = _fill_holes(rows_ns, columns, row_of_sample, interval_s)
    end_ns = rows_ns.copy()
    end_ns[:-1] = rows_ns[1:]
    end_ns[-1:] += max(round(interval_s * 1e9), 1)
    return Samples(
        t_ns=rows_ns,
        t_s=_seconds(rows_ns, rows_ns),
        end_ns=end_ns,
        end_s=_seconds(end_ns, rows_ns),
        x_px=columns[0],
        y_px=columns[1],
        px_per_deg_x=_filled(columns[2]),
        px_per_deg_y=_filled(columns[3]),
        row_of_sample=row_of_sample,
        interval_s=interval_s,
    )


def _column(values: GazeInput, name: str, n: int | None = None) -> FloatArray:
    """Return a (n,) float64 array, pandas' missing values as NaN. Raises DataError."""
    # pandas is told by what it offers, so that importing this does not import it; Arrow columns have no dtype.
    from_pandas = getattr(values, "to_numpy", None) if hasattr(values, "dtype") else None
    # Dates, texts and complex numbers would be cast to some number: they are refused.
    if from_pandas is None and np.asarray(values).dtype.kind not in _NUMBERS:
        raise DataError(f"{name}: numbers are expected", record=name)
    try:
        if from_pandas is not None:
            array = from_pandas(dtype=np.float64, na_value=np.nan)
        else:
            array = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: numbers are expected", record=name) from error
    if array.ndim != 1:
        raise DataError(f"{name}: one dimension is expected, found shape {array.shape}", record=name)
    if n is not None and array.size != n:
        raise DataError(f"{name}: {n} values are expected, one per time, found {array.size}", record=name)
    return np.ascontiguousarray(array, dtype=np.float64)


def _scale(values: GazeInput, name: str, n: int) -> FloatArray:
    """Return (n,) px per degree; NaN = unknown. Raises GeometryError for one that is not positive."""
    if np.ndim(values) == 0:
        scalar = float(_column(np.asarray([values]), name)[0])
        if not (np.isfinite(scalar) and scalar >= MIN_PX_PER_DEG):
            raise GeometryError(
                f"{name}: a positive number is expected, found {scalar:g}", code="GT-NO-DEGREES"
            )
        return np.full(n, scalar)
    array = _column(values, name, n)
    wrong = np.flatnonzero(array < MIN_PX_PER_DEG)
    if wrong.size:
        raise GeometryError(
            f"{name}: positive numbers are expected, found {array[wrong[0]]:g}", record=int(wrong[0])
        )
    return np.where(np.isfinite(array), array, np.nan)


def _nanoseconds(t_s: FloatArray) -> IntArray:
    """Return times as int64 ns. Raises TimestampError unless finite, in range and not decreasing."""
    wrong = np.flatnonzero(~(np.abs(t_s) < MAX_ABS_TIME_S))
    if wrong.size:
        raise TimestampError(f"t_s: finite seconds are expected, found {t_s[wrong[0]]}", record=int(wrong[0]))
    t_ns = np.rint(t_s * 1e9).astype(np.int64)
    backward = np.flatnonzero(np.diff(t_ns) < 0)
    if backward.size:
        at = int(backward[0]) + 1
        raise TimestampError(
            f"t_s: time runs backward by {t_s[at - 1] - t_s[at]:.6g} s, {backward.size} time(s) in all",
            hint="Sort the samples by time, or repair the clock step, before detecting events.",
            record=at,
        )
    return t_ns


def _seconds(t_ns: IntArray, origin_ns: IntArray) -> FloatArray:
    """Return times in s since the first of ``origin_ns``."""
    return np.asarray((t_ns - origin_ns[:1]) * 1e-9, dtype=np.float64)


def _filled(scale: FloatArray) -> FloatArray:
    """Give lost rows the scale of the last row before that has one (the first rows: of the first that has)."""
    known = np.isfinite(scale)
    if known.all():
        return scale
    if not known.any():
        return np.ones_like(scale)
    source = np.maximum.accumulate(np.where(known, np.arange(scale.size), np.argmax(known)))
    return scale[source]


def _mean_by_row(
    values: FloatArray, valid: NDArray[np.bool_], row_of_sample: IntArray, n_rows: int
) -> FloatArray:
    """Average the valid samples of each row; NaN where there is none."""
    count = np.bincount(row_of_sample[valid], minlength=n_rows)
    total = np.bincount(row_of_sample[valid], weights=values[valid], minlength=n_rows)
    mean = np.full(n_rows, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def _fill_holes(
    rows_ns: IntArray, columns: list[FloatArray], row_of_sample: IntArray, interval_s: float
) -> tuple[IntArray, list[FloatArray], IntArray]:
    """Insert one lost row at the start of each hole in time."""
    if rows_ns.size < 2:
        return rows_ns, columns, row_of_sample
    interval_ns = round(interval_s * 1e9)
    before = np.flatnonzero(np.diff(rows_ns) > HOLE_INTERVALS * interval_ns)
    if not before.size:
        return rows_ns, columns, row_of_sample
    filled_ns = np.insert(rows_ns, before + 1, rows_ns[before] + interval_ns)
    filled = [np.insert(c, before + 1, np.nan) for c in columns]
    shift = np.searchsorted(before, np.arange(rows_ns.size), side="left")
    return filled_ns, filled, row_of_sample + shift[row_of_sample]

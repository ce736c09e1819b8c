"""Gaze as the detectors want it: checked, in order, one sample per time, holes in time filled with a lost sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NoReturn

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.errors import GeometryError, TimestampError
from keyframes.events.columns import GazeInput, column, scale_column
from keyframes.events.runs import runs_of

__all__ = ["SLACK_INTERVALS", "Samples", "prepare"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_RATE_HZ, MAX_RATE_HZ = 10.0, 5000.0
"""Median rates outside are refused: the times are then in another unit, or stamped in bunches."""

MIN_INTERVALS_TO_JUDGE_RATE = 10
"""Fewer intervals say too little to refuse anything."""

HOLE_INTERVALS = 3.0
"""A step in time longer than this many median intervals, to the nearest, is a hole, and so a loss. Two and a little is
one dropped sample at jittered times, which needs no row of its own."""

SLACK_INTERVALS: Final = 0.499
"""Intervals. Less than half, so that no multiple of the interval lies on a limit that is one too."""

MAX_INTERVALS = 32_768
"""A median of more intervals costs time and says nothing new."""

MAX_ABS_PX = 1e7
"""px. Trackers write huge numbers for lost gaze (EyeLink: 1e8); no screen is that large."""

MAX_ABS_TIME_S = 9.2e9
"""int64 ns end at 9.22e9 s."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A recording on its detection grid of m rows, strictly increasing in time.

    A row is one distinct time of the recording (samples of equal time, to the ns, are averaged), or the start
    of a hole in time (lost). Full-length arrays that are seldom wanted are made when they are first asked for.
    """

    edges_ns: IntArray
    """(m + 1,) int64 ns, as given, rounded: where each row's time begins, and where that of the last one ends, one
    more interval on."""
    edges_s: FloatArray
    """The same in s since the first row; what all computation uses, so that an offset of the clock changes nothing."""
    x_px: FloatArray
    """(m,) px; NaN = lost, then y is NaN too."""
    y_px: FloatArray
    scale_x: FloatArray
    """(1,) or (m,) px per degree, finite and positive: one for all rows or one for each."""
    scale_y: FloatArray
    grid_row: IntArray | None
    """(n,) the grid row of each sample given; None where each sample is its own row."""
    interval_s: float
    """Median interval; 0 for fewer than two rows."""
    n_lost: int
    """Rows without a position."""

    @property
    def n(self) -> int:
        """Number of rows of the grid."""
        return int(self.x_px.size)

    @property
    def t_ns(self) -> IntArray:
        """(m,) where each row's time begins."""
        return self.edges_ns[:-1]

    @property
    def end_ns(self) -> IntArray:
        """(m,) where each row's time ends: at the next row."""
        return self.edges_ns[1:]

    @property
    def t_s(self) -> FloatArray:
        """(m,) s since the first row."""
        return self.edges_s[:-1]

    @property
    def end_s(self) -> FloatArray:
        """(m,) where each row's time ends, on the clock of ``t_s``."""
        return self.edges_s[1:]

    @cached_property
    def px_per_deg_x(self) -> FloatArray:
        """(m,) px per degree."""
        return self.scale_x if self.scale_x.size == self.n else np.full(self.n, self.scale_x[0])

    @cached_property
    def px_per_deg_y(self) -> FloatArray:
        """(m,) px per degree."""
        return self.scale_y if self.scale_y.size == self.n else np.full(self.n, self.scale_y[0])

    @cached_property
    def row_of_sample(self) -> IntArray:
        """(n,) the grid row of each sample given."""
        return np.arange(self.n) if self.grid_row is None else self.grid_row

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """(m,) whether the row has a position."""
        return ~np.isnan(self.x_px)

    @cached_property
    def lost_runs(self) -> IntArray:
        """(k, 2) half-open rows of the runs without a position."""
        return runs_of(~self.valid) if self.n_lost else np.empty((0, 2), np.int64)

    @property
    def slack_s(self) -> float:
        """A little less than half an interval, by which every limit of a duration is widened or narrowed.

        It rounds the limit to whole samples and lets the last digit of a time decide nothing.
        """
        return SLACK_INTERVALS * self.interval_s

    @property
    def rate_hz(self) -> float:
        """One over the median interval; NaN for fewer than two rows."""
        return 1.0 / self.interval_s if self.interval_s > 0 else float("nan")

    def stretch(self, first: int, start: int, end: int, stop: int) -> Samples:
        """Return rows [first, stop), gaze [start, end) with the losses beside it, as a recording of its own.

        Its interval is its own: where times are uneven that of the rest of the recording must change nothing here.
        """
        rows = slice(first, stop)
        return Samples(
            edges_ns=self.edges_ns[first : stop + 1],
            edges_s=(self.edges_ns[first : stop + 1] - self.edges_ns[start]) * 1e-9,
            x_px=self.x_px[rows],
            y_px=self.y_px[rows],
            scale_x=self.scale_x if self.scale_x.size == 1 else self.scale_x[rows],
            scale_y=self.scale_y if self.scale_y.size == 1 else self.scale_y[rows],
            grid_row=None,
            interval_s=_median_interval_s(self.edges_ns[start:end]) or self.interval_s,
            n_lost=int(np.count_nonzero(~self.valid[rows])),
        )

    def of_samples(self, values: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return (n,) the values, (m,) one per row, of the samples that were given."""
        return values.copy() if self.grid_row is None else values[self.grid_row]


def prepare(
    t_s: GazeInput, x_px: GazeInput, y_px: GazeInput, px_per_deg_x: GazeInput, px_per_deg_y: GazeInput
) -> Samples:
    """Check a recording and put it on its detection grid; the input is never changed.

    t_s : (n,) s, finite, not decreasing. x_px, y_px : (n,) px; not finite, or 1e7 and more, on one axis = lost on both.
    px_per_deg_x, px_per_deg_y : scalar or (n,); a sample without a finite scale is lost.
    Raises DataError (shape, no numbers), TimestampError (not finite, backward, out of range, or a median rate
    outside 10 to 5000 Hz), GeometryError (a scale that is not positive, or none at all).
    """
    t = column(t_s, "t_s")
    n = t.size
    x_given, y_given = column(x_px, "x_px", n), column(y_px, "y_px", n)
    scale_x, scale_y = (
        scale_column(px_per_deg_x, "px_per_deg_x", n),
        scale_column(px_per_deg_y, "px_per_deg_y", n),
    )
    edges_ns, edges_s, x, y = np.empty(n + 1, np.int64), np.empty(n + 1), np.empty(n), np.empty(n)
    n_wrong, n_backward, n_equal, longest_ns, n_off, n_unscaled = _read(
        t, x_given, y_given, scale_x, scale_y, edges_ns, edges_s, x, y
    )
    if n_wrong or n_backward:
        _refuse_times(t)
    if n_unscaled and n_unscaled == n - n_off:
        raise GeometryError(
            "px_per_deg_x, px_per_deg_y: no sample with a position has a scale, so there are no degrees",
            code="GT-NO-DEGREES",
        )
    scales = [_filled(s) for s in (scale_x, scale_y)]
    rows_ns, columns, grid_row = edges_ns[:-1], [x, y], None
    if n_equal:
        rows_ns, columns, scales, grid_row = _one_row_per_time(rows_ns, columns, scales)
    interval_s = _median_interval_s(rows_ns)
    if rows_ns.size > MIN_INTERVALS_TO_JUDGE_RATE and not MIN_RATE_HZ <= 1.0 / interval_s <= MAX_RATE_HZ:
        raise TimestampError(
            f"t_s: the median interval is {interval_s:.3g} s, not that of {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz",
            hint="Give seconds, one time per sample; smooth times that were stamped in bunches.",
        )
    n_lost = n_off + n_unscaled
    if n_equal or longest_ns > _hole_ns(interval_s):
        rows_ns, columns, scales, grid_row = _fill_holes(rows_ns, columns, scales, grid_row, interval_s)
        edges_ns = np.append(rows_ns, 0)
        edges_s = (edges_ns - edges_ns[0]) * 1e-9
        n_lost = int(np.isnan(columns[0]).sum())
    if n:
        edges_ns[-1] = edges_ns[-2] + max(round(interval_s * 1e9), 1)
        edges_s[-1] = (edges_ns[-1] - edges_ns[0]) * 1e-9
    else:
        edges_ns[0], edges_s[0] = 0, 0.0
    return Samples(
        edges_ns=edges_ns,
        edges_s=edges_s,
        x_px=columns[0],
        y_px=columns[1],
        scale_x=scales[0],
        scale_y=scales[1],
        grid_row=grid_row,
        interval_s=interval_s,
        n_lost=n_lost,
    )


@numba.njit(cache=True)
def _read(
    t: FloatArray,
    x_given: FloatArray,
    y_given: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    edges_ns: IntArray,
    edges_s: FloatArray,
    x: FloatArray,
    y: FloatArray,
) -> tuple[int, int, int, int, int, int]:
    """Fill times and positions, and count.

    Returns how many times are no time, run backward, are equal; the longest step in ns; how many samples have no
    position, and how many have one but no scale.
    """
    n_wrong = n_backward = n_equal = n_off = n_unscaled = 0
    longest, before, origin = 0, 0, 0
    each_x, each_y = scale_x.size == t.size, scale_y.size == t.size
    for i in range(t.size):
        if not abs(t[i]) < MAX_ABS_TIME_S:
            n_wrong += 1
            continue
        now = int(np.rint(t[i] * 1e9))
        if i == 0:
            origin = now
        else:
            n_backward += int(now < before)
            n_equal += int(now == before)
            longest = max(now - before, longest)
        before = now
        edges_ns[i] = now
        edges_s[i] = (now - origin) * 1e-9
        at_x, at_y = x_given[i], y_given[i]
        if not (abs(at_x) < MAX_ABS_PX and abs(at_y) < MAX_ABS_PX):
            n_off += 1
            at_x = at_y = np.nan
        elif (each_x and np.isnan(scale_x[i])) or (each_y and np.isnan(scale_y[i])):
            n_unscaled += 1
            at_x = at_y = np.nan
        x[i], y[i] = at_x, at_y
    return n_wrong, n_backward, n_equal, longest, n_off, n_unscaled


def _refuse_times(t_s: FloatArray) -> NoReturn:
    """Raise TimestampError that says which time is not finite, out of range or decreasing."""
    wrong = np.flatnonzero(~(np.abs(t_s) < MAX_ABS_TIME_S))
    if wrong.size:
        raise TimestampError(f"t_s: finite seconds are expected, found {t_s[wrong[0]]}", record=int(wrong[0]))
    backward = np.flatnonzero(np.diff(np.rint(t_s * 1e9).astype(np.int64)) < 0)
    at = int(backward[0]) + 1
    raise TimestampError(
        f"t_s: time runs backward by {t_s[at - 1] - t_s[at]:.6g} s, {backward.size} time(s) in all",
        hint="Sort the samples by time, or repair the clock step, before detecting events.",
        record=at,
    )


def _median_interval_s(rows_ns: IntArray) -> float:
    """Return the median interval, of at most `MAX_INTERVALS` spread over the recording; 0 for fewer than two rows."""
    if rows_ns.size < 2:
        return 0.0
    step = max(1, (rows_ns.size - 1) // MAX_INTERVALS)
    return float(np.median(rows_ns[1::step] - rows_ns[:-1:step])) * 1e-9


def _hole_ns(interval_s: float) -> float:
    """Return the step in time, ns, above which there is a hole."""
    return (HOLE_INTERVALS + SLACK_INTERVALS) * interval_s * 1e9


def _filled(scale: FloatArray) -> FloatArray:
    """Give samples without a scale that of the last one before that has one (the first: of the first that has)."""
    known = np.isfinite(scale)
    if known.all():
        return scale
    if not known.any():
        return np.ones_like(scale)
    source = np.maximum.accumulate(np.where(known, np.arange(scale.size), np.argmax(known)))
    return scale[source]


def _one_row_per_time(
    t_ns: IntArray, columns: list[FloatArray], scales: list[FloatArray]
) -> tuple[IntArray, list[FloatArray], list[FloatArray], IntArray]:
    """Average samples of equal time: positions over those that have one, scales over all."""
    first_of_time = np.diff(t_ns, prepend=t_ns[:1] - 1) > 0
    grid_row = np.cumsum(first_of_time) - 1
    n_rows = int(grid_row[-1]) + 1
    everywhere = np.ones(t_ns.size, np.bool_)
    valid = ~np.isnan(columns[0])
    columns = [_mean_by_row(c, valid, grid_row, n_rows) for c in columns]
    scales = [s if s.size == 1 else _mean_by_row(s, everywhere, grid_row, n_rows) for s in scales]
    return t_ns[first_of_time], columns, scales, grid_row


def _mean_by_row(
    values: FloatArray, counted: NDArray[np.bool_], grid_row: IntArray, n_rows: int
) -> FloatArray:
    """Average the counted samples of each row; NaN where there is none."""
    count = np.bincount(grid_row[counted], minlength=n_rows)
    total = np.bincount(grid_row[counted], weights=values[counted], minlength=n_rows)
    mean = np.full(n_rows, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def _fill_holes(
    rows_ns: IntArray,
    columns: list[FloatArray],
    scales: list[FloatArray],
    grid_row: IntArray | None,
    interval_s: float,
) -> tuple[IntArray, list[FloatArray], list[FloatArray], IntArray | None]:
    """Insert one lost row, of the scale before it, at the start of each hole in time."""
    interval_ns = round(interval_s * 1e9)
    before = np.flatnonzero(np.diff(rows_ns) > _hole_ns(interval_s))
    if not before.size:
        return rows_ns, columns, scales, grid_row
    filled_ns = np.insert(rows_ns, before + 1, rows_ns[before] + interval_ns)
    columns = [np.insert(c, before + 1, np.nan) for c in columns]
    scales = [s if s.size == 1 else np.insert(s, before + 1, s[before]) for s in scales]
    rows = np.arange(rows_ns.size)
    moved = rows + np.searchsorted(before, rows, side="left")
    return filled_ns, columns, scales, moved if grid_row is None else moved[grid_row]

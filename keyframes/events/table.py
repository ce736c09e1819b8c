"""From runs of rows to the table of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.events.labels import BLINK, FIXATION, NONE, PSO, PURSUIT, SACCADE
from keyframes.events.runs import changes
from keyframes.events.samples import Samples
from keyframes.reading import EVENT_KINDS, EVENTS

__all__ = ["LOSS", "Spans", "event_table", "spans_of"]

Labels = NDArray[np.int8]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOSS: Final = EVENT_KINDS.index("loss")
"""Kind of the table alone; in the labels its samples are 0."""

_MEASURES = (
    "x_screen_px",
    "y_screen_px",
    "x_start_screen_px",
    "y_start_screen_px",
    "x_end_screen_px",
    "y_end_screen_px",
    "amplitude_deg",
    "direction_deg",
    "peak_velocity_deg_per_s",
    "mean_velocity_deg_per_s",
    "dispersion_deg",
    "rms_s2s_deg",
    "valid_share",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Events as k half-open runs of rows, in order and disjoint."""

    rows: IntArray
    """(k, 2)."""
    codes: Labels
    """(k,) label codes, or LOSS."""


def spans_of(samples: Samples, labels: Labels) -> Spans:
    """Return the runs of equal label, and those of unlabelled lost rows; unlabelled valid rows are no event."""
    codes = labels
    if samples.n_lost:
        codes = np.where((labels == NONE) & ~samples.valid, np.int8(LOSS), labels)
    bounds = np.concatenate([np.zeros(min(1, codes.size), np.int64), changes(codes), [codes.size]])
    of_run = codes[bounds[:-1]]
    keep = of_run != NONE
    return Spans(rows=np.stack([bounds[:-1][keep], bounds[1:][keep]], axis=1), codes=of_run[keep])


def event_table(samples: Samples, speed_deg_per_s: FloatArray, spans: Spans) -> pa.Table:
    """Return the events of ``spans`` with `keyframes.reading.EVENTS`'s columns, image columns NaN and null.

    A blink or loss has no position and no velocity. A movement (saccade, PSO, pursuit) has amplitude and direction
    (0 right, 90 up, in (-180, 180]), from its first sample to the one that its end falls on. Dispersion, range in x
    plus range in y, and RMS-S2S are those of fixations and pursuits. valid_share is by time. Velocities are those of
    the detector's window, which beside a saccade holds a part of it: a fixation's peak is mostly its neighbours'.
    """
    k = spans.codes.size
    measures = np.full((len(_MEASURES), k), np.nan)
    if k:
        _measure(
            samples.x_px,
            samples.y_px,
            samples.scale_x,
            samples.scale_y,
            samples.edges_ns,
            speed_deg_per_s,
            spans.rows,
            spans.codes,
            measures,
        )
    start_ns, stop_ns = samples.edges_ns[spans.rows[:, 0]], samples.edges_ns[spans.rows[:, 1]]
    columns: dict[str, pa.Array] = {
        "event_index": pa.array(np.arange(k), pa.int32()),
        "kind": pa.array(EVENT_KINDS, pa.string()).take(pa.array(spans.codes)),
        "t_start_ns": pa.array(start_ns, pa.int64()),
        "t_end_ns": pa.array(stop_ns, pa.int64()),
        "duration_s": pa.array((stop_ns - start_ns) * 1e-9, pa.float64()),
        "x_image_px": pa.array(np.full(k, np.nan), pa.float64()),
        "y_image_px": pa.array(np.full(k, np.nan), pa.float64()),
        "image_index": pa.nulls(k, pa.int16()),
    }
    columns |= {
        name: pa.array(values, pa.float64()) for name, values in zip(_MEASURES, measures, strict=True)
    }
    return pa.table([columns[field.name] for field in EVENTS], schema=EVENTS)


@numba.njit(cache=True)
def _measure(
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    edges_ns: IntArray,
    speed: FloatArray,
    rows: IntArray,
    codes: Labels,
    out: FloatArray,
) -> None:
    """Fill ``out``, one row per name of `_MEASURES`, one column per event."""
    n = x.size
    each_x, each_y = scale_x.size > 1, scale_y.size > 1
    for e in range(rows.shape[0]):
        a, b, code = rows[e, 0], rows[e, 1], codes[e]
        placed = code not in (BLINK, LOSS)
        first = a
        while first < b and np.isnan(x[first]):
            first += 1
        lost_ns = edges_ns[first] - edges_ns[a]
        speeds = 0
        s_speed = fastest = 0.0
        for v in speed[a:b]:
            if v >= 0.0:
                speeds += 1
                s_speed += v
                if v > fastest:  # not max(), which is slow for its care of NaN
                    fastest = v
        # Sums of offsets from the first position: absolute px lose digits. Slices, whose indexes need no sign check.
        x_here, y_here = x[first:b], y[first:b]
        x0, y0 = x[min(first, n - 1)], y[min(first, n - 1)]
        deg_x, deg_y = 1.0 / scale_x[0], 1.0 / scale_y[0]
        count = pairs = last = 0
        s_x = s_y = s_scale_x = s_scale_y = s_squared = 0.0
        low_x = high_x = low_y = high_y = dx = dy = 0.0
        for i in range(x_here.size):
            before_x, before_y = dx, dy
            dx, dy = x_here[i] - x0, y_here[i] - y0
            if np.isnan(dx):
                lost_ns += edges_ns[first + i + 1] - edges_ns[first + i]
                continue
            last = i
            count += 1
            s_x += dx
            s_y += dy
            if each_x:
                s_scale_x += scale_x[first + i]
                deg_x = 1.0 / scale_x[first + i]
            if each_y:
                s_scale_y += scale_y[first + i]
                deg_y = 1.0 / scale_y[first + i]
            if dx < low_x:
                low_x = dx
            elif dx > high_x:
                high_x = dx
            if dy < low_y:
                low_y = dy
            elif dy > high_y:
                high_y = dy
            if i > 0 and not np.isnan(before_x):
                pairs += 1
                step_x, step_y = (dx - before_x) * deg_x, (dy - before_y) * deg_y
                s_squared += step_x * step_x + step_y * step_y
        last += first
        out[12, e] = 1.0 - lost_ns / (edges_ns[b] - edges_ns[a])
        if not placed or count == 0:
            continue
        moves = code in (SACCADE, PSO, PURSUIT)
        deg_x = count / s_scale_x if each_x else deg_x
        deg_y = count / s_scale_y if each_y else deg_y
        if moves and b < n and last == b - 1 and not np.isnan(x[b]):
            last = b
        out[0, e], out[1, e] = x0 + s_x / count, y0 + s_y / count
        out[2, e], out[3, e] = x0, y0
        out[4, e], out[5, e] = x[last], y[last]
        if moves:
            dx, dy = (x[last] - x0) * deg_x, (y[last] - y0) * deg_y
            out[6, e] = np.sqrt(dx * dx + dy * dy)
            if dx != 0.0 or dy != 0.0:
                # Subtracting from 0 gives no negative zero, so that exactly leftward is 180.
                out[7, e] = np.rad2deg(np.arctan2(0.0 - dy, dx))
        if speeds:
            out[8, e], out[9, e] = fastest, s_speed / speeds
        if code in (FIXATION, PURSUIT):
            out[10, e] = (high_x - low_x) * deg_x + (high_y - low_y) * deg_y
            if pairs:
                out[11, e] = np.sqrt(s_squared / pairs)

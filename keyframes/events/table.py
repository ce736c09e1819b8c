"""From runs of rows to the table of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.events.labels import BLINK, FIXATION, NONE, PSO, PURSUIT, SACCADE
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
    codes = np.where((labels == NONE) & ~samples.valid, np.int8(LOSS), labels)
    edges = np.flatnonzero(np.diff(codes, prepend=np.int8(-1)) != 0)
    runs = np.stack([edges, np.append(edges[1:], codes.size)[: edges.size]], axis=1)
    keep = codes[edges] != NONE
    return Spans(rows=runs[keep], codes=codes[edges][keep])


def event_table(samples: Samples, speed_deg_per_s: FloatArray, spans: Spans) -> pa.Table:
    """Return the events of ``spans`` with `keyframes.reading.EVENTS`'s columns, image columns NaN and null.

    A blink or loss has no position and no velocity. A movement (saccade, PSO, pursuit) has amplitude and direction
    (0 right, 90 up, in (-180, 180]), from its first sample to the one that its end falls on. Dispersion, range in x
    plus range in y, and RMS-S2S are those of fixations and pursuits. valid_share is by time. Velocities are those of
    the detector's window, which beside a saccade holds a part of it: a fixation's peak is mostly its neighbours'.
    """
    k = spans.codes.size
    measures = np.full((len(_MEASURES), k), np.nan)
    end_ns = samples.end_ns
    if k:
        _measure(
            samples.x_px,
            samples.y_px,
            samples.px_per_deg_x,
            samples.px_per_deg_y,
            (end_ns - samples.t_ns).astype(np.float64),
            speed_deg_per_s,
            spans.rows,
            spans.codes,
            measures,
        )
    start_ns, stop_ns = samples.t_ns[spans.rows[:, 0]], end_ns[spans.rows[:, 1] - 1]
    columns: dict[str, pa.Array] = {
        "event_index": pa.array(np.arange(k), pa.int32()),
        "kind": pa.array([EVENT_KINDS[code] for code in spans.codes], pa.string()),
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
    width: FloatArray,
    speed: FloatArray,
    rows: IntArray,
    codes: Labels,
    out: FloatArray,
) -> None:
    n = x.size
    for e in range(rows.shape[0]):
        a, b, code = rows[e, 0], rows[e, 1], codes[e]
        seen = total = 0.0
        first = last = -1
        for i in range(a, b):
            total += width[i]
            if not np.isnan(x[i]):
                seen += width[i]
                last = i
                if first < 0:
                    first = i
        out[12, e] = seen / total
        if code in (BLINK, LOSS) or first < 0:
            continue
        # Sums of offsets from the first position: absolute px lose digits.
        x0, y0 = x[first], y[first]
        count = pairs = speeds = 0
        s_x = s_y = s_sx = s_sy = s_speed = fastest = s_squared = 0.0
        low_x = high_x = low_y = high_y = 0.0
        for i in range(a, b):
            if not np.isnan(speed[i]):
                speeds += 1
                s_speed += speed[i]
                fastest = max(fastest, speed[i])
            if np.isnan(x[i]):
                continue
            dx, dy = x[i] - x0, y[i] - y0
            count += 1
            s_x += dx
            s_y += dy
            s_sx += scale_x[i]
            s_sy += scale_y[i]
            low_x, high_x = min(low_x, dx), max(high_x, dx)
            low_y, high_y = min(low_y, dy), max(high_y, dy)
            if i > a and not np.isnan(x[i - 1]):
                pairs += 1
                s_squared += ((x[i] - x[i - 1]) / scale_x[i]) ** 2 + ((y[i] - y[i - 1]) / scale_y[i]) ** 2
        mean_scale_x, mean_scale_y = s_sx / count, s_sy / count
        if code in (SACCADE, PSO, PURSUIT) and b < n and last == b - 1 and not np.isnan(x[b]):
            last = b
        out[0, e], out[1, e] = x0 + s_x / count, y0 + s_y / count
        out[2, e], out[3, e] = x0, y0
        out[4, e], out[5, e] = x[last], y[last]
        if code in (SACCADE, PSO, PURSUIT):
            dx, dy = (x[last] - x0) / mean_scale_x, (y[last] - y0) / mean_scale_y
            out[6, e] = np.sqrt(dx * dx + dy * dy)
            if dx != 0.0 or dy != 0.0:
                # Subtracting from 0 gives no negative zero, so that exactly leftward is 180.
                out[7, e] = np.rad2deg(np.arctan2(0.0 - dy, dx))
        if speeds:
            out[8, e], out[9, e] = fastest, s_speed / speeds
        if code in (FIXATION, PURSUIT):
            out[10, e] = (high_x - low_x) / mean_scale_x + (high_y - low_y) / mean_scale_y
            if pairs:
                out[11, e] = np.sqrt(s_squared / pairs)

"""Figures of one reading's gaze that need no events: loss, gaps, rate, precision, where it lay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.stages.frame import GazeFrame, best_frame
from gazecapture.profiles import NO_TRACKER
from keyframes.geometry import map_gaze
from keyframes.reading import Reading, ReadingMeta

__all__ = ["GazeMeasures", "PartMeasures", "measure_gaze", "was_read_without_tracker"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WINDOW_S = 0.1
"""Precision is taken in windows this long, as is usual for fixations (Holmqvist et al. 2012)."""
WINDOW_SPAN_DEG = 1.0
"""A window whose samples spread further along an axis holds a saccade, not a fixation."""
MIN_WINDOW_SAMPLES = 3
"""Fewer samples have no precision."""


def was_read_without_tracker(meta: ReadingMeta) -> bool:
    """Say whether the reader sat at our own viewer without an eye tracker.

    Published corpora without gaze are another thing: nobody could take them for recorded readings.
    """
    return meta.source_format == "session" and meta.tracker.profile == NO_TRACKER


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMeasures:
    """Figures of a stretch of a reading; NaN where they cannot be had."""

    loss_share: float
    longest_loss_s: float
    effective_rate_hz: float
    rms_s2s_deg: float
    off_image_share: float
    panel_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeMeasures:
    """Figures between image on and image off; None or NaN where they cannot be had."""

    n_samples: int
    n_valid: int
    is_ordered: bool
    knows_degrees: bool
    loss_share: float
    """Share of the reading's time, 0 to 1, without valid gaze: blinks, loss, and samples that never came."""
    longest_loss_s: float
    effective_rate_hz: float
    """One over the median interval."""
    n_missing: int | None
    """Samples that the device numbered and that are not here."""
    missing_share: float | None
    rms_s2s_deg: float
    """Median over fixational windows."""
    sd_deg: float
    off_image_share: float
    """Share of the valid samples that lie on no image; beyond an image's edge counts as off."""
    panel_share: float
    seen_from_ns: IntArray
    """Starts of the stretches with valid gaze."""
    seen_to_ns: IntArray
    parts: tuple[PartMeasures, ...] = ()
    """Of the stretches that were asked for."""

    def seen_share(self, starts_ns: IntArray, ends_ns: IntArray) -> float:
        """Return the share, 0 to 1, of the union of intervals in which there is gaze; NaN for no time at all."""
        total = seen = 0
        for start, end in zip(*_union(starts_ns, ends_ns), strict=True):
            total += int(end - start)
            overlap = np.minimum(self.seen_to_ns, end) - np.maximum(self.seen_from_ns, start)
            seen += int(overlap[overlap > 0].sum())
        return seen / total if total else float("nan")


def measure_gaze(reading: Reading, parts: Sequence[tuple[int, int]] = ()) -> GazeMeasures:
    """Measure the gaze of a reading, and of parts of it. Samples before image on and after image off are left out.

    parts : half-open in ns of reading time; they may overlap.
    """
    table = reading.table("gaze")
    t_all = table.column("t_ns").to_numpy()
    is_ordered = bool((np.diff(t_all) >= 0).all())
    expected = reading.meta.n_samples_expected
    n_missing = None if expected is None else max(expected - t_all.size, 0)
    duration_ns = reading.meta.duration_ns
    inside = (t_all >= 0) & (t_all < duration_ns)
    order = np.flatnonzero(inside)
    order = order[np.argsort(t_all[order], kind="stable")]
    gaze, t_ns = _rows(table, order), t_all[order]
    frame = best_frame(reading, gaze)
    valid = (
        gaze.column("valid").to_numpy(zero_copy_only=False)
        & np.isfinite(frame.x_px)
        & np.isfinite(frame.y_px)
    )
    step_ns = _sample_interval_ns(t_ns)
    seen_from, seen_to = _seen(t_ns, valid, step_ns, duration_ns)
    off_image, on_panel = _places(reading, gaze)
    windows = _windows(t_ns, frame, valid)
    rms, sd = _median_precision(windows)
    seen_ns = int((seen_to - seen_from).sum())
    whole = GazeMeasures(
        n_samples=int(t_ns.size),
        n_valid=int(valid.sum()),
        is_ordered=is_ordered,
        knows_degrees=frame.knows_degrees,
        loss_share=1.0 - seen_ns / duration_ns if duration_ns > 0 else float("nan"),
        longest_loss_s=_longest_gap_ns(seen_from, seen_to, duration_ns) / 1e9,
        effective_rate_hz=1e9 / step_ns if step_ns else float("nan"),
        n_missing=n_missing,
        missing_share=None if not expected or n_missing is None else n_missing / expected,
        rms_s2s_deg=rms,
        sd_deg=sd,
        off_image_share=_share(off_image, valid),
        panel_share=_share(on_panel, valid),
        seen_from_ns=seen_from,
        seen_to_ns=seen_to,
    )
    pieces = (
        _measure_part(whole, t_ns, valid, off_image, on_panel, windows, max(start, 0), min(end, duration_ns))
        for start, end in parts
    )
    return replace(whole, parts=tuple(pieces))


def _measure_part(
    whole: GazeMeasures,
    t_ns: IntArray,
    valid: NDArray[np.bool_],
    off_image: NDArray[np.bool_],
    on_panel: NDArray[np.bool_],
    windows: FloatArray,
    start_ns: int,
    end_ns: int,
) -> PartMeasures:
    inside = slice(*np.searchsorted(t_ns, [start_ns, end_ns]).tolist())
    step_ns = _sample_interval_ns(t_ns[inside])
    seen_from = np.clip(whole.seen_from_ns, start_ns, max(start_ns, end_ns)) - start_ns
    seen_to = np.clip(whole.seen_to_ns, start_ns, max(start_ns, end_ns)) - start_ns
    length_ns = max(end_ns - start_ns, 0)
    seen_ns = int((seen_to - seen_from).sum())
    within = (windows[:, 0] >= start_ns) & (windows[:, 1] < end_ns)
    return PartMeasures(
        loss_share=1.0 - seen_ns / length_ns if length_ns else float("nan"),
        longest_loss_s=_longest_gap_ns(seen_from, seen_to, length_ns) / 1e9,
        effective_rate_hz=1e9 / step_ns if step_ns else float("nan"),
        rms_s2s_deg=_median_precision(windows[within])[0],
        off_image_share=_share(off_image[inside], valid[inside]),
        panel_share=_share(on_panel[inside], valid[inside]),
    )


def _rows(table: pa.Table, order: IntArray) -> pa.Table:
    """Return rows of a table; those that follow one another, as nearly always, are not copied."""
    if order.size and (np.diff(order) == 1).all():
        return table.slice(int(order[0]), order.size)
    return table.take(pa.array(order))


def _sample_interval_ns(t_ns: IntArray) -> int:
    """Return the median time between samples; 0 where there are fewer than two distinct times."""
    steps = np.diff(t_ns)
    steps = steps[steps > 0]
    return int(np.median(steps)) if steps.size else 0


def _seen(
    t_ns: IntArray, valid: NDArray[np.bool_], step_ns: int, duration_ns: int
) -> tuple[IntArray, IntArray]:
    """Return starts and ends of the stretches in which every sample came and is valid.

    A sample stands for the time to the next one, at most one and a half intervals, so that jitter makes no gap.
    """
    t = t_ns[valid]
    if not t.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    following = np.append(t_ns[1:], duration_ns)[valid]
    until = np.where(following - t <= 1.5 * step_ns, following, np.minimum(t + step_ns, following))
    begins = np.concatenate([[True], t[1:] > until[:-1]])
    first = np.flatnonzero(begins)
    last = np.append(first[1:] - 1, t.size - 1)
    return t[first], until[last]


def _longest_gap_ns(seen_from: IntArray, seen_to: IntArray, duration_ns: int) -> int:
    """Return the longest time without gaze between image on and image off."""
    starts = np.concatenate([[0], seen_to])
    ends = np.concatenate([seen_from, [duration_ns]])
    return int(np.max(ends - starts))


def _places(reading: Reading, gaze: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which samples lie on no image, and which on a panel."""
    size = {row["image_index"]: row for row in reading.table("images").to_pylist()}
    index = gaze.column("image_index").fill_null(-1).to_numpy()
    x, y = (gaze.column(name).to_numpy() for name in ("x_image_px", "y_image_px"))
    on_image = np.zeros(gaze.num_rows, np.bool_)
    for image_index, row in size.items():
        on_image |= (
            (index == image_index) & (x >= 0) & (x < row["width_px"]) & (y >= 0) & (y < row["height_px"])
        )
    x_screen, y_screen = (gaze.column(name).to_numpy() for name in ("x_screen_px", "y_screen_px"))
    panel = map_gaze(gaze.column("t_ns").to_numpy(), x_screen, y_screen, reading.table("display")).on_panel
    return ~on_image, panel


def _windows(t_ns: IntArray, frame: GazeFrame, valid: NDArray[np.bool_]) -> FloatArray:
    """Return (n, 4): first and last time, RMS-S2S and SD in degrees of windows, wholly valid and without a saccade.

    The figures are those of `keyframes.quality.rms_s2s_deg` and `sd_deg`, to the bit.
    """
    x, y = frame.x_px / frame.px_per_deg_x, frame.y_px / frame.px_per_deg_y
    usable = valid & np.isfinite(x) & np.isfinite(y)
    window = t_ns // int(WINDOW_S * 1e9)
    edges = np.flatnonzero(np.diff(window, prepend=-1, append=-1))
    starts, lengths = edges[:-1], np.diff(edges)
    kept = lengths >= MIN_WINDOW_SAMPLES
    if kept.any():
        kept &= np.add.reduceat(usable, starts, dtype=np.int64) == lengths
    found = np.full((starts.size, 4), np.nan)
    for length in np.unique(lengths[kept]).tolist():  # windows of one length are measured together
        these = np.flatnonzero(kept & (lengths == length))
        samples = starts[these, None] + np.arange(length)
        part_x, part_y = x[samples], y[samples]
        still = np.maximum(np.ptp(part_x, axis=1), np.ptp(part_y, axis=1)) <= WINDOW_SPAN_DEG
        these, samples, part_x, part_y = (array[still] for array in (these, samples, part_x, part_y))
        found[these, 0], found[these, 1] = t_ns[samples[:, 0]], t_ns[samples[:, -1]]
        squared = np.diff(part_x, axis=1) ** 2 + np.diff(part_y, axis=1) ** 2
        found[these, 2] = np.sqrt(squared.mean(axis=1))
        found[these, 3] = np.hypot(part_x.std(axis=1), part_y.std(axis=1))
    measured: FloatArray = found[np.isfinite(found[:, 0])]
    return measured


def _median_precision(windows: FloatArray) -> tuple[float, float]:
    """Return the median RMS-S2S and SD, degrees; NaN without a window."""
    if not windows.size:
        return float("nan"), float("nan")
    return float(np.median(windows[:, 2])), float(np.median(windows[:, 3]))


def _share(which: NDArray[np.bool_], valid: NDArray[np.bool_]) -> float:
    return float(which[valid].mean()) if valid.any() else float("nan")


def _union(starts_ns: IntArray, ends_ns: IntArray) -> tuple[list[int], list[int]]:
    """Return the union of half-open intervals as disjoint ones, in order."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(zip(starts_ns.tolist(), ends_ns.tolist(), strict=True)):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends

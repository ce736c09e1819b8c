"""Lost gaze: blinks with the artefacts around them, and short losses inside a fixation."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.labels import BLINK, FIXATION, MASKED, NONE, runs_of
from keyframes.events.samples import Samples

__all__ = [
    "BRIDGE_MAX_S",
    "DRIFT_MIN_DEG_PER_S",
    "drop_short_fixations",
    "join_fixations",
    "label_blinks",
    "label_fixations",
    "loss_parameters",
    "stretches_between_long_losses",
]

Labels = NDArray[np.int8]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLINK_MIN_S: Final = 0.070
"""s of loss. Shorter losses are the tracker's, unless gaze rushes away before and back after."""

BLINK_MIN_WITH_FLANKS_S: Final = 0.012
"""s of loss that is a (partial) blink where gaze rushes on both sides of it."""

BLINK_MAX_S: Final = 0.500
"""s of loss. A longer one is closed eyes, a turned head or a tracker that lost the eye: loss."""

FLANK_BEFORE_S, FLANK_AFTER_S = 0.100, 0.200
"""s. How far from the loss the falling and the rising lid still shift the gaze (Lund2013: up to 100 and 200 ms)."""

FLANK_GAP_S: Final = 0.020
"""s. Rest between two movements of one flank, and between a flank and the loss."""

DRIFT_MIN_DEG_PER_S: Final = 10.0
"""deg/s. Gaze that still drifts as fast behind a blink is moved by the lid; fixations drift at less than 5."""

DRIFT_WINDOW_S: Final = 0.030
"""s over which that drift is measured."""

LOSS_MIN_S: Final = 0.010
"""s. Shorter loss is a dropout, which velocity spans; it neither starts a blink nor joins two losses."""

ISLAND_MAX_S: Final = 0.020
"""s. Gaze seen for a moment between two losses belongs to them; no fixation is that short."""

BRIDGE_MAX_S: Final = 0.075
"""s. A fixation goes on through a loss up to this; the customary gap length, below the shortest blinks."""

BRIDGE_MAX_SHIFT_DEG: Final = 0.5
"""deg. Unless gaze was somewhere else afterwards."""

BRIDGE_SIDE_S: Final = 0.020
"""s. Stretch on either side of a loss whose mean says where gaze was."""


def loss_parameters() -> dict[str, float]:
    """Return the parameters of this module by name."""
    return {
        "blink_min_s": BLINK_MIN_S,
        "blink_min_with_flanks_s": BLINK_MIN_WITH_FLANKS_S,
        "blink_max_s": BLINK_MAX_S,
        "blink_flank_before_s": FLANK_BEFORE_S,
        "blink_flank_after_s": FLANK_AFTER_S,
        "blink_flank_gap_s": FLANK_GAP_S,
        "blink_drift_window_s": DRIFT_WINDOW_S,
        "loss_island_max_s": ISLAND_MAX_S,
        "bridge_max_s": BRIDGE_MAX_S,
        "bridge_max_shift_deg": BRIDGE_MAX_SHIFT_DEG,
    }


def stretches_between_long_losses(samples: Samples) -> list[tuple[int, int]]:
    """Return the half-open rows of gaze between losses that are longer than any blink."""
    lost = samples.lost_runs
    duration_s = samples.end_s[lost[:, 1] - 1] - samples.t_s[lost[:, 0]]
    away = lost[duration_s > BLINK_MAX_S + samples.slack_s]
    bounds = [0, *away.ravel().tolist(), samples.n]
    return [(a, b) for a, b in zip(bounds[::2], bounds[1::2], strict=True) if b > a]


def label_blinks(
    samples: Samples, moves: IntArray, drift_min_deg_per_s: float = DRIFT_MIN_DEG_PER_S
) -> Labels:
    """Return (m,) labels in which blinks, flanks included, are BLINK and the flanks of longer losses MASKED.

    moves : (k, 2 or more) start and end rows of the fast movements, in order; those at a loss become its flanks.
    """
    labels = np.zeros(samples.n, np.int8)
    if samples.n_lost:
        _label_blinks(
            samples.t_s,
            samples.end_s,
            samples.x_px,
            samples.y_px,
            samples.scale_x,
            samples.scale_y,
            samples.lost_runs,
            moves,
            samples.slack_s,
            drift_min_deg_per_s,
            labels,
        )
    return labels


def label_fixations(samples: Samples, labels: Labels, min_fixation_s: float) -> None:
    """Make fixations, in place, of all valid rows that are nothing else; bridge short losses; drop short ones."""
    free = labels == NONE
    np.copyto(labels, np.int8(FIXATION), where=free & samples.valid if samples.n_lost else free)
    join_fixations(samples, labels)
    drop_short_fixations(samples, labels, min_fixation_s)
    np.copyto(labels, np.int8(NONE), where=labels == MASKED)


def join_fixations(samples: Samples, labels: Labels) -> None:
    """Make one, in place, of fixations on one place with no more than a short stretch of NONE between them."""
    _bridge(
        samples.end_s,
        samples.t_s,
        samples.x_px,
        samples.y_px,
        samples.px_per_deg_x,
        samples.px_per_deg_y,
        runs_of(labels == NONE),
        samples.slack_s,
        labels,
    )


def drop_short_fixations(samples: Samples, labels: Labels, min_fixation_s: float) -> None:
    """Set fixations shorter than the minimum, to the nearest whole sample, to NONE, in place."""
    runs = runs_of(labels == FIXATION)
    if not runs.size:
        return
    duration_s = samples.end_s[runs[:, 1] - 1] - samples.t_s[runs[:, 0]]
    for start, end in runs[duration_s < min_fixation_s - samples.slack_s]:
        labels[start:end] = NONE


@numba.njit(cache=True)
def _label_blinks(
    t: FloatArray,
    t_end: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    lost: IntArray,
    moves: IntArray,
    slack: float,
    drift_min_deg_per_s: float,
    labels: Labels,
) -> None:
    n_lost, n_moves = lost.shape[0], moves.shape[0]
    i, first_after = 0, 0
    while i < n_lost:
        a, b = lost[i, 0], lost[i, 1]
        i += 1
        duration = t_end[b - 1] - t[a]
        if duration < LOSS_MIN_S + slack:
            continue
        # Losses with no more than an island of gaze between them are one.
        j = i
        while j < n_lost and t[lost[j, 0]] - t_end[b - 1] <= ISLAND_MAX_S + slack:
            if t_end[lost[j, 1] - 1] - t[lost[j, 0]] >= LOSS_MIN_S + slack:
                b = lost[j, 1]
                i = j + 1
            j += 1
        duration = t_end[b - 1] - t[a]
        while first_after < n_moves and moves[first_after, 1] <= b:
            first_after += 1
        start, end = a, b
        k = min(first_after, n_moves - 1)
        while k >= 0:
            if moves[k, 0] < a:
                near = t[start] - t_end[moves[k, 1] - 1] <= FLANK_GAP_S + slack
                if not near or t[moves[k, 0]] < t[a] - FLANK_BEFORE_S - slack:
                    break
                start = min(start, moves[k, 0])
            k -= 1
        k, latest = max(first_after - 1, 0), t_end[b - 1] + FLANK_AFTER_S + slack
        while k < n_moves:
            if moves[k, 1] > b:
                near = t[moves[k, 0]] - t_end[end - 1] <= FLANK_GAP_S + slack
                if not near or t_end[moves[k, 1] - 1] > latest:
                    break
                end = max(end, moves[k, 1])
            k += 1
        if end > b:
            # The lid still opens, slower than a movement, until gaze rests or the next movement starts.
            stop = moves[k, 0] if k < n_moves else t.size
            ahead = end
            while end < stop and t_end[end] <= latest:
                while ahead < stop - 1 and t[ahead] < t[end] + DRIFT_WINDOW_S - slack:
                    ahead += 1
                dx = (x[ahead] - x[end]) / scale_x[end if scale_x.size > 1 else 0]
                dy = (y[ahead] - y[end]) / scale_y[end if scale_y.size > 1 else 0]
                duration_s = t[ahead] - t[end]
                drifts = np.sqrt(dx * dx + dy * dy) > drift_min_deg_per_s * duration_s
                if duration_s < 0.5 * DRIFT_WINDOW_S - slack or not drifts:
                    break
                end += 1
        flanked = start < a and end > b and duration >= BLINK_MIN_WITH_FLANKS_S - slack
        if duration >= BLINK_MIN_S - slack or flanked:
            if duration <= BLINK_MAX_S + slack:
                labels[start:end] = BLINK
            else:
                # The eye was away: what is lost stays lost, and the gaze beside it is no event.
                for row in range(start, end):
                    if row < a or row >= b:
                        labels[row] = MASKED


@numba.njit(cache=True)
def _bridge(
    t_end: FloatArray,
    t: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    gaps: IntArray,
    slack: float,
    labels: Labels,
) -> None:
    n = t.size
    for g in range(gaps.shape[0]):
        a, b = gaps[g, 0], gaps[g, 1]
        if a == 0 or b == n or labels[a - 1] != FIXATION or labels[b] != FIXATION:
            continue
        if t_end[b - 1] - t[a] > BRIDGE_MAX_S + slack:
            continue
        # Offsets from the row after the gap: a mean of absolute px loses digits far from the origin.
        n_before = n_after = 0
        dx = dy = ax = ay = 0.0
        row = a - 1
        while (
            row >= 0 and labels[row] == FIXATION and (t[a] - t[row] <= BRIDGE_SIDE_S + slack or row == a - 1)
        ):
            if not np.isnan(x[row]):
                n_before += 1
                dx += x[row] - x[b]
                dy += y[row] - y[b]
            row -= 1
        row = b
        while row < n and labels[row] == FIXATION and (t[row] - t[b] <= BRIDGE_SIDE_S + slack or row == b):
            if not np.isnan(x[row]):
                n_after += 1
                ax += x[row] - x[b]
                ay += y[row] - y[b]
            row += 1
        shift_x = (dx / n_before - ax / n_after) / scale_x[b]
        shift_y = (dy / n_before - ay / n_after) / scale_y[b]
        if np.sqrt(shift_x * shift_x + shift_y * shift_y) <= BRIDGE_MAX_SHIFT_DEG:
            labels[a:b] = FIXATION

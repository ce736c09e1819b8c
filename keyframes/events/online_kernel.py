"""One step of the online detector, compiled: a sample in, changes of state out, all memory in one fixed record."""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.labels import FIXATION, NONE, SACCADE
from keyframes.events.samples import HOLE_INTERVALS, MAX_ABS_PX, MAX_ABS_TIME_S

__all__ = [
    "CHANGE",
    "MAX_CHANGES",
    "MAX_SCALES",
    "REFUSED",
    "STATE",
    "FloatArray",
    "Record",
    "advance",
    "advance_all",
]

FloatArray = NDArray[np.float64]
Record = NDArray[Any]
"""(1,) of dtype `STATE`, or (k,) of dtype `CHANGE`."""

REFUSED: Final = -1
"""What `advance` returns for a time that is not finite or earlier than the one before; nothing is changed by it."""

MAX_SCALES: Final = 4
MAX_CHANGES: Final = 2
"""Per sample: a hole in time ends what was, and the sample behind it begins something."""

RING: Final = 256
"""Samples kept: at 5 kHz, the highest rate that the detectors take, 50 ms."""
RING_MASK: Final = RING - 1
"""Of a power of two: a place's remainder without a division, for negative places too."""

MIN_NOISE_SAMPLES: Final = 5
"""Fewer say nothing of the noise, whatever the rate."""
NOISE_MEMORY_SAMPLES: Final = 25
"""The noise is averaged over at least that many samples, which leaves it an error of about a sixth."""

CHANGE: Final = np.dtype(
    [
        ("ended", "i8"), ("began", "i8"), ("t_event_s", "f8"), ("t_decided_s", "f8"), ("t_began_s", "f8"),
        ("x_px", "f8"), ("y_px", "f8"),
    ]
)  # fmt: skip
"""A change of state: label codes of what ended and began, t_began_s of what ended and its position."""

_SCALES = (MAX_SCALES,)
STATE: Final = np.dtype(
    [
        # Parameters, constant.
        ("n_scales", "i8"), ("lag_s", "f8", _SCALES), ("baseline_s", "f8", _SCALES),
        ("noise_factor", "f8", _SCALES), ("floor_deg", "f8"), ("coherence", "f8"),
        ("noise_memory_s", "f8"), ("noise_clip", "f8"), ("learn_s", "f8"), ("settle_s", "f8"),
        ("settle_share", "f8"), ("end_share", "f8"), ("end_confirm_s", "f8"), ("onset_share", "f8"),
        ("max_saccade_s", "f8"), ("bridge_s", "f8"), ("after_loss_s", "f8"),
        ("doubt_s", "f8"), ("return_share", "f8"), ("hold_s", "f8"), ("hold_share", "f8"),
        # What the caller may change between pushes.
        ("px_per_deg_x", "f8"), ("px_per_deg_y", "f8"),
        # Memory.
        ("n_samples", "i8"), ("n_repeated", "i8"), ("t_last_s", "f8"), ("interval_s", "f8"), ("n_intervals", "i8"),
        ("label", "i8"), ("t_began_s", "f8"), ("lost_since_s", "f8"), ("quiet_until_s", "f8"),
        ("settle_until_s", "f8"), ("peak_deg", "f8"), ("below_since_s", "f8"), ("n_noise", "i8"),
        ("noise_deg2", "f8", _SCALES), ("distance_deg", "f8", _SCALES),
        ("from_x_px", "f8"), ("from_y_px", "f8"), ("reach_deg", "f8"), ("doubt_until_s", "f8"), ("n_seen", "i8"),
        ("seen_onset_s", "f8"), ("seen_peak_deg", "f8"),
        ("x_sum_px", "f8"), ("y_sum_px", "f8"), ("n_sum", "i8"), ("x_first_px", "f8"), ("y_first_px", "f8"),
        ("n_ring", "i8"), ("at", "i8"), ("t_ring_s", "f8", (RING,)), ("x_ring_px", "f8", (RING,)),
        ("y_ring_px", "f8", (RING,)),
        ("changes", CHANGE, (MAX_CHANGES,)),
    ]
)  # fmt: skip
"""All that the detector knows: the same size for ever. The ring holds the valid samples since the last lost one."""


@numba.njit(cache=True)
def advance(box: Record, t_s: float, x_px: float, y_px: float) -> int:
    """Take one sample; return the number of changes of state, which are in ``box[0].changes``, or `REFUSED`."""
    s = box[0]
    n_changes = 0
    if not abs(t_s) < MAX_ABS_TIME_S:
        return REFUSED
    if s.n_samples > 0:
        step_s = t_s - s.t_last_s
        if step_s == 0.0:
            s.n_repeated += 1
            return 0
        if not step_s > 0.0:
            return REFUSED
        if s.n_intervals > 0 and step_s > max(HOLE_INTERVALS * s.interval_s, s.bridge_s):
            _forget_ring(s, s.t_last_s + s.interval_s)
            n_changes = _change(s, n_changes, NONE, s.lost_since_s, t_s)
        _learn_interval(s, step_s)
    s.n_samples += 1
    s.t_last_s = t_s
    if not (abs(x_px) < MAX_ABS_PX and abs(y_px) < MAX_ABS_PX):
        if s.n_ring > 0:
            _forget_ring(s, t_s)
        if s.label != NONE and t_s + s.interval_s - s.lost_since_s > s.bridge_s:
            n_changes = _change(s, n_changes, NONE, s.lost_since_s, t_s)
        return n_changes
    if s.label == NONE:
        s.quiet_until_s = t_s + s.after_loss_s
        n_changes = _change(s, n_changes, FIXATION, t_s, t_s)
        s.x_first_px, s.y_first_px = x_px, y_px
    s.at = (s.at + 1) & RING_MASK
    s.n_ring = min(s.n_ring + 1, RING)
    s.t_ring_s[s.at], s.x_ring_px[s.at], s.y_ring_px[s.at] = t_s, x_px, y_px
    if s.n_ring == 1:
        return n_changes
    scale, dx, dy = _compare(s)
    if s.label == SACCADE:
        return _in_saccade(s, n_changes)
    return _in_fixation(s, n_changes, scale, dx, dy)


@numba.njit(cache=True)
def advance_all(
    box: Record, t_s: FloatArray, x_px: FloatArray, y_px: FloatArray, out: Record
) -> tuple[int, int]:
    """Take samples in order until one is earlier than its predecessor; return (taken, changes written to ``out``)."""
    n_out = 0
    for i in range(t_s.size):
        n = advance(box, t_s[i], x_px[i], y_px[i])
        if n == REFUSED:
            return i, n_out
        for k in range(n):
            out[n_out] = box[0].changes[k]
            n_out += 1
    return t_s.size, n_out


@numba.njit(cache=True)
def _learn_interval(s: Any, step_s: float) -> None:
    """Follow the sampling interval; steps are cut at half and double of it, so that a hole hardly moves it."""
    s.n_intervals += 1
    if s.n_intervals == 1:
        s.interval_s = step_s
        return
    cut = min(max(step_s, 0.5 * s.interval_s), 2.0 * s.interval_s)
    s.interval_s += (cut - s.interval_s) / min(s.n_intervals, 64)


@numba.njit(cache=True)
def _steps(s: Any, duration_s: float) -> int:
    """Return how many sampling intervals come nearest to a duration, at least one."""
    return max(1, int(np.floor(duration_s / s.interval_s + 0.5)))


@numba.njit(cache=True)
def _forget_ring(s: Any, lost_since_s: float) -> None:
    s.n_ring = 0
    s.n_seen = 0
    s.lost_since_s = lost_since_s


@numba.njit(cache=True)
def _change(s: Any, n_changes: int, began: int, t_event_s: float, t_decided_s: float) -> int:
    """Note that the state changes, unless it is that already; return the number of changes of this sample."""
    if s.label == began:
        return n_changes
    c = s.changes[n_changes]
    c.ended, c.began, c.t_event_s, c.t_decided_s, c.t_began_s = (
        s.label,
        began,
        t_event_s,
        t_decided_s,
        s.t_began_s,
    )
    c.x_px = c.y_px = np.nan
    if s.label == FIXATION:
        c.x_px, c.y_px = s.x_first_px, s.y_first_px
        if s.n_sum > 0:
            c.x_px += s.x_sum_px / s.n_sum
            c.y_px += s.y_sum_px / s.n_sum
    s.label, s.t_began_s = began, t_event_s
    s.x_sum_px = s.y_sum_px = 0.0
    s.n_sum = 0
    return n_changes + 1


@numba.njit(cache=True)
def _compare(s: Any) -> tuple[int, float, float]:
    """Compare the newest sample with earlier ones at every scale; return the first scale that says movement.

    A scale's distance is from the mean of the baseline, which ends ``lag_s`` ago. It says movement where that is
    beyond its threshold and the path since is straight. Returns (scale or -1, distance in px in x and y).
    """
    moving, move_x, move_y = -1, 0.0, 0.0
    x0, y0 = s.x_ring_px[s.at], s.y_ring_px[s.at]
    for k in range(s.n_scales):
        s.distance_deg[k] = np.nan
        lag, width = _steps(s, s.lag_s[k]), _steps(s, s.baseline_s[k])
        if s.n_ring < lag + width:
            continue
        bx = by = 0.0
        for j in range(s.at - lag - width + 1, s.at - lag + 1):
            bx += s.x_ring_px[j & RING_MASK] - x0
            by += s.y_ring_px[j & RING_MASK] - y0
        dx, dy = -bx / width / s.px_per_deg_x, -by / width / s.px_per_deg_y
        distance = np.sqrt(dx * dx + dy * dy)
        s.distance_deg[k] = distance
        if moving >= 0 or distance <= max(s.floor_deg, s.noise_factor[k] * np.sqrt(s.noise_deg2[k])):
            continue
        path = 0.0
        for j in range(s.at - lag, s.at):
            path += np.hypot(
                (s.x_ring_px[(j + 1) & RING_MASK] - s.x_ring_px[j & RING_MASK]) / s.px_per_deg_x,
                (s.y_ring_px[(j + 1) & RING_MASK] - s.y_ring_px[j & RING_MASK]) / s.px_per_deg_y,
            )
        j = (s.at - lag) & RING_MASK
        net = np.hypot((x0 - s.x_ring_px[j]) / s.px_per_deg_x, (y0 - s.y_ring_px[j]) / s.px_per_deg_y)
        if net >= s.coherence * path:
            moving, move_x, move_y = k, dx / distance, dy / distance
    return moving, move_x, move_y


@numba.njit(cache=True)
def _in_fixation(s: Any, n_changes: int, scale: int, dx: float, dy: float) -> int:
    t_s = s.t_ring_s[s.at]
    knows_noise = s.n_noise >= MIN_NOISE_SAMPLES and s.n_noise * s.interval_s >= s.learn_s
    if s.n_seen > 0:
        if _is_held(s):
            s.seen_peak_deg = max(s.seen_peak_deg, s.distance_deg[0])
            s.n_seen += 1
            if s.n_seen <= _steps(s, s.hold_s):
                return n_changes
            s.peak_deg, s.below_since_s = s.seen_peak_deg, np.nan
            s.n_seen = 0
            return _change(s, n_changes, SACCADE, s.seen_onset_s, t_s)
        # A glitch: it must not go on as a part of the baselines, from which its end would look like movement too.
        for j in range(s.at - s.n_seen, s.at):
            s.x_ring_px[j & RING_MASK], s.y_ring_px[j & RING_MASK] = s.from_x_px, s.from_y_px
        s.n_seen = 0
        s.doubt_until_s = t_s + s.doubt_s
        scale, dx, dy = _compare(s)
    if scale >= 0:
        if (
            knows_noise
            and t_s >= s.quiet_until_s
            and (t_s >= s.settle_until_s or s.distance_deg[0] >= s.settle_share * s.peak_deg)
        ):
            s.reach_deg = s.distance_deg[scale]
            s.from_x_px = s.x_ring_px[s.at] - s.reach_deg * dx * s.px_per_deg_x
            s.from_y_px = s.y_ring_px[s.at] - s.reach_deg * dy * s.px_per_deg_y
            if t_s < s.doubt_until_s:
                s.n_seen, s.seen_onset_s, s.seen_peak_deg = 1, _onset_s(s, dx, dy), s.distance_deg[0]
                return n_changes
            s.peak_deg, s.below_since_s = s.distance_deg[0], np.nan
            return _change(s, n_changes, SACCADE, _onset_s(s, dx, dy), t_s)
        if knows_noise:
            return n_changes
    _learn_noise(s, knows_noise)
    # The sample that no onset decided from here on can reach back to.
    j = s.at - _steps(s, s.lag_s[s.n_scales - 1])
    if s.n_ring > s.at - j and s.t_ring_s[j & RING_MASK] >= s.t_began_s:
        s.x_sum_px += s.x_ring_px[j & RING_MASK] - s.x_first_px
        s.y_sum_px += s.y_ring_px[j & RING_MASK] - s.y_first_px
        s.n_sum += 1
    return n_changes


@numba.njit(cache=True)
def _from_start_deg(s: Any, at: int) -> tuple[float, float]:
    """Return how far a sample is from where the last movement began, in x and y."""
    return (
        (s.x_ring_px[at & RING_MASK] - s.from_x_px) / s.px_per_deg_x,
        (s.y_ring_px[at & RING_MASK] - s.from_y_px) / s.px_per_deg_y,
    )


@numba.njit(cache=True)
def _is_held(s: Any) -> bool:
    """Say whether gaze is still where it was when the movement was seen, or farther."""
    x, y = _from_start_deg(s, s.at)
    x_seen, y_seen = _from_start_deg(s, s.at - s.n_seen)
    return bool(x * x_seen + y * y_seen >= s.hold_share * (x_seen**2 + y_seen**2))


@numba.njit(cache=True)
def _in_saccade(s: Any, n_changes: int) -> int:
    t_s, distance = s.t_ring_s[s.at], s.distance_deg[0]
    x_deg, y_deg = _from_start_deg(s, s.at)
    away_deg = np.hypot(x_deg, y_deg)
    s.reach_deg = max(s.reach_deg, away_deg)
    if not np.isnan(distance):
        s.peak_deg = max(s.peak_deg, distance)
    at_rest = max(s.end_share * s.peak_deg, s.floor_deg, s.noise_factor[0] * np.sqrt(s.noise_deg2[0]))
    if distance >= at_rest:
        s.below_since_s = np.nan
    elif np.isnan(s.below_since_s):
        s.below_since_s = t_s
    stuck = t_s - s.t_began_s > s.max_saccade_s
    # A quarter interval less, so that a sample at the limit is beyond it whatever its time's last digit.
    if stuck or t_s - s.below_since_s > s.end_confirm_s - 0.25 * s.interval_s:
        if stuck:
            s.n_noise = 0
            t_event_s = t_s
        else:
            span = _steps(s, s.lag_s[0]) + 0.5 * (_steps(s, s.baseline_s[0]) - 1)
            if away_deg < s.return_share * s.reach_deg:
                s.doubt_until_s = t_s + s.doubt_s
            t_event_s = min(t_s, max(s.below_since_s - 0.5 * span * s.interval_s, s.t_began_s + s.interval_s))
        n_changes = _change(s, n_changes, FIXATION, t_event_s, t_s)
        s.x_first_px, s.y_first_px = s.x_ring_px[s.at], s.y_ring_px[s.at]
        s.settle_until_s = t_s + s.settle_s
    return n_changes


@numba.njit(cache=True)
def _learn_noise(s: Any, knows_noise: bool) -> None:
    """Follow the mean square of each distance, one that is far beyond it cut, so that a jump hardly moves it."""
    if np.isnan(s.distance_deg[: s.n_scales]).any():
        return
    s.n_noise += 1
    memory = max(s.noise_memory_s / s.interval_s if s.interval_s > 0.0 else 0.0, NOISE_MEMORY_SAMPLES)
    share = 1.0 / min(s.n_noise, memory)
    for k in range(s.n_scales):
        squared = s.distance_deg[k] ** 2
        if knows_noise:
            squared = min(squared, s.noise_clip**2 * s.noise_deg2[k])
        s.noise_deg2[k] += share * (squared - s.noise_deg2[k])


@numba.njit(cache=True)
def _onset_s(s: Any, dx: float, dy: float) -> float:
    """Return the time of the first sample that moved: back while steps that way are a share of the largest."""
    largest = 0.0
    j = s.at
    for back in range(s.n_ring - 1):
        step = (s.x_ring_px[j] - s.x_ring_px[(j - 1) & RING_MASK]) / s.px_per_deg_x * dx + (
            s.y_ring_px[j] - s.y_ring_px[(j - 1) & RING_MASK]
        ) / s.px_per_deg_y * dy
        largest = max(largest, step)
        if step < s.onset_share * largest or s.t_ring_s[(j - 1) & RING_MASK] < s.t_began_s:
            if back == 0:
                break
            return float(s.t_ring_s[(j + 1) & RING_MASK])
        j = (j - 1) & RING_MASK
    return float(s.t_ring_s[s.at])

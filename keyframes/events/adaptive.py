"""The adaptive velocity detector: its thresholds and its window come from the noise of the recording itself.

A movement is a stretch whose least-squares speed exceeds a robust threshold: median plus a multiple of the median
absolute deviation of the slow speeds, found by iteration for each stretch between long losses, and raised where the
noise of the moment is larger. It is widened to where speed first rises from, and last falls to, the level of rest.
Movements that follow a saccade at once and are slower are its post-saccadic oscillation. Movements that touch a
loss, and the drift after them, are blink artefacts. What remains is fixation, or on request pursuit.

After Nystrom & Holmqvist 2010, Behavior Research Methods 42:188-204 (iterated data-driven threshold, oscillations),
with least-squares velocity of a window in seconds and medians in place of means. All parameters are in degrees,
seconds or multiples of the noise; they hold from 30 to 2000 Hz. Nothing is shared between stretches, so that
cutting a recording at a long loss changes no event.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import (
    MIN_HALF_WINDOW_S,
    Velocity,
    fill_speed,
    half_window_for_noise_s,
    noise_rms_s2s_deg,
)
from keyframes.events.labels import Detection
from keyframes.events.loss import (
    DRIFT_MIN_DEG_PER_S,
    label_blinks,
    label_fixations,
    loss_parameters,
    stretches_between_long_losses,
)
from keyframes.events.saccades import find_movements, label_saccades
from keyframes.events.samples import Samples
from keyframes.events.thresholds import Thresholds, local_noise, speed_thresholds

__all__ = ["DEFAULT", "AdaptiveParameters", "detect_adaptive"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveParameters:
    """What shapes the adaptive detector.

    Fitted, by hand and coarsely, on the 14 two-coder images of Lund2013 (sums of both coders' kappas): the two noise
    multiples, the least local noise, the drift, the gap of an oscillation and of its tail, its peak share.
    The others follow from the eye or from the literature.
    """

    peak_noise_multiple: float = 8.0
    """Robust standard deviations of the slow speeds that a movement's peak exceeds their median by. Fitted."""
    edge_noise_multiple: float = 4.0
    """The same for a movement's first and last sample; 4 puts onsets where the coders do (bias 0 ms). Fitted."""
    peak_min_deg_per_s: float = 18.0
    """Floor of the threshold where the gaze is noiseless (filtered or simulated)."""
    edge_threshold_share: float = 0.3
    """Floor of the edge threshold, as a share of the peak threshold."""
    local_noise_min_multiple: float = 1.25
    """Thresholds grow with the noise of the moment over this multiple of its stretch's: below lies the spread of the
    estimate itself. Fitted."""
    local_noise_max_multiple: float = 10.0
    """And by no more than this."""
    smear_full_s: float = 0.030
    """A window that is wider than on clean data smears a movement's ends; what is below this share of its own peak is
    cut: the half window's excess over the narrowest, divided by this (about the length of a common saccade)."""
    smear_max_share: float = 0.5
    """Half the peak is where the edge of a step lies, whatever the window."""
    min_saccade_s: float = 0.008
    """Shorter movements are noise."""
    max_saccade_s: float = 0.150
    """Longer ones are no saccade (one of 40 degrees lasts 110 ms) and no event."""
    min_saccade_deg: float = 0.2
    """Smaller ones cannot be told from noise and are left in their fixation."""
    min_fixation_s: float = 0.040
    """The shortest fixation that coders mark."""
    pso_gap_s: float = 0.015
    """A swing of an oscillation starts within this of the movement before. Fitted."""
    pso_tail_gap_s: float = 0.010
    """Its last swings, too slow for a movement, within this of what is before. Fitted."""
    pso_max_s: float = 0.040
    """An oscillation is over by then."""
    pso_min_s: float = 0.004
    """Shorter ones are the saccade's own end."""
    pso_peak_share: float = 0.8
    """A swing is slower than this share of its saccade's peak; a faster one is a saccade of its own. Fitted."""
    drift_min_deg_per_s: float = DRIFT_MIN_DEG_PER_S
    """After a blink the lid still moves the gaze while it drifts faster than this. Fitted."""


DEFAULT: Final = AdaptiveParameters()


def detect_adaptive(
    samples: Samples, noise_deg: float, parameters: AdaptiveParameters = DEFAULT
) -> Detection:
    """Label fixations, saccades, post-saccadic oscillations and blinks.

    noise_deg : RMS-S2S of the recording, as `noise_rms_s2s_deg` measures it; where a long loss divides the recording,
    that of each stretch is measured instead. The measured parameters returned are those of the longest stretch.
    """
    speed, moves, edges, longest = _movements(samples, noise_deg, parameters)
    p = parameters
    labels = label_blinks(samples, moves, p.drift_min_deg_per_s)
    label_saccades(
        samples.t_s,
        samples.end_s,
        samples.x_px,
        samples.y_px,
        samples.scale_x,
        samples.scale_y,
        speed,
        samples.interval_s,
        samples.slack_s,
        moves,
        edges,
        p.min_saccade_s,
        p.max_saccade_s,
        p.min_saccade_deg,
        p.pso_gap_s,
        p.pso_tail_gap_s,
        p.pso_max_s,
        p.pso_min_s,
        p.pso_peak_share,
        labels,
    )
    label_fixations(samples, labels, p.min_fixation_s)
    return Detection(
        labels=labels,
        velocity=Velocity(speed_deg_per_s=speed, half_window_s=longest.half_window_s),
        parameters={
            "noise_rms_s2s_deg": noise_deg,
            "velocity_half_window_s": longest.half_window_s,
            "peak_threshold_deg_per_s": longest.thresholds.peak,
            "edge_threshold_deg_per_s": longest.thresholds.edge,
            "edge_share_of_peak": longest.smear,
            **asdict(p),
            **loss_parameters(),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """What was measured of a stretch between long losses."""

    half_window_s: float = MIN_HALF_WINDOW_S
    thresholds: Thresholds
    smear: float = 0.0


def _movements(
    samples: Samples, noise_deg: float, p: AdaptiveParameters
) -> tuple[FloatArray, IntArray, FloatArray, _Stretch]:
    """Return (m,) speed in deg/s, the movements as `find_movements` has them, and the longest stretch."""
    speed = np.full(samples.n, np.nan) if samples.n_lost else np.empty(samples.n)
    moves, edges = np.empty((samples.n // 2 + 1, 3), np.int64), np.empty(samples.n // 2 + 1)
    count = n_longest = 0
    longest = _Stretch(thresholds=_thresholds(speed[:0], p))
    for start, end in stretches_between_long_losses(samples):
        is_all = end - start == samples.n
        stretch_noise_deg = noise_deg if is_all else noise_rms_s2s_deg(samples, start, end)
        half_window_s = half_window_for_noise_s(samples, stretch_noise_deg)
        fill_speed(samples, start, end, half_window_s, speed)
        excess_s = max(half_window_s, samples.interval_s) - MIN_HALF_WINDOW_S
        here = _Stretch(
            half_window_s=half_window_s,
            thresholds=_thresholds(speed[start:end], p),
            smear=min(max(excess_s / p.smear_full_s, 0.0), p.smear_max_share),
        )
        relative, rows_per_block = local_noise(samples, start, end, speed, here.thresholds.peak)
        multiples = np.clip(relative / p.local_noise_min_multiple, 1.0, p.local_noise_max_multiple)
        peaks, edge_of_block = here.thresholds.where_noise_is(multiples)
        count = find_movements(
            speed, start, end, peaks, edge_of_block, rows_per_block, here.smear, moves, edges, count
        )
        if end - start > n_longest:
            n_longest, longest = end - start, here
    return speed, moves[:count], edges[:count], longest


def _thresholds(speed_deg_per_s: FloatArray, p: AdaptiveParameters) -> Thresholds:
    return speed_thresholds(
        speed_deg_per_s,
        peak_noise_multiple=p.peak_noise_multiple,
        edge_noise_multiple=p.edge_noise_multiple,
        peak_min_deg_per_s=p.peak_min_deg_per_s,
        edge_share=p.edge_threshold_share,
    )

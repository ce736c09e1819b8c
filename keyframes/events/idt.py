"""I-DT, the baseline with a dispersion threshold.

Salvucci & Goldberg 2000, Proc. ETRA, 71-78, section 3.3. Like I-VT it knows no noise: use it to compare, not to
measure. Gaze between two fixations counts as saccade if it is shorter than a saccade can last, else as nothing: I-DT
knows no saccades of its own. Durations are rounded to whole samples.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import MIN_HALF_WINDOW_S, velocity
from keyframes.events.labels import FIXATION, NONE, SACCADE, Detection, runs_of
from keyframes.events.loss import (
    BRIDGE_MAX_S,
    drop_short_fixations,
    join_fixations,
    label_blinks,
    loss_parameters,
)
from keyframes.events.samples import Samples

__all__ = ["detect_idt"]

Labels = NDArray[np.int8]
FloatArray = NDArray[np.float64]

DISPERSION_DEG: Final = 1.0
"""deg. Range in x plus range in y of a fixation; the paper's half to one degree of visual angle."""

MIN_FIXATION_S: Final = 0.100
"""s. The paper's value."""

MAX_SACCADE_S: Final = 0.100
"""s. A saccade of 35 degrees lasts that long."""


def detect_idt(samples: Samples, noise_deg: float) -> Detection:
    """Label fixations by dispersion, what is between them saccade, and losses as every detector does."""
    gaze_velocity = velocity(samples, MIN_HALF_WINDOW_S)
    end_s = samples.end_s
    labels = label_blinks(samples, np.empty((0, 2), np.int64))
    _label_by_dispersion(
        samples.t_s,
        end_s,
        samples.x_px,
        samples.y_px,
        samples.px_per_deg_x,
        samples.px_per_deg_y,
        DISPERSION_DEG,
        samples.slack_s,
        labels,
    )
    join_fixations(samples, labels)
    drop_short_fixations(samples, labels, MIN_FIXATION_S)
    for start, end in runs_of((labels == NONE) & samples.valid):
        between = start > 0 and end < samples.n and labels[start - 1] == labels[end] == FIXATION
        if between and end_s[end - 1] - samples.t_s[start] <= MAX_SACCADE_S + samples.slack_s:
            labels[start:end] = SACCADE
    return Detection(
        labels=labels,
        velocity=gaze_velocity,
        parameters={
            "noise_rms_s2s_deg": noise_deg,
            "velocity_half_window_s": MIN_HALF_WINDOW_S,
            "dispersion_deg": DISPERSION_DEG,
            "min_fixation_s": MIN_FIXATION_S,
            "max_saccade_s": MAX_SACCADE_S,
            **loss_parameters(),
        },
    )


@numba.njit(cache=True)
def _label_by_dispersion(
    t: FloatArray,
    t_end: FloatArray,
    x: FloatArray,
    y: FloatArray,
    scale_x: FloatArray,
    scale_y: FloatArray,
    threshold_deg: float,
    slack: float,
    labels: Labels,
) -> None:
    n, a = t.size, 0
    while a < n:
        if np.isnan(x[a]) or labels[a] != NONE:
            a += 1
            continue
        low_x = high_x = x[a]
        low_y = high_y = y[a]
        last, b, left = a, a + 1, False
        while b < n and labels[b] == NONE:
            if not np.isnan(x[b]):
                if t[b] - t_end[last] > BRIDGE_MAX_S + slack:
                    break
                lx, hx = min(low_x, x[b]), max(high_x, x[b])
                ly, hy = min(low_y, y[b]), max(high_y, y[b])
                if (hx - lx) / scale_x[a] + (hy - ly) / scale_y[a] > threshold_deg:
                    left = True
                    break
                low_x, high_x, low_y, high_y = lx, hx, ly, hy
                last = b
            b += 1
        if t_end[last] - t[a] >= MIN_FIXATION_S - slack:
            labels[a : last + 1] = FIXATION
            # The sample that left is the saccade, even where the next ones stay with it: at low rates there is no
            # other, and two fixations need something between them.
            a = max(last + 1, b + 1 if left else 0)
        else:
            a += 1

"""I-VT, the baseline with a fixed velocity threshold.

Salvucci & Goldberg 2000, Proc. ETRA, 71-78, section 3.1, on least-squares velocity. It knows no noise and fails
where there is some (0.3 degree at 500 Hz leaves no fixation): use it to compare, not to measure.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from keyframes.events.kinematics import MIN_HALF_WINDOW_S, velocity
from keyframes.events.labels import NONE, SACCADE, Detection, runs_of
from keyframes.events.loss import label_blinks, label_fixations, loss_parameters
from keyframes.events.samples import Samples

__all__ = ["detect_ivt"]

THRESHOLD_DEG_PER_S: Final = 45.0
"""deg/s. With 55 ms far better on Lund2013 than the customary 20 deg/s and 100 ms."""

MIN_FIXATION_S: Final = 0.055
"""s."""


def detect_ivt(samples: Samples, noise_deg: float) -> Detection:
    """Label rows above the threshold saccade, the rest fixation; losses as every detector does."""
    gaze_velocity = velocity(samples, MIN_HALF_WINDOW_S)
    with np.errstate(invalid="ignore"):
        fast = gaze_velocity.speed_deg_per_s > THRESHOLD_DEG_PER_S
    labels = label_blinks(samples, runs_of(fast))
    labels[fast & (labels == NONE)] = SACCADE
    label_fixations(samples, labels, MIN_FIXATION_S)
    return Detection(
        labels=labels,
        velocity=gaze_velocity,
        parameters={
            "noise_rms_s2s_deg": noise_deg,
            "velocity_half_window_s": MIN_HALF_WINDOW_S,
            "threshold_deg_per_s": THRESHOLD_DEG_PER_S,
            "min_fixation_s": MIN_FIXATION_S,
            **loss_parameters(),
        },
    )

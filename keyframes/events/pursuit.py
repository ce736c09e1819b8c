"""Smooth pursuit: fixations that keep moving. Not wanted on still radiographs, so only on request.

Coders themselves disagree most here (kappa .65 on the moving stimuli of Lund2013): a measure, not a truth.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import fill_speed
from keyframes.events.labels import FIXATION, PURSUIT
from keyframes.events.runs import runs_of
from keyframes.events.samples import Samples

__all__ = ["label_pursuit", "pursuit_parameters"]

Labels = NDArray[np.int8]

PURSUIT_MIN_DEG_PER_S: Final = 5.0
"""deg/s. Fixations drift slower, targets worth following move faster. Fitted with the two below on the dots and
videos of Lund2013, held back by its images, where next to none of the gaze is pursuit."""

PURSUIT_HALF_WINDOW_S: Final = 0.080
"""s. Half the window of the slow velocity: tremor, noise and the end of an oscillation average out in it."""

PURSUIT_MIN_S: Final = 0.150
"""s. A shorter part of a fixation, moving or at rest, is of the kind of its neighbours."""


def pursuit_parameters() -> dict[str, float]:
    """Return the parameters of this module by name."""
    return {
        "pursuit_min_deg_per_s": PURSUIT_MIN_DEG_PER_S,
        "pursuit_half_window_s": PURSUIT_HALF_WINDOW_S,
        "pursuit_min_s": PURSUIT_MIN_S,
    }


def label_pursuit(samples: Samples, labels: Labels) -> None:
    """Make pursuit, in place, of the fixations (m,) and parts of fixations that keep moving."""
    slow = np.full(samples.n, np.nan)
    min_s = PURSUIT_MIN_S - samples.slack_s
    for start, end in runs_of(labels == FIXATION).tolist():
        fill_speed(samples, start, end, PURSUIT_HALF_WINDOW_S, slow)
        moving = slow[start:end] > PURSUIT_MIN_DEG_PER_S
        for kind in (False, True):
            runs = runs_of(moving == kind)
            lasts_s = samples.end_s[start + runs[:, 1] - 1] - samples.t_s[start + runs[:, 0]]
            for a, b in runs[(lasts_s < min_s) & (runs[:, 1] - runs[:, 0] < end - start)].tolist():
                moving[a:b] = not kind
        labels[start:end][moving] = PURSUIT

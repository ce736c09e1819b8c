"""Label codes, the result of a detector, and runs of equal labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keyframes.events.kinematics import Velocity
from keyframes.events.runs import runs_of

__all__ = ["BLINK", "FIXATION", "NONE", "PSO", "PURSUIT", "SACCADE", "Detection", "runs_of"]

NONE: Final = 0
FIXATION: Final = 1
SACCADE: Final = 2
PSO: Final = 3
PURSUIT: Final = 4
BLINK: Final = 5

MASKED: Final = -1
"""Inside a detector only: a valid row beside a long loss whose gaze is an artefact; 0 in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a detector gives for the m rows of a `Samples`."""

    labels: NDArray[np.int8]
    """(m,) label codes."""
    velocity: Velocity
    parameters: Mapping[str, float]
    """Every parameter that shaped the result, its unit in the name."""

"""What the restart of one of a Neon's senders swallowed."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ["RestartGap"]

KNOWN_STEPS = 50
"""Steps between samples whose median is the usual one; a quarter of a second of gaze."""


class RestartGap:
    """How much time a restart took, and how many samples that were; of one sensor."""

    def __init__(self) -> None:
        self._begun = False
        self._last_s: float | None = None
        self._steps_s: deque[float] = deque(maxlen=KNOWN_STEPS)

    def begin(self) -> None:
        """Say that the next sample is a new sender's first."""
        self._begun = True

    def after(self, t_s: float) -> tuple[float, int | None] | None:
        """Take the time of the next sample; return duration, s, and samples missed where a restart came before it.

        The number is None where too little came before to know how far samples are apart.
        """
        last_s, self._last_s = self._last_s, t_s
        if last_s is None:
            return None
        step_s = t_s - last_s
        if not self._begun:
            self._steps_s.append(step_s)
            return None
        self._begun = False
        usual_s = float(np.median(list(self._steps_s))) if self._steps_s else 0.0
        return step_s, max(round(step_s / usual_s) - 1, 0) if usual_s > 0 else None

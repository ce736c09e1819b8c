"""How far off the tracker was in a reading, by the validations around it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa

__all__ = ["SD_PER_ERROR", "UNVALIDATED_ERROR_DEG", "accuracies_deg", "validation_error_deg"]

UNVALIDATED_ERROR_DEG = 1.0
"""Degrees. The tracker's error where nobody measured it: the usual bound for a session that was not thrown away."""
SD_PER_ERROR = 0.5
"""A tracker's error is taken as two standard deviations on each axis: 95 % of the gaze lies within it."""


def accuracies_deg(validations: pa.Table) -> dict[str, float]:
    """Return a reading's accuracy in degrees by phase, ``before`` and ``after``, those that were measured.

    validations : `keyframes.reading.VALIDATIONS`; an accuracy that is not finite is no measurement. The phase ``drift``
        does not count: its offset was taken off the gaze.

    A phase's accuracy is that of both eyes together where it was measured, else the mean over the eyes; of several
    validations in one phase the last counts.
    """
    by_phase: dict[str, dict[str, float]] = defaultdict(dict)
    for row in validations.sort_by("t_ns").to_pylist():
        if row["phase"] != "drift" and np.isfinite(row["accuracy_deg"]):
            by_phase[row["phase"]][row["eye"]] = row["accuracy_deg"]
    return {
        phase: eyes["both"] if "both" in eyes else float(np.mean(list(eyes.values())))
        for phase, eyes in sorted(by_phase.items())
    }


def validation_error_deg(validations: pa.Table) -> float | None:
    """Return the accuracy of a reading in degrees: the worst of `accuracies_deg`; None where none was measured."""
    return max(accuracies_deg(validations).values(), default=None)

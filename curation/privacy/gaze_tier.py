"""How finely gaze may leave the store. Raw gaze identifies its reader; coarser gaze does so less.

Source: David-John et al. 2021 (arXiv 2102.01770): up to 85 % of people recognised from raw gaze.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pyarrow as pa

__all__ = ["MAX_RATE_HZ", "PUPIL_COLUMNS", "GazeTier", "samples_for_tier", "thinned"]

GazeTier = Literal["raw", "120hz", "fixations"]
MAX_RATE_HZ: Final = 120.0
"""Of the middle tier: what a slow tracker gives, enough for fixations, too slow for the course of a saccade."""
PUPIL_COLUMNS: Final = ("pupil", "left_pupil", "right_pupil")
"""Of `keyframes.reading.GAZE`."""


def samples_for_tier(gaze: pa.Table, tier: GazeTier, *, with_pupil: bool) -> pa.Table | None:
    """Return the samples that may leave; None where none may.

    gaze : `keyframes.reading.GAZE`. Without the scope for it every pupil is NaN.
    """
    if tier == "fixations":
        return None
    table = gaze if tier == "raw" else thinned(gaze)
    if not with_pupil:
        for name in PUPIL_COLUMNS:
            place = table.column_names.index(name)
            nan = pa.array(np.full(table.num_rows, np.nan))
            table = table.set_column(place, table.schema.field(name), nan)
    return table


def thinned(gaze: pa.Table, *, max_rate_hz: float = MAX_RATE_HZ) -> pa.Table:
    """Return the first sample of each slot of 1 / ``max_rate_hz``: never more than that in any second, rows unchanged.

    gaze : column ``t_ns``, int64, not decreasing. The first sample is in the middle of its slot: a device of just this
    rate keeps every sample whose jitter is below half a slot.
    """
    t_ns = gaze["t_ns"].to_numpy()
    if not t_ns.size:
        return gaze
    slot = np.floor((t_ns - t_ns[0]) * (max_rate_hz / 1e9) + 0.5)
    _, first = np.unique(slot, return_index=True)
    return gaze.take(pa.array(first))

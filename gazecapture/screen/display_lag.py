"""How late a screen shows what was painted: flips of a patch against a light sensor. Knows no Qt and no streams.

A flip counts from the moment that its paint ended, as the display journal's rows do, to the moment that the sensor
passes the middle between dark and bright.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keyframes.errors import DataError

__all__ = ["LONGEST_LAG_MS", "MIN_FLIPS", "DisplayLag", "measure_display_lag"]

LONGEST_LAG_MS = 250.0
"""ms; the slowest televisions take 150, and a flip must be over before the next one."""
MIN_FLIPS = 10
"""Flips that the sensor must have seen for a spread that means something."""
MIN_SEEN_SHARE = 0.8
"""Of the flips; a sensor that misses more looks at something else."""
LEVEL_PERCENTILES = (10.0, 90.0)
"""Percent of the sensor's values that are taken for dark and bright; a patch is each for half of the time."""
MIN_CONTRAST = 8.0
"""Bright minus dark, in standard deviations of the values on either side; of pure noise it is 4 to 6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayLag:
    """What was measured."""

    lag_ms: float
    """Median over the flips."""
    sd_ms: float
    """Their standard deviation: half a frame and more, since a paint falls anywhere within one."""
    n_flips: int
    n_seen: int
    """Flips that the sensor saw."""
    brighter_ms: float
    """Median of those to bright; liquid crystals turn to bright and to dark at different speeds."""
    darker_ms: float


def measure_display_lag(
    flip_ns: NDArray[np.int64],
    is_bright: NDArray[np.bool_],
    t_ns: NDArray[np.int64],
    values: NDArray[np.float64],
) -> DisplayLag:
    """Return the lag of flips behind their paints.

    Parameters
    ----------
    flip_ns   : (n,) when the paint of each flip ended, rising.
    is_bright : (n,) whether the patch is bright from then on.
    t_ns, values : (m,) the sensor, on the same clock, rising; NaN is left out.

    Raises DataError (GT-DISPLAY-LAG) where the sensor did not see the patch.
    """
    usable = np.isfinite(values)
    t_ns, values = t_ns[usable], values[usable]
    if values.size < 2 or flip_ns.size < MIN_FLIPS:
        raise _unseen(f"{values.size} samples of the sensor, {flip_ns.size} flips")
    dark, bright = np.percentile(values, LEVEL_PERCENTILES)
    middle = (dark + bright) / 2
    above = values > middle
    noise = max(float(np.std(part)) if (part := values[side]).size else 0.0 for side in (above, ~above))
    if bright - dark <= MIN_CONTRAST * noise or bright <= dark:
        raise _unseen("dark and bright cannot be told apart")
    lags = np.full(flip_ns.size, np.nan)
    ends = np.append(flip_ns[1:], flip_ns[-1] + round(LONGEST_LAG_MS * 1e6))
    for place, (start, end) in enumerate(zip(flip_ns, ends, strict=True)):
        crossed = _crossing(t_ns, values, middle, bool(is_bright[place]), int(start), int(end))
        if crossed is not None and crossed - start <= LONGEST_LAG_MS * 1e6:
            lags[place] = (crossed - start) / 1e6
    seen = np.isfinite(lags)
    if seen.sum() < max(MIN_FLIPS, MIN_SEEN_SHARE * flip_ns.size):
        raise _unseen(f"it saw {int(seen.sum())} of {flip_ns.size} flips")
    return DisplayLag(
        lag_ms=float(np.median(lags[seen])),
        sd_ms=float(np.std(lags[seen], ddof=1)),
        n_flips=int(flip_ns.size),
        n_seen=int(seen.sum()),
        brighter_ms=float(np.median(lags[seen & is_bright])),
        darker_ms=float(np.median(lags[seen & ~is_bright])),
    )


def _crossing(
    t_ns: NDArray[np.int64], values: NDArray[np.float64], middle: float, rising: bool, start: int, end: int
) -> float | None:
    """Return when the sensor first passed the middle after ``start``, between two samples by interpolation."""
    first, last = np.searchsorted(t_ns, [start, end])
    first = max(int(first) - 1, 0)
    part = values[first:last] - middle
    part = part if rising else -part
    after = np.flatnonzero((part[:-1] <= 0) & (part[1:] > 0))
    if not after.size:
        return None
    at = int(after[0])
    share = -part[at] / (part[at + 1] - part[at])
    began = int(t_ns[first + at])
    return began + float(share) * (int(t_ns[first + at + 1]) - began)


def _unseen(why: str) -> DataError:
    return DataError(
        f"the sensor did not see the patch: {why}",
        hint="Put it onto the patch in the corner of the screen, shade it, and measure again.",
        code="GT-DISPLAY-LAG",
    )

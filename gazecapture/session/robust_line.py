"""A line through measurements of which up to 29 % may be anything (Theil 1950, Sen 1968).

Ours, not SciPy's: its `scipy.stats` takes a second to import, and every recorder and every command would wait for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["theil_sen"]


def theil_sen(y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and level at x = 0 of the median line through n >= 2 points, (n,) each, finite.

    The slope is the median of those between all pairs of different x (0 where all x are the same), the level
    ``median(y) - slope * median(x)``. It looks at n * (n - 1) / 2 pairs.
    """
    first, second = np.triu_indices(x.size, k=1)
    run = x[second] - x[first]
    differ = run != 0
    rise = (y[second] - y[first])[differ]
    slope = float(np.median(rise / run[differ])) if rise.size else 0.0
    return slope, float(np.median(y) - slope * np.median(x))

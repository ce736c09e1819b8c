"""Where the points are that a reader looks at while the tracker is validated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Target", "centre_target", "validation_targets"]

GRID_SHARE = 0.8
"""Of the area's width and height that the 3 x 3 grid spans. Trackers calibrate at 0.8 to 0.9 as well, so that the
points are moved off theirs by `JITTER_SHARE`: a tracker's error at its own calibration points flatters it."""
JITTER_SHARE = 0.04
"""Of the area's width and height by which a point may lie beside its place on the grid, each way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One point on the screen; ``index`` is its place on the grid, row by row."""

    index: int
    x_screen_px: float
    y_screen_px: float


Rect = tuple[float, float, float, float]


def validation_targets(area: Rect, *, seed: int) -> tuple[Target, ...]:
    """Return nine fresh points in random order; the same seed gives the same points.

    area : ``(x0, y0, x1, y1)`` in screen px, where the points may be: the window, which as a rule fills the screen.
    """
    x0, y0, x1, y1 = area
    random = np.random.default_rng(seed)
    places = (0.5 - GRID_SHARE / 2, 0.5, 0.5 + GRID_SHARE / 2)
    shares = np.array([(x, y) for y in places for x in places])
    shares += random.uniform(-JITTER_SHARE, JITTER_SHARE, shares.shape)
    return tuple(
        Target(
            index=index,
            x_screen_px=float(x0 + shares[index, 0] * (x1 - x0)),
            y_screen_px=float(y0 + shares[index, 1] * (y1 - y0)),
        )
        for index in random.permutation(len(shares)).tolist()
    )


def centre_target(area: Rect) -> Target:
    """Return the point of a drift check."""
    x0, y0, x1, y1 = area
    return Target(index=0, x_screen_px=(x0 + x1) / 2, y_screen_px=(y0 + y1) / 2)

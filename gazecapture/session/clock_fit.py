"""From a stream's own time stamps to the session clock, by the offsets measured while it was recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import theilslopes

__all__ = ["ClockFit", "fit_clock"]

MIN_SPAN_FOR_DRIFT_S = 60.0
"""Below this the offsets' own noise (about 0.1 ms) is larger than what a quartz drifts (50 ppm: 3 ms a minute)."""
MIN_POINTS_FOR_DRIFT = 6
"""Theil-Sen breaks down at 29 % bad points; fewer than six leave it no majority."""
MAX_UNCERTAINTY_RATIO = 5.0
"""Measurements more uncertain than this multiple of the best one met a busy network and are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFit:
    """``session time = remote time + offset_s + drift * (session time - t_reference_s)``."""

    offset_s: float
    drift: float
    t_reference_s: float
    n_points: int
    residual_s: float
    """Largest distance of a measurement that was used from the fit; 0 where there was none."""

    def to_session_ns(self, t_remote_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Map remote time stamps, (n,) s, to session ns."""
        # The drift term needs session time; remote time + offset differs from it by less than drift squared.
        near = t_remote_s + self.offset_s
        t = near + self.drift * (near - self.t_reference_s)
        return np.round(t * 1e9).astype(np.int64)


def fit_clock(offsets: pa.Table) -> ClockFit:
    """Fit one stream's clock offsets (`gazecapture.session.schema.OFFSETS`).

    A short recording gets their median; a long one a robust line (Theil-Sen), so that a few bad measurements
    move nothing. Without any measurement the stream is taken to be on the session clock already, as outlets
    of the same host are.
    """
    t_s = offsets.column("t_ns").to_numpy() / 1e9
    offset_s = offsets.column("offset_s").to_numpy()
    uncertainty_s = offsets.column("uncertainty_s").to_numpy()
    known = np.isfinite(offset_s) & np.isfinite(uncertainty_s)
    if not known.any():
        return ClockFit(offset_s=0.0, drift=0.0, t_reference_s=0.0, n_points=0, residual_s=0.0)
    good = known & (uncertainty_s <= MAX_UNCERTAINTY_RATIO * max(uncertainty_s[known].min(), 1e-6))
    t_s, offset_s = t_s[good], offset_s[good]
    reference = float(np.median(t_s))
    level, drift = float(np.median(offset_s)), 0.0
    if t_s.size >= MIN_POINTS_FOR_DRIFT and np.ptp(t_s) >= MIN_SPAN_FOR_DRIFT_S:
        slope, level_at_zero, *_ = theilslopes(offset_s, t_s - reference)
        drift, level = float(slope), float(level_at_zero)
    residual = offset_s - (level + drift * (t_s - reference))
    return ClockFit(
        offset_s=level,
        drift=drift,
        t_reference_s=reference,
        n_points=int(t_s.size),
        residual_s=float(np.abs(residual).max()),
    )

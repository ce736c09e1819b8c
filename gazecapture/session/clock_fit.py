"""From a stream's own time stamps to the session clock, by the offsets measured while it was recorded.

A sender's clock runs evenly until its host sleeps, is set, or another host sends under the same name. The fit is
therefore made piece by piece; nothing is resampled, and no piece reaches over such a step.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture.session.robust_line import theil_sen

__all__ = ["ClockFit", "ClockPiece", "fit_clock"]

MIN_SPAN_FOR_DRIFT_S = 60.0
"""Below this the offsets' own noise (about 0.1 ms) can be larger than what a quartz drifts (50 ppm: 3 ms a minute);
a line must then explain the measurements far better than a level does."""
FAR_BETTER = 0.5
"""Share of the level's largest residual that such a line may leave."""
MIN_POINTS_FOR_DRIFT = 4
"""Theil-Sen breaks down at 29 % bad points: one in four."""
MAX_POINTS_FOR_DRIFT = 1500
"""Theil-Sen looks at every pair; more points than two hours have are thinned out evenly."""
MAX_UNCERTAINTY_RATIO = 5.0
"""Measurements more uncertain than this multiple of their piece's best one met a busy network and are left out."""
STEP_S = 0.002
"""s between two measurements, besides what follows, that a steady clock does not move: ten times their usual noise."""
STEP_UNCERTAINTIES = 5.0
STEP_DRIFT = 5e-4
"""A slewed clock runs at most 500 ppm fast or slow (NTP)."""
SURE_RUN = 3
"""Measurements that agree with each other are a clock; one or two alone need the samples to bear them out."""
BORNE_OUT_SHARE = 0.25
"""Of the samples around a measurement; where the clock stepped just before it, half of them are younger than that."""
LATENCY_S = 0.05
"""s that a sample is under way at most, on a network that can be measured on."""
NEAR_S = 5.0
"""s around a measurement in which samples are asked: one interval between measurements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPiece:
    """``session time = remote time + offset_s + drift * (session time - t_reference_s)`` for samples in a row."""

    from_sequence: int
    """The first sample, by its number in the journal; the first piece goes back without end."""
    offset_s: float
    drift: float
    t_reference_s: float
    n_points: int
    residual_s: float
    """Largest distance of a measurement that was used from the fit; 0 where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFit:
    """One stream's clock; at least one piece, in order."""

    pieces: tuple[ClockPiece, ...]

    @property
    def _main(self) -> ClockPiece:
        return max(self.pieces, key=lambda piece: piece.n_points)

    @property
    def offset_s(self) -> float:
        """Of the piece with most measurements."""
        return self._main.offset_s

    @property
    def drift(self) -> float:
        """Of the piece with most measurements, s per s."""
        return self._main.drift

    @property
    def n_points(self) -> int:
        """Measurements used, of all pieces."""
        return sum(piece.n_points for piece in self.pieces)

    @property
    def residual_s(self) -> float:
        """The largest of all pieces."""
        return max(piece.residual_s for piece in self.pieces)

    def to_session_ns(
        self, t_remote_s: NDArray[np.float64], sequence: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Map remote time stamps, (n,) s, to session ns.

        sequence : (n,) the samples' numbers in the journal; None: they are all there, from number 0.
        """
        numbers = np.arange(t_remote_s.size) if sequence is None else sequence
        place = np.searchsorted([piece.from_sequence for piece in self.pieces[1:]], numbers, side="right")
        offset_s, drift, reference_s = (
            np.array([getattr(piece, name) for piece in self.pieces])[place]
            for name in ("offset_s", "drift", "t_reference_s")
        )
        # The drift term needs session time; remote time + offset differs from it by less than drift squared.
        near = t_remote_s + offset_s
        return np.asarray(np.round((near + drift * (near - reference_s)) * 1e9), np.int64)


def fit_clock(offsets: pa.Table, rows: pa.Table | None = None) -> ClockFit:
    """Fit one stream's clock offsets (`gazecapture.session.schema.OFFSETS`).

    rows : of the stream's journal (``sequence``, ``t_remote_s``, ``t_received_ns``), in order. They show where the
        clock stepped and whether a measurement that stands alone is a step or a mistake; without them there is
        one piece.

    A long piece gets a robust line (Theil-Sen), a short one too where its measurements lie on one, else their median;
    a few bad measurements move nothing. Without any measurement the stream is taken to be on the session clock
    already, as outlets of the same host are.
    """
    points = _Points.of(offsets)
    if not points.t_s.size:
        return ClockFit(
            pieces=(
                ClockPiece(
                    from_sequence=0, offset_s=0.0, drift=0.0, t_reference_s=0.0, n_points=0, residual_s=0.0
                ),
            )
        )
    samples = None if rows is None or not rows.num_rows else _Samples.of(rows)
    if samples is None:
        return ClockFit(pieces=(_fitted(points, 0),))
    runs = _steady_runs(points, samples)
    starts = [0]
    for before, after in itertools.pairwise(runs):
        starts.append(samples.first_after_step(before, after))
    return ClockFit(
        pieces=tuple(_fitted(run, start) for run, start in zip(runs, starts, strict=True)),
    )


@dataclass(frozen=True, slots=True)
class _Points:
    """n measurements in order of time."""

    t_s: NDArray[np.float64]
    offset_s: NDArray[np.float64]
    uncertainty_s: NDArray[np.float64]

    @classmethod
    def of(cls, offsets: pa.Table) -> _Points:
        t_s = offsets.column("t_ns").to_numpy() / 1e9
        offset_s = offsets.column("offset_s").to_numpy()
        uncertainty_s = offsets.column("uncertainty_s").to_numpy()
        order = np.argsort(t_s, kind="stable")
        points = cls(t_s, offset_s, uncertainty_s)[order]
        return points[np.isfinite(points.offset_s) & np.isfinite(points.uncertainty_s)]

    def __getitem__(self, part: NDArray[np.bool_] | NDArray[np.intp] | slice) -> _Points:
        return _Points(self.t_s[part], self.offset_s[part], self.uncertainty_s[part])

    def joined(self, other: _Points) -> _Points:
        return _Points(
            np.concatenate((self.t_s, other.t_s)),
            np.concatenate((self.offset_s, other.offset_s)),
            np.concatenate((self.uncertainty_s, other.uncertainty_s)),
        )

    def good(self) -> _Points:
        """Leave out what is far more uncertain than the best."""
        return self[self.uncertainty_s <= MAX_UNCERTAINTY_RATIO * max(self.uncertainty_s.min(), 1e-6)]

    def steps_to(self, other: _Points) -> bool:
        """Say whether a steady clock cannot go from the last of these to the first of the others."""
        tolerance_s = (
            STEP_S
            + STEP_UNCERTAINTIES * float(self.uncertainty_s[-1] + other.uncertainty_s[0])
            + STEP_DRIFT * float(other.t_s[0] - self.t_s[-1])
        )
        return abs(float(other.offset_s[0] - self.offset_s[-1])) > tolerance_s


@dataclass(frozen=True, slots=True)
class _Samples:
    """What samples tell themselves: each arrives later than its stamp by the clocks' offset and its travel."""

    sequence: NDArray[np.int64]
    received_s: NDArray[np.float64]
    lag_s: NDArray[np.float64]

    @classmethod
    def of(cls, rows: pa.Table) -> _Samples:
        received_s = rows.column("t_received_ns").to_numpy() / 1e9
        return cls(
            rows.column("sequence").to_numpy(), received_s, received_s - rows.column("t_remote_s").to_numpy()
        )

    def bear_out(self, run: _Points, other: _Points) -> bool:
        """Say whether samples around ``run`` lag by its offset rather than by that of ``other``."""
        start, end = np.searchsorted(
            self.received_s, [run.t_s[0] - NEAR_S / 2, run.t_s[-1] + NEAR_S / 2]
        ).tolist()
        level_s = float(np.median(run.offset_s))
        half_step_s = abs(level_s - float(np.median(other.offset_s))) / 2
        near = np.abs(self.lag_s[start:end] - level_s) < min(half_step_s, LATENCY_S)
        return bool(near.size) and float(near.mean()) >= BORNE_OUT_SHARE

    def first_after_step(self, before: _Points, after: _Points) -> int:
        """Return the number of the first sample of the later run: where the lag jumps by what the offsets do."""
        start, end = np.searchsorted(
            self.received_s, [before.t_s[-1] - NEAR_S, after.t_s[0] + NEAR_S / 2]
        ).tolist()
        # The sender may be away at either end of the window: its last sample before that and the first after count.
        start, end = max(start - 1, 0), end + 1
        step_s = float(after.offset_s[0] - before.offset_s[-1])
        jumps_s = np.diff(self.lag_s[start:end])
        if not jumps_s.size:
            return int(self.sequence[-1]) + 1
        return int(self.sequence[start + 1 + int(np.argmin(np.abs(jumps_s - step_s)))])


def _steady_runs(points: _Points, samples: _Samples) -> list[_Points]:
    """Cut the measurements where the clock stepped; leave out those that neither agree nor are borne out."""
    runs: list[_Points] = []
    for place in range(points.t_s.size):
        point = points[place : place + 1]
        if runs and not runs[-1].steps_to(point):
            runs[-1] = runs[-1].joined(point)
        else:
            runs.append(point)
    sure = max(runs, key=lambda run: run.t_s.size)
    kept: list[_Points] = []
    for run in runs:
        reference = kept[-1] if kept else sure
        if kept and not kept[-1].steps_to(run):
            kept[-1] = kept[-1].joined(run)
        elif run is sure or run.t_s.size >= SURE_RUN or samples.bear_out(run, reference):
            kept.append(run)
    return kept


def _fitted(points: _Points, from_sequence: int) -> ClockPiece:
    used = points.good()
    reference = float(np.median(used.t_s))
    level, drift = float(np.median(used.offset_s)), 0.0
    residual = used.offset_s - level
    if used.t_s.size >= MIN_POINTS_FOR_DRIFT:
        thinned = slice(None, None, -(-used.t_s.size // MAX_POINTS_FOR_DRIFT))
        slope, level_at_zero = theil_sen(used.offset_s[thinned], used.t_s[thinned] - reference)
        of_line = used.offset_s - (level_at_zero + slope * (used.t_s - reference))
        is_long = np.ptp(used.t_s) >= MIN_SPAN_FOR_DRIFT_S
        if is_long or np.abs(of_line).max() < FAR_BETTER * np.abs(residual).max():
            drift, level, residual = slope, level_at_zero, of_line
    return ClockPiece(
        from_sequence=from_sequence,
        offset_s=level,
        drift=drift,
        t_reference_s=reference,
        n_points=int(used.t_s.size),
        residual_s=float(np.abs(residual).max()),
    )

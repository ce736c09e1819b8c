"""A validation as it runs: which point is shown, when its gaze counts, what came of it. No Qt, no threads.

Whoever shows the points calls `ValidationRun.shown` when a point is on the screen, `feed` with the gaze that arrives,
and `tick` now and then; the run says which point is next and when it is over. Nothing waits for a reader who does not
look: every point has its time-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gazecapture.screen.measures import (
    EyeSamples,
    EyeSummary,
    Light,
    PointMeasure,
    light_of,
    measure_point,
    summarise,
)
from gazecapture.screen.targets import Target
from keyframes.geometry import Display

__all__ = ["Timing", "ValidationResult", "ValidationRun"]

KEPT_NS = 10_000_000_000
"""ns of gaze kept while a point is shown; more than any point's time-out."""
RATE_SAMPLES = 50
"""Samples from which the tracker's rate is taken; fewer say nothing of what should have come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a point is shown, s. Defaults: 9 points in 13 s for a reader who looks, 32 s for one who does not."""

    settle_s: float = 1.0
    """For the eye to get there and the target to shrink; the custom of validation programs is about a second."""
    window_s: float = 0.4
    """Of gaze that counts."""
    timeout_s: float = 3.5
    """After which the newest window counts, steady or not."""
    steady_sd_px_share: float = 0.02
    """Of the screen's width: gaze that scatters more within a window (an eye still on its way) does not count yet.
    About 0.7 degrees at a desk, several times the noise of any tracker in use."""
    steady_loss_share: float = 0.5
    """A window with more loss does not count yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """What a validation measured."""

    t_start_ns: int
    """Session clock, first point shown."""
    t_end_ns: int
    points: tuple[PointMeasure, ...]
    """One per point and eye; of a point that was repeated the last."""
    eyes: tuple[EyeSummary, ...]
    timed_out: frozenset[int]
    """Indexes of points whose time ran out."""

    @property
    def light(self) -> Light:
        """What it says as a whole."""
        return light_of(self.eyes)

    @property
    def worst_point(self) -> int | None:
        """Index of the point that it would help most to repeat; None where no point was measured."""
        both = [p for p in self.points if p.eye == "both"] or list(self.points)
        lost = [p for p in both if not np.isfinite(p.gaze_x_screen_px)]
        if lost:
            return lost[0].target.index
        if not both:
            return None
        return max(both, key=lambda p: float(np.hypot(*p.offset_screen_px))).target.index


class ValidationRun:
    """One validation, or one drift check where there is one target.

    Parameters
    ----------
    targets : in the order in which they are shown.
    display : the screen; without its size and distance there are no degrees in the result.
    """

    def __init__(self, targets: Sequence[Target], display: Display, *, timing: Timing | None = None) -> None:
        self._targets = list(targets)
        self._display = display
        self._timing = timing or Timing()
        self._waiting = list(targets)
        self._parts: list[EyeSamples] = []
        self._measured: dict[int, tuple[PointMeasure, ...]] = {}
        self._timed_out: set[int] = set()
        self._shown_ns: int | None = None
        self._t_start_ns: int | None = None
        self._t_end_ns = 0

    @property
    def target(self) -> Target | None:
        """The point to look at now; None when all are measured."""
        return self._waiting[0] if self._waiting else None

    @property
    def is_over(self) -> bool:
        """Say whether every point was measured or ran out of time."""
        return not self._waiting

    @property
    def n_done(self) -> int:
        """Points that are through."""
        return len(self._targets) - len(self._waiting)

    def shown(self, t_ns: int) -> None:
        """Say that the current point is on the screen since ``t_ns``; what was seen before does not count for it."""
        if self._t_start_ns is None:
            self._t_start_ns = t_ns
        self._shown_ns = t_ns

    def progress(self, now_ns: int) -> float:
        """Return how far the eye's time to settle is over, 0 to 1; the target shrinks by it."""
        if self._shown_ns is None:
            return 0.0
        return float(np.clip((now_ns - self._shown_ns) / 1e9 / self._timing.settle_s, 0.0, 1.0))

    def feed(self, samples: EyeSamples) -> None:
        """Take gaze that has arrived."""
        if samples.t_ns.size:
            self._parts.append(samples)
            oldest_ns = int(samples.t_ns[-1]) - KEPT_NS
            self._parts = [part for part in self._parts if part.t_ns[-1] >= oldest_ns]

    def tick(self, now_ns: int) -> bool:
        """Go on by the clock; return True when the current point has just been finished."""
        target = self.target
        if target is None or self._shown_ns is None:
            return False
        timing = self._timing
        is_late = now_ns - self._shown_ns >= round(timing.timeout_s * 1e9)
        gaze = EyeSamples.join(self._parts)
        # Gaze arrives a little late: a window ends at what is here, so that its end is never taken for loss.
        end_ns = int(gaze.t_ns[-1]) + 1 if gaze.t_ns.size and not is_late else now_ns
        start_ns = end_ns - round(timing.window_s * 1e9)
        if start_ns < self._shown_ns + round(timing.settle_s * 1e9) and not is_late:
            return False
        window = gaze.between(start_ns, end_ns)
        measured = measure_point(target, window, self._display, n_expected=self._n_expected(gaze))
        if not is_late and not self._is_steady(window, measured):
            return False
        if is_late:
            self._timed_out.add(target.index)
        self._measured[target.index] = measured
        self._waiting.pop(0)
        self._shown_ns = None
        self._t_end_ns = now_ns
        return True

    def repeat(self, index: int) -> None:
        """Measure one point again, after all others. Raises KeyError for a point that this run does not have."""
        target = {target.index: target for target in self._targets}[index]
        self._measured.pop(index, None)
        self._timed_out.discard(index)
        if target not in self._waiting:
            self._waiting.append(target)

    def result(self) -> ValidationResult:
        """Return what was measured so far."""
        points = tuple(point for target in self._targets for point in self._measured.get(target.index, ()))
        return ValidationResult(
            t_start_ns=self._t_start_ns or 0,
            t_end_ns=self._t_end_ns,
            points=points,
            eyes=summarise(points, knows_degrees=self._display.knows_degrees),
            timed_out=frozenset(self._timed_out),
        )

    def _n_expected(self, gaze: EyeSamples) -> int:
        if gaze.t_ns.size < RATE_SAMPLES:
            return 0
        interval_ns = float(np.median(np.diff(gaze.t_ns)))
        return 0 if interval_ns <= 0 else int(self._timing.window_s * 1e9 / interval_ns)

    def _is_steady(self, window: EyeSamples, measured: Sequence[PointMeasure]) -> bool:
        """Say whether the gaze rests: whatever eye the tracker sees best decides."""
        limit_px = self._timing.steady_sd_px_share * self._display.width_px
        for point in measured:
            if point.loss_share > self._timing.steady_loss_share:
                continue
            x, y = window.x_screen_px[point.eye], window.y_screen_px[point.eye]
            if np.hypot(np.nanstd(x), np.nanstd(y)) <= limit_px:
                return True
        return False

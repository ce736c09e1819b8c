"""A validation or drift check as the reader goes through it: pages, keys, what is journaled. No Qt."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gazecapture.screen.measures import EyeSamples, Light
from gazecapture.screen.policy import SittingQuality, Step
from gazecapture.screen.targets import Rect, Target, centre_target, validation_targets
from gazecapture.screen.validation import Timing, ValidationResult, ValidationRun
from gazecapture.session.validations import BASELINE_DETAIL, Row, Trigger, note_row, result_rows
from keyframes.geometry import Display

__all__ = ["GazeCheck", "Key", "Page"]

BASELINE_S = 15.0
"""s of the fixation cross for the pupil's baseline; REFLACX shows it as long."""
GREEN_STAYS_S = 1.2
"""s that a green result is shown before the sitting goes on by itself."""
DRIFT_SETTLE_S, DRIFT_TIMEOUT_S = 0.7, 2.5
"""s at most. The eye is near the centre already, and the check comes before every film."""


class Page(enum.Enum):
    """What the reader sees."""

    INTRODUCTION = "what is going to happen; any key begins"
    BASELINE = "a cross to rest the eyes on, for the pupil's baseline"
    TARGETS = "points to look at"
    RESULT = "how far off the gaze was"
    CALIBRATION = "the screen belongs to the tracker's own program"
    REASON = "why to go on after a red result"
    DONE = "nothing: the check is over"


class Key(enum.Enum):
    """What the reader may ask for."""

    GO_ON = "go on"
    REPEAT_POINT = "measure the worst point again"
    AGAIN = "measure all points again"
    CALIBRATE = "run the tracker's calibration"
    OVERRIDE = "go on in spite of a red result"


class GazeCheck:
    """One check. The screen calls `shown`, `feed` and `tick`, and draws what `page` says.

    Parameters
    ----------
    step            : validate or drift.
    area            : where points may be, screen px.
    sitting         : is told the result.
    write           : takes journal rows.
    seed            : of the points.
    timing          : of a validation's points; a drift check's point has less time.
    can_calibrate   : a calibration command is configured; `CALIBRATE` then leads to `Page.CALIBRATION`.
    is_attended     : False where a simulated reader reads: nobody is asked anything.
    with_baseline   : begin with the pupil's baseline.
    """

    def __init__(
        self,
        *,
        step: Step,
        trigger: Trigger,
        area: Rect,
        display: Display,
        sitting: SittingQuality,
        write: Callable[[Sequence[Row]], None],
        seed: int,
        timing: Timing | None = None,
        can_calibrate: bool = False,
        is_attended: bool = True,
        with_baseline: bool = False,
    ) -> None:
        self.step, self.trigger = step, trigger
        self.can_calibrate = can_calibrate
        self._area, self._display, self._sitting, self._write = area, display, sitting, write
        self._timing = timing or Timing()
        self._random = np.random.default_rng(seed)
        self._is_attended = is_attended
        self._with_baseline = with_baseline
        self._since_ns: int | None = None
        self.run = self._new_run()
        self.result: ValidationResult | None = None
        self.page = Page.INTRODUCTION if is_attended and step == "validate" else self._first_page()

    @property
    def target(self) -> Target | None:
        """The point to draw; None on other pages."""
        return self.run.target if self.page is Page.TARGETS else None

    @property
    def keys(self) -> tuple[Key, ...]:
        """What the reader may ask for on this page."""
        if self.page is Page.INTRODUCTION:
            return (Key.GO_ON,)
        if self.page is not Page.RESULT or self.result is None:
            return ()
        go_on = Key.OVERRIDE if self._sitting.is_blocked else Key.GO_ON
        calibrate = (Key.CALIBRATE,) if self.can_calibrate else ()
        return (go_on, Key.REPEAT_POINT, Key.AGAIN, *calibrate)

    def press(self, key: Key) -> None:
        """Do what the reader asks for; a key that this page does not offer does nothing."""
        if key not in self.keys:
            return
        if self.page is Page.INTRODUCTION:
            self._turn_to(self._first_page())
        elif key is Key.GO_ON:
            self._turn_to(Page.DONE)
        elif key is Key.OVERRIDE:
            self._turn_to(Page.REASON)
        elif key is Key.CALIBRATE:
            self._turn_to(Page.CALIBRATION)
        elif key is Key.AGAIN:
            self.run = self._new_run()
            self._turn_to(Page.TARGETS)
        elif self.result is not None and self.result.worst_point is not None:
            self.repeat_point(self.result.worst_point)

    def repeat_point(self, index: int) -> None:
        """Measure one point of a shown result again."""
        if self.page is Page.RESULT:
            self.run.repeat(index)
            self._turn_to(Page.TARGETS)

    def give_reason(self, reason: str, t_ns: int) -> None:
        """Go on after a red result, for a reason that is journaled; an empty one returns to the result."""
        if self.page is not Page.REASON:
            return
        if not reason.strip():
            self._turn_to(Page.RESULT)
            return
        self._override(reason.strip(), t_ns)

    def calibrated(self, t_ns: int, outcome: str) -> None:
        """Take the end of the tracker's own program, and validate again."""
        if self.page is not Page.CALIBRATION:
            return
        self._write(
            [note_row("calibrated", t_ns=t_ns, validation_id=_new_id(), trigger=self.trigger, detail=outcome)]
        )
        self.run = self._new_run()
        self._turn_to(Page.TARGETS)

    def shown(self, t_ns: int) -> None:
        """Say that the page, or the current point, was painted at ``t_ns``."""
        if self._since_ns is None:
            self._since_ns = t_ns
            if self.page is Page.TARGETS:
                self.run.shown(t_ns)

    def feed(self, samples: EyeSamples) -> None:
        """Take live gaze."""
        self.run.feed(samples)

    def tick(self, now_ns: int) -> bool:
        """Go on by the clock; return True when another page or point is to be shown."""
        if self._since_ns is None:
            return False
        page_s = (now_ns - self._since_ns) / 1e9
        if self.page is Page.TARGETS and self.run.tick(now_ns):
            self._since_ns = None
            if self.run.is_over:
                self._measured(now_ns)
            return True
        if self.page is Page.BASELINE and page_s >= BASELINE_S:
            detail = f"{BASELINE_DETAIL}{self._since_ns}"
            self._write(
                [
                    note_row(
                        "baseline", t_ns=now_ns, validation_id=_new_id(), trigger=self.trigger, detail=detail
                    )
                ]
            )
            self._turn_to(Page.TARGETS)
            return True
        if self.page is Page.RESULT and page_s >= GREEN_STAYS_S and self._goes_on_by_itself():
            self._turn_to(Page.DONE)
            return True
        return False

    def _first_page(self) -> Page:
        return Page.BASELINE if self._with_baseline and self.step == "validate" else Page.TARGETS

    def _turn_to(self, page: Page) -> None:
        self.page, self._since_ns = page, None

    def _new_run(self) -> ValidationRun:
        if self.step == "drift":
            return ValidationRun((centre_target(self._area),), self._display, timing=_at_most(self._timing))
        seed = int(self._random.integers(2**32))
        targets = validation_targets(self._area, seed=seed)
        return ValidationRun(targets, self._display, timing=self._timing)

    def _measured(self, now_ns: int) -> None:
        result = self.result = self.run.result()
        is_drift = self.step == "drift"
        self._write(
            result_rows(result, validation_id=_new_id(), trigger=self.trigger, is_drift_check=is_drift)
        )
        if is_drift:
            both = [eye.accuracy_deg for eye in result.eyes if eye.eye == "both" and not result.timed_out]
            self._sitting.drift_checked(both[0] if both and np.isfinite(both[0]) else None)
            self._turn_to(Page.DONE)
            return
        self._sitting.validated(now_ns, result.light)
        if self._sitting.is_blocked and not self._is_attended:
            self._override("nobody is at the window to calibrate", now_ns)
            return
        self._turn_to(Page.RESULT)

    def _override(self, reason: str, t_ns: int) -> None:
        self._write(
            [note_row("override", t_ns=t_ns, validation_id=_new_id(), trigger=self.trigger, detail=reason)]
        )
        self._sitting.overridden()
        self._turn_to(Page.DONE)

    def _goes_on_by_itself(self) -> bool:
        return not self._is_attended or (self.result is not None and self.result.light is Light.GREEN)


def _at_most(timing: Timing) -> Timing:
    """Return the timing of a drift check, which is never slower than that of a validation."""
    return replace(
        timing,
        settle_s=min(timing.settle_s, DRIFT_SETTLE_S),
        timeout_s=min(timing.timeout_s, DRIFT_TIMEOUT_S),
    )


def _new_id() -> str:
    return secrets.token_hex(8)

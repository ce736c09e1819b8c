"""Walks through a reading, fixation by fixation, with the display as it will be at that moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gazecapture.simulation.dictation import Place, Utterance
from gazecapture.simulation.display import DisplayPlan
from gazecapture.simulation.gestures import Gesture
from gazecapture.simulation.oculomotor import Blink, Fixation, Loss, Pso, Saccade, saccade_duration_s
from gazecapture.simulation.schedule import Interval, Schedule
from gazecapture.simulation.style import ReaderStyle
from gazecapture.simulation.targets import TargetSampler
from gazecapture.viewer.model import Action, ViewportState
from keyframes.geometry import Display

__all__ = ["Scanpath", "ScanpathWalker", "idle_point"]

MIN_FIXATION_S, MAX_FIXATION_S = 0.09, 0.9
"""s; shorter looks take nothing in, longer ones are rare outside of zooming."""
FIRST_OF_SENTENCE_S = 0.30
"""s; the first look at a new subject is a long one."""
FIRST_FIXATION_S = (0.35, 0.5)
"""s after image on until the first saccade: the picture must be taken in."""
MERGE_REST_S = 0.25
"""s; a rest of an interval shorter than this is given to the fixation before it."""
LONGEST_STRETCH_S = 0.75
"""s that a fixation may become by such a rest."""
BLINK_S = (0.1, 0.25)
PSO_FROM_DEG = 2.0
"""Smaller saccades have no visible post-saccadic oscillation."""
PSO_DEG_PER_DEG, PSO_DEG = 0.04, (0.12, 0.45)
PSO_S = (0.012, 0.022)
ZOOM_AFTER_S, ZOOM_NOTCH_S, ZOOM_REST_S = 0.12, 0.07, 0.18
"""s: into the fixation before the wheel is turned, per notch, and after the last one."""
WINDOW_AFTER_S = 0.1
LOSS_EVERY_S, LOSS_S = 9.0, (0.006, 0.02)
"""s: mean distance and length of short losses just after a saccade, while the tracker finds the pupil again."""
ONE_EYE_EVERY_S, ONE_EYE_S = 15.0, (0.1, 0.3)
"""s: mean distance and length of losses of one eye."""
LEAVE_AFTER_S = 0.1
"""s the eyes stay after the reader asked for the next study; then they go to the idle point."""
FOREVER_S = 1e6


def idle_point(display: Display) -> tuple[float, float]:
    """Return where the eyes rest between studies, screen px; off the seam of two viewports."""
    return 0.42 * display.width_px, 0.5 * display.height_px


@dataclass(kw_only=True)
class Scanpath:
    """The events of a reading in time order."""

    fixations: tuple[Fixation, ...]
    saccades: tuple[Saccade, ...]
    psos: tuple[Pso, ...]
    blinks: tuple[Blink, ...]
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What the eyes rest on now."""

    viewport_id: int
    image_index: int | None
    x: float
    y: float
    detour: bool = False


@dataclass(kw_only=True)
class ScanpathWalker:
    """Plans the eye events of one reading; one `walk` per walker."""

    style: ReaderStyle
    display: Display
    display_plan: DisplayPlan
    sampler: TargetSampler
    rng: np.random.Generator
    start_screen_px: tuple[float, float]
    _fixations: list[Fixation] = field(default_factory=list)
    _saccades: list[Saccade] = field(default_factory=list)
    _psos: list[Pso] = field(default_factory=list)
    _blinks: list[Blink] = field(default_factory=list)
    _losses: list[Loss] = field(default_factory=list)
    _seen: list[Place] = field(default_factory=list)
    _searched: Place | None = None
    _next_blink_s: float = 0.0

    def walk(self, schedule: Schedule, gestures: Mapping[int, Sequence[Gesture]]) -> Scanpath:
        """Plan the whole reading; the last fixation, at the idle point, has no end."""
        self._next_blink_s = float(self.rng.exponential(self.style.blink_interval_s))
        look = self._first_look()
        landed = 0.0
        utterances = [s.utterance for s in schedule.sentences]
        leave = float(self.rng.uniform(*FIRST_FIXATION_S))
        self._close(look, landed, leave, None)
        for number, interval in enumerate(schedule.intervals):
            about = None if interval.sentence_index is None else utterances[interval.sentence_index]
            leave = self._walk_interval(
                interval, about, list(gestures.get(number, ())), max(leave, interval.t_start_s)
            )
            self._seen.extend(() if about is None else about.places)
        self._leave_for_idling(schedule.duration_s)
        return Scanpath(
            fixations=tuple(self._fixations),
            saccades=tuple(self._saccades),
            psos=tuple(self._psos),
            blinks=tuple(self._blinks),
            losses=tuple(self._losses),
        )

    def _first_look(self) -> _Look:
        x, y = self.start_screen_px
        for v in self.display_plan.viewports:
            if v.rect[0] <= x < v.rect[2] and v.rect[1] <= y < v.rect[3]:
                x_image, y_image = v.screen_to_image().apply(x, y)
                return _Look(
                    viewport_id=v.viewport_id,
                    image_index=v.image.image_index,
                    x=float(x_image),
                    y=float(y_image),
                )
        return _Look(viewport_id=-1, image_index=None, x=x, y=y)

    def _walk_interval(
        self, interval: Interval, about: Utterance | None, gestures: list[Gesture], leave_s: float
    ) -> float:
        """Fill one interval from the saccade at ``leave_s`` on; return when the eyes leave its last target."""
        count = 0
        topic = () if about is None else about.places
        # Who goes by the letters looks at what has the letter, not at what lies over it.
        letter = about.letter if about is not None and self.style.kind == "systematic" else None
        while leave_s < interval.t_end_s - 1e-9:
            now = [g for g in gestures if g.fixation <= count]
            gestures = [g for g in gestures if g.fixation > count]
            place, detour = self._place(topic)
            look, landed = self._jump(leave_s, place, None if detour else letter, detour, now)
            busy = self._during(landed, look, now)
            leave_s = self._end_of_fixation(landed, busy, interval, first=count == 0)
            self._close(look, landed, leave_s, interval.sentence_index)
            count += 1
        return leave_s

    def _place(self, topic: Sequence[Place]) -> tuple[Place, bool]:
        """Choose what to look at next: the topic, a detour, a revisit, or anywhere."""
        rng, style = self.rng, self.style
        shown = [v.image.image_index for v in self.display_plan.viewports]
        if topic and rng.random() >= style.detour_share:
            here = [p for p in topic if p.image_index in shown]
            if here:
                # The first place is what the sentence is about; the others are there for comparison.
                weights = np.array([2.0, *[1.0] * (len(here) - 1)])
                return here[int(rng.choice(len(here), p=weights / weights.sum()))], False
        if not topic and self._seen and rng.random() < style.revisit_share:
            return self._seen[int(rng.integers(len(self._seen)))], False
        others = shown[1:]
        index = shown[0]
        if others and rng.random() < style.prior_share:
            index = int(rng.choice(others))
        self._searched = self.sampler.search_place(index, self._searched)
        return self._searched, bool(topic)

    def _jump(
        self, t: float, place: Place, letter: str | None, detour: bool, gestures: Sequence[Gesture]
    ) -> tuple[_Look, float]:
        """Leave the present target at ``t``; return the new one and when the eyes have landed."""
        plan = self.display_plan
        before = self._on_screen(self._last_look())
        viewport = plan.viewport_of(place.image_index) or plan.viewports[0]
        for gesture in gestures:
            if gesture.kind in ("fit", "one_to_one"):
                self._everywhere(t, gesture.kind, viewport)
        viewport = plan.viewports[viewport.viewport_id]
        point = self.sampler.draw(place, viewport, plan.panels, before, letter)
        if point is None:
            plan.act(t, Action(kind="fit", viewport_id=viewport.viewport_id))
            viewport = plan.viewports[viewport.viewport_id]
            point = self.sampler.draw(place, viewport, plan.panels, before, letter)
        if point is None:  # under a panel as a whole: what is at the middle of the viewport will do
            point = (viewport.x_center_image_px, viewport.y_center_image_px)
        if any(g.kind == "pan" for g in gestures):
            viewport = self._pan_towards(t, viewport, point)
        look = _Look(
            viewport_id=viewport.viewport_id, image_index=viewport.image.image_index, x=point[0], y=point[1],
            detour=detour,
        )  # fmt: skip
        return look, self._move(t, before, self._on_screen(look))

    def _everywhere(self, t: float, kind: str, viewport: ViewportState) -> None:
        """Fit every viewport; one to one only the one looked at."""
        if kind == "fit":
            for v in self.display_plan.viewports:
                self.display_plan.act(t, Action(kind="fit", viewport_id=v.viewport_id))
        else:
            self.display_plan.act(t, Action(kind="one_to_one", viewport_id=viewport.viewport_id))

    def _pan_towards(self, t: float, viewport: ViewportState, point: tuple[float, float]) -> ViewportState:
        """Drag half-way to where the next target would be in the middle."""
        x, y = viewport.image_to_screen().apply(*point)
        x_mid, y_mid = (viewport.rect[0] + viewport.rect[2]) / 2, (viewport.rect[1] + viewport.rect[3]) / 2
        dx, dy = round((x_mid - float(x)) / 2), round((y_mid - float(y)) / 2)
        action = Action(kind="pan", viewport_id=viewport.viewport_id, x=float(dx), y=float(dy))
        self.display_plan.act(t, action)
        return self.display_plan.viewports[viewport.viewport_id]

    def _move(self, t: float, start: tuple[float, float], end: tuple[float, float]) -> float:
        """Add the saccade (or the blink that hides it) and its PSO; return when the fixation begins."""
        if t >= self._next_blink_s:
            length = float(self.rng.uniform(*BLINK_S))
            self._next_blink_s = t + length + float(self.style.blink_interval_s * self.rng.uniform(0.6, 1.4))
            self._blinks.append(
                Blink(
                    t_start_s=t, t_end_s=t + length, x_start_screen_px=start[0], y_start_screen_px=start[1],
                    x_end_screen_px=end[0], y_end_screen_px=end[1],
                )
            )  # fmt: skip
            return t + length
        per_deg_x, per_deg_y = self.display.px_per_deg()
        dx, dy = (end[0] - start[0]) / per_deg_x, (end[1] - start[1]) / per_deg_y
        amplitude = math.hypot(dx, dy)
        landed = t + saccade_duration_s(amplitude)
        self._saccades.append(
            Saccade(
                t_start_s=t, t_end_s=landed, x_start_screen_px=start[0], y_start_screen_px=start[1],
                x_end_screen_px=end[0], y_end_screen_px=end[1], amplitude_deg=amplitude,
            )
        )  # fmt: skip
        if amplitude < PSO_FROM_DEG or self.rng.random() > 0.8:
            return landed
        length = float(self.rng.uniform(*PSO_S))
        swing = float(np.clip(PSO_DEG_PER_DEG * amplitude, *PSO_DEG)) * float(self.rng.uniform(0.7, 1.1))
        self._psos.append(
            Pso(
                t_start_s=landed, t_end_s=landed + length, amplitude_x_deg=swing * dx / amplitude,
                amplitude_y_deg=swing * dy / amplitude,
            )
        )  # fmt: skip
        return landed + length

    def _during(self, landed: float, look: _Look, gestures: Sequence[Gesture]) -> float:
        """Do what is done while the eyes rest; return until when they must."""
        t = landed
        plan, vid = self.display_plan, look.viewport_id
        for gesture in gestures:
            match gesture.kind:
                case "zoom":
                    # About the point looked at: it stays where it is on the screen, and so do the eyes.
                    x, y = self._on_screen(look)
                    t += ZOOM_AFTER_S
                    for _ in range(gesture.notches):
                        plan.act(t, Action(kind="zoom", viewport_id=vid, x=x, y=y, amount=1.0))
                        t += ZOOM_NOTCH_S
                    t += ZOOM_REST_S - ZOOM_NOTCH_S
                case "window":
                    t += WINDOW_AFTER_S
                    state = plan.viewports[vid]
                    for step in (1, 2, 3):
                        width = state.width * (1.0 - 0.12 * step)
                        center = state.center + 0.03 * step * state.width
                        plan.act(t, Action(kind="window", viewport_id=vid, x=center, y=width))
                        t += ZOOM_NOTCH_S
                case "preset":
                    t += WINDOW_AFTER_S
                    count = len(plan.viewports[vid].image.presets)
                    chosen = float(self.rng.integers(1, count)) if count > 1 else 0.0
                    plan.act(t, Action(kind="preset", viewport_id=vid, amount=chosen))
                case "invert":
                    t += WINDOW_AFTER_S
                    plan.act(t, Action(kind="invert", viewport_id=vid))
                case _:
                    pass
        return t

    def _end_of_fixation(self, landed: float, busy_until: float, interval: Interval, *, first: bool) -> float:
        drawn = self.style.fixation_median_s * math.exp(self.style.fixation_log_sd * float(self.rng.normal()))
        length = min(MAX_FIXATION_S, max(MIN_FIXATION_S, drawn))
        if first and interval.sentence_index is not None:
            length = max(length, FIRST_OF_SENTENCE_S)
        end = max(landed + length, busy_until)
        rest = interval.t_end_s - end
        if rest < MERGE_REST_S:
            if rest >= 0.0 and interval.t_end_s - landed > LONGEST_STRETCH_S:
                return landed + (interval.t_end_s - landed) / 2
            # A fixation under way when the interval ends is cut there, unless it has only just begun.
            return max(interval.t_end_s, landed + MIN_FIXATION_S, busy_until)
        return end

    def _close(self, look: _Look, landed: float, leave_s: float, sentence_index: int | None) -> None:
        """Add the fixation, and the tracker's losses that fall into it."""
        self._fixations.append(
            Fixation(
                t_start_s=landed, t_end_s=leave_s, viewport_id=look.viewport_id, image_index=look.image_index,
                x=look.x, y=look.y, sentence_index=sentence_index, detour=look.detour,
            )
        )  # fmt: skip
        length = leave_s - landed
        if self.rng.random() < length / LOSS_EVERY_S and length > 0.15:
            gone = float(self.rng.uniform(*LOSS_S))
            start = landed + float(self.rng.uniform(0.02, 0.2)) * length
            self._losses.append(Loss(t_start_s=start, t_end_s=start + gone, eye="both"))
        elif self.rng.random() < length / ONE_EYE_EVERY_S:
            eye = "left" if self.rng.random() < 0.5 else "right"
            gone = float(self.rng.uniform(*ONE_EYE_S))
            self._losses.append(Loss(t_start_s=landed, t_end_s=landed + gone, eye=eye))

    def _leave_for_idling(self, duration_s: float) -> None:
        last = self._fixations[-1]
        leave = max(duration_s, last.t_end_s) + LEAVE_AFTER_S
        look = self._last_look()
        self._fixations[-1] = Fixation(
            t_start_s=last.t_start_s, t_end_s=leave, viewport_id=last.viewport_id, image_index=last.image_index,
            x=last.x, y=last.y, sentence_index=last.sentence_index, detour=last.detour,
        )  # fmt: skip
        self._next_blink_s = FOREVER_S
        landed = self._move(leave, self._on_screen(look), self.start_screen_px)
        x, y = self.start_screen_px
        self._fixations.append(
            Fixation(
                t_start_s=landed,
                t_end_s=FOREVER_S,
                viewport_id=-1,
                image_index=None,
                x=x,
                y=y,
                sentence_index=None,
            )
        )

    def _last_look(self) -> _Look:
        f = self._fixations[-1]
        return _Look(viewport_id=f.viewport_id, image_index=f.image_index, x=f.x, y=f.y)

    def _on_screen(self, look: _Look) -> tuple[float, float]:
        if look.viewport_id < 0:
            return look.x, look.y
        x, y = self.display_plan.viewports[look.viewport_id].image_to_screen().apply(look.x, look.y)
        return float(x), float(y)

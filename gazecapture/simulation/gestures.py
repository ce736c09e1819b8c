"""What the reader does to the display, and during which sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gazecapture.simulation.schedule import Schedule
from gazecapture.viewer.model import ImageView

__all__ = ["Gesture", "GestureKind", "plan_gestures"]

GestureKind = Literal["zoom", "pan", "one_to_one", "fit", "window", "preset", "invert"]

NOTCHES = (3, 7)
"""Wheel notches of one zoom gesture, half open; 2**(1/4) each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """One intention: at the earliest at this look of its interval."""

    kind: GestureKind
    fixation: int
    """0-based fixation of the interval; geometry changes but zoom happen at the saccade that leads to it."""
    notches: int = 0


def plan_gestures(
    schedule: Schedule, images: Sequence[ImageView], rng: np.random.Generator
) -> Mapping[int, tuple[Gesture, ...]]:
    """Return the gestures by place in ``schedule.intervals``.

    Every reading has a zoom (into a lesion where one is dictated) with a fit after it, and one or two of: pan,
    one to one, window, preset, invert.
    """
    plan: dict[int, list[Gesture]] = {}
    spoken = [
        (place, schedule.sentences[i.sentence_index])
        for place, i in enumerate(schedule.intervals)
        if i.sentence_index is not None
    ]
    if not spoken:
        return {}
    ill = [p for p, s in spoken if s.utterance.lesion is not None and s.utterance.lesion.present]
    zoomed = int(rng.choice(ill or [p for p, _ in spoken]))
    plan[zoomed] = [Gesture(kind="zoom", fixation=1, notches=int(rng.integers(*NOTCHES)))]
    if rng.random() < 0.6:
        plan[zoomed].append(Gesture(kind="pan", fixation=3))
    plan.setdefault(zoomed + 1, []).append(Gesture(kind="fit", fixation=0))
    others = [p for p, _ in spoken if p not in (zoomed, zoomed + 1)]
    rng.shuffle(others)
    n_presets = max(len(image.presets) for image in images)
    choices: list[GestureKind] = ["window", "one_to_one", "preset" if n_presets > 1 else "invert"]
    for place, kind in zip(others[:2], rng.permutation(choices).tolist(), strict=False):
        plan.setdefault(place, []).append(Gesture(kind=kind, fixation=1))
        if kind == "one_to_one":
            plan.setdefault(place + 1, []).insert(0, Gesture(kind="fit", fixation=0))
        elif kind == "invert":
            plan[place].append(Gesture(kind="invert", fixation=4))
    return {place: tuple(sorted(g, key=lambda x: x.fixation)) for place, g in plan.items()}

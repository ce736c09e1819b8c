"""The same examples with the gaze taken away or exchanged: what tells whether gaze taught anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from examples.gazex.tasks.example import Example, Frame
from examples.gazex.tasks.names import GAZE_OUT

__all__ = ["GazeControl", "with_gaze"]

GazeControl = Literal["own", "none", "other_image", "shuffled_time"]
_NEEDS_ORDER = ("order_global", "order_by_finding")


def with_gaze(examples: Sequence[Example], control: GazeControl, seed: int) -> list[Example]:
    """Return the examples of one split under a control.

    none          : frames and gaze maps are taken away; tasks whose answer is gaze are left out.
    other_image   : the frames of an example light what another reading's reader looked at in the same task.
    shuffled_time : the frames are those of another moment of the same reading.

    Texts stay what they are. Exchanged frames are lit anew, so the pictures must be rendered, not stored.
    """
    if control == "own":
        return list(examples)
    if control == "none":
        return [
            replace(e, frames=(), focus=())
            for e in examples
            if e.task not in GAZE_OUT and e.task not in _NEEDS_ORDER
        ]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        if example.frames:
            within = example.reading_id if control == "shuffled_time" else ""
            groups[example.task, within].append(place)
    result = list(examples)
    for (task, within), places in sorted(groups.items()):
        rng = np.random.default_rng([seed, *task.encode(), *within.encode()])
        if control == "shuffled_time" and len(places) == 1:
            example = examples[places[0]]
            mixed = [example.frames[k] for k in rng.permutation(len(example.frames))]
            result[places[0]] = replace(example, frames=tuple(mixed), focus=())
            continue
        for place, other in zip(places, _deranged(examples, places, rng, control), strict=True):
            result[place] = replace(
                examples[place], frames=_as_many(examples[other].frames, examples[place], rng), focus=()
            )
    return result


def _deranged(
    examples: Sequence[Example], places: Sequence[int], rng: np.random.Generator, control: GazeControl
) -> list[int]:
    """Return for every place another one: of another reading, or of another time, where there is any."""
    by_reading: dict[str, list[int]] = defaultdict(list)
    for place in places:
        by_reading[examples[place].reading_id].append(place)
    names = list(by_reading)
    chosen = []
    for place in places:
        pool: Sequence[int] = places
        if control == "other_image":
            # Names beside the own one, found by one draw: there may be hundreds of thousands.
            own = examples[place].reading_id
            at = int(rng.integers(len(names) - 1)) if len(names) > 1 else 0
            name = names[at] if names[at] != own else names[-1]
            pool = by_reading[name]
        others = [other for other in pool if other != place]
        chosen.append(others[int(rng.integers(len(others)))] if others else place)
    return chosen


def _as_many(frames: Sequence[Frame], example: Example, rng: np.random.Generator) -> tuple[Frame, ...]:
    """Return as many frames as the example has, so that their number tells nothing."""
    chosen = rng.choice(len(frames), size=len(example.frames), replace=len(frames) < len(example.frames))
    return tuple(replace(frames[k], stored=None) for k in chosen)

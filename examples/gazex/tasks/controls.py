"""The same examples with the gaze taken away or exchanged: what tells whether gaze taught anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from examples.gazex.tasks.example import Example, Frame
from examples.gazex.tasks.names import CLIPS, GAZE_OUT

__all__ = ["GazeControl", "with_gaze"]

GazeControl = Literal["own", "none", "other_image", "shuffled_time"]
_NEEDS_ORDER = ("order_global", "order_by_finding")


def with_gaze(examples: Sequence[Example], control: GazeControl, seed: int) -> list[Example]:
    """Return the examples of one split under a control.

    none          : frames and gaze maps are taken away; tasks whose answer is gaze are left out.
    other_image   : the frames of an example light what another reading's reader looked at in the same task.
    shuffled_time : the frames are those of any moment of the same reading, its own as likely as another: where a
    reading has two clips, leaving the own one out would tell which it was.

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
            # Clips of a reading are one pool, whatever is asked of them.
            kind = "clip" if within and example.task in CLIPS else example.task
            groups[kind, within].append(place)
    # Attention is taught by no gaze at all then: that of words whose frames were exchanged would be another's.
    result = [replace(e, focus=()) for e in examples]
    for (task, within), places in sorted(groups.items()):
        rng = np.random.default_rng([seed, *task.encode(), *within.encode()])
        if control == "shuffled_time" and len(places) == 1:
            example = examples[places[0]]
            mixed = [example.frames[k] for k in rng.permutation(len(example.frames))]
            result[places[0]] = replace(example, frames=tuple(mixed), focus=())
            continue
        for place, other in zip(places, _exchanged(examples, places, rng, control), strict=True):
            result[place] = replace(
                examples[place], frames=_instead(examples[other].frames, examples[place], rng), focus=()
            )
    return result


def _exchanged(
    examples: Sequence[Example], places: Sequence[int], rng: np.random.Generator, control: GazeControl
) -> list[int]:
    """Return for every place the one whose gaze it gets: of another reading, or of any time of its own."""
    if control == "shuffled_time":
        return [places[int(k)] for k in rng.integers(len(places), size=len(places))]
    by_reading: dict[str, list[int]] = defaultdict(list)
    for place in places:
        by_reading[examples[place].reading_id].append(place)
    names = list(by_reading)
    chosen = []
    for place in places:
        # Names beside the own one, found by one draw: there may be hundreds of thousands.
        own = examples[place].reading_id
        at = int(rng.integers(len(names) - 1)) if len(names) > 1 else 0
        name = names[at] if names[at] != own else names[-1]
        pool = [other for other in by_reading[name] if other != place]
        chosen.append(pool[int(rng.integers(len(pool)))] if pool else place)
    return chosen


def _instead(frames: Sequence[Frame], example: Example, rng: np.random.Generator) -> tuple[Frame, ...]:
    """Return frames of another example in place of an example's own.

    All of them as they are: the number of the own ones would still tell of its gaze. Where an order is asked for, as
    many as the question says.
    """
    chosen: Sequence[int] = range(len(frames))
    if example.task in _NEEDS_ORDER:
        n = len(example.frames)
        chosen = rng.choice(len(frames), size=n, replace=len(frames) < n).tolist()
    return tuple(replace(frames[k], stored=None) for k in chosen)

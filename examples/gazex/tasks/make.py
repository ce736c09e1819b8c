"""All examples of a reading: the gaze tasks, report, grounding, questions, inspection."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from examples.gazex.config import TaskSettings
from examples.gazex.data.rows import Row
from examples.gazex.errors import TrainerError
from examples.gazex.tasks.example import Box, Example, Focus, Frame, Piece, Text, at_most, plain_text
from examples.gazex.tasks.reading import Reading

__all__ = ["examples_of", "inspection_steps", "load_prompts", "shuffled_order"]

MIN_ORDERED, MAX_ORDERED = 2, 16
"""Frames of an order task; one alone has no order, of more so many are chosen, or as many as can be shown."""
PIECES_OF_LOOK = 4
"""Its number, letter, level, and what parts it from the next."""
UNKNOWN_LETTER = "-"
"""Of a frame whose region or place the shards do not know."""
MARKED_WITHIN_NS = 1_000_000_000
"""A mark so soon after a sentence is of what it was about: shorter than any pause in which another could be said."""
BOX_FREE_LABEL = "No Finding"


@cache
def load_prompts(version: str) -> Mapping[str, str]:
    """Return the questions of a version. Raises TrainerError (GX-PROMPTS) for an unknown one."""
    content = tomllib.loads((Path(__file__).parent.parent / "prompts.toml").read_text(encoding="utf-8"))
    if version not in content:
        raise TrainerError(
            f"there are no prompts {version!r}", code="GX-PROMPTS", hint=f"Known: {', '.join(content)}."
        )
    return dict(content[version])


def examples_of(row: Row, settings: TaskSettings, max_frames: int = MAX_ORDERED) -> list[Example]:
    """Return every example of a row of the tasks that have a weight, in a fixed order; none without a picture.

    max_frames : how many a model is shown; no more are asked to be put in order.
    """
    reading = Reading(row)
    if reading.image is None:
        return []
    maker = _Maker(reading, settings, max_frames)
    return [
        example
        for task, make in _TASKS.items()
        if settings.weights.get(task, 0.0) > 0
        for example in make(maker)
    ]


def shuffled_order(n: int, *key: str | int) -> list[int]:
    """Return a seeded permutation: ``order[k]`` is the frame shown k-th.

    Any order is as likely as any other, the right one too: were it left out, two frames would need no look.
    """
    rng = np.random.default_rng([*"".join(map(str, key)).encode(), n])
    return [int(k) for k in rng.permutation(n)]


def inspection_steps(reading: Reading, limit: int) -> list[tuple[str, str, Box]]:
    """Return letter, region and box of each step: looks at one letter in a row are one step, named by the longest."""
    runs: list[list[Mapping[str, Any]]] = []
    for step in sorted(reading.row["trajectory"] or (), key=lambda s: int(s["order"])):
        if step["letter"] is None or step["region"] not in reading.region_boxes:
            continue
        if runs and runs[-1][-1]["letter"] == step["letter"]:
            runs[-1].append(step)
        else:
            runs.append([step])
    longest = [max(run, key=lambda s: float(s["dwell_s"] or 0.0)) for run in runs]
    return [(s["letter"], s["region"], reading.region_boxes[s["region"]][1]) for s in longest[:limit]]


def _order(frames: Sequence[Frame], shown: Sequence[int]) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return what frames show in an order, number, letter and level each, and their places in the reading."""
    looks: list[Piece] = []
    places: list[Piece] = []
    for number, original in enumerate(shown, start=1):
        frame = frames[original]
        # By its number a model finds the frame: which of them comes next else only the length so far tells.
        looks += [str(number), frame.letter or UNKNOWN_LETTER, frame.level or UNKNOWN_LETTER, " "]
        places += [str(original + 1), ", "]
    return tuple(looks[:-1]), tuple(places[:-1])


def _counting(looks: Sequence[Piece], places: Sequence[Piece]) -> frozenset[int]:
    """Return the pieces of an order, its looks and its places, that only number or part the others."""
    numbers = range(0, len(looks), PIECES_OF_LOOK)
    spaces = range(PIECES_OF_LOOK - 1, len(looks), PIECES_OF_LOOK)
    colon_and_commas = range(len(looks), len(looks) + 1 + len(places), 2)
    return frozenset([*numbers, *spaces, *colon_and_commas])


class _Maker:
    """Makes the examples of one reading."""

    def __init__(self, reading: Reading, settings: TaskSettings, max_frames: int) -> None:
        self.reading, self.settings = reading, settings
        self.max_ordered = min(MAX_ORDERED, max_frames)
        self.prompts = load_prompts(settings.prompts)
        indication = (reading.row["indication"] or "") if settings.with_indication else ""
        self.anatomy = tuple(
            sorted(reading.region_boxes.values(), key=lambda r: (r[1].x0 - r[1].x1) * (r[1].y1 - r[1].y0))
        )
        self.indication = f"Indication: {indication}\n" if indication else ""

    def example(
        self,
        task: str,
        answer: Text,
        *,
        number: str | int = 0,
        fields: Mapping[str, str] | None = None,
        prompt: Text | None = None,
        **more: Any,
    ) -> Example:
        reading = self.reading
        if prompt is None:
            prompt = (self.prompts[task].format(indication=self.indication, **(fields or {})),)
        about = {"arm": reading.row["study_arm"], "reader": reading.row["reader_code"]} | more.pop("meta", {})
        return Example(
            example_id=f"{reading.reading_id}-{task}-{number}",
            task=task,
            reading_id=reading.reading_id,
            images=() if reading.image is None else (reading.image,),
            frames=more.pop("frames", ()),
            prompt=prompt,
            answer=answer,
            anatomy=self.anatomy,
            meta=tuple((name, str(value)) for name, value in about.items() if value is not None),
            **more,
        )

    def report_answer(self) -> tuple[Text, tuple[Focus, ...]]:
        sentences = list(self.reading.sentences.items())
        if not sentences:
            return (self.reading.report,), ()
        pieces = tuple(("" if i == 0 else " ") + s["text"] for i, (_, s) in enumerate(sentences))
        focus = (Focus(start=i, points=self.reading.gaze_of(key)) for i, (key, _) in enumerate(sentences))
        return pieces, tuple(f for f in focus if len(f.points))

    def report_from_image(self) -> Iterator[Example]:
        if self.reading.report:
            answer, focus = self.report_answer()
            yield self.example("report_from_image", answer, focus=focus)

    def report_from_gaze(self) -> Iterator[Example]:
        frames = self.reading.frames(self._sentence_frames())
        if frames and self.reading.report:
            answer, focus = self.report_answer()
            yield self.example("report_from_gaze", answer, frames=frames, focus=focus)

    def finding_from_clip(self) -> Iterator[Example]:
        for key, sentence in self.reading.sentences.items():
            shown = [k for k in self.reading.keyframes if k["sentence_id"] == key]
            if shown:
                points = self.reading.gaze_of(key)
                yield self.example(
                    "finding_from_clip",
                    (sentence["text"],),
                    number=key,
                    frames=self.reading.frames(shown),
                    focus=(Focus(start=0, points=points),) if len(points) else (),
                    meta={"labels": "|".join(self._labels(sentence))},
                )

    def pointed_finding(self) -> Iterator[Example]:
        """Ask of a clip which finding it means: where there are several, picture and words leave it open."""
        known = self.reading.presence()
        boxes = {label: box for label, (present, box, _) in known.items() if present and box is not None}
        for key, sentence in self.reading.sentences.items():
            shown = [k for k in self.reading.keyframes if k["sentence_id"] == key]
            labels = self._meant(sentence)
            if shown and len(labels) == 1 and labels[0] in boxes:
                points = self.reading.gaze_of(key)
                others = [box for label, box in boxes.items() if label != labels[0]]
                yield self.example(
                    "pointed_finding",
                    # The place first: gaze tells it, and the place tells what lies there.
                    (boxes[labels[0]], f" {labels[0]}"),
                    number=key,
                    frames=self.reading.frames(shown),
                    constraint="boxes",
                    focus=(Focus(start=0, points=points),) if len(points) else (),
                    meta={"label": labels[0], "others": plain_text(tuple(others))},
                )

    def boxes_from_sentence(self) -> Iterator[Example]:
        for key, sentence in self.reading.sentences.items():
            of_it = [k for k in self.reading.keyframes if k["sentence_id"] == key]
            clues = [b for k in of_it if k["kind"] == "cluster" and (b := self.reading.box(k, point=True))]
            whole = [b for k in of_it if k["kind"] == "holistic" and (b := self.reading.box(k, point=True))]
            if whole:
                answer: Text = (
                    ("clues: ", *clues, " observation: ", whole[0]) if clues else ("observation: ", whole[0])
                )
                yield self.example(
                    "boxes_from_sentence",
                    answer,
                    number=key,
                    fields={"sentence": sentence["text"]},
                    constraint="boxes",
                    meta={"labels": "|".join(self._labels(sentence))},
                )

    def order_global(self) -> Iterator[Example]:
        holistic = [k for k in self.reading.keyframes if k["kind"] == "holistic"]
        yield from self._ordered("order_global", holistic, "all")

    def order_by_finding(self) -> Iterator[Example]:
        for key in self.reading.sentences:
            clusters = [
                k for k in self.reading.keyframes if k["sentence_id"] == key and k["kind"] == "cluster"
            ]
            yield from self._ordered("order_by_finding", clusters, key)

    def _ordered(self, task: str, keyframes: list[dict[str, Any]], key: str) -> Iterator[Example]:
        frames = at_most(self.reading.frames(keyframes), self.max_ordered)
        if len(frames) < MIN_ORDERED:
            return
        for number in range(self.settings.n_shuffles):
            shown = shuffled_order(len(frames), self.reading.reading_id, key, number)
            # First what each frame shows, A to F and how far down: what the order is told by.
            looks, places = _order(frames, shown)
            answer = (*looks, ": ", *places)
            yield self.example(
                task,
                answer,
                given=_counting(looks, places),
                number=f"{key}-{number}",
                fields={"n": str(len(frames))},
                frames=tuple(frames[k] for k in shown),
                frames_alone=True,
                constraint="order",
                n_ordered=len(frames),
                focus=tuple(
                    Focus(start=piece, points=frames[original].points, frame=place)
                    for place, original in enumerate(shown)
                    for piece in (PIECES_OF_LOOK * place + 1, PIECES_OF_LOOK * place + 2)
                ),
            )

    def order_of_looks(self) -> Iterator[Example]:
        """Ask for an order of what was looked at without showing it: what tells the order is learnt by words alone."""
        holistic = [k for k in self.reading.keyframes if k["kind"] == "holistic"]
        frames = at_most(self.reading.frames(holistic), self.max_ordered)
        if len(frames) < MIN_ORDERED:
            return
        before, after = self.prompts["order_of_looks"].split("{looks}")
        for number in range(self.settings.n_shuffles):
            shown = shuffled_order(len(frames), self.reading.reading_id, "looks", number)
            looks, places = _order(frames, shown)
            answer = (*looks, ": ", *places)
            yield self.example(
                "order_of_looks",
                answer,
                given=_counting(looks, places) | frozenset(range(len(looks))),
                number=number,
                prompt=(before, *looks, after),
                constraint="order",
                n_ordered=len(frames),
            )

    def inspection(self) -> Iterator[Example]:
        steps = inspection_steps(self.reading, self.settings.max_steps)
        if steps:
            answer: list[str | Box] = []
            for letter, region, box in steps:
                answer += [f"{'; ' if answer else ''}{letter} {region} ", box]
            yield self.example("inspection", tuple(answer), constraint="steps")

    def grounding(self) -> Iterator[Example]:
        for label, (present, box, source) in sorted(self.reading.presence().items()):
            if present and box is not None:
                yield self.example(
                    "grounding",
                    (box,),
                    number=label,
                    fields={"phrase": label},
                    constraint="boxes",
                    focus=self._looked_for(label),
                    meta={"label": label, "by": source},
                )

    def presence(self) -> Iterator[Example]:
        for label, (present, _, source) in sorted(self.reading.presence().items()):
            if label != BOX_FREE_LABEL:
                yield self.example(
                    "presence",
                    ("yes" if present else "no",),
                    number=label,
                    fields={"label": label},
                    focus=self._looked_for(label) if present else (),
                    meta={"label": label, "by": source},
                )

    def vqa(self) -> Iterator[Example]:
        for number, pair in enumerate(self.reading.row["qa"] or ()):
            yield self.example(
                "vqa",
                (pair["answer"],),
                number=number,
                fields={"question": pair["question"]},
                meta={"type": pair["type"]},
            )

    def _looked_for(self, label: str) -> tuple[Focus, ...]:
        """Return where the reader looked in the sentences that mean a finding."""
        keys = [key for key, s in self.reading.sentences.items() if self._meant(s) == [label]]
        points = [self.reading.gaze_of(key) for key in keys]
        return (Focus(start=0, points=np.concatenate(points)),) if any(map(len, points)) else ()

    def _sentence_frames(self) -> list[dict[str, Any]]:
        return [k for k in self.reading.keyframes if k["sentence_id"] is not None and k["kind"] == "holistic"]

    def _meant(self, sentence: Mapping[str, Any]) -> list[str]:
        """Return the labels that a sentence says or, where it names none, of what was marked right after it."""
        end_ns = int(sentence["t_end_ns"])
        return self._labels(sentence) or [
            f["label"]
            for f in self.reading.row["findings"] or ()
            if f["present"] and f["t_ns"] is not None and 0 <= int(f["t_ns"]) - end_ns <= MARKED_WITHIN_NS
        ]

    def _labels(self, sentence: Mapping[str, Any]) -> list[str]:
        named = {f["finding_id"]: f["label"] for f in self.reading.row["findings"] or () if f["present"]}
        return [named[i] for i in sentence["finding_ids"] or () if i in named]


_TASKS: Mapping[str, Callable[[_Maker], Iterator[Example]]] = {
    "report_from_gaze": _Maker.report_from_gaze,
    "finding_from_clip": _Maker.finding_from_clip,
    "pointed_finding": _Maker.pointed_finding,
    "order_global": _Maker.order_global,
    "order_by_finding": _Maker.order_by_finding,
    "boxes_from_sentence": _Maker.boxes_from_sentence,
    "order_of_looks": _Maker.order_of_looks,
    "inspection": _Maker.inspection,
    "report_from_image": _Maker.report_from_image,
    "grounding": _Maker.grounding,
    "vqa": _Maker.vqa,
    "presence": _Maker.presence,
}

"""The same questions where picture, gaze or training cannot help: what they reach, a model did not learn from those."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from examples.gazex.answer.generate import answers, word_probability
from examples.gazex.data.encode import Encoded, ExampleDataset
from examples.gazex.data.pictures import Grey
from examples.gazex.evaluation.answered import Answered
from examples.gazex.model.processor import Vision
from examples.gazex.model.ready import ReadyModel
from examples.gazex.tasks.example import Box, Example, plain_text

__all__ = ["BlankPictures", "asked", "centre_prior", "constant_order"]

BATCH, BATCH_OF_SMALL = 32, 128
SMALL = 50_000_000
"""Weights below which a model's step takes as long for one answer as for a hundred, and their memory is nothing."""
SLACK = 1.25
"""An answer is cut off where it is so many times as long as the longest right one of its task."""
SURE = 0.5
"""Probability from which a finding counts as said."""


class BlankPictures(ExampleDataset):
    """The same examples with black pictures of the same size: what the words alone give away."""

    def __getitem__(self, place: tuple[int, int | None]) -> Encoded:
        shown = super().__getitem__(place)
        return replace(
            shown,
            images=[self._black(image) for image in shown.images],
            video=None if shown.video is None else self._black(shown.video),
        )

    def _black(self, vision: Vision) -> Vision:
        black: Grey = np.zeros((self.processor.multiple, self.processor.multiple), np.uint8)
        one = self.processor.image(black).patches[:1]
        return Vision(patches=one.expand(len(vision.patches), -1).contiguous(), grid=vision.grid)


def asked(
    ready: ReadyModel, data: ExampleDataset, chosen: Sequence[int], patients: Mapping[str, str]
) -> Iterator[Answered]:
    """Give a model's answers to examples by their place; yes-or-no questions with their probability."""
    batch = BATCH_OF_SMALL if ready.model.num_parameters() < SMALL else BATCH
    yes_or_no = [k for k in chosen if data.examples[k].task == "presence"]
    for first in range(0, len(yes_or_no), batch):
        some = yes_or_no[first : first + batch]
        for place, probability in zip(
            some, word_probability(ready, [data[k, None] for k in some]), strict=True
        ):
            yield _answered(
                data.examples[place], "yes" if probability >= SURE else "no", patients, probability
            )
    by_task: dict[str, list[int]] = defaultdict(list)
    for place in chosen:
        if data.examples[place].task != "presence":
            by_task[data.examples[place].task].append(place)
    for places in by_task.values():
        # An untrained model never ends, and may go on no longer than what it is compared with.
        right = (plain_text(data.examples[k].answer) for k in places)
        longest = max(len(ready.processor.answer_ids(text)) for text in right)
        for place, text in answers(
            ready, data, places, batch_size=batch, max_tokens=round(SLACK * longest) + 1
        ):
            yield _answered(data.examples[place], text, patients)


def constant_order(
    examples: Sequence[Example], chosen: Sequence[int], patients: Mapping[str, str]
) -> Iterator[Answered]:
    """Answer every question for an order with 1, 2, 3 ..."""
    for place in chosen:
        example = examples[place]
        if example.n_ordered:
            yield _answered(example, ", ".join(map(str, range(1, example.n_ordered + 1))), patients)


def centre_prior(
    examples: Sequence[Example],
    chosen: Sequence[int],
    training: Sequence[Example],
    patients: Mapping[str, str],
) -> Iterator[Answered]:
    """Answer every grounding with the mean box of its label in training, of all labels where it has none there.

    A clip that asks which finding is meant gets the mean of all boxes: nothing says of which label it is.
    """
    seen: dict[str, list[Box]] = {}
    for example in training:
        if example.task == "grounding":
            for label in (example.about("label") or "", ""):
                seen.setdefault(label, []).extend(p for p in example.answer if isinstance(p, Box))
    for place in chosen:
        example = examples[place]
        asked_for = example.about("label") if example.task == "grounding" else None
        boxes = seen.get(asked_for or "") or seen.get("")
        if example.task in ("grounding", "pointed_finding") and boxes:
            sides = np.mean([[b.x0, b.y0, b.x1, b.y1] for b in boxes], axis=0).tolist()
            mean = Box(x0=sides[0], y0=sides[1], x1=sides[2], y1=sides[3])
            yield _answered(example, plain_text((mean,)), patients)


def _answered(
    example: Example, text: str, patients: Mapping[str, str], probability: float | None = None
) -> Answered:
    return Answered(example=example, text=text, probability=probability, patient=patients[example.reading_id])

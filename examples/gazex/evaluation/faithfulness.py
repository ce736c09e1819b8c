"""Whether a finding rests on the box that is cited for it: what becomes of it when that box is painted over.

A finding's probability is `YesNo.probability` of "Is there LABEL?". It is asked again with the cited box masked, with
boxes of the same area elsewhere masked (the controls: painting over anything may change an answer), without a picture
(black, of the same size) and on another patient's picture. Faithful is a probability that falls with the cited box and
not with the controls. The fill is the same for all (`masking.FILLS`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from examples.gazex.answer.generate import YesNo, answers, asked, yes_or_no
from examples.gazex.answer.parse import parse_boxes
from examples.gazex.data.encode import Encoded, ExampleDataset
from examples.gazex.evaluation.masking import Fill, PixelBox, control_boxes, masked, to_pixels
from examples.gazex.evaluation.measures import Estimate, bootstrap
from examples.gazex.model.ready import ReadyModel
from examples.gazex.tasks.example import Box, Example

__all__ = ["Cited", "Faithfulness", "Masking", "Tried", "faithfulness", "faithfulness_scores"]

Grey = NDArray[np.uint8]
BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """How boxes are painted over, and with how many controls each is compared."""

    fill: Fill = "surround"
    n_controls: int = 8
    """Flip rates come in steps of an eighth; each costs a question."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A finding that a model says is there, and the box it cites.

    picture : grey, of the model's size (`data.pictures.fitted`); other : another patient's, None where there is none.
    """

    question: str
    picture: Grey
    box: Box
    name: str
    """Seeds this finding's controls, so that they don't depend on what else is asked."""
    other: Grey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A box that was masked (in shares of the picture's sides), and the answer then."""

    box: Box
    answer: YesNo


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness:
    """The answers for one finding; changes are probability as it is less probability then, so above 0 is a fall."""

    whole: YesNo
    cited: Tried
    controls: tuple[Tried, ...]
    """Empty where the cited box leaves no room for any."""
    without_picture: YesNo
    other_patient: YesNo | None

    @property
    def change_cited(self) -> float:
        """Fall of the probability with the cited box masked."""
        return self.whole.probability - self.cited.answer.probability

    @property
    def change_control(self) -> float | None:
        """Mean fall over the controls; None without any."""
        if not self.controls:
            return None
        return fmean(self.whole.probability - tried.answer.probability for tried in self.controls)

    @property
    def flips_cited(self) -> bool:
        """Whether the answer becomes another with the cited box masked."""
        return self.cited.answer.answer != self.whole.answer

    @property
    def flip_rate_control(self) -> float | None:
        """Share of controls with which the answer becomes another; None without any."""
        if not self.controls:
            return None
        return fmean(tried.answer.answer != self.whole.answer for tried in self.controls)


def faithfulness(
    ready: ReadyModel, cited: Sequence[Cited], masking: Masking | None = None
) -> Iterator[Faithfulness]:
    """Give the answers for findings, one by one in order."""
    masking = masking or Masking()
    for one in cited:
        box = to_pixels(one.box, one.picture.shape)
        rng = np.random.default_rng([masking.seed, *one.name.encode()])
        boxes = [box, *control_boxes(one.picture, box, masking.n_controls, rng)]
        pictures = [one.picture, np.zeros_like(one.picture)]
        pictures += [masked(one.picture, b, masking.fill) for b in boxes]
        items = [asked(ready.processor, picture, one.question) for picture in pictures]
        if one.other is not None:
            items.append(asked(ready.processor, one.other, one.question))
        found = [answer for batch in _batches(items) for answer in yes_or_no(ready, batch)]
        height, width = one.picture.shape
        tried = [
            Tried(box=_in_shares(b, width, height), answer=answer)
            for b, answer in zip(boxes, found[2 : 2 + len(boxes)], strict=True)
        ]
        yield Faithfulness(
            whole=found[0],
            without_picture=found[1],
            cited=tried[0],
            controls=tuple(tried[1:]),
            other_patient=found[-1] if one.other is not None else None,
        )


def faithfulness_scores(
    ready: ReadyModel,
    data: ExampleDataset,
    places: Sequence[int],
    patients: Mapping[str, str],
    *,
    masking: Masking | None = None,
    limit: int = 64,
) -> dict[str, Estimate]:
    """Return rows for the table of `evaluate`, by name; intervals over patients.

    data     : the dataset that is evaluated; of ``places`` those count that ground a finding (task grounding).
    patients : patient by reading_id.
    limit    : findings at most, evenly over ``places``; each costs some twelve questions.

    A finding counts where its label is there by the data and the model says yes to it; the box masked is the model's
    own answer to "Where is". Empty where no such finding is among ``places``.
    """
    grounded = [k for k in places if data.examples[k].task == "grounding"]
    if len(grounded) > limit:
        grounded = [grounded[int(k)] for k in np.linspace(0, len(grounded) - 1, limit).round()]
    by_patient: dict[str, list[Faithfulness]] = defaultdict(list)
    cited, owners = [], []
    questions = _presence_questions(data.examples)
    for place, text in answers(ready, data, grounded, batch_size=BATCH):
        boxes = parse_boxes(text).boxes
        question = questions.get((data.examples[place].reading_id, data.examples[place].about("label")))
        if boxes and question is not None:
            cited.append(_cited(data, place, question, boxes[0], places, patients))
            owners.append(patients[data.examples[place].reading_id])
    for owner, found in zip(owners, faithfulness(ready, cited, masking), strict=True):
        if found.whole.answer == "yes":
            by_patient[owner].append(found)
    return {
        f"faithfulness: {name}": bootstrap(kept, _mean)
        for name, value in _MEASURES.items()
        if (kept := _values(by_patient, value))
    }


_MEASURES: Mapping[str, Callable[[Faithfulness], float | None]] = {
    "fall, cited box masked": lambda f: f.change_cited,
    "fall, control boxes masked": lambda f: f.change_control,
    "fall, cited less control": lambda f: (
        None if f.change_control is None else f.change_cited - f.change_control
    ),
    "flips, cited box masked": lambda f: float(f.flips_cited),
    "flips, control boxes masked": lambda f: f.flip_rate_control,
    "still yes without picture": lambda f: float(f.without_picture.answer == "yes"),
    "still yes on another patient's picture": (
        lambda f: None if f.other_patient is None else float(f.other_patient.answer == "yes")
    ),
}


def _values(
    by_patient: Mapping[str, Sequence[Faithfulness]], value: Callable[[Faithfulness], float | None]
) -> dict[str, list[float]]:
    measured = {name: [v for f in found if (v := value(f)) is not None] for name, found in by_patient.items()}
    return {name: values for name, values in measured.items() if values}


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else float("nan")


def _presence_questions(examples: Sequence[Example]) -> dict[tuple[str, str | None], str]:
    """Return the yes-or-no question of every reading and label."""
    return {
        (e.reading_id, e.about("label")): "".join(str(piece) for piece in e.prompt)
        for e in examples
        if e.task == "presence"
    }


def _cited(
    data: ExampleDataset,
    place: int,
    question: str,
    box: Box,
    places: Sequence[int],
    patients: Mapping[str, str],
) -> Cited:
    example = data.examples[place]
    others = [
        data.examples[k]
        for k in places
        if data.examples[k].images and patients[data.examples[k].reading_id] != patients[example.reading_id]
    ]
    rng = np.random.default_rng([*example.example_id.encode()])
    other = others[int(rng.integers(len(others)))] if others else None
    return Cited(
        question=question,
        picture=_picture(data, example),
        box=box,
        name=example.example_id,
        other=None if other is None else _picture(data, other),
    )


def _picture(data: ExampleDataset, example: Example) -> Grey:
    return data.store.get(example.images[0], data.settings.image_max_px, data.processor.multiple)


def _batches(items: Sequence[Encoded]) -> Iterator[Sequence[Encoded]]:
    return (items[first : first + BATCH] for first in range(0, len(items), BATCH))


def _in_shares(box: PixelBox, width: int, height: int) -> Box:
    return Box(x0=box.x0 / width, y0=box.y0 / height, x1=box.x1 / width, y1=box.y1 / height)

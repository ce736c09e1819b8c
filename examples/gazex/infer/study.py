"""One film asked everything that a model was taught: report, places, findings, inspection, questions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from examples.gazex.answer.generate import MAX_TOKENS, Said, answer_probability, asked, generate, yes_or_no
from examples.gazex.answer.grammar import constraint_of
from examples.gazex.answer.parse import parse_boxes, parse_inspection
from examples.gazex.config import Config
from examples.gazex.data.encode import Encoded
from examples.gazex.data.pictures import fitted
from examples.gazex.evaluation.faithfulness import Cited, Faithfulness, Masking, Tried, faithfulness
from examples.gazex.evaluation.masking import FILLS
from examples.gazex.evidence.model import (
    Answer,
    Evidence,
    Faithful,
    Finding,
    Letter,
    Masks,
    ModelNotes,
    Problem,
    Region,
    Report,
    Sentence,
    Step,
    Study,
    Trajectory,
    TriedBox,
)
from examples.gazex.infer.films import Film
from examples.gazex.model.ready import ReadyModel
from examples.gazex.tasks.example import Box
from examples.gazex.tasks.make import load_prompts
from examples.gazex.tasks.names import LABELS

__all__ = ["LETTER_OF_LABEL", "Reader", "sentences_of"]

T = TypeVar("T")
Grey = NDArray[np.uint8]

BATCH = 16
LETTER_OF_LABEL: dict[str, Letter] = {
    "Enlarged Cardiomediastinum": "C", "Cardiomegaly": "C", "Lung Lesion": "B", "Lung Opacity": "B", "Edema": "B",
    "Consolidation": "B", "Pneumonia": "B", "Atelectasis": "B", "Pneumothorax": "B", "Pleural Effusion": "B",
    "Pleural Other": "B", "Fracture": "E", "Support Devices": "F",
}  # fmt: skip
"""Airways, breathing (lungs and pleura), circulation, diaphragm, external (bones, soft tissue), foreign material. No
label of CheXpert's speaks of A or D."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*\n+\s*")


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a report, in order.

    >>> sentences_of("Heart 1.5 times its size. No effusion")
    ['Heart 1.5 times its size.', 'No effusion']
    """
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A model that reads films.

    questions : asked of every film beside all else.
    labels    : asked for as findings.
    """

    ready: ReadyModel
    config: Config
    about: Mapping[str, Any]
    questions: tuple[str, ...] = ()
    labels: tuple[str, ...] = tuple(label for label in LABELS if label in LETTER_OF_LABEL)
    masking: Masking = field(default_factory=Masking)
    max_tokens: int = MAX_TOKENS

    def read(self, film: Film, other: Film | None = None) -> Evidence:
        """Return what the model says of a film; ``other`` is another patient's, for comparison."""
        return _Reading(self, film, other).evidence()

    def picture(self, film: Film) -> Grey:
        """Return a film as the model sees it."""
        return fitted(film.picture, self.config.data.image_max_px, self.ready.processor.multiple)

    def teaches(self, task: str) -> bool:
        """Say whether a task was trained."""
        return self.config.tasks.weights.get(task, 0.0) > 0 and not (
            self.config.data.gaze == "none" and task in ("boxes_from_sentence", "inspection")
        )


class _Reading:
    """The questions on one film, and what could not be read of their answers."""

    def __init__(self, reader: Reader, film: Film, other: Film | None) -> None:
        self.reader, self.film = reader, film
        self.ready = reader.ready
        self.picture = reader.picture(film)
        self.other = None if other is None else reader.picture(other)
        self.prompts = load_prompts(reader.config.tasks.prompts)
        self.problems: list[Problem] = []
        self.n_answers = 0

    def evidence(self) -> Evidence:
        reader, about = self.reader, self.reader.about
        trajectory = self._trajectory()
        report = self._report()
        findings = self._findings(trajectory)
        answers = self._answers()
        height, width = self.picture.shape
        return Evidence(
            study=Study(
                name=self.film.name,
                kind=self.film.kind,
                sha256=self.film.sha256,
                width_px=self.film.width_px,
                height_px=self.film.height_px,
                seen_width_px=width,
                seen_height_px=height,
            ),
            model=ModelNotes(
                family=self.ready.processor.family,
                prompts=reader.config.tasks.prompts,
                steps=about.get("steps"),
                n_readings=about.get("n_readings"),
                tiers=tuple(about.get("tiers") or ()),
                gaze_taught=reader.teaches("boxes_from_sentence"),
            ),
            report=report,
            answers=answers,
            findings=findings,
            trajectory=trajectory,
            masks=Masks(
                fill=reader.masking.fill,
                fill_in_words=FILLS[reader.masking.fill],
                n_controls=reader.masking.n_controls,
                seed=reader.masking.seed,
            ),
            n_answers_read=self.n_answers,
            problems=tuple(self.problems),
        )

    def _question(self, task: str, **fields: str) -> Encoded:
        text = self.prompts[task].format(indication="", **fields)
        return asked(self.ready.processor, self.picture, text)

    def _said(self, task: str, parts: Sequence[str], items: Sequence[Encoded]) -> list[Said]:
        """Return the answers to several questions of a task; whatever was cut off is a problem."""
        said = []
        for some in _batches(items):
            said += generate(
                self.ready, some, [constraint_of(task)] * len(some), max_tokens=self.reader.max_tokens
            )
        self.n_answers += len(said)
        for part, one in zip(parts, said, strict=True):
            if not one.ended:
                self._problem(part, f"cut off after {self.reader.max_tokens} tokens", one.text)
        return said

    def _problem(self, part: str, what: str, answer: str) -> None:
        self.problems.append(Problem(part=part, what=what, answer=answer))

    def _boxes(self, part: str, text: str) -> tuple[Box, ...]:
        parsed = parse_boxes(text)
        for what in parsed.problems:
            self._problem(part, what, text)
        return parsed.boxes

    def _report(self) -> Report | None:
        if not self.reader.teaches("report_from_image"):
            return None
        (said,) = self._said("report_from_image", ["report"], [self._question("report_from_image")])
        sentences = sentences_of(said.text)
        if not sentences:
            self._problem("report", "no words", said.text)
        regions: list[tuple[Region, ...]] = [()] * len(sentences)
        if self.reader.teaches("boxes_from_sentence"):
            parts = [f"sentence {number}" for number, _ in enumerate(sentences, start=1)]
            items = [self._question("boxes_from_sentence", sentence=text) for text in sentences]
            places = self._said("boxes_from_sentence", parts, items)
            regions = [
                self._sentence_regions(part, one.text) for part, one in zip(parts, places, strict=True)
            ]
        return Report(
            text=said.text,
            sentences=tuple(
                Sentence(number=number, text=text, regions=found)
                for number, (text, found) in enumerate(zip(sentences, regions, strict=True), start=1)
            ),
        )

    def _sentence_regions(self, part: str, text: str) -> tuple[Region, ...]:
        """Return clues and observation: the boxes before and after that word, the last one where it is missing."""
        clues, _, observation = text.partition("observation")
        whole = self._boxes(part, observation) if observation else ()
        before = self._boxes(part, clues) if "<|box_start|>" in clues or not observation else ()
        if not observation and before:
            self._problem(part, "no observation is named; the last box is taken for it", text)
            before, whole = before[:-1], before[-1:]
        if len(whole) > 1:
            self._problem(part, f"{len(whole)} observations; the first is kept", text)
        return (
            *(_region(box, "clue") for box in before),
            *(_region(box, "observation") for box in whole[:1]),
        )

    def _trajectory(self) -> Trajectory | None:
        if not self.reader.teaches("inspection"):
            return None
        (said,) = self._said("inspection", ["trajectory"], [self._question("inspection")])
        parsed = parse_inspection(said.text)
        for what in parsed.problems:
            self._problem("trajectory", what, said.text)
        if not parsed.steps and not parsed.problems:
            self._problem("trajectory", "no step", said.text)
        return Trajectory(
            steps=tuple(
                Step(
                    number=number,
                    letter=cast("Letter", step.letter),  # the parser takes no other
                    region_name=step.region,
                    region=_region(step.box, "step"),
                )
                for number, step in enumerate(parsed.steps, start=1)
            )
        )

    def _findings(self, trajectory: Trajectory | None) -> tuple[Finding, ...]:
        labels = self.reader.labels if self.reader.teaches("presence") else ()
        items = [self._question("presence", label=label) for label in labels]
        sure = [one for some in _batches(items) for one in yes_or_no(self.ready, some)]
        said_yes = [label for label, answer in zip(labels, sure, strict=True) if answer.answer == "yes"]
        boxes: dict[str, Box] = {}
        if said_yes and self.reader.teaches("grounding"):
            parts = [f"finding {label}" for label in said_yes]
            asking = [self._question("grounding", phrase=label) for label in said_yes]
            for label, part, one in zip(said_yes, parts, self._said("grounding", parts, asking), strict=True):
                if found := self._boxes(part, one.text):
                    boxes[label] = found[0]
        proven = dict(zip(boxes, self._faithfulness(boxes), strict=True))
        findings = [
            Finding(
                label=label,
                letter=LETTER_OF_LABEL[label],
                probability=answer.probability,
                mass=min(1.0, answer.mass),
                present=answer.answer == "yes",
                region=region,
                steps=_steps_over(trajectory, region),
                faithfulness=_faithful(proven[label]) if label in proven else None,
            )
            for label, answer in zip(labels, sure, strict=True)
            for region in [_region(boxes[label], "finding") if label in boxes else None]
        ]
        return tuple(sorted(findings, key=lambda finding: -finding.probability))

    def _faithfulness(self, boxes: Mapping[str, Box]) -> Iterator[Faithfulness]:
        cited = [
            Cited(
                question=self.prompts["presence"].format(label=label, indication=""),
                picture=self.picture,
                box=box,
                name=f"{self.film.sha256} {label}",
                other=self.other,
            )
            for label, box in boxes.items()
        ]
        return faithfulness(self.ready, cited, self.reader.masking)

    def _answers(self) -> tuple[Answer, ...]:
        questions = self.reader.questions
        items = [self._question("vqa", question=question) for question in questions]
        parts = [f"answer {number}" for number, _ in enumerate(questions, start=1)]
        found = []
        for question, part, item, said in zip(
            questions, parts, items, self._said("vqa", parts, items), strict=True
        ):
            if not said.text:
                self._problem(part, "no words", said.text)
            sure = answer_probability(self.ready, item, said.text)
            found.append(Answer(question=question, text=said.text, probability=sure))
        return tuple(found)


def _region(box: Box, role: Literal["clue", "observation", "finding", "step"]) -> Region:
    by_model = box.point is not None
    return Region(
        role=role,
        box_share=(box.x0, box.y0, box.x1, box.y1),
        centroid_share=box.point or ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2),
        centroid_by="model" if by_model else "box",
    )


def _steps_over(trajectory: Trajectory | None, region: Region | None) -> tuple[int, ...]:
    """Return the steps whose box holds the middle of a finding."""
    if trajectory is None or region is None:
        return ()
    x, y = region.centroid_share
    found = []
    for step in trajectory.steps:
        x0, y0, x1, y1 = step.region.box_share
        if x0 <= x < x1 and y0 <= y < y1:
            found.append(step.number)
    return tuple(found)


def _faithful(found: Faithfulness) -> Faithful:
    return Faithful(
        probability=found.whole.probability,
        cited=_tried(found.cited),
        controls=tuple(map(_tried, found.controls)),
        change_cited=found.change_cited,
        change_control=found.change_control,
        flips_cited=found.flips_cited,
        flip_rate_control=found.flip_rate_control,
        probability_without_picture=found.without_picture.probability,
        probability_other_patient=None if found.other_patient is None else found.other_patient.probability,
    )


def _tried(tried: Tried) -> TriedBox:
    box = tried.box
    return TriedBox(box_share=(box.x0, box.y0, box.x1, box.y1), probability=tried.answer.probability)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[first : first + BATCH] for first in range(0, len(items), BATCH))

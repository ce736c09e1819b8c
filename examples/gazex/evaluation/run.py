"""A trained model on the test split: answers, scores, and the same questions where a picture can't help.

::

    OUT/answers.jsonl     every question's answer beside the right one; no picture, no patient
    OUT/scores.json       every measure with its interval, per control
    OUT/scores.md         the same as a table
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

import numpy as np

from examples.gazex.answer.generate import answers, word_probability
from examples.gazex.config import Config
from examples.gazex.data.encode import Encoded, ExampleDataset
from examples.gazex.data.pictures import Grey
from examples.gazex.data.prepare import SplitExamples, load_split, refuse_shared_patients
from examples.gazex.data.rows import light_rows
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.measures import Estimate
from examples.gazex.evaluation.scores import Answered, scores
from examples.gazex.model.build import small_model
from examples.gazex.model.processor import Vision
from examples.gazex.model.ready import ReadyModel, load_trained
from examples.gazex.tasks.example import Box, Example, plain_text

__all__ = ["CONTROLS", "evaluate"]

CONTROLS = ("model", "untrained", "text only", "centre prior")
"""What is always in the table: the model; its kind without training; the model without any picture; and, where a box is
asked for, the mean box of the same question in training. (A constant order stands beside every order.)"""
BATCH = 16


def evaluate(
    trained: Path, datasets: list[Path], out: Path, *, split: str | None = None, limit: int | None = None
) -> dict[str, dict[str, Estimate]]:
    """Score a model on held-out readings; return measure by name, by control.

    limit : examples of each task at most, evenly over the split.

    Raises TrainerError: GX-LEAK where a patient of the test split is in a training shard, what `load_split` raises.
    """
    ready, config, _ = load_trained(trained)
    refuse_shared_patients(datasets, config)
    held = load_split(datasets, split or config.data.test_split, config)
    patients = _patients(held)
    chosen = _at_most(held.examples, limit)
    data = ExampleDataset(held.examples, held.paths, ready.processor, config.data)
    models = {"model": ready}
    if config.model.path is None:
        models["untrained"] = ReadyModel(
            model=small_model(config.model, ready.processor, config.train.seed).eval(),
            processor=ready.processor,
        )
    results: dict[str, dict[str, Estimate]] = {}
    out.mkdir(parents=True, exist_ok=True)
    with (out / "answers.jsonl").open("w", encoding="utf-8") as file:
        for name, model in models.items():
            results[name] = scores(_noted(_asked(model, data, chosen, patients), name, file))
        blank = _Blank(held.examples, held.paths, ready.processor, config.data)
        results["text only"] = scores(_noted(_asked(ready, blank, chosen, patients), "text only", file))
    training = _training_examples(datasets, config)
    results["centre prior"] = scores(_mean_boxes(held.examples, chosen, training, patients))
    _write(out, results)
    return results


class _Blank(ExampleDataset):
    """The same examples with black pictures of the same size: what the words alone give away."""

    def __getitem__(self, place: tuple[int, int | None]) -> Encoded:
        shown = super().__getitem__(place)
        black: Grey = np.zeros((1, 1), np.uint8)
        return replace(
            shown,
            images=[self._black(image, black) for image in shown.images],
            video=None if shown.video is None else self._black(shown.video, black),
        )

    def _black(self, vision: Vision, black: Grey) -> Vision:
        side = self.processor.multiple
        one = self.processor.image(np.broadcast_to(black, (side, side)).copy()).patches[:1]
        return Vision(patches=one.expand(len(vision.patches), -1).contiguous(), grid=vision.grid)


def _asked(
    ready: ReadyModel, data: ExampleDataset, chosen: Sequence[int], patients: dict[str, str]
) -> Iterator[Answered]:
    sure: dict[int, float] = {}
    yes_or_no = [k for k in chosen if data.examples[k].task == "presence"]
    for first in range(0, len(yes_or_no), BATCH):
        some = yes_or_no[first : first + BATCH]
        sure |= dict(zip(some, word_probability(ready, [data[k, None] for k in some]), strict=True))
    for place, text in answers(ready, data, [k for k in chosen if k not in sure], batch_size=BATCH):
        example = data.examples[place]
        yield Answered(example=example, text=text, patient=patients[example.reading_id])
    for place, probability in sure.items():
        example = data.examples[place]
        yield Answered(
            example=example,
            text="yes" if probability >= 0.5 else "no",
            probability=probability,
            patient=patients[example.reading_id],
        )


def _mean_boxes(
    examples: Sequence[Example], chosen: Sequence[int], training: Sequence[Example], patients: dict[str, str]
) -> Iterator[Answered]:
    """Answer every grounding with the mean box of its label in training, of all labels where it has none there."""
    seen: dict[str, list[Box]] = {}
    for example in training:
        if example.task == "grounding":
            for label in (example.about("label") or "", ""):
                seen.setdefault(label, []).extend(p for p in example.answer if isinstance(p, Box))
    for place in chosen:
        example = examples[place]
        boxes = seen.get(example.about("label") or "") or seen.get("")
        if example.task == "grounding" and boxes:
            sides = np.mean([[b.x0, b.y0, b.x1, b.y1] for b in boxes], axis=0).tolist()
            mean = Box(x0=sides[0], y0=sides[1], x1=sides[2], y1=sides[3])
            yield Answered(example=example, text=plain_text((mean,)), patient=patients[example.reading_id])


def _training_examples(datasets: list[Path], config: Config) -> list[Example]:
    try:
        return load_split(datasets, config.data.train_split, config).examples
    except TrainerError as error:
        if error.code not in {"GX-NO-SHARDS", "GX-EMPTY"}:
            raise
        return []


def _patients(held: SplitExamples) -> dict[str, str]:
    """Return who each reading is of, under the shards' own code: intervals are over patients."""
    return {
        str(row["reading_id"]): str(row["patient_key"] or row["public_patient_id"] or row["reading_id"])
        for row in light_rows(held.paths)
    }


def _at_most(examples: Sequence[Example], limit: int | None) -> list[int]:
    if limit is None:
        return list(range(len(examples)))
    of_task: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        of_task.setdefault(example.task, []).append(place)
    chosen = []
    for places in of_task.values():
        n = min(limit, len(places))
        chosen += [places[int(k)] for k in np.linspace(0, len(places) - 1, n).round()]
    return sorted(chosen)


def _noted(answered: Iterator[Answered], control: str, file: TextIO) -> Iterator[Answered]:
    """Give the answers on, and write each down."""
    for one in answered:
        line = {
            "control": control,
            "example_id": one.example.example_id,
            "task": one.example.task,
            "answer": one.text,
            "right": one.right,
            "probability": one.probability,
        }
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        yield one


def _write(out: Path, results: dict[str, dict[str, Estimate]]) -> None:
    content = {name: {m: asdict(e) for m, e in found.items()} for name, found in results.items()}
    (out / "scores.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    measures = list(dict.fromkeys(m for found in results.values() for m in found))
    lines = [
        "Value and 95 % interval over patients. Controls tell what needs no picture or no training.\n",
        f"| measure | {' | '.join(results)} |",
        f"|---|{'---|' * len(results)}",
        *(f"| {m} | {' | '.join(_cell(found.get(m)) for found in results.values())} |" for m in measures),
    ]
    (out / "scores.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or not np.isfinite(estimate.value):
        return ""
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}, n {estimate.n})"

"""A trained model on the test split: answers, scores, and the same questions where a picture or gaze can't help.

::

    OUT/answers.jsonl     every question's answer beside the right one; no picture, no patient
    OUT/scores.json       every measure with its interval, per control
    OUT/readers.json      findings of every reader and of the model against the majority of readers
    OUT/scores.md         both as tables
    OUT/scores.png        the measures as a picture
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from examples.gazex.config import Config
from examples.gazex.data.prepare import load_split, refuse_shared_patients
from examples.gazex.data.rows import Row
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.answered import Answered
from examples.gazex.evaluation.columns import MODEL, Sitting, Table, filled
from examples.gazex.evaluation.controls import centre_prior, constant_order
from examples.gazex.evaluation.measures import Estimate
from examples.gazex.evaluation.plots import draw_scores
from examples.gazex.evaluation.readers import Counts, against_majority, model_labels, reader_labels
from examples.gazex.evaluation.scores import scores
from examples.gazex.evaluation.tables import write_scores
from examples.gazex.evaluation.vanishing import WITHOUT_LESIONS
from examples.gazex.tasks.example import Example

__all__ = ["evaluate"]


def evaluate(
    trained: Path,
    datasets: list[Path],
    out: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    beside: Mapping[str, Path] | None = None,
    jobs: int = 1,
) -> dict[str, dict[str, Estimate]]:
    """Score a model on held-out readings; return measure by name, by control.

    Always in the table are the model; its kind without training, where it is a small one; the model without any
    picture; where a box is asked for, the mean box of the same question in training; where an order is, 1, 2, 3 ...

    limit  : examples of each task at most, evenly over the split.
    beside : models that were trained otherwise (without gaze, with shuffled gaze), by the name of their column.
    jobs   : processes that answer, each with a model of its own in memory; the answers are the same.

    Readings of arm ``without_lesions`` are no test of their own: they are asked what their twins with lesions show.
    Raises TrainerError: GX-LEAK where a patient of the test split is in a training shard, what `load_split` and
    `filled` raise.
    """
    sitting = Sitting(
        Table(trained=trained, datasets=datasets, split=split, limit=limit, beside=beside or {})
    )
    refuse_shared_patients(datasets, sitting.config)
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Estimate]] = {}
    of_model: Sequence[Answered] = ()
    with (out / "answers.jsonl").open("w", encoding="utf-8") as file:
        for name, column in filled(sitting, jobs):
            _note(column.answered, name, file)
            results[name] = dict(column.measures)
            if name == MODEL:
                of_model = column.answered
    examples, chosen, patients = sitting.held.examples, sitting.chosen, sitting.patients
    training = _training_examples(datasets, sitting.config)
    results["centre prior"] = scores(centre_prior(examples, chosen, training, patients))
    results["constant order"] = scores(constant_order(examples, chosen, patients))
    write_scores(out, results, _against_readers(sitting.rows, of_model))
    draw_scores(results, out / "scores.png")
    return results


def _against_readers(rows: Sequence[Row], of_model: Iterable[Answered]) -> dict[str, dict[str, Counts]]:
    """Return counts of every reader and of the model, by rule."""
    compared = [row for row in rows if row["study_arm"] != WITHOUT_LESIONS]
    study_of = {str(row["reading_id"]): str(row["study_key"]) for row in compared if row["study_key"]}
    readers, model = reader_labels(compared), model_labels(of_model, study_of)
    readers = {study: found for study, found in readers.items() if len(found) > 1}
    return {rule: against_majority(readers, model, rule) for rule in ("leave-one-out", "published")}


def _training_examples(datasets: list[Path], config: Config) -> list[Example]:
    try:
        return load_split(datasets, config.data.train_split, config).examples
    except TrainerError as error:
        if error.code not in {"GX-NO-SHARDS", "GX-EMPTY"}:
            raise
        return []


def _note(answered: Iterable[Answered], control: str, file: TextIO) -> None:
    """Write answers down."""
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

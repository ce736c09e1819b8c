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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from examples.gazex.config import Config
from examples.gazex.data.encode import ExampleDataset
from examples.gazex.data.prepare import SplitExamples, load_split, refuse_shared_patients
from examples.gazex.data.rows import Row, light_rows
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.answered import Answered
from examples.gazex.evaluation.controls import BlankPictures, asked, centre_prior, constant_order
from examples.gazex.evaluation.faithfulness import faithfulness_scores
from examples.gazex.evaluation.measures import Estimate
from examples.gazex.evaluation.plots import draw_scores
from examples.gazex.evaluation.readers import Counts, against_majority, model_labels, reader_labels
from examples.gazex.evaluation.scores import scores
from examples.gazex.evaluation.tables import write_scores
from examples.gazex.evaluation.vanishing import WITHOUT_LESIONS, vanishing
from examples.gazex.model.build import small_model
from examples.gazex.model.ready import ReadyModel, load_trained
from examples.gazex.tasks.controls import GazeControl, with_gaze
from examples.gazex.tasks.example import Example
from examples.gazex.tasks.names import GAZE_IN

__all__ = ["CONTROLS", "GAZE_CONTROLS", "evaluate"]

CONTROLS = ("model", "untrained", "text only", "centre prior", "constant order")
"""What is always in the table: the model; its kind without training; the model without any picture; where a box is
asked for, the mean box of the same question in training; where an order is, 1, 2, 3 ..."""
GAZE_CONTROLS: Mapping[str, GazeControl] = {
    "gaze of others": "other_image",
    "gaze shuffled in time": "shuffled_time",
}
"""The model shown another gaze; where key frames are lit anew, for those that are stored show their own."""


def evaluate(
    trained: Path,
    datasets: list[Path],
    out: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    beside: Mapping[str, Path] | None = None,
) -> dict[str, dict[str, Estimate]]:
    """Score a model on held-out readings; return measure by name, by control.

    limit  : examples of each task at most, evenly over the split.
    beside : models that were trained otherwise (without gaze, with shuffled gaze), by the name of their column.

    Readings of arm ``without_lesions`` are no test of their own: they are asked what their twins with lesions show.
    Raises TrainerError: GX-LEAK where a patient of the test split is in a training shard, what `load_split` raises.
    """
    ready, config, _ = load_trained(trained)
    refuse_shared_patients(datasets, config)
    held = load_split(datasets, split or config.data.test_split, config)
    rows = list(light_rows(held.paths))
    patients = _patients(rows)
    chosen = _at_most(held.examples, limit)
    data = ExampleDataset(held.examples, held.paths, ready.processor, config.data)
    results: dict[str, dict[str, Estimate]] = {}
    out.mkdir(parents=True, exist_ok=True)
    with (out / "answers.jsonl").open("w", encoding="utf-8") as file:
        of_model = list(_noted(asked(ready, data, chosen, patients), "model", file))
        results["model"] = (
            scores(of_model)
            | vanishing(ready, data, patients)
            | faithfulness_scores(ready, data, chosen, patients)
        )
        for name, model, shown in _other_ways(ready, config, held):
            places = chosen if shown.examples is held.examples else _with_frames(held.examples, chosen)
            results[name] = scores(_noted(asked(model, shown, places, patients), name, file))
        for name, folder in (beside or {}).items():
            other, its_config, _ = load_trained(folder)
            its_held = load_split(datasets, split or config.data.test_split, its_config)
            shown = ExampleDataset(its_held.examples, its_held.paths, other.processor, its_config.data)
            places = _same_questions(shown.examples, held.examples, chosen)
            of_other = _noted(asked(other, shown, places, patients), name, file)
            results[name] = scores(of_other) | faithfulness_scores(other, shown, places, patients)
    training = _training_examples(datasets, config)
    results["centre prior"] = scores(centre_prior(held.examples, chosen, training, patients))
    results["constant order"] = scores(constant_order(held.examples, chosen, patients))
    write_scores(out, results, _against_readers(rows, of_model))
    draw_scores(results, out / "scores.png")
    return results


def _other_ways(
    ready: ReadyModel, config: Config, held: SplitExamples
) -> Iterator[tuple[str, ReadyModel, ExampleDataset]]:
    """Give the controls that answer by a model: name, model, and what it is shown."""
    same = ExampleDataset(held.examples, held.paths, ready.processor, config.data)
    if config.model.path is None:
        fresh = small_model(config.model, ready.processor, config.train.seed).eval()
        yield "untrained", ReadyModel(model=fresh, processor=ready.processor), same
    yield "text only", ready, BlankPictures(held.examples, held.paths, ready.processor, config.data)
    if config.data.gaze == "own" and config.data.frames == "rendered":
        for name, control in GAZE_CONTROLS.items():
            examples = with_gaze(held.examples, control, config.train.seed)
            yield name, ready, ExampleDataset(examples, held.paths, ready.processor, config.data)


def _with_frames(examples: Sequence[Example], chosen: Sequence[int]) -> list[int]:
    return [place for place in chosen if examples[place].task in GAZE_IN]


def _same_questions(own: Sequence[Example], others: Sequence[Example], chosen: Sequence[int]) -> list[int]:
    """Return which examples ask what the chosen ones of another model's list ask."""
    wanted = {others[place].example_id for place in chosen}
    return [place for place, example in enumerate(own) if example.example_id in wanted]


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


def _patients(rows: Iterable[Row]) -> dict[str, str]:
    """Return who each reading is of, under the shards' own code: intervals are over patients."""
    return {
        str(row["reading_id"]): str(row["patient_key"] or row["public_patient_id"] or row["reading_id"])
        for row in rows
    }


def _at_most(examples: Sequence[Example], limit: int | None) -> list[int]:
    of_task: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        if example.about("arm") != WITHOUT_LESIONS:
            of_task.setdefault(example.task, []).append(place)
    if limit is None:
        return sorted(place for places in of_task.values() for place in places)
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

"""Does a finding vanish with its lesion? The same simulated bodies, once with and once without their findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from examples.gazex.answer.generate import word_probability
from examples.gazex.data.encode import ExampleDataset
from examples.gazex.evaluation.controls import BATCH, SURE
from examples.gazex.evaluation.measures import Estimate, bootstrap
from examples.gazex.model.ready import ReadyModel
from examples.gazex.tasks.example import Example

__all__ = ["WITHOUT_LESIONS", "vanishing"]

WITHOUT_LESIONS = "without_lesions"
"""Study arm of the twins."""


def vanishing(ready: ReadyModel, data: ExampleDataset, patients: Mapping[str, str]) -> dict[str, Estimate]:
    """Return in what share of cases a finding's probability falls below one half where its lesion was left out.

    data : holds "presence" examples of both kinds of a patient. Two shares: of all findings that are there with the
    lesion, and of those alone that the model says there; empty where no reading is of the arm without lesions.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(data.examples):
        if example.task == "presence":
            places[patients[example.reading_id]].append(place)
    pairs: list[tuple[str, int, Example]] = []
    for patient, found in places.items():
        twins = [data.examples[k] for k in found if data.examples[k].about("arm") == WITHOUT_LESIONS]
        asked = {}
        for place in found:
            example = data.examples[place]
            if example.about("arm") != WITHOUT_LESIONS and example.answer == ("yes",):
                asked[example.about("label")] = place
        if twins:
            # The question about the finding, of the picture without it.
            pairs += [(patient, k, replace(data.examples[k], images=twins[0].images)) for k in asked.values()]
    if not pairs:
        return {}
    with_it = _sure(ready, data, [data.examples[place] for _, place, _ in pairs])
    without = _sure(ready, data, [example for _, _, example in pairs])
    all_of_them: dict[str, list[float]] = defaultdict(list)
    said: dict[str, list[float]] = defaultdict(list)
    for (patient, _, _), before, after in zip(pairs, with_it, without, strict=True):
        all_of_them[patient].append(float(after < SURE))
        if before >= SURE:
            said[patient].append(float(after < SURE))
    return {
        "not said without its lesion": bootstrap(all_of_them, _mean),
        "said, and vanishes without its lesion": bootstrap(said, _mean),
    }


def _sure(ready: ReadyModel, data: ExampleDataset, examples: Sequence[Example]) -> list[float]:
    shown = ExampleDataset(examples, data.paths, data.processor, data.settings)
    return [
        probability
        for first in range(0, len(examples), BATCH)
        for probability in word_probability(
            ready, [shown[k, None] for k in range(first, min(first + BATCH, len(examples)))]
        )
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")

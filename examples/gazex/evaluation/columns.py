"""The columns of the table that a model fills: what each is shown, its answers and its measures.

They don't depend on each other, so several processes may fill one each; the answers are the same.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from examples.gazex.config import Config
from examples.gazex.data.encode import ExampleDataset
from examples.gazex.data.prepare import SplitExamples, load_split
from examples.gazex.data.rows import Row, light_rows
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.answered import Answered
from examples.gazex.evaluation.controls import BlankPictures, asked
from examples.gazex.evaluation.faithfulness import faithfulness_scores
from examples.gazex.evaluation.measures import Estimate
from examples.gazex.evaluation.scores import scores
from examples.gazex.evaluation.vanishing import WITHOUT_LESIONS, vanishing
from examples.gazex.model.build import small_model
from examples.gazex.model.ready import ReadyModel, load_trained
from examples.gazex.tasks.controls import GazeControl, with_gaze
from examples.gazex.tasks.example import Example
from examples.gazex.tasks.names import GAZE_IN

__all__ = ["GAZE_CONTROLS", "MODEL", "Column", "Sitting", "Table", "filled"]

MODEL, UNTRAINED, TEXT_ONLY = "model", "untrained", "text only"
GAZE_CONTROLS: Mapping[str, GazeControl] = {
    "gaze of others": "other_image",
    "gaze shuffled in time": "shuffled_time",
}
"""The model shown another gaze; where key frames are lit anew, for those that are stored show their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is asked of whom; as in `examples.gazex.evaluation.run.evaluate`."""

    trained: Path
    datasets: list[Path]
    split: str | None = None
    limit: int | None = None
    beside: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The answers of one model in one way, and every measure of them by name."""

    answered: Sequence[Answered]
    measures: Mapping[str, Estimate]


class Sitting:
    """A model before the questions of a split. Raises what `load_trained` and `load_split` raise."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.ready, self.config, _ = load_trained(table.trained)
        self.held = self._held(self.config)
        self.rows: list[Row] = list(light_rows(self.held.paths))
        self.patients = _patients(self.rows)
        self.chosen = _at_most(self.held.examples, table.limit)

    def names(self) -> list[str]:
        """Return the columns that models fill, in the table's order."""
        has_other_gaze = self.config.data.gaze == "own" and self.config.data.frames == "rendered"
        return [
            MODEL,
            *([UNTRAINED] if self.config.model.path is None else []),
            TEXT_ONLY,
            *(GAZE_CONTROLS if has_other_gaze else []),
            *self.table.beside,
        ]

    def fill(self, name: str) -> Column:
        """Ask all that one column asks."""
        ready, held, settings = self.ready, self.held, self.config.data
        data = ExampleDataset(held.examples, held.paths, ready.processor, settings)
        if name == MODEL:
            answered = list(asked(ready, data, self.chosen, self.patients))
            more = vanishing(ready, data, self.patients)
            more |= faithfulness_scores(ready, data, self.chosen, self.patients)
        elif name in self.table.beside:
            return self._filled_by_another(self.table.beside[name])
        else:
            places = self.chosen
            if name == UNTRAINED:
                fresh = small_model(self.config.model, ready.processor, self.config.train.seed).eval()
                ready = ReadyModel(model=fresh, processor=ready.processor)
            elif name == TEXT_ONLY:
                data = BlankPictures(held.examples, held.paths, ready.processor, settings)
            else:
                examples = with_gaze(held.examples, GAZE_CONTROLS[name], self.config.train.seed)
                data = ExampleDataset(examples, held.paths, ready.processor, settings)
                places = [place for place in self.chosen if held.examples[place].task in GAZE_IN]
            answered, more = list(asked(ready, data, places, self.patients)), {}
        return Column(answered=answered, measures=scores(answered) | more)

    def _filled_by_another(self, trained: Path) -> Column:
        other, config, _ = load_trained(trained)
        held = self._held(config)
        shown = ExampleDataset(held.examples, held.paths, other.processor, config.data)
        wanted = {self.held.examples[place].example_id for place in self.chosen}
        places = [place for place, example in enumerate(held.examples) if example.example_id in wanted]
        answered = list(asked(other, shown, places, self.patients))
        more = faithfulness_scores(other, shown, places, self.patients)
        return Column(answered=answered, measures=scores(answered) | more)

    def _held(self, config: Config) -> SplitExamples:
        return load_split(self.table.datasets, self.table.split or config.data.test_split, config)


def filled(sitting: Sitting, jobs: int = 1) -> Iterator[tuple[str, Column]]:
    """Give every column that a model fills, in the table's order; ``jobs`` processes fill them, this one among them.

    Raises TrainerError: what a column raises; GX-WORKER where a process was ended from outside.
    """
    names = sitting.names()
    columns: dict[str, Column] = {}
    context = multiprocessing.get_context("spawn")
    turn = context.Value("i", 0)
    with ExitStack() as stack:
        others = [
            stack.enter_context(_Helper(context, sitting.table, turn))
            for _ in range(min(jobs, len(names)) - 1)
        ]
        while (name := _next(names, turn)) is not None:
            columns[name] = sitting.fill(name)
        for other in others:
            columns |= other.columns()
    yield from ((name, columns[name]) for name in names)


class _Helper:
    """Another process that fills columns, as long as any is left; it ends with its ``with``."""

    def __init__(self, context: Any, table: Table, turn: Any) -> None:
        self._here, there = context.Pipe(duplex=False)
        self._process = context.Process(target=_help, args=(there, table, turn), daemon=True)
        self._process.start()
        there.close()

    def columns(self) -> dict[str, Column]:
        """Return what it filled; waits for it."""
        try:
            found = self._here.recv()
        except EOFError:
            raise TrainerError(
                "a process that answered a part of the questions was ended from outside",
                code="GX-WORKER",
                hint="Memory may have been short: run the same command with -j 1.",
            ) from None
        if isinstance(found, dict):
            return found
        message, code, hint = found
        raise TrainerError(message, code=code, hint=hint)

    def __enter__(self) -> _Helper:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()
        self._here.close()


def _help(there: Connection, table: Table, turn: Any) -> None:
    with suppress(ValueError):
        signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # Ctrl-C is the first process's to handle; it ends this one
    try:
        sitting = Sitting(table)
        columns = {}
        while (name := _next(sitting.names(), turn)) is not None:
            columns[name] = sitting.fill(name)
        there.send(columns)
    except TrainerError as error:
        there.send((error.message, error.code, error.hint))


def _next(names: Sequence[str], turn: Any) -> str | None:
    """Take the next column that nobody took; None where all are taken."""
    with turn.get_lock():
        place = turn.value
        turn.value += 1
    return names[place] if place < len(names) else None


def _patients(rows: Sequence[Row]) -> dict[str, str]:
    """Return who each reading is of, under the shards' own code: intervals are over patients."""
    return {
        str(row["reading_id"]): str(row["patient_key"] or row["public_patient_id"] or row["reading_id"])
        for row in rows
    }


def _at_most(examples: Sequence[Example], limit: int | None) -> list[int]:
    """Return the places of what is asked: of each task at most so many, evenly over the split."""
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

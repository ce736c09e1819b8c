"""Does gaze teach anything? The same training with gaze, with the gaze of others and without, over several seeds.

Asked is which of two equally visible findings a clip means (arm ``ambiguous``): the gain of gaze is the difference to
shuffled gaze, paired by question and seed. A gain of shuffled gaze over none would be a leak.

::

    OUT/{gaze}-{seed}/      a training each, gone on with where it was stopped
    OUT/study.json          right or not, of every question, seed and way; the gains with their intervals
    OUT/study.md            the same as a table
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

from examples.gazex.answer.generate import answers
from examples.gazex.config import Config
from examples.gazex.data.encode import ExampleDataset
from examples.gazex.data.prepare import load_split, refuse_shared_patients
from examples.gazex.data.rows import light_rows
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.answered import Answered
from examples.gazex.evaluation.gaze_scores import chosen_right
from examples.gazex.evaluation.measures import Estimate, bootstrap
from examples.gazex.model.ready import load_trained
from examples.gazex.tasks.controls import GazeControl
from examples.gazex.train.loop import train

__all__ = ["GAINS", "WAYS", "gains", "study"]

WAYS: Mapping[str, GazeControl] = {"gaze": "own", "shuffled": "other_image", "none": "none"}
"""Name of each way to train and the gaze that it is shown, in training and in the test."""
GAINS = (("gaze", "shuffled"), ("gaze", "none"), ("shuffled", "none"))
"""The first is the result; the last must be nothing, or something leaks."""
MAX_TOKENS = 64
"""A label and a box; an early model may never end."""
TASK, ARM = "pointed_finding", "ambiguous"

Rights = Mapping[str, Mapping[int, Mapping[str, float]]]
"""By way, seed and question: 1 right, 0 wrong, 0.5 undecided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One training of a study, and its test."""

    datasets: list[Path]
    out: Path
    config: Config
    way: str
    seed: int

    def run(self) -> tuple[dict[str, float], dict[str, str]]:
        """Return of every question whether it was answered right, and whose it is."""
        # Frames are lit anew whatever the way, so that shuffled ones can't be told by how they were made.
        own = self.config.with_changes(
            data={"frames": "rendered", "gaze": WAYS[self.way]}, train={"seed": self.seed}
        )
        return _tested(train(self.datasets, self.out, own, quiet=True).model, self.datasets)


def study(
    datasets: list[Path],
    out: Path,
    config: Config,
    seeds: Sequence[int],
    *,
    jobs: int = 1,
    quiet: bool = False,
) -> dict[str, Estimate]:
    """Train and test every way with every seed, ``jobs`` of them side by side; return the measures by name.

    Raises TrainerError: GX-EMPTY where no test reading of arm ``ambiguous`` asks which finding is meant; GX-WORKER
    where a process was ended from outside; what `train` raises.
    """
    refuse_shared_patients(datasets, config)
    out.mkdir(parents=True, exist_ok=True)
    rights: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    patients: dict[str, str] = {}
    trials = [
        Trial(datasets=datasets, out=out / f"{way}-{seed}", config=config, way=way, seed=seed)
        for seed in seeds
        for way in WAYS
    ]
    for trial, (right, of_whom) in _each(trials, jobs):
        rights[trial.way][trial.seed] = right
        patients |= of_whom
        if not quiet:
            share = _mean(list(right.values()))
            sys.stderr.write(f"seed {trial.seed}, {trial.way}: {share:.3f} right of {len(right)}\n")
        _write(out, rights, gains(rights, patients))
    return gains(rights, patients)


def _each(
    trials: Sequence[Trial], jobs: int
) -> Iterator[tuple[Trial, tuple[dict[str, float], dict[str, str]]]]:
    """Give every trial with what it came to, in any order; a failure ends those that have not begun."""
    if jobs == 1:
        yield from ((trial, trial.run()) for trial in trials)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(trial.run): trial for trial in trials}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        except BrokenProcessPool:
            raise TrainerError(
                "a process that trained a part of the study was ended from outside",
                code="GX-WORKER",
                hint="Memory may have been short: run the same command with -j 1; it goes on where it was.",
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def gains(rights: Rights, patients: Mapping[str, str]) -> dict[str, Estimate]:
    """Return the share that is right of every way, and the gains; intervals over patients, seeds averaged first.

    A gain pairs the same question and seed of two ways; seeds that not both have are left out.
    """
    found: dict[str, Estimate] = {}
    for way, by_seed in rights.items():
        found[f"right, {way}"] = bootstrap(_by_patient(list(by_seed.values()), patients), _mean)
    for more, less in GAINS:
        seeds = sorted(set(rights.get(more, {})) & set(rights.get(less, {})))
        differences = [
            {q: rights[more][s][q] - rights[less][s][q] for q in rights[more][s] if q in rights[less][s]}
            for s in seeds
        ]
        if differences:
            found[f"gain, {more} over {less}"] = bootstrap(_by_patient(differences, patients), _mean)
    return found


def _tested(model: Path, datasets: list[Path]) -> tuple[dict[str, float], dict[str, str]]:
    """Return of every question whether it was answered right, and whose it is."""
    ready, config, _ = load_trained(model)
    held = load_split(datasets, config.data.test_split, config)
    chosen = [
        place
        for place, example in enumerate(held.examples)
        if example.task == TASK and example.about("arm") == ARM and example.about("others")
    ]
    if not chosen:
        raise TrainerError(
            f"no test reading of arm {ARM!r} asks which finding is meant",
            code="GX-EMPTY",
            hint="Make the data with `gazecapture simulate --offline --ambiguous 0.5`, and give task pointed_finding a "
            "weight.",
        )
    data = ExampleDataset(held.examples, held.paths, ready.processor, config.data)
    rights = {
        held.examples[place].example_id: chosen_right(Answered(example=held.examples[place], text=text))
        for place, text in answers(ready, data, chosen, max_tokens=MAX_TOKENS)
    }
    names = {r["reading_id"]: str(r["patient_key"] or r["reading_id"]) for r in light_rows(held.paths)}
    return rights, {e.example_id: names[e.reading_id] for e in (held.examples[k] for k in chosen)}


def _by_patient(
    by_seed: Sequence[Mapping[str, float]], patients: Mapping[str, str]
) -> dict[str, list[float]]:
    """Return the values of every patient, of a question the mean over seeds: seeds are no new patients."""
    of_question: dict[str, list[float]] = defaultdict(list)
    for values in by_seed:
        for question, value in values.items():
            of_question[question].append(value)
    found: dict[str, list[float]] = defaultdict(list)
    for question, several in of_question.items():
        found[patients[question]].append(_mean(several))
    return found


def _write(out: Path, rights: Rights, found: Mapping[str, Estimate]) -> None:
    content = {"rights": rights, "measures": {name: asdict(e) for name, e in found.items()}}
    (out / "study.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    lines = [
        "| measure | value | 95 % interval | questions | patients | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for name, e in found.items():
        ways = [way for way in rights if way in name.replace(",", "").split()]
        n_seeds = min(len(rights[way]) for way in ways)
        lines.append(
            f"| {name} | {e.value:.3f} | {e.low:.3f} to {e.high:.3f} | {e.n} | {e.n_groups} | {n_seeds} |"
        )
    seeds = sorted({seed for by_seed in rights.values() for seed in by_seed})
    lines += ["", f"| right, seed | {' | '.join(map(str, seeds))} |", f"|---|{'---|' * len(seeds)}"]
    for way, by_seed in rights.items():
        shares = [f"{_mean(list(by_seed[seed].values())):.3f}" if seed in by_seed else "" for seed in seeds]
        lines.append(f"| {way} | {' | '.join(shares)} |")
    (out / "study.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")

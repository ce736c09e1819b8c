"""From simulated readers to a trained small model, its table and its pages of evidence, on a laptop's CPU.

Every step is the command that a user would type, run as a process of its own and shown. All data are synthetic. The
readings that are tested are of bodies and readers that training never saw (another seed); of some of those bodies there
are twins without their findings.

::

    OUT/train/   OUT/test/        simulated sessions, stores and datasets
    OUT/run/                      the training
    OUT/scores/                   scores.md, scores.png ...
    OUT/evidence/                 a page per radiograph
    OUT/demo.json                 seconds per step, what was reached of what was meant to be
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Demo", "Sizes", "Target", "main", "targets"]

PYTHON = sys.executable
SIMULATE = [PYTHON, "-m", "gazecapture", "simulate", "--offline"]
CURATE = [PYTHON, "-m", "curation"]
GAZEX = [PYTHON, "-m", "examples.gazex"]
TRAIN_TOGETHER = [
    PYTHON,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "examples.gazex",
]
"""Two processes train one model: matrices as small as these gain little from a second thread."""
TEST_SEED_STEP = 1
"""From the seed of training to that of the test: other bodies, other readers."""
HELD_OUT = {"train": (0.9, 0.1), "test": (0.0, 0.0)}
"""Shares of train and validate in the dataset that is trained on, and in the one that is tested on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is made: enough for the targets, little enough for 15 minutes on two cores."""

    n_train: int = 240
    n_test: int = 40
    n_twins: int = 30
    n_train_readers: int = 3
    """All systematic: an order is learnt from readers who keep one."""
    n_test_readers: int = 3
    """Every third reader is systematic."""
    ambiguous_train: float = 0.3
    ambiguous_test: float = 0.4
    size: str = "224x272"
    """Px of a phantom; the model sees fewer."""
    rate_hz: int = 120
    seconds: int = 16
    """Of a reading: three or four sentences."""
    steps: int | None = None
    """Of training; None as the settings say."""
    n_pages: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A measure, what it should reach, and what it came to."""

    name: str
    least: float
    value: float | None

    @property
    def reached(self) -> bool:
        """Say whether it was reached; what could not be measured was not."""
        return self.value is not None and self.value >= self.least


@dataclass(kw_only=True)
class Demo:
    """One run of the whole demo; a second one in the same folder goes on where the first stopped."""

    out: Path
    seed: int
    sizes: Sizes = field(default_factory=Sizes)
    took_s: dict[str, float] = field(default_factory=dict)
    """Of each step; some go beside each other."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Of all processors, where the system tells: what other programs do beside it leaves this nearly alone."""

    def run(self) -> list[Target]:
        """Do every step; return what was reached. Raises CalledProcessError where a step fails."""
        self.out.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        self._simulate("train", "simulated")
        # From here on the training's dataset leaves half of the processors idle now and then: the test's is made there.
        _both(lambda: self._curate("train"), lambda: self.dataset("test"))
        model = self.out / "run" / "model"
        steps = [] if self.sizes.steps is None else ["--steps", str(self.sizes.steps)]
        settings = str(Path(__file__).parent / "configs" / "demo.toml")
        self._step(
            "train",
            [*TRAIN_TOGETHER, "train", self._data("train"), "--out", str(self.out / "run"), "-c", settings,
             "--seed", str(self.seed), *steps],
        )  # fmt: skip
        _both(lambda: self._evaluate(model), lambda: self._infer(model))
        scores = json.loads((self.out / "scores" / "scores.json").read_text(encoding="utf-8"))
        found = targets(scores, systematic_readers(self.out / "test" / "simulated" / "ground_truth"))
        self.took_s["all"] = time.monotonic() - begun
        content = {
            "synthetic": True,
            "seed": self.seed,
            "took_s": {name: round(value, 1) for name, value in self.took_s.items()},
            "cpu_s": {name: round(value, 1) for name, value in self.cpu_s.items()},
            "targets": [
                {"name": t.name, "least": t.least, "value": t.value, "reached": t.reached} for t in found
            ],
        }
        (self.out / "demo.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        return found

    def dataset(self, name: str) -> None:
        """Simulate, ingest and curate the dataset that is trained or tested on."""
        self._simulate(name, "simulated")
        if name == "test" and self.sizes.n_twins:
            self._simulate(name, "twins")
        self._curate(name)

    def _simulate(self, name: str, kind: str) -> None:
        """Simulate sessions: ``simulated`` ones, or the ``twins`` of their bodies without findings."""
        sizes = self.sizes
        (self.out / name).mkdir(exist_ok=True)
        if kind == "twins":
            made = ["--studies", str(sizes.n_twins), "--readers", "1", "--without-lesions"]
        elif name == "train":
            made = ["--studies", str(sizes.n_train), "--readers", str(sizes.n_train_readers),
                    "--ambiguous", str(sizes.ambiguous_train), "--style", "systematic"]  # fmt: skip
        else:
            made = ["--studies", str(sizes.n_test), "--readers", str(sizes.n_test_readers),
                    "--ambiguous", str(sizes.ambiguous_test)]  # fmt: skip
        seed = self.seed + (TEST_SEED_STEP if name == "test" else 0)
        self._step(
            f"simulate {name}, {kind}",
            [*SIMULATE, "--out", str(self.out / name / kind), "--seed", str(seed), *made, "--size", sizes.size,
             "--rate-hz", str(sizes.rate_hz), "--seconds", str(sizes.seconds), "--reads", "1", *_jobs(name)],
        )  # fmt: skip

    def _curate(self, name: str) -> None:
        """Ingest and curate what was simulated."""
        folder = self.out / name
        store = str(folder / "store")
        for sessions in sorted(folder.glob("*/sessions")):
            self._step(
                f"ingest {name}, {sessions.parent.name}",
                [*CURATE, "ingest", "--format", "session", str(sessions), "--store", store],
            )
        settings = folder / "curation.toml"
        settings.write_text(_curation(*HELD_OUT[name]), encoding="utf-8")
        self._step(
            f"curate {name}",
            [*CURATE, "run", "--store", store, "--out", self._data(name), "-c", str(settings), *_jobs(name)],
        )

    def _evaluate(self, model: Path) -> None:
        self._step(
            "evaluate",
            [*GAZEX, "evaluate", str(model), self._data("train"), self._data("test"), "--out",
             str(self.out / "scores"), "-j", "2"],
        )  # fmt: skip

    def _infer(self, model: Path) -> None:
        """Write the evidence of a few films."""
        films = sorted((self.out / "test" / "simulated" / "studies").glob("S*/current.dcm"))
        chosen = [str(film) for film in films[: self.sizes.n_pages]]
        if chosen:
            self._step("infer", [*GAZEX, "infer", *chosen, "--model", str(model), "--out",
                                 str(self.out / "evidence")])  # fmt: skip

    def _data(self, name: str) -> str:
        return str(self.out / name / "dataset")

    def _step(self, name: str, command: Sequence[str]) -> None:
        sys.stderr.write(f"\n== {name}: {_shown(command)}\n")
        begun = time.monotonic()
        # Processes share the processors; none starts threads of its own.
        cpu_s = _run(command, os.environ | {"OMP_NUM_THREADS": "1"})
        self.took_s[name] = time.monotonic() - begun
        if cpu_s is not None:
            self.cpu_s[name] = cpu_s


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    """Do two things beside each other."""
    with ThreadPoolExecutor(2) as both:
        for job in [both.submit(first), both.submit(second)]:
            job.result()


def _run(command: Sequence[str], environment: Mapping[str, str]) -> float | None:
    """Run a command; return the seconds that it and its processes took of processors, None where nobody tells.

    Raises CalledProcessError where it fails.
    """
    with subprocess.Popen(command, env=environment) as process:
        used = None
        try:
            if hasattr(os, "wait4"):
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                used = usage.ru_utime + usage.ru_stime
            else:
                process.wait()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used


def _jobs(name: str) -> list[str]:
    """Return how many processes make a dataset: the training's one per processor, the test's one beside them."""
    return ["-j", "1"] if name == "test" else []


def _curation(train: float, validate: float) -> str:
    """Return settings of curation for small pictures of which nothing but the shards is wanted."""
    return (
        '[export]\nformats = ["hdf5"]\npicture_max_side_px = 272\nkeyframe_max_side_px = 112\n'
        f"split_train = {train}\nsplit_validate = {validate}\n[privacy]\noriginals = false\n"
    )


def _shown(command: Sequence[str]) -> str:
    return shlex.join(["python" if part == PYTHON else part for part in command])


def systematic_readers(ground_truth: Path) -> list[str]:
    """Return the codes of the readers who go by the letters, as the simulation's truth says."""
    return [
        path.parent.name
        for path in sorted(ground_truth.glob("*/session.json"))
        if json.loads(path.read_text(encoding="utf-8"))["style"] == "systematic"
    ]


def targets(scores: Mapping[str, Mapping[str, Any]], systematic: Sequence[str]) -> list[Target]:
    """Return what is meant to be reached beside what was, from ``scores.json``."""
    model, constant = scores["model"], scores["constant order"]

    def value(found: Mapping[str, Any], *names: str) -> float | None:
        return next((float(found[name]["value"]) for name in names if name in found), None)

    targets = [
        Target(
            name="grounding mIoU, arm plain",
            least=0.5,
            value=value(model, "grounding IoU, arm plain", "grounding IoU"),
        ),
        Target(name="finding F1 (rule)", least=0.8, value=value(model, "finding F1 (rule)")),
        Target(
            name="said, and vanishes without its lesion",
            least=0.8,
            value=value(model, "said, and vanishes without its lesion"),
        ),
    ]
    for reader in systematic:
        measure = f"order_global tau, reader {reader}"
        targets.append(Target(name=f"{measure} (systematic)", least=0.8, value=value(model, measure)))
        own, other = value(model, measure), value(constant, measure)
        gain = None if own is None or other is None else own - other
        targets.append(Target(name=f"{measure}, above constant order", least=0.3, value=gain))
    return targets


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and print what was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    for name, default in (("train", Sizes().n_train), ("test", Sizes().n_test), ("twins", Sizes().n_twins)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"studies (default {default})")
    parser.add_argument("--steps", type=int, help="of training")
    options = parser.parse_args(arguments)
    sizes = Sizes(n_train=options.train, n_test=options.test, n_twins=options.twins, steps=options.steps)
    demo = Demo(out=options.out, seed=options.seed, sizes=sizes)
    found = demo.run()
    sys.stdout.write((options.out / "scores" / "scores.md").read_text(encoding="utf-8"))
    sys.stdout.write("\n| meant to be reached | at least | came to | |\n|---|---|---|---|\n")
    for target in found:
        came_to = "not measured" if target.value is None else f"{target.value:.3f}"
        sys.stdout.write(
            f"| {target.name} | {target.least:g} | {came_to} | {'reached' if target.reached else 'MISSED'} |\n"
        )
    steps = ", ".join(
        f"{name} {seconds:.0f} s" + (f" ({demo.cpu_s[name]:.0f} of processors)" if name in demo.cpu_s else "")
        for name, seconds in demo.took_s.items()
    )
    sys.stdout.write(
        f"\n{steps}\nAll data are synthetic. {options.out / 'evidence'} has the pages of evidence.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m examples.gazex train | infer | evaluate | merge: parse and print only."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples.gazex.errors import TrainerError

__all__ = ["main"]

EXIT_OK, EXIT_REFUSED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except TrainerError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the same command goes on from the last checkpoint, or begins anew\n")
        return EXIT_INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.gazex",
        description="Train a vision-language model on shards of radiologists' gaze. For research, not for diagnosis.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train on the shards, or go on where a training stopped")
    train.add_argument(
        "datasets", nargs="+", type=Path, metavar="DATASET", help="folders that gazecurate wrote"
    )
    train.add_argument("--out", type=Path, required=True, help="folder of the run")
    train.add_argument("-c", "--config", type=Path, help="settings, a TOML file")
    train.add_argument("--steps", type=int, help="in place of the settings' number")
    train.add_argument("--seed", type=int, help="in place of the settings' seed")
    train.add_argument(
        "--model", type=Path, help="local folder of a Qwen-VL model; without, a small one is built"
    )
    train.add_argument("--no-gaze", action="store_true", help="the same texts without any gaze: an ablation")
    train.add_argument("--quiet", action="store_true", help="no lines on stderr; the log has them")
    train.set_defaults(run=_train)
    _add_infer(commands)
    evaluate = commands.add_parser(
        "evaluate", help="score a trained model on held-out readings, beside its controls"
    )
    evaluate.add_argument("trained", type=Path, help="RUN/model of a training")
    evaluate.add_argument("datasets", nargs="+", type=Path, metavar="DATASET")
    evaluate.add_argument("--out", type=Path, required=True, help="folder for answers and scores")
    evaluate.add_argument("--split", help="in place of the settings' test split")
    evaluate.add_argument("--limit", type=int, help="examples of each task at most")
    evaluate.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="NAME=RUN/model",
        help="a model trained otherwise, as one more column; may be repeated",
    )
    evaluate.add_argument(
        "-j", "--jobs", type=int, default=1, metavar="N",
        help="processes that answer, each with a model in its memory (default 1)",
    )  # fmt: skip
    evaluate.set_defaults(run=_evaluate)
    study = commands.add_parser(
        "study", help="train with gaze, with that of others and without, over several seeds; report the gain"
    )
    study.add_argument("datasets", nargs="+", type=Path, metavar="DATASET")
    study.add_argument("--out", type=Path, required=True, help="folder of all trainings and the result")
    study.add_argument("-c", "--config", type=Path, help="settings, a TOML file")
    study.add_argument("--seeds", type=int, default=5, help="how many, from 0 on (default 5)")
    study.add_argument("-j", "--jobs", type=int, default=1, help="trainings side by side (default 1)")
    study.set_defaults(run=_study)
    merge = commands.add_parser("merge", help="write a folder that plain transformers load")
    merge.add_argument("trained", type=Path, help="RUN/model of a training")
    merge.add_argument("--out", type=Path, required=True)
    merge.add_argument("--scores", type=Path, help="scores.json of `evaluate`, for the model's card")
    merge.set_defaults(run=_merge)
    return parser


def _add_infer(commands: Any) -> None:
    infer = commands.add_parser(
        "infer", help="ask a trained model about films; evidence.json and evidence.html of each"
    )
    infer.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="DICOM, PNG or JPEG, one patient each"
    )
    infer.add_argument("--model", type=Path, required=True, help="RUN/model of a training")
    infer.add_argument("--out", type=Path, required=True, help="folder; every study has one of its own there")
    infer.add_argument(
        "--question", action="append", default=[], dest="questions", metavar="Q", help="may be repeated"
    )
    infer.add_argument(
        "--label", action="append", default=[], dest="labels", metavar="LABEL",
        help="ask for these findings alone; may be repeated",
    )  # fmt: skip
    infer.add_argument("--fill", choices=["surround", "blur"], default="surround", help="of masked boxes")
    infer.add_argument("--controls", type=int, default=8, metavar="N", help="control boxes per finding")
    infer.add_argument("--seed", type=int, default=0, help="of the control boxes")
    infer.add_argument("--max-tokens", type=int, default=512, metavar="N", help="of each answer")
    infer.add_argument("--json", action="store_true", help="a summary as JSON on stdout")
    infer.add_argument("--quiet", action="store_true", help="no progress on stderr")
    infer.set_defaults(run=_infer)


def _train(options: argparse.Namespace) -> int:
    from examples.gazex.config import load_config
    from examples.gazex.train.loop import train

    changes: dict[str, dict[str, object]] = {"train": {}, "model": {}, "data": {}}
    for name in ("steps", "seed"):
        if getattr(options, name) is not None:
            changes["train"][name] = getattr(options, name)
    if options.model is not None:
        changes["model"]["path"] = options.model
    if options.no_gaze:
        changes["data"]["gaze"] = "none"
    config = load_config(options.config).with_changes(**changes)
    done = train(options.datasets, options.out, config, quiet=options.quiet)
    if int(os.environ.get("RANK", "0")) > 0:
        return EXIT_OK  # of several processes the first speaks
    early = ", stopped early" if done.stopped_early else ""
    sys.stdout.write(
        f"{done.model} after {done.steps} steps{early}; best validation loss {done.best_loss:.4f}\n"
    )
    return EXIT_OK


def _infer(options: argparse.Namespace) -> int:
    from examples.gazex.evaluation.faithfulness import Masking
    from examples.gazex.infer.run import infer

    for name in ("controls", "max_tokens"):
        if getattr(options, name) < 1:
            option = name.replace("_", "-")
            raise TrainerError(f"--{option} is below 1", code="GX-USAGE", hint="Give 1 or more.")
    written = infer(
        options.images,
        options.model,
        options.out,
        questions=options.questions,
        labels=options.labels,
        max_tokens=options.max_tokens,
        masking=Masking(fill=options.fill, n_controls=options.controls, seed=options.seed),
        say=(lambda _: None) if options.quiet else (lambda line: print(line, file=sys.stderr, flush=True)),
    )
    summary: list[dict[str, Any]] = [
        {
            "study": one.evidence.study.name,
            "folder": str(one.folder),
            "findings": [f.label for f in one.evidence.findings if f.present],
            "n_steps": len(one.evidence.trajectory.steps) if one.evidence.trajectory else 0,
            "n_answers_read": one.evidence.n_answers_read,
            "n_problems": len(one.evidence.problems),
        }
        for one in written
    ]
    if options.json:
        sys.stdout.write(json.dumps({"studies": summary}, indent=1) + "\n")
    else:
        for line in summary:
            found = ", ".join(line["findings"]) or "no finding"
            sys.stdout.write(
                f"{line['folder']}: {found}; {line['n_problems']} problems in {line['n_answers_read']} answers\n"
            )
    return EXIT_OK


def _evaluate(options: argparse.Namespace) -> int:
    from examples.gazex.evaluation.run import evaluate

    if options.jobs < 1:
        raise TrainerError(f"-j {options.jobs} is below 1", code="GX-USAGE", hint="Give 1 or more.")
    beside = {}
    for text in options.beside:
        name, equals, folder = text.partition("=")
        if not equals:
            raise TrainerError(
                f"--beside {text}: no name", code="GX-USAGE", hint="Write it as NAME=RUN/model."
            )
        beside[name] = Path(folder)
    evaluate(
        options.trained,
        options.datasets,
        options.out,
        split=options.split,
        limit=options.limit,
        beside=beside,
        jobs=options.jobs,
    )
    sys.stdout.write((options.out / "scores.md").read_text(encoding="utf-8"))
    return EXIT_OK


def _study(options: argparse.Namespace) -> int:
    from examples.gazex.config import load_config
    from examples.gazex.evaluation.study import study

    config = load_config(options.config)
    study(options.datasets, options.out, config, range(options.seeds), jobs=max(1, options.jobs))
    sys.stdout.write((options.out / "study.md").read_text(encoding="utf-8"))
    return EXIT_OK


def _merge(options: argparse.Namespace) -> int:
    from examples.gazex.merge import merge

    merge(options.trained, options.out, scores=options.scores)
    sys.stdout.write(f"{options.out}\n")
    return EXIT_OK

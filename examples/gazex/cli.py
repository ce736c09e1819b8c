"""python -m examples.gazex train | evaluate | merge: parse and print only."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from examples.gazex.errors import TrainerError

__all__ = ["main"]

EXIT_OK, EXIT_REFUSED, EXIT_USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except TrainerError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_REFUSED
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
    evaluate = commands.add_parser(
        "evaluate", help="score a trained model on held-out readings, beside its controls"
    )
    evaluate.add_argument("trained", type=Path, help="RUN/model of a training")
    evaluate.add_argument("datasets", nargs="+", type=Path, metavar="DATASET")
    evaluate.add_argument("--out", type=Path, required=True, help="folder for answers and scores")
    evaluate.add_argument("--split", help="in place of the settings' test split")
    evaluate.add_argument("--limit", type=int, help="examples of each task at most")
    evaluate.set_defaults(run=_evaluate)
    merge = commands.add_parser("merge", help="write a folder that plain transformers load")
    merge.add_argument("trained", type=Path, help="RUN/model of a training")
    merge.add_argument("--out", type=Path, required=True)
    merge.set_defaults(run=_merge)
    return parser


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
    early = ", stopped early" if done.stopped_early else ""
    sys.stdout.write(
        f"{done.model} after {done.steps} steps{early}; best validation loss {done.best_loss:.4f}\n"
    )
    return EXIT_OK


def _evaluate(options: argparse.Namespace) -> int:
    from examples.gazex.evaluation.run import evaluate

    evaluate(options.trained, options.datasets, options.out, split=options.split, limit=options.limit)
    sys.stdout.write((options.out / "scores.md").read_text(encoding="utf-8"))
    return EXIT_OK


def _merge(options: argparse.Namespace) -> int:
    from examples.gazex.merge import merge

    merge(options.trained, options.out)
    sys.stdout.write(f"{options.out}\n")
    return EXIT_OK

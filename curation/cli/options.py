"""What several sub-commands share: options, the check of an output folder, progress, the holding of a store."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from curation.config import CurationConfig
from curation.lock import shard_lock, store_lock
from curation.run import sweep_scratch
from curation.sharding import Shard
from gazecapture.console import progress_bar
from gazecapture.files import as_tool_error, claim_output_folder
from gazecapture.store import Store
from keyframes.access import ACCESS_TIERS, AccessTier
from keyframes.errors import UsageError

__all__ = [
    "DATASET_KIND",
    "as_json",
    "check_dataset_folder",
    "config_file",
    "hold_store",
    "jobs_option",
    "list_lines",
    "progress_shown",
    "store_folder",
    "tier_option",
    "with_tier",
]

DATASET_KIND = "dataset"
"""What the marker file of an output folder says."""
_EVERY_S = 10.0
"""Time between progress lines where there is no terminal."""
_LISTED = 50
"""Readings of one kind that are listed on a terminal."""

store_folder = click.option(
    "--store",
    "store_root",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The store.",
)
config_file = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings, a TOML file.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Result as JSON on stdout.")
tier_option = click.option(
    "--tier",
    type=click.Choice(ACCESS_TIERS),
    help="To whom the dataset may go; exit code 5 where a reading may not.  [default: its strictest reading's]",
)
jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 1024),
    default=None,
    help="Processes.  [default: one per processor]",
)


@contextlib.contextmanager
def hold_store(store: Store, shard: Shard | None = None) -> Iterator[None]:
    """Hold the store, or one shard of it, for this command; what killed commands left half-written is removed first.

    A request to terminate (on Windows also Ctrl-Break) is treated as an interrupt, so that a job scheduler's limit
    leaves a clean store too.
    """
    held = (
        store_lock(store.root)
        if shard is None
        else shard_lock(store.root, number=shard.number, count=shard.count)
    )
    with held, _terminate_as_interrupt():
        sweep_scratch(store, shard)
        yield


def check_dataset_folder(out: Path, store: Store) -> None:
    """Refuse an output folder that cannot become the dataset, before any work and without changing anything.

    Raises UsageError for a foreign folder that is not empty, for one inside the store, and for one that cannot be
    made.
    """
    inside = out.resolve()
    if inside == store.root.resolve() or store.root.resolve() in inside.parents:
        raise UsageError(
            f"{out} lies in the store; a dataset is what leaves it",
            hint="Choose a folder elsewhere.",
            path=out,
            code="GT-FOREIGN-FOLDER",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        claim_output_folder(out, kind=DATASET_KIND)
        return
    place = out
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise UsageError(f"{place} is a file, a folder is needed", path=place, code="GT-NOT-A-FOLDER")
    if not os.access(place, os.W_OK | os.X_OK):
        raise as_tool_error(PermissionError(), out, "making the folder")


def with_tier(config: CurationConfig, tier: AccessTier | None) -> CurationConfig:
    """Return the settings with the tier that the command line asks for, if it does."""
    if tier is None:
        return config
    return config.model_copy(update={"export": config.export.model_copy(update={"tier": tier})})


def list_lines(lines: Iterable[str]) -> None:
    """Print lines to stderr; of many only the first ones, because --json and `status` have all."""
    every = list(lines)
    for line in every[:_LISTED]:
        click.echo(line, err=True)
    if len(every) > _LISTED:
        click.echo(f"... and {len(every) - _LISTED} more", err=True)


@contextlib.contextmanager
def progress_shown(what: str, *, as_json: bool) -> Iterator[Callable[[int, int, int], None]]:
    """Give a function of (done, total, failed) that shows progress on stderr.

    A bar on a terminal; elsewhere a line at the start, at the end and every ten seconds, as JSON with ``--json``. Both
    tell the rate and the time that is left, as far as a rate is known.
    """
    started = time.monotonic()
    if sys.stderr.isatty():
        with progress_bar() as bar:
            task = bar.add_task(what, total=None)

            def show_bar(done: int, total: int, failed: int) -> None:
                rate = done / max(time.monotonic() - started, 1e-9)
                label = f"{what}, {failed} failed" if failed else what
                label += f" {_left(rate, total - done)}" if 0 < done < total else ""
                bar.update(task, completed=done, total=total, description=label)

            yield show_bar
        return
    shown = -_EVERY_S

    def show_line(done: int, total: int, failed: int) -> None:
        nonlocal shown
        seconds = time.monotonic() - started
        if seconds - shown < _EVERY_S and done not in (0, total):
            return
        shown = seconds
        rate = done / max(seconds, 1e-9)
        if as_json:
            facts = {
                "stage": what,
                "done": done,
                "total": total,
                "failed": failed,
                "seconds": round(seconds, 1),
                "per_second": round(rate, 3),
                "seconds_left": round((total - done) / rate, 1) if done else None,
            }
            click.echo(json.dumps(facts), err=True)
        else:
            failures = f", {failed} failed" if failed else ""
            left = f", {_left(rate, total - done)}" if 0 < done < total else ""
            click.echo(f"{what}: {done}/{total}{failures} ({seconds:.1f} s{left})", err=True)

    yield show_line


def _left(rate: float, n_left: int) -> str:
    """Say how fast it goes and how long the rest takes."""
    seconds = round(n_left / rate)
    minutes = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{rate:.2g} per s, {minutes} left"


@contextlib.contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # somebody else handles signals
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

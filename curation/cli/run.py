"""``gazecurate run``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curation.cli.options import (
    as_json,
    check_dataset_folder,
    config_file,
    hold_store,
    jobs_option,
    list_lines,
    progress_shown,
    store_folder,
    tier_option,
    with_tier,
)
from curation.config import CurationConfig, load_config, remember_config
from curation.engines.processes import default_jobs, process_engines
from curation.engines.protocol import EngineFor
from curation.export.switch import MANIFEST
from curation.exports import logged_export
from curation.manifest import Failure
from curation.plan import ReadingPlan
from curation.retention import delete_old_audio
from curation.run import BatchSummary, curate, curate_shard, plan_store
from curation.sharding import Shard
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.access import AccessTier
from keyframes.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from curation.export.dataset import ExportSummary

__all__ = ["run"]


@click.command()
@store_folder
@click.option("--out", type=click.Path(path_type=Path), help="The dataset's folder; needed without --shard.")
@config_file
@tier_option
@jobs_option
@click.option(
    "--engine",
    type=click.Choice(("processes", "dask")),
    default="processes",
    show_default=True,
    help="Processes of this machine, or the workers of a Dask scheduler; every one must see the store at its path.",
)
@click.option(
    "--scheduler", metavar="ADDR", help="Of a running `dask scheduler`.  [default: by [dask] of -c]"
)
@click.option(
    "--shard",
    "shard_text",
    metavar="I/N",
    help="Only shard I of N, in the store only, for job arrays; `export` writes the dataset once all have run.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and why.")
@click.option("--restart", is_flag=True, help="Do everything again, not only what is missing.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first reading that fails; no dataset then.")
@as_json
def run(
    *,
    store_root: Path,
    out: Path | None,
    config_path: Path | None,
    tier: AccessTier | None,
    jobs: int | None,
    engine: str,
    scheduler: str | None,
    shard_text: str | None,
    dry_run: bool,
    restart: bool,
    fail_fast: bool,
    as_json: bool,
) -> ExitCode:
    """Curate every reading of the store and write the dataset; goes on where it stopped."""
    if scheduler is not None and engine != "dask":
        raise UsageError("--scheduler is for --engine dask")
    if jobs is not None and engine == "dask":
        raise UsageError("-j counts processes of this machine; a Dask scheduler has its own workers")
    config = with_tier(load_config(config_path), tier)
    store = Store.open(store_root)
    if shard_text is not None:
        return _run_shard(
            store,
            config,
            Shard.parse(shard_text),
            jobs=jobs or default_jobs(),
            engines_of=_engines(engine, scheduler, config),
            dry_run=dry_run,
            restart=restart,
            fail_fast=fail_fast,
            as_json=as_json,
        )
    if out is None:
        raise UsageError("--out names the dataset's folder; only --shard goes without it")
    check_dataset_folder(out, store)
    if dry_run:
        return _show_plan(plan_store(store, config, restart=restart), as_json=as_json)
    with hold_store(store):
        remember_config(store.root, config)
        delete_old_audio(store, config.retention.retain_days)
        with (
            _engines(engine, scheduler, config) as engines,
            progress_shown("curate", as_json=as_json) as progress,
        ):
            summary = curate(
                store,
                config,
                jobs=jobs or default_jobs(),
                engines=engines,
                restart=restart,
                fail_fast=fail_fast,
                progress=progress,
            )
        if not as_json:
            _list_what_is_off(summary)
        if fail_fast and summary.failed:
            _echo(summary, None, out, as_json=as_json)
            return ExitCode.SOME_FAILED
        exported = _export(store, out, summary, config, as_json=as_json) if summary.kept else None
        if exported is not None:
            summary.book_failures(exported.failed)
            summary.book_held_back(exported.held_back)
            if not as_json:
                list_lines(f"failed: {failure.one_line()}" for failure in exported.failed)
                list_lines(f"held back: {name} {reason}" for name, reason in exported.held_back.items())
    _echo(summary, exported, out, as_json=as_json)
    return summary.exit_code


def _run_shard(
    store: Store,
    config: CurationConfig,
    shard: Shard,
    *,
    jobs: int,
    engines_of: contextlib.AbstractContextManager[EngineFor],
    dry_run: bool,
    restart: bool,
    fail_fast: bool,
    as_json: bool,
) -> ExitCode:
    if dry_run:
        mine = set(shard.of(store.reading_ids()))
        plans = plan_store(store, config, restart=restart)
        return _show_plan((plan for plan in plans if plan.reading_id in mine), as_json=as_json)
    with hold_store(store, shard):
        remember_config(store.root, config)
        with engines_of as engines, progress_shown("curate", as_json=as_json) as progress:
            summary, is_finished = curate_shard(
                store,
                config,
                shard,
                jobs=jobs,
                engines=engines,
                restart=restart,
                fail_fast=fail_fast,
                progress=progress,
            )
    if not as_json:
        _list_what_is_off(summary)
    state = "done" if is_finished else "done but for what waits for other shards"
    text = f"shard {shard.number} of {shard.count} {state}: {_counts(summary)}"
    result = {**summary.to_dict(), "shard": shard.number, "of": shard.count, "is_finished": is_finished}
    echo_result(result, as_json=as_json, text=text)
    return ExitCode.SOME_FAILED if summary.failed or summary.held_back else ExitCode.OK


def _engines(
    engine: str, scheduler: str | None, config: CurationConfig
) -> contextlib.AbstractContextManager[EngineFor]:
    if engine == "processes":
        return process_engines()
    from curation.engines.dask import dask_engines

    return dask_engines(config.dask, scheduler)


def _export(
    store: Store, out: Path, summary: BatchSummary, config: CurationConfig, *, as_json: bool
) -> ExportSummary:
    from curation.export.dataset import export_dataset  # only here: every command would wait for it

    with (
        progress_shown("export", as_json=as_json) as progress,
        logged_export(store.root, out, config, command="run", n_readings=len(summary.kept)),
    ):
        return export_dataset(
            store,
            out,
            reading_ids=summary.kept,
            config=config,
            progress=lambda done, total: progress(done, total, 0),
            funnel=summary.funnel(),
        )


def _list_what_is_off(summary: BatchSummary) -> None:
    list_lines(f"failed: {failure.one_line()}" for failure in summary.failed)
    list_lines(f"rejected: {reading_id} {reason}" for reading_id, reason in summary.rejected.items())
    list_lines(f"held back: {reading_id} {reason}" for reading_id, reason in summary.held_back.items())


def _echo(summary: BatchSummary, exported: ExportSummary | None, out: Path, *, as_json: bool) -> None:
    result: dict[str, Any] = {
        **summary.to_dict(),
        "dataset": str(out) if exported is not None and exported.n_readings else None,
        "export": None if exported is None else exported.to_dict(),
    }
    lines = [_counts(summary)]
    if exported is not None and exported.n_readings:
        splits = ", ".join(f"{n} {name}" for name, n in exported.n_by_split.items())
        state = "up to date" if exported.up_to_date else "written"
        lines.append(
            f"dataset {out} {state}: {splits}; {exported.n_files} files, {exported.n_bytes / 1e6:.1f} MB"
        )
    elif not summary.kept:
        lines.append("no reading is left, so no dataset was written")
        if (out / MANIFEST).is_file():
            lines.append(f"{out} still holds the dataset of an earlier run")
    echo_result(result, as_json=as_json, text="\n".join(lines))


def _counts(summary: BatchSummary) -> str:
    return (
        f"{summary.n_readings} readings: {len(summary.kept)} kept, {len(summary.rejected)} rejected, "
        f"{len(summary.held_back)} held back, {len(summary.failed)} failed "
        f"({summary.n_unchanged} were done before)"
    )


def _show_plan(plans: Iterable[ReadingPlan | Failure], *, as_json: bool) -> ExitCode:
    """Print what would be done; the code is the same that the run would plan by."""
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    for plan in plans:
        if isinstance(plan, Failure):
            rows.append({"reading_id": plan.reading_id, "failed": plan.model_dump()})
            lines.append(f"{plan.reading_id}  would fail: {plan.message} ({plan.code})")
            continue
        todo = {step.stage: step.reason for step in plan.todo}
        rows.append({"reading_id": plan.reading_id, "todo": todo, "verdict": plan.verdict})
        if todo:
            lines.append(f"{plan.reading_id}  " + "; ".join(f"{stage}: {why}" for stage, why in todo.items()))
    n_todo = sum(bool(row.get("todo")) for row in rows)
    lines.append(f"{n_todo} of {len(rows)} readings would be worked on; nothing was changed")
    echo_result({"plan": rows}, as_json=as_json, text="\n".join(lines))
    return ExitCode.OK

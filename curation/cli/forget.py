"""``gazecurate forget``."""

from __future__ import annotations

from pathlib import Path

import click

from curation.cli.options import as_json, hold_store, list_lines, store_folder
from curation.forget import ForgetSummary
from curation.forget import forget as carry_out
from curation.forget_plan import plan_forget
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.errors import ExitCode, UsageError

__all__ = ["forget"]


@click.command()
@store_folder
@click.option("--reader", "reader_code", metavar="CODE", help="All of this reader.")
@click.option("--reading", "reading_id", metavar="ID", help="Only this reading.")
@click.option(
    "--session",
    "sessions",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A session, or a folder of them, that is not where it was ingested from; may be given several times.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A dataset that is not where it was exported to; may be given several times.",
)
@as_json
def forget(
    *,
    store_root: Path,
    reader_code: str | None,
    reading_id: str | None,
    sessions: tuple[Path, ...],
    datasets: tuple[Path, ...],
    as_json: bool,
) -> ExitCode:
    """Remove a reader, or one reading, from the store, its sessions and its datasets; there is no way back.

    The sessions of a forgotten reader are deleted; one forgotten reading is cut out of its session, whose audio
    and video go as a whole. Each dataset that holds it is written again without it. A keyed hash stays in the
    store, so that `ingest` does not take it again and `verify --store` can tell that nothing is left. Versions of
    datasets that may have been passed on are listed.
    """
    if (reader_code is None) == (reading_id is None):
        raise UsageError("give either --reader or --reading")
    store = Store.open(store_root)
    with hold_store(store):
        kind, name = ("reader", reader_code) if reader_code is not None else ("reading", reading_id)
        intent = plan_forget(store, kind, str(name), sessions=sessions, datasets=datasets)  # type: ignore[arg-type]
        summary = carry_out(store, intent)
    if not as_json:
        list_lines(_lines(summary))
    text = (
        f"forgotten: {summary.n_readings} readings in the store, {summary.n_sessions_removed} sessions removed, "
        f"{summary.n_sessions_cut} sessions without the reading, {len(summary.datasets)} datasets"
    )
    echo_result({**summary.to_dict(), "store": str(store_root)}, as_json=as_json, text=text)
    return ExitCode.OK


def _lines(summary: ForgetSummary) -> list[str]:
    datasets = [
        f"dataset {d.folder} {d.outcome}: {d.n_readings} readings"
        + (
            f"; {d.n_left_out} more are not curated now, `gazecurate run` brings them back"
            if d.n_left_out
            else ""
        )
        for d in summary.datasets
    ]
    passed_on = [
        f"may have been passed on: {version['folder']} key {version['key']} {version['written']}".rstrip()
        for version in summary.may_have_been_passed_on
    ]
    return datasets + passed_on

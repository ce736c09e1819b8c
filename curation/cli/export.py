"""``gazecurate export``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from curation.cli.options import (
    as_json,
    check_dataset_folder,
    config_file,
    hold_store,
    list_lines,
    progress_shown,
    store_folder,
    tier_option,
    with_tier,
)
from curation.config import load_config, remembered_config
from curation.export.dataset import export_dataset
from curation.export.exclude import find_excluded
from curation.export.write import exported_hashes
from curation.exports import logged_export
from curation.funnel import Funnel, codes_in
from curation.manifest import Failure
from curation.run import plan_store
from curation.view_settings import ViewsConfig
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.access import AccessTier
from keyframes.errors import ExitCode

__all__ = ["export"]


@click.command()
@store_folder
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The dataset's folder.")
@click.option(
    "--view",
    "views",
    multiple=True,
    type=click.Choice(ViewsConfig.known_views()),
    help="Also write this view, to OUT/views/VIEW; may be given several times.",
)
@click.option("--without-images", is_flag=True, help="Gaze and text only; no picture leaves the store.")
@click.option(
    "--exclude-list",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A text file of what to leave out, one per line: reading ids, patient or study keys, public ids, SHA-256 of "
    "pictures; KIND:NAME for names that the store need not have; # starts a comment.",
)
@config_file
@tier_option
@as_json
def export(
    *,
    store_root: Path,
    out: Path,
    views: tuple[str, ...],
    without_images: bool,
    exclude_list: Path | None,
    config_path: Path | None,
    tier: AccessTier | None,
    as_json: bool,
) -> ExitCode:
    """Write the dataset from the readings that are curated by the settings of the last run, or of -c."""
    store = Store.open(store_root)
    config = with_tier(load_config(config_path) if config_path else remembered_config(store_root), tier)
    check_dataset_folder(out, store)
    excluded: frozenset[str] = frozenset()
    if exclude_list:
        named = find_excluded(
            exclude_list, store, lambda reading_id: exported_hashes(store, reading_id, config)
        )
        excluded = named.reading_ids
        click.echo(
            f"{exclude_list}: {named.n_names} names, {len(excluded)} readings left out, "
            f"{named.n_unmatched} names of no reading here",
            err=True,
        )
    with hold_store(store), progress_shown("export", as_json=as_json) as progress:
        ready: list[str] = []
        n_unfinished = n_rejected = n_held_back = 0
        funnel = Funnel()
        for plan in plan_store(store, config):
            if plan.reading_id in excluded:
                continue
            if isinstance(plan, Failure) or plan.todo:
                n_unfinished += 1
                funnel.add("unfinished")
                continue
            funnel.add("kept" if plan.verdict == "ok" else plan.verdict, codes_in(plan.verdict_reason))
            if plan.verdict == "ok":
                ready.append(plan.reading_id)
            else:
                n_rejected += plan.verdict == "rejected"
                n_held_back += plan.verdict == "held_back"
        counts = {
            "excluded": len(excluded),
            "unfinished": n_unfinished,
            "rejected": n_rejected,
            "held_back": n_held_back,
        }
        if not ready:
            click.echo(
                f"no reading is left ({_listed(counts)}), so no dataset was written; "
                "`gazecurate run` or `gazecurate status` says why",
                err=True,
            )
            return ExitCode.NOTHING_LEFT
        if without_images:
            config = config.model_copy(
                update={"privacy": config.privacy.model_copy(update={"images": "exclude"})}
            )
        with logged_export(store_root, out, config, command="export", n_readings=len(ready)):
            summary = export_dataset(
                store,
                out,
                reading_ids=ready,
                config=config,
                views=views,
                progress=lambda done, total: progress(done, total, 0),
                funnel=funnel,
            )
    if not as_json:
        list_lines(f"failed: {failure.one_line()}" for failure in summary.failed)
        list_lines(f"held back: {name} {reason}" for name, reason in summary.held_back.items())
    if not summary.n_readings:
        click.echo("no reading is left, so no dataset was written", err=True)
        return ExitCode.NOTHING_LEFT
    counts["failed"] = len(summary.failed)
    counts["held_back"] += len(summary.held_back)
    left_out = _listed(counts)
    exported = summary.to_dict()
    text = f"dataset {out}: {summary.n_readings} readings in {summary.n_files} files; left out: {left_out}"
    echo_result({"dataset": str(out), "export": exported, "left_out": counts}, as_json=as_json, text=text)
    return ExitCode.SOME_FAILED if n_unfinished or counts["held_back"] or summary.failed else ExitCode.OK


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items())

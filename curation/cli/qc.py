"""``gazecurate qc``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from curation.cli.options import (
    as_json,
    config_file,
    hold_store,
    jobs_option,
    list_lines,
    progress_shown,
    store_folder,
)
from curation.config import load_config, remembered_config
from curation.engines.processes import default_jobs
from curation.run import BatchSummary, curate
from curation.stages.quality import QUALITY_STAGE
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.errors import ExitCode

__all__ = ["qc"]

_COLUMNS = {
    "duration": "s",
    "loss_share": "loss",
    "longest_loss": "gap s",
    "effective_rate": "Hz",
    "rms_s2s": "rms deg",
    "accuracy": "acc deg",
    "off_image_share": "off",
    "dictation_overlap": "said",
}
"""Metric -> heading of the table for people; --json has all of them."""


@click.command()
@store_folder
@config_file
@jobs_option
@click.option("--restart", is_flag=True, help="Measure again what was measured.")
@as_json
def qc(
    *, store_root: Path, config_path: Path | None, jobs: int | None, restart: bool, as_json: bool
) -> ExitCode:
    """Measure and judge every reading of the store; exit code 4 where none passes.

    By the settings of the last run unless -c names others.
    """
    store = Store.open(store_root)
    config = load_config(config_path) if config_path else remembered_config(store_root)
    with hold_store(store), progress_shown("quality", as_json=as_json) as progress:
        summary = curate(
            store,
            config,
            stages=(QUALITY_STAGE,),
            jobs=jobs or default_jobs(),
            restart=restart,
            progress=progress,
        )
        rows = [_row(store, reading_id, summary) for reading_id in [*summary.kept, *summary.rejected]]
    rows.sort(key=lambda row: str(row["reading_id"]))
    if not as_json:
        list_lines(f"failed: {failure.one_line()}" for failure in summary.failed)
    result = {"readings": rows, "failed": [failure.model_dump() for failure in summary.failed]}
    echo_result(result, as_json=as_json, text=_table(rows, summary))
    return summary.exit_code


def _row(store: Store, reading_id: str, summary: BatchSummary) -> dict[str, Any]:
    reading = store.load(reading_id)
    return {
        "reading_id": reading_id,
        "verdict": "rejected" if reading_id in summary.rejected else "ok",
        "metrics": {
            row["metric"]: row["value"]
            for row in reading.table("quality").to_pylist()
            if row["sentence_id"] is None
        },
        "issues": [
            {name: row[name] for name in ("code", "severity", "message")}
            for row in reading.table("issues").to_pylist()
        ],
    }


def _table(rows: list[dict[str, Any]], summary: BatchSummary) -> str:
    """Return the table for people; a figure that could not be had is a dash."""
    lines = [f"{'reading':<18}{'verdict':<10}" + "".join(f"{h:>9}" for h in _COLUMNS.values()) + "  issues"]
    for row in rows:
        figures = "".join(
            f"{row['metrics'][name]:>9.3g}" if name in row["metrics"] else f"{'-':>9}" for name in _COLUMNS
        )
        codes = " ".join(sorted({issue["code"] for issue in row["issues"] if issue["severity"] != "info"}))
        lines.append(f"{row['reading_id']:<18}{row['verdict']:<10}{figures}  {codes}".rstrip())
    lines.append(f"{len(summary.kept)} pass, {len(summary.rejected)} rejected, {len(summary.failed)} failed")
    return "\n".join(lines)

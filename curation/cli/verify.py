"""``gazecurate verify``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from curation.cli.options import as_json
from curation.export.verify import verify_absence, verify_dataset
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.errors import ExitCode

__all__ = ["verify"]


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--store",
    "store_root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also check that nothing forgotten is left in DATASET, this store and its sessions.",
)
@as_json
def verify(*, dataset: Path, store_root: Path | None, as_json: bool) -> ExitCode:
    """Check DATASET against its manifest; exit code 6 where a file differs, 5 where something forgotten is left."""
    summary = verify_dataset(dataset)
    result: dict[str, object] = {"dataset": str(dataset), **asdict(summary)}
    text = f"{dataset}: {summary.n_files} files, {summary.n_bytes / 1e6:.1f} MB, {summary.n_readings} readings, intact"
    if store_root is not None:
        n_forgotten = verify_absence(Store.open(store_root), dataset)
        result["n_forgotten"] = n_forgotten
        text += f"; nothing of {n_forgotten} forgotten names is left"
    echo_result(result, as_json=as_json, text=text)
    return ExitCode.OK

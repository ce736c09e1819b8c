"""``gazecurate verify``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from curation.cli.options import as_json
from curation.export.verify import verify_dataset
from gazecapture.console import echo_result
from keyframes.errors import ExitCode

__all__ = ["verify"]


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path))
@as_json
def verify(*, dataset: Path, as_json: bool) -> ExitCode:
    """Check DATASET against its manifest; exit code 6 where a file differs."""
    summary = verify_dataset(dataset)
    text = f"{dataset}: {summary.n_files} files, {summary.n_bytes / 1e6:.1f} MB, {summary.n_readings} readings, intact"
    echo_result({"dataset": str(dataset), **asdict(summary)}, as_json=as_json, text=text)
    return ExitCode.OK

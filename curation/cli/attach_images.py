"""``gazecurate attach-images``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from curation.attach import attach_images as attach
from curation.cli.options import as_json, list_lines, progress_shown
from gazecapture.console import echo_result
from keyframes.errors import ExitCode

__all__ = ["attach_images"]


@click.command("attach-images")
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@as_json
def attach_images(*, dataset: Path, folder: Path, as_json: bool) -> ExitCode:
    """Put the pictures in DIR into a DATASET that came without them (`export --without-images`).

    A picture is taken where its pixels have the hash that the dataset states; which file is whose is told by the public
    id in its name, or by the pixels alone. Exit code 3 where some are missing or carry text in their pixels, 4 where no
    picture fits.
    """
    with progress_shown("attach", as_json=as_json) as progress:
        summary = attach(dataset, folder, progress=lambda done, total: progress(done, total, 0))
    if not as_json:
        list_lines(f"held back: {name} seems to carry text in its pixels" for name in summary.held_back)
    text = (
        f"dataset {dataset}: {summary.n_attached} pictures attached, {summary.n_missing} missing, "
        f"{len(summary.held_back)} held back"
    )
    echo_result({"dataset": str(dataset), **asdict(summary)}, as_json=as_json, text=text)
    if not summary.n_attached:
        return ExitCode.NOTHING_LEFT
    return ExitCode.SOME_FAILED if summary.n_missing or summary.held_back else ExitCode.OK

"""``gazecapture export-xdf``."""

from __future__ import annotations

from pathlib import Path

import click

from gazecapture.console import echo_result
from gazecapture.session.xdf_export import export_xdf

__all__ = ["export_xdf_command"]


@click.command("export-xdf")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the number of samples of each stream as JSON.")
def export_xdf_command(*, folder: Path, target: Path, as_json: bool) -> None:
    """Write a session as one XDF file, time stamps as they were received, clock offsets beside them.

    The file holds no picture and no id of patient or study; it stays as local as the session itself.
    """
    counts = export_xdf(folder, target)
    text = "\n".join(f"{name}: {n} samples" for name, n in counts.items())
    echo_result(counts, as_json=as_json, text=text)

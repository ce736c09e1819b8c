"""``gazecurate verify``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from curation.cli.options import as_json
from curation.export.overlap import dataset_overlaps, split_overlaps
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
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Also look for patients and pictures that DATASET shares with this one; may be given several times.",
)
@as_json
def verify(*, dataset: Path, store_root: Path | None, against: tuple[Path, ...], as_json: bool) -> ExitCode:
    """Check DATASET: hashes, schema, no patient in two splits, nothing that its own marks keep back.

    Marks are the tiers and what each reader agreed to. Exit code 6 where a file differs or a patient, study or picture
    is where it may not be, 5 where it holds what a mark keeps back or something forgotten. Pictures that only look
    alike are listed and change no exit code.
    """
    summary = verify_dataset(dataset)
    result: dict[str, object] = {"dataset": str(dataset), **asdict(summary)}
    text = f"{dataset}: {summary.n_files} files, {summary.n_bytes / 1e6:.1f} MB, {summary.n_readings} readings, intact"
    if store_root is not None:
        n_forgotten = verify_absence(Store.open(store_root), dataset)
        result["n_forgotten"] = n_forgotten
        text += f"; nothing of {n_forgotten} forgotten names is left"
    parted = split_overlaps(dataset)
    shared = [overlap for other in against for overlap in dataset_overlaps(dataset, other)]
    result |= {"parted": [asdict(o) for o in parted], "overlaps": [asdict(o) for o in shared]}
    for overlap in (*parted, *shared):
        text += f"\n{overlap.one_line()}"
    if against and not shared:
        text += "; nothing shared with " + ", ".join(map(str, against))
    echo_result(result, as_json=as_json, text=text)
    return ExitCode.INTEGRITY if any(o.is_certain for o in (*parted, *shared)) else ExitCode.OK

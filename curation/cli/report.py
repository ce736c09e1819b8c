"""``gazecurate report``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from curation.cli.options import DATASET_KIND, as_json
from curation.export.scan import scan_output
from curation.report import DatasetSource, ReportSource, StoreSource, build_report, load_picture, load_scores
from gazecapture.access_log import log_access
from gazecapture.console import echo_result
from gazecapture.files import as_tool_error, write_bytes_atomically
from keyframes.errors import ExitCode, ExportError, PrivacyError, UsageError

__all__ = ["report", "report_command"]

_FILE = "report.html"


@click.command("report")
@click.option("--dataset", type=click.Path(path_type=Path, file_okay=False), help="Report on a dataset.")
@click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), help="Report on a store, unredacted."
)
@click.option("--reading", "reading_id", metavar="ID", help="Only this reading.")
@click.option(
    "--picture",
    "picture_paths",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A picture to show, such as a screenshot; may be given several times.",
)
@click.option(
    "--scores",
    "scores_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Scores to show, a JSON file.",
)
@click.option(
    "--per-reader",
    is_flag=True,
    help="Also figures per reader, under random codes; for five readers or more.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The page.  [default: {_FILE} in the dataset or store]",
)
@as_json
def report_command(
    *,
    dataset: Path | None,
    store: Path | None,
    reading_id: str | None,
    picture_paths: tuple[Path, ...],
    scores_path: Path | None,
    per_reader: bool,
    out: Path | None,
    as_json: bool,
) -> ExitCode:
    """Write a report as one HTML page that needs nothing outside itself.

    Readings kept and lost with reasons, quality, letters, trajectories, agreement of readers; then radiographs with
    scanpath and heat map, key frames by sentence, findings. Every number is in files that the page holds. Exit code 4
    where there is no reading.
    """
    source, target = _source(dataset, store, out)
    pictures = [load_picture(path) for path in picture_paths]
    scores = None if scores_path is None else load_scores(scores_path)
    try:
        page = build_report(
            source, pictures=pictures, scores=scores, reading_id=reading_id, per_reader=per_reader
        )
    except ExportError as error:
        if error.code != "GT-NOTHING-LEFT":
            raise
        click.echo(f"error: {error.one_line()}", err=True)
        return ExitCode.NOTHING_LEFT
    content = page.encode()
    if dataset is not None:
        _check(content, [dataset.resolve(), *(path.resolve().parent for path in picture_paths)])
    if store is not None:
        log_access(store, command="report", folder=target)
    _write(target, content)
    result = {"report": str(target), "bytes": len(content)}
    echo_result(result, as_json=as_json, text=f"report {target} written, {len(content) / 1e6:.1f} MB")
    return ExitCode.OK


report = report_command


def _source(dataset: Path | None, store: Path | None, out: Path | None) -> tuple[ReportSource, Path]:
    """Return where the readings come from and where the page goes. Raises UsageError, PrivacyError."""
    if dataset is not None and store is None:
        return DatasetSource(dataset), out or dataset / _FILE
    if store is None or dataset is not None:
        raise UsageError("give either --dataset or --store")
    target = out or store / _FILE
    if any(_is_dataset(folder) for folder in target.resolve().parents):
        raise PrivacyError(
            "a report on a store is not redacted and must not lie in a dataset",
            hint="Use --dataset, or another --out.",
            path=target,
        )
    return StoreSource(store), target


def _is_dataset(folder: Path) -> bool:
    marker = folder / ".gazecapture"
    return marker.is_file() and marker.read_text(encoding="utf-8", errors="replace").strip() == DATASET_KIND


def _check(content: bytes, private: Sequence[Path]) -> None:
    """Scan a page as an export is scanned, before it gets its name. Raises PrivacyError.

    Its rows were scanned when they were exported; what the page adds to them are pictures and their captions.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _FILE).write_bytes(content)
        hits = scan_output(Path(folder), {}, [f"{path}{os.sep}" for path in {Path.home(), *private}])
    if hits:
        raise PrivacyError(
            f"the page holds what must not leave: {'; '.join(hits)}", hint="No page was written."
        )


def _write(target: Path, content: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise as_tool_error(error, target.parent, "making the folder") from error
    write_bytes_atomically(target, content)

"""``gazecurate ingest``."""

from __future__ import annotations

from pathlib import Path

import click

from curation.cli.options import as_json, config_file, hold_store, list_lines, progress_shown, store_folder
from curation.config import load_config
from curation.ingest.into_store import INGESTERS
from curation.ingest.into_store import ingest as put_into_store
from curation.ingest.protocol import TakesImages, TakesProfiles, TakesSpeech, TakesTrials
from curation.ingest.session import SessionIngester
from curation.ingest.speech import speech_to_words
from curation.sessions import remember_sessions
from gazecapture.console import echo_result
from gazecapture.store import Store
from keyframes.errors import ExitCode, UsageError

__all__ = ["ingest"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--format", "source_format", type=click.Choice(list(INGESTERS)), required=True, help="Of SOURCE."
)
@store_folder
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the pictures, where SOURCE has none.",
)
@click.option(
    "--profile",
    "profile_files",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Your own stream profile, read before those that SOURCE brings with it; may be repeated.",
)
@click.option(
    "--trials",
    "trials_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Table of what was shown when, of a tracker's own file (docs/ingest.md).",
)
@click.option(
    "--tolerant",
    is_flag=True,
    help="Leave out what cannot be read of a tracker's own file and note how much.",
)
@click.option(
    "--transcripts",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of what was said, SESSION/reading-1.txt and so on (docs/dictation.md).  [default: in each session]",
)
@config_file
@click.option("--fail-fast", is_flag=True, help="Stop at the first reading that fails.")
@as_json
def ingest(
    *,
    source: Path,
    source_format: str,
    store_root: Path,
    images: Path | None,
    profile_files: tuple[Path, ...],
    trials_file: Path | None,
    tolerant: bool,
    transcripts: Path | None,
    config_path: Path | None,
    fail_fast: bool,
    as_json: bool,
) -> ExitCode:
    """Put the readings of SOURCE into the store; made if absent.

    SOURCE is one session folder or a folder of sessions; of format reflacx, the folder that has main_data and
    gaze_data in it; of a tracker's format, a file or a folder of them. Readings that are in the store already are left
    as they are, unless they changed.
    """
    ingester = INGESTERS[source_format]
    if images is not None:
        if not isinstance(ingester, TakesImages):
            raise UsageError(
                f"--images does not go with --format {source_format}: its pictures are in SOURCE"
            )
        ingester = ingester.with_images(images)
    if profile_files:
        if not isinstance(ingester, TakesProfiles):
            raise UsageError(f"--profile does not go with --format {source_format}: it has no raw streams")
        ingester = ingester.with_profiles(profile_files)
    if trials_file is not None or tolerant:
        if not isinstance(ingester, TakesTrials):
            raise UsageError(
                f"--trials and --tolerant do not go with --format {source_format}: they are for trackers' own files"
            )
        if tolerant:
            ingester = ingester.tolerant()
        if trials_file is not None and isinstance(ingester, TakesTrials):
            ingester = ingester.with_trials(trials_file)
    if isinstance(ingester, TakesSpeech):
        ingester = ingester.with_speech(speech_to_words(load_config(config_path).speech, transcripts))
    elif transcripts is not None:
        raise UsageError(f"--transcripts does not go with --format {source_format}: it has words of its own")
    units = ingester.find(source)
    store = Store.create(store_root)
    with hold_store(store), progress_shown("ingest", as_json=as_json) as progress:
        if isinstance(ingester, SessionIngester):
            remember_sessions(store_root, units)
        summary = put_into_store(store, ingester, units, fail_fast=fail_fast, progress=progress)
    if not as_json:
        list_lines(f"failed: {failure.one_line()}" for failure in summary.failed)
    text = (
        f"{len(summary.added)} readings added, {len(summary.changed)} changed, "
        f"{len(summary.unchanged)} unchanged, {len(summary.failed)} failed; store {store_root}"
    )
    echo_result({**summary.to_dict(), "store": str(store_root)}, as_json=as_json, text=text)
    return summary.exit_code

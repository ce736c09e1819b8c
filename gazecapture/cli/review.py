"""``gazecapture review``: look at what was recorded, and decide."""

from __future__ import annotations

import re
from pathlib import Path

import click

from gazecapture.cli.station import require_viewer
from gazecapture.console import echo_result
from keyframes.errors import ExitCode, UsageError

__all__ = ["review_command", "window_options"]


def window_size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Parse WIDTHxHEIGHT in px."""
    if value is None:
        return None
    match = re.fullmatch(r"([1-9]\d{1,4})[xX]([1-9]\d{1,4})", value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r} is not of the form WIDTHxHEIGHT, such as 1280x800")
    return int(match[1]), int(match[2])


def window_options(command: click.decorators.FC) -> click.decorators.FC:
    """Give a command ``--size`` and ``--screen``."""
    for option in (
        click.option(
            "--screen",
            "screen_index",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Which screen; 0 is the primary one.",
        ),
        click.option(
            "--size",
            "size_px",
            metavar="WxH",
            callback=window_size,
            help="Of the window in px.  [default: full]",
        ),
    ):
        command = option(command)
    return command


@click.command("review", short_help="Look at readings along their time, and decide about them.")
@click.option(
    "--session", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A session folder."
)
@click.option("--store", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A whole store.")
@click.option("--reviewer", required=True, metavar="CODE", help="Who decides; a code, never a name.")
@click.option(
    "--reading",
    "first",
    default="",
    metavar="KEY",
    help="Begin with it: a number (session) or an id (store).",
)
@window_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def review_command(
    *,
    session: Path | None,
    store: Path | None,
    reviewer: str,
    first: str,
    size_px: tuple[int, int] | None,
    screen_index: int,
    as_json: bool,
) -> ExitCode:
    """Go through the readings of a session or a store with gaze, words and key frames, and decide about them.

    Every decision is a line of decisions.jsonl; nothing that was recorded is altered. The next `gazecurate ingest` and
    `gazecurate run` obey. F1 lists the keys. Research use only, not for diagnosis.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", reviewer):
        raise UsageError(
            "the reviewer code must be 1 to 32 letters, digits, - or _",
            hint="Use a code, never a name: it travels with the data.",
        )
    if (session is None) == (store is None):
        raise UsageError("give either --session or --store")
    require_viewer()
    # Not before it is needed: Qt takes a second and system libraries to load.
    from gazecapture.viewer.qt.review.app import review
    from gazecapture.viewer.review.source import ReviewSource, SessionSource, StoreSource

    source: ReviewSource = SessionSource(session) if session is not None else StoreSource(store or Path())
    unwritten = review(source, reviewer=reviewer, first=first, size_px=size_px, screen_index=screen_index)
    text = "\n".join(f"could not be written: {line}" for line in unwritten)
    echo_result({"unwritten": unwritten}, as_json=as_json, text=text)
    return ExitCode.SOME_FAILED if unwritten else ExitCode.OK

"""`gazecapture read`: a reader at the window."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Literal

import click

from gazecapture.cli.profile_option import own_profiles_option
from gazecapture.console import FiniteRange, echo_result
from gazecapture.worklist import load_worklist, order_for_reader
from keyframes.errors import ExitCode, UsageError

__all__ = ["read_command"]

LARGEST_PORT = 65535
"""Of TCP."""


def _sides(value: str) -> tuple[float, float]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)[xX](\d+(?:\.\d+)?)", value.strip())
    if match is None or not (float(match[1]) > 0 < float(match[2])):
        raise click.BadParameter(f"{value!r} is not of the form WIDTHxHEIGHT, such as 1920x1080")
    return float(match[1]), float(match[2])


def _size_mm(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, float] | None:
    return None if value is None else _sides(value)


def _size_px(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    width, height = _sides(value)
    return round(width), round(height)


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) <= LARGEST_PORT:
        raise click.BadParameter(f"{value!r} is not of the form HOST:PORT")
    return host, int(port)


@click.command("read", short_help="Read a worklist at the viewer while gaze is recorded.")
@click.argument("worklist", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Session folder; new, or to go on with."
)
@click.option(
    "--reader", "reader_code", default="R1", show_default=True, help="The reader's code; never a name."
)
@click.option(
    "--display-mm", metavar="WxH", callback=_size_mm, help="Visible size of the screen in mm, as 531x299."
)
@click.option("--distance-mm", type=FiniteRange(min=100, max=3000), help="From eye to screen, in mm.")
@click.option(
    "--order",
    type=click.Choice(["listed", "shuffled"]),
    default="listed",
    show_default=True,
    help="Order of the studies; shuffled depends on seed and reader.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="For --order shuffled.")
@click.option(
    "--gaze",
    type=click.Choice(["stream", "mouse", "none"]),
    default="stream",
    show_default=True,
    help="What stands for the eyes: a tracker's stream; the mouse cursor or nothing, for trying the tool: export "
    "refuses both unless it is told otherwise.",
)
@click.option("--stream", help="Name of the gaze stream, where there are several.")
@own_profiles_option
@click.option(
    "--wait-s",
    type=FiniteRange(min=0.1),
    default=10.0,
    show_default=True,
    help="How long to look for the gaze stream.",
)
@click.option("--fullscreen", is_flag=True, help="Fill the screen; the default unless --size is given.")
@click.option(
    "--size",
    "size_px",
    metavar="WxH",
    callback=_size_px,
    help="Size of the window in px (without a display: of the screen).",
)
@click.option(
    "--screen",
    "screen_index",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which screen; 0 is the primary one.",
)
@click.option(
    "--driver",
    metavar="HOST:PORT",
    callback=_address,
    help="A simulated reader that listens there reads in place of a person.",
)
@click.option(
    "--screenshots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the pictures that the simulated reader asks for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def read_command(
    worklist: Path,
    out: Path,
    reader_code: str,
    display_mm: tuple[float, float] | None,
    distance_mm: float | None,
    order: str,
    seed: int,
    gaze: Literal["stream", "mouse", "none"],
    stream: str | None,
    profile_files: tuple[Path, ...],
    wait_s: float,
    fullscreen: bool,
    size_px: tuple[int, int] | None,
    screen_index: int,
    driver: tuple[str, int] | None,
    screenshots: Path | None,
    as_json: bool,
) -> ExitCode:
    """Read a worklist (a CSV file, or a folder of radiographs) while gaze is recorded into a session folder.

    Run it again on the same folder to go on at the first study that is not read yet. Research use only, not for
    diagnosis.
    """
    if fullscreen and size_px is not None:
        raise UsageError("--fullscreen and --size exclude each other", hint="Give one of them.")
    if gaze != "stream" and (stream is not None or driver is not None):
        raise UsageError(
            f"--gaze {gaze} excludes --stream and --driver",
            hint="They bring a gaze stream; leave --gaze out.",
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", reader_code):
        raise UsageError(
            "the reader code must be 1 to 32 letters, digits, - or _",
            hint="Use a code, never a name: it travels with the data.",
        )
    studies = order_for_reader(
        load_worklist(worklist),
        order="shuffled" if order == "shuffled" else "listed",
        seed=seed,
        reader_code=reader_code,
    )
    if importlib.util.find_spec("PyQt6") is None:
        raise UsageError(
            "the viewer needs PyQt6, which is not installed",
            hint="Install it with: pip install 'gazecapture[viewer]'",
            code="GT-NO-VIEWER",
        )
    try:
        # Not before it is needed: Qt takes a second and system libraries to load.
        from gazecapture.viewer.qt.app import ReadOptions, read_worklist
    except ImportError as error:
        raise UsageError(
            f"Qt cannot be loaded ({error})",
            hint="`gazecapture doctor` names the missing system library and how to install it.",
            code="GT-NO-VIEWER",
        ) from error
    options = ReadOptions(
        out=out,
        reader_code=reader_code,
        display_mm=display_mm,
        distance_mm=distance_mm,
        driver=driver,
        screenshots=screenshots,
        size_px=size_px,
        screen_index=screen_index,
        gaze=gaze,
        stream=stream,
        profile_files=profile_files,
        wait_s=wait_s,
        seed=seed if order == "shuffled" else None,
    )
    summary = read_worklist(studies, options, lambda line: click.echo(line, err=True))
    if summary.interrupted:
        raise KeyboardInterrupt
    lines = [f"{summary.n_read} of {summary.n_studies} studies read; session in {summary.session}"]
    lines += [f"could not be shown: {study_id} ({reason})" for study_id, reason in summary.unreadable]
    if summary.n_left > len(summary.unreadable):
        lines.append("run the same command again to go on")
    result = {
        "session": str(summary.session),
        "n_studies": summary.n_studies,
        "n_read": summary.n_read,
        "n_read_now": summary.n_read_now,
        "n_left": summary.n_left,
        "unreadable": [{"study_id": s, "reason": r} for s, r in summary.unreadable],
        "recording": summary.recording,
        "driver": summary.driver,
        "screenshots": list(summary.screenshots),
    }
    echo_result(result, as_json=as_json, text="\n".join(lines))
    return ExitCode.SOME_FAILED if summary.unreadable else ExitCode.OK

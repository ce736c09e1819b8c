"""`gazecapture read`: a reader at the window."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import click
from click.core import ParameterSource

from gazecapture.cli.station import require_viewer, station_options
from gazecapture.cli.volume_warning import warn_where_not_encrypted
from gazecapture.console import echo_result
from gazecapture.sources.mark_senders import mark_sender
from gazecapture.viewer.dictation import TalkMode
from gazecapture.viewer.dictation_choice import dictation_choice
from gazecapture.viewer.station import Station
from gazecapture.worklist import load_worklist, order_for_reader
from keyframes.errors import ExitCode, UsageError

__all__ = ["read_command"]


@click.command("read", short_help="Read a worklist at the viewer while gaze is recorded.")
@click.argument("worklist", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Session folder; new, or to go on with."
)
@click.option(
    "--reader", "reader_code", default="R1", show_default=True, help="The reader's code; never a name."
)
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
@station_options
@click.option(
    "--validation/--no-validation",
    "validates",
    default=None,
    help="Measure the tracker before, between and after the readings. On, unless a simulated reader reads.",
)
@click.option(
    "--screenshots",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the pictures that the simulated reader asks for.",
)
@click.option(
    "--tracker-marks",
    metavar="WHERE",
    help="Tell the tracker's own recording, by opaque numbers, when an image comes on and goes off: lsl, "
    "neon:HOST[:PORT] or 'command:PROGRAM {text}'.",
)
@click.option(
    "--dictation",
    metavar="WHERE",
    help="Record what is said: microphone, microphone:NAME, file:PATH (a WAV file), lsl or lsl:NAME.",
)
@click.option(
    "--talk",
    type=click.Choice(["hold", "continuous"]),
    default="hold",
    show_default=True,
    help="When sound counts: while a key or pedal is held, or as long as a film is on screen.",
)
@click.option(
    "--indication",
    type=click.Choice(["before", "beside"]),
    help="Show the indication before the film, or above it. [default: as the settings say, or beside]",
)
@click.option(
    "--edit-transcript/--no-edit-transcript",
    "edits_transcript",
    default=None,
    help="After each film, let the reader correct the words that were understood.",
)
@click.option(
    "--consent/--no-consent",
    "asks_consent",
    default=None,
    help="Ask the reader to agree before anything is recorded, where that is not on record. On with a tracker, unless "
    "a simulated reader reads; without consent nothing of a session is exported.",
)
@click.option(
    "--operator",
    "operator_screen",
    type=click.IntRange(min=0),
    metavar="SCREEN",
    help="Open the operator's window on this screen, as a process of its own; see `gazecapture operator`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def read_command(
    worklist: Path,
    out: Path,
    reader_code: str,
    order: str,
    seed: int,
    gaze: Literal["stream", "mouse", "none"],
    station: Station,
    tracker_marks: str | None,
    validates: bool | None,
    screenshots: Path | None,
    dictation: str | None,
    talk: TalkMode,
    indication: str | None,
    edits_transcript: bool | None,
    asks_consent: bool | None,
    operator_screen: int | None,
    as_json: bool,
) -> ExitCode:
    """Read a worklist (CSV file, DICOMDIR, or folder of radiographs) while gaze is recorded into a session folder.

    Run it again on the same folder to go on at the first study that is not read yet. Research use only, not for
    diagnosis.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", reader_code):
        raise UsageError(
            "the reader code must be 1 to 32 letters, digits, - or _",
            hint="Use a code, never a name: it travels with the data.",
        )
    marks = None if tracker_marks is None else mark_sender(tracker_marks)
    with_tracker = gaze == "stream"
    if not with_tracker and (station.stream is not None or station.driver is not None or validates):
        raise UsageError(
            f"--gaze {gaze} excludes --stream, --driver and --validation",
            hint="They go with a gaze stream; leave --gaze out.",
        )
    without_scene = station.neon is not None and not station.has_scene_camera
    if station.neon is not None and (not with_tracker or (without_scene and validates)):
        raise UsageError(
            f"--neon excludes --gaze {gaze}, and --validation without the scene camera",
            hint="Only the scene camera can tell where on the screen its wearer looks.",
        )
    studies = order_for_reader(
        load_worklist(worklist),
        order="shuffled" if order == "shuffled" else "listed",
        seed=seed,
        reader_code=reader_code,
    )
    require_viewer()
    # Not before it is needed: Qt takes a second and system libraries to load.
    from gazecapture.viewer.qt.app import ReadOptions, read_worklist

    warn_where_not_encrypted(out)
    rules = station.room.reading.rules()
    options = ReadOptions(
        out=out,
        reader_code=reader_code,
        station=replace(station, gaze=gaze),
        screenshots=screenshots,
        seed=seed if order == "shuffled" else None,
        marks=marks,
        dictation=None if dictation is None else dictation_choice(dictation, talk),
        rules=replace(
            rules,
            indication_before=rules.indication_before if indication is None else indication == "before",
            edits_transcript=rules.edits_transcript if edits_transcript is None else edits_transcript,
        ),
        asks_consent=with_tracker and station.driver is None if asks_consent is None else asks_consent,
        knows_reader=click.get_current_context().get_parameter_source("reader_code")
        is not ParameterSource.DEFAULT,
        operator_screen=operator_screen,
        validates=with_tracker and station.driver is None and not without_scene
        if validates is None
        else validates,
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

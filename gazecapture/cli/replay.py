"""``gazecapture replay``."""

from __future__ import annotations

from pathlib import Path

import click

from gazecapture.console import FiniteRange, echo_result
from gazecapture.sources.recordings import load_recording, load_recordings
from gazecapture.sources.replay import ReplayOutlet, play_together

__all__ = ["replay_command"]

OTHERS_S = 1.0
"""s; a receiver opens its streams side by side, and the first answer of a clock takes 0.64 s."""


@click.command("replay")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--speed", type=FiniteRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option("--name", help="Name of the gaze's outlet; the recorded stream's own without it.")
@click.option(
    "--wait-s",
    type=FiniteRange(min=0),
    default=30.0,
    show_default=True,
    help="How long to wait for a receiver of the gaze, s.",
)
@click.option("--gaze-only", is_flag=True, help="Leave words and other streams out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay_command(
    *, folder: Path, speed: float, name: str | None, wait_s: float, gaze_only: bool, as_json: bool
) -> None:
    """Send what a session, or one reading in a store, holds as Lab Streaming Layer streams: gaze, words, all others.

    Anybody on the network can receive them; they carry no case identifier.
    """
    recordings = [load_recording(folder)] if gaze_only else load_recordings(folder)
    origin_s = min(float(recording.t_s[0]) for recording in recordings)
    recordings = [recording.faster(speed, origin_s=origin_s) for recording in recordings]
    if name:
        recordings[0] = recordings[0].renamed(name)
    outlets = [ReplayOutlet(recording) for recording in recordings]
    for recording in recordings:
        rate_hz = recording.info.nominal_rate_hz
        rate = f"{rate_hz:g} Hz" if rate_hz else "no rate named"
        click.echo(f"{recording.info.name}: {recording.t_s.size} samples, {rate}", err=True)
    click.echo("waiting for a receiver", err=True)
    if wait_s > 0:
        outlets[0].wait_for_consumer(wait_s)
        for outlet in outlets[1:]:  # who takes the gaze is about to take these too, if at all
            outlet.wait_for_consumer(OTHERS_S)
    n_sent = play_together(outlets)
    streams = [{"name": r.info.name, "n": int(r.t_s.size)} for r in recordings]
    echo_result(
        {"name": recordings[0].info.name, "n_sent": n_sent, "streams": streams},
        as_json=as_json,
        text=f"{n_sent} samples sent",
    )

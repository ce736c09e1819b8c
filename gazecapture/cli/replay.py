"""``gazecapture replay``."""

from __future__ import annotations

from pathlib import Path

import click

from gazecapture.console import FiniteRange, echo_result
from gazecapture.sources.replay import ReplayOutlet, load_recording

__all__ = ["replay_command"]


@click.command("replay")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--speed", type=FiniteRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option("--name", help="Name of the outlet; the recorded stream's own without it.")
@click.option(
    "--wait-s",
    type=FiniteRange(min=0),
    default=30.0,
    show_default=True,
    help="How long to wait for a receiver, s.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay_command(*, folder: Path, speed: float, name: str | None, wait_s: float, as_json: bool) -> None:
    """Send the gaze of a session, or of one reading in a store, as a Lab Streaming Layer stream.

    Anybody on the network can receive it; it carries no case identifier.
    """
    recording = load_recording(folder).faster(speed)
    if name:
        recording = recording.renamed(name)
    outlet = ReplayOutlet(recording)
    n, rate_hz = recording.t_s.size, recording.info.nominal_rate_hz
    click.echo(f"{recording.info.name}: {n} samples at {rate_hz:g} Hz, waiting for a receiver", err=True)
    n_sent = outlet.run(wait_for_consumer_s=wait_s)
    echo_result(
        {"name": recording.info.name, "n_sent": n_sent}, as_json=as_json, text=f"{n_sent} samples sent"
    )

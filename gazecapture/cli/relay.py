"""``gazecapture relay``."""

from __future__ import annotations

import threading

import click

from gazecapture.console import FiniteRange, echo_result
from gazecapture.sources.neon_options import DEFAULT_PORT, LARGEST_PORT, NeonOptions
from gazecapture.sources.relay import Relay

__all__ = ["relay_command"]

JOURNALS_OF_A_NEON = ("RtcpReports", "RtpPackets", "SceneVideo")
"""Streams that only the recorder has a use for."""


@click.group("relay", short_help="Republish a device as streams for other programs.")
def relay_command() -> None:
    """Republish what a device sends as Lab Streaming Layer streams, for other people's programs.

    The recorder needs no relay: it reads the device itself. Anybody on the network can receive these streams; they
    carry no case, no host name of yours and no serial number.
    """


@relay_command.command("neon")
@click.option("--host", required=True, help="The phone's address, as the Companion app shows it.")
@click.option("--port", type=click.IntRange(1, LARGEST_PORT), default=DEFAULT_PORT, show_default=True)
@click.option("--imu", is_flag=True, help="The head's motion too.")
@click.option("--tcp", is_flag=True, help="Streams over TCP, for networks that lose UDP.")
@click.option(
    "--label",
    default="",
    help="Letters and digits for the source ids: receivers then find a relay again that was started anew.",
)
@click.option("--seconds", type=FiniteRange(min=0, min_open=True), help="End after this time, s.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def relay_neon_command(
    *, host: str, port: int, imu: bool, tcp: bool, label: str, seconds: float | None, as_json: bool
) -> None:
    """Republish a Pupil Labs Neon until Ctrl-C: gaze in px of the scene camera, eye events, motion if asked."""
    from gazecapture.sources.neon import NeonSource  # needs the neon extra

    options = NeonOptions(video=False, imu=imu, backup=False, tcp=tcp)
    stop = threading.Event()
    ending = threading.Timer(seconds or 0.0, stop.set)
    ending.daemon = True
    with Relay(NeonSource(host, port, options=options), label=label, leave_out=JOURNALS_OF_A_NEON) as relay:
        click.echo(f"relaying {', '.join(relay.names)}; Ctrl-C ends it", err=True)
        if seconds is not None:
            ending.start()
        try:
            relay.run(stop)
        except KeyboardInterrupt:
            stop.set()
    sent = dict(relay.n_sent)
    lines = [f"{name}: {n} samples sent" for name, n in sent.items()]
    echo_result({"n_sent": sent}, as_json=as_json, text="\n".join(lines))

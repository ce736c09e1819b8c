"""``gazecapture simulate-neon``: a Neon that does not exist, for the official client or for `record --neon`."""

from __future__ import annotations

import ipaddress
import json
import threading
from contextlib import suppress
from pathlib import Path

import click

from gazecapture.console import FiniteRange
from keyframes.errors import ExitCode, UsageError

__all__ = ["simulate_neon_command"]

_SHARE = FiniteRange(0.0, 1.0)


@click.command("simulate-neon", context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on; loopback keeps it on this machine.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any free one; it is printed.")
@click.option("--rate-hz", type=FiniteRange(min=1, max=1000), default=200.0)
@click.option(
    "--payload",
    type=click.Choice(
        ["gaze", "dual_monocular", "gaze_dual", "eye_state", "eye_state_lids", "eye_state_lids_dual"]
    ),
    default="eye_state",
    help="What each gaze datum holds.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Same seed, same wearer and same faults.")
@click.option("--no-video", is_flag=True, help="Without the scene camera.")
@click.option("--video-rate-hz", type=FiniteRange(min=1, max=60), default=30.0)
@click.option(
    "--video-scale", type=FiniteRange(min=0.05, max=1), default=1.0, help="Of the camera's 1600 x 1200 px."
)
@click.option(
    "--announce", is_flag=True, help="Be found by name on the network of --host, which must be an address."
)
@click.option("--tcp", is_flag=True, help="Name streams over TCP in the status.")
@click.option("--drop", type=_SHARE, default=0.0, help="Share of packets that are lost.")
@click.option("--reorder", type=_SHARE, default=0.0, help="Share of packets that the next one overtakes.")
@click.option("--duplicate", type=_SHARE, default=0.0, help="Share of packets that come twice.")
@click.option("--garbage", type=_SHARE, default=0.0, help="Share of packets that follow on random bytes.")
@click.option("--clock-offset-s", type=FiniteRange(), default=0.0, help="The phone's clock is ahead by this.")
@click.option("--drift-ppm", type=FiniteRange(-1000, 1000), default=0.0)
@click.option("--first-report-s", type=FiniteRange(min=0), default=0.0, help="To the first sender report.")
@click.option("--report-interval-s", type=FiniteRange(min=0.01), default=5.0)
@click.option("--stall-at-s", type=FiniteRange(min=0), help="From the start to a pause in sending.")
@click.option("--stall-s", type=FiniteRange(min=0), default=1.0)
@click.option("--kill-at-s", type=FiniteRange(min=0), help="From the start to a sudden end.")
@click.option("--down-s", type=FiniteRange(min=0), help="From there to its return.")
@click.option("--seconds", type=FiniteRange(min=0, min_open=True), help="End after this time.")
@click.option(
    "--truth",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for what was sent and where the eyes were (Parquet), written at the end.",
)
def simulate_neon_command(
    *,
    host: str,
    port: int,
    rate_hz: float,
    payload: str,
    seed: int,
    no_video: bool,
    video_rate_hz: float,
    video_scale: float,
    announce: bool,
    tcp: bool,
    drop: float,
    reorder: float,
    duplicate: float,
    garbage: float,
    clock_offset_s: float,
    drift_ppm: float,
    first_report_s: float,
    report_interval_s: float,
    stall_at_s: float | None,
    stall_s: float,
    kill_at_s: float | None,
    down_s: float | None,
    seconds: float | None,
    truth: Path | None,
) -> ExitCode:
    """Be a Pupil Labs Neon: its phone's network side, its gaze, its scene camera before a screen with tags.

    Prints one JSON line with its address and runs until Ctrl-C. All that it sends is synthetic; record it with
    `gazecapture record --neon HOST:PORT`.
    """
    if announce and not _is_address(host):
        raise UsageError("--announce needs one address of this computer as --host")
    from gazecapture.sources.neon_simulator import Faults, SimulatedNeon, SimulatorOptions

    faults = Faults(
        drop=drop,
        reorder=reorder,
        duplicate=duplicate,
        garbage=garbage,
        clock_offset_s=clock_offset_s,
        drift_ppm=drift_ppm,
        first_report_s=first_report_s,
        report_interval_s=report_interval_s,
        stall_at_s=stall_at_s,
        stall_s=stall_s,
        kill_at_s=kill_at_s,
        down_s=down_s,
    )
    options = SimulatorOptions(
        host=host,
        port=port,
        rate_hz=rate_hz,
        payload=payload,
        seed=seed,
        video=not no_video,
        video_rate_hz=video_rate_hz,
        video_scale=video_scale,
        announce=announce,
        tcp=tcp,
        faults=faults,
    )
    with SimulatedNeon(options) as phone:
        click.echo(json.dumps({"host": phone.host, "port": phone.port, "name": phone.name}))
        with suppress(KeyboardInterrupt):
            threading.Event().wait(seconds)
        counts = phone.truth.counts()
    if truth is not None:
        phone.write_truth(truth)
    click.echo(json.dumps(counts), err=True)
    return ExitCode.OK


def _is_address(host: str) -> bool:
    """Say whether it is an address that others can be told."""
    try:
        return not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False

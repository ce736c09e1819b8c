"""``gazecapture streams``."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import click

from gazecapture.cli.profile_option import own_profiles_option
from gazecapture.console import FiniteRange, echo_result
from gazecapture.session.profiles import load_own_profiles
from gazecapture.sources.lsl import FoundStream, discover
from gazecapture.sources.lsl_rate import Measured, measure_streams
from gazecapture.sources.neon_discovery import find_neons

__all__ = ["streams_command"]


@click.command("streams")
@click.option(
    "--wait-s", type=FiniteRange(min=0.1), default=2.0, show_default=True, help="How long to look, s."
)
@click.option(
    "--measure-s",
    type=FiniteRange(min=0),
    default=2.0,
    show_default=True,
    help="How long to receive, to measure the rate, s; 0: do not.",
)
@click.option("--neon", "with_neons", is_flag=True, help="Look for Pupil Labs Neons too.")
@own_profiles_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def streams_command(
    *, wait_s: float, measure_s: float, with_neons: bool, profile_files: tuple[Path, ...], as_json: bool
) -> None:
    """List the Lab Streaming Layer streams that answer, how fast they come, and which profile reads them.

    With --neon also the Pupil Labs Neons in this network; as JSON both are then lists in an object of two.
    """
    found = discover(wait_s)
    own_profiles = load_own_profiles(profile_files)
    measured: list[Measured | None] = [None] * len(found)
    if measure_s > 0:
        measured = list(measure_streams(found, measure_s, own_profiles=own_profiles))
    rows = [
        {f.name: getattr(stream, f.name) for f in fields(stream) if f.name != "handle"}
        | {"measured": None if came is None else asdict(came)}
        for stream, came in zip(found, measured, strict=True)
    ]
    lines = [_line(stream, came) for stream, came in zip(found, measured, strict=True)]
    lines = lines or ["no stream answers"]
    if not with_neons:
        echo_result(rows, as_json=as_json, text="\n".join(lines))
        return
    neons = find_neons()
    lines += [f"{neon.name}  Neon; record it by --neon {neon.address}" for neon in neons] or [
        "no Neon answers"
    ]
    found_all = {"streams": rows, "neons": [asdict(neon) for neon in neons]}
    echo_result(found_all, as_json=as_json, text="\n".join(lines))


def _line(stream: FoundStream, came: Measured | None) -> str:
    said = (
        f"{stream.name}  type {stream.kind}, {stream.n_channels} x {stream.channel_format}, "
        f"{stream.nominal_rate_hz:g} Hz nominal, source {stream.source_id or '-'}, on {stream.hostname}"
    )
    if came is None:
        return said
    if came.error:
        return f"{said}\n    cannot be received: {came.error}"
    rate = "no rate" if came.rate_hz is None else f"{came.rate_hz:.1f} Hz"
    reads = f"read by profile {came.profile}" if came.profile else "no profile reads it"
    what = f"{came.role}, {reads}" if came.role == "gaze" else came.role
    return f"{said}\n    measured: {came.n_samples} samples, {rate}; {what}"

"""``gazecapture streams``."""

from __future__ import annotations

from dataclasses import fields

import click

from gazecapture.console import FiniteRange, echo_result
from gazecapture.sources.lsl import discover

__all__ = ["streams_command"]


@click.command("streams")
@click.option(
    "--wait-s", type=FiniteRange(min=0.1), default=2.0, show_default=True, help="How long to look, s."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def streams_command(*, wait_s: float, as_json: bool) -> None:
    """List the Lab Streaming Layer streams that answer."""
    found = discover(wait_s)
    rows = [
        {f.name: getattr(stream, f.name) for f in fields(stream) if f.name != "handle"} for stream in found
    ]
    lines = [
        f"{s.name}  type {s.kind}, {s.n_channels} x {s.channel_format}, {s.nominal_rate_hz:g} Hz nominal, "
        f"source {s.source_id or '-'}, on {s.hostname}"
        for s in found
    ]
    echo_result(rows, as_json=as_json, text="\n".join(lines) or "no stream answers")

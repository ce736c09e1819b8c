"""``gazecapture doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gazecapture.console import echo_result
from gazecapture.doctor import Check, run_checks
from keyframes.errors import ExitCode

__all__ = ["doctor_command"]


@click.command("doctor")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where sessions will be written [default: here].",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor_command(*, out: Path, as_json: bool) -> ExitCode:
    """Check display, microphone, disk, network and libraries of this machine; name the fix of what is wrong.

    Exit code 0 where everything is fine, else 1.
    """
    checks = []
    for check in run_checks(out):
        checks.append(check)
        if not as_json:
            click.echo(_line(check))
    n_bad = sum(not check.ok for check in checks)
    if as_json:
        echo_result([asdict(check) for check in checks], as_json=True)
    else:
        click.echo("everything is fine" if not n_bad else f"{n_bad} of {len(checks)} checks failed")
    return ExitCode.INTERNAL if n_bad else ExitCode.OK


def _line(check: Check) -> str:
    line = f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}"
    return line if check.ok else f"{line}\n      fix: {check.fix}"

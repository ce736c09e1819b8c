"""``gazecapture recover``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gazecapture.console import echo_result
from gazecapture.session.recovery import RecoveryReport, recover_session
from keyframes.errors import ExitCode

__all__ = ["recover_command"]


@click.command("recover")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recover_command(*, folder: Path, as_json: bool) -> ExitCode:
    """Count what a session holds after a crash: rows proved, rows unproved, damage.

    No recorded file is changed. Exit code 6 where something was lost to damage.
    """
    report = recover_session(folder)
    echo_result(asdict(report), as_json=as_json, text="\n".join(_lines(report)))
    return ExitCode.INTEGRITY if report.is_damaged else ExitCode.OK


def _lines(report: RecoveryReport) -> list[str]:
    lines = []
    for journal in report.journals:
        unproved = f", {journal.n_unverified} of them without checksum" if journal.n_unverified else ""
        lines.append(f"{journal.journal}: {journal.n_rows} rows{unproved}")
        lines += [f"  damaged: {place}" for place in journal.damage]
    if report.was_interrupted:
        lines.append("the recorder had not finished; its state is now counted from the journals")
    return lines

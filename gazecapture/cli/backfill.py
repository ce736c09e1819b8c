"""`gazecapture backfill`: the tracker's own recording, put into a finished session."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from gazecapture.console import FiniteRange, echo_result
from gazecapture.session.alignment import MAX_RESIDUAL_MS
from gazecapture.session.backfill import BackfillReport, backfill_session
from gazecapture.session.backfill_merge import LossShares

__all__ = ["backfill_command"]


@click.command("backfill", short_help="Put the tracker's own recording into a session.")
@click.argument("session", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--replace", is_flag=True, help="Take FILE in place of another one that was put in before.")
@click.option(
    "--recording",
    type=click.IntRange(min=1),
    help="Which recording of FILE, where it holds several; counts from 1.",
)
@click.option(
    "--tolerant", is_flag=True, help="Read what can be read of a damaged file, and say what cannot."
)
@click.option(
    "--max-residual-ms",
    type=FiniteRange(min=0.01, max=50),
    default=MAX_RESIDUAL_MS,
    show_default=True,
    help="Refuse an alignment that is worse.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backfill_command(
    session: Path,
    file: Path,
    replace: bool,
    recording: int | None,
    tolerant: bool,
    max_residual_ms: float,
    as_json: bool,
) -> None:
    """Align the tracker's own FILE with a finished SESSION and put its samples in place of the streamed ones.

    FILE is an EyeLink ASC file, a Tobii Pro Lab TSV export or the folder of a Neon recording. What was streamed
    stays in the session. Nothing is changed where the file does not go with the session.
    """
    report = backfill_session(
        session,
        file,
        replace=replace,
        recording=recording,
        tolerant=tolerant,
        max_residual_ms=max_residual_ms,
        progress=lambda line: click.echo(line, err=True),
    )
    echo_result(asdict(report), as_json=as_json, text="\n".join(_lines(report)))


def _lines(report: BackfillReport) -> list[str]:
    record, alignment = report.record, report.record.alignment
    how = {
        "device_time": "the tracker's own times",
        "marks": "marks and gaze",
        "gaze": "the movement of the eyes",
    }
    lines = [] if report.changed else ["this recording is in the session already; nothing was changed"]
    lines += [
        f"{record.format}, recording {record.recording}: aligned by {how[alignment.method]}",
        f"offset {report.offset_s:.6f} s, drift {alignment.drift_ppm:+.2f} ppm, residual p50 "
        f"{alignment.residual_p50_ms:.3f} ms, p99 {alignment.residual_p99_ms:.3f} ms "
        f"over {alignment.n_windows} stretches",
        f"{report.n_streamed} samples were streamed; now {report.n_backfilled} from the tracker's file "
        f"and {report.n_live_kept} streamed ones that it lacks",
        f"the whole session: {_losses(report.losses)}",
    ]
    lines += [f"  reading {r.reading_number}: {_losses(r.losses)}" for r in report.readings]
    lines += [f"note: {code}, {n} times" for code, n in sorted(record.issues.items())]
    return lines


def _losses(losses: LossShares) -> str:
    outlet, streamed = (
        "unknown" if share is None else f"{share:.2%}"
        for share in (losses.outlet_to_disk, losses.eye_to_disk_streamed)
    )
    return f"lost from outlet to disk {outlet}, from eye to disk {streamed} as streamed, {losses.eye_to_disk:.2%} now"

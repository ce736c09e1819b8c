"""`gazecapture demo`: the whole path on this machine, without tracker or display."""

from __future__ import annotations

from pathlib import Path

import click

from gazecapture.console import echo_result
from keyframes.errors import ExitCode

__all__ = ["demo_command"]


@click.command("demo")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for everything that is made."
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Your own radiographs (DICOM, PNG, JPEG, TIFF) in place of the phantoms.",
)
@click.option("--readings", default=3, show_default=True, help="How many studies are read.")
@click.option(
    "--rate-hz", default=1000.0, show_default=True, help="Sampling rate of the simulated eye tracker."
)
@click.option("--seed", default=12, show_default=True, help="Same seed, same phantoms, same reader.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def demo_command(
    out: Path, images: Path | None, readings: int, rate_hz: float, seed: int, as_json: bool
) -> ExitCode:
    """Make phantoms, read them with a simulated reader, curate, export, report.

    Everything that is made is synthetic. Run it again on the same folder to go on after an interruption.
    """
    from gazecapture.demo.run import DemoOptions, run_demo  # imports the whole toolkit

    options = DemoOptions(out=out, images=images, n_readings=readings, rate_hz=rate_hz, seed=seed)
    result = run_demo(options, say=lambda line: click.echo(line, err=True))
    lines = ["", "What came of it", ""]
    for score in result.scores:
        mark = {True: "ok  ", False: "MISS", None: "    "}[score.ok]
        value = f"{score.value:,.0f}" if not score.unit else f"{score.value:.3f} {score.unit}"
        target = f"  (target {score.target})" if score.target else ""
        lines.append(f"  {mark} {score.name:34} {value}{target}")
    lines += ["", "Where it is", ""]
    lines += [f"  {name:12} {path}" for name, path in result.paths.items()]
    document = {
        "scores": [
            {"name": s.name, "value": s.value, "unit": s.unit, "target": s.target, "ok": s.ok}
            for s in result.scores
        ],
        "paths": {name: str(path) for name, path in result.paths.items()},
    }
    echo_result(document, as_json=as_json, text="\n".join(lines))
    return result.exit_code

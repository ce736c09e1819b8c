"""`gazecapture validate`: how far off the tracker is, by itself."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import click

from gazecapture.cli.station import require_viewer, station_options
from gazecapture.console import echo_result
from gazecapture.screen.display_lag import MIN_FLIPS
from gazecapture.screen.measures import EyeSummary, Light
from gazecapture.screen.validation import ValidationResult
from gazecapture.viewer.station import Station
from keyframes.errors import ExitCode, UsageError

__all__ = ["validate_command"]


@click.command("validate", short_help="Measure how far off the tracker is.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Session folder: new, or a session of this screen.",
)
@click.option(
    "--reader", "reader_code", default="R1", show_default=True, help="The reader's code; never a name."
)
@station_options
@click.option(
    "--display-lag",
    "measures_lag",
    is_flag=True,
    help="Measure the screen instead: a patch flips before a light sensor.",
)
@click.option("--sensor", help="Name of the light sensor's stream (a photodiode, or a camera's brightness).")
@click.option(
    "--flips",
    "n_flips",
    type=click.IntRange(min=MIN_FLIPS),
    default=60,
    show_default=True,
    help="How often the patch flips.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def validate_command(
    *,
    out: Path,
    reader_code: str,
    station: Station,
    measures_lag: bool,
    sensor: str | None,
    n_flips: int,
    as_json: bool,
) -> ExitCode:
    """Show nine points and measure, per eye, how far off and how steady the gaze is.

    Takes half a minute at most. The gaze is recorded into the session folder, the result is in its journal. Ends with 3
    where the result is red: then calibrate the tracker.

    With --display-lag the screen is measured: how late it shows what was painted. The result is in session.json, and
    printed as lines for the settings of the reading room.
    """
    if measures_lag:
        if sensor is None:
            raise UsageError(
                "--display-lag needs --sensor", hint="`gazecapture streams` lists what sends here."
            )
        return _measure_lag(
            out, station, reader_code=reader_code, sensor=sensor, n_flips=n_flips, as_json=as_json
        )
    if station.neon is not None and not station.has_scene_camera:
        raise UsageError(
            "--neon-no-video leaves nothing to measure",
            hint="Only the scene camera can tell where on the screen its wearer looks.",
        )
    require_viewer()
    # Not before it is needed: Qt takes a second and system libraries to load.
    from gazecapture.viewer.qt.validate import validate_tracker

    validated = validate_tracker(
        out, station, reader_code=reader_code, say=lambda line: click.echo(line, err=True)
    )
    if validated.interrupted:
        raise KeyboardInterrupt
    result = validated.result
    if result is None:
        click.echo("the validation was broken off", err=True)
        return ExitCode.SOME_FAILED
    echo_result(_as_json(out, result), as_json=as_json, text="\n".join(_lines(result)))
    return ExitCode.SOME_FAILED if result.light is Light.RED else ExitCode.OK


def _measure_lag(
    out: Path, station: Station, *, reader_code: str, sensor: str, n_flips: int, as_json: bool
) -> ExitCode:
    require_viewer()
    from gazecapture.viewer.qt.display_lag import measure_screen

    lag = measure_screen(out, station, reader_code=reader_code, sensor=sensor, n_flips=n_flips)
    if lag is None:
        raise KeyboardInterrupt
    lines = [
        f"the screen shows what was painted {lag.lag_ms:.1f} ms later (SD {lag.sd_ms:.1f} ms), to bright after "
        f"{lag.brighter_ms:.1f} ms, to dark after {lag.darker_ms:.1f} ms; {lag.n_seen} of {lag.n_flips} flips seen",
        "for every session on this screen, put this into the room's settings (--config):",
        "[display]",
        f"lag_ms = {lag.lag_ms:.1f}",
        f"lag_sd_ms = {lag.sd_ms:.1f}",
    ]
    echo_result({"session": str(out), **dataclasses.asdict(lag)}, as_json=as_json, text="\n".join(lines))
    return ExitCode.OK


def _lines(result: ValidationResult) -> list[str]:
    lines = [f"{result.light}: {len({p.target.index for p in result.points})} points"]
    lines += [f"{eye.eye:>5}: {_figures(eye)}" for eye in result.eyes]
    if result.light is Light.UNKNOWN:
        lines.append("no degrees without the screen's size and distance: give --display-mm and --distance-mm")
    return lines


def _figures(eye: EyeSummary) -> str:
    if not math.isfinite(eye.accuracy_deg):
        return (
            f"off {math.hypot(eye.offset_x_screen_px, eye.offset_y_screen_px):.0f} px in the mean, "
            f"loss {eye.loss_share:.0%}"
        )
    return (
        f"off {eye.accuracy_deg:.2f} deg, at most {eye.accuracy_max_deg:.2f}; RMS-S2S {eye.rms_s2s_deg:.3f} deg, "
        f"SD {eye.sd_deg:.3f} deg, BCEA {eye.bcea_deg2:.3f} deg2, loss {eye.loss_share:.0%}"
    )


def _as_json(out: Path, result: ValidationResult) -> dict[str, Any]:
    return {
        "session": str(out),
        "light": str(result.light),
        "duration_s": (result.t_end_ns - result.t_start_ns) / 1e9,
        "eyes": [_finite(dataclasses.asdict(eye)) for eye in result.eyes],
        "points": [_finite(dataclasses.asdict(point)) for point in result.points],
        "timed_out": sorted(result.timed_out),
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with NaN as None, which JSON knows."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}

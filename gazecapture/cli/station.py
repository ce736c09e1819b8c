"""Options of every command that opens a window before a reader: screen, window, gaze stream, room."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gazecapture.cli.neon_option import neon_choice, neon_options
from gazecapture.cli.profile_option import own_profiles_option
from gazecapture.console import FiniteRange
from gazecapture.viewer.settings import RoomSettings, load_room_settings
from gazecapture.viewer.station import Station
from keyframes.errors import UsageError

__all__ = ["require_viewer", "station_options"]

LARGEST_PORT = 65535
"""Of TCP."""


def _sides(value: str) -> tuple[float, float]:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)[xX](\d+(?:\.\d+)?)", value.strip())
    if match is None or not (float(match[1]) > 0 < float(match[2])):
        raise click.BadParameter(f"{value!r} is not of the form WIDTHxHEIGHT, such as 1920x1080")
    return float(match[1]), float(match[2])


def _size_mm(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, float] | None:
    return None if value is None else _sides(value)


def _size_px(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    width, height = _sides(value)
    return round(width), round(height)


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) <= LARGEST_PORT:
        raise click.BadParameter(f"{value!r} is not of the form HOST:PORT")
    return host, int(port)


_OPTIONS = (
    click.option(
        "--display-mm", metavar="WxH", callback=_size_mm, help="Visible size of the screen in mm, as 531x299."
    ),
    click.option("--distance-mm", type=FiniteRange(min=100, max=3000), help="From eye to screen, in mm."),
    own_profiles_option,
    click.option("--stream", help="Name of the gaze stream, where there are several."),
    click.option(
        "--wait-s",
        type=FiniteRange(min=0.1),
        default=10.0,
        show_default=True,
        help="How long to look for the gaze stream.",
    ),
    click.option("--fullscreen", is_flag=True, help="Fill the screen; the default unless --size is given."),
    click.option(
        "--size",
        "size_px",
        metavar="WxH",
        callback=_size_px,
        help="Size of the window in px (without a display: of the screen).",
    ),
    click.option(
        "--screen",
        "screen_index",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Which screen; 0 is the primary one.",
    ),
    click.option(
        "--config",
        "room_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Settings of the reading room (TOML): when to validate, how to calibrate; see docs/validation.md.",
    ),
    click.option(
        "--driver",
        metavar="HOST:PORT",
        callback=_address,
        help="A simulated reader that listens there reads in place of a person.",
    ),
)


def station_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options and those of a Neon, as one argument ``station``."""

    def with_station(
        *,
        fullscreen: bool,
        size_px: tuple[int, int] | None,
        room_file: Path | None,
        display_mm: tuple[float, float] | None,
        distance_mm: float | None,
        stream: str | None,
        profile_files: tuple[Path, ...],
        wait_s: float,
        screen_index: int,
        driver: tuple[str, int] | None,
        **others: Any,
    ) -> Any:
        neon = neon_choice(**{name: others.pop(name) for name in [*others] if name.startswith("neon")})
        if neon is not None and (stream is not None or driver is not None):
            raise UsageError(
                "--neon excludes --stream and --driver", hint="A Neon is no stream of the network."
            )
        if fullscreen and size_px is not None:
            raise UsageError("--fullscreen and --size exclude each other", hint="Give one of them.")
        station = Station(
            display_mm=display_mm,
            distance_mm=distance_mm,
            stream=stream,
            profile_files=profile_files,
            wait_s=wait_s,
            size_px=size_px,
            screen_index=screen_index,
            driver=driver,
            neon=neon,
            room=RoomSettings() if room_file is None else load_room_settings(room_file),
        )
        return command(station=station, **others)

    with_station.__doc__ = command.__doc__
    with_station.__name__ = command.__name__
    # click lists options in the order in which they were applied, the last one first.
    with_station.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    decorated: Callable[..., Any] = with_station
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return neon_options(decorated)


def require_viewer() -> None:
    """Raise UsageError (GT-NO-VIEWER), saying what to install, where Qt cannot be used."""
    if importlib.util.find_spec("PyQt6") is None:
        raise UsageError(
            "the viewer needs PyQt6, which is not installed",
            hint="Install it with: pip install 'gazecapture[viewer]'",
            code="GT-NO-VIEWER",
        )
    try:
        importlib.import_module("PyQt6.QtWidgets")
    except ImportError as error:
        raise UsageError(
            f"Qt cannot be loaded ({error})",
            hint="`gazecapture doctor` names the missing system library and how to install it.",
            code="GT-NO-VIEWER",
        ) from error

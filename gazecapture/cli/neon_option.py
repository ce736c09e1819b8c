"""The options ``--neon ...`` of every command that records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from gazecapture.sources.neon_discovery import find_neon
from gazecapture.sources.neon_options import NeonChoice, NeonOptions, parse_address
from keyframes.errors import UsageError

__all__ = ["neon_choice", "neon_options"]


def neon_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the arguments that `neon_choice` takes."""
    for option in (
        click.option(
            "--neon-tcp", is_flag=True, help="With --neon: streams over TCP, for networks that lose UDP."
        ),
        click.option("--neon-no-backup", is_flag=True, help="With --neon: the phone itself records nothing."),
        click.option("--neon-imu", is_flag=True, help="With --neon: the head's motion too."),
        click.option("--neon-no-video", is_flag=True, help="With --neon: without the scene camera."),
        click.option(
            "--neon",
            metavar="HOST[:PORT]|find[:NAME]",
            callback=_address,
            help="A Pupil Labs Neon, read from its phone; the app shows the address under Streaming. find: the only "
            "one in this network; find:NAME: that of the phone with this name (`gazecapture streams --neon`).",
        ),
    ):
        function = option(function)
    return function


def neon_choice(
    *,
    neon: tuple[str, int] | _ByName | None,
    neon_no_video: bool,
    neon_imu: bool,
    neon_no_backup: bool,
    neon_tcp: bool,
) -> NeonChoice | None:
    """Return the choice; None where no Neon is wanted. Looks for one that is to be found.

    Raises UsageError where only its options are given, and as `find_neon` does.
    """
    if neon is None:
        if neon_no_video or neon_imu or neon_no_backup or neon_tcp:
            raise UsageError("--neon-... goes with --neon HOST")
        return None
    options = NeonOptions(video=not neon_no_video, imu=neon_imu, backup=not neon_no_backup, tcp=neon_tcp)
    if isinstance(neon, _ByName):
        found = find_neon(neon.name)
        click.echo(f"found the Neon {found.name!r} at {found.address}", err=True)
        neon = found.host, found.port
    return NeonChoice(host=neon[0], port=neon[1], options=options)


@dataclass(frozen=True, slots=True)
class _ByName:
    """A Neon that is to be looked for."""

    name: str
    """Of its phone; empty: the only one."""


def _address(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[str, int] | _ByName | None:
    if value is None:
        return None
    asked, _, name = value.partition(":")
    if asked == "find":
        return _ByName(name)
    try:
        return parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None

"""The option ``--profile FILE`` of every command that reads streams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gazecapture.session.profiles import load_own_profiles

__all__ = ["own_profiles_option"]


def own_profiles_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument ``profile_files``, the files named; `load_own_profiles` reads them."""
    return click.option(
        "--profile",
        "profile_files",
        type=click.Path(path_type=Path, dir_okay=False),
        multiple=True,
        metavar="FILE",
        callback=_checked,
        help="Your own stream profile (docs/streams.md); may be repeated.",
    )(function)


def _checked(_ctx: click.Context, _param: click.Parameter, value: tuple[Path, ...]) -> tuple[Path, ...]:
    """Refuse a broken file before anything is opened."""
    load_own_profiles(value)
    return value

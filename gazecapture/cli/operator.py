"""``gazecapture operator``: watch a session that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gazecapture.cli.neon_option import neon_choice, neon_options
from gazecapture.cli.review import window_options
from gazecapture.cli.station import require_viewer
from keyframes.errors import ExitCode

__all__ = ["operator_command"]


@click.command("operator", short_help="Watch a session that is being recorded, from another screen.")
@click.argument("session", type=click.Path(path_type=Path, exists=True, file_okay=False))
@window_options
@neon_options
@click.option("--until-end", is_flag=True, help="Close when the recorder has ended.")
def operator_command(
    *, session: Path, size_px: tuple[int, int] | None, screen_index: int, until_end: bool, **neon: Any
) -> ExitCode:
    """Show live gaze on the film, the streams' figures and what to worry about, of a session that is being recorded.

    It reads the session's files and nothing else: closing or killing it changes nothing for the reader. Open it before
    or during the sitting, as often as you like. With --neon it also listens to the phone, whose gaze is on the screen
    only by the scene camera's picture. Research use only, not for diagnosis.
    """
    require_viewer()
    # Not before it is needed: Qt takes a second and system libraries to load.
    from gazecapture.viewer.qt.operator.app import watch_session

    watch_session(
        session,
        size_px=size_px,
        screen_index=screen_index,
        closes_at_end=until_end,
        neon=neon_choice(**neon),
    )
    return ExitCode.OK

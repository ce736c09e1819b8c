"""What `record` and `read` say of a target folder that is not encrypted."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from gazecapture.volume import is_encrypted

__all__ = ["warn_where_not_encrypted"]

logger = logging.getLogger(__name__)


def warn_where_not_encrypted(folder: Path) -> None:
    """Warn on stderr where the system tells that the volume is not encrypted; the commands go on all the same."""
    encrypted = is_encrypted(folder)
    if encrypted is None:
        logger.info("whether %s is on an encrypted volume cannot be told", folder)
    elif not encrypted:
        click.echo(
            f"warning: {folder} is not on an encrypted volume; whoever takes the disk can read the sessions "
            "(docs/streams.md says what to do)",
            err=True,
        )

"""The command ``gazecurate`` within a test's own process: what a user types, what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curation.cli import cli
from gazecapture.console import run_command
from keyframes.errors import ExitCode

__all__ = ["Command"]


class Command:
    """Runs ``gazecurate`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str | Path) -> ExitCode:
        code = run_command(cli, [str(argument) for argument in arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self) -> Any:
        return json.loads(self.out)

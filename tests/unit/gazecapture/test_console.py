from __future__ import annotations

import click
import pytest

from gazecapture.console import run_command
from keyframes.errors import DataError, ExitCode, PrivacyError


def command(error: BaseException | None = None, outcome: ExitCode | None = None) -> click.Command:
    @click.command()
    @click.option("--n", type=int)
    def tool(n: int | None) -> ExitCode | None:
        if error is not None:
            raise error
        return outcome

    return tool


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DataError("row 3 is off"), ExitCode.INTERNAL, "error: row 3 is off. (GT-DATA)"),
        (PrivacyError("found"), ExitCode.PRIVACY, "(GT-PRIVACY)"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "run the same command again"),
        (PermissionError(13, "denied", "out"), ExitCode.USAGE, "(GT-PERMISSION)"),
        (ZeroDivisionError(), ExitCode.INTERNAL, "internal error: ZeroDivisionError"),
    ],
)
def test_what_a_command_raises_is_one_line_and_a_code(
    error: BaseException, code: ExitCode, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(command(error), []) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_a_returned_code_becomes_the_exit_code() -> None:
    assert run_command(command(outcome=ExitCode.SOME_FAILED), []) == ExitCode.SOME_FAILED
    assert run_command(command(), []) == ExitCode.OK
    assert run_command(command(), ["--help"]) == ExitCode.OK


def test_wrong_options_are_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(command(), ["--n", "many"]) == ExitCode.USAGE
    assert "GT-USAGE" in capsys.readouterr().err

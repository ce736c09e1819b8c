from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import click
import pytest

from gazecapture.console import FiniteRange, run_command
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


def test_no_arguments_give_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group()
    def tools() -> None:
        """Do things."""

    assert run_command(tools, []) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.err.startswith("Usage: ")
    assert "error:" not in captured.err


def child(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=300,
        errors="backslashreplace", env={**os.environ, **environment},
    )  # fmt: skip


def test_a_name_that_the_terminal_cannot_show_is_no_error() -> None:
    done = child(
        """
        import click
        from gazecapture.console import echo_result, run_and_leave
        run_and_leave(click.command()(lambda: echo_result({}, as_json=False, text="Röntgen \\u2192 \\udcff")))
        """,
        PYTHONIOENCODING="cp1252",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "ntgen \\u2192 \\udcff" in done.stdout


def test_an_interrupt_that_python_loses_comes_again() -> None:
    done = child(
        """
        import click, time
        from gazecapture.console import run_and_leave

        class Dying:
            def __del__(self):
                raise KeyboardInterrupt

        @click.command()
        def tool():
            x = Dying()
            del x
            time.sleep(50)
            print('slept to the end')

        run_and_leave(tool)
        """
    )
    assert done.returncode == ExitCode.INTERRUPTED
    assert done.stderr.strip().startswith("interrupted; ")
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "x"])
def test_a_number_must_be_finite(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @click.option("--wait-s", type=FiniteRange(min=0))
    def tool(wait_s: float) -> None:
        raise AssertionError(wait_s)

    assert run_command(tool, ["--wait-s", number]) == ExitCode.USAGE
    assert "Invalid value for '--wait-s'" in capsys.readouterr().err


def test_a_reader_of_the_output_may_leave() -> None:
    code = (
        "import click; from gazecapture.console import run_and_leave as run; import sys; sys.stdin.read()\n"
    )
    code += "run(click.command()(lambda: click.echo('x' * 100)))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        assert process.wait(300) == 0
        assert process.stderr.read() == b""


def test_a_name_that_is_no_text_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    error = UnicodeEncodeError("utf-8", "in/\udcff", 3, 4, "surrogates not allowed")
    assert run_command(command(error), []) == ExitCode.USAGE
    assert "GT-PATH" in capsys.readouterr().err

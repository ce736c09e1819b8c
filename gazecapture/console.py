"""What both commands share on a terminal: the error boundary, logging and progress.

stdout carries the result, stderr progress and logs. A command's body raises; `run_command` turns what it raises
into one clear line and the documented exit code.
"""

from __future__ import annotations

import _thread
import contextlib
import io
import json
import logging
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from gazecapture.files import as_tool_error
from gazecapture.spared_imports import spare_pandas
from keyframes.errors import ExitCode, GazeToolError

__all__ = [
    "FiniteRange", "begin", "echo_result", "progress_bar", "run_and_leave", "run_command", "setup_logging",
]  # fmt: skip

_OWNER_ONLY = 0o077
"""Permissions that no file of ours has: sessions, stores and what is made of them are for their owner alone."""
_AGAIN_S = 0.02
"""Time after which an interrupt that got lost is given again: long enough to have left what swallowed it."""
_OWN_PROCESS = object()
"""What a command's context holds where the process is there for that command alone."""


def run_command(
    command: click.Command, arguments: Sequence[str] | None = None, *, in_own_process: bool = False
) -> ExitCode:
    """Run a click command and return its exit code; every failure ends in one line on stderr.

    A command's function returns an ExitCode (or None for OK). Tracebacks are shown only with
    ``GAZECAPTURE_DEBUG=1``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name may hold what the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        outcome = command.main(
            args=arguments, standalone_mode=False, obj=_OWN_PROCESS if in_own_process else None
        )
    except click.exceptions.Abort:
        return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except click.exceptions.Exit as leaving:
        return ExitCode(leaving.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.ClickException as error:
        _complain(f"{error.format_message()} (GT-USAGE)")
        return ExitCode.USAGE
    except GazeToolError as error:
        _debug()
        _complain(error.one_line())
        return ExitCode(error.exit_code)
    except SystemExit:
        return ExitCode.OK  # how click leaves when the reader of our output went away, as `| head` does
    except OSError as error:
        _debug()
        tool_error = as_tool_error(error, Path(str(error.filename or ".")), "working")
        _complain(tool_error.one_line())
        return ExitCode(tool_error.exit_code)
    except UnicodeEncodeError as error:
        _debug()
        _complain(f"a file or folder has a name that is no valid {error.encoding}. Rename it. (GT-PATH)")
        return ExitCode.USAGE
    except MemoryError:
        _debug()
        _complain("not enough memory. Close other programs, or run with fewer jobs (-j). (GT-MEMORY)")
        return ExitCode.INTERNAL
    except Exception as error:
        _debug()
        _complain(
            f"internal error: {type(error).__name__}. Please report it; "
            "GAZECAPTURE_DEBUG=1 shows where it arose. (GT-INTERNAL)"
        )
        return ExitCode.INTERNAL
    return ExitCode(outcome) if isinstance(outcome, int) else ExitCode.OK


class FiniteRange(click.FloatRange):
    """A range of finite numbers; click's own takes nan, which no limit holds, and inf where a limit is absent."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType.convert`."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def run_and_leave(command: click.Command) -> NoReturn:
    """Run the program's command and end the process with its exit code. Files that it makes are its owner's alone.

    Ctrl-C may strike while Python clears away an object; there it would be printed as a traceback and forgotten. It
    comes again a moment later instead, and no more once the command is done.
    """
    os.umask(_OWNER_ONLY)
    sys.unraisablehook = _interrupt_again
    code = run_command(command, in_own_process=True)
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def echo_result(result: Any, *, as_json: bool, text: str = "") -> None:
    """Write a command's result to stdout: ``result`` as one JSON document, or ``text`` for people."""
    click.echo(json.dumps(result, indent=2, sort_keys=True, allow_nan=False) if as_json else text)


def progress_bar(*, disable: bool = False) -> Progress:
    """Return a progress display on stderr; on a terminal it moves, elsewhere it prints its end state once."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=disable,
    )


def begin(*, verbose: bool) -> None:
    """Set up what a program's every subcommand has, once that is imported and before it runs."""
    setup_logging(verbose=verbose)
    if click.get_current_context().find_root().obj is _OWN_PROCESS and "pyarrow" in sys.modules:
        spare_pandas()


def setup_logging(*, verbose: bool = False) -> None:
    """Send the toolkit's log lines to stderr: warnings, or everything with ``verbose``."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    for package in ("keyframes", "gazecapture", "curation"):
        logger = logging.getLogger(package)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.DEBUG if verbose else logging.WARNING)


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        again = threading.Timer(_AGAIN_S, _interrupt_main)
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):  # wakes the main thread where it waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _complain(line: str) -> None:
    click.echo(f"error: {line}", err=True)


def _interrupted() -> ExitCode:
    click.echo("interrupted; run the same command again to go on where it stopped", err=True)
    return ExitCode.INTERRUPTED


def _debug() -> None:
    if os.environ.get("GAZECAPTURE_DEBUG"):
        traceback.print_exc()

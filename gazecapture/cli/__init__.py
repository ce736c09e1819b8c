"""The command ``gazecapture``: parse and print; every subcommand's work is in a module of its own.

A subcommand is imported when it is asked for, so that the help is quick and a missing extra hinders nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

import click

from gazecapture import __version__
from gazecapture.console import begin, run_and_leave
from keyframes.errors import UsageError

__all__ = ["cli", "main"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    module: str
    attribute: str
    help: str


_COMMANDS = {
    "backfill": _Entry(
        module="gazecapture.cli.backfill",
        attribute="backfill_command",
        help="Put the tracker's own recording into a session.",
    ),
    "consent": _Entry(
        module="gazecapture.cli.consent",
        attribute="consent_command",
        help="Record what a session's reader agreed to.",
    ),
    "demo": _Entry(
        module="gazecapture.cli.demo",
        attribute="demo_command",
        help="Go the whole way, from a simulated reader to shards.",
    ),
    "doctor": _Entry(
        module="gazecapture.cli.doctor", attribute="doctor_command", help="Check this machine; name each fix."
    ),
    "export-xdf": _Entry(
        module="gazecapture.cli.export_xdf",
        attribute="export_xdf_command",
        help="Write a session as an XDF file.",
    ),
    "operator": _Entry(
        module="gazecapture.cli.operator",
        attribute="operator_command",
        help="Watch a session that is being recorded, from another screen.",
    ),
    "read": _Entry(
        module="gazecapture.cli.read",
        attribute="read_command",
        help="Read a worklist in the viewer, recorded.",
    ),
    "record": _Entry(
        module="gazecapture.cli.record", attribute="record_command", help="Record streams into a session."
    ),
    "recover": _Entry(
        module="gazecapture.cli.recover",
        attribute="recover_command",
        help="Count what a crashed session left.",
    ),
    "relay": _Entry(
        module="gazecapture.cli.relay",
        attribute="relay_command",
        help="Republish a device as streams for other programs.",
    ),
    "replay": _Entry(
        module="gazecapture.cli.replay", attribute="replay_command", help="Send recorded gaze as a stream."
    ),
    "review": _Entry(
        module="gazecapture.cli.review",
        attribute="review_command",
        help="Look at readings along their time, and decide about them.",
    ),
    "simulate": _Entry(
        module="gazecapture.cli.simulate",
        attribute="simulate_command",
        help="Simulate a reader, live or offline.",
    ),
    "simulate-neon": _Entry(
        module="gazecapture.cli.simulate_neon",
        attribute="simulate_neon_command",
        help="Simulate a Pupil Labs Neon.",
    ),
    "streams": _Entry(
        module="gazecapture.cli.streams", attribute="streams_command", help="List the streams on the network."
    ),
    "teach": _Entry(
        module="gazecapture.cli.teach",
        attribute="teach_command",
        help="See one's own reading beside an expert's of the same study.",
    ),
    "validate": _Entry(
        module="gazecapture.cli.validate",
        attribute="validate_command",
        help="Measure how far off the tracker is.",
    ),
}
_EXTRA_OF_MODULE = {"PyQt6": "viewer", "cv2": "viewer"}


class _LazyGroup(click.Group):
    """Imports a subcommand only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [
            name for name, entry in _COMMANDS.items() if importlib.util.find_spec(entry.module) is not None
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        entry = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{entry.attribute} is no command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if missing not in _EXTRA_OF_MODULE:
                raise
            extra = _EXTRA_OF_MODULE[missing]
            raise UsageError(
                f"this command needs the {extra} extra, which is not installed ({missing} is missing)",
                hint=f'pip install "gazecapture[{extra}]"',
                code="GT-EXTRA-MISSING",
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name].help) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gazecapture")
@click.option("-v", "--verbose", is_flag=True, help="Show log lines on stderr.")
def cli(*, verbose: bool) -> None:
    """From an eye tracker and a radiograph to recorded reading sessions.

    For research only, not for diagnosis.
    """
    begin(verbose=verbose)


def main() -> None:
    """Run the command and leave with its exit code."""
    run_and_leave(cli)

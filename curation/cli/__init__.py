"""The command ``gazecurate``: it parses and prints; the work is done elsewhere. A sub-command is imported when used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

from curation.memory import limit_memory, memory_limit_bytes
from gazecapture import __version__
from gazecapture.console import begin, run_and_leave

__all__ = ["cli", "main"]

_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ingest": ("curation.cli.ingest", "Put sessions into a store."),
        "run": ("curation.cli.run", "Curate every reading of a store and write the dataset."),
        "qc": ("curation.cli.qc", "Judge the quality of every reading."),
        "fit-lead": ("curation.cli.fit_lead", "Fit by how much each reader's gaze leads the words."),
        "keyframes": ("curation.cli.keyframes", "Say which key frames were made."),
        "status": ("curation.cli.status", "Say what is done, what is left and what failed."),
        "export": ("curation.cli.export", "Write the dataset from what is curated."),
        "verify": ("curation.cli.verify", "Check a dataset against its manifest."),
        "attach-images": ("curation.cli.attach_images", "Put pictures into a dataset that came without."),
        "burned-in": ("curation.cli.burned_in", "List and decide what is held back for text in its pixels."),
        "consent": ("curation.cli.consent", "Show or record what readers agreed to."),
        "forget": ("curation.cli.forget", "Remove a reader or a reading everywhere."),
        "report": ("curation.cli.report", "Write a report as one HTML page."),
    }
)
"""Name -> (module, which has the command under the same name, - as _; one line of help)."""


class _LazyGroup(click.Group):
    """Knows names and one line of help of its commands; imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)  # noqa: S101 - each module defines its own
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gazecurate")
@click.option("-v", "--verbose", is_flag=True, help="Log more to stderr.")
def cli(*, verbose: bool) -> None:
    """From recorded sessions to training shards. Research use only, not for diagnosis.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 some readings failed or were held back, 4 no reading left,
    5 privacy, 6 a dataset differs from its manifest, 130 interrupted (run it again to go on).

    Each process takes at most 4 GiB of memory; GAZECURATE_MEMORY_GIB sets another limit, 0 none.
    """
    begin(verbose=verbose)


def main() -> None:
    """Run the console script ``gazecurate``, within the limit of memory that every process of it has."""
    limit_memory(memory_limit_bytes())
    run_and_leave(cli)

"""``gazecurate consent``."""

from __future__ import annotations

from pathlib import Path

import click

from curation.cli.options import as_json, hold_store, store_folder
from curation.consent import Consents
from gazecapture.console import echo_result
from gazecapture.session.consent import SCOPES, ConsentRecord
from gazecapture.store import Store
from keyframes.access import ACCESS_TIERS
from keyframes.errors import ExitCode, UsageError

__all__ = ["consent"]


@click.command()
@store_folder
@click.option("--reader", "reader_code", metavar="CODE", help="Whose; all readers are shown without it.")
@click.option("--version", metavar="TEXT", help="Of the text that the reader agreed to.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="May be given several times."
)
@click.option(
    "--tier",
    type=click.Choice(ACCESS_TIERS),
    default="local-only",
    show_default=True,
    help="The laxest tier of a dataset that the readings may be in.",
)
@click.option("--withdraw", is_flag=True, help="The reader agrees to nothing any more.")
@as_json
def consent(
    *,
    store_root: Path,
    reader_code: str | None,
    version: str | None,
    scopes: tuple[str, ...],
    tier: str,
    withdraw: bool,
    as_json: bool,
) -> ExitCode:
    """Show what readers agreed to, or record it; it counts from the next export on.

    A withdrawal keeps the readings in the store: `gazecurate forget` removes them.
    """
    if withdraw and scopes:
        raise UsageError("--withdraw and --scope exclude each other")
    if (withdraw or scopes) and reader_code is None:
        raise UsageError("--reader is needed: whose consent is it?")
    if version is not None and not (withdraw or scopes):
        raise UsageError("--version goes with --scope or --withdraw")
    store = Store.open(store_root)
    if reader_code is not None and (withdraw or scopes):
        with hold_store(store):
            consents = Consents.of(store)
            before = consents.newest(reader_code)
            version = version or (before.version if before is not None else None)
            if version is None:
                raise UsageError("--version is needed: which text did the reader agree to?")
            given = ConsentRecord.given_now(reader_code, version=version, scopes=scopes, sharing_tier=tier)
            consents = consents.put(given)
    else:
        consents = Consents.of(store)
    codes = sorted({record.reader_code for record in consents.records})
    newest = [
        record
        for code in codes
        if reader_code in (None, code) and (record := consents.newest(code, simulated=True)) is not None
    ]
    text = "\n".join(record.one_line() for record in newest) or "no consent is on record"
    echo_result({"consents": [r.model_dump(mode="json") for r in newest]}, as_json=as_json, text=text)
    return ExitCode.OK

"""``gazecurate consent``."""

from __future__ import annotations

from pathlib import Path

import click

from curation.cli.options import as_json, hold_store, store_folder
from curation.consent import Consents
from gazecapture.console import echo_result
from gazecapture.session.consent_options import Agreed, consent_options
from gazecapture.store import Store
from keyframes.errors import ExitCode, UsageError

__all__ = ["consent"]


@click.command()
@store_folder
@click.option("--reader", "reader_code", metavar="CODE", help="Whose; all readers are shown without it.")
@consent_options
@as_json
def consent(*, store_root: Path, reader_code: str | None, agreed: Agreed, as_json: bool) -> ExitCode:
    """Show what readers agreed to, or record it; it counts from the next export on.

    A withdrawal keeps the readings in the store: `gazecurate forget` removes them.
    """
    if agreed.is_said and reader_code is None:
        raise UsageError("--reader is needed: whose consent is it?")
    store = Store.open(store_root)
    if reader_code is not None and agreed.is_said:
        with hold_store(store):
            consents = Consents.of(store)
            consents = consents.put(agreed.record(reader_code, consents.newest(reader_code)))
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

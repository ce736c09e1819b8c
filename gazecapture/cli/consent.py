"""``gazecapture consent``: what the reader of a session agreed to."""

from __future__ import annotations

from pathlib import Path

import click

from gazecapture.console import echo_result
from gazecapture.session.consent_options import Agreed, consent_options
from keyframes.errors import ExitCode, UsageError

__all__ = ["consent_command"]


@click.command("consent")
@click.option(
    "--session",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The session's folder.",
)
@consent_options
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def consent_command(*, session: Path, agreed: Agreed, as_json: bool) -> ExitCode:
    """Record what a session's reader agreed to, or show it where nothing is given.

    The next `gazecurate ingest` takes it into the store; there the newest record of a reader counts for all of the
    reader's sessions. Without a record nothing of a session is exported. `gazecurate consent` records in the store.
    """
    from gazecapture.session.consent import read_consent, write_consent
    from gazecapture.session.schema import read_session_info

    record = read_consent(session)
    if agreed.is_said:
        code = read_session_info(session).reader_code
        if not code:
            raise UsageError("the session has no reader code", path=session, code="GT-CONSENT")
        record = agreed.record(code, record)
        write_consent(session, record)
    text = "no consent is on record" if record is None else record.one_line()
    echo_result(
        {"consent": None if record is None else record.model_dump(mode="json")}, as_json=as_json, text=text
    )
    return ExitCode.OK

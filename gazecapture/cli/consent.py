"""``gazecapture consent``: what the reader of a session agreed to."""

from __future__ import annotations

from pathlib import Path

import click

from gazecapture.console import echo_result
from keyframes.access import ACCESS_TIERS, SCOPES
from keyframes.errors import ExitCode, UsageError

__all__ = ["consent_command"]


@click.command("consent")
@click.option(
    "--session",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The session's folder.",
)
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
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def consent_command(
    *,
    session: Path,
    version: str | None,
    scopes: tuple[str, ...],
    tier: str,
    withdraw: bool,
    as_json: bool,
) -> ExitCode:
    """Record what a session's reader agreed to, or show it where nothing is given.

    The next `gazecurate ingest` takes it into the store; there the newest record of a reader counts for all of the
    reader's sessions. Without a record nothing of a session is exported. `gazecurate consent` records in the store.
    """
    from gazecapture.session.consent import ConsentRecord, read_consent, write_consent
    from gazecapture.session.schema import read_session_info

    if withdraw and scopes:
        raise UsageError("--withdraw and --scope exclude each other")
    record = read_consent(session)
    if withdraw or scopes:
        version = version or (record.version if record is not None else None)
        if version is None:
            raise UsageError("--version is needed: which text did the reader agree to?")
        code = read_session_info(session).reader_code
        if not code:
            raise UsageError("the session has no reader code", path=session, code="GT-CONSENT")
        record = ConsentRecord.given_now(code, version=version, scopes=scopes, sharing_tier=tier)
        write_consent(session, record)
    elif version is not None:
        raise UsageError("--version goes with --scope or --withdraw")
    text = "no consent is on record" if record is None else record.one_line()
    echo_result(
        {"consent": None if record is None else record.model_dump(mode="json")}, as_json=as_json, text=text
    )
    return ExitCode.OK

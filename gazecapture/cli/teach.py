"""``gazecapture teach``: the own reading beside an expert's."""

from __future__ import annotations

from pathlib import Path

import click

from gazecapture.cli.review import window_options
from gazecapture.cli.station import require_viewer
from gazecapture.console import echo_result
from keyframes.errors import ExitCode, UsageError

__all__ = ["teach_command"]

_folder = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("teach", short_help="See one's own reading beside an expert's of the same study.")
@click.option("--session", type=_folder, help="The trainee's session.")
@click.option("--expert-session", type=_folder, help="The expert's session.")
@click.option("--store", type=_folder, help="A store that holds both readers' readings.")
@click.option("--reader", metavar="CODE", help="With --store: the trainee.")
@click.option("--expert", metavar="CODE", help="With --store: the expert.")
@click.option("--list", "only_list", is_flag=True, help="Only list the studies that both have read.")
@window_options
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def teach_command(
    *,
    session: Path | None,
    expert_session: Path | None,
    store: Path | None,
    reader: str | None,
    expert: str | None,
    only_list: bool,
    size_px: tuple[int, int] | None,
    screen_index: int,
    as_json: bool,
) -> ExitCode:
    """Show trajectory, coverage and missed regions of a trainee beside an expert's reading of the same study.

    Both must have agreed to it (scope teaching), else the command ends with exit code 5 and GT-NO-TEACHING-CONSENT.
    Only readings that are closed are shown. It describes, it does not grade. Research use only, not for diagnosis.
    """
    by_store = (store, reader, expert)
    by_session = (session, expert_session)
    if not (all(by_store) and not any(by_session)) and not (all(by_session) and not any(by_store)):
        raise UsageError(
            "give either --session and --expert-session, or --store, --reader and --expert",
            hint="The two readings come from two sessions or from one store.",
        )
    from gazecapture.viewer.teaching import PairSource, SessionPairs, StorePairs

    source: PairSource
    if session is not None and expert_session is not None:
        source = SessionPairs(session, expert_session)
    else:
        source = StorePairs(store or Path(), reader_code=reader or "", expert_code=expert or "")
    pairs = source.pairs()
    text = "\n".join(pair.title for pair in pairs) or "there is no study that both have read"
    if only_list or not pairs:
        echo_result({"studies": [pair.title for pair in pairs]}, as_json=as_json, text=text)
        return ExitCode.OK if pairs else ExitCode.NOTHING_LEFT
    require_viewer()
    # Not before it is needed: Qt takes a second and system libraries to load.
    from gazecapture.viewer.qt.teaching import teach

    teach(source, pairs, size_px=size_px, screen_index=screen_index)
    return ExitCode.OK

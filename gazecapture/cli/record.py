"""``gazecapture record``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gazecapture.cli.neon_option import neon_choice, neon_options
from gazecapture.cli.profile_option import own_profiles_option
from gazecapture.cli.volume_warning import warn_where_not_encrypted
from gazecapture.console import FiniteRange, echo_result
from gazecapture.files import claim_output_folder
from gazecapture.session.consent import has_refused, may_record_speech, may_still_record_speech
from gazecapture.session.profiles import keep_profiles, session_profiles
from gazecapture.session.recorder import record_session
from gazecapture.session.self_check import check_recording
from gazecapture.session.status import RecorderStatus, request_stop
from gazecapture.sources.consented_words import ConsentedWords
from gazecapture.sources.lsl import LslSource
from gazecapture.sources.lsl_choice import choose_sources, late_words
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.protocol import Source
from keyframes.errors import ExitCode, PrivacyError, SchemaError, UsageError

__all__ = ["record_command"]

REFUSAL_LOOK_S = 0.25
"""s between two looks whether the reader has taken everything back; as often as the state is written."""


@click.command("record")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The session's folder."
)
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="NAME",
    help="Name or source id of a stream to record; may be repeated. Without it: the gaze stream. "
    "The words stream of the same host comes too.",
)
@neon_options
@own_profiles_option
@click.option(
    "--wait-s", type=FiniteRange(min=0), default=10.0, show_default=True, help="How long to look, s."
)
@click.option("--seconds", type=FiniteRange(min=0, min_open=True), help="End after this time, s.")
@click.option("--without-gaze", is_flag=True, help="Record words alone, if anybody sends some.")
@click.option("--json", "as_json", is_flag=True, help="Print the final state as JSON.")
def record_command(
    *,
    out: Path,
    streams: tuple[str, ...],
    profile_files: tuple[Path, ...],
    without_gaze: bool,
    wait_s: float,
    seconds: float | None,
    as_json: bool,
    **neon: Any,
) -> ExitCode:
    """Record streams into a session folder until Ctrl-C.

    Every sample is on disk within 50 ms of its arrival and survives the death of this process. At the end all is
    read again; the report is printed and saved as self-check.json. Exit code 6 where data are damaged or absent.

    Words are not recorded where the session's reader was asked and did not agree to it (`gazecapture consent`), and no
    longer once that is taken back. A reader who agrees to nothing any more ends the recording; exit code 5.
    """
    if len(set(streams)) < len(streams):
        raise UsageError("a stream is named twice")
    if without_gaze and streams:
        raise UsageError("--without-gaze and --stream exclude each other", hint="Give one of them.")
    phone = neon_choice(**neon)
    if without_gaze and phone is not None:
        raise UsageError("--without-gaze and --neon exclude each other", hint="Give one of them.")
    claim_output_folder(out, kind="session")
    warn_where_not_encrypted(out)
    if has_refused(out):
        raise _refusal(out)
    keep_profiles(out, profile_files)
    own_profiles = session_profiles(out)
    sources: list[LslSource] = []

    def guarded(found: Sequence[LslSource]) -> list[Source]:
        """Give words only as long as the reader agrees: that may change while they are recorded."""
        return [
            ConsentedWords(source, lambda: may_still_record_speech(out)) if source.is_words else source
            for source in found
        ]

    def words_that_came() -> Sequence[Source]:
        """Look for a words stream; asked anew each time, for the reader may agree, or no longer, meanwhile."""
        return guarded(late_words(sources)) if may_still_record_speech(out) else []

    def connect() -> Sequence[Source]:
        with_words = may_record_speech(out)
        if without_gaze or (phone is not None and not streams):
            if with_words:
                late_words(sources)
        else:
            sources.extend(
                choose_sources(streams, wait_s=wait_s, own_profiles=own_profiles, with_words=with_words)
            )
        if phone is None:
            return guarded(sources)
        return [NeonSource(phone.host, phone.port, session=out, options=phone.options), *guarded(sources)]

    def started(status: RecorderStatus) -> None:
        click.echo(_started(status), err=True)
        for info in (info for source in sources for info in source.info):
            if info.role == "gaze" and not info.profile:
                click.echo(
                    f"warning: no profile reads the gaze of {info.name}; it is recorded as it comes. Write a profile "
                    "(docs/streams.md) and give it to `gazecurate ingest --profile`",
                    err=True,
                )

    with _ending_on_refusal(out) as refused:
        final = record_session(
            out,
            connect=connect,
            late=None if streams else words_that_came,
            seconds=seconds,
            on_start=started,
        )
    report = check_recording(out, final)
    result = asdict(final) | {"self_check": asdict(report)}
    echo_result(result, as_json=as_json, text="\n".join(report.lines()))
    if refused.is_set():
        raise _refusal(out)
    return report.exit_code


@contextmanager
def _ending_on_refusal(session: Path) -> Iterator[threading.Event]:
    """Ask the recorder to stop once the reader agrees to nothing any more; the event says that it was so.

    A record that cannot be read at a moment says nothing.
    """
    refused, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(REFUSAL_LOOK_S):
            with suppress(OSError, SchemaError):
                if has_refused(session):
                    refused.set()
                    request_stop(session)
                    return

    watching = threading.Thread(target=watch, name="consent", daemon=True)
    watching.start()
    try:
        yield refused
    finally:
        over.set()
        watching.join()


def _refusal(session: Path) -> PrivacyError:
    return PrivacyError(
        "the reader does not agree to be recorded",
        hint="Nothing more is recorded before a record of `gazecapture consent` says otherwise.",
        path=session,
        code="GT-CONSENT-DECLINED",
    )


def _started(status: RecorderStatus) -> str:
    names = ", ".join(f"{stream.name} ({stream.role})" for stream in status.streams)
    return f"recording {names}; Ctrl-C ends it"

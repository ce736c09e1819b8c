"""Words that somebody else sends are recorded only where the reader did not refuse that speech is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pylsl
import pytest

from gazecapture.cli import cli
from gazecapture.console import run_command
from gazecapture.files import claim_output_folder
from gazecapture.session.consent import ConsentRecord, Scope, may_record_speech, write_consent
from gazecapture.session.recorder_client import start_recorder
from gazecapture.session.schema import SessionInfo, read_stream_info, write_session_info
from gazecapture.sources.lsl import wait_for_streams
from gazecapture.viewer.recording import SessionRecorder
from tests.waiting import LIMIT_S, stopped_when, wait_until

NAME = f"eyes {uuid.uuid4().hex[:6]}"
WORDS = f"{NAME} words"


@pytest.fixture(scope="module", autouse=True)
def senders() -> Iterator[None]:
    """A gaze stream and a words stream of this computer, both found."""
    kinds = ((NAME, "Gaze", 2, "double64"), (WORDS, "Words", 1, "string"))
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo(name, kind, n, 0, channel_format, f"source of {name}"))
        for name, kind, n, channel_format in kinds
    ]
    found = wait_for_streams(lambda all_: ({s.name for s in all_} >= {NAME, WORDS}) or None, wait_s=60)
    assert found
    yield
    del outlets


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "session"
    claim_output_folder(folder, kind="session")
    write_session_info(
        folder, SessionInfo(session_id="s", reader_code="R1", created_unix_ns=1, tool_version="0")
    )
    return folder


def agree(session: Path, *scopes: Scope) -> None:
    write_consent(
        session, ConsentRecord.given_now("R1", version="1", scopes=scopes, sharing_tier="local-only")
    )


def recorded_roles(session: Path) -> set[str]:
    return {read_stream_info(path.parent).role for path in (session / "streams").glob("*/stream.json")}


@pytest.mark.parametrize("named", [[], ["--stream", NAME], ["--stream", NAME, "--stream", WORDS]])
def test_a_reader_who_did_not_agree_is_not_heard(session: Path, named: list[str]) -> None:
    agree(session, "gaze", "pupil")
    # Longer than the second after which streams that came later are looked for.
    seconds = "0.1" if named else "2.5"
    run_command(cli, ["record", "--out", str(session), *named, "--seconds", seconds, "--wait-s", "60"])
    assert recorded_roles(session) == {"gaze"}


def test_one_who_agreed_is(session: Path) -> None:
    agree(session, "gaze", "audio")
    # A words stream that answers late is taken while recording goes on.
    with stopped_when(session, lambda: len(recorded_roles(session)) == 2):
        run_command(cli, ["record", "--out", str(session), "--wait-s", "60"])
    assert recorded_roles(session) == {"gaze", "words"}


def test_consent_on_paper_is_not_known_here(session: Path) -> None:
    assert may_record_speech(session)
    agree(session, "gaze")
    assert not may_record_speech(session)


def test_a_recorder_that_began_before_the_reader_was_asked_is_replaced(session: Path) -> None:
    earlier = start_recorder(session, wait_s=60)
    said: list[str] = []
    recorder = SessionRecorder(session, may_hear=False, wait_s=60)
    try:
        earlier.wait_until_recording(LIMIT_S)
        wait_until(lambda: recorded_roles(session) == {"gaze", "words"}, "for both streams")
        agree(session, "gaze")
        recorder.start(said.append)
        assert {s["role"] for s in recorder.counts().values()} == {"gaze"}
        assert any("did not agree" in line for line in said)
    finally:
        recorder.stop()

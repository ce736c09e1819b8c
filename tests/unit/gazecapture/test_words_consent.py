"""Words that somebody else sends are recorded only where the reader did not refuse that speech is."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from gazecapture.cli import cli
from gazecapture.console import run_command
from gazecapture.files import claim_output_folder
from gazecapture.session.consent import (
    CONSENT_FILE,
    ConsentRecord,
    Scope,
    may_record_speech,
    may_still_record_speech,
    write_consent,
)
from gazecapture.session.journal import read_journal
from gazecapture.session.recorder_client import start_recorder
from gazecapture.session.schema import SessionInfo, read_stream_info, write_session_info
from gazecapture.session.status import read_status, request_stop
from gazecapture.sources.consented_words import ConsentedWords
from gazecapture.sources.lsl import wait_for_streams
from gazecapture.sources.protocol import ClockOffset, SourceBatch, SourceMark
from gazecapture.viewer.recording import SessionRecorder
from keyframes.errors import ExitCode
from tests.waiting import LIMIT_S, beside, marks_of, stopped_when, wait_until

NAME = f"eyes {uuid.uuid4().hex[:6]}"
WORDS = f"{NAME} words"


@pytest.fixture(scope="module", autouse=True)
def senders() -> Iterator[dict[str, Any]]:
    """A gaze stream and a words stream of this computer, both found, by name."""
    kinds = ((NAME, "Gaze", 2, "double64"), (WORDS, "Words", 1, "string"))
    outlets = {
        name: pylsl.StreamOutlet(pylsl.StreamInfo(name, kind, n, 0, channel_format, f"source of {name}"))
        for name, kind, n, channel_format in kinds
    }
    found = wait_for_streams(lambda all_: ({s.name for s in all_} >= {NAME, WORDS}) or None, wait_s=60)
    assert found
    yield outlets
    outlets.clear()


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


def state_of(session: Path) -> str:
    status = read_status(session)
    return "" if status is None else status.state


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


def words_in(session: Path) -> list[str]:
    """Return what was said, as words; none before there is such a journal."""
    folder = session / "words"
    return read_journal(folder).table.column("word").to_pylist() if any(folder.glob("*.arrows")) else []


def samples_of(session: Path, stream_id: str) -> list[str]:
    """Return what was said, as it came."""
    folder = session / "streams" / stream_id
    info = read_stream_info(folder)
    assert info.role == "words"
    texts = read_journal(folder).table.column(info.channels[0].column).to_pylist()
    return [json.loads(text)["word"] for text in texts]


def test_nothing_that_is_said_after_a_refusal_is_recorded(session: Path, senders: dict[str, Any]) -> None:
    outlet = senders[WORDS]

    def say(word: str) -> None:
        outlet.push_sample([json.dumps({"word": word, "t_start_s": 1.0, "t_end_s": 1.5})])

    def steer() -> None:
        wait_until(lambda: len(recorded_roles(session)) == 2, "for both streams")
        assert outlet.wait_for_consumers(LIMIT_S)
        say("agreed")
        wait_until(lambda: words_in(session) == ["agreed"], "for the word")
        agree(session, "gaze")
        say("refused")
        wait_until(
            lambda: any("does not agree" in mark["detail"] for mark in marks_of(session)), "for the mark"
        )
        say("refused")
        request_stop(session)

    agree(session, "gaze", "audio")
    with beside(steer):
        run_command(cli, ["record", "--out", str(session), "--wait-s", "60"])
    assert words_in(session) == ["agreed"]
    (mark,) = (mark for mark in marks_of(session) if "does not agree" in mark["detail"])
    assert mark["kind"] == "stop"
    assert samples_of(session, mark["stream_id"]) == ["agreed"]


def test_a_reader_who_agrees_to_nothing_is_not_recorded(session: Path) -> None:
    agree(session)
    assert run_command(cli, ["record", "--out", str(session), "--wait-s", "60"]) == ExitCode.PRIVACY
    assert recorded_roles(session) == set()


def test_recording_ends_once_a_reader_takes_everything_back(session: Path) -> None:
    agree(session, "gaze")

    def steer() -> None:
        wait_until(lambda: state_of(session) == "recording", "for the recorder")
        agree(session)

    with beside(steer):
        ended = run_command(cli, ["record", "--out", str(session), "--stream", NAME, "--wait-s", "60"])
    assert ended == ExitCode.PRIVACY
    assert state_of(session) == "stopped"


class Numbered:
    """A source that gives 1, 2, 3 and so on."""

    info = ()
    n = 0

    def open(self) -> None:
        pass

    def read(self, timeout_s: float) -> SourceBatch | None:
        self.n += 1
        one = np.array([self.n])
        return SourceBatch(
            stream_id="w",
            t_remote_s=one.astype(float),
            t_received_ns=one.astype(np.int64),
            columns={"n": one},
        )

    def offsets(self) -> list[ClockOffset]:
        return []

    def marks(self) -> list[SourceMark]:
        return []

    def close(self) -> None:
        pass


def test_words_that_came_before_a_reader_agreed_again_are_forgotten() -> None:
    answers = iter([True, False, False, True, True])
    source = ConsentedWords(Numbered(), lambda: next(answers))
    given = [source.read(0.1) for _ in range(5)]
    # The fourth may have come before the reader agreed.
    assert [None if batch is None else int(batch.columns["n"][0]) for batch in given] == [
        1,
        None,
        None,
        None,
        5,
    ]


def test_a_record_that_cannot_be_read_allows_nothing_in_the_midst_of_a_recording(session: Path) -> None:
    assert may_still_record_speech(session)
    (session / CONSENT_FILE).write_text("{")
    assert not may_still_record_speech(session)
    (session / CONSENT_FILE).unlink()
    (session / CONSENT_FILE).mkdir()
    assert not may_still_record_speech(session)

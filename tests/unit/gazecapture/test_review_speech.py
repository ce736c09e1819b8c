"""What was said in a session's reading, seen in review before curation makes words of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gazecapture.session.audio import RATE_HZ, AudioClip, add_to_session
from gazecapture.session.removal import TRANSCRIPTS_FOLDER
from gazecapture.viewer.dictation_status import METER_QUIETEST_DBFS
from gazecapture.viewer.review.source import SessionSource
from gazecapture.viewer.review.speech import speech_of_session
from gazecapture.viewer.transcripts import keep_transcript
from tests.unit.curation.readings import SECOND_NS, write_session

ON_NS = SECOND_NS
"""Image on of the first reading of `write_session`, session clock; the second begins 5 s later."""


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return write_session(tmp_path)


def test_sound_is_where_it_was_said(session: Path) -> None:
    loud = np.full(RATE_HZ, 16384, np.int16)
    quiet = np.full(RATE_HZ, 1, np.int16)
    add_to_session(session, AudioClip(samples=np.concatenate((loud, quiet))), t_start_ns=ON_NS + SECOND_NS)
    speech = speech_of_session(session, 1)
    assert speech.has_sound
    assert (np.diff(speech.t_ns) > 0).all()
    heard = np.isfinite(speech.level_dbfs)
    steps = (speech.t_ns[heard][0], speech.t_ns[heard][-1])
    assert np.abs(np.array(steps) - [SECOND_NS, 3 * SECOND_NS]).max() <= 0.1 * SECOND_NS
    in_loud = (speech.t_ns > 1.1 * SECOND_NS) & (speech.t_ns < 1.9 * SECOND_NS)
    in_quiet = (speech.t_ns > 2.1 * SECOND_NS) & (speech.t_ns < 2.9 * SECOND_NS)
    assert speech.level_dbfs[in_loud] == pytest.approx(20 * np.log10(0.5), abs=0.1)
    assert (speech.level_dbfs[in_quiet] == METER_QUIETEST_DBFS).all()
    assert not speech_of_session(session, 2).has_sound


def test_what_the_reader_typed_is_shown_and_nothing_where_there_is_nothing(session: Path) -> None:
    keep_transcript(session, 2, "No effusion.")
    material = SessionSource(session).load("2")
    assert material.speech is not None
    assert (material.speech.transcript, material.speech.note) == ("No effusion.", "")
    nothing = speech_of_session(session, 1)
    assert (nothing.transcript, nothing.note, nothing.has_sound) == ("", "", False)


def test_what_cannot_be_read_is_a_note(session: Path) -> None:
    path = add_to_session(session, AudioClip(samples=np.ones(RATE_HZ, np.int16)), t_start_ns=ON_NS)
    path.write_bytes(b"RIFF")
    folder = session / TRANSCRIPTS_FOLDER
    folder.mkdir()
    (folder / "reading-1.vtt").write_text("WEBVTT\n")
    speech = speech_of_session(session, 1)
    assert "sound cannot be read" in speech.note
    assert "reading-1.vtt" in speech.note

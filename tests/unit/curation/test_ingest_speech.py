"""A session with a voice and a transcript, up to the sentences and what they say."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from curation.cli import cli
from curation.config import CurationConfig, SpeechConfig
from curation.ingest.session import SessionIngester
from curation.ingest.speech import SpeechToWords, speech_to_words
from curation.stages.dictation import DICTATION_STAGE
from curation.stages.protocol import StageContext
from gazecapture.console import run_command
from gazecapture.session.audio import AudioClip, add_to_session, cut_audio, read_wav, session_audio, write_wav
from gazecapture.session.removal import remove_reading
from gazecapture.store import Store
from keyframes.errors import ConfigError, ExitCode, SchemaError, UsageError
from keyframes.reading import Reading
from tests.voices import say

KEY = bytes(32)
SECOND_NS = 1_000_000_000
IMAGE_ON_NS = SECOND_NS
"""Of reading 1 of the synthetic session."""


@pytest.fixture
def session(readings: ModuleType, tmp_path: Path) -> Path:
    folder = readings.write_session(tmp_path, 2)
    assert isinstance(folder, Path)
    return folder


def ingested(session: Path, speech: SpeechToWords | None = None) -> list[Reading]:
    items = list(SessionIngester(speech=speech).readings(session, key=KEY))
    for item in items:
        if item.error is not None:
            raise item.error
    return [item.reading for item in items if item.reading is not None]


def transcribed(session: Path, content: str, *, suffix: str = ".txt", number: int = 1) -> Path:
    folder = session / "transcripts"
    folder.mkdir(exist_ok=True)
    path = folder / f"reading-{number}{suffix}"
    path.write_text(content)
    return path


def test_a_voice_and_what_was_typed_of_it(session: Path) -> None:
    spoken = say("No effusion is seen. The heart is enlarged.", "flite slt")
    add_to_session(session, spoken.clip, t_start_ns=IMAGE_ON_NS + 200_000_000)
    transcribed(session, "No effusion is seen. The heart is enlarged.\n")
    first, second = ingested(session, speech_to_words(SpeechConfig(), None))
    rows = first.table("words").to_pylist()
    off_s = [
        abs(row["t_start_ns"] / 1e9 - 0.2 - start_s)
        for row, (_, start_s, _) in zip(rows, spoken.words, strict=True)
    ]
    assert np.median(off_s) < 0.1
    assert max(off_s) < 0.3
    assert {(row["placing"], row["transcript"], row["supported"], row["source"]) for row in rows} == {
        ("measured", "reviewed", True, "dictated")
    }
    assert second.table("words")["word"].to_pylist() == ["normal", "heart", "."], "as it was recorded"
    context = StageContext(config=CurationConfig(), image_path=lambda _index: None)
    sentences = DICTATION_STAGE.run(first, context).tables["sentences"].to_pylist()
    assert [[(m["label"], m["certainty"]) for m in s["mentions"]] for s in sentences] == [
        [("Pleural Effusion", "negative")],
        [("Cardiomegaly", "positive")],
    ]


def test_a_corrected_text_without_a_voice_lies_on_the_recorded_words(session: Path) -> None:
    transcribed(session, "Normal big heart.")
    words = ingested(session)[0].table("words").to_pylist()
    assert [(w["word"], w["placing"]) for w in words] == [
        ("Normal", "measured"), ("big", "interpolated"), ("heart.", "measured")
    ]  # fmt: skip


def test_a_timed_transcript_is_taken_as_it_is_and_marked(session: Path) -> None:
    segment = {"start": 0.5, "end": 1.0, "text": "", "words": [{"word": "clear", "start": 0.5, "end": 1.0}]}
    transcribed(session, json.dumps({"segments": [segment]}), suffix=".json")
    reading = ingested(session)[0]
    (row,) = reading.table("words").to_pylist()
    assert (row["t_start_ns"], row["t_end_ns"]) == (500_000_000, 1_000_000_000)
    assert row["transcript"] == "unreviewed"
    assert "GI-WORDS-UNREVIEWED=1" in reading.meta.provenance["source_issues"]


def test_transcripts_beside_the_sessions(session: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts" / session.name
    folder.mkdir(parents=True)
    (folder / "reading-2.txt").write_text("Heart normal.")
    first, second = ingested(session, SpeechToWords(transcripts=tmp_path / "texts"))
    assert first.table("words").num_rows == 3
    assert second.table("words")["word"].to_pylist() == ["Heart", "normal."]


def test_the_command_takes_transcripts_of_sessions_and_of_nothing_else(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "texts" / session.name
    folder.mkdir(parents=True)
    (folder / "reading-2.txt").write_text("Heart normal.")
    store = tmp_path / "store"
    command = [
        "ingest",
        str(session),
        "--store",
        str(store),
        "--transcripts",
        str(tmp_path / "texts"),
        "--json",
    ]
    assert run_command(cli, [*command, "--format", "session"]) == ExitCode.OK
    added = json.loads(capsys.readouterr().out)["added"]
    readings = sorted(
        map(Store.open(store).load, added), key=lambda reading: reading.meta.reading_number or 0
    )
    assert [reading.table("words")["word"].to_pylist() for reading in readings] == [
        ["normal", "heart", "."],
        ["Heart", "normal."],
    ]
    (folder / "reading-1.json").write_text("[1")
    assert run_command(cli, [*command, "--format", "session"]) == ExitCode.SOME_FAILED
    result = json.loads(capsys.readouterr().out)
    assert [failure["code"] for failure in result["failed"]] == ["GT-TRANSCRIPT"]
    assert len(result["unchanged"]) == 1
    assert run_command(cli, [*command, "--format", "reflacx"]) == ExitCode.USAGE
    assert "--transcripts does not go with --format reflacx" in capsys.readouterr().err
    absent = [*command[:4], "--transcripts", str(tmp_path / "none"), "--format", "session"]
    assert run_command(cli, absent) == ExitCode.USAGE, capsys.readouterr()


def test_one_bad_transcript_fails_one_reading(session: Path) -> None:
    path = transcribed(session, "[1", suffix=".json")
    items = list(SessionIngester().readings(session, key=KEY))
    assert [item.error is None for item in items] == [False, True]
    assert isinstance(items[0].error, SchemaError)
    assert items[0].error.code == "GT-TRANSCRIPT"
    assert items[0].error.path == path
    path.write_text("x")
    transcribed(session, "two of them")
    with pytest.raises(UsageError, match="2 transcripts"):
        ingested(session)


def test_a_forgotten_reading_takes_its_transcript_and_the_audio_with_it(session: Path) -> None:
    add_to_session(session, say("No effusion.", "flite kal16").clip, t_start_ns=SECOND_NS)
    transcribed(session, "No effusion.")
    transcribed(session, "Heart normal.", number=2)
    remove_reading(session, 1)
    assert [path.name for path in (session / "transcripts").iterdir()] == ["reading-2.txt"]
    assert session_audio(session) == ()


def test_audio_on_the_session_clock(session: Path, tmp_path: Path) -> None:
    clip = say("No effusion.", "flite kal16").clip
    add_to_session(session, clip, t_start_ns=5 * SECOND_NS)
    add_to_session(session, clip, t_start_ns=60 * SECOND_NS)
    files = session_audio(session)
    assert [file.path.name for file in files] == ["00000.wav", "00001.wav"]
    cut = cut_audio(files, 4 * SECOND_NS, 7 * SECOND_NS)
    assert cut is not None
    assert cut.samples.size == 3 * 16_000
    assert (cut.samples[16_000:17_000] == clip.samples[:1000]).all()
    assert cut_audio(files, 20 * SECOND_NS, 30 * SECOND_NS) is None
    stereo = tmp_path / "x.wav"
    write_wav(stereo, AudioClip(samples=clip.samples))
    stereo.write_bytes(
        stereo.read_bytes().replace((16_000).to_bytes(4, "little"), (8_000).to_bytes(4, "little"), 1)
    )
    with pytest.raises(SchemaError, match="8000 Hz"):
        read_wav(stereo)
    stereo.write_bytes(b"RIFF")
    with pytest.raises(SchemaError, match="no WAV"):
        read_wav(stereo)


def test_whisper_without_a_model_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model_folder"):
        SpeechConfig(engine="faster-whisper")
    with pytest.raises(ConfigError, match="does not exist"):
        speech_to_words(SpeechConfig(engine="faster-whisper", model_folder=tmp_path / "none"), None)

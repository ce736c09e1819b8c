"""What every speech engine must keep, whichever it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curation.dictation.protocol import SpeechEngine
from curation.dictation.sphinx import AlignEngine, PocketSphinxEngine
from curation.dictation.transcribe import transcribe
from curation.dictation.whisper import WhisperEngine
from curation.dictation.words import HeardWord, Transcript
from gazecapture.session.audio import RATE_HZ, AudioClip
from tests.tiny_whisper import write_tiny_whisper
from tests.voices import say

TEXT = ("The", "heart", "is", "normal.")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_whisper(tmp_path_factory.mktemp("whisper") / "model")


ENGINES: dict[str, Callable[[Path], SpeechEngine]] = {
    "align": lambda _model: AlignEngine(),
    "pocketsphinx": lambda _model: PocketSphinxEngine(),
    "faster-whisper": lambda model: WhisperEngine(model, hotwords=("effusion", "pneumothorax")),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, model: Path) -> SpeechEngine:
    return ENGINES[request.param](model)


@pytest.fixture(scope="module")
def clip() -> AudioClip:
    return say(" ".join(TEXT), "flite slt").clip


@pytest.fixture(scope="module")
def heard(engine: SpeechEngine, clip: AudioClip) -> list[HeardWord]:
    return engine.words(clip, TEXT)


class TestEveryEngine:
    def test_keeps_the_protocol(self, engine: SpeechEngine) -> None:
        assert isinstance(engine, SpeechEngine)
        assert engine.name in ENGINES

    def test_times_lie_in_the_clip_and_do_not_run_backward(
        self, heard: list[HeardWord], clip: AudioClip
    ) -> None:
        assert heard
        assert all(0.0 <= word.t_start_s <= word.t_end_s <= clip.duration_s for word in heard)
        starts = [word.t_start_s for word in heard]
        assert starts == sorted(starts)

    def test_words_are_words(self, heard: list[HeardWord]) -> None:
        assert all(word.word and word.word == word.word.strip() for word in heard)
        assert all(word.confidence is None or 0.0 <= word.confidence <= 1.0 for word in heard)

    def test_a_text_that_is_needed_comes_back_whole(
        self, engine: SpeechEngine, heard: list[HeardWord]
    ) -> None:
        if engine.needs_text:
            assert tuple(word.word for word in heard) == TEXT
            assert {word.placing for word in heard} == {"measured"}

    def test_the_same_every_time(self, engine: SpeechEngine, heard: list[HeardWord], clip: AudioClip) -> None:
        assert engine.words(clip, TEXT) == heard

    def test_nothing_to_hear(self, engine: SpeechEngine) -> None:
        empty = AudioClip(samples=np.zeros(0, np.int16))
        words = engine.words(empty, ("no", "effusion"))
        assert [word.word for word in words] == (["no", "effusion"] if engine.needs_text else [])
        assert all(word.placing == "unplaced" and not word.supported for word in words)
        assert not any(math.isnan(word.t_start_s) for word in words)

    def test_a_minute_of_noise_yields_no_words(self, engine: SpeechEngine) -> None:
        noise = np.random.default_rng(0).normal(0.0, 300.0, 60 * RATE_HZ)
        clip = AudioClip(samples=noise.astype(np.int16))
        found = transcribe(clip, engine)
        assert found is None or found.words == ()
        known = Transcript(words=(HeardWord(word="effusion", t_start_s=math.nan, t_end_s=math.nan),))
        if not engine.needs_text:  # an aligner would work on the minute for nothing
            placed = transcribe(clip, engine, transcript=known)
            assert placed is not None
            assert [(w.word, w.supported, w.placing) for w in placed.words] == [
                ("effusion", False, "unplaced")
            ]

"""Words that any engine may give, over speech, silence and noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from curation.dictation.checks import check_words
from curation.dictation.speech import find_speech
from curation.dictation.transcribe import transcribe
from curation.dictation.words import HeardWord, Transcript
from gazecapture.session.audio import RATE_HZ, AudioClip
from tests.voices import SENTENCES, VOICES, say

MINUTE = 60 * RATE_HZ


def clip(sound: NDArray[np.float64]) -> AudioClip:
    return AudioClip(samples=np.clip(sound, -32768, 32767).astype(np.int16))


def silence() -> AudioClip:
    return clip(np.zeros(MINUTE))


def hiss() -> AudioClip:
    return clip(np.random.default_rng(1).normal(0.0, 30.0, MINUTE))


def ventilator() -> AudioClip:
    """Breaths of coloured noise, 15 a minute, over a hum of the mains and a motor."""
    rng = np.random.default_rng(2)
    t_s = np.arange(MINUTE) / RATE_HZ
    flow = lfilter(
        *butter(2, [200 / (RATE_HZ / 2), 2500 / (RATE_HZ / 2)], "band"), rng.normal(0.0, 1.0, MINUTE)
    )
    breath = np.clip(np.sin(2 * np.pi * t_s / 4.0), 0.0, 1.0) ** 0.5
    hum = np.sin(2 * np.pi * 50 * t_s) + 0.5 * np.sin(2 * np.pi * 100 * t_s)
    return clip(4000.0 * flow * breath + 250.0 * hum + rng.normal(0.0, 40.0, MINUTE))


def alarm() -> AudioClip:
    t_s = np.arange(MINUTE) / RATE_HZ
    beeping = (t_s % 2.0) < 0.3
    return clip(
        6000.0 * np.sin(2 * np.pi * 960 * t_s) * beeping + np.random.default_rng(3).normal(0.0, 40.0, MINUTE)
    )


NOISES = {"silence": silence, "hiss": hiss, "ventilator": ventilator, "alarm": alarm}


def invented(*texts: str, every_s: float = 1.5) -> list[HeardWord]:
    words = [word for text in texts for word in text.split()]
    return [
        HeardWord(word=word, t_start_s=n * every_s, t_end_s=n * every_s + 0.4, confidence=0.9)
        for n, word in enumerate(words)
    ]


class Inventing:
    """An engine that hears subtitles everywhere, as recognisers do."""

    name = "inventing"
    needs_text = False

    def words(self, clip: AudioClip, text: object = ()) -> list[HeardWord]:
        return invented("Thank you for watching. There is a large pneumothorax.")


@pytest.mark.parametrize("noise", NOISES)
def test_a_minute_without_speech_yields_no_words(noise: str) -> None:
    sound = NOISES[noise]()
    assert not find_speech(sound).is_any
    checked = check_words(invented("there is a large pneumothorax"), sound, recognised=True)
    assert checked.words == ()
    assert checked.n_left_out == 5
    whole = transcribe(sound, Inventing())
    assert whole is not None
    assert whole.words == ()
    timed = transcribe(sound, None, transcript=Transcript(words=tuple(invented("no effusion"))))
    assert timed is not None
    assert timed.words == ()
    assert timed.issues["GI-WORDS-INVENTED"] == 2


@pytest.mark.parametrize("voice", VOICES)
def test_words_that_were_said_have_support(voice: str) -> None:
    for text in SENTENCES:
        spoken = say(text, voice)
        words = [HeardWord(word=w, t_start_s=s, t_end_s=e) for w, s, e in spoken.words]
        checked = check_words(words, spoken.clip, recognised=True)
        assert [w.word for w in checked.words if not w.supported] == []


def test_speech_in_ventilator_noise_is_found_and_words_beside_it_are_not() -> None:
    spoken = say(SENTENCES[0], "flite slt")
    sound = ventilator().samples[: 20 * RATE_HZ].astype(np.float64) * 0.1
    at = 10 * RATE_HZ
    sound[at : at + spoken.clip.samples.size] += spoken.clip.samples
    said = [HeardWord(word=w, t_start_s=s + 10.0, t_end_s=e + 10.0) for w, s, e in spoken.words]
    beside = invented("thank you for watching", every_s=2.0)
    checked = check_words([*beside, *said], clip(sound), recognised=True)
    assert [word.supported for word in checked.words[:4]] == [False] * 4
    assert np.mean([word.supported for word in checked.words[4:]]) >= 0.9
    assert checked.failed["no_voice"] >= 4


def test_words_of_a_known_text_are_kept_where_nobody_speaks() -> None:
    words = invented("no effusion")
    checked = check_words(words, hiss(), recognised=False)
    assert [(w.word, w.supported, w.placing) for w in checked.words] == [
        ("no", False, "unplaced"),
        ("effusion", False, "unplaced"),
    ]


@pytest.fixture(scope="module")
def long_speech() -> AudioClip:
    return AudioClip(samples=np.concatenate([say(text, "flite rms").clip.samples for text in SENTENCES]))


def spread(text: str, length_s: float, word_s: float) -> list[HeardWord]:
    return [
        HeardWord(word=word, t_start_s=n * length_s, t_end_s=n * length_s + word_s)
        for n, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("no no effusion", ""),
        ("lungs clear lungs clear", ""),
        ("no no no no effusion", "011"),
        ("thank you thank you thank you heart", "001111"),
        ("Clear. clear, CLEAR clear", "0111"),
    ],
)
def test_phrases_said_over_and_over(text: str, repeated: str, long_speech: AudioClip) -> None:
    words = spread(text, 0.5, 0.4)
    n = check_words(words, long_speech, recognised=True).failed.get("repeated", 0)
    assert n == {"": 0, "011": 3, "001111": 4, "0111": 3}[repeated]


def test_words_faster_than_anybody_speaks(long_speech: AudioClip) -> None:
    fast = spread("the heart is normal in size", 0.05, 0.05)
    assert check_words(fast, long_speech, recognised=True).failed["too_fast"] == 6
    slow = spread("the heart is normal in size", 0.2, 0.19)
    assert "too_fast" not in check_words(slow, long_speech, recognised=True).failed


def test_a_word_longer_than_anybody_speaks(long_speech: AudioClip) -> None:
    word = HeardWord(word="heart", t_start_s=0.0, t_end_s=3.5)
    checked = check_words([word], long_speech, recognised=True)
    assert checked.failed["too_long"] == 1
    assert not checked.words[0].supported


def test_punctuation_has_the_support_of_the_word_before_it(long_speech: AudioClip) -> None:
    bad = HeardWord(word="heart", t_start_s=0.0, t_end_s=3.5)
    stop = HeardWord(word=".", t_start_s=3.5, t_end_s=3.5)
    assert [w.supported for w in check_words([bad, stop], long_speech, recognised=True).words] == [
        False,
        False,
    ]
    assert check_words([replace(bad, t_end_s=1.0), stop], long_speech, recognised=True).words[1].supported


def test_unplaced_words_have_no_support(long_speech: AudioClip) -> None:
    word = HeardWord(word="heart", t_start_s=0.3, t_end_s=0.8, placing="unplaced")
    assert not check_words([word], long_speech, recognised=False).words[0].supported

"""From a clip, and what is known of its text, to judged words: the one way in for every engine and importer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from curation.dictation.checks import check_words
from curation.dictation.placing import place_between
from curation.dictation.protocol import SpeechEngine
from curation.dictation.punctuation import with_signs
from curation.dictation.realign import realign
from curation.dictation.speech import find_speech
from curation.dictation.words import HeardWord, Review, Transcript
from gazecapture.session.audio import AudioClip

__all__ = ["Transcribed", "transcribe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribed:
    """The words of a clip and what was odd about them."""

    words: tuple[HeardWord, ...]
    review: Review
    issues: Counter[str] = field(default_factory=Counter)
    """Code of `curation.issues.SOURCE_ISSUES` -> how many words."""


def transcribe(
    clip: AudioClip | None,
    engine: SpeechEngine | None,
    *,
    transcript: Transcript | None = None,
    recognised: Sequence[HeardWord] = (),
) -> Transcribed | None:
    """Return the words of a clip; None where there is nothing to make them of.

    clip       : None where nothing was recorded; then nothing is measured and nothing judged by the sound.
    engine     : aligns a text where it needs one, else recognises; None: neither.
    transcript : what is known to have been said. With times it is taken as it is, without them it is placed: by an
    engine
        that aligns, else on the words that the engine or ``recognised`` has.
    recognised : words with times that somebody heard before, such as those that came while recording.
    """
    if transcript is not None and transcript.is_timed:
        found, is_own, review = list(transcript.words), True, transcript.review
    elif transcript is not None and clip is not None and engine is not None and engine.needs_text:
        found, is_own, review = engine.words(clip, transcript.text), False, transcript.review
    elif transcript is not None:
        heard = _heard(clip, engine) or list(recognised)
        duration_s = None if clip is None else clip.duration_s
        found, is_own, review = (
            realign(heard, transcript.text, duration_s=duration_s),
            False,
            transcript.review,
        )
    elif clip is not None and engine is not None and not engine.needs_text:
        found, is_own, review = _heard(clip, engine), True, "unreviewed"
    else:
        return None
    words = with_signs(found)
    issues: Counter[str] = Counter()
    if clip is not None:
        words = place_between(words, clip.duration_s)
        checked = check_words(words, clip, recognised=is_own)
        words = list(checked.words)
        issues["GI-WORDS-INVENTED"] = checked.n_left_out
    issues["GI-WORDS-UNPLACED"] = sum(word.placing == "unplaced" for word in words)
    issues["GI-WORDS-UNSUPPORTED"] = sum(not w.supported and w.placing != "unplaced" for w in words)
    return Transcribed(words=tuple(words), review=review, issues=+issues)


def _heard(clip: AudioClip | None, engine: SpeechEngine | None) -> list[HeardWord]:
    """Ask an engine that recognises, unless nobody speaks in the clip."""
    if clip is None or engine is None or engine.needs_text or not find_speech(clip).is_any:
        return []
    return engine.words(clip)

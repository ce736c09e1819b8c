"""Checks of words that any engine gives: a voice must be under them, and a person must be able to say them so.

Recognisers trained on subtitles invent words where nobody speaks, and repeat themselves. None of the checks knows which
engine it is, so none has to be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from curation.dictation.speech import Speech, find_speech
from curation.dictation.words import HeardWord
from gazecapture.session.audio import AudioClip

__all__ = ["Checked", "check_words"]

MIN_VOICED_S = 0.03
"""s of voice that a word has at least; the shortest vowels of fast speech."""
MIN_VOICED_SHARE = 0.15
"""Of a word's time. A word of mostly hiss ("stress") has a quarter."""
EDGE_S = 0.05
"""s around a word in which its voice may lie; engines place edges as exactly as that."""
MAX_WORD_S = 3.0
"""s; the longest words of radiology take 1.5 s when spelt out slowly."""
MAX_WORDS_PER_S = 8.0
"""Over `RATE_WORDS`; auctioneers reach 6."""
RATE_WORDS = 5
MIN_REPEATS = 3
"""So often in a row is no emphasis any more."""
MAX_REPEATED_WORDS = 8
"""Longest phrase that is sought as a repetition."""
_PUNCTUATION = ".,;:!?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Words with ``supported`` set, and how many failed which check (a word may fail several)."""

    words: tuple[HeardWord, ...]
    failed: dict[str, int]
    """no_voice, repeated, too_fast, too_long."""
    n_left_out: int = 0
    """Words that were recognised in a clip without any speech: nobody said them."""


def check_words(
    words: Sequence[HeardWord], clip: AudioClip, *, recognised: bool, speech: Speech | None = None
) -> Checked:
    """Judge an engine's words by the sound.

    recognised : they are the engine's own. Of a clip that has no speech at all these are left out; the words of a
        known text are kept, unplaced.
    speech     : of the clip, where it is known already.

    Times of unplaced words are nobody's claim and are not judged: such words have no support. Punctuation is judged
    with
    the word before it.
    """
    speech = find_speech(clip) if speech is None else speech
    if not speech.is_any:
        kept = () if recognised else tuple(replace(w, supported=False, placing="unplaced") for w in words)
        return Checked(words=kept, failed={}, n_left_out=len(words) if recognised else 0)
    spoken = [place for place, word in enumerate(words) if word.word.strip(_PUNCTUATION)]
    failing = {
        "no_voice": {place for place in spoken if not _has_voice(words[place], speech)},
        "repeated": _repeated(words, spoken),
        "too_fast": _too_fast(words, spoken),
        "too_long": {p for p in spoken if words[p].t_end_s - words[p].t_start_s > MAX_WORD_S},
    }
    bad: set[int] = set().union(*failing.values()) | {p for p in spoken if words[p].placing == "unplaced"}
    checked, before = [], -1
    for place, word in enumerate(words):
        before = place if word.word.strip(_PUNCTUATION) else before
        checked.append(replace(word, supported=word.supported and before not in bad))
    return Checked(
        words=tuple(checked), failed={name: len(places) for name, places in failing.items() if places}
    )


def _has_voice(word: HeardWord, speech: Speech) -> bool:
    voiced_s = speech.voiced_s(word.t_start_s - EDGE_S, word.t_end_s + EDGE_S)
    needed_s = max(MIN_VOICED_S, MIN_VOICED_SHARE * (word.t_end_s - word.t_start_s))
    return voiced_s >= needed_s - 1e-9  # whole frames; their sum is not exact


def _repeated(words: Sequence[HeardWord], spoken: Sequence[int]) -> set[int]:
    """Return the places of phrases said over and over, but for the first time."""
    said = [words[place].word.strip(_PUNCTUATION).lower() for place in spoken]
    found: set[int] = set()
    for length in range(1, MAX_REPEATED_WORDS + 1):
        run = 0
        for place in range(length, len(said)):
            run = run + 1 if said[place] == said[place - length] else 0
            if run >= length * (MIN_REPEATS - 1):
                found |= {spoken[p] for p in range(place - run + 1, place + 1)}
    return found


def _too_fast(words: Sequence[HeardWord], spoken: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for first in range(len(spoken) - RATE_WORDS + 1):
        part = spoken[first : first + RATE_WORDS]
        if words[part[-1]].t_end_s - words[part[0]].t_start_s < RATE_WORDS / MAX_WORDS_PER_S:
            found |= set(part)
    return found

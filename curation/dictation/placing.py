"""Times for words that nobody measured: between the measured ones around them, by their length in letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from curation.dictation.words import HeardWord

__all__ = ["MIN_WORD_S", "place_between"]

MIN_WORD_S = 0.06
"""s; a word in less room than that was not said there: the shortest syllables take as long."""


def place_between(words: Sequence[HeardWord], duration_s: float) -> list[HeardWord]:
    """Return the words with a time each, in order; none is dropped.

    Words without times share the room between the timed ones around them by their letters, as ``interpolated``.
    Where there
    is no room for them, or no timed word at all, they are ``unplaced`` and without support, at the edge of the room.
    A sign
    of punctuation without a time lies at the end of the word before it. Times are cut to the clip and made not to run
    backward.
    """
    placed: list[HeardWord] = []
    any_timed = any(word.is_timed for word in words)
    now_s = 0.0
    place = 0
    while place < len(words):
        word = words[place]
        if word.is_timed:
            start_s = min(max(word.t_start_s, 0.0, placed[-1].t_start_s if placed else 0.0), duration_s)
            placed.append(
                replace(word, t_start_s=start_s, t_end_s=min(max(word.t_end_s, start_s), duration_s))
            )
            now_s = max(now_s, placed[-1].t_end_s)
            place += 1
            continue
        until = next((p for p in range(place, len(words)) if words[p].is_timed), len(words))
        end_s = words[until].t_start_s if until < len(words) else duration_s
        placed += _spread(words[place:until], now_s, max(now_s, min(end_s, duration_s)), any_timed=any_timed)
        now_s = placed[-1].t_end_s
        place = until
    return placed


def _spread(words: Sequence[HeardWord], start_s: float, end_s: float, *, any_timed: bool) -> list[HeardWord]:
    letters = [sum(letter.isalnum() for letter in word.word) for word in words]
    spoken = sum(count > 0 for count in letters)
    if spoken and (not any_timed or end_s - start_s < MIN_WORD_S * spoken):
        return [
            replace(w, t_start_s=start_s, t_end_s=start_s, placing="unplaced", supported=False) for w in words
        ]
    spread, at_s = [], start_s
    for word, count in zip(words, letters, strict=True):
        length_s = (end_s - start_s) * count / sum(letters) if count else 0.0
        spread.append(
            replace(
                word, t_start_s=min(at_s, end_s), t_end_s=min(at_s + length_s, end_s), placing="interpolated"
            )
        )
        at_s += length_s
    return spread

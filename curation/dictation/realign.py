"""A corrected text on the times of what was recognised: what agrees keeps its time, the rest lies between.

As REFLACX's authors did (Sci Data 2022 9:350): longest common blocks (difflib), interpolation within what differs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace

from curation.dictation.placing import MIN_WORD_S, place_between
from curation.dictation.words import HeardWord

__all__ = ["realign"]

_OUTER = re.compile(r"^\W+|\W+$")


def realign(
    recognised: Sequence[HeardWord], text: Sequence[str], *, duration_s: float | None = None
) -> list[HeardWord]:
    """Return the words of ``text``, each once and in order, with times from ``recognised``.

    recognised : words with times, rising.
    duration_s : of the clip; by default the end of the last recognised word.

    A word that both have keeps its time, confidence and support. Words in place of others share the others' time by
    their
    letters, as ``interpolated``; so do words between two others with room for them. What has no room, or nothing around
    it, is ``unplaced`` and without support. Case and outer punctuation do not matter to whether words agree.
    """
    end_s = max((word.t_end_s for word in recognised), default=0.0) if duration_s is None else duration_s
    before, after = [_key(word.word) for word in recognised], [_key(word) for word in text]
    placed: list[HeardWord] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, first, last, new_first, new_last in matcher.get_opcodes():
        new = text[new_first:new_last]
        if kind == "equal":
            placed += [replace(old, word=word) for old, word in zip(recognised[first:last], new, strict=True)]
        elif kind == "replace":
            placed += _in_place_of(recognised[first:last], new)
        elif kind == "insert":
            placed += [_untimed(word) for word in new]
    return place_between(placed, end_s)


def _key(word: str) -> str:
    """Return what is compared: letters and digits; a sign of punctuation is itself."""
    return _OUTER.sub("", word).lower() or word.strip()


def _in_place_of(old: Sequence[HeardWord], new: Sequence[str]) -> list[HeardWord]:
    start_s, end_s = old[0].t_start_s, max(word.t_end_s for word in old)
    letters = [sum(letter.isalnum() for letter in word) for word in new]
    if end_s - start_s < MIN_WORD_S * sum(count > 0 for count in letters) or not sum(letters):
        return [_untimed(word) for word in new]
    at_s, words = start_s, []
    supported = all(word.supported for word in old)
    for word, count in zip(new, letters, strict=True):
        length_s = (end_s - start_s) * count / sum(letters)
        words.append(
            HeardWord(
                word=word,
                t_start_s=at_s,
                t_end_s=min(at_s + length_s, end_s),
                placing="interpolated",
                supported=supported,
            )
        )
        at_s += length_s
    return words


def _untimed(word: str) -> HeardWord:
    return HeardWord(word=word, t_start_s=float("nan"), t_end_s=float("nan"), placing="unplaced")

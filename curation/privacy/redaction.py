"""Texts freed of what could name somebody: names of the headers, unknown words, dates and long numbers."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from curation.privacy.identifiers import WORD, Identifiers, Span
from curation.privacy.lexicon import Lexicon

__all__ = ["REDACTED", "Redactor"]

REDACTED = "[redacted]"
MAX_ROW_OF_DIGITS = 4
"""More digits in a row, however they are spaced or spoken, may be an id."""

_DATE_OR_TIME = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\d{1,2}:\d{2}(?::\d{2})?")
_SPOKEN_DIGITS = frozenset(
    ["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double", "triple"]
)


@dataclass(frozen=True, kw_only=True)
class Redactor:
    """Takes out of a text what could name somebody.

    Without a lexicon only the names of the headers go: for texts that people have already freed of names.
    """

    identifiers: Identifiers = field(default_factory=Identifiers)
    lexicon: Lexicon | None = None
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, text: str) -> str:
        """Return ``text`` with every such place replaced by ``[redacted]``; doing so twice changes nothing."""
        return _cut(text, self.spans_in(text))

    def words(self, words: Sequence[str]) -> list[str]:
        """Return each word redacted as part of the whole, so that a name split over two words is found."""
        starts, at = [], 0
        for word in words:
            starts.append(at)
            at += len(word) + 1
        redacted = list(words)
        by_word: dict[int, list[Span]] = {}
        for start, end in self.spans_in(" ".join(words)):
            for place in range(bisect_right(starts, start) - 1, bisect_left(starts, end)):
                first = starts[place]
                span = (max(start - first, 0), min(end - first, len(words[place])))
                by_word.setdefault(place, []).append(span)
        for place, spans in by_word.items():
            redacted[place] = _cut(words[place], spans)
        return redacted

    def count_in(self, text: str) -> int:
        """Return how many places `__call__` would replace."""
        return len(self.spans_in(text))

    def unknown_in(self, text: str) -> set[str]:
        """Return the words that no list has; none where everything but names may stay."""
        if self.lexicon is None:
            return set()
        words = {match.group() for match in WORD.finditer(text.replace(REDACTED, " "))}
        return {word for word in words if not self._knows(word)}

    def spans_in(self, text: str) -> list[Span]:
        """Return the places to replace, in order and disjoint."""
        spans = self.identifiers.spans_in(text)
        if self.lexicon is not None:
            words = list(WORD.finditer(text))
            spans += [match.span() for match in words if not self._knows(match.group())]
            spans += [match.span() for match in _DATE_OR_TIME.finditer(text)]
            spans += _rows_of_digits(text, words)
        own = [(match.start(), match.end()) for match in re.finditer(re.escape(REDACTED), text)]
        return _merged(s for s in spans if not any(a <= s[0] and s[1] <= b for a, b in own))

    def _knows(self, word: str) -> bool:
        if word not in self._known:
            self._known[word] = self.lexicon is not None and self.lexicon.knows(word)
        return self._known[word]


def _rows_of_digits(text: str, words: Sequence[re.Match[str]]) -> list[Span]:
    """Return runs of neighbouring digits, written or spoken, with more of them than a size or a count has."""
    found: list[Span] = []
    run: list[re.Match[str]] = []
    n_digits = 0
    for word in [*words, None]:
        token = "" if word is None else word.group().casefold()
        digits = 1 if token in _SPOKEN_DIGITS else sum(c.isdigit() for c in token)
        joined = run and word is not None and not text[run[-1].end() : word.start()].strip("-/ ")
        if word is not None and digits and (joined or not run):
            run.append(word)
            n_digits += digits
            continue
        if n_digits > MAX_ROW_OF_DIGITS:
            found.append((run[0].start(), run[-1].end()))
        run, n_digits = ([word], digits) if word is not None and digits else ([], 0)
    return found


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return overlapping places as one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _cut(text: str, spans: Sequence[Span]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start]}{REDACTED}{text[end:]}"
    return text

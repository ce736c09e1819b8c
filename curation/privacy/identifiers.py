"""Names and ids that must not leave the store, and where they stand in a text.

They come from the headers of a reading's pictures: names of people and places, patient and study ids. Text is
compared with them word by word, misspelt and split words included. Nothing here keeps or prints them.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from curation.privacy.folding import folded
from curation.privacy.lexicon import load_lexicon
from gazecapture.radiograph.decode import Radiograph
from gazecapture.radiograph.synthetic import SYNTHETIC_NAME

__all__ = ["WORD", "Identifiers", "Span"]

Span = tuple[int, int]
"""Half-open place of characters in a text."""

MIN_NAME_LETTERS = 3
"""Shorter parts of a name (initials) would take ordinary words out of the text."""
MIN_FUZZY_LETTERS = 5
"""From this length on a name is recognised misspelt, and within a longer word ("drokonkwo") unless that is one of the
packaged list ("gallstone"); shorter ones have too many ordinary neighbours."""
FUZZY_RATIO = 0.83
"""difflib's similarity: one wrong letter in six, as recognisers and typists make."""
LETTERS_FOR_A_WRONG_ONE = 6
"""A word is longer or shorter than the name by one letter at most for each so many of its own: later is not lateral."""
MIN_ID_CHARACTERS = 6
"""Shorter ids ("1", "0012") occur in any file by chance; they are dropped with the header anyway."""

_LETTERS = r"[^\W_](?:[^\W_]|[\u0300-\u036f])*"
"""With accents of their own: an \u00fc may be two characters."""
WORD = re.compile(rf"{_LETTERS}(?:['\u2019-]{_LETTERS})*")
"""A word of a text: letters and digits, joined by apostrophes or hyphens."""
_JOINTS = re.compile(r"['\u2019-]")


@dataclass(frozen=True, kw_only=True)
class Identifiers:
    """Names and ids that the pictures' headers give."""

    names: frozenset[str] = frozenset()
    """Whole names as the headers have them."""
    ids: frozenset[str] = frozenset()
    """Patient ids, accession and serial numbers, UIDs."""
    _seen: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, radiographs: Iterable[Radiograph]) -> Self:
        """Collect the identifiers of a reading's pictures; what stands for a name in a phantom is none."""
        names: set[str] = set()
        ids: set[str] = set()
        for radiograph in radiographs:
            names |= {name for name in radiograph.names if name.strip() and name != SYNTHETIC_NAME}
            ids |= {radiograph.patient_id, radiograph.study_uid, radiograph.sop_uid, *radiograph.ids}
        return cls(names=frozenset(names), ids=frozenset(i for i in ids if len(i) >= MIN_ID_CHARACTERS))

    @cached_property
    def name_parts(self) -> frozenset[str]:
        """Single words of all names, folded; of a joined one ("O'Brien") the whole, its pieces, and without joints."""
        words = {word for name in self.names for word in WORD.findall(folded(name).replace("^", " "))}
        parts = {form for word in words for form in (word, *_JOINTS.split(word), _JOINTS.sub("", word))}
        return frozenset(p for p in parts if len(p) >= MIN_NAME_LETTERS and not p.isdigit())

    def spans_in(self, text: str) -> list[Span]:
        """Return the places of all words that are, or nearly are, part of a name, in order."""
        words = list(WORD.finditer(text))
        hidden = {place for place, word in enumerate(words) if self._is_name(word.group())}
        for place in range(len(words) - 1):
            if self._is_exact_name(words[place].group() + words[place + 1].group()):
                hidden |= {place, place + 1}
        return [words[place].span() for place in sorted(hidden)]

    def _is_exact_name(self, word: str) -> bool:
        return folded(word) in self.name_parts

    def _is_name(self, word: str) -> bool:
        if word not in self._seen:
            whole = folded(word)
            self._seen[word] = any(map(self._is_nearly_name, {whole, *_JOINTS.split(whole)})) or (
                self._has_name(whole) and not load_lexicon().knows(word)
            )
        return self._seen[word]

    def _is_nearly_name(self, word: str) -> bool:
        if word in self.name_parts or len(word) < MIN_FUZZY_LETTERS:
            return word in self.name_parts
        wrong = max(1, len(word) // LETTERS_FOR_A_WRONG_ONE)
        alike = [part for part in self._long_parts if abs(len(part) - len(word)) <= wrong]
        return bool(difflib.get_close_matches(word, alike, n=1, cutoff=FUZZY_RATIO))

    def _has_name(self, word: str) -> bool:
        """Say whether a word is two names in one, or has a name in it."""
        return any(part in word for part in self._long_parts) or word in self._pairs

    @cached_property
    def _pairs(self) -> frozenset[str]:
        return frozenset(map("".join, itertools.permutations(self.name_parts, 2)))

    @cached_property
    def _long_parts(self) -> list[str]:
        return sorted(p for p in self.name_parts if len(p) >= MIN_FUZZY_LETTERS)

"""Names and ids that must not leave the store, and where they stand in a text.

They come from the headers of a reading's pictures: names of people and places, patient and study ids. Text is
compared with them word by word, misspelt and split words included. Nothing here keeps or prints them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from gazecapture.radiograph.decode import Radiograph
from gazecapture.radiograph.synthetic import SYNTHETIC_NAME

__all__ = ["WORD", "Identifiers", "Span"]

Span = tuple[int, int]
"""Half-open place of characters in a text."""

MIN_NAME_LETTERS = 3
"""Shorter parts of a name (initials) would take ordinary words out of the text."""
MIN_FUZZY_LETTERS = 5
"""From this length on a misspelt name is recognised; shorter ones have too many ordinary neighbours."""
FUZZY_RATIO = 0.84
"""difflib's similarity: one wrong letter in six to seven, as recognisers and typists make."""
MIN_ID_CHARACTERS = 6
"""Shorter ids ("1", "0012") occur in any file by chance; they are dropped with the header anyway."""

WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
"""A word of a text: letters and digits, joined by apostrophes or hyphens."""


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
        """Single words of all names, case-folded."""
        parts = {part.casefold() for name in self.names for part in WORD.findall(name.replace("^", " "))}
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
        return word.casefold() in self.name_parts

    def _is_name(self, word: str) -> bool:
        folded = word.casefold()
        if folded not in self._seen:
            self._seen[folded] = folded in self.name_parts or (
                len(folded) >= MIN_FUZZY_LETTERS
                and bool(difflib.get_close_matches(folded, self._long_parts, n=1, cutoff=FUZZY_RATIO))
            )
        return self._seen[folded]

    @cached_property
    def _long_parts(self) -> list[str]:
        return sorted(p for p in self.name_parts if len(p) >= MIN_FUZZY_LETTERS)

"""Names and ids as rows of words, so that they are found whatever the case and whatever stands between the words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from curation.privacy.folding import folded
from curation.privacy.identifiers import Identifiers
from curation.privacy.lexicon import load_lexicon

__all__ = ["MIN_WORD_LETTERS", "TOKEN", "is_ordinary", "phrases_of", "tokens_of"]

MIN_WORD_LETTERS = 6
"""Shorter words are too often part of a code or file name."""
TOKEN = re.compile(r"\d+(?:\.\d+){3,}|[^\W_]+")
"""A word, or a UID as a whole: its parts alone ("1.2.3.4.5") are found in any look-up table."""


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, folded (`curation.privacy.folding`)."""
    return tuple(TOKEN.findall(folded(text)))


def phrases_of(identifiers: Identifiers) -> Iterator[str]:
    """Give what may stand nowhere: ids, and whole names in both orders, unless they are ordinary words."""
    for name in identifiers.names:
        parts = name.replace("^", " ").split()
        if len(parts) > 1 or len(name) >= MIN_WORD_LETTERS:
            yield from (p for p in (" ".join(parts), " ".join(reversed(parts))) if not is_ordinary(p))
    yield from (i for i in identifiers.ids if not is_ordinary(i))


def is_ordinary(phrase: str) -> bool:
    """Say whether a phrase has only words that name nobody: it may well stand in another reading's text."""
    return not any(map(str.isdigit, phrase)) and all(map(load_lexicon().knows, TOKEN.findall(phrase)))

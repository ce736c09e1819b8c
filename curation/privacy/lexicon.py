"""Words that may leave the store because they name nobody: a packaged list, and a lab's own.

The list is an allow-list: what it does not know is taken for a name. The packaged one is English, general and
medical, without given names, surnames and places.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from keyframes.errors import ConfigError

__all__ = ["Lexicon", "load_lexicon"]

PACKAGED = ("general-en.txt", "medical-en.txt", "terms.txt")
MAX_DIGITS = 3
"""A number of more digits may be a year or an id; sizes, counts and ages have fewer."""
MAX_FILE_BYTES = 8 << 20
"""A word list of a million words; more is some other file."""
_UNITS = "mm|cm|ml|kg|mg|kv|kvp|mas|deg|st|nd|rd|th|x|h|am|pm|f|m|y|yo"
_NUMBER = re.compile(rf"\d{{1,{MAX_DIGITS}}}(?:{_UNITS})?")
_LEVEL = re.compile(r"[a-z]{1,2}\d{1,2}")
"""T12, C7, L4; codes of readers and arms such as R1."""
_ENDINGS = ("'s", "\u2019s", "es", "s")
_JOINTS = re.compile(r"['\u2019-]")


class Lexicon:
    """A set of words that name nobody. Immutable."""

    __slots__ = ("_words",)

    def __init__(self, words: frozenset[str]) -> None:
        self._words = words

    def __len__(self) -> int:
        return len(self._words)

    def knows(self, word: str) -> bool:
        """Say whether a word (as `curation.privacy.identifiers.WORD` finds them) may leave the store.

        Known are its words whatever their case, their simple plurals and possessives, compounds of known words, numbers
        of up to `MAX_DIGITS` digits with or without a unit, and short codes such as T12.
        """
        folded = word.casefold() if word.isascii() else unicodedata.normalize("NFC", word).casefold()
        return self._knows_part(folded) or all(self._knows_part(part) for part in _JOINTS.split(folded))

    def _knows_part(self, word: str) -> bool:
        if word in self._words or _NUMBER.fullmatch(word) or _LEVEL.fullmatch(word):
            return True
        return any(word.endswith(end) and word.removesuffix(end) in self._words for end in _ENDINGS)


def load_lexicon(own: Sequence[Path] = ()) -> Lexicon:
    """Return the packaged words and those of a lab's own lists.

    own : text files, UTF-8, words separated by white space, lines that begin with ``#`` left out. Raises ConfigError
    where one cannot be read.
    """
    if not own:
        return _packaged_lexicon()
    words = set(_packaged())
    for path in own:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise ConfigError(f"the word list is larger than {MAX_FILE_BYTES >> 20} MiB", path=path)
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"the word list cannot be read: {error.strerror}", path=path) from None
        except UnicodeDecodeError:
            raise ConfigError("the word list is not UTF-8 text", path=path) from None
        words |= _words(text)
    return Lexicon(frozenset(words))


@cache
def _packaged_lexicon() -> Lexicon:
    return Lexicon(_packaged())


@cache
def _packaged() -> frozenset[str]:
    folder = files("curation.privacy") / "words"
    return frozenset().union(*(_words((folder / name).read_text(encoding="utf-8")) for name in PACKAGED))


def _words(text: str) -> set[str]:
    return {
        word.casefold() for line in text.splitlines() if not line.startswith("#") for word in line.split()
    }

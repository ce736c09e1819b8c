"""How words sound: the lexicon of the engine, what it says of their parts, and rules for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from curation.dictation.letter_to_sound import MORPHEMES, spelt_sounds

__all__ = ["Lookup", "pronounce", "spoken_tokens"]

Lookup = Callable[[str], str | None]
"""A lexicon: lower-case word -> sounds, or None."""

_VOICELESS = ("P", "T", "K", "F", "TH")
_SIBILANT = ("S", "Z", "SH", "ZH", "CH", "JH")
_ENDINGS = (("'s", "s"), ("es", "s"), ("s", "s"), ("ed", "d"), ("d", "d"), ("ing", "ing"), ("ly", "ly"))
"""Spelling and kind of endings that leave the word before them as it sounds."""
_MIN_STEM = 3
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen",
    "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SYMBOLS = {"%": "percent", "+": "plus", "&": "and", "=": "equals", "°": "degrees", "/": "slash", "mm": "millimeters",
            "cm": "centimeters", "ml": "milliliters", "vs": "versus", "dr": "doctor"}  # fmt: skip
"""Written signs and short forms -> what is said."""
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[A-Za-z]+(?:'[a-z]+)?|[%+&=°/]")


def spoken_tokens(written: str) -> list[str]:
    """Return what is said for one written word, in lower case: ``3.5`` gives three point five, ``.`` nothing."""
    return [said for token in _TOKEN.findall(written) for said in _spoken(token)]


def pronounce(token: str, lookup: Lookup) -> str:
    """Return the sounds of a token of `spoken_tokens`; never empty.

    From the lexicon as it stands, else from a word of the lexicon and an ending, else from its parts as far as the
    lexicon or medicine knows them, else by the rules of spelling.
    """
    for find in (lookup, partial(_with_ending, lookup=lookup), partial(_in_parts, lookup=lookup)):
        found = find(token)
        if found:
            return found
    return spelt_sounds(token) or "AH"


def _spoken(token: str) -> Iterator[str]:
    if token[0].isdigit():
        whole, _, decimals = token.partition(".")
        yield from _number(int(whole)) if len(whole) <= 6 else (_UNITS[int(digit)] for digit in whole)
        if decimals:
            yield "point"
            yield from (_UNITS[int(digit)] for digit in decimals)
    elif token.lower() in _SYMBOLS:
        yield _SYMBOLS[token.lower()]
    elif len(token) > 1 and token.isupper() and len(token) <= 4:
        yield from token.lower()
    else:
        yield token.lower()


def _number(value: int) -> Iterator[str]:
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if value >= size:
            yield from _number(value // size)
            yield name
            value %= size
            if not value:
                return
    if value >= 20:
        yield _TENS[value // 10 - 2]
        value %= 10
        if not value:
            return
    yield _UNITS[value]


def _with_ending(token: str, *, lookup: Lookup) -> str | None:
    for spelling, kind in _ENDINGS:
        stem = token.removesuffix(spelling)
        if stem == token or len(stem) < _MIN_STEM:
            continue
        sounds = next((s for s in map(lookup, (stem, f"{stem}e")) if s), None)
        if sounds:
            return f"{sounds} {_ending(kind, sounds.split()[-1])}"
    return None


def _ending(kind: str, last: str) -> str:
    match kind:
        case "s":
            return "IH Z" if last in _SIBILANT else "S" if last in _VOICELESS else "Z"
        case "d":
            return "IH D" if last in ("T", "D") else "T" if last in (*_VOICELESS, "S", "SH", "CH") else "D"
        case "ing":
            return "IH NG"
        case _:
            return "L IY"


def _in_parts(token: str, *, lookup: Lookup) -> str | None:
    """Return the sounds of two parts that are both known, the later cut first: ``retro`` + ``cardiac``."""
    for cut in range(len(token) - _MIN_STEM, _MIN_STEM - 1, -1):
        first, second = token[:cut], token[cut:]
        before = MORPHEMES.get(first) or (lookup(first) if len(first) > _MIN_STEM else None)
        after = lookup(second) if len(second) > _MIN_STEM else None
        if before and after:
            return f"{before} {after}"
    return None

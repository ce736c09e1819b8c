"""What may come next in an inspection: a letter, the name of a region, a box; then the next step, or the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_lowercase

import regex
from transformers import PreTrainedTokenizerFast

from examples.gazex.answer.spelling import spelled

__all__ = ["Next", "step_after", "step_text"]

LETTERS, PARTING = "ABCDEF", "; "
LONGEST_NAME = 48
"""Characters of a region's name: none of any scheme is as long; what goes on and on is ended."""
MOST_STEPS = 64
"""Of an inspection: as many as `TaskSettings.max_steps` allows."""
_CHARACTERS = frozenset(f"{LETTERS}{PARTING}{ascii_lowercase}")
_FIRST = regex.compile(rf"[{LETTERS}] (?:[a-z]+(?: [a-z]+)* ?)?")
_LATER = regex.compile(rf"{PARTING}[{LETTERS}] (?:[a-z]+(?: [a-z]+)* ?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What may follow: these tokens of text, the beginning of a box, the end of the answer."""

    tokens: tuple[int, ...]
    box: bool
    end: bool


def step_after(tokenizer: PreTrainedTokenizerFast, said: str, n_boxes: int) -> Next:
    """Return what may follow what was said since the last of ``n_boxes`` boxes."""
    if n_boxes >= MOST_STEPS:
        return Next(tokens=(), box=False, end=True)
    return _after(tokenizer, said, first=n_boxes == 0)


def step_text(tokenizer: PreTrainedTokenizerFast, tokens: Sequence[int]) -> str:
    """Return what tokens outside of a box spell."""
    texts = spelled(tokenizer, _CHARACTERS)
    return "".join(texts.get(token, "") for token in tokens)


@lru_cache(maxsize=1 << 12)  # rows, and answers of one model, say the same beginnings again and again
def _after(tokenizer: PreTrainedTokenizerFast, said: str, *, first: bool) -> Next:
    pattern = _FIRST if first else _LATER
    name = said[2 if first else 2 + len(PARTING) :]
    tokens: tuple[int, ...] = ()
    if len(name) < LONGEST_NAME:
        tokens = tuple(
            token
            for token, text in spelled(tokenizer, _CHARACTERS).items()
            if pattern.fullmatch(said + text, partial=True) is not None
        )
    return Next(tokens=tokens, box=bool(name), end=not first and not said)

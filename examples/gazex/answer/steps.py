"""What may come next in an inspection: a letter, the name of a region, a box; then the next step, or the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_lowercase

import regex
from transformers import PreTrainedTokenizerFast

__all__ = ["Next", "Steps"]

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

    tokens: list[int]
    box: bool
    end: bool


@dataclass(frozen=True, slots=True)
class Steps:
    """The grammar of an inspection outside of its boxes, in one tokenizer's tokens."""

    tokenizer: PreTrainedTokenizerFast
    _known: dict[tuple[str, bool], Next] = field(default_factory=dict, init=False)
    """Many rows say the same beginnings."""

    def text(self, tokens: list[int]) -> str:
        """Return what tokens outside of a box spell."""
        texts = _spelled(self.tokenizer)
        return "".join(texts.get(token, "") for token in tokens)

    def after(self, said: str, n_boxes: int) -> Next:
        """Return what may follow what was said since the last of ``n_boxes`` boxes."""
        if n_boxes >= MOST_STEPS:
            return Next(tokens=[], box=False, end=True)
        key = said, n_boxes > 0
        if key not in self._known:
            self._known[key] = self._after(said, first=n_boxes == 0)
        return self._known[key]

    def _after(self, said: str, *, first: bool) -> Next:
        pattern = _FIRST if first else _LATER
        name = said[2 if first else 2 + len(PARTING) :]
        tokens = (
            [
                token
                for token, text in _spelled(self.tokenizer).items()
                if pattern.fullmatch(said + text, partial=True) is not None
            ]
            if len(name) < LONGEST_NAME
            else []
        )
        return Next(tokens=tokens, box=bool(name), end=not first and not said)


@lru_cache(maxsize=4)
def _spelled(tokenizer: PreTrainedTokenizerFast) -> dict[int, str]:
    """Return the tokens that consist of what a step is written with."""
    found = {}
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        if text and _CHARACTERS.issuperset(text):
            found[token] = text
    return found

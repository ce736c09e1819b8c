"""Tokens by what they spell: what a grammar chooses among."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from transformers import PreTrainedTokenizerFast

__all__ = ["spelled"]


@lru_cache(maxsize=8)
def spelled(tokenizer: PreTrainedTokenizerFast, characters: frozenset[str]) -> Mapping[int, str]:
    """Return the tokens that consist of these characters alone, with their texts."""
    found = {}
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        if text and characters.issuperset(text):
            found[token] = text
    return found

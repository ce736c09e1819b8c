"""Decoding under a grammar, so that a box or an order cannot be malformed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import regex
import torch
from transformers import LogitsProcessor, PreTrainedTokenizerFast

__all__ = ["AnswerGrammar", "Constraint", "order_is_whole", "order_may_begin"]

Constraint = tuple[str, int]
"""Kind (free, boxes, order) and how many numbers an order has."""

_NUMBER = r"(?:1000|\d{1,3})"
_POINT = rf"\({_NUMBER},{_NUMBER}\)"
_BOX = regex.compile(rf"{_POINT},{_POINT}(?:,{_POINT})?")
_CHARACTERS = frozenset("0123456789,() ")
SEPARATOR = ", "


class AnswerGrammar(LogitsProcessor):  # type: ignore[misc]  # untyped library
    """Allows only tokens that keep every row of a batch within its constraint.

    boxes : text is free; from ``<|box_start|>`` on only two or three points of 0 to 1000, then ``<|box_end|>``.
    order : nothing but the numbers 1 to n, each once, and the end.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, constraints: Sequence[Constraint], prompt_length: int
    ) -> None:
        self._constraints, self._prompt_length = list(constraints), prompt_length
        self._begin, self._close, self._end = tokenizer.convert_tokens_to_ids(
            ["<|box_start|>", "<|box_end|>", "<|im_end|>"]
        )
        self._texts = _spelled(tokenizer)

    def __call__(  # noqa: D102  # as the library says
        self, input_ids: torch.Tensor, scores: torch.Tensor
    ) -> torch.Tensor:
        for row, (kind, n) in enumerate(self._constraints):
            if kind == "free":
                continue
            answer = input_ids[row, self._prompt_length :].tolist()
            allowed = self._allowed_in_order(answer, n) if kind == "order" else self._allowed_in_boxes(answer)
            if allowed is None:
                scores[row, self._close] = -torch.inf
                continue
            kept = scores[row, allowed].clone()
            scores[row] = -torch.inf
            scores[row, allowed] = kept
        return scores

    def _allowed_in_boxes(self, answer: list[int]) -> list[int] | None:
        """Return the tokens that may come next within a box; None outside of one."""
        opened = max((k for k, token in enumerate(answer) if token == self._begin), default=-1)
        if opened < 0 or self._close in answer[opened:]:
            return None
        said = "".join(self._texts.get(token, "") for token in answer[opened + 1 :])
        allowed = [
            token
            for token, text in self._texts.items()
            if _BOX.fullmatch(said + text, partial=True) is not None
        ]
        return [*allowed, self._close] if _BOX.fullmatch(said) else allowed

    def _allowed_in_order(self, answer: list[int], n: int) -> list[int]:
        if self._end in answer:
            return [self._end]
        said = "".join(self._texts.get(token, "") for token in answer)
        allowed = [token for token, text in self._texts.items() if order_may_begin(said + text, n)]
        return [*allowed, self._end] if order_is_whole(said, n) else allowed


def order_may_begin(text: str, n: int) -> bool:
    """Say whether an order of 1 to n may begin like this.

    >>> order_may_begin("2, 1", 3), order_may_begin("2, 2", 3), order_may_begin("4", 3), order_may_begin("1,", 1)
    (True, False, False, False)
    """
    *whole, last = text.split(SEPARATOR)
    left = {str(k) for k in range(1, n + 1)}
    for number in whole:
        if number not in left:
            return False
        left.remove(number)
    if not left:
        return False  # a separator after the last number
    if last.endswith(","):
        return last[:-1] in left and len(left) > 1
    return any(number.startswith(last) for number in left)


def order_is_whole(text: str, n: int) -> bool:
    """Say whether a text is an order of 1 to n."""
    return sorted(text.split(SEPARATOR)) == sorted(str(k) for k in range(1, n + 1))


@lru_cache(maxsize=4)
def _spelled(tokenizer: PreTrainedTokenizerFast) -> dict[int, str]:
    """Return the tokens that consist of digits, commas, brackets and spaces alone."""
    found = {}
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        if text and _CHARACTERS.issuperset(text):
            found[token] = text
    return found

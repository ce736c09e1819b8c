"""Decoding under a grammar, so that a box or an order cannot be malformed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import regex
import torch
from transformers import LogitsProcessor, PreTrainedTokenizerFast

from examples.gazex.answer.spelling import spelled
from examples.gazex.answer.steps import step_after, step_text

__all__ = [
    "AnswerGrammar",
    "Constraint",
    "Kind",
    "box_is_whole",
    "box_may_begin",
    "constraint_of",
    "order_is_whole",
    "order_may_begin",
]

Kind = Literal["free", "boxes", "box", "steps", "order"]
Constraint = tuple[Kind, int]
"""What an answer may be, and how many numbers an order has."""
_OF_TASK: dict[str, Kind] = {
    "grounding": "box",
    "boxes_from_sentence": "boxes",
    "pointed_finding": "boxes",
    "inspection": "steps",
    "order_global": "order",
    "order_by_finding": "order",
    "order_of_looks": "order",
}

_NUMBER = r"(?:1000|\d{1,3})"
_POINT = rf"\({_NUMBER},{_NUMBER}\)"
_BOX = regex.compile(rf"{_POINT},{_POINT}(?:,{_POINT})?")
_BOX_WITHOUT_POINT = regex.compile(rf"{_POINT},{_POINT}")
_LOOK = r"[A-F-][0-9-]"
_CHARACTERS = frozenset("0123456789,() ABCDEF-:")
_GREATEST = 1000
SEPARATOR = ", "


def constraint_of(task: str, n_ordered: int = 0) -> Constraint:
    """Return the grammar of a task's answers.

    >>> constraint_of("order_global", 4), constraint_of("vqa")
    (('order', 4), ('free', 0))
    """
    return _OF_TASK.get(task, "free"), n_ordered


class AnswerGrammar(LogitsProcessor):  # type: ignore[misc]  # untyped library
    """Allows only tokens that keep every row of a batch within its constraint.

    free  : text without boxes.
    boxes : text is free; from ``<|box_start|>`` on only two or three points of 0 to 1000, the second beyond the first
            in both directions, then ``<|box_end|>``.
    box   : one box of two points, nothing else.
    steps : a letter, a name and a box of two points, again and again.
    order : what each of n frames shows, then the numbers 1 to n, each once, and the end.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, constraints: Sequence[Constraint], prompt_length: int
    ) -> None:
        self._constraints, self._prompt_length = list(constraints), prompt_length
        self._begin, self._close, self._end = tokenizer.convert_tokens_to_ids(
            ["<|box_start|>", "<|box_end|>", "<|im_end|>"]
        )
        self._texts = spelled(tokenizer, _CHARACTERS)
        self._tokenizer = tokenizer
        self._after: dict[tuple[str, Kind], list[int]] = {}
        """What may follow in a box: rows of a batch, and of one picture, often say the same."""

    def __call__(  # noqa: D102  # as the library says
        self, input_ids: torch.Tensor, scores: torch.Tensor
    ) -> torch.Tensor:
        no_close: list[int] = []
        bound: list[int] = []
        rows: list[int] = []
        tokens: list[int] = []
        for row, (kind, n) in enumerate(self._constraints):
            allowed = None
            if kind != "free":
                answer = input_ids[row, self._prompt_length :].tolist()
                match kind:
                    case "order":
                        allowed = self._allowed_in_order(answer, n)
                    case "steps":
                        allowed = self._allowed_in_steps(answer)
                    case _:
                        allowed = self._allowed_in_boxes(answer, kind)
            if allowed is None:
                no_close.append(row)
            else:
                bound.append(row)
                rows += [row] * len(allowed)
                tokens += allowed
        free = [row for row, (kind, _) in enumerate(self._constraints) if kind == "free"]
        at = functools.partial(torch.tensor, dtype=torch.long, device=scores.device)
        scores[at(free), self._begin] = -torch.inf
        scores[at(no_close), self._close] = -torch.inf
        kept = scores[at(rows), at(tokens)]
        scores[at(bound)] = -torch.inf
        scores[at(rows), at(tokens)] = kept
        return scores

    def _allowed_in_boxes(self, answer: list[int], kind: Kind) -> list[int] | None:
        """Return the tokens that may come next; None where text is free."""
        opened = max((k for k, token in enumerate(answer) if token == self._begin), default=-1)
        if opened < 0:
            return [self._begin] if kind == "box" else None
        if self._close in answer[opened:]:
            return [self._end] if kind == "box" else None
        said = "".join(self._texts.get(token, "") for token in answer[opened + 1 :])
        point = kind == "boxes"
        if (said, kind) not in self._after:
            allowed = [
                token for token, text in self._texts.items() if box_may_begin(said + text, point=point)
            ]
            self._after[said, kind] = [*allowed, self._close] if box_is_whole(said) else allowed
        return self._after[said, kind]

    def _allowed_in_steps(self, answer: list[int]) -> list[int]:
        if self._end in answer:
            return [self._end]
        n_boxes = answer.count(self._close)
        if answer.count(self._begin) > n_boxes:
            return self._allowed_in_boxes(answer, "steps") or []
        since = 1 + max((k for k, token in enumerate(answer) if token == self._close), default=-1)
        following = step_after(self._tokenizer, step_text(self._tokenizer, answer[since:]), n_boxes)
        marks = [self._begin] * following.box + [self._end] * following.end
        return [*following.tokens, *marks]

    def _allowed_in_order(self, answer: list[int], n: int) -> list[int]:
        if self._end in answer:
            return [self._end]
        said = "".join(self._texts.get(token, "") for token in answer)
        allowed = [token for token, text in self._texts.items() if order_may_begin(said + text, n)]
        return [*allowed, self._end] if order_is_whole(said, n) else allowed


@lru_cache(maxsize=1 << 16)  # asked of every row at every token: the same few beginnings again and again
def box_may_begin(text: str, *, point: bool = True) -> bool:
    """Say whether what stands in a box may begin like this; ``point``: with or without a third point.

    >>> box_may_begin("(10,20),(3"), box_may_begin("(10,20),(9,"), box_may_begin("(1000,"), box_may_begin("(1001")
    (True, False, False, False)
    """
    if (_BOX if point else _BOX_WITHOUT_POINT).fullmatch(text, partial=True) is None:
        return False
    numbers = regex.findall(r"\d+", text)
    still_written = bool(text) and text[-1].isdigit()
    for place, number in enumerate(numbers[:4]):
        # The first corner leaves room for the second, which lies beyond it.
        least, greatest = (0, _GREATEST - 1) if place < 2 else (int(numbers[place - 2]) + 1, _GREATEST)
        open_end = still_written and place == len(numbers) - 1
        if not any(
            low <= greatest and high >= least for low, high in _completions(number, open_end=open_end)
        ):
            return False
    return True


def box_is_whole(text: str) -> bool:
    """Say whether this may stand between ``<|box_start|>`` and ``<|box_end|>``."""
    return _BOX.fullmatch(text) is not None and box_may_begin(text)


def _completions(number: str, *, open_end: bool) -> list[tuple[int, int]]:
    """Return ranges of what a number of at most three digits, or 1000, can still become."""
    value = int(number)
    if not open_end:
        return [(value, value)]
    ranges = [
        (value * 10**more, value * 10**more + 10**more - 1) for more in range(max(0, 3 - len(number)) + 1)
    ]
    return [*ranges, (_GREATEST, _GREATEST)] if str(_GREATEST).startswith(number) else ranges


def order_may_begin(text: str, n: int) -> bool:
    """Say whether an order of n frames may begin like this: what each shows, then its place, 1 to n.

    >>> order_may_begin("1B4 2A", 2), order_may_begin("1B4 2A1: 2", 2), order_may_begin("1B4: ", 2)
    (True, True, False)
    >>> order_may_begin("1B4 2A1: 2, 2", 2), order_may_begin("1B4 2A1: 3", 2)
    (False, False)
    """
    looks, colon, places = text.partition(":")
    if not colon:
        return _looks(n).fullmatch(looks, partial=True) is not None
    if _looks(n).fullmatch(looks) is None or places[:1] not in ("", " "):
        return False
    *whole, last = places[1:].split(SEPARATOR)
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
    """Say whether a text is an order of n frames."""
    looks, _, places = text.partition(": ")
    if _looks(n).fullmatch(looks) is None:
        return False
    return sorted(places.split(SEPARATOR)) == sorted(str(k) for k in range(1, n + 1))


@lru_cache(maxsize=32)
def _looks(n: int) -> regex.Pattern[str]:
    """Return what tells n looks: number, letter and level each."""
    return regex.compile(" ".join(f"{number}{_LOOK}" for number in range(1, n + 1)))

"""A trained model asked: answers to examples, probabilities of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LogitsProcessorList

from examples.gazex.answer.grammar import AnswerGrammar, Constraint, constraint_of
from examples.gazex.data.encode import IGNORED, Encoded, ExampleDataset, collate
from examples.gazex.model.processor import Processor
from examples.gazex.model.ready import ReadyModel
from examples.gazex.train.loss import MODEL_INPUTS

__all__ = [
    "Said",
    "YesNo",
    "answer_probability",
    "answers",
    "asked",
    "generate",
    "word_probability",
    "yes_or_no",
]

MAX_TOKENS = 512
"""Of one answer; the longest report and inspection of a reading stay below."""
SURE = 0.5
"""Probability from which yes is the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer, and whether the model ended it: False where it was cut off."""

    text: str
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class YesNo:
    """How a yes-or-no question was answered.

    probability : of yes against no: softmax over the logits of the first token of either word, 0 to 1.
    mass        : what both first tokens have together of the whole vocabulary, 0 to 1; where it is small the model
                  would rather have said something else, and ``probability`` means little.
    """

    probability: float
    mass: float

    @property
    def answer(self) -> str:
        """The more probable word."""
        return "yes" if self.probability >= SURE else "no"


def asked(processor: Processor, picture: NDArray[np.uint8], question: str) -> Encoded:
    """Return a question about one picture (already of the model's size) that stands in no shard."""
    image = processor.image(picture)
    return Encoded(
        prompt=processor.prompt_ids(None, [image], question),
        answer=[],
        counts=[],
        images=[image],
        video=None,
        focus=(),
    )


def answers(
    ready: ReadyModel,
    dataset: ExampleDataset,
    places: Sequence[int],
    *,
    batch_size: int = 16,
    constrained: bool = True,
    max_tokens: int = MAX_TOKENS,
) -> Iterator[tuple[int, str]]:
    """Give (place, answer) for examples by their place, greedy, in batches of like length."""
    lengths = dataset.lengths()
    ordered = sorted(places, key=lambda k: lengths[k])
    for first in range(0, len(ordered), batch_size):
        chosen = ordered[first : first + batch_size]
        examples = [dataset.examples[k] for k in chosen]
        said = generate(
            ready,
            [dataset[k, None] for k in chosen],
            [constraint_of(e.task, e.n_ordered) for e in examples] if constrained else None,
            max_tokens=max_tokens,
        )
        yield from zip(chosen, (one.text for one in said), strict=True)


@torch.inference_mode()
def generate(
    ready: ReadyModel,
    items: Sequence[Encoded],
    constraints: Sequence[Constraint] | None,
    *,
    max_tokens: int = MAX_TOKENS,
) -> list[Said]:
    """Return the greedy answers of one batch, each under its constraint; None sets the model free."""
    ready.model.eval()
    inputs = _inputs(ready, items)
    length = inputs["input_ids"].shape[1]
    tokenizer = ready.processor.tokenizer
    grammar = [] if constraints is None else [AnswerGrammar(tokenizer, constraints, length)]
    made = ready.model.generate(
        **inputs,
        max_new_tokens=max_tokens,
        do_sample=False,
        logits_processor=LogitsProcessorList(grammar),
        pad_token_id=ready.processor.pad_id,
        eos_token_id=ready.processor.end_id,
    )
    rows: list[list[int]] = made[:, length:].tolist()
    return [Said(text=ready.processor.decode(row), ended=ready.processor.end_id in row) for row in rows]


@torch.inference_mode()
def yes_or_no(ready: ReadyModel, items: Sequence[Encoded], yes: str = "yes", no: str = "no") -> list[YesNo]:
    """Return how probable ``yes`` is against ``no`` as the answer to every question of one batch."""
    ready.model.eval()
    first = [ready.processor.piece_ids([word])[0][0] for word in (yes, no)]
    if first[0] == first[1]:
        raise ValueError(f"{yes!r} and {no!r} begin with the same token")
    logits = ready.model(**_inputs(ready, items), use_cache=False).logits[:, -1].float()
    both = torch.softmax(logits, -1)[:, first]
    sure = torch.softmax(logits[:, first], -1)[:, 0]
    return [YesNo(probability=float(p), mass=float(m)) for p, m in zip(sure, both.sum(-1), strict=True)]


def word_probability(
    ready: ReadyModel, items: Sequence[Encoded], yes: str = "yes", no: str = "no"
) -> list[float]:
    """Return `YesNo.probability` of every question."""
    return [one.probability for one in yes_or_no(ready, items, yes, no)]


@torch.inference_mode()
def answer_probability(ready: ReadyModel, item: Encoded, text: str) -> float:
    """Return how probable an answer is, word for word and with its end: the product over its tokens, 0 to 1."""
    ready.model.eval()
    answer = ready.processor.answer_ids(text)
    whole = replace(item, answer=answer, counts=[1.0] * len(answer))
    batch = collate([whole], ready.processor)
    logits = ready.model(**_on_device(ready, batch), use_cache=False).logits[0, :-1].float()
    wanted = batch["labels"][0, 1:].to(logits.device)
    chosen = wanted != IGNORED
    logs = torch.log_softmax(logits[chosen], -1)
    return float(logs.gather(-1, wanted[chosen][:, None]).sum().exp())


def _inputs(ready: ReadyModel, items: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    return _on_device(ready, collate(items, ready.processor, for_generation=True))


def _on_device(ready: ReadyModel, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    device = next(ready.model.parameters()).device
    return {name: batch[name].to(device) for name in MODEL_INPUTS if name in batch}

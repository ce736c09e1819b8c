"""A trained model asked: answers to examples, probabilities of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import LogitsProcessorList

from examples.gazex.answer.grammar import AnswerGrammar
from examples.gazex.data.encode import Encoded, ExampleDataset, collate
from examples.gazex.model.ready import ReadyModel
from examples.gazex.tasks.example import Example
from examples.gazex.train.loss import MODEL_INPUTS

__all__ = ["answers", "word_probability"]

MAX_TOKENS = 512
"""Of one answer; the longest report and inspection of a reading stay below."""


@torch.inference_mode()
def answers(
    ready: ReadyModel,
    dataset: ExampleDataset,
    places: Sequence[int],
    *,
    batch_size: int = 16,
    constrained: bool = True,
) -> Iterator[tuple[int, str]]:
    """Give (place, answer) for examples by their place, greedy, in batches of like length."""
    ready.model.eval()
    lengths = dataset.lengths()
    ordered = sorted(places, key=lambda k: lengths[k])
    for first in range(0, len(ordered), batch_size):
        chosen = ordered[first : first + batch_size]
        texts = generate(
            ready,
            [dataset[k, None] for k in chosen],
            [dataset.examples[k] for k in chosen],
            constrained=constrained,
        )
        yield from zip(chosen, texts, strict=True)


@torch.inference_mode()
def generate(
    ready: ReadyModel, items: Sequence[Encoded], examples: Sequence[Example], *, constrained: bool = True
) -> list[str]:
    """Return the greedy answers of one batch."""
    inputs = _inputs(ready, items)
    length = inputs["input_ids"].shape[1]
    constraints = [(e.constraint, e.n_ordered) for e in examples]
    grammar = [AnswerGrammar(ready.processor.tokenizer, constraints, length)] if constrained else []
    made = ready.model.generate(
        **inputs,
        max_new_tokens=MAX_TOKENS,
        do_sample=False,
        logits_processor=LogitsProcessorList(grammar),
        pad_token_id=ready.processor.pad_id,
        eos_token_id=ready.processor.end_id,
    )
    return [ready.processor.decode(row) for row in made[:, length:].tolist()]


@torch.inference_mode()
def word_probability(
    ready: ReadyModel, items: Sequence[Encoded], yes: str = "yes", no: str = "no"
) -> list[float]:
    """Return the probability of ``yes`` against ``no`` as the first word of every answer."""
    first = [ready.processor.piece_ids([word])[0][0] for word in (yes, no)]
    logits = ready.model(**_inputs(ready, items), use_cache=False).logits[:, -1, first].float()
    return [float(p) for p in torch.softmax(logits, -1)[:, 0]]


def _inputs(ready: ReadyModel, items: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    batch = collate(items, ready.processor, for_generation=True)
    device = next(ready.model.parameters()).device
    return {name: batch[name].to(device) for name in MODEL_INPUTS if name in batch}

"""What makes a step cheaper leaves its results as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from examples.gazex.config import ModelSettings
from examples.gazex.data.encode import IGNORED, Encoded, collate
from examples.gazex.model.build import small_model, small_processor_numbers
from examples.gazex.model.processor import IMAGE_TYPE, VIDEO_TYPE, Processor
from examples.gazex.model.tokenizer import train_tokenizer
from examples.gazex.train.cheaper import logits_at, patches_by_product
from examples.gazex.train.loss import LEAST_SHARE, MODEL_INPUTS, answer_loss, answers_at, gaze_loss


def model_and_batch(family: Any) -> tuple[Any, dict[str, Any]]:
    """Return a small model, and two questions on pictures, one with a sequence of frames."""
    processor = Processor(
        train_tokenizer(["Is there a nodule? yes no"], 320), **small_processor_numbers(family)
    )
    settings = ModelSettings(family=family, hidden=32, heads=2, kv_heads=1, layers=1, vision_hidden=32,
                             vision_heads=2, vision_layers=1)  # fmt: skip
    rng = np.random.default_rng(0)
    shape = (2 * processor.multiple, processor.multiple)
    images = [[processor.image(rng.integers(256, size=shape, dtype=np.uint8))] for _ in range(2)]
    frames = processor.video(list(rng.integers(256, size=(4, *shape), dtype=np.uint8)))
    items = [
        Encoded(
            prompt=processor.prompt_ids(video, pictures, "Is there a nodule?"),
            answer=processor.answer_ids(answer),
            counts=[1.0] * len(processor.answer_ids(answer)),
            images=pictures,
            video=video,
            focus=(),
        )
        for pictures, video, answer in zip(images, (None, frames), ("yes", "no nodule"), strict=True)
    ]
    return small_model(settings, processor, seed=0), collate(items, processor)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_fewer_logits_and_patches_by_product_are_the_library_s(family: str) -> None:
    model, batch = model_and_batch(family)
    inputs = {name: batch[name] for name in MODEL_INPUTS if name in batch}
    names = {name: value.shape for name, value in model.state_dict().items()}
    whole = model(**inputs).logits
    functional.cross_entropy(whole[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten()).backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad(set_to_none=True)

    patches_by_product(model)
    at = answers_at(batch["labels"])
    assert len(at) == int((batch["labels"] != IGNORED).sum())
    with logits_at(model, at):
        some = model(**inputs).logits
    torch.testing.assert_close(some, whole.flatten(0, 1)[at], rtol=0, atol=1e-5)
    answer_loss(some, batch["labels"]).backward()
    assert {name: value.shape for name, value in model.state_dict().items()} == names
    for name, weight in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-3, atol=1e-5)
    assert model(**inputs).logits.shape == whole.shape  # afterwards all of them again


def test_the_gaze_s_loss_is_the_mean_over_words_of_what_their_attention_lacks() -> None:
    random = torch.Generator().manual_seed(0)
    attentions = [torch.rand(2, 3, 12, 12, generator=random).softmax(-1) for _ in range(4)]
    kinds = torch.zeros(2, 12, dtype=torch.int32)
    kinds[0, 1:5] = kinds[1, 2:4] = kinds[1, 5:8] = IMAGE_TYPE  # the second row has two images
    kinds[0, 5:7] = VIDEO_TYPE
    words = [(0, 7, 9, IMAGE_TYPE, torch.tensor([0.1, 0.2, 0.3, 0.4])),
             (1, 9, 12, IMAGE_TYPE, torch.tensor([0.5, 0.5])), (0, 9, 12, VIDEO_TYPE, torch.tensor([0.2, 0.8])),
             (0, 10, 11, IMAGE_TYPE, torch.tensor([1.0, 0.0, 0.0, 0.0]))]  # fmt: skip
    expected = []
    for row, first, last, kind, shares in words:
        image = (kinds[row] == kind).nonzero().squeeze(1)[: len(shares)]
        layers = [layer[row, :, first - 1 : last - 1].mean((0, 1))[image] for layer in attentions[2:]]
        looked = sum(layers) / torch.stack(layers).sum()
        expected.append(-(shares * looked.clamp_min(LEAST_SHARE).log()).sum())
    spans = torch.tensor([(*span, len(shares)) for *span, shares in words])
    together = torch.nn.utils.rnn.pad_sequence([shares for *_, shares in words], batch_first=True)
    found = gaze_loss(attentions, kinds, spans, together)
    torch.testing.assert_close(found, torch.stack(expected).mean())

"""Pictures and texts as a model is given them, against the library's own processors."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from examples.gazex.model import processor as module
from examples.gazex.model.build import small_processor_numbers
from examples.gazex.model.processor import Grey, Processor
from examples.gazex.model.tokenizer import train_tokenizer

FAMILIES = ["qwen2_vl", "qwen3_vl"]
TEXTS = [
    "Is there a nodule?",
    "Where is it? <|box_start|>(12,340),(560,78)<|box_end|>",
    "is <|im_end|> there?",
]


def made(family: str) -> Processor:
    return Processor(train_tokenizer(TEXTS, 320), **small_processor_numbers(family))


def grey(height: int, width: int, seed: int) -> Grey:
    """Return a picture with every shade."""
    shades = np.arange(height * width) % 256
    return np.random.default_rng(seed).permutation(shades).astype(np.uint8).reshape(height, width)


def by_the_library(processor: Processor, frames: list[Grey], temporal: int) -> Grey:
    library = Qwen2VLImageProcessorPil(
        patch_size=processor.patch,
        merge_size=processor.merge,
        temporal_patch_size=temporal,
        image_mean=list(processor.mean),
        image_std=list(processor.std),
        do_resize=False,
    )
    rgb = [np.repeat(frame[..., None], 3, axis=2) for frame in frames]
    found: Grey = library.preprocess(rgb, input_data_format="channels_last", return_tensors="np")[
        "pixel_values"
    ]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_is_what_the_library_makes_of_it(family: str) -> None:
    processor = made(family)
    picture = grey(3 * processor.multiple, 2 * processor.multiple, seed=1)
    vision = processor.image(picture)
    assert vision.grid == (1, 6, 4)
    np.testing.assert_array_equal(vision.patches.numpy(), by_the_library(processor, [picture], 2))


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_in_pairs_are_what_the_library_makes_of_each(family: str) -> None:
    """The last of an odd number stands twice."""
    processor = made(family)
    frames = [grey(processor.multiple, 2 * processor.multiple, seed) for seed in range(3)]
    vision = processor.video(frames)
    assert vision.grid == (2, 2, 4)
    single = by_the_library(processor, [*frames, frames[-1]], 1).reshape(2, 2, 8, 3, -1)
    together = single.transpose(0, 2, 3, 1, 4).reshape(16, -1)
    np.testing.assert_array_equal(vision.patches.numpy(), together)


def test_tokens_that_are_kept_are_the_tokenizers_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN_TEXTS", 2)
    processor = made("qwen2_vl")
    for text in [*TEXTS, *TEXTS, TEXTS[-1]]:
        found = processor.words(text)
        assert found == processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        found.append(0)

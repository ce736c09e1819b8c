"""What a small model begins with, and what counts in its answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from examples.gazex.config import Config
from examples.gazex.data.encode import ExampleDataset, collate
from examples.gazex.data.prepare import load_split
from examples.gazex.model.processor import Processor
from examples.gazex.model.ready import ReadyModel, new_model
from examples.gazex.tasks.example import plain_text
from examples.gazex.train.loss import MODEL_INPUTS, answer_loss, answers_at
from examples.gazex.train.side_by_side import side_by_side
from tests.unit.gazex.test_said import data_of

SMALL = {"hidden": 64, "layers": 1, "heads": 2, "kv_heads": 1, "vision_hidden": 48, "vision_layers": 1,
         "vision_heads": 2, "vocabulary": 400, "patch_px": 8, "begin": "pictures"}  # fmt: skip


def pictures(multiple: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Return bright pictures with a faint pattern, as a radiograph is."""
    rng = np.random.default_rng(0)
    x = np.arange(6 * multiple)
    waves = [np.outer(np.sin(x / rng.uniform(2, 9)), np.cos(x / rng.uniform(2, 9))) for _ in range(12)]
    return [np.clip(rng.uniform(90, 200) + 12 * wave, 0, 255).astype(np.uint8) for wave in waves]


def begun(family: str) -> ReadyModel:
    """Return a model that begins with the pictures."""
    config = Config().with_changes(model=SMALL | {"family": family})
    return new_model(config, ["Where is: a", "yes", "no"], pictures=pictures)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_patches_are_seen_by_what_differs_not_by_their_brightness(family: str) -> None:
    ready = begun(family)
    seen = torch.cat([ready.processor.image(p).patches for p in pictures(ready.processor.multiple)])
    with torch.no_grad():
        made = ready.model.model.visual.patch_embed(seen)
    strength = made.var(0)
    patterned = strength[strength > 1e-3]
    assert len(patterned) >= 4
    assert (
        float(patterned.max()) < 4
    )  # brightness varies a hundred times as much as the pattern, here no more
    if ready.model.model.visual.patch_embed.proj.bias is not None:  # Qwen2's have none
        assert float(made.mean(0).abs().max()) < 1


def test_the_same_seed_gives_the_same_beginning_and_places_differ() -> None:
    one, other = (begun("qwen3_vl").model.state_dict() for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    places = one["model.visual.pos_embed.weight"]
    assert len(torch.unique(places, dim=0)) == len(places)


def processor() -> Processor:
    """Return a processor with a small tokenizer."""
    return begun("qwen2_vl").processor


def test_in_a_box_a_digit_counts_by_its_place_and_words_alike() -> None:
    own = processor()
    answer = own.answer_ids("yes <|box_start|>(7,45),(678,1000)<|box_end|>")
    weights = dict(zip(enumerate(own.decode([token]) for token in answer), own.weights(answer), strict=True))
    digits = [(text, weight) for (_, text), weight in weights.items() if text.isdigit()]
    assert digits == [
        ("7", 0.1), ("4", 0.5), ("5", 0.1), ("6", 1.0), ("7", 0.5), ("8", 0.1), ("1", 0.1), ("0", 1.0), ("0", 0.5),
        ("0", 0.1),
    ]  # fmt: skip
    before = [weight for (place, _), weight in weights.items() if place < answer.index(own._box[0])]
    assert set(before) == {1.0}


def test_of_an_order_the_places_count_and_what_parts_them_does_not(dataset: Path) -> None:
    data = data_of(dataset, ("order_of_looks",))
    item = data[0, None]
    assert len(item.counts) == len(item.answer)
    counted = "".join(
        data.processor.decode([token])
        for token, count in zip(item.answer[:-1], item.counts, strict=False)
        if count == 1.0
    )
    places = plain_text(data.examples[0].answer).partition(": ")[2]
    assert counted == places.replace(", ", "")
    assert item.counts[-1] == 1.0, "that it ends is said too"
    batch = collate([data[0, 0]], data.processor)
    (weights,) = batch["weights"]
    assert len(set(weights[weights > 0].tolist())) == 2


def test_every_answer_counts_alike_however_long() -> None:
    logits = torch.randn(2, 6, 9, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[-100, -100, 3, -100, -100, -100], [-100, 1, 2, 3, 4, 5]])
    weights = torch.tensor([[0.0, 0, 2, 0, 0, 0], [0.0, 1, 1, 1, 1, 0]])
    loss = answer_loss(logits.flatten(0, 1)[answers_at(labels)], labels, weights)
    short = functional.cross_entropy(logits[0, 1:2], labels[0, 2:3])
    long = functional.cross_entropy(logits[1, :4], labels[1, 1:5])
    assert float(loss) == pytest.approx(float((short + long) / 2))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_questions_side_by_side_are_answered_as_if_each_were_asked_alone(
    dataset: Path, family: str, attention: str
) -> None:
    config = Config().with_changes(
        model=SMALL | {"family": family, "patch_px": 14},
        data={"image_max_px": 56 * 56, "questions_per_picture": 4, "workers": 0},
        tasks={"weights": {"presence": 1.0, "grounding": 1.0}},
    )
    split = load_split([dataset], "train", config)
    ready = new_model(config, ["Is there a", "Where is: b", "yes", "no"])
    ready.model.eval().set_attn_implementation(attention)
    data = ExampleDataset(split.examples, split.paths, ready.processor, config.data)
    together = data[0, 7]
    assert len(together.beside) >= 1
    other = next(e for e in split.examples if e.images != split.examples[0].images)
    batch = collate([together, data[split.examples.index(other), None]], ready.processor)
    inputs = {name: batch[name] for name in MODEL_INPUTS if name in batch}
    picture = together.prompt[: -together.n_question]
    alone = [
        collate(
            [replace(together, prompt=[*picture, *q], answer=a, counts=[1.0] * len(a), beside=(), n_question=0)],
            ready.processor,
        )
        for q, a in [
            (together.prompt[-together.n_question :], together.answer),
            *((one.question, one.answer) for one in together.beside),
        ]
    ]  # fmt: skip
    with torch.no_grad():
        found = ready.model(**side_by_side(ready.model, inputs, batch["turns"]), use_cache=False).logits[0]
        for turn, one in enumerate(alone, start=1):
            wanted = ready.model(
                **{name: one[name] for name in MODEL_INPUTS if name in one}, use_cache=False
            ).logits[0]
            its = found[batch["turns"][0] == turn]
            torch.testing.assert_close(its, wanted[-len(its) :], rtol=1e-4, atol=1e-5)
    assert float(batch["weights"].sum(1)[0]) == pytest.approx(1)

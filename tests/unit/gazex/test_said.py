"""What the tokens of a radiograph are to say, the loss that teaches it, and eyes that are trained by it first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from examples.gazex.config import Config, load_config
from examples.gazex.data.augment import Motion
from examples.gazex.data.encode import ExampleDataset, collate
from examples.gazex.data.lighting import lights
from examples.gazex.data.prepare import load_split
from examples.gazex.data.said import DARK_SHARE, NOTHING, SaidPlaces, covered
from examples.gazex.errors import TrainerError
from examples.gazex.model.processor import IMAGE_TYPE, VIDEO_TYPE
from examples.gazex.model.ready import new_model
from examples.gazex.tasks.example import Box
from examples.gazex.train.checkpoint import load_newest
from examples.gazex.train.eyes import numbers_of_features, said_of_pictures
from examples.gazex.train.loop import _texts, train
from examples.gazex.train.loss import place_loss
from tests.unit.gazex.test_training import tiny

side = st.floats(-0.2, 1.2, allow_nan=False)


@given(side, side, side, side, st.integers(1, 9), st.integers(1, 9))
def test_cells_hold_the_part_of_a_box_that_lies_in_the_picture(
    a: float, b: float, c: float, d: float, height: int, width: int
) -> None:
    box = Box(x0=min(a, b), x1=max(a, b), y0=min(c, d), y1=max(c, d))
    found = covered(box, height, width)
    inside = [max(0.0, min(1.0, high) - max(0.0, low)) for low, high in ((box.x0, box.x1), (box.y0, box.y1))]
    assert found.shape == (height, width)
    assert found.sum() == pytest.approx(inside[0] * inside[1] * height * width, abs=1e-9)
    assert found.min() >= 0
    assert found.max() <= 1


def data_of(dataset: Path, tasks: tuple[str, ...] = ("grounding", "presence")) -> ExampleDataset:
    """Return the training examples of some tasks."""
    config = Config().with_changes(
        tasks={"weights": dict.fromkeys(tasks, 1.0)},
        data={"image_max_px": 112 * 112},
        model={"vocabulary": 400, "hidden": 64, "vision_hidden": 32, "vision_layers": 1, "layers": 1},
    )
    split = load_split([dataset], "train", config)
    ready = new_model(config, ["Where is: Cardiomegaly", "Pleural Effusion", "yes", "no"])
    return ExampleDataset(split.examples, split.paths, ready.processor, config.data)


def test_every_token_of_a_picture_says_one_thing_in_all_moved_with_the_picture(dataset: Path) -> None:
    data = data_of(dataset)
    at = data.examples[0].images[0]
    image = data.processor.image(data.store.get(at, 112 * 112, data.processor.multiple))
    still, moved = (data._said.on(at, image, m) for m in (Motion(), Motion(shift_x=1.0)))
    assert still is not None
    assert moved is not None
    n = image.n_tokens(data.processor.merge)
    for said in (still, moved):
        sums = torch.zeros(n, dtype=said.shares.dtype).index_add_(0, said.tokens, said.shares)
        torch.testing.assert_close(sums, torch.ones_like(sums))
    nothing = set(data.processor.words(NOTHING))
    labels = {e.about("label") or "" for e in data.examples if e.task == "grounding"}
    names = {word for label in labels for word in data.processor.words(label)}
    letters = {data.processor.words(letter)[0] for letter in "ABCDEF"}
    assert set(still.words.tolist()) <= nothing | names | letters
    assert set(still.words.tolist()) & names
    # A whole width to the right no finding is left in the picture, and no region.
    assert set(moved.words.tolist()) == nothing


def test_a_batch_says_it_of_the_tokens_of_each_picture(dataset: Path) -> None:
    data = data_of(dataset)
    batch = collate([data[k, 0] for k in (0, len(data) - 1)], data.processor)
    rows, tokens, words, shares = batch["said"].unbind(1)
    pictures = batch["input_ids"] == data.processor.image_id
    assert set(rows.tolist()) == {0, 1}
    assert bool(pictures[rows.long(), tokens.long()].all())
    assert len(torch.unique(batch["said"][:, :2], dim=0)) == int(pictures.sum())
    # Said with certainty it costs what it leaves open, said of another place more.
    logits = torch.full((*batch["input_ids"].shape, len(data.processor.tokenizer)), -30.0)
    logits[rows.long(), tokens.long(), words.long()] = shares.float().log()
    at = (rows * logits.shape[1] + tokens).long()
    right = place_loss(logits.flatten(0, 1), at, words.long(), shares)
    wrong = place_loss(logits.roll(1, dims=1).flatten(0, 1), at, words.long(), shares)
    assert 0 <= float(right) < float(wrong)
    entropy = -(shares * shares.log()).sum() / int(pictures.sum())
    assert float(right) == pytest.approx(float(entropy), abs=1e-4)


def test_a_token_says_the_letter_of_the_smallest_region_that_holds_it(dataset: Path) -> None:
    data = data_of(dataset)
    at = data.examples[0].images[0]
    image = data.processor.image(data.store.get(at, 112 * 112, data.processor.multiple))
    whole, small = Box(x0=0.0, y0=0.0, x1=1.0, y1=1.0), Box(x0=0.0, y0=0.0, x1=0.5, y1=0.5)
    examples = [replace(e, anatomy=(("B", whole), ("A", small))) for e in data.examples]
    said = SaidPlaces(examples, data.processor).on(at, image, Motion())
    assert said is not None
    _, height, width = (side // data.processor.merge for side in image.grid)
    cells = {
        letter: set(said.tokens[said.words == data.processor.words(letter)[0]].tolist()) for letter in "AB"
    }
    corner = {row * width + column for row in range(height // 2) for column in range(width // 2)}
    ill = 1 - torch.zeros(height * width).index_add_(
        0, said.tokens, said.shares * torch.isin(said.words, torch.tensor(_well_words(data)))
    )
    nothing_but_ill = {int(cell) for cell in (ill > 1 - 1e-6).nonzero()}
    assert cells["A"] == corner - nothing_but_ill
    assert cells["B"] == set(range(height * width)) - corner - nothing_but_ill
    sums = torch.zeros(height * width).index_add_(0, said.tokens, said.shares)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def _well_words(data: ExampleDataset) -> list[int]:
    return [word for name in (NOTHING, "A", "B") for word in data.processor.words(name)]


def test_a_token_of_a_key_frame_says_what_is_lit_there(dataset: Path) -> None:
    data = data_of(dataset, ("grounding", "presence", "order_by_finding"))
    index = next(k for k, e in enumerate(data.examples) if e.task == "order_by_finding")
    example = data.examples[index]
    assert len(example.frames) > 1
    words = data.processor.words
    item = data[index, None]
    assert item.video is not None
    assert item.said_of_frames is None, "nothing is trained"
    said = data._said.on_frames(example.images[0], example.frames, item.video, Motion())
    assert said is not None
    n = item.video.n_tokens(data.processor.merge)
    counts = torch.zeros(n).index_add_(0, said.tokens, said.shares)
    dark = torch.zeros(n).index_add_(0, said.tokens, said.shares * (said.words == words(NOTHING)[0]))
    each = n // len(example.frames)
    _, height, width = (side // data.processor.merge for side in item.video.grid)
    for place, frame in enumerate(example.frames):
        light = lights(frame.points, height, width).ravel()
        assert frame.letter
        own = slice(place * each, (place + 1) * each)
        np.testing.assert_allclose(dark[own].numpy(), DARK_SHARE * (1 - light), atol=1e-6)
        np.testing.assert_allclose(counts[own].numpy(), light + DARK_SHARE * (1 - light), atol=1e-6)
        letters = said.tokens[said.words == words(frame.letter)[0]]
        assert int(light.argmax()) + place * each in letters.tolist()
    # All the gaze beside the picture lights nothing.
    gone = data._said.on_frames(example.images[0], example.frames, item.video, Motion(shift_x=30.0))
    assert gone is not None
    assert float(gone.shares[gone.words == words(NOTHING)[0]].sum()) == pytest.approx(n * DARK_SHARE)


def test_of_key_frames_without_fixations_nothing_is_taught(dataset: Path) -> None:
    data = data_of(dataset, ("grounding", "presence", "order_by_finding"))
    index = next(k for k, e in enumerate(data.examples) if e.task == "order_by_finding")
    example, video = data.examples[index], data[index, None].video
    assert video is not None
    dark = [replace(frame, points=frame.points[:0]) for frame in example.frames]
    one_lit = [*dark[:-1], example.frames[-1]]
    said = data._said.on_frames(example.images[0], one_lit, video, Motion())
    assert said is not None
    each = video.n_tokens(data.processor.merge) // len(example.frames)
    assert set(said.tokens.tolist()) == set(range(each * (len(dark) - 1), each * len(dark)))
    assert data._said.on_frames(example.images[0], dark, video, Motion()) is None


def test_a_batch_says_it_of_the_tokens_of_key_frames_too(dataset: Path) -> None:
    tasks = ("order_by_finding", "presence")
    data = data_of(dataset, ("grounding", *tasks))
    chosen = [next(k for k, e in enumerate(data.examples) if e.task == task) for task in tasks]
    batch = collate([data[k, 0] for k in chosen], data.processor)
    rows, tokens = batch["said"][:, :2].long().unbind(1)
    said = set(zip(rows.tolist(), tokens.tolist(), strict=True))
    ids = batch["input_ids"]
    shown = (ids == data.processor.image_id) | (ids == data.processor.video_id)
    assert said == {(int(row), int(token)) for row, token in shown.nonzero()}
    assert bool((ids == data.processor.video_id)[0].any())
    assert not bool((ids == data.processor.image_id)[0].any()), "its frames are shown without the radiograph"


def test_eyes_say_by_themselves_what_they_say_in_the_whole_model(dataset: Path) -> None:
    """Tokens of radiographs and of key frames, which stand mixed in the rows, get their own picture's words."""
    config = tiny(
        tasks={"weights": {"grounding": 1.0, "presence": 1.0, "order_global": 1.0}},
        data={"image_max_px": 112 * 112, "frame_max_px": 56 * 56},
        model={"family": "qwen3_vl", "heads": 4},
    )
    split = load_split([dataset], "train", config)
    ready = new_model(config, _words(dataset, config))
    data = ExampleDataset(split.examples, split.paths, ready.processor, config.data)
    chosen = [
        next(k for k, e in enumerate(data.examples) if e.task == t) for t in ("order_global", "presence")
    ]
    batch = collate([data[k, None] for k in (chosen[0], *chosen)], ready.processor)
    kinds = batch["mm_token_type_ids"]
    with torch.no_grad():
        said = said_of_pictures(ready.model, batch)
        number = numbers_of_features(kinds)
        alone = {
            kind: said_of_pictures(ready.model, {n: batch[n] for n in names})
            for kind, names in (
                (IMAGE_TYPE, ("pixel_values", "image_grid_thw")),
                (VIDEO_TYPE, ("pixel_values_videos", "video_grid_thw")),
            )
        }
    for kind, own in alone.items():
        torch.testing.assert_close(said[number[(kinds == kind).flatten()]], own)


def test_nothing_is_said_of_a_picture_of_which_nothing_was_asked(dataset: Path) -> None:
    data = data_of(dataset, ("report_from_image",))
    assert data._said.on(data.examples[0].images[0], data[0, None].images[0], Motion()) is None
    assert collate([data[0, 0]], data.processor)["said"] is None


def test_nothing_is_said_where_nothing_is_trained(dataset: Path) -> None:
    data = data_of(dataset)
    assert data[0, 0].said is not None
    assert data[0, None].said is None


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_eyes_learn_first_and_leave_the_words_as_they_were(
    dataset: Path, tmp_path: Path, family: str
) -> None:
    config = tiny(
        tasks={"weights": {"grounding": 1.0, "presence": 1.0}},
        data={"image_max_px": 112 * 112},
        model={"family": family, "heads": 4},
        train={
            "steps": 14,
            "eyes_first": 12,
            "place_loss": 1.0,
            "learning_rate": 3e-3,
            "save_every": 12,
            "keep_checkpoints": 5,
        },
    )
    train([dataset], tmp_path, config, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    eyes = [line["place_loss"] for line in lines if "place_loss" in line and "loss" not in line]
    both = [line for line in lines if "place_loss" in line and "loss" in line]
    assert (len(eyes), len(both)) == (12, 2)
    assert np.mean(eyes[-3:]) < np.mean(eyes[:3])

    begun = new_model(config, _words(dataset, config)).model
    before = {name: value.detach().clone() for name, value in begun.named_parameters()}
    (
        tmp_path / "checkpoints" / "00000014" / "about.json"
    ).unlink()  # so that the one of step 12 is the newest
    optimizer = torch.optim.AdamW(begun.parameters())
    assert load_newest(tmp_path, config, model=begun, optimizer=optimizer)[0] == 12
    same = {name: torch.equal(value, before[name]) for name, value in begun.named_parameters()}
    assert not any(unchanged for name, unchanged in same.items() if ".visual.blocks." in name)
    assert all(unchanged for name, unchanged in same.items() if ".layers." in name)


def _words(dataset: Path, config: Config) -> list[str]:
    return list(_texts(load_split([dataset], "train", config).examples))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("[train]\neyes_first = 3\n", "place_loss"),
        ("[train]\neyes_first = 3\nplace_loss = 1.0\n[model]\nlora_rank = 4\n", "lora_rank"),
        ("[train]\neyes_first = 3\nplace_loss = 1.0\n[model]\nfreeze_vision = true\n", "freeze_vision"),
    ],
)
def test_eyes_that_come_first_need_a_loss_and_to_be_trained(tmp_path: Path, settings: str, told: str) -> None:
    (tmp_path / "settings.toml").write_text(settings, encoding="utf-8")
    with pytest.raises(TrainerError, match=told) as caught:
        load_config(tmp_path / "settings.toml")
    assert caught.value.code == "GX-CONFIG"


def test_words_around_every_question_are_one_token_each(dataset: Path) -> None:
    processor = new_model(tiny(), _words(dataset, tiny())).processor
    assert {len(processor.words(word)) for word in ("user", "assistant", " seconds")} == {1}

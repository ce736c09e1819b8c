"""Decoding under a grammar, and reading what a model wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.gazex.answer.grammar import (
    AnswerGrammar,
    Kind,
    box_is_whole,
    box_may_begin,
    constraint_of,
    order_is_whole,
    order_may_begin,
)
from examples.gazex.answer.parse import parse_boxes, parse_inspection, parse_order
from examples.gazex.answer.steps import LONGEST_NAME, MOST_STEPS, Next, step_after
from examples.gazex.config import Config
from examples.gazex.data.prepare import load_split
from examples.gazex.model.tokenizer import train_tokenizer
from examples.gazex.tasks.example import Box, plain_text
from examples.gazex.tasks.names import TASKS

TOKENIZER = train_tokenizer(["the heart is enlarged (10),( 1, 2, 3", "A trachea ; B left lung"] * 20, 340)


def sampled(kind: Kind, n: int, seed: int, limit: int = 60) -> str:
    """Return what a model of random scores writes under a grammar."""
    rng = np.random.default_rng(seed)
    begin, end, pad = TOKENIZER.convert_tokens_to_ids(["<|box_start|>", "<|im_end|>", "<|endoftext|>"])
    grammar = AnswerGrammar(TOKENIZER, [(kind, n)], prompt_length=2)
    ids = [pad, pad]
    for step in range(limit):
        scores = torch.from_numpy(rng.normal(size=(1, len(TOKENIZER))).astype(np.float32))
        if kind == "boxes" and step == 0:
            scores[0, begin] = 100.0
        chosen = int(grammar(torch.tensor([ids]), scores).argmax())
        if chosen == end:
            break
        ids.append(chosen)
    return str(TOKENIZER.decode(ids[2:]))


@pytest.mark.parametrize("seed", range(15))
def test_whatever_the_scores_a_box_is_whole(seed: int) -> None:
    text = sampled("boxes", 0, seed)
    first = text[: text.index("<|box_end|>") + len("<|box_end|>")]
    for said in (first, sampled("box", 0, seed)):
        parsed = parse_boxes(said)
        assert len(parsed.boxes) == 1
        assert parsed.problems == ()
        (box,) = parsed.boxes
        assert box.x0 < box.x1
        assert box.y0 < box.y1
        assert said.startswith("<|box_start|>")
        assert said.endswith("<|box_end|>")
    assert box.point is None  # a grounding has none


def test_a_free_answer_holds_no_box() -> None:
    for seed in range(6):
        text = sampled("free", 0, seed, limit=30)
        assert "<|box_start|>" not in text
        assert "<|box_end|>" not in text


def test_every_task_whose_answer_has_a_form_is_held_to_it(dataset: Path) -> None:
    examples = load_split([dataset], "train", Config()).examples
    assert {e.task for e in examples} == set(TASKS)
    for example in examples:
        kind, n = constraint_of(example.task, example.n_ordered)
        assert kind == ("box" if example.task == "grounding" else example.constraint)
        has_box = any(isinstance(piece, Box) for piece in example.answer)
        assert has_box == (kind in ("box", "boxes", "steps"))
        assert kind != "order" or order_is_whole(plain_text(example.answer), n)


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=6), st.booleans())
@settings(max_examples=100, deadline=None)
def test_every_box_can_be_written_and_no_other(n: list[int], point: bool) -> None:
    text = f"({n[0]},{n[1]}),({n[2]},{n[3]})" + (f",({n[4]},{n[5]})" if point else "")
    proper = n[0] < n[2] and n[1] < n[3]
    assert all(box_may_begin(text[:k]) for k in range(len(text) + 1)) == proper
    assert box_is_whole(text) == proper
    assert box_may_begin(text, point=False) == (proper and not point)


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_whatever_the_scores_an_order_is_one(n: int) -> None:
    for seed in range(6):
        text = sampled("order", n, seed, limit=100)
        assert order_is_whole(text, n)
        assert parse_order(text, n).order is not None


@given(
    st.permutations(list(range(1, 13))),
    st.lists(st.from_regex("[A-F-][0-9-]", fullmatch=True), min_size=12, max_size=12),
)
@settings(max_examples=30, deadline=None)
def test_every_order_can_be_written(order: list[int], looks: list[str]) -> None:
    looks = [f"{number}{look}" for number, look in enumerate(looks, start=1)]
    text = f"{' '.join(looks)}: {', '.join(map(str, order))}"
    assert all(order_may_begin(text[:k], 12) for k in range(len(text) + 1))
    assert order_is_whole(text, 12)
    assert parse_order(text, 12).order == tuple(order)
    assert not order_may_begin(text + ", ", 12)
    # Every frame is told, and nothing else.
    shorter, longer = " ".join(looks[:-1]), " ".join([*looks, "13B4"])
    assert not order_may_begin(f"{shorter}:", 12)
    assert not order_may_begin(longer, 12)
    assert not order_may_begin(" ".join([looks[1], looks[0]]), 12)
    assert not order_is_whole(", ".join(map(str, order)), 12)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_box_comes_back_within_half_a_thousandth(sides: list[float]) -> None:
    x, y = sorted(sides[:2]), sorted(sides[2:])
    written = plain_text((Box(x0=x[0], y0=y[0], x1=x[1], y1=y[1], point=(x[0], y[1])),))
    (box,) = parse_boxes(written).boxes
    assert [box.x0, box.y0, box.x1, box.y1] == pytest.approx([x[0], y[0], x[1], y[1]], abs=0.00051)
    assert box.point == pytest.approx((x[0], y[1]), abs=0.00051)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_scores_an_inspection_is_steps(seed: int) -> None:
    text = sampled("steps", 0, seed, limit=160)
    whole = text[: text.rindex("<|box_end|>") + len("<|box_end|>")] if "<|box_end|>" in text else ""
    parsed = parse_inspection(whole)
    assert whole
    assert not parsed.problems
    assert len(parsed.steps) == whole.count("<|box_end|>")
    assert all(step.letter in "ABCDEF" and step.region.strip() for step in parsed.steps)


def test_an_inspection_goes_on_and_ends_only_after_a_box() -> None:
    said = {token: TOKENIZER.decode([token]) for token in range(len(TOKENIZER))}
    begun = step_after(TOKENIZER, "", 0)
    assert (begun.box, begun.end) == (False, False)
    assert {said[token][0] for token in begun.tokens} <= set("ABCDEF")
    assert step_after(TOKENIZER, "B left lung ", 0).box
    assert not step_after(TOKENIZER, "B left lung ", 0).end
    assert not step_after(TOKENIZER, "B ", 0).box, "a step without a name"
    later = step_after(TOKENIZER, "", 1)
    assert later.end
    assert {said[token][0] for token in later.tokens} == {";"}
    endless = step_after(TOKENIZER, "B " + "x" * LONGEST_NAME, 0)
    assert (endless.tokens, endless.box) == ((), True)
    assert step_after(TOKENIZER, "", MOST_STEPS) == Next(tokens=(), box=False, end=True)


def test_malformed_boxes_are_told() -> None:
    assert parse_boxes("nothing here").problems == ("no box",)
    parsed = parse_boxes("<|box_start|>(1,2),(3<|box_end|> <|box_start|>(900,900),(1200,1000)<|box_end|>")
    assert parsed.problems == ("a box has 3 numbers", "a box reaches beyond the picture")
    assert parsed.boxes == (Box(x0=0.9, y0=0.9, x1=1.0, y1=1.0),)
    unclosed = parse_boxes("<|box_start|>(1,2),(3,4) <|box_start|>(5,6),(7,8)<|box_end|>")
    assert len(unclosed.boxes) == 2
    assert unclosed.problems == ("a box is not closed",)


def test_malformed_orders_are_told() -> None:
    assert parse_order("1, 2, 2", 3).problems == ("3 numbers are no order of 3",)
    assert parse_order("", 2).order is None


def test_an_inspection_is_read_step_by_step() -> None:
    box = "<|box_start|>(1,2),(30,40)<|box_end|>"
    parsed = parse_inspection(f"A trachea {box}; nonsense; B left lung {box}; C hea")
    assert [(s.letter, s.region) for s in parsed.steps] == [("A", "trachea"), ("B", "left lung")]
    assert parsed.problems == ("a part is no step", "a part is no step")


@given(st.text(max_size=80))
@settings(max_examples=80, deadline=None)
def test_any_text_survives_the_tokenizer(text: str) -> None:
    from examples.gazex.model.processor import plain

    safe = plain(text)
    ids = TOKENIZER(safe, add_special_tokens=False)["input_ids"]
    assert TOKENIZER.decode(ids) == safe


@given(st.text(alphabet="<|box_start|>()0123456789,;AB lung", max_size=120))
@settings(max_examples=150, deadline=None)
def test_no_answer_breaks_the_readers(text: str) -> None:
    for box in parse_boxes(text).boxes:
        assert 0 <= box.x0 <= box.x1 <= 1
    parse_order(text, 4)
    parse_inspection(text)

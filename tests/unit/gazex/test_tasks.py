"""What readings become: questions, answers, controls, batches."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from examples.gazex.config import Config, TaskSettings
from examples.gazex.data.augment import Motion
from examples.gazex.data.lighting import gaze_map, lit
from examples.gazex.data.mixing import BLOCK_BATCHES, Mixture
from examples.gazex.data.prepare import load_split
from examples.gazex.data.rows import Row, light_rows, shards
from examples.gazex.errors import TrainerError
from examples.gazex.tasks.controls import with_gaze
from examples.gazex.tasks.example import Box, Example, Level, plain_text, written, written_box
from examples.gazex.tasks.make import examples_of, shuffled_order
from examples.gazex.tasks.names import TASKS
from examples.gazex.tasks.reading import Reading


@pytest.fixture(scope="module")
def rows(dataset: Path) -> list[Row]:
    return list(light_rows(shards(dataset, "hdf5", "train")))


@pytest.fixture(scope="module")
def examples(dataset: Path) -> list[Example]:
    return load_split([dataset], "train", Config()).examples


def test_a_whole_reading_gives_every_task(rows: list[Row]) -> None:
    made = examples_of(rows[0], TaskSettings())
    assert {e.task for e in made} == set(TASKS)
    assert len({e.example_id for e in made}) == len(made)
    again = examples_of(rows[0], TaskSettings())
    assert [(e.example_id, e.answer) for e in made] == [(e.example_id, e.answer) for e in again]
    by_task = {e.task: e for e in made}
    assert plain_text(by_task["report_from_image"].answer).startswith(
        "the heart is enlarged . small effusion"
    )
    assert by_task["finding_from_clip"].frames
    assert by_task["presence"].answer in {("yes",), ("no",)}
    # 20 to 200 of 400 px, 30 to 300 of 480 px
    boxes = [e.answer[0] for e in made if e.task == "grounding" and e.about("label") == "Cardiomegaly"]
    assert boxes == [Box(x0=0.05, y0=0.0625, x1=0.5, y1=0.625)]


def test_a_reading_without_a_picture_gives_none(rows: list[Row]) -> None:
    assert examples_of(rows[3], TaskSettings()) == []


def test_the_right_order_puts_the_frames_back(examples: list[Example]) -> None:
    ordered = [e for e in examples if e.task in ("order_global", "order_by_finding")]
    assert ordered
    for example in ordered:
        said = plain_text(example.answer).partition(": ")[2]
        places = [int(n) for n in said.split(", ")]
        assert sorted(places) == list(range(1, example.n_ordered + 1))
        seen = sorted(zip(places, example.frames, strict=True), key=lambda pair: pair[0])
        times = [frame.begins_ns for _, frame in seen]
        assert times == sorted(times)


def test_an_order_says_first_what_each_frame_shows_and_where_it_saw_that(examples: list[Example]) -> None:
    ordered = [e for e in examples if e.task in ("order_global", "order_by_finding")]
    for example in ordered:
        looks = plain_text(example.answer).partition(": ")[0].split(" ")
        assert looks == [f"{n}{f.letter}{written(f.level or '-')}" for n, f in enumerate(example.frames, 1)]
        assert all(frame.letter and frame.level for frame in example.frames)
        shown = [(f.frame, example.answer[f.start]) for f in example.focus]
        assert shown == [(k, part) for k, f in enumerate(example.frames) for part in (f.letter, f.level)]
        for focus in example.focus:
            assert np.array_equal(focus.points, example.frames[focus.frame or 0].points)


def test_an_order_of_looks_shows_nothing_and_asks_the_same(examples: list[Example]) -> None:
    told = [e for e in examples if e.task == "order_of_looks"]
    assert told
    for example in told:
        looks, _, places = plain_text(example.answer).partition(": ")
        assert plain_text(example.prompt).endswith(f": {looks}")
        assert not example.frames
        assert not example.focus
        assert sorted(map(int, places.split(", "))) == list(range(1, example.n_ordered + 1))
    # The same looks have the same places as where the frames are shown.
    of_frames = {e.reading_id: e for e in examples if e.task == "order_global"}
    for example in told:
        shown = of_frames[example.reading_id]
        assert _by_place(example) == _by_place(shown)


def test_what_an_answer_is_given_counts_next_to_nothing(examples: list[Example]) -> None:
    told = {e.task: e for e in examples}
    for task, said in (("order_global", {"places", "looks"}), ("order_of_looks", {"places"})):
        example = told[task]
        begin = example.answer.index(": ")
        for k, piece in enumerate(example.answer):
            # A number counts the looks before the colon, and is the place of one after it.
            parts = piece in (" ", ", ", ": ") or (k < begin and k % 4 == 0)
            assert (k in example.given) == (parts or ("places" if k > begin else "looks") not in said)
    assert not any(e.given for e in examples if e.constraint != "order")


def _by_place(example: Example) -> list[str]:
    """Return what is said to have been looked at, in the order of the reading."""
    numbered, _, places = plain_text(example.answer).partition(": ")
    looks = re.sub(r"\b\d(?=[A-F])", "", numbered)
    return [look for _, look in sorted(zip(map(int, places.split(", ")), looks.split(" "), strict=True))]


def test_no_more_frames_are_put_in_order_than_are_shown(rows: list[Row]) -> None:
    weights = {"order_global": 1.0, "order_by_finding": 1.0, "order_of_looks": 1.0}
    settings = TaskSettings(weights=weights)
    of_all = {e.example_id: e for row in rows for e in examples_of(row, settings)}
    assert max(e.n_ordered for e in of_all.values()) > 2
    few = [e for row in rows for e in examples_of(row, settings, max_frames=2)]
    assert {e.example_id for e in few} == set(of_all)
    for example in few:
        assert example.n_ordered == 2
        assert plain_text(example.answer).partition(": ")[2] in ("1, 2", "2, 1")
        if example.frames:
            whole = sorted(frame.begins_ns for frame in of_all[example.example_id].frames)
            assert sorted(frame.begins_ns for frame in example.frames) == [whole[0], whole[-1]]
    assert examples_of(rows[0], settings, max_frames=1) == []


def test_frames_in_an_order_are_shown_without_the_radiograph(examples: list[Example]) -> None:
    alone = {e.task for e in examples if e.frames_alone}
    assert alone == {"order_global", "order_by_finding"}
    assert all(e.frames and e.images for e in examples if e.frames_alone), "they light that radiograph"


def test_how_far_down_moves_with_the_picture() -> None:
    text = ("B", Level(share=0.44), " ")
    assert plain_text(text) == "B4 "
    assert plain_text(Motion(shift_y=0.1).text(text)) == "B5 "
    assert plain_text(Motion(scale_y=0.5, shift_y=-0.5).text(text)) == "B0 "


def test_a_finding_that_is_there_is_looked_for_where_its_sentence_was(rows: list[Row]) -> None:
    settings = TaskSettings(weights={"presence": 1.0, "grounding": 1.0})
    examples = [e for row in rows for e in examples_of(row, settings)]
    looked = [e for e in examples if e.focus]
    assert {e.task for e in looked} == {"presence", "grounding"}
    assert all(e.answer != ("no",) for e in looked)
    by_reading = {row["reading_id"]: Reading(row) for row in rows}
    for example in looked:
        reading = by_reading[example.reading_id]
        gaze = {tuple(p) for key in reading.sentences for p in reading.gaze_of(key).tolist()}
        assert {tuple(p) for f in example.focus for p in f.points.tolist()} <= gaze


@pytest.mark.parametrize("n", [2, 3, 9])
def test_a_shuffle_is_seeded(n: int) -> None:
    orders = [shuffled_order(n, "reading", number) for number in range(20)]
    assert orders == [shuffled_order(n, "reading", number) for number in range(20)]
    assert all(sorted(order) == list(range(n)) for order in orders)


def test_how_many_frames_there_are_does_not_tell_their_order() -> None:
    seen = Counter(tuple(shuffled_order(2, "reading", number)) for number in range(200))
    assert 60 < seen[0, 1] < 140  # seeded: the same numbers every time


def test_without_gaze_the_texts_stay(examples: list[Example]) -> None:
    without = with_gaze(examples, "none", 0)
    assert not any(e.frames or e.focus for e in without)
    texts = {e.example_id: (e.prompt, e.answer) for e in examples}
    assert all(texts[e.example_id] == (e.prompt, e.answer) for e in without)
    assert {e.task for e in examples} - {e.task for e in without} == {
        "order_global", "order_by_finding", "order_of_looks", "boxes_from_sentence", "inspection",
    }  # fmt: skip


def test_a_clip_asks_which_finding_it_means(examples: list[Example]) -> None:
    asked = [e for e in examples if e.task == "pointed_finding"]
    assert asked
    for example in asked:
        box, label = example.answer
        assert label == f" {example.about('label')}"
        assert example.frames
        assert written_box(box) not in (example.about("others") or "")  # type: ignore[arg-type]


def test_a_mark_right_after_a_sentence_that_names_nothing_is_what_it_means(rows: list[Row]) -> None:
    row = Row(rows[0])
    row.shard, row.row = rows[0].shard, rows[0].row
    row["sentences"] = [{**s, "finding_ids": []} for s in row["sentences"]]
    first, second = (int(s["t_end_ns"]) for s in row["sentences"][:2])
    there = [f for f in row["findings"] if f["present"]][:2]
    row["findings"] = [
        {**there[0], "t_ns": second + 50_000_000},
        {**there[1], "t_ns": first + 60_000_000_000},
    ]
    asked = [e for e in examples_of(row, TaskSettings()) if e.task == "pointed_finding"]
    assert [e.about("label") for e in asked] == [there[0]["label"]]
    assert row["sentences"][1]["sentence_id"] in asked[0].example_id


def test_shuffled_clips_tell_nothing_of_the_own_one(examples: list[Example]) -> None:
    (first, second) = [e for e in examples if e.task == "pointed_finding"][:2]
    clips = [replace(e, reading_id=f"r{k // 2}") for k, e in enumerate([first, second] * 200)]
    mixed = with_gaze(clips, "shuffled_time", 1)
    times = [{f.begins_ns for f in e.frames} for e in (first, second)]
    own = sum({f.begins_ns for f in e.frames} == times[k % 2] for k, e in enumerate(mixed))
    assert 150 < own < 250  # of 400; 100 fewer or more have a chance below 1e-6
    number = Counter((len(a.frames), len(b.frames)) for a, b in zip(clips, mixed, strict=True))
    assert len(times[0]) == len(times[1]) or len(number) > 2


def test_exchanged_gaze_needs_frames_that_are_lit_anew() -> None:
    for control in ("other_image", "shuffled_time"):
        with pytest.raises(ValidationError, match="rendered"):
            Config().with_changes(data={"gaze": control})
        Config().with_changes(data={"gaze": control, "frames": "rendered"})


@pytest.mark.parametrize("control", ["other_image", "shuffled_time"])
def test_exchanged_gaze_leaves_everything_else(examples: list[Example], control: str) -> None:
    mixed = with_gaze(examples, control, 3)  # type: ignore[arg-type]
    own = {e.example_id: {f.begins_ns for f in e.frames} for e in examples}
    of_reading = {}
    for e in examples:
        for frame in e.frames:
            of_reading[id(frame.points)] = e.reading_id
    changed = 0
    for before, after in zip(examples, mixed, strict=True):
        assert (before.prompt, before.answer, before.images) == (after.prompt, after.answer, after.images)
        assert not after.focus
        if before.n_ordered:
            assert len(before.frames) == len(after.frames)
        if before.frames:
            homes = {of_reading[id(f.points)] for f in after.frames}
            assert (before.reading_id in homes) == (control == "shuffled_time")
            changed += {f.begins_ns for f in after.frames} != own[
                before.example_id
            ] or control == "other_image"
    assert changed > 0


def test_batches_are_the_same_whichever_is_asked_first() -> None:
    tasks = ["a"] * 30 + ["b"] * 5
    lengths = list(range(35))
    mixture = Mixture(tasks, lengths, {"a": 1.0, "b": 3.0}, batch_size=4, seed=1)
    ahead = [mixture.batch(k) for k in range(3 * BLOCK_BATCHES)]
    again = Mixture(tasks, lengths, {"a": 1.0, "b": 3.0}, batch_size=4, seed=1)
    assert [again.batch(k) for k in reversed(range(3 * BLOCK_BATCHES))] == ahead[::-1]
    draws = [draw for batch in ahead for _, draw in batch]
    assert sorted(draws) == list(range(len(draws)))
    given = Counter(example for batch in ahead for example, _ in batch)
    of_b = sum(n for example, n in given.items() if example >= 30)
    assert of_b / len(draws) == pytest.approx(0.75, abs=0.12)
    # Each task goes through its own examples evenly: none twice more often than any other.
    assert max(given[k] for k in range(30)) - min(given[k] for k in range(30)) <= 1


def test_ranks_share_a_batch_number_without_overlap() -> None:
    sizes = {"batch_size": 2, "seed": 5, "world_size": 2}
    ranks = [Mixture(["a"] * 64, [1] * 64, {"a": 1.0}, rank=rank, **sizes) for rank in range(2)]
    draws = [draw for rank in ranks for k in range(BLOCK_BATCHES) for _, draw in rank.batch(k)]
    assert sorted(draws) == list(range(2 * 2 * BLOCK_BATCHES))


def test_ranks_together_take_the_steps_of_one_with_their_batches_in_one() -> None:
    tasks, lengths = ["a"] * 300, [k * 7 % 101 for k in range(300)]
    ranks = [
        Mixture(tasks, lengths, {"a": 1.0}, batch_size=2, seed=5, rank=k, world_size=3) for k in range(3)
    ]
    one = Mixture(tasks, lengths, {"a": 1.0}, batch_size=6, seed=5)
    for number in range(2 * BLOCK_BATCHES):
        shared = [place for rank in ranks for place in rank.batch(number)]
        assert sorted(shared) == sorted(one.batch(number))


def test_no_task_with_a_weight_is_refused() -> None:
    with pytest.raises(TrainerError) as caught:
        Mixture(["a"], [1], {"b": 1.0}, batch_size=1, seed=0)
    assert caught.value.code == "GX-EMPTY"


@pytest.mark.parametrize("seed", range(8))
def test_a_box_moves_with_what_it_holds(seed: int) -> None:
    grey = np.zeros((240, 200), np.uint8)
    grey[80:140, 60:120] = 255
    motion = Motion.drawn(np.random.default_rng(seed), 0.1)
    rows, columns = np.nonzero(motion.picture(grey) > 100)
    box = motion.box(Box(x0=60 / 200, y0=80 / 240, x1=120 / 200, y1=140 / 240))
    found = [columns.min() / 200, rows.min() / 240, (columns.max() + 1) / 200, (rows.max() + 1) / 240]
    np.testing.assert_allclose([box.x0, box.y0, box.x1, box.y1], found, atol=1.5 / 200)


def test_light_falls_where_was_looked() -> None:
    points = np.array([[0.25, 0.75, 0.05, 1.0]], np.float32)
    heat = gaze_map(points, 100, 80)
    assert np.unravel_index(heat.argmax(), heat.shape) in {(74, 19), (74, 20), (75, 19), (75, 20)}
    shown = lit(np.full((100, 80), 200, np.uint8), points)
    assert shown[75, 20] > 190
    assert shown[5, 70] == 30
    assert not gaze_map(points[:0], 10, 10).any()

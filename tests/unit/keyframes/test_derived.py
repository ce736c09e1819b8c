from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyframes.derived import CLIPS, FRAMES, SHUFFLES, clips, frame_index, order_text, shuffled_sequences
from keyframes.errors import UsageError
from keyframes.reading import FINDINGS, KEYFRAMES, SENTENCES


def make_keyframes(*frames: tuple[str, str | None]) -> pa.Table:
    """Give rows of (kind, sentence); kind ``none`` is a sentence without gaze."""
    rows: list[dict[str, Any]] = []
    for place, (kind, sentence) in enumerate(frames):
        has_gaze = kind != "none"
        rows.append(
            {
                "keyframe_index": place,
                "order": place,
                "kind": kind if has_gaze else "holistic",
                "t_start_ns": place,
                "t_end_ns": place + 1,
                "dwell_s": 1.0,
                "fixation_indexes": [],
                "profile": "toolkit",
                "status": "ok" if has_gaze else "no_gaze",
                "sentence_id": sentence,
                "image_index": 0 if has_gaze else None,
                "box": [0.0, 0.0, 1.0, 1.0] if has_gaze else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=KEYFRAMES)


READING = make_keyframes(
    ("silent", None), ("cluster", "a"), ("cluster", "a"), ("holistic", "a"), ("none", "b"), ("holistic", "c")
)  # fmt: skip
SPOKEN = pa.Table.from_pylist(
    [
        {
            "sentence_id": one,
            "sentence_index": k,
            "text": "x.",
            "t_start_ns": k,
            "t_end_ns": k + 1,
            "finding_ids": found,
        }
        for k, (one, found) in enumerate([("a", ["f1"]), ("b", ["f2"]), ("c", ["f1", "f3"])])
    ],
    schema=SENTENCES,
)
MARKED = pa.Table.from_pylist(
    [
        {
            "finding_id": f"f{k}",
            "label": "no pneumothorax",
            "present": True,
            "shape": "none",
            "sentence_ids": [],
            "source": "reader",
        }
        for k in (1, 2, 3)
    ],
    schema=FINDINGS,
)


def test_a_sentence_without_gaze_shifts_no_frame() -> None:
    table = frame_index(READING)
    assert table.schema == FRAMES
    rows = table.to_pylist()
    assert [(r["frame"], r["keyframe_index"], r["sentence_id"]) for r in rows] == [
        (0, 0, None), (1, 1, "a"), (2, 2, "a"), (3, 3, "a"), (4, 5, "c"),
    ]  # fmt: skip
    assert [(r["place_in_sentence"], r["n_of_sentence"]) for r in rows] == [
        (None, None), (0, 3), (1, 3), (2, 3), (0, 1),
    ]  # fmt: skip


def test_clips_of_the_reading_its_overview_sentences_and_findings() -> None:
    table = clips(READING, SPOKEN, MARKED)
    assert table.schema == CLIPS
    rows = {row["clip_id"]: row for row in table.to_pylist()}
    assert {one: row["keyframe_indexes"] for one, row in rows.items()} == {
        "reading": [0, 1, 2, 3, 5],
        "overview": [3, 5],
        "sentence:a": [1, 2, 3],
        "sentence:c": [5],
        "finding:f1": [1, 2, 3, 5],
        "finding:f3": [5],
    }, "neither the sentence without gaze nor its finding has a clip"
    assert rows["finding:f1"]["sentence_ids"] == ["a", "c"]
    assert (rows["finding:f3"]["finding_id"], rows["finding:f3"]["label"]) == ("f3", "no pneumothorax")


def test_key_frames_that_name_their_finding_themselves() -> None:
    ids = pa.array([["f2"], [], [], [], [], []], pa.list_(pa.string()))
    table = clips(READING.append_column("finding_ids", ids), SPOKEN, MARKED)
    found = {row["clip_id"]: row["keyframe_indexes"] for row in table.to_pylist()}
    assert found["finding:f2"] == [0]


def clip_of(n_frames: int) -> pa.Table:
    row = {
        "clip_id": "reading",
        "kind": "reading",
        "sentence_ids": [],
        "keyframe_indexes": [3 * k + 1 for k in range(n_frames)],
    }
    return pa.Table.from_pylist([row], schema=CLIPS)


@settings(max_examples=30, deadline=None)
@given(
    n_frames=st.integers(1, 30),
    n_shuffles=st.integers(0, 7),
    seed=st.integers(0, 2**40),
    name=st.text(max_size=5),
)
def test_sequences_are_undone_by_their_inverse(n_frames: int, n_shuffles: int, seed: int, name: str) -> None:
    clip = clip_of(n_frames)
    table = shuffled_sequences(clip, reading_id=name, seed=seed, n_shuffles=n_shuffles)
    assert table.schema == SHUFFLES
    assert table == shuffled_sequences(clip, reading_id=name, seed=seed, n_shuffles=n_shuffles)
    rows = table.to_pylist()
    possible = 1 if n_frames == 1 else math.factorial(n_frames) - 1
    assert len(rows) == min(n_shuffles, possible)
    assert len({tuple(row["shown_order"]) for row in rows}) == len(rows)
    original = clip.column("keyframe_indexes")[0].as_py()
    for row in rows:
        assert sorted(row["shown_order"]) == list(range(n_frames))
        assert row["keyframe_indexes"] == [original[place] for place in row["shown_order"]]
        assert [row["keyframe_indexes"][place] for place in row["inverse_order"]] == original
        assert n_frames == 1 or row["keyframe_indexes"] != original
        for order, text in (("shown_order", "shown_text"), ("inverse_order", "inverse_text")):
            assert [int(part) for part in row[text].split(",")] == row[order]


def test_sequences_depend_on_seed_reading_and_clip_only() -> None:
    table = clips(READING, SPOKEN, MARKED)
    everything = shuffled_sequences(table, reading_id="r1", seed=1).to_pylist()
    alone = shuffled_sequences(table.slice(0, 1), reading_id="r1", seed=1).to_pylist()
    assert alone == everything[: len(alone)]
    big = clip_of(12)
    orders = {
        tuple(
            shuffled_sequences(big, reading_id=name, seed=seed, n_shuffles=1).column("shown_text").to_pylist()
        )
        for name, seed in (("r1", 1), ("r1", 2), ("r2", 1))
    }
    assert len(orders) == 3


def test_ten_frames_are_unambiguous() -> None:
    assert order_text([1, 0, 10]) != order_text([10, 1, 0]) != order_text([1, 10, 0])


def test_no_negative_seed_or_number() -> None:
    with pytest.raises(UsageError):
        shuffled_sequences(clip_of(3), reading_id="r", seed=-1)
    with pytest.raises(UsageError):
        shuffled_sequences(clip_of(3), reading_id="r", seed=0, n_shuffles=-1)


def test_nothing_gives_nothing() -> None:
    empty = KEYFRAMES.empty_table()
    assert frame_index(empty).num_rows == 0
    made = clips(empty, SENTENCES.empty_table(), FINDINGS.empty_table())
    assert made.num_rows == 0
    assert shuffled_sequences(made, reading_id="r", seed=0).num_rows == 0

"""The timeline of a review: at any moment it shows what was in force, and the film as the reader had it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.radiograph.presets import ImageView, Preset
from gazecapture.viewer.model import Action, ActionKind, ViewerModel
from gazecapture.viewer.review.derived import completed
from gazecapture.viewer.review.shown import Placement, state_of_row
from gazecapture.viewer.review.timeline import Timeline
from keyframes.errors import UsageError
from keyframes.reading import DISPLAY
from tests.unit.curation.readings import make_reading

PRESETS = tuple(
    Preset(preset_id=f"window:{n}", name="", center=100.0 * n + 50, width=90.0 + n, voi="LINEAR")
    for n in range(2)
)
AREA = (10.0, 56.0, 1210.0, 856.0)
KINDS: tuple[ActionKind, ...] = (
    "fit", "one_to_one", "zoom", "pan", "window", "window_drag", "preset", "invert", "flip", "rotate", "reset", "undo",
)  # fmt: skip
number = st.floats(-400, 400)
actions = st.builds(
    Action,
    kind=st.sampled_from(KINDS),
    viewport_id=st.sampled_from([0, 1]),
    x=st.floats(10, 1200),
    y=st.floats(60, 850),
    amount=st.sampled_from([0.0, 1.0, -1.0, 3.0]),
)


@settings(max_examples=30)
@given(
    todo=st.lists(actions, max_size=8),
    inverted=st.booleans(),
    scale=st.floats(0.2, 2.0),
    x=number,
    y=number,
)
def test_a_journal_row_gives_back_the_viewport_that_made_it(
    todo: list[Action], inverted: bool, scale: float, x: float, y: float
) -> None:
    images = [
        ImageView(image_index=n, width_px=300 + n, height_px=410, presets=PRESETS, base_inverted=inverted)
        for n in (0, 1)
    ]
    model = ViewerModel(AREA)
    model.open_study(1, images)
    for action in todo:
        try:
            model.act(action)
        except UsageError:
            assert action.kind == "preset"
    rows = model.presented(1)
    place = Placement(scale=scale, x=x, y=y)
    for row, then in zip(rows, model.viewports, strict=True):
        now = state_of_row(row, images[row["image_index"]], place)
        for u, v in ((0.0, 0.0), (300.0, 0.0), (17.0, 410.0)):
            expected = place.point(*map(float, then.image_to_screen().apply(u, v)))
            assert tuple(map(float, now.image_to_screen().apply(u, v))) == pytest.approx(expected, abs=1e-4)
        assert now.rect == pytest.approx(place.rect(then.rect))
        for name in ("center", "width", "voi", "preset_id", "inverted", "flipped"):
            assert getattr(now, name) == getattr(then, name)
        assert now.quarter_turns % 4 == then.quarter_turns % 4


def display_rows(times: list[tuple[int, int]]) -> pa.Table:
    """Rows of two viewports; window centre numbers them."""
    rows: list[dict[str, Any]] = [
        {
            "t_ns": t_ns, "viewport_id": viewport, "inverted": False, "panels": [], "image_index": 0,
            "affine": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "viewport_rect": [0.0, 0.0, 9.0, 9.0],
            "window_center": float(place),
        }
        for place, (viewport, t_ns) in enumerate([(0, 0), (1, 0), *times])
    ]  # fmt: skip
    return pa.Table.from_pylist([{f.name: row.get(f.name) for f in DISPLAY} for row in rows], schema=DISPLAY)


READING = completed(make_reading(3, lost=[(2.0, 2.4)]), {})
LAST = READING.meta.duration_ns


@settings(max_examples=30)
@given(
    times=st.lists(
        st.tuples(st.sampled_from([0, 1]), st.integers(1, LAST)), max_size=8, unique_by=lambda row: row
    ),
    at=st.integers(0, LAST),
)
def test_the_display_in_force_is_the_last_row_of_each_viewport(times: list[tuple[int, int]], at: int) -> None:
    table = display_rows(times)
    shown = Timeline(READING.with_tables(display=table)).display_at(at)
    for viewport in (0, 1):
        own = [row for row in table.to_pylist() if row["viewport_id"] == viewport and row["t_ns"] <= at]
        newest = max(row["t_ns"] for row in own)
        (found,) = [row for row in shown if row["viewport_id"] == viewport]
        assert found["t_ns"] == newest


TIMELINE = Timeline(READING)


@settings(max_examples=100)
@given(at=st.integers(-(10**9), LAST + 10**9))
def test_a_moment_holds_what_was_then_and_nothing_later(at: int) -> None:
    moment = TIMELINE.at(at)
    seen = TIMELINE.t_ns[moment.trail]
    assert (seen <= at).all()
    later = TIMELINE.t_ns[moment.trail.stop :]
    assert not later.size or later[0] > at, "the newest sample until then is the last one"
    f = TIMELINE.fixations
    expected = np.flatnonzero((f.t_start_ns <= at) & (at < f.t_end_ns))
    assert ([] if moment.fixation is None else [moment.fixation]) == expected.tolist()
    if moment.sentence is not None:
        sentence = TIMELINE.sentences[moment.sentence]
        assert sentence.t_start_ns <= at < sentence.t_end_ns
    spans = [(row["t_start_ns"], row["t_end_ns"]) for row in TIMELINE.keyframes]
    assert moment.keyframes == tuple(k for k, (a, b) in enumerate(spans) if a <= at < b)


@given(at=st.integers(0, LAST))
def test_steps_by_fixation_go_on_and_come_back(at: int) -> None:
    after = TIMELINE.next_fixation(at)
    assert after > at or after == TIMELINE.end_ns
    before = TIMELINE.previous_fixation(after)
    assert before <= at
    assert at <= TIMELINE.next_fixation(before)


def test_lost_gaze_is_a_gap() -> None:
    (gap,) = TIMELINE.gaps
    assert gap.t_start_ns / 1e9 == pytest.approx(2.0, abs=0.01)
    assert gap.t_end_ns / 1e9 == pytest.approx(2.4, abs=0.01)


def test_a_reading_without_eyes_or_without_a_place_on_the_screen_has_a_timeline_too() -> None:
    """As corpora of reports are, and recordings of others that say only that an image was shown."""
    plain = make_reading(4)
    nothing = {name: plain.table(name).slice(0, 0) for name in ("gaze", "display", "words")}
    timeline = Timeline(completed(plain.with_tables(**nothing), {}))
    assert timeline.at(10**9).display == ()
    assert (timeline.sentences, timeline.letters, timeline.gaps) == ([], [], [])
    assert timeline.next_fixation(0) == timeline.end_ns
    rows = [{**row, "affine": None} for row in display_rows([]).to_pylist()]
    nowhere = pa.Table.from_pylist(rows, schema=DISPLAY)
    assert Timeline(READING.with_tables(display=nowhere)).at(0).display == ()


def test_decided_sentences_keep_their_ids_and_stand_in_order_of_time() -> None:
    timeline = Timeline(READING)
    first, second = timeline.sentences[:2]
    timeline.decide_sentences(
        {first.sentence_id: (second.t_end_ns, second.t_end_ns + 10)}, {second.sentence_id: "other"}
    )
    assert [s.sentence_id for s in timeline.sentences[:2]] == [second.sentence_id, first.sentence_id]
    assert (timeline.sentences[0].text, timeline.sentences[0].is_corrected) == ("other", True)
    assert timeline.sentences[1].is_moved
    timeline.decide_sentences({}, {})
    assert timeline.sentences[:2] == [first, second]

"""What must hold for the online detector whatever comes: one output for every chunking, and no second thoughts."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keyframes.errors import TimestampError
from keyframes.events.online import OnlineDetector, OnlineMessage

FloatArray = NDArray[np.float64]
Gaze = tuple[FloatArray, FloatArray, FloatArray]


@st.composite
def gazes(draw: st.DrawFn) -> Gaze:
    """Draw fixations, steps, noise, glitches, losses, holes and repeated times at 60 to 2000 Hz."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate_hz = draw(st.sampled_from([60.0, 120.0, 500.0, 1000.0, 2000.0]))
    n = draw(st.integers(0, int(1.5 * rate_hz)))
    step = rng.choice([1.0, 1.0, 1.0, 0.0, 1.3, 60.0] if draw(st.booleans()) else [1.0], n) / rate_hz
    xy = 500.0 + rng.normal(0, draw(st.sampled_from([0.0, 0.8, 8.0])), (2, n))
    for start in rng.integers(0, max(n, 1), draw(st.integers(0, 5))):
        xy += rng.normal(0, 150, (2, 1)) * np.clip((np.arange(n) - start) / (0.04 * rate_hz), 0, 1)
    for at in rng.integers(0, max(n, 1), draw(st.integers(0, 8))):
        xy[:, at : at + 1] += rng.normal(0, 80, (2, 1))
    for start in rng.integers(0, max(n, 1), draw(st.integers(0, 3))):
        xy[rng.integers(0, 2), start : start + int(rng.integers(1, int(0.2 * rate_hz) + 2))] = rng.choice(
            [np.nan, np.inf, 1e8]
        )
    return 100.0 + np.cumsum(step), xy[0], xy[1]


def said(gaze: Gaze, cuts: list[int] | None = None) -> list[OnlineMessage]:
    detector = OnlineDetector(40.0, 38.0)
    bounds = [0, *sorted(min(cut, gaze[0].size) for cut in cuts or []), gaze[0].size]
    return [
        message
        for a, b in itertools.pairwise(bounds)
        for message in detector.push(*(column[a:b] for column in gaze))
    ]


def told(messages: list[OnlineMessage]) -> list[str]:
    """NaN equals NaN in text."""
    return [repr(message) for message in messages]


@settings(max_examples=40, deadline=None)
@given(gaze=gazes(), cuts=st.lists(st.integers(0, 3000), max_size=8))
def test_chunks_change_nothing(gaze: Gaze, cuts: list[int]) -> None:
    whole = told(said(gaze))
    assert told(said(gaze, cuts)) == whole
    detector = OnlineDetector(40.0, 38.0)
    one_by_one = [m for row in zip(*(c.tolist() for c in gaze), strict=True) for m in detector.push(*row)]
    assert told(one_by_one) == whole


@settings(max_examples=40, deadline=None)
@given(gaze=gazes(), share=st.floats(0, 1), other=gazes())
def test_what_comes_later_changes_nothing_that_was_said(gaze: Gaze, share: float, other: Gaze) -> None:
    cut = int(share * gaze[0].size)
    before: Gaze = (gaze[0][:cut], gaze[1][:cut], gaze[2][:cut])
    earlier = told(said(before))
    assert told(said(gaze))[: len(earlier)] == earlier
    shift = (before[0][-1] if cut else 0.0) + 0.01 - 100.0
    joined = tuple(
        np.concatenate([a, b]) for a, b in zip(before, (other[0] + shift, *other[1:]), strict=True)
    )
    assert told(said(joined))[: len(earlier)] == earlier  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(gaze=gazes())
def test_messages_are_in_order_and_every_offset_is_that_of_the_last_onset(gaze: Gaze) -> None:
    messages = said(gaze)
    decided = [m.t_decided_s for m in messages]
    assert decided == sorted(decided)
    assert all(m.latency_s >= 0 for m in messages)
    assert [m.edge for m in messages] == ["onset", "offset"] * (len(messages) // 2) + ["onset"] * (
        len(messages) % 2
    )
    for onset, offset in zip(messages[::2], messages[1::2], strict=False):
        assert (offset.kind, offset.t_onset_s) == (onset.kind, onset.t_event_s)
        assert offset.t_event_s >= onset.t_event_s
    for offset, onset in zip(messages[1::2], messages[2::2], strict=False):
        assert (offset.t_event_s, offset.t_decided_s) == (onset.t_event_s, onset.t_decided_s)
        assert offset.kind != onset.kind


@settings(max_examples=30, deadline=None)
@given(gaze=gazes(), dx=st.floats(-3000, 3000), shift_s=st.sampled_from([-100.0, 4096.0, 1e6]))
def test_place_mirror_and_clock_change_nothing_else(gaze: Gaze, dx: float, shift_s: float) -> None:
    t, x, y = gaze
    # Steps of the clock that floats hold exactly, so that a last digit decides nothing.
    t = np.round(t * 2**20) / 2**20
    here = [(m.kind, m.edge, m.t_event_s, m.t_decided_s) for m in said((t, np.round(x), np.round(y)))]
    x, y = np.where(np.abs(x) < 1e7, np.round(x), np.nan), np.where(np.abs(y) < 1e7, np.round(y), np.nan)
    there = said((t + shift_s, np.round(dx) - x, y))
    assert [(m.kind, m.edge, m.t_event_s - shift_s, m.t_decided_s - shift_s) for m in there] == here or all(
        abs(a[2] - (b.t_event_s - shift_s)) < 1e-6 and a[:2] == (b.kind, b.edge)
        for a, b in zip(here, there, strict=True)
    )


NUMBERS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-2000, 4000))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=25))
def test_anything_gives_messages_or_a_clear_error(rows: list[tuple[float, float, float]]) -> None:
    detector = OnlineDetector(40.0, 38.0)
    last_s = -np.inf
    for t_s, x_px, y_px in rows:
        try:
            for message in detector.push(t_s, x_px, y_px):
                assert message.t_decided_s == t_s
        except TimestampError:
            assert not np.isfinite(t_s) or t_s < last_s or abs(t_s) >= 9.2e9
        else:
            last_s = t_s

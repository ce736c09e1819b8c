"""What must hold for the events of any gaze: no crash, order, agreement with the labels, invariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keyframes.errors import TimestampError
from keyframes.events import METHODS, NONE, Events, detect
from keyframes.reading import EVENT_KINDS

FloatArray = NDArray[np.float64]

EXPLICIT = [method for method in METHODS if method != "auto"]
TURNING = [method for method in METHODS if method != "idt"]
"""The extent of `idt` is that of a box along the axes, so that a turn changes it."""

WITH_POSITION = ["x_screen_px", "x_start_screen_px", "x_end_screen_px"]
OF_TIME = ["kind", "t_start_ns", "t_end_ns", "valid_share"]
OF_MOVEMENT = [
    "amplitude_deg",
    "peak_velocity_deg_per_s",
    "mean_velocity_deg_per_s",
    "dispersion_deg",
    "rms_s2s_deg",
]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Synthetic gaze with its scale."""

    t_s: FloatArray
    x_px: FloatArray
    y_px: FloatArray
    scale: FloatArray
    method: str

    def detect(self, **changes: FloatArray) -> Events:
        """Return the events of this recording with some columns changed."""
        t, x, y = (changes.get(name, getattr(self, name)) for name in ("t_s", "x_px", "y_px"))
        scale_x, scale_y = changes.get("scale_x", self.scale), changes.get("scale_y", self.scale)
        return detect(t, x, y, scale_x, scale_y, method=self.method)


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Draw fixations, steps of some samples, noise, losses and holes at a rate from 30 to 2000 Hz."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate_hz = draw(st.sampled_from([30.0, 59.94, 120.0, 250.0, 500.0, 1000.0, 2000.0]))
    n = draw(st.integers(2, max(20, int(2.5 * rate_hz))))
    t = np.arange(n) / rate_hz
    if draw(st.booleans()):
        t = t + rng.uniform(-0.3, 0.3, n) / rate_hz
    xy = np.full((2, n), 500.0) + rng.normal(0, draw(st.sampled_from([0.05, 2.0, 15.0])), (2, n))
    for start in rng.integers(0, n, draw(st.integers(0, 8))):
        length = int(rng.integers(1, max(2, int(0.06 * rate_hz))))
        ramp = np.clip((np.arange(n) - start) / length, 0, 1)
        xy += rng.normal(0, 150, (2, 1)) * ramp
    for start in rng.integers(0, n, draw(st.integers(0, 4))):
        xy[:, start : start + int(rng.integers(1, max(2, int(0.3 * rate_hz))))] = np.nan
    keep = np.ones(n, np.bool_)
    for start in rng.integers(0, n, draw(st.integers(0, 2))):
        keep[start : start + int(rng.integers(1, max(2, int(0.2 * rate_hz))))] = False
    keep[:2] = True
    scale = 40.0 * (1 + 0.05 * np.sin(t)) if draw(st.booleans()) else np.full(n, 40.0)
    return Recording(
        t_s=t[keep],
        x_px=xy[0, keep],
        y_px=xy[1, keep],
        scale=scale[keep],
        method=draw(st.sampled_from(METHODS)),
    )


def frame(events: Events) -> pd.DataFrame:
    found: pd.DataFrame = events.table.to_pandas()
    return found


def assert_in_order_and_agreeing(events: Events, t_s: FloatArray) -> None:
    """Check that the table is in order and disjoint and says what the labels say, and nothing else."""
    table = frame(events)
    start, end = table.t_start_ns.to_numpy(), table.t_end_ns.to_numpy()
    assert (end > start).all()
    assert (start[1:] >= end[:-1]).all()
    assert table.event_index.tolist() == list(range(len(table)))
    t_ns = np.rint(t_s * 1e9).astype(np.int64)
    event = np.searchsorted(start, t_ns, side="right") - 1
    inside = (event >= 0) & (t_ns < np.append(end, 0)[event]) if len(table) else np.zeros(t_ns.size, np.bool_)
    from_table = np.zeros(t_ns.size, np.int8)
    codes = np.array([EVENT_KINDS.index(kind) for kind in table.kind], np.int8)
    from_table[inside] = codes[event[inside]]
    is_loss = from_table == EVENT_KINDS.index("loss")
    from_table[is_loss] = NONE
    np.testing.assert_array_equal(from_table, events.labels)
    assert ((table.valid_share >= 0) & (table.valid_share <= 1)).all()
    assert (table.valid_share[table.kind == "loss"] == 0).all()


@settings(max_examples=40, deadline=None)
@given(recording=recordings())
def test_labels_and_table_agree_and_events_are_in_order(recording: Recording) -> None:
    events = recording.detect()
    assert_in_order_and_agreeing(events, recording.t_s)
    lost = ~np.isfinite(recording.x_px)
    table = frame(events)
    assert (table.kind == "loss").any() or not (lost & (events.labels == NONE)).any()


@settings(max_examples=25, deadline=None)
@given(recording=recordings(), dx=st.floats(-4000, 4000), dy=st.floats(-4000, 4000))
def test_translation_moves_events_and_changes_nothing_else(
    recording: Recording, dx: float, dy: float
) -> None:
    before = recording.detect()
    after = recording.detect(x_px=recording.x_px + dx, y_px=recording.y_px + dy)
    np.testing.assert_array_equal(after.labels, before.labels)
    old, new = frame(before), frame(after)
    assert new[OF_TIME].equals(old[OF_TIME])
    np.testing.assert_allclose(new[OF_MOVEMENT], old[OF_MOVEMENT], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(new[WITH_POSITION], old[WITH_POSITION] + dx, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(recording=recordings())
def test_mirror_mirrors_events(recording: Recording) -> None:
    before, after = recording.detect(), recording.detect(x_px=1000.0 - recording.x_px)
    np.testing.assert_array_equal(after.labels, before.labels)
    old, new = frame(before), frame(after)
    assert new[OF_TIME].equals(old[OF_TIME])
    np.testing.assert_allclose(new[OF_MOVEMENT], old[OF_MOVEMENT], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(new[WITH_POSITION], 1000.0 - old[WITH_POSITION], atol=1e-6)
    turned = np.deg2rad(180.0 - old.direction_deg) - np.deg2rad(new.direction_deg)
    assert (np.cos(turned[np.isfinite(turned)]) > 1 - 1e-9).all()


@settings(max_examples=25, deadline=None)
@given(recording=recordings())
def test_swapped_axes_swap_events(recording: Recording) -> None:
    after = recording.detect(x_px=recording.y_px, y_px=recording.x_px)
    np.testing.assert_array_equal(after.labels, recording.detect().labels)


@settings(max_examples=25, deadline=None)
@given(recording=recordings(), shift_s=st.sampled_from([-3600.0, -0.125, 1.0, 86400.0]))
def test_time_shift_shifts_events(recording: Recording, shift_s: float) -> None:
    before, after = recording.detect(), recording.detect(t_s=recording.t_s + shift_s)
    np.testing.assert_array_equal(after.labels, before.labels)
    old, new = frame(before), frame(after)
    assert new.kind.equals(old.kind)
    for column in ("t_start_ns", "t_end_ns"):
        assert (
            abs(new[column] - old[column] - round(shift_s * 1e9)) <= 2
        ).all()  # the last digits of a float


@settings(max_examples=25, deadline=None)
@given(recording=recordings(), factor=st.sampled_from([0.001, 0.25, 3.7, 40.0]))
def test_another_unit_of_length_gives_the_same_events(recording: Recording, factor: float) -> None:
    scale = recording.scale * factor
    before = recording.detect()
    after = recording.detect(
        x_px=recording.x_px * factor, y_px=recording.y_px * factor, scale_x=scale, scale_y=scale
    )
    np.testing.assert_array_equal(after.labels, before.labels)
    old, new = frame(before), frame(after)
    assert new[OF_TIME].equals(old[OF_TIME])
    np.testing.assert_allclose(new[OF_MOVEMENT], old[OF_MOVEMENT], rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(recording=recordings(), quarter_turns=st.integers(1, 3))
def test_quarter_turns_of_square_pixels_turn_events(recording: Recording, quarter_turns: int) -> None:
    x, y = recording.x_px, recording.y_px
    for _ in range(quarter_turns):
        x, y = -y, x
    after = recording.detect(x_px=x, y_px=y)
    np.testing.assert_array_equal(after.labels, recording.detect().labels)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), angle_rad=st.floats(0, 6.28), method=st.sampled_from(TURNING))
def test_any_turn_of_square_pixels_leaves_clear_events(seed: int, angle_rad: float, method: str) -> None:
    x, y = clear_gaze(np.random.default_rng(seed))
    turned_x = np.cos(angle_rad) * x - np.sin(angle_rad) * y
    turned_y = np.sin(angle_rad) * x + np.cos(angle_rad) * y
    t = np.arange(x.size) / 500.0
    before = detect(t, x, y, 40.0, 40.0, method=method)
    after = detect(t, turned_x, turned_y, 40.0, 40.0, method=method)
    assert frame(after).kind.tolist() == frame(before).kind.tolist()
    # The last digits of a turned number may move a bound that lies on a threshold by a sample.
    assert np.count_nonzero(after.labels != before.labels) <= 2


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lost_s=st.floats(2.0, 4.0),
    jitter=st.sampled_from([0.0, 0.05, 0.3]),
    method=st.sampled_from(EXPLICIT),
)
@example(seed=188978, lost_s=2.0, jitter=0.0, method="ivt")
def test_splitting_at_a_long_loss_changes_nothing(
    seed: int, lost_s: float, jitter: float, method: str
) -> None:
    rng = np.random.default_rng(seed)
    (x1, y1), (x2, y2) = clear_gaze(rng), clear_gaze(rng, noise_px=float(rng.choice([0.5, 2.0, 6.0])))
    lost = np.full(round(lost_s * 500), np.nan)
    x, y = np.concatenate([x1, lost, x2]), np.concatenate([y1, lost, y2])
    # Limits are whole numbers of samples at this rate: the last digit of a time must decide nothing.
    t = (np.arange(x.size) + rng.uniform(-jitter, jitter, x.size)) / 500.0
    cut = x1.size + lost.size // 2
    whole = detect(t, x, y, 40.0, 40.0, method=method)
    parts = [detect(t[p], x[p], y[p], 40.0, 40.0, method=method) for p in (slice(0, cut), slice(cut, None))]
    np.testing.assert_array_equal(np.concatenate([part.labels for part in parts]), whole.labels)
    split = pd.concat([frame(part) for part in parts])
    seen, all_seen = (table[table.kind != "loss"] for table in (split, frame(whole)))
    seen, all_seen = (table[OF_TIME].reset_index(drop=True) for table in (seen, all_seen))
    # What begins with the last sample ends one interval later, and the recording's is not the part's.
    assert abs(seen.t_end_ns.iloc[-1] - all_seen.t_end_ns.iloc[-1]) <= jitter * 0.2e6
    pd.testing.assert_frame_equal(
        seen.drop(columns="valid_share").iloc[:-1], all_seen.drop(columns="valid_share").iloc[:-1]
    )
    np.testing.assert_allclose(seen.valid_share, all_seen.valid_share, rtol=1e-3)


def clear_gaze(rng: np.random.Generator, *, noise_px: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return two to three seconds at 500 Hz at 40 px per degree: saccades of 2 to 12 degrees and white noise."""
    n = int(rng.integers(1000, 1500))
    xy = 500.0 + rng.normal(0, noise_px, (2, n))
    for start in range(100, n - 100, 150):
        amplitude_px, angle = rng.uniform(80, 480), rng.uniform(0, 2 * np.pi)
        phase = np.clip((np.arange(n) - start) / (10 + amplitude_px / 40), 0, 1)
        step = 10 * phase**3 - 15 * phase**4 + 6 * phase**5
        xy += amplitude_px * np.array([[np.cos(angle)], [np.sin(angle)]]) * step
    return xy[0], xy[1]


HOSTILE = {
    "empty": np.zeros((3, 0)),
    "one sample": np.array([[1.0], [5.0], [5.0]]),
    "all lost": np.stack([np.arange(300) / 500, *np.full((2, 300), np.nan)]),
    "constant": np.stack([np.arange(300) / 500, *np.full((2, 300), 7.0)]),
    "repeated times": np.stack([np.repeat(np.arange(150), 2) / 500, *np.full((2, 300), 7.0)]),
    "infinite": np.stack([np.arange(300) / 500, np.full(300, np.inf), np.full(300, -np.inf)]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_gives_the_events_that_it_has(method: str, name: str) -> None:
    columns = HOSTILE[name].copy()
    columns.flags.writeable = False
    t, x, y = columns
    events = detect(t, x, y, 40.0, 40.0, method=method)
    assert_in_order_and_agreeing(events, t)
    # The rule of one sample is the detector's own; whatever it is, it moves nowhere.
    expected = {"constant": {"fixation"}, "repeated times": {"fixation"}, "empty": set()}
    lost = {"all lost": {"loss", "blink"}, "infinite": {"loss", "blink"}, "one sample": {"fixation"}}
    assert set(frame(events).kind) <= (expected | lost)[name]


@pytest.mark.parametrize("method", METHODS)
def test_whole_numbers_mean_what_they_are(method: str) -> None:
    x, y = (np.round(v).astype(np.int32) for v in clear_gaze(np.random.default_rng(1)))
    t = np.arange(x.size) / 500.0
    whole = detect(t, x, y, 40, 40, method=method)
    np.testing.assert_array_equal(
        whole.labels, detect(t, x.astype(float), y.astype(float), 40.0, 40.0, method=method).labels
    )


@pytest.mark.parametrize("method", METHODS)
def test_backward_time_is_refused_with_its_row(method: str) -> None:
    with pytest.raises(TimestampError, match="backward") as refused:
        detect([0.0, 0.002, 0.001], [1.0] * 3, [1.0] * 3, 40.0, 40.0, method=method)
    assert refused.value.record == 2


@pytest.mark.parametrize("method", METHODS)
def test_ten_hours_are_possible(method: str) -> None:
    rng = np.random.default_rng(0)
    n = 10 * 3600 * 30
    steps = np.cumsum(rng.normal(0, 100, (2, n // 12 + 1)), axis=1)
    x, y = np.clip(np.repeat(steps, 12, axis=1)[:, :n], -4000, 4000) + rng.normal(0, 1, (2, n))
    events = detect(np.arange(n) / 30.0, x, y, 40.0, 40.0, method=method)
    table = frame(events)
    assert table.t_end_ns.iloc[-1] > 35_999_900_000_000
    assert (table.kind == "fixation").sum() > 1000


STEPS_S = st.sampled_from([0.0, 1e-9, 0.0005, 0.002, 0.0021, 0.03, 0.2, 5.0])
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-2000, 4000),
    st.sampled_from([0.0, 512.0, np.nan]),
)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(STEPS_S, NUMBERS, NUMBERS), max_size=60),
    scale=st.floats(1e-3, 1e4),
    method=st.sampled_from(METHODS),
)
def test_anything_gives_events_or_a_clear_error(
    rows: list[tuple[float, float, float]], scale: float, method: str
) -> None:
    columns = np.array(rows, np.float64).reshape(-1, 3).T
    t, x, y = np.cumsum(columns[0]), columns[1], columns[2]
    refusal = ""
    try:
        events = detect(t, x, y, scale, scale, method=method)
    except TimestampError as refused:
        refusal = refused.message
    else:
        assert_in_order_and_agreeing(events, t)
    assert refusal == "" or "median interval" in refusal


@settings(max_examples=40, deadline=None)
@given(t=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_any_times_give_events_or_a_clear_error(t: list[float]) -> None:
    x = np.full(len(t), 100.0)
    try:
        events = detect(np.array(t), x, x, 40.0, 40.0)
    except TimestampError:
        return
    assert_in_order_and_agreeing(events, np.array(t))

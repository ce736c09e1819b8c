"""What `detect` accepts, refuses and writes into its table."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import keyframes.events
from keyframes.errors import DataError, GeometryError, TimestampError, UsageError
from keyframes.events import BLINK, FIXATION, METHODS, NONE, PSO, SACCADE, Events, detect
from keyframes.reading import EVENTS

FloatArray = NDArray[np.float64]
RATE_HZ = 500.0
SCALE = (40.0, 30.0)


def gaze(
    steps_px: list[tuple[float, float]], *, noise_px: float = 0.4
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return t_s, x_px, y_px: 0.4 s on each point, 40 ms minimum-jerk steps between, from a fixed seed."""
    n_rest, phase = 200, np.arange(1, 20) / 20
    curve = 10 * phase**3 - 15 * phase**4 + 6 * phase**5
    parts = [np.tile(steps_px[0], (n_rest, 1))]
    for here, there in itertools.pairwise(steps_px):
        step = np.subtract(there, here)
        parts += [np.asarray(here) + step * curve[:, None], np.tile(there, (n_rest, 1))]
    xy = np.concatenate(parts)
    xy = xy + np.random.default_rng(0).normal(0, noise_px, xy.shape)
    return np.arange(len(xy)) / RATE_HZ, xy[:, 0], xy[:, 1]


@pytest.fixture
def three() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Three fixations: 5 degrees to the right, then 4 degrees up."""
    return gaze([(200.0, 400.0), (400.0, 400.0), (400.0, 280.0)])


def frame(events: Events) -> pd.DataFrame:
    found: pd.DataFrame = events.table.to_pandas()
    return found


def test_public_names_are_all_there() -> None:
    for name in keyframes.events.__all__:
        assert hasattr(keyframes.events, name)
    assert METHODS == ("auto", "adaptive", "clustering", "ivt", "idt")


@pytest.mark.parametrize("method", METHODS)
def test_table_has_the_schema_and_says_what_happened(
    three: tuple[FloatArray, FloatArray, FloatArray], method: str
) -> None:
    found = detect(*three, *SCALE, method=method)
    assert found.table.schema == EVENTS
    assert found.labels.dtype == np.int8
    assert found.method == ("adaptive" if method == "auto" else method)
    table = frame(found)
    assert table.event_index.tolist() == list(range(len(table)))
    fixations = table[table.kind == "fixation"]
    assert len(fixations) == 3
    np.testing.assert_allclose(fixations.x_screen_px, [200, 400, 400], atol=3)
    np.testing.assert_allclose(fixations.y_screen_px, [400, 400, 280], atol=3)
    assert table.image_index.isna().all()
    assert table.x_image_px.isna().all()


def test_columns_hold_true_values_and_nan_where_meaningless(
    three: tuple[FloatArray, FloatArray, FloatArray],
) -> None:
    table = frame(detect(*three, *SCALE, method="adaptive"))
    assert table.kind.tolist() == ["fixation", "saccade", "fixation", "saccade", "fixation"]
    right, up = table.iloc[1], table.iloc[3]
    assert right.amplitude_deg == pytest.approx(5.0, abs=0.15)
    assert right.direction_deg == pytest.approx(0.0, abs=1.5)
    assert up.amplitude_deg == pytest.approx(4.0, abs=0.15)
    assert up.direction_deg == pytest.approx(90.0, abs=1.5)  # up on the screen, where y runs down
    assert right.x_start_screen_px == pytest.approx(200, abs=4)
    assert right.x_end_screen_px == pytest.approx(400, abs=4)
    assert right.peak_velocity_deg_per_s == pytest.approx(1.875 * 5.0 / 0.040, rel=0.1)
    assert right.mean_velocity_deg_per_s < right.peak_velocity_deg_per_s
    assert math.isnan(right.dispersion_deg)
    assert math.isnan(right.rms_s2s_deg)
    rest = table.iloc[2]
    assert math.isnan(rest.amplitude_deg)
    assert math.isnan(rest.direction_deg)
    sd = np.array([0.4 / 40, 0.4 / 30])
    assert rest.rms_s2s_deg == pytest.approx(np.sqrt(2 * (sd**2).sum()), rel=0.15)
    assert 3 * sd.sum() < rest.dispersion_deg < 20 * sd.sum()
    assert (table.valid_share == 1.0).all()


def test_times_are_half_open_int64_ns_from_sample_to_sample(
    three: tuple[FloatArray, FloatArray, FloatArray],
) -> None:
    t, x, y = three
    table = frame(detect(t + 1234.5, x, y, *SCALE))
    assert table.t_start_ns.iloc[0] == 1_234_500_000_000
    assert (table.t_end_ns.iloc[:-1].to_numpy() == table.t_start_ns.iloc[1:].to_numpy()).all()
    assert table.t_end_ns.iloc[-1] == round((t[-1] + 1234.5) * 1e9) + 2_000_000
    np.testing.assert_allclose(table.duration_s, (table.t_end_ns - table.t_start_ns) / 1e9)


def test_method_reason_and_parameters_are_recorded(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    found = detect(*three, *SCALE)
    assert "500 Hz" in found.reason
    units = ("_s", "_deg", "_deg_per_s", "_multiple", "_share", "_of_peak")
    assert all(name.endswith(units) for name in found.parameters)
    assert detect(*three, *SCALE, method="ivt").reason == "asked for by name"
    with pytest.raises(TypeError):
        found.parameters["min_fixation_s"] = 1.0  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        found.labels[0] = 2


def test_blink_takes_its_artefacts_and_short_loss_stays_in_the_fixation() -> None:
    t, x, y = gaze([(300.0, 300.0)] * 3)
    t, x, y = t[:600], x[:600].copy(), y[:600].copy()
    y[190:200] += np.linspace(5, 160, 10)  # the lid falls
    x[200:270] = np.nan
    y[270:290] += np.linspace(160, 5, 20)  # and rises
    x[400:410] = np.nan
    x[500] = np.nan
    found = detect(t, x, y, *SCALE)
    table = frame(found)
    assert table.kind.tolist() == ["fixation", "blink", "fixation"]
    assert abs(table.t_start_ns[1] - 380_000_000) <= 6_000_000
    assert abs(table.t_end_ns[1] - 580_000_000) <= 10_000_000
    assert np.isnan(table.x_screen_px[1])
    assert np.isnan(table.peak_velocity_deg_per_s[1])
    n_rows = round((table.t_end_ns[2] - table.t_start_ns[2]) / 2e6)
    assert table.valid_share[2] == pytest.approx(1 - 11 / n_rows)
    assert (found.labels[400:410] == FIXATION).all()
    assert (found.labels[200:270] == BLINK).all()


def test_long_loss_is_a_loss_and_moved_gaze_is_not_bridged() -> None:
    t, x, y = gaze([(300.0, 300.0)] * 4)
    x = x.copy()
    x[100:400] = np.nan  # 0.6 s: no blink
    x[600:620] = np.nan
    x[620:] += 60.0  # gaze is 1.5 degrees away after 40 ms of loss
    found = detect(t, x, y, *SCALE)
    table = frame(found)
    assert table.kind.tolist() == ["fixation", "loss", "fixation", "loss", "fixation"]
    assert table.valid_share[1] == 0.0
    assert (found.labels[100:400] == NONE).all()


def test_a_hole_in_time_is_a_loss() -> None:
    t, x, y = gaze([(300.0, 300.0)] * 2)
    keep = np.ones(t.size, np.bool_)
    keep[100:140] = False  # 80 ms without a row
    found = detect(t[keep], x[keep], y[keep], *SCALE)
    table = frame(found)
    assert table.kind.tolist() == ["fixation", "blink", "fixation"]
    assert (table.t_start_ns[1], table.t_end_ns[1]) == (200_000_000, 280_000_000)
    assert table.valid_share[1] == 0.0
    assert (found.labels == FIXATION).all()  # every sample given was a fixation's


@pytest.mark.parametrize("rate_hz", [59.94, 62.5, 500.0, 1000.0])
def test_a_hole_is_four_intervals_long_whatever_the_last_digit_of_a_time(rate_hz: float) -> None:
    t = np.arange(900) / rate_hz
    x = np.random.default_rng(0).normal(300, 0.4, t.size)
    for dropped, rows in ((2, 0), (3, 1)):
        keep = np.ones(t.size, np.bool_)
        for start in range(100, 800, 100):
            keep[start : start + dropped] = False
        found = detect(t[keep], x[keep], x[keep], *SCALE, method="adaptive")
        assert found.samples.n == keep.sum() + 7 * rows


def test_post_saccadic_oscillation_is_no_part_of_its_saccade() -> None:
    t, x, y = gaze([(200.0, 400.0), (600.0, 400.0)], noise_px=0.1)
    x = x.copy()
    since = t[219:] - t[219]
    x[219:] -= 30 * np.sin(2 * np.pi * 22 * since) * np.exp(-since / 0.012)
    table = frame(detect(t, x, y, *SCALE))
    assert table.kind.tolist() == ["fixation", "saccade", "pso", "fixation"]
    assert 0.010 <= table.duration_s[2] <= 0.040
    assert table.peak_velocity_deg_per_s[2] < table.peak_velocity_deg_per_s[1]


def test_changing_distance_makes_no_velocity() -> None:
    t, x, y = gaze([(1800.0, 900.0)], noise_px=0.2)
    scale = np.linspace(40.0, 44.0, t.size)  # the head moves away by a tenth in 0.4 s
    table = frame(detect(t, x, y, scale, scale))
    assert table.kind.tolist() == ["fixation"]
    assert table.mean_velocity_deg_per_s[0] < 5.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 25, 300])
@pytest.mark.parametrize("value", [0.0, 512.0, np.nan, np.inf, -np.inf, 1e8])
def test_empty_short_constant_and_lost_recordings(method: str, n: int, value: float) -> None:
    found = detect(np.arange(n) / RATE_HZ, np.full(n, value), np.full(n, value), *SCALE, method=method)
    assert found.labels.shape == (n,)
    seen = abs(value) < 1e7
    kinds = set(frame(found).kind)
    if n == 300:
        assert kinds == {"fixation" if seen else "loss"}
    elif n and not seen:
        assert kinds <= {"loss", "blink"}
        assert kinds
    if n <= 3 and seen:
        assert not kinds  # too short for any event


def test_one_lost_axis_is_lost_gaze(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    t, x, y = three
    x, y = x.copy(), y.copy()
    x[10:300], y[5:300] = np.nan, np.inf
    found = detect(t, x, y, *SCALE)
    assert (found.labels[5:300] == NONE).all()


def test_same_events_from_every_kind_of_column(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    t, x, y = (np.round(a, 3) if i == 0 else np.round(a) for i, a in enumerate(three))
    expected = detect(t, x, y, *SCALE)
    for array in (t, x, y):
        array.flags.writeable = False
    data = pd.DataFrame({"t": t, "x": x, "y": y}, index=np.arange(t.size)[::-1] + 7)
    scale = pd.Series(np.full(t.size, SCALE[0])), np.full(t.size, int(SCALE[1]))
    alike: list[tuple[Any, Any, Any]] = [
        (t, x, y),
        (list(t), list(x), list(y)),
        (data.t, data.x, data.y),
        (data.t, data.x.astype("Int64"), data.y.astype("int32")),
        (t, x.astype(np.int16), y.astype(np.float32)),
        (np.repeat(t, 2)[::2], np.repeat(x, 2)[::2], y[::-1].copy()[::-1]),
        (t.astype(np.object_), list(x.astype(np.int32)), y.astype(">f8")),
        (
            data.t,
            data.x.astype("category"),
            data.y.set_axis(list("ab") * (t.size // 2) + ["c"] * (t.size % 2)),
        ),
        (pa.array(t), pa.chunked_array([x]), pa.array(y)),
        (t, np.ma.masked_invalid(x), y),
    ]
    for t_s, x_px, y_px in alike:
        assert frame(detect(t_s, x_px, y_px, *scale)).equals(frame(expected))


def test_missing_values_of_pandas_and_masks_are_lost() -> None:
    t, x, y = gaze([(300.0, 300.0)])
    column = pd.Series([pd.NA if 50 <= i < 150 else round(v) for i, v in enumerate(x)], dtype="Int64")
    mask = np.zeros(t.size, np.bool_)
    mask[50:150] = True
    for values in (column, np.ma.array(np.round(x), mask=mask)):
        assert (detect(t, values, y, *SCALE).labels[50:150] == BLINK).all()  # 0.2 s


def test_input_is_never_changed(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    t, x, y = three
    x[20:30] = np.nan
    before = [a.copy() for a in (t, x, y)]
    detect(t, x, y, *SCALE)
    for array, copy in zip((t, x, y), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_samples_of_equal_time_are_averaged(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    t, x, y = three
    once = detect(t, x, y, *SCALE)
    twice = detect(np.repeat(t, 2), np.repeat(x, 2), np.repeat(y, 2), *SCALE)
    np.testing.assert_array_equal(twice.labels, np.repeat(once.labels, 2))
    assert frame(twice).equals(frame(once))
    apart = np.stack([x - 1, x + 1], axis=1).ravel()
    np.testing.assert_array_equal(
        detect(np.repeat(t, 2), apart, np.repeat(y, 2), *SCALE).labels, twice.labels
    )


def test_rounded_times_still_give_the_events(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    t, x, y = three
    found = detect(np.round(t + 0.0004, 2), x, y, *SCALE)  # 500 Hz stamped in steps of 10 ms
    assert [k for k in frame(found).kind if k in ("fixation", "saccade")].count("fixation") == 3


def test_bad_times_are_refused(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    t, x, y = three
    backward = t.copy()
    backward[100] = backward[50]
    with pytest.raises(TimestampError, match="backward") as error:
        detect(backward, x, y, *SCALE)
    assert error.value.record == 100
    for value in (np.nan, np.inf, 1e12):
        wrong = t.copy()
        wrong[7] = value
        with pytest.raises(TimestampError, match="finite") as error:
            detect(wrong, x, y, *SCALE)
        assert error.value.record == 7
    with pytest.raises(TimestampError, match="median interval"):
        detect(t * 1000, x, y, *SCALE)  # milliseconds
    with pytest.raises(TimestampError, match="median interval"):
        detect(t / 1000, x, y, *SCALE)
    with pytest.raises(TimestampError, match="backward"):
        detect(t[::-1], x, y, *SCALE)


def test_bad_scales_are_refused(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    for wrong in (0.0, -40.0, np.nan, np.inf):
        with pytest.raises(GeometryError, match="px_per_deg_x"):
            detect(*three, wrong, 40.0)
    scale = np.full(three[0].size, 40.0)
    scale[5] = 0.0
    with pytest.raises(GeometryError, match="px_per_deg_y") as error:
        detect(*three, 40.0, scale)
    assert error.value.record == 5
    with pytest.raises(GeometryError, match="no sample"):
        detect(*three, 40.0, np.full(three[0].size, np.nan))


def test_a_sample_without_a_scale_is_lost(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    scale = np.full(three[0].size, SCALE[0])
    scale[:150] = np.nan
    found = detect(*three, scale, SCALE[1])
    assert (found.labels[:150] == BLINK).all() or (found.labels[:150] == NONE).all()
    assert found.labels[160] == FIXATION


def test_bad_shapes_kinds_and_methods_are_refused(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    t, x, y = three
    with pytest.raises(DataError, match=r"y_px: .* values are expected"):
        detect(t, x, y[:-1], *SCALE)
    with pytest.raises(DataError, match="px_per_deg_x"):
        detect(t, x, y, np.full(3, 40.0), 40.0)
    with pytest.raises(DataError, match="one dimension"):
        detect(t, np.stack([x, y]), y, *SCALE)
    with pytest.raises(DataError, match="one dimension"):
        detect(5.0, 1.0, 1.0, *SCALE)
    for words in (
        np.array(["a"] * t.size),
        x.astype(complex),
        x.astype("datetime64[s]"),
        pd.Series(["a"] * t.size),
        pd.Series(pd.to_timedelta(t, unit="s")),
        pd.Series(pd.date_range("2026", periods=t.size)),
        np.array(["a"] * t.size, np.object_),
        [[1.0, 2.0], [3.0]],
    ):
        with pytest.raises(DataError, match="x_px: numbers"):
            detect(t, words, y, *SCALE)
    with pytest.raises(UsageError, match="velocity"):
        detect(*three, *SCALE, method="velocity")


def test_uneven_sampling_finds_the_same_fixations(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    rng = np.random.default_rng(1)
    t, x, y = three
    t = t + rng.uniform(-0.0008, 0.0008, t.size)
    keep = rng.random(t.size) < 0.85
    table = frame(detect(t[keep], x[keep], y[keep], *SCALE))
    assert table.kind.tolist() == ["fixation", "saccade", "fixation", "saccade", "fixation"]


def test_saccade_codes_of_labels_and_kinds_match(three: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    found = detect(*three, *SCALE)
    assert set(found.labels.tolist()) == {FIXATION, SACCADE}
    assert PSO not in found.labels


def test_half_an_hour_at_one_kilohertz() -> None:
    _, x, y = gaze([(200.0, 300.0), (500.0, 350.0)] * 20, noise_px=1.0)
    n = 1_800_000
    x, y = np.resize(x, n), np.resize(y, n)
    found = detect(np.arange(n) / 1000.0, x, y, *SCALE)
    assert found.labels.size == n
    assert found.table.num_rows > 3000

"""Two eyes to one point, and events from a frame with either."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from keyframes.errors import DataError, SchemaError, UsageError
from keyframes.events import detect
from keyframes.events.eyes import detect_frame
from keyframes.eyes import EYE_RULES, combine_eyes

LEFT_X = np.array([10.0, 10.0, np.nan, np.nan, 10.0])
RIGHT_X = np.array([14.0, np.nan, 14.0, np.nan, 90.0])
Y = np.array([5.0, 5.0, 5.0, 5.0, 5.0])


def rules(codes: np.ndarray) -> list[str]:
    return [EYE_RULES[code] for code in codes]


def test_mean_of_both_else_the_valid_one() -> None:
    both = combine_eyes(LEFT_X, Y, RIGHT_X, Y)
    np.testing.assert_array_equal(both.x_px, [12.0, 10.0, 14.0, np.nan, 50.0])
    np.testing.assert_array_equal(both.y_px, [5.0, 5.0, 5.0, np.nan, 5.0])
    assert rules(both.rule) == ["mean", "left", "right", "none", "mean"]
    assert both.valid.tolist() == [True, True, True, False, True]


def test_eyes_too_far_apart_give_no_point() -> None:
    both = combine_eyes(LEFT_X, Y, RIGHT_X, Y, max_disparity_px=4.0)
    assert rules(both.rule) == ["mean", "left", "right", "none", "apart"]
    assert np.isnan(both.x_px[4])
    assert np.isnan(both.y_px[4])
    np.testing.assert_array_equal(both.x_px[:3], [12.0, 10.0, 14.0])


def test_an_eye_lost_on_one_axis_is_lost() -> None:
    both = combine_eyes([1.0, 1.0], [np.nan, np.inf], [3.0, 3.0], [4.0, 4.0])
    assert rules(both.rule) == ["right", "right"]
    np.testing.assert_array_equal(both.x_px, [3.0, 3.0])


def test_no_samples_and_unequal_columns() -> None:
    assert combine_eyes([], [], [], []).x_px.size == 0
    with pytest.raises(DataError, match="one length"):
        combine_eyes([1.0], [1.0], [1.0, 2.0], [1.0])


@pytest.fixture
def gaze() -> pd.DataFrame:
    """Two eyes 8 px apart, a saccade, the right eye lost for a while and one invalid sample of the left."""
    rng = np.random.default_rng(1)
    n = 400
    x = np.where(np.arange(n) < 200, 300.0, 700.0) + rng.normal(0, 0.5, n)
    frame = pd.DataFrame({"t_ns": np.arange(n) * 2_000_000, "x_screen_px": x, "y_screen_px": 400.0})
    for eye, offset in (("left", -4.0), ("right", 4.0)):
        frame[f"{eye}_x_screen_px"], frame[f"{eye}_y_screen_px"] = x + offset, 400.0
        frame[f"{eye}_valid"] = pd.array([True] * n, dtype="boolean")
    frame.loc[50:90, ["right_x_screen_px", "right_y_screen_px"]] = np.nan
    frame.loc[300, "left_valid"] = False
    frame.loc[301, "left_valid"] = pd.NA
    return frame


def test_every_form_finds_the_saccade_at_its_own_place(gaze: pd.DataFrame) -> None:
    for eyes, offset in (("combined", 0.0), ("left", -4.0), ("mean", 0.0)):
        events = detect_frame(gaze, 40.0, 40.0, eyes=eyes, method="adaptive")  # type: ignore[arg-type]
        table = events.table.to_pandas()
        assert (table.kind == "saccade").sum() == 1
        assert table[table.kind == "fixation"].iloc[-1].x_screen_px == pytest.approx(700 + offset, abs=0.3)
    right = detect_frame(gaze, 40.0, 40.0, eyes="right", method="adaptive").table.to_pandas()
    assert right.kind.isin(["loss", "blink"]).sum() == 1


def test_the_frame_says_what_the_arrays_say(gaze: pd.DataFrame) -> None:
    from_frame = detect_frame(gaze, 40.0, 38.0, method="ivt")
    t_s = gaze.t_ns.to_numpy() * 1e-9
    from_arrays = detect(t_s, gaze.x_screen_px, gaze.y_screen_px, 40.0, 38.0, method="ivt")
    pd.testing.assert_frame_equal(from_frame.table.to_pandas(), from_arrays.table.to_pandas())


def test_an_invalid_eye_is_lost_and_an_unknown_one_is_not(gaze: pd.DataFrame) -> None:
    gaze[["left_x_screen_px"]] += 1000.0
    only_left = detect_frame(gaze, 40.0, 40.0, eyes="left", method="ivt").samples.x_px
    assert np.isnan(only_left[300])
    assert np.isfinite(only_left[301])


def test_what_is_absent_is_named(gaze: pd.DataFrame) -> None:
    with pytest.raises(SchemaError, match="left_x_screen_px"):
        detect_frame(gaze.drop(columns="left_x_screen_px"), 40.0, 40.0, eyes="left")
    with pytest.raises(UsageError, match="cyclops"):
        detect_frame(gaze, 40.0, 40.0, eyes="cyclops")  # type: ignore[arg-type]

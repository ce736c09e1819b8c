"""Stream profiles: channels by what they say of themselves, never by their place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazecapture import profiles
from gazecapture.session.schema import StreamChannel, StreamInfo
from keyframes.errors import ConfigError, GeometryError, SchemaError
from keyframes.geometry import Display
from keyframes.reading import Tracker

DISPLAY = Display(width_px=2000, height_px=1000, width_mm=None, height_mm=None, distance_mm=None)
BINOCULAR = (
    ("left_x", "ScreenX", "left", "pixels"),
    ("left_y", "ScreenY", "left", "pixels"),
    ("left_pupil", "Diameter", "left", "mm"),
    ("right_x", "ScreenX", "right", "pixels"),
    ("right_y", "ScreenY", "right", "pixels"),
    ("right_pupil", "Diameter", "right", "mm"),
    ("frame_number", "FrameNumber", "both", "count"),
    ("device_time", "Time", "both", "seconds"),
)


def stream(*channels: tuple[str, str, str, str], kind: str = "Gaze") -> StreamInfo:
    return StreamInfo(
        stream_id="s",
        role="gaze",
        name="Tracker",
        kind=kind,
        channel_format="double64",
        nominal_rate_hz=500.0,
        channels=tuple(
            StreamChannel(column=label, label=label, kind=channel, eye=eye, unit=unit)
            for label, channel, eye, unit in channels
        ),
    )


def normalised(info: StreamInfo, display: Display | None = None, **columns: Any) -> profiles.NormalisedGaze:
    profile = profiles.match(info)
    assert profile is not None
    return profiles.normalise(profile, info, pa.table(columns), display)


NAN = float("nan")


def test_binocular_gaze_is_the_mean_of_the_eyes_that_are_seen() -> None:
    gaze = normalised(
        stream(*BINOCULAR),
        left_x=[100.0, NAN, 100.0, NAN],
        left_y=[200.0, NAN, 200.0, 5.0],
        left_pupil=[3.0, 0.0, 3.0, NAN],
        right_x=[110.0, 110.0, NAN, NAN],
        right_y=[220.0, 220.0, NAN, NAN],
        right_pupil=[4.0, 4.0, NAN, 0.0],
        frame_number=[7.0, 8.0, 9.0, NAN],
        device_time=[0.5, 0.502, 0.504, 0.506],
    )
    np.testing.assert_array_equal(gaze.x_screen_px, [105.0, 110.0, 100.0, NAN])
    np.testing.assert_array_equal(gaze.y_screen_px, [210.0, 220.0, 200.0, NAN])
    np.testing.assert_array_equal(gaze.left_y_screen_px, [200.0, NAN, 200.0, NAN])
    np.testing.assert_array_equal(gaze.pupil, [3.5, 4.0, 3.0, NAN])
    assert gaze.valid.tolist() == [True, True, True, False]
    assert gaze.left_valid.tolist() == [True, False, True, False]
    assert (gaze.combined_by, gaze.pupil_unit) == ("mean_of_valid", "mm")
    assert gaze.frame_number is not None
    assert gaze.frame_number.tolist() == [7, 8, 9, -1]
    assert gaze.device_time_s is not None
    assert gaze.device_time_s.tolist() == [0.5, 0.502, 0.504, 0.506]


@given(order=st.permutations(range(len(BINOCULAR))))
def test_the_place_of_a_channel_means_nothing(order: list[int]) -> None:
    info = stream(*(BINOCULAR[place] for place in order))
    columns: dict[str, Any] = {BINOCULAR[place][0]: [float(place), place + 0.5] for place in order}
    gaze = normalised(info, **columns)
    assert gaze.left_x_screen_px.tolist() == [0.0, 0.5]
    assert gaze.right_y_screen_px.tolist() == [4.0, 4.5]
    assert gaze.right_pupil.tolist() == [5.0, 5.5]


@pytest.mark.parametrize(
    ("eye", "rule"), [("left", "left"), ("right", "right"), ("both", "device"), ("", "device")]
)
def test_one_eye_or_the_senders_own_point(eye: str, rule: str) -> None:
    info = stream(("x", "screenx", eye, "px"), ("y", "SCREENY", eye, ""), kind="eyetracking")
    gaze = normalised(info, x=[1.0, NAN], y=[2.0, 3.0])
    np.testing.assert_array_equal(gaze.x_screen_px, [1.0, NAN])
    assert gaze.combined_by == rule
    assert gaze.valid.tolist() == [True, False]
    if rule != "left":
        assert np.isnan(gaze.left_x_screen_px).all()
        assert not gaze.left_valid.any()
    assert gaze.pupil_unit == "none"
    assert gaze.frame_number is None
    assert gaze.device_time_s is None


def test_shares_of_the_display_need_the_display() -> None:
    info = stream(("x", "ScreenX", "both", "normalized"), ("y", "ScreenY", "both", "normalized"))
    gaze = normalised(info, DISPLAY, x=[0.0, 0.5, 1.0], y=[0.25, 0.5, 1.0])
    assert gaze.x_screen_px.tolist() == [0.0, 1000.0, 2000.0]
    assert gaze.y_screen_px.tolist() == [250.0, 500.0, 1000.0]
    with pytest.raises(GeometryError, match="display"):
        normalised(info, None, x=[0.0], y=[0.0])


def test_radius_becomes_diameter_confidence_zero_is_lost_and_milliseconds_are_known() -> None:
    info = stream(
        ("x", "ScreenX", "both", "pixels"),
        ("y", "ScreenY", "both", "pixels"),
        ("r", "Radius", "both", "pixels"),
        ("c", "Confidence", "both", "normalized"),
        ("device_time", "Time", "", "ms"),
    )
    gaze = normalised(
        info, x=[1.0, 2.0], y=[1.0, 2.0], r=[10.0, 11.0], c=[0.0, 0.1], device_time=[1500.0, 1502.0]
    )
    np.testing.assert_array_equal(gaze.x_screen_px, [NAN, 2.0])
    assert gaze.pupil.tolist() == [20.0, 22.0]
    assert gaze.pupil_unit == "px"
    assert gaze.device_time_s is not None
    assert gaze.device_time_s.tolist() == [1.5, 1.502]


def test_integer_and_float32_channels_are_read_too() -> None:
    info = stream(("x", "ScreenX", "both", "pixels"), ("y", "ScreenY", "both", "pixels"))
    gaze = normalised(info, x=pa.array([1, 2], pa.int16()), y=pa.array([0.5, 1.5], pa.float32()))
    assert gaze.x_screen_px.tolist() == [1.0, 2.0]
    assert gaze.y_screen_px.tolist() == [0.5, 1.5]


def test_lost_is_nan_whatever_the_sender_writes_and_however_it_is_scaled() -> None:
    info = stream(
        ("x", "ScreenX", "left", "pixels"), ("y", "ScreenY", "left", "pixels"), ("r", "Radius", "left", "mm")
    )
    gaze = normalised(info, x=[0.0, -1.0, 0.0, 5.0], y=[0.0, -1.0, 3.0, 0.0], r=[0.0, -1.0, 1.5, NAN])
    np.testing.assert_array_equal(gaze.left_x_screen_px, [NAN, NAN, 0.0, 5.0])
    np.testing.assert_array_equal(gaze.left_pupil, [NAN, NAN, 3.0, NAN])


def test_gaze_of_a_scene_camera_is_not_on_the_screen() -> None:
    info = stream(("x", "ScreenX", "both", "pixels"), ("y", "ScreenY", "both", "pixels"))
    info = replace(info, channels=tuple(replace(c, coordinate_system="world") for c in info.channels))
    gaze = normalised(info, DISPLAY, x=[800.0, NAN], y=[600.0, 1.0])
    assert not gaze.valid.any()
    assert np.isnan([gaze.x_screen_px, gaze.left_x_screen_px, gaze.right_x_screen_px]).all()
    assert gaze.x_scene_px is not None
    np.testing.assert_array_equal(gaze.x_scene_px, [800.0, NAN])


def test_shares_of_a_scene_camera_need_its_size() -> None:
    info = stream(("x", "ScreenX", "both", "normalized"), ("y", "ScreenY", "both", "normalized"))
    info = replace(info, channels=tuple(replace(c, coordinate_system="camera-space") for c in info.channels))
    with pytest.raises(GeometryError, match="scene camera"):
        normalised(info, DISPLAY, x=[0.5], y=[0.5])


def test_two_undescribed_channels_are_nobodys() -> None:
    described = [(f"{a}.position_on_display_area.gaze_point.left_eye", "", "left", "") for a in "xy"]
    one = replace(stream(*described, ("", "", "", "")), name="Tobii_gaze")
    two = replace(stream(*described, ("", "", "", ""), ("", "", "", "")), name="Tobii_gaze")
    profile = profiles.match(one)
    assert profile is not None
    assert profile.name == "titta-lsl"
    assert len(profile.channels(one, "device_time")) == 1
    assert profile.channels(two, "device_time") == []


def test_what_cannot_be_read_is_refused() -> None:
    info = stream(("x", "ScreenX", "both", "degrees"), ("y", "ScreenY", "both", "degrees"))
    with pytest.raises(SchemaError, match="degrees"):
        normalised(info, x=[1.0], y=[1.0])
    info = stream(("x", "ScreenX", "both", "px"), ("y", "ScreenY", "both", "px"))
    with pytest.raises(SchemaError, match="lacks column 'y'"):
        normalised(info, x=[1.0])


@pytest.mark.parametrize(
    "info",
    [
        stream(*BINOCULAR, kind="EEG"),
        stream(("x", "ScreenX", "both", "px")),
        stream(("x", "ScreenX", "left", "px"), ("y", "ScreenY", "right", "px")),
        stream(("a", "", "", ""), ("b", "", "", "")),
    ],
)
def test_a_stream_that_tells_nothing_has_no_profile(info: StreamInfo) -> None:
    assert profiles.match(info) is None


USERS = """
name = "mine"
title = "My tracker"
priority = 5
[match]
type = ["Gaze"]
manufacturer = ["^acme"]
[[channel]]
field = "x"
label = ["gx"]
eye = "left"
unit = "pixels"
[[channel]]
field = "y"
label = ["gy"]
eye = "left"
unit = "pixels"
y_up = true
[missing]
position = [-32768.0]
pupil = []
"""


def test_a_users_own_profile_comes_first_where_it_fits(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(USERS)
    mine = profiles.load_profile(tmp_path / "mine.toml")
    info = stream(("gx", "", "", ""), ("gy", "", "", ""))
    assert profiles.match(info, extra=[mine]) is None, "another manufacturer"
    info = replace(info, tracker=Tracker(manufacturer="ACME Ltd"))
    assert profiles.match(info, extra=[mine]) is mine
    table = pa.table({"gx": [5.0, -32768.0], "gy": [100.0, -32768.0]})
    gaze = profiles.normalise(mine, info, table, DISPLAY)
    np.testing.assert_array_equal(gaze.left_x_screen_px, [5.0, NAN])
    np.testing.assert_array_equal(gaze.y_screen_px, [900.0, NAN])
    assert gaze.combined_by == "left"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "not a TOML file"),
        (USERS.replace('field = "x"', 'field = "z"'), "field 'channel.0.field'"),
        (USERS.replace('title = "My tracker"', ""), "field 'title'"),
        (USERS + "\n[more]\n", "field 'more'"),
        (USERS.replace("^acme", "("), "regular expression"),
    ],
)
def test_a_broken_profile_file_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigError) as broken:
        profiles.load_profile(tmp_path / "bad.toml")
    assert said in broken.value.message
    assert "bad.toml" in broken.value.one_line()


def test_an_absent_profile_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        profiles.load_profile(tmp_path / "none.toml")


def test_the_built_in_profiles_load_and_have_distinct_names() -> None:
    names = [profile.name for profile in profiles.load_profiles()]
    assert "xdf-generic" in names
    assert len(set(names)) == len(names)

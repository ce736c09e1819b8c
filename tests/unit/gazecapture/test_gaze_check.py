"""The pages and keys of a check, and what each leaves in the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gazecapture.screen.measures import EyeSamples, Light
from gazecapture.screen.policy import SittingQuality, Step, ValidationPolicy
from gazecapture.screen.validation import Timing
from gazecapture.session.validations import SittingValidations
from gazecapture.viewer.gaze_check import BASELINE_S, GazeCheck, Key, Page
from gazecapture.viewer.settings import RoomSettings, load_room_settings
from keyframes.errors import ConfigError
from keyframes.geometry import Display

DISPLAY = Display(width_px=1600, height_px=900, width_mm=443.0, height_mm=249.0, distance_mm=650.0)
PX_PER_DEG = DISPLAY.px_per_deg()[0]
TIMING = Timing(settle_s=0.1, window_s=0.05, timeout_s=0.4)
STEP_NS = 4_000_000


class Sitting:
    """A check, somebody who looks at its points, and the journal."""

    def __init__(self, step: Step = "validate", *, attended: bool = True, **options: Any) -> None:
        self.quality = SittingQuality(ValidationPolicy())
        self.rows: list[dict[str, Any]] = []
        self.now_ns = 1_000_000_000
        self.offset_deg = 0.0
        self.check = GazeCheck(
            step=step, trigger="drift" if step == "drift" else "start", area=(0.0, 0.0, 1600.0, 900.0),
            display=DISPLAY, sitting=self.quality, write=lambda rows: self.rows.extend(map(dict, rows)), seed=1,
            timing=TIMING, is_attended=attended, **options,
        )  # fmt: skip

    def watch(self, seconds: float = 20.0) -> Page:
        """Let time pass until a page asks for something, and return it."""
        end_ns = self.now_ns + round(seconds * 1e9)
        asking = {Page.INTRODUCTION, Page.RESULT, Page.REASON, Page.CALIBRATION, Page.DONE}
        while True:
            self.check.shown(self.now_ns)
            if self.now_ns >= end_ns or (self.check.page in asking and not self.goes_on):
                return self.check.page
            at = self.check.target
            t_ns = self.now_ns + STEP_NS * np.arange(1, 3)
            if at is not None:
                x = np.full(2, at.x_screen_px + self.offset_deg * PX_PER_DEG)
                y = np.full(2, at.y_screen_px)
                self.check.feed(EyeSamples(t_ns=t_ns, x_screen_px={"both": x}, y_screen_px={"both": y}))
            self.now_ns += 2 * STEP_NS
            self.check.tick(self.now_ns)

    @property
    def goes_on(self) -> bool:
        result = self.check.result
        return self.check.page is Page.RESULT and result is not None and result.light is Light.GREEN

    @property
    def events(self) -> list[str]:
        return [row["event"] for row in self.rows]


def test_a_good_tracker_costs_one_key() -> None:
    sitting = Sitting()
    assert sitting.watch() is Page.INTRODUCTION
    assert sitting.check.target is None
    sitting.check.press(Key.GO_ON)
    assert sitting.watch() is Page.DONE
    assert sitting.events == ["point"] * 9 + ["summary"]
    assert sitting.quality.light is Light.GREEN
    assert len({row["validation_id"] for row in sitting.rows}) == 1


def test_a_red_result_waits_and_only_a_reason_goes_on() -> None:
    sitting = Sitting()
    sitting.offset_deg = 2.0
    sitting.check.press(Key.GO_ON)
    assert sitting.watch() is Page.RESULT
    assert Key.GO_ON not in sitting.check.keys
    sitting.check.press(Key.GO_ON)
    assert sitting.check.page is Page.RESULT
    assert Key.CALIBRATE not in sitting.check.keys, "nobody said how"
    sitting.check.press(Key.OVERRIDE)
    assert sitting.check.page is Page.REASON
    sitting.check.give_reason("  ", sitting.now_ns)
    assert sitting.check.page is Page.RESULT
    assert sitting.quality.is_blocked
    sitting.check.press(Key.OVERRIDE)
    sitting.check.give_reason(" glasses, no better today ", sitting.now_ns)
    assert sitting.check.page is Page.DONE
    assert not sitting.quality.is_blocked
    assert sitting.events[-1] == "override"
    assert sitting.rows[-1]["detail"] == "glasses, no better today"


def test_calibrating_leads_to_another_validation_and_is_journaled_before_it() -> None:
    sitting = Sitting(can_calibrate=True)
    sitting.offset_deg = 2.0
    sitting.check.press(Key.GO_ON)
    sitting.watch()
    sitting.check.press(Key.CALIBRATE)
    assert sitting.watch() is Page.CALIBRATION
    sitting.offset_deg = 0.1
    sitting.check.calibrated(sitting.now_ns, "exit code 0")
    assert sitting.watch() is Page.DONE
    assert sitting.quality.light is Light.GREEN
    assert [e for e in sitting.events if e != "point"] == ["summary", "calibrated", "summary"]
    kept = SittingValidations(rows=sitting.rows).of_reading(sitting.now_ns, sitting.now_ns + 1)
    assert [row["accuracy_deg"] for row in kept] == pytest.approx([0.1], rel=0.2)


def test_one_point_again_measures_one_point() -> None:
    sitting = Sitting()
    sitting.offset_deg = 0.8
    sitting.check.press(Key.GO_ON)
    assert sitting.watch() is Page.RESULT
    before_ns = sitting.now_ns
    sitting.check.press(Key.REPEAT_POINT)
    assert sitting.check.page is Page.TARGETS
    assert sitting.watch() is Page.RESULT
    assert sitting.now_ns - before_ns < 1e9
    assert sitting.events == (["point"] * 9 + ["summary"]) * 2, (
        "the second result replaces the first as a whole"
    )
    assert len({row["validation_id"] for row in sitting.rows}) == 2
    first_targets = {row["point_index"]: row["target_x_screen_px"] for row in sitting.rows[:9]}
    sitting.check.press(Key.AGAIN)
    sitting.watch()
    third = {row["point_index"]: row["target_x_screen_px"] for row in sitting.rows[20:29]}
    assert third != first_targets, "all again are fresh points"
    sitting.check.press(Key.GO_ON)
    assert sitting.check.page is Page.DONE


def test_a_drift_check_asks_nothing_and_stores_its_offset() -> None:
    sitting = Sitting("drift")
    sitting.quality.validated(sitting.now_ns, Light.GREEN)
    sitting.quality.reading_closed()
    sitting.offset_deg = 0.5
    assert sitting.watch() is Page.DONE
    assert sitting.events == ["point", "drift"]
    offset = SittingValidations(rows=sitting.rows).offset_screen_px(sitting.now_ns)
    assert offset == pytest.approx((0.5 * PX_PER_DEG, 0.0), abs=0.1)
    assert sitting.quality.before_reading(sitting.now_ns) == "none"


def test_a_large_drift_asks_for_a_validation_and_eyes_elsewhere_shift_nothing() -> None:
    sitting = Sitting("drift")
    sitting.quality.validated(sitting.now_ns, Light.GREEN)
    sitting.quality.reading_closed()
    sitting.offset_deg = 1.5
    sitting.watch()
    assert sitting.quality.before_reading(sitting.now_ns) == "validate"
    away = Sitting("drift")
    away.quality.validated(away.now_ns, Light.GREEN)
    away.offset_deg = np.nan
    away.watch()
    assert away.rows[-1]["timed_out"]
    assert SittingValidations(rows=away.rows).offset_screen_px(away.now_ns) == (0.0, 0.0)


def test_nobody_is_asked_where_nobody_is_there() -> None:
    sitting = Sitting(attended=False)
    sitting.offset_deg = 2.0
    assert sitting.watch() is Page.DONE
    assert sitting.events[-1] == "override"
    assert not sitting.quality.is_blocked
    amber = Sitting(attended=False)
    amber.offset_deg = 0.8
    amber.watch()
    amber.check.tick(amber.now_ns + 2_000_000_000)
    assert amber.check.page is Page.DONE


def test_the_baseline_comes_before_the_points() -> None:
    sitting = Sitting(with_baseline=True)
    sitting.check.press(Key.GO_ON)
    assert sitting.check.page is Page.BASELINE
    began_ns = sitting.now_ns
    assert sitting.watch(BASELINE_S + 10) is Page.DONE
    assert sitting.events[0] == "baseline"
    assert sitting.rows[0]["t_ns"] - began_ns == pytest.approx(BASELINE_S * 1e9, rel=0.01)
    assert sitting.rows[0]["detail"] == f"t_start_ns={began_ns}"


class TestSettings:
    """The reading room's file."""

    def test_what_is_left_out_has_the_usual_value(self, tmp_path: Path) -> None:
        file = tmp_path / "room.toml"
        file.write_text(
            'site = "S1"\n[validation]\nevery_readings = 5\n[calibration.commands]\neyelink = "track -c"\n"*" = "any"\n'
        )
        room = load_room_settings(file)
        assert (room.site, RoomSettings().site) == ("S1", "")
        assert room.validation.policy() == ValidationPolicy(every_readings=5)
        assert room.validation.timing() == Timing()
        assert room.calibration.command("eyelink") == "track -c"
        assert room.calibration.command("neon") == "any"
        assert RoomSettings().calibration.command("neon") == ""

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[validation]\nevery_s = -1\n", "validation.every_s"),
            ("[validation]\nevery = 1\n", "validation.every"),
            ("[validation]\ntimeout_s = 60\n", "validation.timeout_s"),
            ("[validation]\nsettle_s = 5\n", "longer than timeout_s"),
            ("[validaton]\n", "validaton"),
            ('site = "Mercy Hospital"\n', "'site'"),
            ("[", "not a TOML file"),
        ],
    )
    def test_a_mistake_is_named(self, tmp_path: Path, text: str, told: str) -> None:
        file = tmp_path / "room.toml"
        file.write_text(text)
        with pytest.raises(ConfigError, match=told):
            load_room_settings(file)
        with pytest.raises(ConfigError, match="cannot be read"):
            load_room_settings(tmp_path / "absent.toml")

"""What a validation measures, when a point counts, and what the policy makes of it."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazecapture.screen.angles import screen_angles_deg
from gazecapture.screen.measures import EyeSamples, Light, light_of, measure_point, summarise
from gazecapture.screen.policy import SittingQuality, ValidationPolicy
from gazecapture.screen.targets import Target, centre_target, validation_targets
from gazecapture.screen.validation import Timing, ValidationResult, ValidationRun
from keyframes.errors import GeometryError
from keyframes.geometry import Display

DISPLAY = Display(width_px=1920, height_px=1080, width_mm=531.0, height_mm=299.0, distance_mm=650.0)
AREA = (0.0, 0.0, 1920.0, 1080.0)
PX_PER_DEG = DISPLAY.px_per_deg()[0]
RATE_HZ = 250.0
STEP_NS = round(1e9 / RATE_HZ)


def samples(t_ns: np.ndarray, x: object, y: object, *, eyes: tuple[str, ...] = ("both",)) -> EyeSamples:
    x_px, y_px = (np.broadcast_to(np.asarray(v, np.float64), t_ns.shape).copy() for v in (x, y))
    return EyeSamples(t_ns=t_ns, x_screen_px=dict.fromkeys(eyes, x_px), y_screen_px=dict.fromkeys(eyes, y_px))


class Reader:
    """Somebody who looks at the targets of a run: with an offset, noise, a delay, or not at all."""

    def __init__(
        self, *, offset_px: tuple[float, float] = (0.0, 0.0), noise_px: float = 1.0, delay_s: float = 0.2
    ) -> None:
        self.offset_px, self.noise_px, self.delay_s = offset_px, noise_px, delay_s
        self.random = np.random.default_rng(3)
        self.looks = True
        self.gives_samples = True
        self.blind_at: set[int] = set()
        self._at = (100.0, 100.0)

    def watch(self, run: ValidationRun, start_ns: int = 1_000_000_000_000) -> tuple[ValidationResult, int]:
        """Look until the run is over; return its result and the time that it took, ns."""
        now_ns = start_ns
        while not run.is_over:
            target = run.target
            assert target is not None
            run.shown(now_ns)
            shown_ns, finished = now_ns, False
            while not finished:
                if self.gives_samples:
                    t_ns = now_ns + STEP_NS * np.arange(1, 6)
                    if self.looks and now_ns - shown_ns >= self.delay_s * 1e9:
                        self._at = (target.x_screen_px, target.y_screen_px)
                    blind = target.index in self.blind_at
                    xy = (
                        self.random.normal(0, self.noise_px, (2, 5))
                        + np.add(self._at, self.offset_px)[:, None]
                    )
                    run.feed(samples(t_ns, np.nan if blind else xy[0], np.nan if blind else xy[1]))
                now_ns += 5 * STEP_NS
                finished = run.tick(now_ns)
                assert now_ns - start_ns < 60e9, "a validation takes under a minute whatever the reader does"
        return run.result(), now_ns - start_ns


def test_an_offset_is_found_to_a_hundredth_of_a_degree_per_eye() -> None:
    target = Target(index=3, x_screen_px=1700.0, y_screen_px=150.0)
    t_ns = STEP_NS * np.arange(100)
    gaze = dataclasses.replace(
        samples(t_ns, 1700.0, 150.0, eyes=("left", "right", "both")),
        x_screen_px={
            "left": np.full(100, 1700.0 + 30),
            "right": np.full(100, 1700.0),
            "both": np.full(100, 1715.0),
        },
    )
    by_eye = {p.eye: p for p in measure_point(target, gaze, DISPLAY, n_expected=100)}
    here, there = (screen_angles_deg(DISPLAY, x, 150.0)[0] for x in (1700.0, 1730.0))
    assert by_eye["right"].accuracy_deg == pytest.approx(0.0, abs=1e-6)
    assert by_eye["left"].offset_x_deg == pytest.approx(float(there - here))
    assert by_eye["left"].offset_x_deg < 30 / PX_PER_DEG, (
        "px at the edge are fewer degrees than at the centre"
    )
    assert by_eye["left"].offset_screen_px == (30.0, 0.0)
    assert (by_eye["left"].rms_s2s_deg, by_eye["left"].sd_deg) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_what_never_came_counts_as_lost() -> None:
    target = centre_target(AREA)
    x = np.full(100, target.x_screen_px)
    x[:20] = np.nan
    (point,) = measure_point(target, samples(STEP_NS * np.arange(100), x, 540.0), DISPLAY, n_expected=160)
    assert point.loss_share == pytest.approx(0.5)
    assert point.n_samples == 100
    (nothing,) = measure_point(target, samples(np.empty(0, np.int64), 0, 0), DISPLAY, n_expected=0)
    assert nothing.loss_share == 1.0
    assert np.isnan([nothing.accuracy_deg, nothing.gaze_x_screen_px]).all()


def test_precision_is_that_of_the_noise() -> None:
    target, random = centre_target(AREA), np.random.default_rng(0)
    noise = random.normal(0, 0.1 * PX_PER_DEG, (2, 20_000))
    gaze = samples(STEP_NS * np.arange(20_000), target.x_screen_px + noise[0], target.y_screen_px + noise[1])
    (point,) = measure_point(target, gaze, DISPLAY, n_expected=20_000)
    assert point.sd_deg == pytest.approx(0.1 * np.sqrt(2), rel=0.02)
    assert point.rms_s2s_deg == pytest.approx(0.2, rel=0.02)
    assert point.bcea_deg2 == pytest.approx(2 * np.pi * 0.1**2 * -np.log(1 - 0.68), rel=0.03)


def test_without_screen_size_there_are_px_and_no_degrees_and_no_light() -> None:
    unmeasured = dataclasses.replace(DISPLAY, distance_mm=None)
    with pytest.raises(GeometryError, match="no degrees"):
        screen_angles_deg(unmeasured, 0.0, 0.0)
    result, _ = Reader(offset_px=(12.0, -5.0)).watch(
        ValidationRun(validation_targets(AREA, seed=1), unmeasured)
    )
    (both,) = result.eyes
    assert np.isnan([both.accuracy_deg, both.sd_deg, both.offset_x_deg]).all()
    assert (both.offset_x_screen_px, both.offset_y_screen_px) == pytest.approx((12.0, -5.0), abs=0.5)
    assert result.light is Light.UNKNOWN


@pytest.mark.parametrize(
    ("offset_deg", "light"), [(0.3, Light.GREEN), (0.8, Light.AMBER), (1.2, Light.RED), (3.0, Light.RED)]
)
def test_the_light_follows_the_offset(offset_deg: float, light: Light) -> None:
    run = ValidationRun(validation_targets(AREA, seed=2), DISPLAY)
    result, took_ns = Reader(offset_px=(offset_deg * PX_PER_DEG, 0.0)).watch(run)
    assert result.light is light
    assert result.eyes[0].n_points == 9
    assert result.eyes[0].accuracy_deg == pytest.approx(offset_deg, rel=0.15)
    assert not result.timed_out
    assert 9 * 1.4e9 <= took_ns < 20e9


def test_one_bad_point_makes_a_good_mean_red_and_can_be_repeated() -> None:
    run = ValidationRun(validation_targets(AREA, seed=4), DISPLAY)
    reader = Reader()
    reader.blind_at = {5}
    result, _ = reader.watch(run)
    assert result.light is Light.RED
    assert result.timed_out == {5}
    assert result.worst_point == 5
    assert result.eyes[0].n_points == 8
    reader.blind_at = set()
    run.repeat(5)
    assert not run.is_over
    again, _ = reader.watch(run, start_ns=1_060_000_000_000)
    assert again.light is Light.GREEN
    assert not again.timed_out
    assert sorted(p.target.index for p in again.points) == list(range(9)), "nothing is measured twice"
    with pytest.raises(KeyError):
        run.repeat(9)


def test_a_reader_who_never_looks_ends_red_within_a_minute() -> None:
    reader = Reader()
    reader.looks = False
    result, took_ns = reader.watch(ValidationRun(validation_targets(AREA, seed=5), DISPLAY))
    assert result.light is Light.RED
    assert took_ns < 60e9


def test_a_tracker_that_gives_nothing_ends_red_within_a_minute() -> None:
    reader = Reader()
    reader.gives_samples = False
    result, took_ns = reader.watch(ValidationRun(validation_targets(AREA, seed=5), DISPLAY))
    assert result.light is Light.RED
    assert result.timed_out == set(range(9))
    assert took_ns == pytest.approx(9 * Timing().timeout_s * 1e9, rel=0.05)


def test_gaze_on_its_way_does_not_count_yet() -> None:
    """A reader who arrives late is waited for, and what was seen on the way is left out."""
    run = ValidationRun(validation_targets(AREA, seed=6), DISPLAY)
    result, _ = Reader(delay_s=1.3).watch(run)
    assert result.light is Light.GREEN
    assert not result.timed_out


@given(st.integers(0, 2**32 - 1))
def test_targets_are_nine_fresh_points_on_the_screen(seed: int) -> None:
    targets = validation_targets(AREA, seed=seed)
    assert sorted(t.index for t in targets) == list(range(9))
    assert all(0 < t.x_screen_px < 1920 and 0 < t.y_screen_px < 1080 for t in targets)
    places = [(t.x_screen_px, t.y_screen_px) for t in targets]
    assert min(np.hypot(*np.subtract(a, b)) for a, b in pairwise(sorted(places))) > 50


def test_the_order_and_the_points_change_with_the_seed() -> None:
    assert validation_targets(AREA, seed=1) == validation_targets(AREA, seed=1)
    orders = {tuple(t.index for t in validation_targets(AREA, seed=seed)) for seed in range(20)}
    assert len(orders) > 15


def test_both_eyes_together_decide_and_the_better_eye_where_they_are_not_given() -> None:
    t_ns = STEP_NS * np.arange(100)
    target = centre_target(AREA)
    near, far = np.full(100, 960.0), np.full(100, 960.0 + 3 * PX_PER_DEG)
    y = dict.fromkeys(("left", "right"), np.full(100, 540.0))
    gaze = EyeSamples(t_ns=t_ns, x_screen_px={"left": far, "right": near}, y_screen_px=y)
    eyes = summarise(measure_point(target, gaze, DISPLAY, n_expected=100), knows_degrees=True)
    assert [e.light for e in eyes] == [Light.RED, Light.GREEN]
    assert light_of(eyes) is Light.GREEN
    both = dataclasses.replace(eyes[0], eye="both")
    assert light_of([*eyes, both]) is Light.RED
    assert light_of([]) is Light.RED


class TestPolicy:
    """When something is due."""

    def test_a_sitting_begins_with_a_validation_and_repeats_it_every_ten_readings(self) -> None:
        sitting = SittingQuality(ValidationPolicy(drift_between=False))
        assert sitting.before_reading(0) == "validate"
        sitting.validated(0, Light.GREEN)
        for _ in range(10):
            assert sitting.before_reading(10**9) == "none"
            sitting.reading_closed()
        assert sitting.before_reading(10**9) == "validate"
        assert sitting.after_last_reading() == "validate"
        sitting.validated(2 * 10**9, Light.AMBER)
        assert sitting.before_reading(3 * 10**9) == "none"
        assert sitting.after_last_reading() == "none", "nothing was read since"

    def test_twenty_minutes_are_enough_for_another(self) -> None:
        sitting = SittingQuality(ValidationPolicy(drift_between=False))
        sitting.validated(0, Light.GREEN)
        sitting.reading_closed()
        assert sitting.before_reading(1_199 * 10**9) == "none"
        assert sitting.before_reading(1_200 * 10**9) == "validate"

    def test_red_blocks_until_it_is_better_or_somebody_says_why(self) -> None:
        sitting = SittingQuality(ValidationPolicy(drift_between=False))
        sitting.validated(0, Light.RED)
        assert sitting.is_blocked
        assert sitting.before_reading(1) == "validate"
        sitting.overridden()
        assert not sitting.is_blocked
        assert sitting.before_reading(1) == "none"
        sitting.validated(2, Light.RED)
        assert sitting.is_blocked, "a reason holds for one validation"
        sitting.validated(3, Light.GREEN)
        assert not sitting.is_blocked
        lenient = SittingQuality(ValidationPolicy(red_blocks=False, drift_between=False))
        lenient.validated(0, Light.RED)
        assert lenient.before_reading(1) == "none"

    def test_drift_is_checked_between_readings_and_a_large_one_asks_for_a_validation(self) -> None:
        sitting = SittingQuality(ValidationPolicy())
        sitting.validated(0, Light.GREEN)
        assert sitting.before_reading(1) == "none", "the validation was just now"
        sitting.reading_closed()
        assert sitting.before_reading(1) == "drift"
        sitting.drift_checked(0.4)
        assert sitting.before_reading(1) == "none"
        sitting.reading_closed()
        sitting.drift_checked(1.1)
        assert sitting.before_reading(1) == "validate"
        sitting.validated(2, Light.GREEN)
        sitting.reading_closed()
        sitting.drift_checked(None)
        assert sitting.before_reading(3) == "none"

    def test_a_sitting_without_a_tracker_measures_nothing(self) -> None:
        sitting = SittingQuality(ValidationPolicy.off())
        assert sitting.before_reading(0) == "none"
        sitting.reading_closed()
        assert sitting.before_reading(10**15) == "none"
        assert sitting.after_last_reading() == "none"

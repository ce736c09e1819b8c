"""How the simulated eyes move, and what the simulated tracker makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.radiograph.presets import Preset
from gazecapture.simulation.content import generic_content
from gazecapture.simulation.feed import CHANNELS, GazeFeed, check_rate
from gazecapture.simulation.oculomotor import EyePath, TrackerModel, saccade_duration_s, sample_tracker
from gazecapture.simulation.performer import VIRTUAL_DISPLAY
from gazecapture.simulation.plan import plan_reading
from gazecapture.simulation.style import ReaderStyle
from gazecapture.viewer.model import ImageView
from keyframes.errors import UsageError

IMAGES = (
    ImageView(
        image_index=0,
        width_px=2000,
        height_px=2400,
        presets=(Preset(preset_id="auto", name="auto", center=1.0, width=2.0, voi="LINEAR"),),
    ),
)


def reading_path(seed: int = 1) -> EyePath:
    return plan_reading(
        ReaderStyle.from_seed(seed),
        generic_content("S1", IMAGES),
        reading_number=1,
        display=VIRTUAL_DISPLAY,
        area=(0.0, 0.0, 1920.0, 1080.0),
        images=IMAGES,
    ).path


PATH = reading_path()


def feed(rate_hz: float = 500.0, model: TrackerModel | None = None) -> GazeFeed:
    return GazeFeed(rate_hz=rate_hz, display=VIRTUAL_DISPLAY, reader_seed=1, model=model or TrackerModel())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1.0, 27.0), min_size=1, max_size=50))
def test_the_path_is_a_function_of_time_alone(times: list[float]) -> None:
    together = PATH.screen(np.array(times))
    for place, t in enumerate(times):
        alone = PATH.screen(np.array([t]))
        assert alone[0][0] == together[0][place]
        assert alone[1][0] == together[1][place]


def test_the_path_has_no_steps() -> None:
    tau = np.arange(-0.5, 26.0, 1e-4)
    x, y = PATH.screen(tau)
    per_deg = VIRTUAL_DISPLAY.px_per_deg()
    step = np.hypot(np.diff(x) / per_deg[0], np.diff(y) / per_deg[1])
    # Some blinks hide a shift of gaze; elsewhere nothing moves faster than the largest saccades do.
    seen = ~PATH.lost(tau, with_losses=False)[0]
    assert step[seen[1:] & seen[:-1]].max() / 1e-4 < 800.0


def test_saccades_follow_the_main_sequence() -> None:
    assert saccade_duration_s(10.0) == pytest.approx(0.043)
    per_deg = VIRTUAL_DISPLAY.px_per_deg()
    peaks, amplitudes = [], []
    for saccade in PATH.saccades:
        assert saccade.t_end_s - saccade.t_start_s == pytest.approx(saccade_duration_s(saccade.amplitude_deg))
        tau = np.linspace(saccade.t_start_s, saccade.t_end_s, 200)
        x, y = PATH.screen(tau, physiology=False)
        speed = np.hypot(np.diff(x) / per_deg[0], np.diff(y) / per_deg[1]) / np.diff(tau)
        peaks.append(speed.max())
        amplitudes.append(saccade.amplitude_deg)
        assert speed.argmax() == pytest.approx(99, abs=5)
    # Minimum jerk peaks at 1.875 times the mean; published main sequences stay under 700 deg/s (Bahill et al. 1975).
    for amplitude, peak in zip(amplitudes, peaks, strict=True):
        assert peak == pytest.approx(1.875 * amplitude / saccade_duration_s(amplitude), rel=0.03)
    assert max(peaks) < 700


def test_larger_saccades_ring_and_small_ones_do_not() -> None:
    ends = {s.t_end_s: s.amplitude_deg for s in PATH.saccades}
    assert PATH.psos
    for pso in PATH.psos:
        assert ends[pso.t_start_s] >= 2.0
        tau = np.linspace(pso.t_start_s, pso.t_end_s, 100)
        x, _ = PATH.screen(tau, physiology=False)
        assert x[0] == pytest.approx(x[-1], abs=0.5)
        swing_deg = np.ptp(x) / VIRTUAL_DISPLAY.px_per_deg()[0]
        assert swing_deg < 0.6


def test_eyes_are_nan_in_blinks_and_never_zero_or_minus_one() -> None:
    tau = np.arange(0.0, 25.0, 0.001)
    samples = sample_tracker(PATH, tau, np.arange(tau.size), model=TrackerModel(), reader_seed=1)
    shut = np.zeros(tau.size, np.bool_)
    for blink in PATH.blinks:
        shut |= (tau >= blink.t_start_s) & (tau < blink.t_end_s)
    assert shut.any()
    for column in samples.columns():
        assert np.isnan(column[shut]).all()
        assert np.isfinite(column).mean() > 0.9
        assert not np.isin(column[~np.isnan(column)], (0.0, -1.0)).any()


def test_noise_and_offsets_are_as_large_as_said() -> None:
    tau = np.arange(0.0, 25.0, 0.002)
    clean_x, clean_y = PATH.screen(tau)
    model = TrackerModel(noise_deg=0.05, offset_deg=0.1)
    samples = sample_tracker(PATH, tau, np.arange(tau.size), model=model, reader_seed=7)
    per_deg = VIRTUAL_DISPLAY.px_per_deg()
    fixating = np.zeros(tau.size, np.bool_)
    for fixation in PATH.fixations:
        fixating |= (tau > fixation.t_start_s + 0.05) & (tau < fixation.t_end_s - 0.05)
    for x, y in (
        (samples.left_x_screen_px, samples.left_y_screen_px),
        (samples.right_x_screen_px, samples.right_y_screen_px),
    ):
        dx, dy = (x - clean_x)[fixating] / per_deg[0], (y - clean_y)[fixating] / per_deg[1]
        assert np.nanstd(dx) == pytest.approx(0.05, abs=0.003)
        assert np.nanstd(dy) == pytest.approx(0.05, abs=0.003)
        assert np.hypot(np.nanmean(dx), np.nanmean(dy)) <= 0.3
    left, right = samples.left_x_screen_px - clean_x, samples.right_x_screen_px - clean_x
    both = fixating & np.isfinite(left) & np.isfinite(right)
    assert abs(np.corrcoef(left[both], right[both])[0, 1]) < 0.15


def test_an_ideal_tracker_shows_the_targets() -> None:
    for fixation in PATH.fixations[1:-1]:
        tau = np.linspace(fixation.t_start_s, fixation.t_end_s, 7)[:-1]
        samples = sample_tracker(PATH, tau, np.arange(6), model=TrackerModel.ideal(), reader_seed=1)
        viewport = np.full(6, fixation.viewport_id, np.intp)
        x, y = PATH.states.image(tau, viewport, samples.left_x_screen_px, samples.right_y_screen_px)
        assert np.allclose(x, fixation.x, atol=1e-6)
        assert np.allclose(y, fixation.y, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.0005, 0.7), min_size=1, max_size=20), st.sampled_from([30.0, 333.0, 2000.0]))
def test_a_feed_gives_the_same_samples_in_any_chunks(pauses: list[float], rate_hz: float) -> None:
    whole, pieces = feed(rate_hz), feed(rate_hz)
    for one in (whole, pieces):
        one.start(100.0)
        one.follow(PATH, 100.25)
    end = 100.0
    chunks = []
    for pause in pauses:
        end += pause
        if (due := pieces.take(end)) is not None:
            chunks.append(due)
    expected = whole.take(end)
    assert expected is not None
    assert np.array_equal(np.concatenate([c.t_s for c in chunks]), expected.t_s)
    assert np.array_equal(np.concatenate([c.values for c in chunks]), expected.values, equal_nan=True)
    assert whole.take(end) is None


def test_a_feed_is_a_uniform_grid_that_counts_itself() -> None:
    tracker = feed(1000.0)
    assert tracker.take(5.0) is None
    tracker.start(50.0)
    due = tracker.take(53.0)
    assert due is not None
    assert np.array_equal(due.t_s, 50.0 + np.arange(3001) / 1000.0)
    labels = [channel.label for channel in CHANNELS]
    assert np.array_equal(due.values[:, labels.index("frame_number")], np.arange(3001))
    assert np.allclose(due.values[:, labels.index("device_time")], due.t_s - 50.0)
    assert tracker.n_given == 3001
    assert tracker.n_given_between(50.0, 51.0) == 1000
    assert tracker.n_given_between(52.9995, 60.0) == 1


def test_idle_eyes_rest() -> None:
    tracker = feed(500.0, TrackerModel.ideal())
    tracker.start(0.0)
    due = tracker.take(2.0)
    assert due is not None
    assert np.ptp(due.values[:, 0]) == 0.0


def test_after_a_reading_the_eyes_go_back_to_where_they_idle() -> None:
    tracker = feed(500.0, TrackerModel.ideal())
    tracker.start(0.0)
    idle = tracker.take(1.0)
    tracker.follow(PATH, 1.002)
    rest = tracker.take(40.0)
    assert idle is not None
    assert rest is not None
    assert np.allclose(rest.values[0, :2], idle.values[-1, :2])
    assert np.allclose(rest.values[-1, :2], idle.values[-1, :2])


def test_a_long_stall_loses_nothing() -> None:
    tracker = feed(2000.0)
    tracker.start(0.0)
    n = 0
    while (due := tracker.take(25.0)) is not None:
        n += due.t_s.size
    assert n == 50_001


@pytest.mark.parametrize("rate_hz", [0.0, 29.9, 2000.1, float("nan"), -500.0])
def test_impossible_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(UsageError):
        check_rate(rate_hz)

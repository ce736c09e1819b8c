from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.stages.frame import best_frame
from curation.stages.gaze_measures import measure_gaze
from keyframes.geometry import Display
from keyframes.quality import rms_s2s_deg, sd_deg


def test_a_clean_recording(readings: ModuleType) -> None:
    gaze = measure_gaze(readings.make_reading(duration_s=6.0, rate_hz=250.0))
    assert gaze.n_samples == gaze.n_valid == 1500
    assert gaze.is_ordered
    assert gaze.loss_share == pytest.approx(0.0, abs=1e-9)
    assert gaze.longest_loss_s == pytest.approx(0.0, abs=1e-9)
    assert gaze.effective_rate_hz == pytest.approx(250.0)
    assert (gaze.n_missing, gaze.missing_share) == (0, 0.0)
    assert gaze.off_image_share == 0.0
    assert gaze.panel_share == 0.0


def test_precision_is_that_of_the_noise(readings: ModuleType) -> None:
    gaze = measure_gaze(readings.make_reading(duration_s=20.0))
    per_deg = readings.DISPLAY.px_per_deg()
    variance = sum((0.6 / scale) ** 2 for scale in per_deg)
    assert gaze.rms_s2s_deg == pytest.approx(np.sqrt(2 * variance), rel=0.1)
    assert gaze.sd_deg == pytest.approx(np.sqrt(variance), rel=0.1)


def test_precision_is_the_median_over_windows_measured_one_by_one(readings: ModuleType) -> None:
    """Windows of one length are measured together; the figures are those of each by itself, to the bit."""
    reading = readings.make_reading(duration_s=3.0, rate_hz=333.0, lost=[(0.5, 0.6)])
    frame, table = best_frame(reading), reading.table("gaze")
    x, y = frame.x_px / frame.px_per_deg_x, frame.y_px / frame.px_per_deg_y
    valid = table["valid"].to_numpy(zero_copy_only=False)
    window = table["t_ns"].to_numpy() // 100_000_000
    parts = [np.flatnonzero(window == number) for number in range(30)]
    still = [p for p in parts if valid[p].all() and max(np.ptp(x[p]), np.ptp(y[p])) <= 1.0]
    assert len({len(part) for part in still}) > 1
    gaze = measure_gaze(reading)
    assert gaze.rms_s2s_deg == np.median([rms_s2s_deg(x[part], y[part]) for part in still])
    assert gaze.sd_deg == np.median([sd_deg(x[part], y[part]) for part in still])


@given(
    start_s=st.floats(min_value=0.0, max_value=5.9),
    length_s=st.floats(min_value=0.05, max_value=6.0),
    rate_hz=st.sampled_from([60.0, 250.0, 1000.0]),
)
def test_loss_is_the_time_without_eyes(
    readings: ModuleType, start_s: float, length_s: float, rate_hz: float
) -> None:
    end_s = min(start_s + length_s, 6.0)
    gaze = measure_gaze(readings.make_reading(rate_hz=rate_hz, lost=[(start_s, end_s)]))
    tolerance_s = 1.01 / rate_hz
    assert gaze.loss_share * 6.0 == pytest.approx(end_s - start_s, abs=tolerance_s)
    assert gaze.longest_loss_s == pytest.approx(end_s - start_s, abs=tolerance_s)


def test_samples_that_never_came_are_loss_too(readings: ModuleType) -> None:
    whole = readings.make_reading(duration_s=6.0, rate_hz=250.0)
    table = whole.table("gaze")
    kept = np.r_[0:250, 1000:1500]
    gaze = measure_gaze(whole.with_tables(gaze=table.take(kept)))
    assert gaze.n_missing == 750
    assert gaze.missing_share == pytest.approx(0.5)
    assert gaze.longest_loss_s == pytest.approx(3.0, abs=0.005)
    assert gaze.loss_share == pytest.approx(0.5, abs=0.001)
    assert gaze.effective_rate_hz == pytest.approx(250.0), "holes do not lower the rate"


def test_gaze_outside_the_reading_does_not_count(readings: ModuleType) -> None:
    reading = readings.make_reading(duration_s=6.0)
    shorter = readings.with_meta(reading, duration_ns=2_000_000_000)
    gaze = measure_gaze(shorter)
    assert gaze.n_samples == 500
    assert gaze.n_missing == 0
    assert gaze.loss_share == pytest.approx(0.0, abs=1e-9)


def test_no_gaze_at_all(readings: ModuleType) -> None:
    reading = readings.make_reading()
    gaze = measure_gaze(reading.with_tables(gaze=reading.table("gaze").slice(0, 0)))
    assert gaze.n_samples == gaze.n_valid == 0
    assert gaze.loss_share == 1.0
    assert gaze.longest_loss_s == 6.0
    assert np.isnan(gaze.off_image_share)
    assert gaze.seen_share(np.array([0]), np.array([10])) == 0.0


def test_off_image_and_panel(readings: ModuleType) -> None:
    reading = readings.make_reading(duration_s=4.0)
    table = reading.table("gaze")
    x = table.column("x_screen_px").to_numpy().copy()
    x_image = table.column("x_image_px").to_numpy().copy()
    index: list[int | None] = [0] * table.num_rows
    x[:250], x_image[:250], index[:250] = 100.0, np.nan, [None] * 250
    x_image[250:300] = readings.WIDTH_PX + 5.0
    gaze = measure_gaze(readings.with_gaze(reading, x_screen_px=x, x_image_px=x_image, image_index=index))
    assert gaze.panel_share == pytest.approx(0.25)
    assert gaze.off_image_share == pytest.approx(0.30)


def test_seen_share_counts_overlapping_intervals_once(readings: ModuleType) -> None:
    gaze = measure_gaze(readings.make_reading(lost=[(2.0, 3.0)]))
    starts, ends = np.array([1.0, 1.5, 4.0]) * 1e9, np.array([2.5, 3.0, 5.0]) * 1e9
    share = gaze.seen_share(starts.astype(np.int64), ends.astype(np.int64))
    assert share == pytest.approx(2.0 / 3.0, abs=0.005)
    assert np.isnan(gaze.seen_share(np.array([5]), np.array([5])))


def test_the_frame_is_the_screen_else_the_image(readings: ModuleType) -> None:
    screen = best_frame(readings.make_reading())
    assert screen.kind == "screen"
    assert screen.knows_degrees
    without = Display(width_px=1920, height_px=1080, width_mm=None, height_mm=None, distance_mm=None)
    unknown = best_frame(readings.make_reading(display=without))
    assert unknown.kind == "image"
    assert not unknown.knows_degrees
    reading = readings.make_reading()
    nan = np.full(reading.table("gaze").num_rows, np.nan)
    without_screen = readings.with_gaze(reading, x_screen_px=nan, y_screen_px=nan)
    image = best_frame(readings.with_meta(without_screen, display=None))
    assert image.kind == "image"
    assert image.knows_degrees
    assert image.px_per_deg_x[0] == pytest.approx(readings.DISPLAY.px_per_deg()[0] / readings.SCALE)


def test_the_measured_distance_comes_before_the_display_s(readings: ModuleType) -> None:
    reading = readings.make_reading()
    distance = np.where(np.arange(reading.table("gaze").num_rows) % 2, 1300.0, np.nan)
    far = best_frame(readings.with_gaze(reading, eye_distance_mm=distance))
    assert far.px_per_deg_x[0] == pytest.approx(2 * readings.DISPLAY.px_per_deg()[0])

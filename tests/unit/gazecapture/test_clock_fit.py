from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.session.clock_fit import MIN_POINTS_FOR_DRIFT, fit_clock
from gazecapture.session.schema import OFFSETS


def offsets(t_s: np.ndarray, offset_s: np.ndarray, uncertainty_s: np.ndarray | float = 1e-4) -> pa.Table:
    uncertainty = np.broadcast_to(np.asarray(uncertainty_s, float), t_s.shape)
    return pa.table(
        {"t_ns": np.round(t_s * 1e9).astype(np.int64), "offset_s": offset_s, "uncertainty_s": uncertainty},
        schema=OFFSETS,
    )


def test_no_measurement_means_the_same_clock() -> None:
    fit = fit_clock(OFFSETS.empty_table())
    assert fit.to_session_ns(np.array([1.5])).tolist() == [1_500_000_000]
    assert fit.n_points == 0


@given(st.floats(-1e5, 1e5), st.floats(-2e-4, 2e-4))
def test_offset_and_drift_are_recovered(offset_s: float, drift: float) -> None:
    t_s = np.arange(1000, 1300, 5.0)
    fit = fit_clock(offsets(t_s, offset_s + drift * (t_s - 1150)))
    remote = t_s - offset_s - drift * (t_s - 1150)
    np.testing.assert_allclose(fit.to_session_ns(remote) / 1e9, t_s, atol=2e-5)


def test_a_few_bad_measurements_move_nothing() -> None:
    t_s = np.arange(0, 300, 5.0)
    offset_s = np.full(t_s.size, 3.0)
    offset_s[::7] += 0.2
    uncertain = np.full(t_s.size, 1e-4)
    uncertain[3] = 0.5
    offset_s[3] = 99
    fit = fit_clock(offsets(t_s, offset_s, uncertain))
    assert fit.offset_s == pytest.approx(3.0, abs=1e-6)
    assert fit.drift == pytest.approx(0.0, abs=1e-9)


def test_a_short_recording_gets_a_drift_only_where_its_measurements_lie_on_a_line() -> None:
    t_s = np.arange(0, 30, 5.0)
    assert fit_clock(offsets(t_s, 1.0 + 2e-4 * t_s)).drift == pytest.approx(2e-4)
    noisy = 1.0 + 1e-4 * np.array([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    fit = fit_clock(offsets(t_s, noisy))
    assert fit.drift == 0.0
    assert fit.residual_s == pytest.approx(1e-4)


@settings(deadline=None, max_examples=60)
@given(
    span_s=st.floats(3.0, 70.0),
    drift=st.floats(-2e-4, 2e-4),
    noise_s=st.sampled_from([1e-5, 1e-4, 2e-4]),
    seed=st.integers(0, 999),
)
def test_however_short_the_recording_two_hundred_ppm_are_mapped_to_two_milliseconds(
    span_s: float, drift: float, noise_s: float, seed: int
) -> None:
    t_s = np.arange(0.0, span_s, 2.0)  # as often as a Neon's clock is measured
    measured = 5.0 + drift * t_s + np.random.default_rng(seed).uniform(-noise_s, noise_s, t_s.size)
    fit = fit_clock(offsets(t_s, measured))
    truth_s = np.linspace(0.0, span_s, 200)
    found_s = fit.to_session_ns(truth_s - (5.0 + drift * truth_s)) / 1e9
    assert np.percentile(np.abs(found_s - truth_s), 99) <= 2e-3


def stream_rows(t_session_s: np.ndarray, offset_s: np.ndarray, *, seed: int = 0) -> pa.Table:
    """Samples taken at ``t_session_s`` by a clock that is ``offset_s`` behind, arriving 0.1 to 2 ms later."""
    late_s = np.random.default_rng(seed).exponential(3e-4, t_session_s.size).clip(1e-4, 2e-3)
    received = np.maximum.accumulate(t_session_s + late_s)
    return pa.table(
        {
            "sequence": np.arange(t_session_s.size),
            "t_remote_s": t_session_s - offset_s,
            "t_received_ns": np.round(received * 1e9).astype(np.int64),
        }
    )


def mapped_s(t_offset_s: np.ndarray, measured_s: np.ndarray, rows: pa.Table) -> np.ndarray:
    fit = fit_clock(offsets(t_offset_s, measured_s), rows)
    numbers = rows["sequence"].to_numpy()
    return np.asarray(fit.to_session_ns(rows["t_remote_s"].to_numpy(), numbers) / 1e9)


@settings(deadline=None, max_examples=25)
@given(
    step_s=st.floats(0.02, 1e4) | st.floats(-1e4, -0.02),
    at_s=st.floats(17.0, 103.0),
    drift=st.floats(-2e-4, 2e-4),
    away_s=st.floats(0.0, 8.0),
    outliers=st.lists(st.integers(1, 22), max_size=4, unique=True),
)
def test_a_clock_that_steps_is_fitted_piece_by_piece(
    step_s: float, at_s: float, drift: float, away_s: float, outliers: list[int]
) -> None:
    """Its sender is away for a while, as at a restart; some measurements are off by any amount."""

    def true_offset_s(t_s: np.ndarray) -> np.ndarray:
        return np.asarray(7.0 + drift * t_s + np.where(t_s >= at_s, step_s, 0.0))

    t_s = np.arange(0, 120, 0.01)
    t_s = t_s[(t_s < at_s) | (t_s > at_s + away_s)]
    measured_at = np.arange(0.0, 120, 5.0)
    measured = true_offset_s(measured_at)
    dice = np.random.default_rng(1)
    # One that was measured while the sender was away has no sample to bear it out, but for its neighbours.
    unborne = set(np.flatnonzero((measured_at >= at_s) & (measured_at <= at_s + away_s)).tolist())
    lone = [n for n in outliers if not {n - 1, n + 1} & {*outliers, *unborne}]
    measured[lone] += dice.choice([-1, 1], len(lone)) * dice.uniform(0.05, 30, len(lone))
    found = mapped_s(measured_at, measured, stream_rows(t_s, true_offset_s(t_s)))
    good = np.delete(measured_at, lone)
    for samples, measurements in ((t_s < at_s, good[good < at_s]), (t_s >= at_s, good[good >= at_s])):
        error_s = np.abs(found - t_s)[samples].max()
        if measurements.size >= MIN_POINTS_FOR_DRIFT:
            assert error_s < 0.002
        else:  # a few tell no drift: it adds up from the middle one on, to either side
            assert error_s <= abs(drift) * np.abs(t_s[samples] - np.median(measurements)).max() + 1e-4
    assert (np.diff(found) > 0).all()


def test_a_step_seconds_before_the_end_is_taken_where_the_samples_bear_it_out() -> None:
    t_s, measured_at = np.arange(0, 62, 0.005), np.arange(0.0, 62, 5.0)
    truth = np.where(t_s >= 58.0, 4.0, 1.0)
    measured = np.where(measured_at >= 58.0, 4.0, 1.0)
    rows = stream_rows(t_s, truth)
    np.testing.assert_allclose(mapped_s(measured_at, measured, rows), t_s, atol=1e-6)
    fit = fit_clock(offsets(measured_at, measured), rows)
    assert [piece.offset_s for piece in fit.pieces] == [1.0, 4.0]
    assert fit.pieces[1].from_sequence == 58 * 200


def test_a_lone_wrong_measurement_at_either_end_moves_nothing() -> None:
    t_s, measured_at = np.arange(0, 60, 0.005), np.arange(0.0, 60, 5.0)
    rows = stream_rows(t_s, np.full(t_s.size, 2.0))
    for place in (0, -1, 4):
        measured = np.full(measured_at.size, 2.0)
        measured[place] = 3.0
        np.testing.assert_allclose(mapped_s(measured_at, measured, rows), t_s, atol=1e-6)


def test_samples_are_mapped_alike_when_some_were_taken_out() -> None:
    """As they are when a reading is forgotten: the journal keeps the others, with their numbers."""
    t_s, measured_at = np.arange(0, 60, 0.01), np.arange(0.0, 60, 5.0)
    rows = stream_rows(t_s, np.where(t_s >= 30, 9.0, 1.0))
    left = rows.filter(pa.array((t_s < 20) | (t_s > 35)))
    found = mapped_s(measured_at, np.where(measured_at >= 30, 9.0, 1.0), left)
    np.testing.assert_allclose(found, t_s[(t_s < 20) | (t_s > 35)], atol=1e-6)

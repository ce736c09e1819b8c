from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazecapture.session.clock_fit import fit_clock
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


def test_a_short_recording_gets_no_drift() -> None:
    t_s = np.arange(0, 30, 5.0)
    fit = fit_clock(offsets(t_s, 1.0 + 1e-3 * t_s))
    assert fit.drift == 0.0
    assert fit.residual_s < 0.02

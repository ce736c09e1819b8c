"""Every column of the event table against a slow computation in plain numpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from keyframes.events import detect

FloatArray = NDArray[np.float64]
RATE_HZ = 250.0
WITH_PLACE = ("fixation", "saccade", "pso", "pursuit")
MOVING = ("saccade", "pso", "pursuit")


def recording(seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return t_s, x_px, y_px: steps with ringing, a drift, dropouts, blinks, a hole in time, uneven times."""
    rng = np.random.default_rng(seed)
    n = 3000
    t = np.arange(n) / RATE_HZ + rng.uniform(-0.0005, 0.0005, n)
    xy = rng.normal(0, 0.6, (2, n)) + np.array([[900.0], [500.0]])
    for start in range(150, n, 160):
        since = t - t[start]
        late = np.maximum(since - 0.032, 0)
        ringing = (since > 0.032) * np.exp(-late / 0.012) * np.cos(140 * late)
        step = rng.normal(0, 170, (2, 1))
        xy += step * (np.clip(since / 0.032, 0, 1) + 0.12 * ringing)
    xy[0] += np.where((t > 4) & (t < 5), 300 * (t - 4), 0)  # followed with the eyes
    for start, length in ((333, 2), (700, 40), (1210, 1), (1900, 30), (2500, 300)):
        xy[:, start : start + length] = np.nan
    keep = np.ones(n, np.bool_)
    keep[1500:1530] = False
    return t[keep], xy[0, keep], xy[1, keep]


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize(("method", "pursuit"), [("adaptive", True), ("clustering", False)])
def test_columns_are_what_plain_numpy_computes(varying: bool, method: str, pursuit: bool) -> None:
    t, x, y = recording(4)
    scale = np.stack([np.full(t.size, 41.0), np.full(t.size, 37.0)])
    if varying:
        scale *= 1 + 0.1 * np.sin(t / 3)
    given = scale if varying else scale[:, 0]
    found = detect(t, x, y, *given, method=method, pursuit=pursuit)
    table = found.table.to_pandas()
    assert {"fixation", "saccade", "blink", "loss"} <= set(table.kind)
    assert method != "adaptive" or {"pso", "pursuit"} <= set(table.kind)
    speed = found.velocity.speed_deg_per_s[found.samples.row_of_sample]
    t_ns = np.rint(t * 1e9).astype(np.int64)
    interval_ns = round(float(np.median(np.diff(t_ns))))
    step_ns = np.append(np.diff(t_ns), interval_ns)
    for row in table.itertuples():
        a, b = np.searchsorted(t_ns, [row.t_start_ns, row.t_end_ns])
        inside = slice(a, b)
        seen = ~np.isnan(x[inside])
        span = (row.t_end_ns - row.t_start_ns) * 1e-9
        assert row.duration_s == pytest.approx(span, abs=1e-12)
        # Beyond a hole in time a sample stands for one interval.
        held = np.where(step_ns[inside] > 3 * interval_ns, interval_ns, step_ns[inside])
        assert row.valid_share == pytest.approx((held * seen).sum() * 1e-9 / span, abs=1e-9)
        expected = {name: np.nan for name in table.columns if name.endswith(("_deg", "_per_s", "screen_px"))}
        if row.kind in WITH_PLACE:
            xs, ys = x[inside][seen], y[inside][seen]
            sx, sy = scale[0, inside][seen], scale[1, inside][seen]
            moving = row.kind in MOVING
            to_next = moving and b < t.size and seen[-1] and not np.isnan(x[b]) and row.t_end_ns == t_ns[b]
            x_end, y_end = (x[b], y[b]) if to_next else (xs[-1], ys[-1])
            expected |= {"x_screen_px": xs.mean(), "y_screen_px": ys.mean()}
            expected |= {"x_start_screen_px": xs[0], "y_start_screen_px": ys[0]}
            expected |= {"x_end_screen_px": x_end, "y_end_screen_px": y_end}
            expected |= {"peak_velocity_deg_per_s": np.nanmax(speed[inside])}
            expected |= {"mean_velocity_deg_per_s": float(np.nanmean(speed[inside]))}
            if moving:
                right, up = (x_end - xs[0]) / sx.mean(), -(y_end - ys[0]) / sy.mean()
                expected |= {"amplitude_deg": float(np.hypot(right, up))}
                expected |= {"direction_deg": float(np.degrees(np.arctan2(up, right)))}
            if row.kind in ("fixation", "pursuit"):
                expected |= {"dispersion_deg": np.ptp(xs) / sx.mean() + np.ptp(ys) / sy.mean()}
                steps = np.diff(x[inside]) / scale[0, inside][1:], np.diff(y[inside]) / scale[1, inside][1:]
                steps_apart = step_ns[inside][:-1] <= 3 * interval_ns
                squared = (steps[0] ** 2 + steps[1] ** 2)[steps_apart]
                expected |= {"rms_s2s_deg": float(np.sqrt(np.nanmean(squared)))}
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


def test_index_counts_and_kinds_follow_the_labels() -> None:
    t, x, y = recording(5)
    found = detect(t, x, y, 40.0, 40.0, method="adaptive")
    table: pd.DataFrame = found.table.to_pandas()
    assert table.event_index.tolist() == list(range(len(table)))
    assert len(table) == found.spans.codes.size
    assert (table.t_end_ns.to_numpy()[:-1] <= table.t_start_ns.to_numpy()[1:]).all()

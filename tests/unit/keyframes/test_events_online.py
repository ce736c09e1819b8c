"""The online detector on gaze whose saccades are known, and its rules for odd samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from keyframes.errors import DataError, GeometryError, TimestampError
from keyframes.events.online import OnlineDetector, OnlineMessage, OnlineParameters

FloatArray = NDArray[np.float64]
SCALE = (40.0, 38.0)


def stepping(
    rate_hz: float, noise_deg: float, *, n_saccades: int = 40
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return t_s, x_px, y_px and the onsets of saccades of 1 to 12 degrees, 0.35 s apart, on the main sequence."""
    rng = np.random.default_rng(3)
    t = np.arange(round((0.35 * (n_saccades + 2)) * rate_hz)) / rate_hz
    onsets = 0.35 * np.arange(1, n_saccades + 1) + rng.uniform(0, 0.01, n_saccades)
    deg = rng.normal(0, noise_deg, (2, t.size))
    for onset in onsets:
        amplitude, angle = rng.uniform(1.0, 12.0), rng.uniform(0, 2 * np.pi)
        phase = np.clip((t - onset) / (0.021 + 0.0022 * amplitude), 0, 1)
        deg += (
            amplitude
            * np.array([[np.cos(angle)], [np.sin(angle)]])
            * (10 * phase**3 - 15 * phase**4 + 6 * phase**5)
        )
    return t, deg[0] * SCALE[0] + 900, deg[1] * SCALE[1] + 600, onsets


def of(messages: list[OnlineMessage], kind: str, edge: str) -> list[OnlineMessage]:
    return [m for m in messages if m.kind == kind and m.edge == edge]


@pytest.mark.parametrize(
    ("rate_hz", "noise_deg", "latency_s"),
    [
        (60.0, 0.05, 0.035), (120.0, 0.05, 0.02), (250.0, 0.03, 0.013), (500.0, 0.02, 0.01), (1000.0, 0.02, 0.009),
        (2000.0, 0.02, 0.009),
    ],
)  # fmt: skip
def test_finds_every_saccade_soon_at_any_rate(rate_hz: float, noise_deg: float, latency_s: float) -> None:
    t, x, y, onsets = stepping(rate_hz, noise_deg)
    detector = OnlineDetector(*SCALE)
    found = of(detector.push(t, x, y), "saccade", "onset")
    assert detector.rate_hz == pytest.approx(rate_hz, rel=0.01)
    assert len(found) == onsets.size
    late_s = np.array([m.t_decided_s for m in found]) - onsets
    assert (late_s > 0).all()
    assert np.median(late_s) < latency_s
    assert np.abs(np.median([m.t_event_s for m in found] - onsets)) < max(0.006, 1.0 / rate_hz)


def test_a_fixation_s_message_has_its_time_and_mean_place() -> None:
    t, x, y, onsets = stepping(500.0, 0.02)
    ended = of(OnlineDetector(*SCALE).push(t, x, y), "fixation", "offset")
    third = ended[3]
    inside = (t > onsets[2] + 0.06) & (t < onsets[3] - 0.01)
    assert third.t_onset_s == pytest.approx(onsets[2] + 0.03, abs=0.025)
    assert third.t_event_s == pytest.approx(onsets[3], abs=0.008)
    assert third.x_px == pytest.approx(x[inside].mean(), abs=8.0)
    assert third.y_px == pytest.approx(y[inside].mean(), abs=8.0)


def test_noise_alone_is_no_saccade_whatever_its_size() -> None:
    rng = np.random.default_rng(5)
    for noise_deg in (0.0, 0.02, 0.3):
        x, y = rng.normal(0, noise_deg, (2, 10_000)) * 40.0
        found = of(OnlineDetector(40.0, 40.0).push(np.arange(10_000) / 500, x, y), "saccade", "onset")
        assert len(found) <= 3


def test_a_scale_of_one_s_own_is_what_counts() -> None:
    t, x, y, onsets = stepping(500.0, 0.02)
    detector = OnlineDetector(1.0, 1.0)
    detector.set_scale(*SCALE)
    same = OnlineDetector(*SCALE).push(t, x, y)
    assert [m.t_decided_s for m in detector.push(t, x, y)] == [m.t_decided_s for m in same]
    far = OnlineDetector(SCALE[0] * 100, SCALE[1] * 100).push(t, x, y)
    assert not of(far, "saccade", "onset")
    assert len(onsets)


@pytest.mark.parametrize("size_px", [30.0, -200.0])
def test_a_burst_of_glitches_is_announced_once(size_px: float) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(900.0, 0.8, 1000)
    at = 400 + np.cumsum(rng.integers(20, 60, 12))
    x[at] += size_px
    found = of(
        OnlineDetector(*SCALE).push(np.arange(1000) / 500, x, np.full(1000, 600.0)), "saccade", "onset"
    )
    assert [m.t_decided_s for m in found] == [at[0] / 500]


def test_after_a_glitch_a_saccade_is_announced_one_sample_later_with_the_same_onset() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(900.0, 0.8, 1000)
    x[700:] += 200.0 * np.clip(np.arange(1, 301) / 15, 0, 1)
    t, y = np.arange(1000) / 500, np.full(1000, 600.0)
    (calm,) = of(OnlineDetector(*SCALE).push(t, x, y), "saccade", "onset")
    x[620] += 60.0
    _, wary = of(OnlineDetector(*SCALE).push(t, x, y), "saccade", "onset")
    assert wary.t_event_s == calm.t_event_s
    assert wary.t_decided_s == pytest.approx(calm.t_decided_s + 0.002)
    x[620], x[500] = x[619], x[500] + 60.0
    _, long_ago = of(OnlineDetector(*SCALE).push(t, x, y), "saccade", "onset")
    assert long_ago == calm


def test_no_offset_is_later_than_the_sample_that_decides_it() -> None:
    # At 60 Hz two samples come early, the saccade's shortest duration, one interval, not yet over.
    t, x = np.arange(60) / 60, np.where(np.arange(60) < 20, 100.0, 200.0)
    t[21:] -= 0.7 / 60
    t[22:] -= 0.7 / 60
    (ended,) = of(OnlineDetector(40.0, 40.0).push(t, x, np.zeros(60)), "saccade", "offset")
    assert ended.t_decided_s < ended.t_onset_s + 1 / 60
    assert ended.t_onset_s < ended.t_event_s <= ended.t_decided_s


def test_a_short_loss_is_bridged_and_a_long_one_is_told() -> None:
    t = np.arange(1000) / 500
    x, y = np.full(1000, 100.0), np.full(1000, 100.0)
    x[300:308] = np.nan
    y[500:600] = np.inf
    messages = OnlineDetector(40.0, 40.0).push(t, x, y)
    assert [(m.kind, m.edge) for m in messages] == [
        ("fixation", "onset"), ("fixation", "offset"), ("loss", "onset"), ("loss", "offset"), ("fixation", "onset"),
    ]  # fmt: skip
    assert [m.t_event_s for m in messages] == pytest.approx([0.0, 1.0, 1.0, 1.2, 1.2])
    assert messages[2].t_decided_s == pytest.approx(1.02, abs=0.003)


def test_a_hole_in_time_is_a_loss() -> None:
    t = np.concatenate([np.arange(100), np.arange(200, 300)]) / 500
    messages = OnlineDetector(40.0, 40.0).push(t, np.full(200, 5.0), np.full(200, 5.0))
    (lost,) = of(messages, "loss", "onset")
    assert (lost.t_event_s, lost.t_decided_s) == (pytest.approx(0.2), pytest.approx(0.4))


def test_repeated_times_are_left_out_and_counted() -> None:
    t, x, y, _ = stepping(500.0, 0.02)
    twice = OnlineDetector(*SCALE)
    doubled = twice.push(np.repeat(t, 2), np.repeat(x, 2), np.repeat(y, 2))
    assert doubled == OnlineDetector(*SCALE).push(t, x, y) or repr(doubled) == repr(
        OnlineDetector(*SCALE).push(t, x, y)
    )
    assert twice.n_repeated == t.size


def test_backward_time_is_refused_by_row_and_nothing_before_it_is_lost() -> None:
    t, x, y, _ = stepping(500.0, 0.02)
    expected = OnlineDetector(*SCALE).push(t, x, y)
    bad = t.copy()
    bad[1000] = 0.5
    detector = OnlineDetector(*SCALE)
    with pytest.raises(TimestampError, match="are expected") as refused:
        detector.push(bad, x, y)
    assert refused.value.record == 1000
    assert repr(detector.push(t[1000:], x[1000:], y[1000:])) == repr(expected)
    with pytest.raises(TimestampError):
        detector.push(float("nan"), 1.0, 1.0)
    with pytest.raises(TimestampError):
        OnlineDetector(*SCALE).push(float("-inf"), 1.0, 1.0)


def test_odd_input() -> None:
    detector = OnlineDetector(40, 40)
    assert detector.push([], [], []) == []
    assert np.isnan(detector.rate_hz)
    assert detector.kind == "loss"
    assert [m.kind for m in detector.push(0, 100, 100)] == ["fixation"]
    assert detector.push(np.float32(0.5), np.float64(100), 100) is not None
    read_only = np.arange(10) + 1.0
    read_only.flags.writeable = False
    detector.push(read_only, read_only, read_only.astype(int))
    for wrong in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(DataError):
            detector.push([20.0, 21.0], wrong, [1.0, 2.0])
    with pytest.raises(DataError):
        detector.push(30.0, "here", 1.0)
    for scale in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(GeometryError):
            OnlineDetector(scale, 40.0)
    with pytest.raises(DataError, match="scale"):
        OnlineParameters(lag_s=(0.002,))


def test_memory_is_constant() -> None:
    detector = OnlineDetector(*SCALE)
    t, x, y, _ = stepping(500.0, 0.02)
    sizes = set()
    for round_ in range(5):
        detector.push(t + 100.0 * round_, x, y)
        sizes.add((detector._state.nbytes, len(detector._pending), sys.getsizeof(detector.__dict__)))
    assert len(sizes) == 1


def test_a_detector_that_thinks_it_is_in_a_saccade_gets_out() -> None:
    t = np.arange(3000) / 500
    x = np.where(t < 1, 100.0, 100.0 + 40.0 * 30.0 * (t - 1))  # 30 deg/s for ever
    messages = OnlineDetector(40.0, 40.0).push(t, x, np.zeros(3000))
    for offset in of(messages, "saccade", "offset"):
        assert offset.t_event_s - offset.t_onset_s <= 0.32


@pytest.mark.shared
def test_saccades_that_two_coders_agree_on_are_known_in_time(shared: Path) -> None:
    folder = shared / "data" / "lund2013"
    if not folder.is_dir():
        pytest.skip("lund2013 is not in the shared data")
    latencies: list[float] = []
    n_saccades = n_false = n_fixation = 0
    # Strict: an announcement that comes before both coders' onset is false, also where it is of that saccade.
    for item in json.loads((folder / "manifest.json").read_text()):
        if item["stim"] != "image":
            continue
        table = pq.read_table(folder / item["file"])
        x, y, first, second = (table.column(c).to_numpy() for c in ("x_px", "y_px", "label_MN", "label_RA"))
        messages = OnlineDetector(*item["px_per_deg_center"]).push(np.arange(x.size) / 500.0, x, y)
        decided = np.array([round(m.t_decided_s * 500) for m in of(messages, "saccade", "onset")], np.int64)
        for onset, end in agreed(first == 2, second == 2):
            mine = (decided >= onset - 2) & (decided < end + 1)
            n_saccades += 1
            latencies += [2.0 * (decided[mine][0] - onset)] if mine.any() else []
        fixating = (first == 1) & (second == 1)
        n_fixation += int(fixating.sum())
        n_false += int(fixating[decided].sum())
    assert len(latencies) / n_saccades >= 0.99
    assert np.median(latencies) <= 4.0
    assert np.percentile(latencies, 95) <= 6.0
    assert n_false / (n_fixation / 500.0) <= 0.15


def agreed(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return mean onset and end, in samples, of the runs that both have with an overlap of at least one half."""
    both = []
    for mask in (first, second):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
        both.append(list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)))
    return [
        ((a + c) / 2, (b + d) / 2)
        for a, b in both[0]
        for c, d in both[1]
        if 2 * (min(b, d) - max(a, c)) >= max(b, d) - min(a, c)
    ]

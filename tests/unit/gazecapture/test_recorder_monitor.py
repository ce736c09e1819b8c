"""Counting a stream while it is recorded: rate, gaps, skipped numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gazecapture.session.monitor import StreamMonitor
from gazecapture.session.schema import StreamChannel, StreamInfo
from gazecapture.sources.neon_streams import describe_eye_events, describe_imu
from gazecapture.sources.protocol import SourceBatch, SourceMark
from keyframes.reading import Tracker

X = StreamChannel(column="x", label="x", kind="ScreenX", eye="both", unit="px")
Y = StreamChannel(column="y", label="y", kind="ScreenY", eye="both", unit="px")
TRACKER = Tracker(manufacturer="synthetic", model="Neon")
FRAME = StreamChannel(column="f", label="f", kind="FrameNumber")


def stream(*channels: StreamChannel, channel_format: str = "double64") -> StreamInfo:
    return StreamInfo(
        stream_id="s",
        role="gaze",
        name="s",
        kind="Gaze",
        channel_format=channel_format,
        nominal_rate_hz=60.0,
        channels=channels,
    )


def feed(
    monitor: StreamMonitor, t_s: NDArray[np.float64], frames: NDArray[np.float64] | None, chunk: int
) -> list[SourceMark]:
    marks = []
    for start in range(0, t_s.size, chunk):
        part = slice(start, start + chunk)
        columns = {"x": t_s[part], "y": t_s[part]} | ({} if frames is None else {"f": frames[part]})
        n = t_s[part].size
        marks += monitor.take(
            SourceBatch(stream_id="s", t_remote_s=t_s[part], t_received_ns=np.full(n, 1), columns=columns)
        )
    return marks


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_lost_sample_is_a_gap_whatever_rate_the_sender_claims(chunk: int) -> None:
    t_s = 100 + np.delete(np.arange(2000) / 500.0, [5, 900, 901, 902])
    monitor = StreamMonitor(stream(X, Y))
    monitor.offset_s = 10.0
    marks = feed(monitor, t_s, None, chunk)
    assert [mark.n_samples for mark in marks] == [1, 3]
    assert [mark.kind for mark in marks] == ["gap", "gap"]
    assert marks[0].t_ns == round((100 + 4 / 500 + 10) * 1e9)
    assert marks[1].duration_s == pytest.approx(4 / 500)
    assert (monitor.n_samples, monitor.n_gaps, monitor.n_missing) == (1996, 2, None)
    assert monitor.rate_hz == pytest.approx(500, rel=0.01)


@pytest.mark.parametrize("chunk", [1, 64])
def test_the_devices_count_is_believed_before_its_clock(chunk: int) -> None:
    dice = np.random.default_rng(3)
    t_s = np.arange(1000) / 250.0 + dice.uniform(0, 0.006, 1000)
    frames = np.arange(1000.0)
    monitor = StreamMonitor(stream(X, Y, FRAME))
    assert feed(monitor, t_s, frames, chunk) == [], "jitter is no loss where the count goes on"
    assert monitor.n_missing == 0
    monitor = StreamMonitor(stream(X, Y, FRAME))
    kept = np.delete(np.arange(1000), [400, 401, 700])
    marks = feed(monitor, t_s[kept], frames[kept], chunk)
    assert [mark.n_samples for mark in marks] == [2, 1]
    assert monitor.n_missing == 3


def test_samples_sent_twice_are_no_gap() -> None:
    t_s = np.arange(200) / 100.0
    monitor = StreamMonitor(stream(X, Y, FRAME))
    assert feed(monitor, t_s, np.repeat(np.arange(100.0), 2), 10) == []
    assert monitor.n_missing == 0


def test_a_sender_that_counts_anew_tells_what_its_restart_swallowed() -> None:
    t_s = np.concatenate([np.arange(100) / 100.0, 5 + np.arange(100) / 100.0])
    frames = np.concatenate([np.arange(100.0), 37 + np.arange(100.0)])
    monitor = StreamMonitor(stream(X, Y, FRAME))
    (mark,) = feed(monitor, t_s, frames, 10)
    assert (mark.n_samples, mark.detail) == (37, "the device began to count again")
    assert mark.duration_s == pytest.approx(4.01)


def test_the_hole_of_a_killed_recorder_is_a_gap() -> None:
    monitor = StreamMonitor(stream(X, Y, FRAME))
    monitor.resume(1.0, 99.0)
    (mark,) = feed(monitor, 3.0 + np.arange(100) / 100.0, 300 + np.arange(100.0), 10)
    assert (mark.n_samples, mark.t_ns) == (200, 1_000_000_000)
    assert monitor.n_missing == 200


def test_text_streams_have_no_gaps() -> None:
    monitor = StreamMonitor(stream(X, channel_format="string"))
    assert feed(monitor, np.array([1.0, 2.0, 50.0, 50.1]), None, 1) == []
    assert (monitor.n_samples, monitor.n_gaps) == (4, 0)


def test_packets_of_motion_are_counted_and_of_events_not_for_signs_of_life_have_no_rows() -> None:
    motion, events = describe_imu("SIM1", TRACKER), describe_eye_events("SIM1", TRACKER)
    numbers = np.delete(np.arange(400.0), [100, 101, 300])
    monitor = StreamMonitor(motion)
    marks = monitor.take(
        SourceBatch(
            stream_id=motion.stream_id,
            t_remote_s=numbers / 110,
            t_received_ns=np.full(numbers.size, 1),
            columns={channel.column: numbers for channel in motion.channels},
        )
    )
    assert [mark.n_samples for mark in marks] == [2, 1]
    assert monitor.n_missing == 3
    assert StreamMonitor(events).n_missing is None

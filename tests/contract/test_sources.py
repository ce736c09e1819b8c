"""What every source owes the recorder, checked on each of them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from gazecapture import profiles
from gazecapture.clock import session_now_ns
from gazecapture.session.schema import StreamInfo
from gazecapture.sources.lsl import LslSource, wait_for_streams
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonOptions
from gazecapture.sources.neon_simulator import SimulatedNeon, SimulatorOptions
from gazecapture.sources.protocol import Source, SourceBatch
from gazecapture.sources.relay import Relay
from gazecapture.sources.replay import Recording, ReplayOutlet, ReplaySource
from keyframes.errors import SourceError
from tests.waiting import LIMIT_S

N, RATE_HZ = 400, 500.0
_NAMES = itertools.count()


def recording() -> Recording:
    t_s = np.arange(N) / RATE_HZ
    x = np.where(np.arange(N) % 50 == 0, np.nan, np.arange(N) * 1.0)
    name = f"contract {next(_NAMES)} {session_now_ns()}"
    return Recording.from_points(t_s=t_s, x_screen_px=x, y_screen_px=x + 0.25, rate_hz=RATE_HZ, name=name)


class GatedReplay(ReplaySource):
    """Is open at once and begins to play when the gate opens, as if its receiver had been there first."""

    def __init__(self, played: Recording, gate: threading.Event) -> None:
        super().__init__(played)
        self._gate = gate
        self._plays = False

    def open(self) -> None:
        pass

    def read(self, timeout_s: float) -> SourceBatch | None:
        if not self._plays:
            if not self._gate.wait(timeout_s):
                return None
            super().open()
            self._plays = True
        return super().read(timeout_s)


class RelayedSource(LslSource):
    """A relay's outlet, whose samples begin once this end is open."""

    gate: threading.Event
    relaying: Relay

    def open(self) -> None:
        super().open()
        # It is open before the outlet knows of it; what is sent between the two goes to nobody.
        assert all(outlet.wait_for_consumers(LIMIT_S) for outlet in self.relaying._outlets.values())
        self.gate.set()


@pytest.fixture(params=["lsl", "replay", "relay", "neon"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[], Source]]:
    """Give a function that makes a source of the N samples of `recording`, which begin once it is open."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def lsl() -> Source:
        played = recording()
        outlet = ReplayOutlet(played, source_id=played.info.name)
        found = wait_for_streams(
            lambda all_: [s for s in all_ if s.name == played.info.name] or None, wait_s=LIMIT_S
        )
        assert found is not None
        threads.append(threading.Thread(target=outlet.run, kwargs={"wait_for_consumer_s": 300, "stop": stop}))
        threads[-1].start()
        return LslSource(found[0])

    def relay() -> Source:
        played, gate, opened = recording(), threading.Event(), threading.Event()
        relays: list[Relay] = []

        def run() -> None:
            with Relay(GatedReplay(played, gate), label=f"contract-{next(_NAMES)}") as relaying:
                relays.append(relaying)
                opened.set()
                relaying.run(stop)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        assert opened.wait(LIMIT_S)
        found = wait_for_streams(
            lambda all_: [s for s in all_ if s.name == played.info.name] or None, wait_s=LIMIT_S
        )
        assert found is not None
        source = RelayedSource(found[0])
        source.gate, source.relaying = gate, relays[0]
        return source

    phone = SimulatedNeon(SimulatorOptions(rate_hz=RATE_HZ, video=False)) if request.param == "neon" else None

    def neon() -> Source:
        assert phone is not None
        phone.start()
        return NeonSource(phone.host, phone.port, options=NeonOptions(backup=False, eye_events=False))

    # A source of a device is entered here, and every test below is its own.
    factories: dict[str, Callable[[], Source]] = {
        "lsl": lsl,
        "replay": lambda: ReplaySource(recording()),
        "relay": relay,
        "neon": neon,
    }
    yield factories[request.param]
    if phone is not None:
        phone.stop()
    stop.set()
    for thread in threads:
        thread.join()


def gaze_of(source: Source) -> StreamInfo:
    (info,) = [info for info in source.info if info.role == "gaze"]
    return info


def drain(source: Source, n: int, *, limit_s: float = 120.0) -> list[SourceBatch]:
    """Read ``n`` samples of gaze, or more: a device goes on where a recording ends."""
    batches: list[SourceBatch] = []
    end = time.monotonic() + limit_s
    while sum(b.t_remote_s.size for b in batches) < n and time.monotonic() < end:
        batch = source.read(0.2)
        if batch is not None and batch.stream_id == gaze_of(source).stream_id:
            batches.append(batch)
    return batches


def drain_closed(source: Source) -> None:
    """Read what a source still held when it was closed, until it says that there is no more."""
    while True:
        assert source.read(0.05) is not None


def test_every_sample_comes_once_in_order_with_its_values(make: Callable[[], Source]) -> None:
    source = make()
    assert isinstance(source, Source)
    began_ns = session_now_ns()
    source.open()
    try:
        info = gaze_of(source)
        batches = drain(source, N)
        frames = np.concatenate([b.columns["frame_number"] for b in batches])
        assert frames[:N].tolist() == list(range(N))
        for batch in batches:
            assert batch.stream_id == info.stream_id
            assert set(batch.columns) == {channel.column for channel in info.channels}
            n = batch.t_remote_s.size
            assert n >= 1
            assert batch.t_remote_s.dtype == np.float64
            assert batch.t_received_ns.dtype == np.int64
            assert batch.t_received_ns.shape == (n,)
            assert all(values.shape == (n,) for values in batch.columns.values())
        t_s = np.concatenate([b.t_remote_s for b in batches])
        tick_s = 1.2e-5 if isinstance(source, NeonSource) else 1e-6
        np.testing.assert_allclose(np.diff(t_s), 1 / RATE_HZ, atol=tick_s)
        received = np.concatenate([b.t_received_ns for b in batches])
        assert (np.diff(received) >= 0).all()
        assert began_ns < received[0] <= received[-1] <= session_now_ns()
        if isinstance(source, NeonSource):
            return  # a device goes on, and what it sends is compared in tests/fault/test_neon_faults.py
        x = np.concatenate([b.columns["x"] for b in batches])
        assert np.isnan(x[::50]).all()
        assert np.isfinite(x).sum() == N - N // 50
        assert source.read(0.05) is None, "nothing comes after the last sample"
    finally:
        source.close()


def test_a_reader_that_stalls_loses_nothing(make: Callable[[], Source]) -> None:
    source = make()
    source.open()
    try:
        first = drain(source, 1)
        time.sleep(N / RATE_HZ + 0.3)
        rest = drain(source, N - sum(b.t_remote_s.size for b in first))
        frames = np.concatenate([b.columns["frame_number"] for b in first + rest])
        assert frames.size >= N
        assert frames.tolist() == list(range(frames.size))
    finally:
        source.close()


def test_its_clock_is_measured_when_it_opens_and_told_once(make: Callable[[], Source]) -> None:
    source = make()
    began_ns = session_now_ns()
    source.open()
    try:
        offsets = source.offsets()
        assert [offset.stream_id for offset in offsets] == [info.stream_id for info in source.info]
        (offset,) = [offset for offset in offsets if offset.stream_id == gaze_of(source).stream_id]
        # A Neon counts from 1970, the session clock does not; both ends are this host.
        before_ns, unix_s, after_ns = session_now_ns(), time.time(), session_now_ns()
        ahead_s = unix_s - after_ns / 1e9 if isinstance(source, NeonSource) else 0.0
        # How far off it may be says the source itself: it knows how busy the host was.
        assert offset.uncertainty_s >= 0
        assert abs(offset.offset_s + ahead_s) <= offset.uncertainty_s + (after_ns - before_ns) / 1e9 + 1e-3
        assert began_ns <= offset.t_ns <= after_ns
        assert source.offsets() == []
        assert source.marks() == []
        (batch, *_) = drain(source, 1)
        taken_s = batch.t_remote_s[-1] + offset.offset_s
        margin_s = offset.uncertainty_s + 0.05
        assert began_ns / 1e9 - margin_s < taken_s < session_now_ns() / 1e9 + margin_s
    finally:
        source.close()


def test_it_describes_gaze_that_a_profile_reads(make: Callable[[], Source]) -> None:
    source = make()
    source.open()
    try:
        info = gaze_of(source)
        assert profiles.match(info) is not None
        assert {channel.kind for channel in info.channels} >= {"ScreenX", "ScreenY", "FrameNumber"}
        assert info == replace(info, channels=tuple(info.channels))
    finally:
        source.close()


def test_closing_ends_it_and_twice_is_once(make: Callable[[], Source]) -> None:
    source = make()
    source.open()
    source.close()
    source.close()
    with pytest.raises(SourceError):
        drain_closed(source)

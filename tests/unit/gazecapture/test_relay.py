"""The relay: what the outlets say, and what they must not say."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pylsl
import pytest

from gazecapture.session.schema import StreamChannel, StreamInfo
from gazecapture.sources.lsl import LslSource, wait_for_streams
from gazecapture.sources.protocol import ClockOffset, SourceBatch, SourceMark
from gazecapture.sources.relay import Relay, relayed_info
from keyframes.errors import StreamLostError
from keyframes.reading import Tracker
from tests.waiting import LIMIT_S

GAZE = StreamInfo(
    stream_id="eye", role="gaze", name="Some eye", kind="Gaze", channel_format="float32", nominal_rate_hz=100.0,
    channels=(
        StreamChannel(column="x", label="x", kind="ScreenX", eye="both", unit="pixels", coordinate_system="world"),
        StreamChannel(column="source_time", label="source_time", kind="Time", unit="seconds"),
    ),
    tracker=Tracker(manufacturer="Acme", model="Eye 1"), source_id="serial-4711", xml="<info>serial-4711</info>",
)  # fmt: skip
EVENTS = StreamInfo(
    stream_id="events", role="other", name="Some events", kind="Markers", channel_format="string",
    nominal_rate_hz=0.0, channels=(StreamChannel(column="event", label="event"),), source_id="serial-4711",
)  # fmt: skip
OFFSET_S = 1000.0


class Device:
    """Two streams whose clock is ``OFFSET_S`` behind; begins when told."""

    info = (GAZE, EVENTS)

    def __init__(self) -> None:
        self.go = threading.Event()
        self.closed = False
        self.t_s = np.empty(0)
        self._rest: list[SourceBatch] = []

    def open(self) -> None:
        self.t_s = pylsl.local_clock() - OFFSET_S + np.arange(5) / 100
        received = np.zeros(5, np.int64)
        x = np.array([1.5, np.nan, 2.5, 3.5, 4.5], np.float32)
        self._rest = [
            SourceBatch(stream_id="eye", t_remote_s=self.t_s, t_received_ns=received,
                        columns={"x": x, "source_time": np.arange(5, dtype=np.float32)}),
            SourceBatch(stream_id="events", t_remote_s=self.t_s[:1], t_received_ns=received[:1],
                        columns={"event": np.array(["blink"], object)}),
        ]  # fmt: skip

    def read(self, timeout_s: float) -> SourceBatch | None:
        if self.closed:
            raise StreamLostError("closed")
        if self.go.wait(timeout_s) and self._rest:
            return self._rest.pop(0)
        time.sleep(0.01)
        return None

    def offsets(self) -> list[ClockOffset]:
        return [
            ClockOffset(stream_id=i.stream_id, t_ns=0, offset_s=OFFSET_S, uncertainty_s=0.0)
            for i in self.info
        ]

    def marks(self) -> list[SourceMark]:
        return []

    def close(self) -> None:
        self.closed = True


def receive(source: LslSource, n: int) -> SourceBatch:
    """Return the first batches of a source that begins with n samples, as one."""
    batches: list[SourceBatch] = []
    end = time.monotonic() + LIMIT_S
    while sum(b.t_remote_s.size for b in batches) < n and time.monotonic() < end:
        batch = source.read(0.2)
        batches += [] if batch is None else [batch]
    joined = {k: np.concatenate([b.columns[k] for b in batches]) for k in batches[0].columns}
    t_s = np.concatenate([b.t_remote_s for b in batches])
    return SourceBatch(
        stream_id="", t_remote_s=t_s, t_received_ns=np.zeros(t_s.size, np.int64), columns=joined
    )


def test_every_stream_goes_out_on_the_local_clock_with_its_raw_time_beside_it() -> None:
    device, stop = Device(), threading.Event()
    with Relay(device) as relay:
        found = wait_for_streams(
            lambda all_: ours if len(ours := [s for s in all_ if s.name.startswith("Some ")]) == 2 else None,
            wait_s=LIMIT_S,
        )
        assert found is not None
        sources = [LslSource(stream) for stream in found]
        for source in sources:
            source.open()
        # An inlet is open before its outlet knows of it; what is sent between the two goes to nobody.
        assert all(outlet.wait_for_consumers(LIMIT_S) for outlet in relay._outlets.values())
        running = threading.Thread(target=relay.run, args=(stop,))
        running.start()
        device.go.set()
        by_kind = {source.info[0].kind: source for source in sources}
        events, gaze = receive(by_kind["Markers"], 1), receive(by_kind["Gaze"], 5)
        stop.set()
        running.join()
        xml = [source.info[0].xml for source in sources]
        for source in sources:
            source.close()
    assert device.closed
    assert relay.n_sent == {"Some eye": 5, "Some events": 1}
    np.testing.assert_allclose(gaze.t_remote_s, device.t_s + OFFSET_S, atol=1e-6)
    np.testing.assert_array_equal(gaze.columns["relay_source_time"], device.t_s)
    np.testing.assert_array_equal(gaze.columns["source_time"], np.arange(5))
    np.testing.assert_array_equal(gaze.columns["x"], [1.5, np.nan, 2.5, 3.5, 4.5])
    assert events.columns["event"].tolist() == ["blink"]
    assert float(events.columns["source_time"][0]) == device.t_s[0]
    for text in xml:
        assert "4711" not in text, "no serial number"
    ids = [stream.source_id for stream in found]
    assert all(socket.gethostname() not in source_id for source_id in ids)
    assert len(set(ids)) == 2


def test_two_relays_are_never_taken_for_one() -> None:
    with Relay(Device()) as one, Relay(Device()) as other:
        ids = wait_for_streams(
            lambda all_: (
                {s.source_id for s in all_ if s.name == "Some eye"}
                if sum(s.name == "Some eye" for s in all_) >= 2
                else None
            ),
            wait_s=LIMIT_S,
        )
        assert one.names == other.names
    assert ids is not None
    assert len(ids) == 2


@pytest.mark.parametrize(("info", "channel_format"), [(GAZE, "double64"), (EVENTS, "string")])
def test_what_an_outlet_says(info: StreamInfo, channel_format: str) -> None:
    sent = relayed_info(info)
    assert sent.channel_format == channel_format
    assert sent.channels[:-1] == info.channels
    assert sent.channels[-1].kind == "RawTime"
    assert (sent.source_id, sent.xml) == ("", "")


def test_a_neon_is_relayed_as_gaze_of_its_scene_camera() -> None:
    """The command, between the simulated phone and a receiver; all three are processes of their own."""
    phone = subprocess.Popen(
        [sys.executable, "-m", "gazecapture", "simulate-neon", "--no-video", "--seconds", "900"],
        stdout=subprocess.PIPE,
        text=True,
    )
    relay = None
    try:
        assert phone.stdout is not None
        port = str(json.loads(phone.stdout.readline())["port"])
        relay = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "gazecapture",
                "relay",
                "neon",
                "--host",
                "127.0.0.1",
                "--port",
                port,
                "--json",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        found = wait_for_streams(
            lambda all_: [s for s in all_ if s.name == "Neon Gaze"] or None, wait_s=LIMIT_S
        )
        assert found is not None
        source = LslSource(found[0])
        began_s = pylsl.local_clock()
        source.open()
        gaze = receive(source, 100)
        ended_s = pylsl.local_clock()
        (info,) = source.info
        source.close()
        relay.send_signal(signal.SIGINT)
        counts, _ = relay.communicate(timeout=LIMIT_S)
    finally:
        for process in (relay, phone):
            if process is not None:
                process.kill()
                process.communicate()
    assert (info.role, info.profile) == ("gaze", "neon-direct")
    assert json.loads(counts)["n_sent"]["Neon Gaze"] >= gaze.t_remote_s.size
    # The simulated clock is this machine's: raw unix time there, the local clock on the wire.
    np.testing.assert_allclose(np.median(np.diff(gaze.columns["source_time"])), 0.005, rtol=0.1)
    assert began_s - 1 < gaze.t_remote_s[-1] < ended_s + 1
    assert "sim" not in found[0].source_id.lower()

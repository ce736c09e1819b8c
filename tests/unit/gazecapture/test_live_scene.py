"""Gaze of a scene camera on the screen while it comes: video packets in, screen px out."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from gazecapture.clock import session_now_ns
from gazecapture.screen.measures import EyeSamples
from gazecapture.screen.scene_camera import SceneCamera
from gazecapture.screen.tags import tag_layout
from gazecapture.session.schema import StreamInfo
from gazecapture.sources.neon_payload import GAZE_LAYOUTS
from gazecapture.sources.neon_rtp import OrderedPacket, RtpPacket
from gazecapture.sources.neon_rtsp import MediaDescription
from gazecapture.sources.neon_simulator.camera import H264Encoder
from gazecapture.sources.neon_simulator.camera import SceneCamera as SimulatedCamera
from gazecapture.sources.neon_simulator.options import SCREEN
from gazecapture.sources.neon_simulator.packets import h264_payloads
from gazecapture.sources.neon_simulator.wearer import Wearer
from gazecapture.sources.neon_streams import describe_gaze, tracker_of
from gazecapture.sources.protocol import ClockOffset, SourceBatch, SourceMark
from gazecapture.viewer.live_gaze import LiveGaze
from gazecapture.viewer.live_scene import LiveScene
from keyframes.errors import DeviceUnavailableError
from tests.waiting import LIMIT_S

RATE_HZ, N = 30.0, 12
STEP_NS = round(1e9 / RATE_HZ)
T0_NS = 1_700_000_000_000_000_000
"""Of the device's clock at the first picture."""
OFFSET_S = 5.0
TAGS = tag_layout(1920, 1080, width_mm=SCREEN.width_mm, height_mm=SCREEN.height_mm)


class World:
    """A wearer, a camera, and the packets of its video, coded once."""

    def __init__(self) -> None:
        self.wearer = Wearer(SCREEN, seed=1)
        self.simulated = SimulatedCamera(self.wearer, SCREEN, scale=1.0, noise_sd=2, blur_px=0.8, seed=1)
        self.camera = SceneCamera(matrix=self.simulated.matrix, distortion=self.simulated.distortion)
        encoder = H264Encoder(self.simulated.width_px, self.simulated.height_px, RATE_HZ)
        self.pictures: list[list[OrderedPacket]] = []
        number = 0
        for picture in range(N):
            packets = []
            units = encoder.units(self.simulated.picture(picture / RATE_HZ, picture))
            for payload, is_last in h264_payloads(units):
                packet = RtpPacket(
                    sequence=number % 2**16, timestamp=3000 * picture, ssrc=1, marker=is_last,
                    payload=payload, t_received_ns=0,
                )  # fmt: skip
                packets.append(OrderedPacket(packet=packet, number=number, ticks=3000 * picture))
                number += 1
            self.pictures.append(packets)

    def gaze(self, device_ns: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the wearer looks on the screen, and where that is in the picture; (n, 2) each."""
        seconds = (device_ns - T0_NS) / 1e9
        looked = np.array([self.wearer.gaze_screen_px(t) for t in seconds])
        seen = [self.simulated.project(x, y, t) for (x, y), t in zip(looked, seconds, strict=True)]
        return looked, np.array(seen)

    def feed(self, scene: LiveScene, pictures: range, *, without: int | None = None) -> None:
        for picture in pictures:
            for place, packet in enumerate(self.pictures[picture]):
                if without is None or (picture, place) != (without, 0):
                    scene.push(packet, (T0_NS + picture * STEP_NS) / 1e9, 0)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture
def scene(world: World) -> Iterator[LiveScene]:
    made = LiveScene(world.camera, TAGS)
    made.described(MediaDescription())
    yield made
    made.close()


def wait_until_looked(scene: LiveScene, picture: int) -> None:
    end = time.monotonic() + LIMIT_S
    # Seconds as a float hold the device's clock to a quarter of a microsecond.
    while scene.newest_ns is None or scene.newest_ns < T0_NS + picture * STEP_NS - 1000:
        assert time.monotonic() < end, "the picture is never looked at"
        time.sleep(0.01)


def errors_px(world: World, scene: LiveScene, device_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    looked, seen = world.gaze(device_ns)
    x, y = scene.to_screen(device_ns, seen[:, 0], seen[:, 1])
    return np.hypot(x - looked[:, 0], y - looked[:, 1])


def test_gaze_between_two_pictures_is_on_the_screen(world: World, scene: LiveScene) -> None:
    for picture in range(N):
        world.feed(scene, range(picture, picture + 1))
        wait_until_looked(scene, picture)
    device_ns = T0_NS + np.arange(0, (N - 1) * STEP_NS, 5_000_000)
    errors = errors_px(world, scene, device_ns)
    assert np.isfinite(errors[1:]).all()
    assert np.nanmedian(errors) < 2
    later = errors_px(world, scene, device_ns[-3:] + 3 * STEP_NS)
    assert np.isnan(later).all(), "nothing is held beyond the newest picture"


def test_a_lost_packet_unmaps_until_the_next_whole_picture(world: World, scene: LiveScene) -> None:
    world.feed(scene, range(4), without=2)
    wait_until_looked(scene, 1)
    time.sleep(0.2)
    assert scene.newest_ns is not None
    assert scene.newest_ns < T0_NS + 2 * STEP_NS - 1000, "what builds on a broken picture is not looked at"
    world.feed(scene, range(1))  # a key frame
    wait_until_looked(scene, 0)


class Glasses:
    """Gaze of a scene camera as a source, at the pace at which it is asked."""

    def __init__(self, world: World) -> None:
        self.info: tuple[StreamInfo, ...] = (describe_gaze(GAZE_LAYOUTS[9], "SIM001", tracker_of("SIM001")),)
        self._world = world
        self._next_ns = T0_NS

    def open(self) -> None:
        pass

    def read(self, timeout_s: float) -> SourceBatch | None:
        if self._next_ns >= T0_NS + (N + 60) * STEP_NS:
            time.sleep(timeout_s)
            return None
        device_ns = self._next_ns + 5_000_000 * np.arange(4)
        self._next_ns += 20_000_000
        _, seen = self._world.gaze(device_ns)
        known = {"x_scene_px": seen[:, 0], "y_scene_px": seen[:, 1], "worn": np.full(4, 255.0)}
        columns = {c.column: known.get(c.column, np.zeros(4)) for c in self.info[0].channels}
        received = np.full(4, session_now_ns(), np.int64)
        return SourceBatch(
            stream_id=self.info[0].stream_id,
            t_remote_s=device_ns / 1e9,
            t_received_ns=received,
            columns=columns,
        )

    def offsets(self) -> list[ClockOffset]:
        moment = session_now_ns()
        return [
            ClockOffset(stream_id=self.info[0].stream_id, t_ns=moment, offset_s=OFFSET_S, uncertainty_s=0.0)
        ]

    def marks(self) -> list[SourceMark]:
        return []

    def close(self) -> None:
        pass


def test_live_gaze_waits_for_its_picture_and_gives_up_in_time(world: World) -> None:
    scene = LiveScene(world.camera, TAGS)
    scene.described(MediaDescription())
    for picture in range(N):
        world.feed(scene, range(picture, picture + 1))
        wait_until_looked(scene, picture)
    gaze = LiveGaze(Glasses(world), SCREEN, scene=scene)
    gaze.start()
    got: list[EyeSamples] = []
    try:
        end = time.monotonic() + LIMIT_S
        n_all = (N + 60) * STEP_NS // 20_000_000 * 4 - 4 * 26  # the last half second still waits
        while sum(part.t_ns.size for part in got) < n_all and time.monotonic() < end:
            time.sleep(0.02)
            got.append(gaze.take())
    finally:
        gaze.close()
    whole = EyeSamples.join([part for part in got if part.t_ns.size])
    assert set(whole.x_screen_px) == {"both"}
    assert (np.diff(whole.t_ns) > 0).all()
    device_ns = whole.t_ns - round(OFFSET_S * 1e9)
    inside = device_ns < T0_NS + (N - 1) * STEP_NS - 1000
    looked, _ = world.gaze(device_ns[inside])
    x = whole.x_screen_px["both"]
    mapped = np.isfinite(x[inside])
    assert mapped[1:].all()
    assert np.median(np.abs(x[inside][mapped] - looked[mapped, 0])) < 2
    assert np.isnan(x[~inside]).all(), "what has no picture is given as unmapped, not kept back for ever"
    assert (~inside).any()


def test_gaze_of_a_scene_camera_without_its_video_is_refused(world: World) -> None:
    gaze = LiveGaze(Glasses(world), SCREEN)
    with pytest.raises(DeviceUnavailableError, match="not on the screen"):
        gaze.start()

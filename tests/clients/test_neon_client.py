"""The simulated Neon as the official client sees it: if that takes it for a phone, our source meets a real one."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pupil_labs.realtime_api import Device, receive_eye_events_data, receive_gaze_data, receive_imu_data
from pupil_labs.realtime_api.device import DeviceError
from pupil_labs.realtime_api.simple import Device as SimpleDevice
from pupil_labs.realtime_api.streaming.gaze import (
    BinoAndDualMonoGazeData,
    DualMonocularGazeData,
    EyestateEyelidDualMonoGazeData,
    EyestateEyelidGazeData,
    EyestateGazeData,
    GazeData,
)
from pupil_labs.realtime_api.streaming.video import receive_video_frames
from pupil_labs.realtime_api.time_echo import TimeOffsetEstimator

from gazecapture.sources.neon_simulator import Faults, SimulatedNeon, SimulatorOptions

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

OFFSET_S = 5.0


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """The client leaves connections to the garbage collector, which else complains of them in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def phone() -> Iterator[SimulatedNeon]:
    options = SimulatorOptions(
        video_scale=0.25,
        video_rate_hz=10.0,
        faults=Faults(clock_offset_s=OFFSET_S, drift_ppm=50.0),
    )
    with SimulatedNeon(options) as served:
        yield served


def with_device(phone: SimulatedNeon, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Device(phone.host, phone.port) as device:
            return await asyncio.wait_for(work(device), 180)

    return asyncio.run(run())


async def some(stream: AsyncIterator[Any], n: int) -> list[Any]:
    found = []
    async for item in stream:
        found.append(item)
        if len(found) == n:
            break
    return found


def test_status_recording_events_and_templates(phone: SimulatedNeon) -> None:
    async def work(device: Any) -> None:
        status = await device.get_status()
        assert status.phone.battery_state == "OK"
        assert status.hardware.module_serial == "SIM001"
        sensors = (
            status.direct_gaze_sensor(),
            status.direct_world_sensor(),
            status.direct_eye_events_sensor(),
        )
        assert all(sensor is not None and sensor.connected for sensor in sensors)
        recording = await device.recording_start()
        with pytest.raises(DeviceError):
            await device.recording_start()
        event = await device.send_event("reading 3 on", event_timestamp_unix_ns=1234)
        assert (event.timestamp, event.recording_id) == (1234, recording)
        assert (await device.get_status()).recording.id == recording
        seen = []
        async for component in device.status_updates():
            seen.append(type(component).__name__)
            if component.__class__.__name__ == "Recording":
                break
        assert {"Phone", "Hardware", "Sensor", "Recording"} <= set(seen)
        await device.recording_stop_and_save()
        assert (await device.get_template()).name == "Simulated"

    with_device(phone, work)
    assert phone.events[-1]["name"] == "reading 3 on"
    assert phone.recordings[-1]["action"] == "SAVE"


def test_calibration_and_time_echo(phone: SimulatedNeon) -> None:
    async def work(device: Any) -> None:
        calibration = await device.get_calibration()
        assert calibration.serial == "SIM001"
        assert calibration.scene_camera_matrix.reshape(3, 3)[0, 0] == pytest.approx(890 * 0.25)
        assert np.count_nonzero(calibration.scene_distortion_coefficients) == 8
        port = (await device.get_status()).phone.time_echo_port
        estimate: Any = await TimeOffsetEstimator(phone.host, port).estimate(30)
        # Each echo is sure to half its way there and back, and the phone's whole milliseconds.
        sure_ms = max(estimate.roundtrip_duration_ms.measurements) / 2 + 5
        assert estimate.time_offset_ms.median == pytest.approx(-1000 * OFFSET_S, abs=sure_ms)

    with_device(phone, work)


def test_scene_video_events_and_motion_are_decoded(phone: SimulatedNeon) -> None:
    async def work(device: Any) -> None:
        status = await device.get_status()
        frames, events, motion = await asyncio.gather(
            some(receive_video_frames(status.direct_world_sensor().url), 3),
            some(receive_eye_events_data(status.direct_eye_events_sensor().url), 4),
            some(receive_imu_data(status.direct_imu_sensor().url), 20),
        )
        picture = frames[-1].bgr_buffer()
        assert picture.shape == (300, 400, 3)
        assert np.ptp(picture) > 100, "the tags are black and white"
        assert {event.event_type for event in events} <= {0, 1, 2, 3, 4, 5}
        assert motion[0].accel_data.z == pytest.approx(9.81)
        steps = np.diff([datum.timestamp_unix_seconds for datum in motion])
        assert np.median(steps) == pytest.approx(1 / 110, abs=1e-4)

    with_device(phone, work)


@pytest.mark.parametrize(
    ("payload", "kind", "tcp"),
    [
        ("gaze", GazeData, False),
        ("dual_monocular", DualMonocularGazeData, False),
        ("gaze_dual", BinoAndDualMonoGazeData, False),
        ("eye_state", EyestateGazeData, False),
        ("eye_state_lids", EyestateEyelidGazeData, False),
        ("eye_state_lids_dual", EyestateEyelidDualMonoGazeData, False),
        ("gaze", GazeData, True),
    ],
)
def test_gaze_of_every_kind_has_the_clients_class(payload: str, kind: type, tcp: bool) -> None:
    options = SimulatorOptions(payload=payload, video=False, eye_events=False, imu=False, tcp=tcp)

    async def work(device: Any) -> None:
        url = (await device.get_status()).direct_gaze_sensor().url
        assert url.startswith("rtspt://" if tcp else "rtsp://")
        gaze = await some(receive_gaze_data(url), 30)
        assert all(isinstance(datum, kind) for datum in gaze)
        steps = np.diff([datum.timestamp_unix_seconds for datum in gaze])
        np.testing.assert_allclose(steps, 0.005, atol=2e-5)

    with SimulatedNeon(options) as phone:
        with_device(phone, work)
        truth = phone.truth.packets("gaze")
        assert all(packet.fate == "sent" for packet in truth)


def test_the_simple_client_works_too(phone: SimulatedNeon) -> None:
    device: Any = SimpleDevice(phone.host, phone.port)
    try:
        gaze = device.receive_gaze_datum(timeout_seconds=180)
        assert gaze is not None
        assert 0 < gaze.x < 400
        scene = device.receive_scene_video_frame(timeout_seconds=180)
        assert scene is not None
        assert scene.bgr_pixels.shape == (300, 400, 3)
    finally:
        device.close()

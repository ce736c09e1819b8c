"""What each simulated sensor gives: a payload, or several, for every sample of its own grid of times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from gazecapture.sources.neon_payload import GazeLayout
from gazecapture.sources.neon_phone import import_neon
from gazecapture.sources.neon_simulator.camera import H264Encoder, SceneCamera
from gazecapture.sources.neon_simulator.packets import eye_event_payload, gaze_payload, h264_payloads
from gazecapture.sources.neon_simulator.wearer import SACCADE_S, Look, Wearer

__all__ = ["EyeEventSensor", "GazeSensor", "ImuSensor", "Sample", "SceneSensor", "Sensor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample of a sensor."""

    payloads: list[tuple[bytes, bool]]
    """With whether the packet is the last one of the sample."""
    gaze: tuple[float, float, float, float] | None = None
    """Of gaze: x, y on the screen, x, y in the scene picture, px."""


class Sensor(Protocol):
    """Samples at times since the simulator began."""

    name: str
    media: str
    encoding: str
    rate_hz: float

    def stream(self) -> Any:
        """Return what one receiver's stream needs of its own, such as an encoder."""
        ...

    def sample(self, number: int, t_s: float, unix_s: float, stream: Any) -> Sample:
        """Return sample ``number``, taken ``t_s`` after the start, when the phone's clock showed ``unix_s``."""
        ...


class GazeSensor:
    """Where the wearer looks, in the scene picture."""

    name, media, encoding = "gaze", "application", "com.pupillabs.gaze1"

    def __init__(
        self, wearer: Wearer, camera: SceneCamera, layout: GazeLayout, *, rate_hz: float, extra_bytes: int
    ) -> None:
        self.rate_hz = rate_hz
        self._wearer, self._camera, self._layout = wearer, camera, layout
        self._extra = bytes(range(extra_bytes))

    def stream(self) -> None:
        """Nothing."""

    def sample(self, number: int, t_s: float, unix_s: float, stream: Any) -> Sample:
        """Return one gaze datum."""
        x, y = self._wearer.gaze_screen_px(t_s)
        u, v = self._camera.project(x, y, t_s)
        payload = gaze_payload(self._layout, u, v, worn=True) + self._extra
        return Sample(payloads=[(payload, True)], gaze=(x, y, u, v))


class SceneSensor:
    """The scene camera's video."""

    name, media, encoding = "world", "video", "H264"

    def __init__(self, camera: SceneCamera, *, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._camera = camera
        self._picture: tuple[int, Any] = (-1, None)

    def stream(self) -> H264Encoder:
        """Return the encoder."""
        return H264Encoder(self._camera.width_px, self._camera.height_px, self.rate_hz)

    def sample(self, number: int, t_s: float, unix_s: float, stream: H264Encoder) -> Sample:
        """Return one picture, packetised."""
        if self._picture[0] != number:
            self._picture = number, self._camera.picture(t_s, number)
        return Sample(payloads=list(h264_payloads(stream.units(self._picture[1]))))


class EyeEventSensor:
    """The phone's own detector: events when they end, onsets when they begin, a keep-alive in between."""

    name, media, encoding = "eye_events", "application", "com.pupillabs.eye_events1"
    rate_hz = 50.0
    _KEEP_ALIVE_SAMPLES = 50

    def __init__(self, wearer: Wearer, camera: SceneCamera) -> None:
        self._wearer, self._camera = wearer, camera

    def stream(self) -> dict[str, Look | None]:
        """Return the fixation that was told last."""
        return {"told": None}

    def sample(self, number: int, t_s: float, unix_s: float, stream: dict[str, Look | None]) -> Sample:
        """Return the events that ended since the last sample."""
        payloads = list(self._events(t_s, unix_s, stream))
        if not payloads and number % self._KEEP_ALIVE_SAMPLES == 0:
            payloads.append(eye_event_payload(5, 0))
        return Sample(payloads=[(payload, True) for payload in payloads])

    def _events(self, t_s: float, unix_s: float, stream: dict[str, Look | None]) -> Iterator[bytes]:
        look, told = self._wearer.look(t_s), stream["told"]
        if told is None or look.start_s <= told.start_s:
            stream["told"] = told or look
            return
        stream["told"] = look

        def unix_ns(of_s: float) -> int:
            return round((unix_s - t_s + of_s) * 1e9)

        start, end = (self._camera.project(k.x_screen_px, k.y_screen_px, t_s) for k in (told, look))
        mean = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        length_px = ((start[0] - end[0]) ** 2 + (start[1] - end[1]) ** 2) ** 0.5
        length_deg = length_px / self._camera.matrix[0, 0] * 57.3
        yield eye_event_payload(
            1, unix_ns(told.start_s), unix_ns(told.end_s), (*start, *start, *start, 0.0, 0.0, 0.0, 0.0)
        )
        if told.blink_after:
            yield eye_event_payload(4, unix_ns(told.end_s), unix_ns(look.start_s))
        else:
            speed = length_px / SACCADE_S
            numbers = (*start, *end, *mean, length_px, length_deg, speed, 1.9 * speed)
            yield eye_event_payload(0, unix_ns(told.end_s), unix_ns(look.start_s), numbers)
        yield eye_event_payload(3, unix_ns(look.start_s))


class ImuSensor:
    """A head at rest: gravity, and no turning."""

    name, media, encoding = "imu", "application", "com.pupillabs.imu1"

    def __init__(self, *, rate_hz: float) -> None:
        self.rate_hz = rate_hz

    def stream(self) -> None:
        """Nothing."""

    def sample(self, number: int, t_s: float, unix_s: float, stream: Any) -> Sample:
        """Return one IMU datum."""
        packet = import_neon().ImuPacket()
        packet.tsNs = round(unix_s * 1e9)
        packet.accelData.z = 9.81
        packet.rotVecData.w = 1.0
        return Sample(payloads=[(packet.SerializeToString(), True)])

"""Gaze as it comes, for what the viewer shows and measures itself. No Qt.

A connection of its own, beside the recorder's: what the window does with it neither delays nor loses what is recorded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gazecapture import profiles
from gazecapture.screen.measures import EyeSamples
from gazecapture.screen.scene_camera import read_scene_camera
from gazecapture.screen.tags import ScreenTag
from gazecapture.session.schema import StreamInfo, read_stream_info
from gazecapture.sources.lsl import LslSource, wait_for_streams
from gazecapture.sources.neon import NeonSource
from gazecapture.sources.neon_options import NeonChoice, NeonOptions
from gazecapture.sources.neon_streams import SCENE
from gazecapture.sources.protocol import Source, SourceBatch
from gazecapture.viewer.film_check import GazeCount
from gazecapture.viewer.live_scene import LiveScene
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, GazeToolError
from keyframes.geometry import Display

__all__ = ["LiveGaze", "live_neon", "live_source"]

_LOGGER = logging.getLogger(__name__)

READ_S = 0.2
GATHER_S = 0.01
"""s slept between two reads: normalising samples one by one would cost a tenth of a core at 1000 Hz, and no screen
shows more than one frame in that time."""
LONGEST_WAIT_NS = 500_000_000
"""ns that gaze of a scene camera waits for its picture: whoever measures the tracker wants it now or never."""
KEPT_BATCHES = 2000
"""Batches kept for a window that does not take them; older ones are of no use to it."""


@dataclass(frozen=True, slots=True)
class _SceneGaze:
    """Gaze that waits for its picture."""

    t_ns: NDArray[np.int64]
    device_ns: NDArray[np.int64]
    x_scene_px: NDArray[np.float64]
    y_scene_px: NDArray[np.float64]


def live_neon(session: Path, neon: NeonChoice, tags: Sequence[ScreenTag]) -> tuple[Source, LiveScene]:
    """Return a second source of a Neon that is being recorded, and what puts its gaze on the screen; both not open.

    Raises SchemaError where the camera's calibration was not recorded.
    """
    camera = read_scene_camera(session / "video" / SCENE / "calibration.json")
    scene = LiveScene(camera, tags)
    options = NeonOptions(video=True, eye_events=False, imu=False, backup=False, tcp=neon.options.tcp)
    return NeonSource(neon.host, neon.port, scene=scene, options=options), scene


def live_source(session: Path, *, wait_s: float) -> Source:
    """Return a second source, not yet open, of the gaze stream that is being recorded into ``session``.

    Raises DeviceUnavailableError where no gaze stream is recorded or its sender does not answer within ``wait_s``.
    """
    for described in sorted((session / "streams").glob("*/stream.json")):
        info = read_stream_info(described.parent)
        if info.role != "gaze":
            continue
        found = wait_for_streams(
            lambda streams, info=info: (
                [  # type: ignore[misc]
                    s for s in streams if (s.name, s.source_id) == (info.name, info.source_id)
                ]
                or None
            ),
            wait_s=wait_s,
        )
        if found:
            return LslSource(max(found, key=lambda stream: stream.created_at))
    raise DeviceUnavailableError(
        "the gaze stream that is recorded cannot be read a second time",
        reason=DeviceUnavailableReason.NOT_FOUND,
        hint="Is its sender still running? `gazecapture read --no-validation` goes on without it.",
        code="GT-NO-LIVE-GAZE",
    )


class LiveGaze:
    """Reads a source in a thread of its own and gives what came as screen px by eye.

    Parameters
    ----------
    source       : not open; opened and closed here.
    display      : for senders that give shares of the screen.
    own_profiles : a user's own, which come before the built-in ones.
    scene        : where the screen is in the scene camera's picture, for gaze in its px; closed here too. Such
        gaze waits for the picture after it, a tenth of a second.
    longest_wait_ns : ns that it waits before it counts as unmapped.
    """

    def __init__(
        self,
        source: Source,
        display: Display | None,
        *,
        own_profiles: Sequence[profiles.Profile] = (),
        scene: LiveScene | None = None,
        longest_wait_ns: int = LONGEST_WAIT_NS,
    ) -> None:
        self._source = source
        self._display = display
        self._own_profiles = own_profiles
        self._scene = scene
        self._longest_wait_ns = longest_wait_ns
        self._waiting: deque[_SceneGaze] = deque()
        self._offset_s = 0.0
        self._samples: deque[EyeSamples] = deque(maxlen=KEPT_BATCHES)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._n_samples = self._n_valid = 0
        self.trouble = ""
        """Why nothing comes any more; empty while all is well."""

    def start(self) -> None:
        """Connect and begin. Blocks for as long as connecting takes. Raises DeviceUnavailableError, DataError."""
        self._source.open()
        try:
            (info,) = [info for info in self._source.info if info.role == "gaze"]
            profile = self._profile_of(info)
        except BaseException:
            self._close_sources()
            raise
        self._thread = threading.Thread(target=self._run, args=(info, profile), name="live-gaze", daemon=True)
        self._thread.start()

    def _profile_of(self, info: StreamInfo) -> profiles.Profile:
        profile = profiles.match(info, extra=self._own_profiles)
        if profile is None:
            raise DeviceUnavailableError(
                f"no stream profile fits stream {info.name!r}",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Give the tracker's channels in a profile file.",
                code="GT-NO-PROFILE",
            )
        if profile.frame == "scene" and self._scene is None:
            raise DeviceUnavailableError(
                f"stream {info.name!r} gives gaze in the picture of a scene camera, not on the screen",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Read a Neon by --neon HOST, or leave validations out: --no-validation.",
                code="GT-SCENE-GAZE",
            )
        return profile

    def take(self) -> EyeSamples:
        """Return what came since the last call; never blocks."""
        parts = []
        while self._samples:
            parts.append(self._samples.popleft())
        return EyeSamples.join(parts)

    def count(self) -> GazeCount:
        """Return how many samples came since the start, and how many told where an eye looked."""
        return GazeCount(n_samples=self._n_samples, n_valid=self._n_valid)

    def close(self) -> None:
        """End; a second call does nothing."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._close_sources()

    def _close_sources(self) -> None:
        self._source.close()
        if self._scene is not None:
            self._scene.close()

    def _run(self, info: StreamInfo, profile: profiles.Profile) -> None:
        try:
            while not self._end.is_set():
                batch = self._source.read(READ_S)
                for offset in self._source.offsets():
                    self._offset_s = offset.offset_s
                if batch is not None and batch.stream_id == info.stream_id:
                    self._take_batch(batch, info, profile)
                    time.sleep(GATHER_S)
        except GazeToolError as error:
            self.trouble = error.one_line()
            _LOGGER.warning("live gaze ended: %s", self.trouble)

    def _take_batch(self, batch: SourceBatch, info: StreamInfo, profile: profiles.Profile) -> None:
        gaze = profiles.normalise(profile, info, pa.table(dict(batch.columns)), self._display)
        x = {"left": gaze.left_x_screen_px, "right": gaze.right_x_screen_px, "both": gaze.x_screen_px}
        y = {"left": gaze.left_y_screen_px, "right": gaze.right_y_screen_px, "both": gaze.y_screen_px}
        # An eye that the tracker does not give is not lost but absent.
        for absent in {"left", "right"} - {eye for eye, _, _ in profile.channels(info, "x")}:
            del x[absent], y[absent]
        self._n_samples += batch.t_remote_s.size
        t_ns = np.round((batch.t_remote_s + self._offset_s) * 1e9).astype(np.int64)
        if gaze.x_scene_px is None or gaze.y_scene_px is None or self._scene is None:
            self._count_valid(x)
            self._samples.append(EyeSamples(t_ns=t_ns, x_screen_px=x, y_screen_px=y))
            return
        device_ns = np.round(batch.t_remote_s * 1e9).astype(np.int64)
        self._waiting.append(_SceneGaze(t_ns, device_ns, gaze.x_scene_px, gaze.y_scene_px))
        newest_ns = self._scene.newest_ns
        while self._waiting and (
            (newest_ns is not None and self._waiting[0].device_ns[-1] <= newest_ns)
            or device_ns[-1] - self._waiting[0].device_ns[-1] > self._longest_wait_ns
        ):
            waited = self._waiting.popleft()
            x_px, y_px = self._scene.to_screen(waited.device_ns, waited.x_scene_px, waited.y_scene_px)
            self._count_valid({"both": x_px})
            self._samples.append(
                EyeSamples(t_ns=waited.t_ns, x_screen_px={"both": x_px}, y_screen_px={"both": y_px})
            )

    def _count_valid(self, x_by_eye: Mapping[str, NDArray[np.float64]]) -> None:
        seen = [np.isfinite(x) for x in x_by_eye.values()]
        if seen:
            self._n_valid += int(np.count_nonzero(np.logical_or.reduce(seen)))

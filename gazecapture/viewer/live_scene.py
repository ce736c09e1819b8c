"""The scene video as it comes: where the screen is now, for gaze that has to be on it at once. No Qt.

Every picture is decoded, since each builds on the one before; when the machine falls behind, tags are looked for in the
newest only. Nothing of it is kept.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture.screen.homography import ScreenHomography
from gazecapture.screen.scene_camera import SceneCamera
from gazecapture.screen.scene_map import SceneMap
from gazecapture.screen.tag_detectors import best_detector
from gazecapture.screen.tag_tracker import TagTracker
from gazecapture.screen.tags import ScreenTag
from gazecapture.session.scene_mapping import import_av, luma
from gazecapture.sources.neon_rtp import OrderedPacket
from gazecapture.sources.neon_rtsp import MediaDescription
from gazecapture.sources.neon_video import FrameAssembler, SceneFrame

__all__ = ["LiveScene"]

_LOGGER = logging.getLogger(__name__)

START_CODE = b"\x00\x00\x00\x01"
KEPT = 30
"""Pictures whose maps are kept: a second, far longer than gaze waits for its picture."""
BEHIND = 3
"""Pictures waiting above which tags are not looked for in this one."""


class LiveScene:
    """Takes the video's packets (`gazecapture.sources.neon_scene.SceneSink`); a thread of its own does the work.

    Parameters
    ----------
    tags : on the screen.
    """

    def __init__(self, camera: SceneCamera, tags: Sequence[ScreenTag]) -> None:
        self._camera = camera
        self._tracker = TagTracker(tags, camera, best_detector())
        self._assembler = FrameAssembler()
        self._decoder: Any = None
        self._packets: queue.SimpleQueue[tuple[OrderedPacket, float] | MediaDescription | None] = (
            queue.SimpleQueue()
        )
        self._guard = threading.Lock()
        self._found: deque[tuple[int, ScreenHomography | None]] = deque(maxlen=KEPT)
        self._thread = threading.Thread(target=self._run, name="live-scene", daemon=True)
        self._thread.start()

    def described(self, media: MediaDescription) -> None:
        """Take note of a new connection."""
        self._packets.put(media)

    def push(self, ordered: OrderedPacket, t_device_s: float, _n_lost_packets: int) -> None:
        """Take a packet."""
        self._packets.put((ordered, t_device_s))

    def close(self) -> None:
        """End; a second call does nothing."""
        self._packets.put(None)
        self._thread.join()

    @property
    def newest_ns(self) -> int | None:
        """Device time of the newest picture that was looked at, ns; None before the first."""
        with self._guard:
            return self._found[-1][0] if self._found else None

    def to_screen(
        self, t_device_ns: NDArray[np.int64], x_scene_px: NDArray[np.float64], y_scene_px: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Put gaze on the screen as `SceneMap.to_screen` does, by the pictures of the last second."""
        with self._guard:
            found = list(self._found)
        scene = SceneMap.build([t for t, _ in found], [h for _, h in found], self._camera)
        return scene.to_screen(t_device_ns, x_scene_px, y_scene_px)

    def _run(self) -> None:
        t_device_s = 0.0
        while (item := self._packets.get()) is not None:
            if isinstance(item, MediaDescription):
                self._assembler = FrameAssembler()
                self._assembler.describe(item.parameter_sets)
                self._decoder = None
                continue
            ordered, t_packet_s = item
            for frame in self._assembler.push(ordered):
                # A frame that ends with the next one's first packet was taken at the time of its own.
                at_s = t_packet_s if frame.ticks == ordered.ticks else t_device_s
                self._look(frame, round(at_s * 1e9))
            t_device_s = t_packet_s

    def _look(self, frame: SceneFrame, t_device_ns: int) -> None:
        if frame.is_key and frame.is_complete and self._decoder is None:
            self._decoder = import_av().CodecContext.create("h264", "r")
            self._decoder.thread_count = 1
            sets = self._assembler.parameter_sets
            self._decoder.extradata = b"".join(START_CODE + sets[kind] for kind in sorted(sets))
        if self._decoder is None:
            return
        if not frame.is_complete:
            self._decoder = None  # what builds on it would be wrong; the next key frame begins anew
            self._tracker.forget()
            return
        for picture in self._decode(frame.annex_b()):
            if self._packets.qsize() < BEHIND * max(frame.n_packets, 1):
                homography = self._tracker.next(luma(picture))
                with self._guard:
                    self._found.append((t_device_ns, homography))

    def _decode(self, data: bytes) -> list[Any]:
        av = import_av()
        try:
            return list(self._decoder.decode(av.Packet(data)))
        except av.error.FFmpegError as error:
            _LOGGER.debug("a picture cannot be decoded: %s", error)
            self._decoder = None
            return []

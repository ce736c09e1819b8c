"""Writes the scene video beside the streams, in a thread of its own: a slow disk must not delay gaze."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gazecapture.sources.neon_rtp import OrderedPacket
from gazecapture.sources.neon_rtsp import MediaDescription
from gazecapture.sources.neon_video import FrameAssembler, SceneFrame, VideoFile, parameters_known
from keyframes.errors import GazeToolError

__all__ = ["SceneRecorder", "SceneRow", "SceneSink"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRow:
    """What became of one frame."""

    frame: SceneFrame
    t_device_s: float
    file_number: int | None
    frame_in_file: int | None
    is_clean: bool
    n_lost_packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    ordered: OrderedPacket
    t_device_s: float
    n_lost_packets: int


class SceneSink(Protocol):
    """Takes the video's packets in order; every call returns at once."""

    def described(self, media: MediaDescription) -> None:
        """Take note of a new connection."""
        ...

    def push(self, ordered: OrderedPacket, t_device_s: float, n_lost_packets: int, /) -> None:
        """Take a packet; ``n_lost_packets`` of the stream were lost until now."""
        ...

    def close(self) -> None:
        """Finish what is under way and end."""
        ...


class SceneRecorder:
    """Takes the video's packets in order; gives a row per frame.

    Parameters
    ----------
    folder     : ``SESSION/video/{stream_id}``.
    on_row     : called in this recorder's thread.
    on_trouble : likewise, once per trouble, with one line; the video begins again in another file when it can.
    """

    def __init__(
        self, folder: Path, *, on_row: Callable[[SceneRow], None], on_trouble: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._on_row = on_row
        self._on_trouble = on_trouble
        self._queue: queue.SimpleQueue[_Item | MediaDescription | None] = queue.SimpleQueue()
        self._assembler = FrameAssembler()
        self._file: VideoFile | None = None
        self._rate_hz = MediaDescription().rate_hz
        self._is_clean = False
        self._in_trouble = False
        self._thread = threading.Thread(target=self._run, name="neon-video", daemon=True)
        self._thread.start()

    def described(self, media: MediaDescription) -> None:
        """Take note of a new connection: another file begins."""
        self._queue.put(media)

    def push(self, ordered: OrderedPacket, t_device_s: float, n_lost_packets: int) -> None:
        """Take a packet; ``n_lost_packets`` of the stream were lost until now."""
        self._queue.put(_Item(ordered=ordered, t_device_s=t_device_s, n_lost_packets=n_lost_packets))

    def close(self) -> None:
        """Write what is left and finish the file."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        last: _Item | None = None
        while (item := self._queue.get()) is not None:
            if isinstance(item, MediaDescription):
                self._finish(last)
                self._assembler.describe(item.parameter_sets)
                self._rate_hz = item.rate_hz
                last = None
                continue
            before, last = last or item, item
            for frame in self._assembler.push(item.ordered):
                of_frame = item if frame.ticks == item.ordered.ticks else before
                self._write(frame, of_frame)
        self._finish(last)

    def _finish(self, last: _Item | None) -> None:
        for frame in self._assembler.flush():
            if last is not None:
                self._write(frame, last)
        self._is_clean = False
        self._close_file()

    def _write(self, frame: SceneFrame, item: _Item) -> None:
        self._is_clean = frame.is_complete and (frame.is_key or self._is_clean)
        place = self._append(frame)
        self._on_row(
            SceneRow(
                frame=frame,
                t_device_s=item.t_device_s,
                file_number=None if place is None or self._file is None else self._file.number,
                frame_in_file=place,
                is_clean=self._is_clean and place is not None,
                n_lost_packets=item.n_lost_packets,
            )
        )

    def _append(self, frame: SceneFrame) -> int | None:
        """Write a frame; None where it is incomplete, or nothing can be written before the next key frame."""
        if not frame.is_complete:
            return None
        sets = self._assembler.parameter_sets
        if self._file is None and not (frame.is_key and parameters_known(sets)):
            return None
        try:
            if self._file is None:
                self._file = VideoFile(self._folder, rate_hz=self._rate_hz)
            place = self._file.write(frame, sets)
        except GazeToolError as error:
            if not self._in_trouble:
                self._on_trouble(error.one_line())
            self._in_trouble = True
            self._close_file()
            return None
        self._in_trouble = False
        return place

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except GazeToolError as error:
                logger.warning("%s", error.one_line())

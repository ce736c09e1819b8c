"""Gaze as it comes, for what the viewer shows and measures itself. No Qt.

A connection of its own, beside the recorder's: what the window does with it neither delays nor loses what is recorded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gazecapture import profiles
from gazecapture.screen.measures import EyeSamples
from gazecapture.session.schema import StreamInfo, read_stream_info
from gazecapture.sources.lsl import LslSource, wait_for_streams
from gazecapture.sources.protocol import Source, SourceBatch
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason, GazeToolError
from keyframes.geometry import Display

__all__ = ["LiveGaze", "live_source"]

_LOGGER = logging.getLogger(__name__)

READ_S = 0.2
GATHER_S = 0.01
"""s slept between two reads: normalising samples one by one would cost a tenth of a core at 1000 Hz, and no screen
shows more than one frame in that time."""
KEPT_BATCHES = 2000
"""Batches kept for a window that does not take them; older ones are of no use to it."""


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
    source   : not open; opened and closed here.
    display  : for senders that give shares of the screen.
    profiles : a user's own, which come before the built-in ones.
    """

    def __init__(
        self, source: Source, display: Display | None, *, own_profiles: Sequence[profiles.Profile] = ()
    ) -> None:
        self._source = source
        self._display = display
        self._own_profiles = own_profiles
        self._offset_s = 0.0
        self._samples: deque[EyeSamples] = deque(maxlen=KEPT_BATCHES)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble = ""
        """Why nothing comes any more; empty while all is well."""

    def start(self) -> None:
        """Connect and begin. Blocks for as long as connecting takes. Raises DeviceUnavailableError, DataError."""
        self._source.open()
        try:
            (info,) = [info for info in self._source.info if info.role == "gaze"]
            profile = self._profile_of(info)
        except BaseException:
            self._source.close()
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
        return profile

    def take(self) -> EyeSamples:
        """Return what came since the last call; never blocks."""
        parts = []
        while self._samples:
            parts.append(self._samples.popleft())
        return EyeSamples.join(parts)

    def close(self) -> None:
        """End; a second call does nothing."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._source.close()

    def _run(self, info: StreamInfo, profile: profiles.Profile) -> None:
        try:
            while not self._end.is_set():
                batch = self._source.read(READ_S)
                for offset in self._source.offsets():
                    self._offset_s = offset.offset_s
                if batch is not None and batch.stream_id == info.stream_id:
                    self._samples.append(self._normalised(batch, info, profile))
                    time.sleep(GATHER_S)
        except GazeToolError as error:
            self.trouble = error.one_line()
            _LOGGER.warning("live gaze ended: %s", self.trouble)

    def _normalised(self, batch: SourceBatch, info: StreamInfo, profile: profiles.Profile) -> EyeSamples:
        gaze = profiles.normalise(profile, info, pa.table(dict(batch.columns)), self._display)
        x = {"left": gaze.left_x_screen_px, "right": gaze.right_x_screen_px, "both": gaze.x_screen_px}
        y = {"left": gaze.left_y_screen_px, "right": gaze.right_y_screen_px, "both": gaze.y_screen_px}
        # An eye that the tracker does not give is not lost but absent.
        for absent in {"left", "right"} - {eye for eye, _, _ in profile.channels(info, "x")}:
            del x[absent], y[absent]
        return EyeSamples(
            t_ns=np.round((batch.t_remote_s + self._offset_s) * 1e9).astype(np.int64),
            x_screen_px=x,
            y_screen_px=y,
        )

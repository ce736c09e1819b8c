"""Watches one stream's samples as they are written: count, rate, gaps, numbers that the device skipped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gazecapture import profiles
from gazecapture.profiles import Profile
from gazecapture.session.schema import StreamInfo
from gazecapture.sources.protocol import SourceBatch, SourceMark

__all__ = ["StreamMonitor", "frame_column"]

GAP_FACTOR = 1.5
"""A step longer than this multiple of the usual one has lost a sample."""
MIN_STEPS = 20
"""Steps before the usual one is known; what came earlier is judged then."""
WINDOW_STEPS = 2000
"""Steps that the usual one is the median of: 2 s at 1000 Hz. A nominal rate is never trusted."""
PAUSE_S = 0.1
"""s; where the device counts its samples and the count goes on, a longer step is a pause, a shorter one jitter."""
COUNTED_KINDS = ("Motion",)
"""Kinds of streams beside gaze in which every number of the count has a row. Not a Neon's eye events: signs of life,
which have no rows, take numbers too."""
RATE_WINDOW_S = 2.0
REFRESH_STEPS = 100
"""Steps after which the usual one is determined anew: a twentieth of the window, so that it can hardly have moved."""


def frame_column(info: StreamInfo, own_profiles: Sequence[Profile] = ()) -> str | None:
    """Return the column with the device's own count, or None."""
    profile = profiles.match(info, extra=own_profiles)
    if profile is None:
        counts = (channel.column for channel in info.channels if channel.kind == "FrameNumber")
        return next(counts, None) if info.kind in COUNTED_KINDS else None
    return next((channel.column for _, channel, _ in profile.channels(info, "frame_number")), None)


class StreamMonitor:
    """Counts one stream. `take` is called by one thread; the figures may be read by another."""

    def __init__(self, info: StreamInfo, own_profiles: Sequence[Profile] = ()) -> None:
        self._stream_id = info.stream_id
        self._frame_column = frame_column(info, own_profiles)
        self._is_regular = info.channel_format != "string"
        self._guard = threading.Lock()
        self._steps = np.empty(0)
        self._usual_s = 0.0
        self._n_since_usual = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._early: list[tuple[NDArray[np.float64], NDArray[np.float64] | None]] = []
        self._last_t_s: float | None = None
        self._last_frame: float | None = None
        self.n_samples = 0
        self.n_gaps = 0
        self.n_missing: int | None = 0 if self._frame_column else None
        self.n_swallowed: int | None = 0 if self._frame_column else None
        """Samples that a restarted sender had counted before the first one that arrived."""
        self.longest_silence_s = 0.0
        """Between two samples of the journal, by their arrival."""
        self.offset_s: float | None = None
        self.last_received_ns: int | None = None

    @property
    def last_session_ns(self) -> int | None:
        """When the last sample was taken, session ns; None before the first one."""
        return None if self._last_t_s is None else self._session_ns(self._last_t_s)

    @property
    def rate_hz(self) -> float | None:
        """Samples per second over the last two seconds of the sender's own time; None where that is unknown."""
        with self._guard:
            if len(self._recent) < 2:
                return None
            (t_first, n_first), (t_last, n_last) = self._recent[0], self._recent[-1]
        return (n_last - n_first) / (t_last - t_first) if t_last > t_first else None

    @property
    def usual_rate_hz(self) -> float | None:
        """1 / median of the last steps between time stamps; None where there are too few."""
        return 1.0 / self._usual_s if self._usual_s > 0 else None

    def resume(self, t_remote_s: float, frame_number: float | None) -> None:
        """Go on after the last sample that a killed recorder wrote, so that the hole it left is a gap."""
        self._last_t_s = t_remote_s
        self._last_frame = frame_number if self._frame_column else None

    def take(self, batch: SourceBatch) -> list[SourceMark]:
        """Count a batch; return the gaps that it shows."""
        t_s = batch.t_remote_s
        frames = None if self._frame_column is None else batch.columns[self._frame_column].astype(np.float64)
        known_t = t_s if self._last_t_s is None else np.concatenate(([self._last_t_s], t_s))
        known_frames = frames
        if frames is not None and self._last_t_s is not None:
            before = np.nan if self._last_frame is None else self._last_frame
            known_frames = np.concatenate(([before], frames))
        self._last_t_s = float(t_s[-1])
        if frames is not None:
            self._last_frame = float(frames[-1])
        received = batch.t_received_ns
        if self.last_received_ns is not None:
            received = np.concatenate(([self.last_received_ns], received))
        if received.size > 1:
            self.longest_silence_s = max(self.longest_silence_s, float(np.diff(received).max()) / 1e9)
        steps = np.diff(known_t)
        with self._guard:
            self.n_samples += t_s.size
            self.last_received_ns = int(batch.t_received_ns[-1])
            self._recent.append((float(t_s[-1]), self.n_samples))
            while len(self._recent) > 2 and not 0 <= t_s[-1] - self._recent[0][0] <= RATE_WINDOW_S:
                self._recent.popleft()
        if not self._is_regular or not steps.size:
            return []
        self._early.append((known_t, known_frames))
        usual_s = self._usual_step_s(steps[steps > 0])
        if usual_s is None:
            return []
        marks = [mark for t, f in self._early for mark in self._gaps(t, f, usual_s)]
        self._early.clear()
        return marks

    def _usual_step_s(self, steps: NDArray[np.float64]) -> float | None:
        """Return the median of the last steps, ``steps`` among them; None while there are too few."""
        self._steps = np.concatenate((self._steps, steps))[-WINDOW_STEPS:]
        if self._steps.size < MIN_STEPS:
            return None
        self._n_since_usual += steps.size
        if not self._usual_s or self._n_since_usual >= REFRESH_STEPS or self._steps.size < REFRESH_STEPS:
            self._usual_s, self._n_since_usual = float(np.median(self._steps)), 0
        return self._usual_s

    def _gaps(
        self, t_s: NDArray[np.float64], frames: NDArray[np.float64] | None, usual_s: float
    ) -> list[SourceMark]:
        steps = np.diff(t_s)
        skipped = None if frames is None else np.diff(frames) - 1
        is_gap = steps > GAP_FACTOR * usual_s
        if skipped is not None:
            # -1 is a sample sent twice, less a count that began again.
            counted = np.isfinite(skipped)
            is_gap = np.where(
                counted, (skipped > 0) | (skipped < -1) | (steps > max(PAUSE_S, GAP_FACTOR * usual_s)), is_gap
            )
        marks = []
        for place in np.flatnonzero(is_gap):
            n_lost, detail = max(round(float(steps[place]) / usual_s) - 1, 0), "estimated from time"
            if skipped is not None and frames is not None and np.isfinite(skipped[place]):
                n_lost, detail = round(float(skipped[place])), "by the device's count"
                if n_lost < 0:
                    # A sender that begins to count again usually begins at 0; what it counted before is gone.
                    n_lost, detail = round(float(frames[place + 1])), "the device began to count again"
                    self.n_swallowed = (self.n_swallowed or 0) + n_lost
                else:
                    self.n_missing = (self.n_missing or 0) + n_lost
            marks.append(
                SourceMark(
                    stream_id=self._stream_id,
                    t_ns=self._session_ns(float(t_s[place])),
                    kind="gap",
                    duration_s=float(steps[place]),
                    n_samples=n_lost,
                    detail=detail,
                )
            )
        self.n_gaps += len(marks)
        return marks

    def _session_ns(self, t_remote_s: float) -> int:
        return round((t_remote_s + (self.offset_s or 0.0)) * 1e9)

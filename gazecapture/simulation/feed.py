"""The simulated tracker's sample clock: which samples are due, and what each holds."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gazecapture.session.schema import StreamChannel
from gazecapture.simulation.oculomotor import EyePath, TrackerModel, sample_tracker
from gazecapture.simulation.resting import idle_path
from keyframes.errors import UsageError
from keyframes.geometry import Display

__all__ = ["CHANNELS", "MAX_RATE_HZ", "MIN_RATE_HZ", "DueSamples", "GazeFeed", "check_rate"]

MIN_RATE_HZ, MAX_RATE_HZ = 30.0, 2000.0
"""What eye trackers on the market offer."""
MAX_DUE = 20_000
"""Samples given at once at most; after a long stall (a suspended laptop) the rest comes with the next call."""

EDGE = 1e-6
"""Of a sample; times that are whole numbers of samples must not be rounded to the one before."""
AHEAD_S = 0.25
"""s of samples made at once: what comes is known, and making 250 costs little more than making one."""

CHANNELS: tuple[StreamChannel, ...] = (
    StreamChannel(column="left_x", label="left_x", kind="ScreenX", eye="left", unit="pixels"),
    StreamChannel(column="left_y", label="left_y", kind="ScreenY", eye="left", unit="pixels"),
    StreamChannel(column="left_pupil", label="left_pupil", kind="Diameter", eye="left", unit="mm"),
    StreamChannel(column="right_x", label="right_x", kind="ScreenX", eye="right", unit="pixels"),
    StreamChannel(column="right_y", label="right_y", kind="ScreenY", eye="right", unit="pixels"),
    StreamChannel(column="right_pupil", label="right_pupil", kind="Diameter", eye="right", unit="mm"),
    StreamChannel(column="frame_number", label="frame_number", kind="FrameNumber", eye="both", unit="count"),
    StreamChannel(column="device_time", label="device_time", kind="Time", eye="both", unit="seconds"),
)
"""Channels of the gaze stream, as the XDF "Gaze" meta-data names them; lost samples are NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSamples:
    """n samples that are due."""

    t_s: NDArray[np.float64]
    """(n,) s, session clock, on the uniform grid ``t0 + i / rate``."""
    values: NDArray[np.float64]
    """(n, 8) as `CHANNELS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Active:
    path: EyePath
    image_on_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Samples made in advance, valid as long as the path is the same."""

    first: int
    active: _Active | None
    samples: DueSamples


class GazeFeed:
    """Gives the samples of a simulated tracker in order, each once; one thread takes, another may switch paths.

    Parameters
    ----------
    rate_hz     : 30 to 2000, else UsageError.
    reader_seed : of offsets and noise.
    """

    def __init__(self, *, rate_hz: float, display: Display, reader_seed: int, model: TrackerModel) -> None:
        self.rate_hz = check_rate(rate_hz)
        self.model = model
        self.n_given = 0
        self.t0_s = math.nan
        self._seed = reader_seed
        self._idle = idle_path(display, reader_seed)
        self._active: _Active | None = None
        self._block: _Block | None = None
        self._guard = threading.Lock()

    @property
    def is_started(self) -> bool:
        """Say whether the first sample has its time."""
        return not math.isnan(self.t0_s)

    def start(self, t0_s: float) -> None:
        """Put the first sample at ``t0_s`` on the session clock."""
        self.t0_s = t0_s

    def follow(self, path: EyePath, image_on_s: float) -> None:
        """Let the eyes follow a reading's path from now on; after its end they idle by themselves."""
        with self._guard:
            self._active = _Active(path=path, image_on_s=image_on_s)

    def take(self, now_s: float) -> DueSamples | None:
        """Return the samples due at ``now_s`` that were not given yet, None where there are none."""
        if not self.is_started:
            return None
        n_due = math.floor((now_s - self.t0_s) * self.rate_hz) + 1
        n = min(n_due - self.n_given, MAX_DUE)
        if n <= 0:
            return None
        with self._guard:
            active = self._active
        block = self._block
        if (
            block is None
            or block.active is not active
            or self.n_given + n > block.first + block.samples.t_s.size
        ):
            ahead = max(n, math.ceil(AHEAD_S * self.rate_hz))
            index = np.arange(self.n_given, self.n_given + ahead, dtype=np.int64)
            block = self._block = _Block(
                first=self.n_given, active=active, samples=self._samples(index, active)
            )
        part = slice(self.n_given - block.first, self.n_given - block.first + n)
        self.n_given += n
        return DueSamples(t_s=block.samples.t_s[part], values=block.samples.values[part])

    def n_given_between(self, start_s: float, end_s: float) -> int:
        """Return how many given samples have ``start_s <= t < end_s``."""
        first, last = (math.ceil((t - self.t0_s) * self.rate_hz - EDGE) for t in (start_s, end_s))
        return max(0, min(last, self.n_given) - max(first, 0))

    def _samples(self, index: NDArray[np.int64], active: _Active | None) -> DueSamples:
        device_s = index / self.rate_hz
        t_s = self.t0_s + device_s
        path, origin_s = (self._idle, self.t0_s) if active is None else (active.path, active.image_on_s)
        tau = t_s - origin_s
        # Numbered from image on, so that the noise is the same whenever the reading begins.
        number = np.floor(tau * self.rate_hz + EDGE).astype(np.int64)
        tracker = sample_tracker(path, tau, number, model=self.model, reader_seed=self._seed)
        values = np.column_stack([*tracker.columns(), index.astype(np.float64), device_s])
        return DueSamples(t_s=t_s, values=values)


def check_rate(rate_hz: float) -> float:
    """Return ``rate_hz``. Raises UsageError outside of 30 to 2000 Hz."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise UsageError(
            f"a rate of {rate_hz:g} Hz cannot be simulated",
            hint=f"Give {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz.",
            code="GT-RATE",
        )
    return rate_hz

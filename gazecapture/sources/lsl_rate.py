"""The rate at which streams really come, and the profile that reads each: what a sender says of both is not trusted."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gazecapture.profiles import Profile
from gazecapture.sources.lsl import FoundStream, LslSource
from keyframes.errors import GazeToolError

__all__ = ["Measured", "measure_streams"]

WAIT_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One stream as it came for a while."""

    n_samples: int
    rate_hz: float | None
    """One over the median step of the time stamps; None below three samples, and where they all have one time."""
    role: str
    """gaze, words or other."""
    profile: str
    """Name of the profile that reads it; empty where none does."""
    error: str = ""
    """Why nothing could be received."""


def measure_streams(
    found: Sequence[FoundStream], seconds: float, *, own_profiles: Sequence[Profile] = ()
) -> list[Measured]:
    """Receive from all streams at once for so many seconds."""
    results: list[Measured | None] = [None] * len(found)

    def measure(place: int) -> None:
        results[place] = _measure(LslSource(found[place], own_profiles=own_profiles), seconds)

    threads = [threading.Thread(target=measure, args=(place,)) for place in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [result for result in results if result is not None]


def _measure(source: LslSource, seconds: float) -> Measured:
    stamps: list[np.ndarray] = []
    try:
        source.open()
        (info,) = source.info
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            batch = source.read(min(WAIT_S, left_s))
            if batch is not None:
                stamps.append(batch.t_remote_s.copy())
    except GazeToolError as error:
        return Measured(n_samples=0, rate_hz=None, role="", profile="", error=error.one_line())
    finally:
        source.close()
    t_s = np.concatenate(stamps) if stamps else np.empty(0)
    steps = np.diff(t_s)
    steps = steps[steps > 0]
    rate_hz = float(1.0 / np.median(steps)) if steps.size >= 2 else None
    return Measured(n_samples=int(t_s.size), rate_hz=rate_hz, role=info.role, profile=info.profile)

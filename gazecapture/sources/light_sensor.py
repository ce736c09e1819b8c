"""A light sensor before the screen, as a stream of Lab Streaming Layer: a photodiode, or a camera's brightness."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gazecapture.clock import import_pylsl
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason

__all__ = ["LightSensor"]

RESOLVE_S = 5.0
PULL_S = 0.1
OFFSET_EVERY_S = 2.0
BUFFER_S = 60


class LightSensor:
    """Reads the first channel of a stream in a thread of its own, from `start` on.

    Raises DeviceUnavailableError where no stream, or more than one, has this name.
    """

    def __init__(self, name: str) -> None:
        pylsl: Any = import_pylsl()
        found = pylsl.resolve_byprop("name", name, timeout=RESOLVE_S)
        if len(found) != 1:
            raise DeviceUnavailableError(
                f"{len(found)} streams are named {name!r}, one is needed",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint="Start the sensor's sender; `gazecapture streams` lists what sends here.",
                code="GT-NO-SENSOR",
            )
        self._lost_error = pylsl.util.LostError
        self._inlet = pylsl.StreamInlet(found[0], max_buflen=BUFFER_S, recover=False)
        self._inlet.open_stream(timeout=RESOLVE_S)
        self._t_ns: list[NDArray[np.int64]] = []
        self._values: list[NDArray[np.float64]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="light-sensor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """End; return (n,) session-clock times and values of what came."""
        self._end.set()
        self._thread.join()
        self._inlet.close_stream()
        empty: list[NDArray[Any]] = [np.zeros(0)]
        times = np.concatenate(self._t_ns or empty).astype(np.int64)
        return times, np.concatenate(self._values or empty).astype(np.float64)

    def _run(self) -> None:
        offset_s, measure_at = 0.0, 0.0
        try:
            while not self._end.is_set():
                if time.monotonic() >= measure_at:
                    offset_s = self._inlet.time_correction(timeout=RESOLVE_S)
                    measure_at = time.monotonic() + OFFSET_EVERY_S
                values, stamps = self._inlet.pull_chunk(timeout=PULL_S, max_samples=1 << 14)
                if stamps:
                    self._t_ns.append(np.round((np.asarray(stamps) + offset_s) * 1e9).astype(np.int64))
                    self._values.append(np.asarray(values, np.float64)[:, 0])
        except (RuntimeError, self._lost_error):
            return  # a stream that ended shows as flips that nobody saw

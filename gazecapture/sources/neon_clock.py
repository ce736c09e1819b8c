"""The phone's wall clock, measured when a Neon is opened and again and again while it is recorded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from gazecapture.clock import session_now_ns
from gazecapture.sources.neon_echo import EchoClient, OffsetEstimate
from keyframes.errors import DeviceUnavailableError, DeviceUnavailableReason

__all__ = ["PhoneClockWatch"]

logger = logging.getLogger(__name__)

OFFSET_INTERVAL_S = 2.0
"""s between measurements of the clock. Each is good to about 0.1 ms; at 200 ppm the clocks part by 0.4 ms meanwhile."""
ASSUMED_UNCERTAINTY_S = 0.1
"""s by which two clocks set over the internet may differ, where the phone has no time echo."""
CLOSE_S = 8.0
"""s for a measurement under way to end; each of its echoes has three."""


class PhoneClockWatch:
    """Measures one phone's clock.

    Parameters
    ----------
    on_offset : takes each measurement; called by `measure_first`, then in a thread of this watch.
    """

    def __init__(self, host: str, on_offset: Callable[[OffsetEstimate], None]) -> None:
        self._host = host
        self._on_offset = on_offset
        self._newest_offset_s = 0.0
        self._echo: EchoClient | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def offset_s(self) -> float:
        """Session time = device wall clock + offset_s, by the newest measurement."""
        return self._newest_offset_s

    def measure_first(self, echo_port: int | None) -> None:
        """Measure once; a phone without time echo is taken to have the wall time of this host.

        Raises DeviceUnavailableError where it does not answer its time echo.
        """
        if echo_port is None:
            now_ns = session_now_ns()
            self._take(
                OffsetEstimate(
                    t_ns=now_ns,
                    offset_s=(now_ns - time.time_ns()) / 1e9,
                    uncertainty_s=ASSUMED_UNCERTAINTY_S,
                )
            )
            return
        self._echo = EchoClient(self._host, echo_port)
        try:
            self._take(self._echo.measure())
        except OSError as error:
            raise DeviceUnavailableError(
                f"the Neon at {self._host} does not answer its time echo",
                reason=DeviceUnavailableReason.NOT_FOUND,
                hint=f"A firewall must let TCP to the phone's port {echo_port} through.",
                code="GT-NEON-NO-ECHO",
            ) from error

    def start(self) -> None:
        """Begin to measure every `OFFSET_INTERVAL_S`."""
        if self._echo is not None:
            self._thread = threading.Thread(
                target=self._watch, args=(self._echo,), name="neon-clock", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Measure no more; a second call does nothing."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        if self._echo is not None:
            self._echo.close()

    def _watch(self, echo: EchoClient) -> None:
        while not self._end.wait(OFFSET_INTERVAL_S):
            try:
                self._take(echo.measure())
            except OSError:
                logger.debug("no time echo this time")

    def _take(self, found: OffsetEstimate) -> None:
        self._newest_offset_s = found.offset_s
        self._on_offset(found)

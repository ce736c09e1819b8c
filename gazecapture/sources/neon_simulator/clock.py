"""The phone's wall clock: ahead of the host's, and drifting, by as much as was asked for."""

from __future__ import annotations

import time

from gazecapture.clock import session_now_ns

__all__ = ["PhoneClock"]


class PhoneClock:
    """s since 1970 as the phone has them, an exact function of the session clock of this host."""

    def __init__(self, *, offset_s: float, drift_ppm: float) -> None:
        self._session_s = session_now_ns() / 1e9
        self._unix_s = time.time() + offset_s
        self._speed = 1.0 + drift_ppm * 1e-6

    def now_s(self) -> float:
        """Return the phone's wall clock."""
        return self.at(session_now_ns() / 1e9)

    def at(self, session_s: float) -> float:
        """Return the phone's wall clock at a session time, s."""
        return self._unix_s + (session_s - self._session_s) * self._speed

    def session_s(self, unix_s: float) -> float:
        """Return the session time, s, at which the phone's wall clock shows ``unix_s``."""
        return self._session_s + (unix_s - self._unix_s) / self._speed

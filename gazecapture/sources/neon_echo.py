"""How far a Neon's wall clock is from the session clock, by its time echo.

The phone answers with its time in whole milliseconds, so that one echo is good to a millisecond at best. But each one
also proves bounds: the phone's clock was read between sending and receiving, and it stood between the answer and the
answer plus one millisecond. Echoes sent at different phases of that millisecond narrow the bounds to little more
than the shortest way there and back. Protocol: pupil-labs-realtime-api, time_echo.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gazecapture.clock import session_now_ns

__all__ = ["Echo", "EchoClient", "OffsetEstimate", "estimate_offset"]

ECHOES = 24
"""Per measurement: their phases cover the millisecond in steps of about 0.05 ms."""
TIMEOUT_S = 3.0
"""s for one answer; a phone that sleeps, or a host that is busy, has been late by a second."""
_PHASE_S = 0.000618
"""s between echoes, in units of which a millisecond is covered evenly (golden section)."""
_RESOLUTION_S = 1e-3
_ANSWER = struct.Struct("!QQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """One question and its answer."""

    sent_ns: int
    """Session clock."""
    received_ns: int
    device_ms: int
    """The phone's wall clock, whole ms since 1970, rounded down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetEstimate:
    """session time = device wall clock + offset_s, at t_ns."""

    t_ns: int
    offset_s: float
    uncertainty_s: float
    """Half the width of what the echoes allow."""


def estimate_offset(echoes: Sequence[Echo]) -> OffsetEstimate:
    """Return the middle of the offsets that all echoes allow; at least one echo.

    Where no offset is allowed by all (the clock was set between them), that of the quickest echo.
    """
    # Integers: a double holds 1.7e18 ns to 256 ns only.
    lowest = [e.sent_ns - (e.device_ms + 1) * 1_000_000 for e in echoes]
    highest = [e.received_ns - e.device_ms * 1_000_000 for e in echoes]
    low, high = max(lowest), min(highest)
    if low > high:
        quickest = min(range(len(echoes)), key=lambda k: echoes[k].received_ns - echoes[k].sent_ns)
        low, high = lowest[quickest], highest[quickest]
    return OffsetEstimate(
        t_ns=(echoes[0].sent_ns + echoes[-1].received_ns) // 2,
        offset_s=(low + high) / 2e9,
        uncertainty_s=(high - low) / 2e9,
    )


class EchoClient:
    """Asks one phone; a lost connection is made anew at the next measurement. For one thread."""

    def __init__(self, host: str, port: int, *, timeout_s: float = TIMEOUT_S) -> None:
        self._address = (host, port)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def measure(self, n: int = ECHOES) -> OffsetEstimate:
        """Return the offset by ``n`` echoes. Raises OSError where the phone does not answer in time."""
        try:
            connection = self._connected()
            self._ask(connection)  # the first one meets cold caches and a sleeping radio
            echoes = []
            for _ in range(n):
                time.sleep(_PHASE_S)
                echoes.append(self._ask(connection))
        except OSError:
            self.close()
            raise
        return estimate_offset(echoes)

    def close(self) -> None:
        """Disconnect."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _ask(self, connection: socket.socket) -> Echo:
        token = struct.pack("!Q", time.time_ns() // 1_000_000)
        sent_ns = session_now_ns()
        connection.sendall(token)
        answer = b""
        while len(answer) < _ANSWER.size:
            part = connection.recv(_ANSWER.size - len(answer))
            if not part:
                raise ConnectionError("the phone closed the time echo")
            answer += part
        received_ns = session_now_ns()
        if answer[:8] != token:
            raise ConnectionError("the phone's time echo is not that of the question")
        return Echo(sent_ns=sent_ns, received_ns=received_ns, device_ms=_ANSWER.unpack(answer)[1])

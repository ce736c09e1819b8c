"""One RTSP session with a Neon: every datagram is handed on with the time at which it came.

The building blocks are those of the official client (aiortsp, which it brings along). Its reader is not used: it stamps
nothing, drops what it cannot parse, and looks only once a second whether the connection still lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlparse

from gazecapture.clock import session_now_ns
from gazecapture.sources.neon_phone import import_neon

__all__ = ["MediaDescription", "RtspListener", "play"]

ANSWER_S = 3.0
"""s in which the phone must answer a request."""
DEFAULT_RATE_HZ = 90_000.0
_PORT_ATTEMPTS = 50

_quiet = logging.getLogger(f"{__name__}.aiortsp")
_quiet.setLevel(logging.CRITICAL)
"""The client's own log lines: errors come to us as exceptions, and each is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescription:
    """What the phone says of a stream (SDP)."""

    encoding: str = ""
    rate_hz: float = DEFAULT_RATE_HZ
    payload_type: int | None = None
    parameter_sets: str = ""
    """H.264's sprop-parameter-sets, base64 with a comma between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspListener:
    """Takes what comes, in the event loop's thread; times are session ns."""

    on_described: Callable[[MediaDescription], None]
    """A connection was made; what follows comes over it."""
    on_rtp: Callable[[bytes, int], None]
    on_rtcp: Callable[[bytes, int], None]
    on_playing: Callable[[], None] = field(default=lambda: None)


async def play(url: str, listener: RtspListener, *, media_type: str, silence_s: float) -> str:
    """Play one stream until it ends; return why it ended.

    Parameters
    ----------
    url        : ``rtsp://`` (UDP) or ``rtspt://`` (interleaved with the requests over TCP).
    media_type : ``video`` or ``application``.
    silence_s  : s without a datagram after which the connection counts as dead.

    Raises OSError, TimeoutError or the client's RTSPError where the phone does not play.
    """
    client = import_neon()
    place = urlparse(url)
    connection = client.RTSPConnection(place.hostname, place.port, logger=_quiet, timeout=ANSWER_S)
    _retrieve(connection.result)
    kind = _transport_class("udp" if place.scheme == "rtsp" else "tcp")
    async with connection:
        transport = kind(connection, logger=_quiet, timeout=silence_s)
        _retrieve(transport.result)
        transport.listener = listener
        async with (
            transport,
            client.RTSPMediaSession(
                connection, url, transport=transport, media_type=media_type, logger=_quiet
            ) as session,
        ):
            listener.on_described(_describe(session.sdp, media_type))
            await session.play()
            listener.on_playing()
            ended = [connection.result, transport.result]
            while connection.running and transport.running:
                done, _ = await asyncio.wait(
                    ended, timeout=session.session_keepalive, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    break
                await session.keep_alive()
            if transport.result.done() and transport.result.exception() is not None:
                return f"no datagram for {silence_s:g} s"
            return "the phone closed the connection"


def _transport_class(kind: str) -> Any:
    """Return the client's transport class with our way of taking datagrams."""
    client = import_neon()
    base = client.UDPTransport if kind == "udp" else client.TCPTransport

    class Stamping(base):  # type: ignore[misc, valid-type]
        """Stamps and hands on each datagram before the client's own parsing, which serves its statistics only."""

        listener: RtspListener

        def handle_rtp_data(self, data: bytes) -> None:
            self.listener.on_rtp(bytes(data), session_now_ns())
            with contextlib.suppress(Exception):  # garbage: it is ours to judge
                super().handle_rtp_data(data)

        def handle_rtcp_data(self, data: bytes) -> None:
            self.listener.on_rtcp(bytes(data), session_now_ns())
            with contextlib.suppress(Exception):
                super().handle_rtcp_data(data)

        @classmethod
        def get_socket_pair(
            cls, bind_address: str | None = None, retry: int = _PORT_ATTEMPTS
        ) -> tuple[socket.socket, socket.socket]:
            """Bind an even port and the next one; the client's own leaves sockets open where a port is taken."""
            for _ in range(retry):
                first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                try:
                    first.bind((bind_address or "0.0.0.0", 0))  # noqa: S104 - the phone sends to this host
                    port = first.getsockname()[1]
                    second.bind((bind_address or "0.0.0.0", port ^ 1))  # noqa: S104
                except OSError:
                    first.close()
                    second.close()
                    continue
                return (first, second) if port % 2 == 0 else (second, first)
            raise OSError("no two neighbouring UDP ports are free")

    return Stamping


def _describe(sdp: Any, media_type: str) -> MediaDescription:
    media = next((m for m in sdp.get("medias") or [] if m and m.get("type") == media_type), None) or {}
    attributes = media.get("attributes") or {}
    rtpmap = attributes.get("rtpmap") or {}
    return MediaDescription(
        encoding=str(rtpmap.get("encoding", "")).lower(),
        rate_hz=float(rtpmap.get("clockRate") or DEFAULT_RATE_HZ),
        payload_type=None if rtpmap.get("pt") is None else int(rtpmap["pt"]),
        parameter_sets=str((attributes.get("fmtp") or {}).get("sprop-parameter-sets", "")),
    )


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Look at a future's exception when it comes: nobody awaits it, and asyncio would complain."""
    future.add_done_callback(lambda done: None if done.cancelled() else done.exception())

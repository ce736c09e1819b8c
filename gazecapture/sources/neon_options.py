"""Which Neon to record, and what of it; imports nothing of the neon extra."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_PORT", "LARGEST_PORT", "NeonChoice", "NeonOptions", "parse_address"]

DEFAULT_PORT = 8080
"""Of the Companion app."""
LARGEST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class NeonOptions:
    """What to take from the phone, and how."""

    video: bool = True
    """The scene camera; needs a session folder."""
    eye_events: bool = True
    imu: bool = False
    backup: bool = True
    """The phone records too, from open to close."""
    tcp: bool = False
    """Streams over TCP: nothing is lost in the network, but some versions of the app break such streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeonChoice:
    """Which Neon, and what of it."""

    host: str
    port: int
    options: NeonOptions

    def arguments(self) -> list[str]:
        """Return the same choice as arguments of another command."""
        chosen = self.options
        host = f"[{self.host}]" if ":" in self.host else self.host
        arguments = ["--neon", f"{host}:{self.port}"]
        arguments += [] if chosen.video else ["--neon-no-video"]
        arguments += ["--neon-imu"] if chosen.imu else []
        arguments += [] if chosen.backup else ["--neon-no-backup"]
        return arguments + (["--neon-tcp"] if chosen.tcp else [])


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST[:PORT]``; an IPv6 address stands in brackets. Raises ValueError if it is none."""
    rest, port = text.strip(), str(DEFAULT_PORT)
    if rest.startswith("["):
        host, bracket, tail = rest[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ValueError(f"{text!r} is not of the form [HOST] or [HOST]:PORT")
        port = tail[1:] or port
    elif ":" in rest:
        host, _, port = rest.rpartition(":")
    else:
        host = rest
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= LARGEST_PORT:
        raise ValueError(f"{text!r} is not of the form HOST or HOST:PORT")
    return host, int(port)

"""RTP as it arrives from a Neon: packets in order, counted, and put on the device's clock.

The official client hides lost, doubled and reordered packets and all that comes before the first sender report. Here
nothing is hidden: every packet is released once, in order, and what is missing is counted by the 16-bit sequence
number. Source of the formats: RFC 3550.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field

__all__ = [
    "OrderedPacket",
    "RtpClock",
    "RtpCounts",
    "RtpOrder",
    "RtpPacket",
    "SenderReport",
    "parse_rtp",
    "parse_sender_reports",
]

UNIX_OF_NTP_S = 2_208_988_800
"""s from the NTP epoch (1900) to the unix epoch (1970)."""
REORDER_S = 0.04
"""s to wait for a packet that a later one overtook; with the writer's 50 ms still less than 100 ms on the way."""
REORDER_PACKETS = 64
"""Packets that may wait for one: a scene-video frame has about 20."""
REMEMBERED = 1024
"""Sequence numbers by which a packet that comes again is known."""
REMEMBERED_SENDERS = 16
_HEADER = struct.Struct("!BBHII")
_REPORT = struct.Struct("!BBHIIIIII")
_SENDER_REPORT = 200
_EXTENSION_WORD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpPacket:
    """One packet as it came."""

    sequence: int
    """16 bit."""
    timestamp: int
    """32 bit, ticks of the stream's clock."""
    ssrc: int
    marker: bool
    payload: bytes
    t_received_ns: int
    """Session clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """The device says which moment of its wall clock an RTP time stamp is."""

    ssrc: int
    ntp_seconds: int
    ntp_fraction: int
    rtp_timestamp: int
    n_packets: int
    n_octets: int
    t_received_ns: int

    @property
    def unix_s(self) -> float:
        """The device's wall clock, s since 1970."""
        return self.ntp_seconds - UNIX_OF_NTP_S + self.ntp_fraction / 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedPacket:
    """A packet in its place."""

    packet: RtpPacket
    number: int
    """Counts the device's packets from 0, lost ones included; goes on over a restart of the sender."""
    ticks: int
    """The time stamp, unwrapped."""


@dataclass(slots=True, kw_only=True)
class RtpCounts:
    """What happened to the packets of one stream."""

    n_received: int = 0
    """Packets released, late ones not among them."""
    n_lost: int = 0
    """Numbers that never came, between the first and the last one that did; late ones not among them."""
    n_reordered: int = 0
    """Overtaken and put back into their place."""
    n_duplicates: int = 0
    n_late: int = 0
    """Came after they had been given up."""
    n_restarts: int = 0
    n_garbage: int = 0
    """Datagrams that are no RTP of this stream."""


def parse_rtp(datagram: bytes, *, payload_type: int | None, t_received_ns: int) -> RtpPacket | None:
    """Return the packet, or None where the datagram is none of ``payload_type`` (None: any type)."""
    if len(datagram) <= _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
    if first >> 6 != 2 or (payload_type is not None and second & 0x7F != payload_type):
        return None
    start, end = _HEADER.size + 4 * (first & 0x0F), len(datagram)
    if first & 0x10:
        if end < start + _EXTENSION_WORD:
            return None
        start += _EXTENSION_WORD + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= datagram[-1]
    if start >= end:
        return None
    return RtpPacket(
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        marker=bool(second & 0x80),
        payload=bytes(datagram[start:end]),
        t_received_ns=t_received_ns,
    )


def parse_sender_reports(datagram: bytes, *, t_received_ns: int) -> list[SenderReport]:
    """Return the sender reports of a compound RTCP datagram; what is no RTCP gives none."""
    reports = []
    while len(datagram) >= _EXTENSION_WORD:
        first, kind, words = struct.unpack_from("!BBH", datagram)
        size = 4 * (words + 1)
        if first >> 6 != 2 or size > len(datagram):
            break
        if kind == _SENDER_REPORT and size >= _REPORT.size:
            _, _, _, ssrc, seconds, fraction, timestamp, packets, octets = _REPORT.unpack_from(datagram)
            reports.append(
                SenderReport(
                    ssrc=ssrc,
                    ntp_seconds=seconds,
                    ntp_fraction=fraction,
                    rtp_timestamp=timestamp,
                    n_packets=packets,
                    n_octets=octets,
                    t_received_ns=t_received_ns,
                )
            )
        datagram = datagram[size:]
    return reports


class RtpOrder:
    """Puts the packets of one stream in order and counts them.

    A packet that a later one overtook is waited for, for ``reorder_s`` or ``reorder_packets`` packets; then it is
    lost. If it comes even later it is late: given back apart, and no longer counted as lost.
    """

    def __init__(self, *, reorder_s: float = REORDER_S, reorder_packets: int = REORDER_PACKETS) -> None:
        self.counts = RtpCounts()
        self.late: list[RtpPacket] = []
        """Packets that came too late to be put in order; the caller takes them out."""
        self._reorder_ns = round(reorder_s * 1e9)
        self._reorder_packets = reorder_packets
        self._sender: _Sender | None = None
        self._suspect: RtpPacket | None = None
        self._former: deque[int] = deque(maxlen=REMEMBERED_SENDERS)
        self._next_number = 0

    def reconnected(self) -> list[OrderedPacket]:
        """Take note that what follows comes over a new connection; return what was held until now."""
        released = self.flush()
        if self._sender is not None:
            self._former.append(self._sender.ssrc)
            self._sender = None
        return released

    def push(self, packet: RtpPacket) -> list[OrderedPacket]:
        """Take a packet; return those that are in order now."""
        sender = self._sender
        if sender is not None and packet.ssrc == sender.ssrc:
            return self._sort(sender, packet) + self.due(packet.t_received_ns)
        if packet.ssrc in self._former:
            self._too_late(packet)
            return []
        suspect, self._suspect = self._suspect, None
        if sender is None:
            return self._sort(self._begin(packet), packet)
        if suspect is not None and suspect.ssrc == packet.ssrc and suspect.sequence != packet.sequence:
            released = self.reconnected()
            sender = self._begin(suspect)
            return released + self._sort(sender, suspect) + self._sort(sender, packet)
        # A single packet of another sender may be garbage: the second one proves it (RFC 3550, A.1).
        self.counts.n_garbage += suspect is not None
        self._suspect = packet
        return []

    def due(self, now_ns: int) -> list[OrderedPacket]:
        """Return what need not wait any longer at ``now_ns``, session clock."""
        released: list[OrderedPacket] = []
        sender = self._sender
        while sender is not None and sender.held:
            oldest_ns = min(packet.t_received_ns for packet in sender.held.values())
            if now_ns - oldest_ns < self._reorder_ns and len(sender.held) < self._reorder_packets:
                break
            released += self._give_up(sender)
        return released

    def flush(self) -> list[OrderedPacket]:
        """Return all that is held."""
        released: list[OrderedPacket] = []
        while self._sender is not None and self._sender.held:
            released += self._give_up(self._sender)
        return released

    def _begin(self, packet: RtpPacket) -> _Sender:
        self.counts.n_restarts += bool(self._former)
        self._sender = _Sender(
            ssrc=packet.ssrc,
            top=packet.sequence,
            ticks=packet.timestamp,
            n_before=self._next_number,
        )
        return self._sender

    def _sort(self, sender: _Sender, packet: RtpPacket) -> list[OrderedPacket]:
        place = sender.top + (packet.sequence - sender.top + 0x8000) % 0x10000 - 0x8000
        if place in sender.held or place in sender.seen:
            self.counts.n_duplicates += 1
            return []
        if sender.expected is not None and place < sender.expected:
            self.counts.n_lost -= place >= sender.first
            sender.seen.append(place)
            self._too_late(packet)
            return []
        self.counts.n_reordered += place < sender.top
        sender.top = max(sender.top, place)
        # The first packets are held as well: nobody knows yet whether the first to come was the first to be sent.
        sender.held[place] = packet
        return self._release_run(sender) if place == sender.expected else []

    def _too_late(self, packet: RtpPacket) -> None:
        self.counts.n_late += 1
        self.late.append(packet)

    def _give_up(self, sender: _Sender) -> list[OrderedPacket]:
        """Wait no longer for what is missing before the earliest held packet."""
        place = min(sender.held)
        if sender.expected is None:
            sender.first = place
        else:
            self.counts.n_lost += place - sender.expected
        sender.expected = place
        return self._release_run(sender)

    def _release_run(self, sender: _Sender) -> list[OrderedPacket]:
        released = []
        while sender.expected is not None and sender.expected in sender.held:
            released.append(self._release(sender, sender.expected))
        return released

    def _release(self, sender: _Sender, place: int) -> OrderedPacket:
        packet = sender.held.pop(place)
        sender.seen.append(place)
        sender.expected = place + 1
        sender.ticks += (packet.timestamp - sender.ticks + 2**31) % 2**32 - 2**31
        number = sender.n_before + place - sender.first
        self._next_number = number + 1
        self.counts.n_received += 1
        return OrderedPacket(packet=packet, number=number, ticks=sender.ticks)


@dataclass(slots=True, kw_only=True)
class _Sender:
    """What is known of one SSRC; places are sequence numbers, unwrapped."""

    ssrc: int
    top: int
    """The greatest place that came."""
    ticks: int
    """Of the packet released last, unwrapped."""
    n_before: int
    """Packets that earlier senders counted."""
    first: int = 0
    """The first place that was released."""
    expected: int | None = None
    """The place to be released next; None while the beginning is held."""
    held: dict[int, RtpPacket] = field(default_factory=dict)
    seen: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class RtpClock:
    """From RTP ticks of one sender to the device's wall clock, by the newest sender report."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._known: tuple[int, float] | None = None

    @property
    def is_known(self) -> bool:
        """Say whether a report came."""
        return self._known is not None

    def take(self, report: SenderReport) -> float:
        """Use a report from now on; return by how much it moves the clock, s (0 for the first one)."""
        moved_s = 0.0 if self._known is None else report.unix_s - self.unix_s(report.rtp_timestamp)
        self._known = report.rtp_timestamp, report.unix_s
        return moved_s

    def assume(self, ticks: int, unix_s: float) -> None:
        """Take ``unix_s`` for the device's wall clock at ``ticks``, where no report came."""
        self._known = ticks, unix_s

    def unix_s(self, ticks: int) -> float:
        """Return the device's wall clock at ``ticks``, s since 1970; NaN before the first report."""
        if self._known is None:
            return float("nan")
        known_ticks, known_s = self._known
        return known_s + ((ticks - known_ticks + 2**31) % 2**32 - 2**31) / self._rate_hz

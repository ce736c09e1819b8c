"""From the datagrams of one sensor to packets in order on the device's wall clock, nothing dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gazecapture.sources.neon_rtp import (
    OrderedPacket,
    RtpClock,
    RtpCounts,
    RtpOrder,
    RtpPacket,
    SenderReport,
    parse_rtp,
    parse_sender_reports,
)
from gazecapture.sources.neon_rtsp import MediaDescription

__all__ = ["SensorEvents", "SensorPipeline"]

NO_REPORT_S = 10.0
"""s without a sender report after which a sender's clock is taken from when its packets arrive."""
STEP_S = 0.005
"""s; a report that moves the device's clock by more was made after somebody set it. Rounding and drift between two
reports are far below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorEvents:
    """What a pipeline tells; called in the thread that feeds it."""

    on_packet: Callable[[OrderedPacket, float], None]
    """A packet in order, and the device's wall clock, s, at its time stamp."""
    on_raw: Callable[[RtpPacket, str], None]
    """A packet that is kept as it came, and why: held (no sender report yet), late."""
    on_report: Callable[[SenderReport], None]
    on_restart: Callable[[], None]
    """The packets that follow are of a new sender."""
    on_step: Callable[[float], None]
    """The device's wall clock was set by so many s."""
    device_now_s: Callable[[int], float]
    """Session ns to the device's wall clock, as the time echo has it."""


class SensorPipeline:
    """One sensor's packets; all methods are called by one thread."""

    def __init__(self, events: SensorEvents) -> None:
        self._events = events
        self._order = RtpOrder()
        self._media = MediaDescription()
        self._clocks: dict[int, RtpClock] = {}
        self._waiting: list[OrderedPacket] = []
        self._sender: int | None = None
        self.media_known = False

    @property
    def counts(self) -> RtpCounts:
        """What happened to the packets until now."""
        return self._order.counts

    @property
    def media(self) -> MediaDescription:
        """What the phone says of the stream."""
        return self._media

    def described(self, media: MediaDescription) -> None:
        """Take note of a new connection."""
        self._release(self._order.reconnected())
        self._media = media
        self.media_known = True

    def rtp(self, datagram: bytes, now_ns: int) -> None:
        """Take a datagram of the data port."""
        packet = parse_rtp(datagram, payload_type=self._media.payload_type, t_received_ns=now_ns)
        if packet is None:
            self._order.counts.n_garbage += 1
            return
        self._release(self._order.push(packet))
        self._give_late()

    def rtcp(self, datagram: bytes, now_ns: int) -> None:
        """Take a datagram of the control port."""
        for report in parse_sender_reports(datagram, t_received_ns=now_ns):
            self._events.on_report(report)
            moved_s = self._clock(report.ssrc).take(report)
            if abs(moved_s) > STEP_S:
                self._events.on_step(moved_s)
            if report.ssrc == self._sender:
                self._give_waiting()

    def due(self, now_ns: int) -> None:
        """Release what has waited long enough; called several times in the reordering window."""
        self._release(self._order.due(now_ns))
        if self._waiting and now_ns - self._waiting[0].packet.t_received_ns > NO_REPORT_S * 1e9:
            self._assume_clock()
            self._give_waiting()

    def finish(self) -> None:
        """Release all that is held; at the end."""
        self._release(self._order.flush())
        if self._waiting:
            self._assume_clock()
            self._give_waiting()

    def _release(self, packets: list[OrderedPacket]) -> None:
        for ordered in packets:
            ssrc = ordered.packet.ssrc
            if ssrc != self._sender:
                if self._waiting:
                    self._assume_clock()
                    self._give_waiting()
                if self._sender is not None:
                    self._events.on_restart()
                self._sender = ssrc
            clock = self._clock(ssrc)
            if clock.is_known and not self._waiting:
                self._events.on_packet(ordered, clock.unix_s(ordered.ticks))
            else:
                # On disk at once, in its raw form: who knows when the report comes.
                self._events.on_raw(ordered.packet, "held")
                self._waiting.append(ordered)

    def _give_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for ordered in waiting:
            self._events.on_packet(ordered, self._clock(ordered.packet.ssrc).unix_s(ordered.ticks))

    def _give_late(self) -> None:
        late, self._order.late = self._order.late, []
        for packet in late:
            self._events.on_raw(packet, "late")

    def _assume_clock(self) -> None:
        """Take the quickest of the waiting packets for one that arrived the moment it was taken."""
        ssrc = self._waiting[0].packet.ssrc
        ticks = self._waiting[0].ticks
        arrivals_s = (
            self._events.device_now_s(o.packet.t_received_ns) - (o.ticks - ticks) / self._media.rate_hz
            for o in self._waiting
        )
        self._clock(ssrc).assume(ticks, min(arrivals_s))

    def _clock(self, ssrc: int) -> RtpClock:
        return self._clocks.setdefault(ssrc, RtpClock(self._media.rate_hz))

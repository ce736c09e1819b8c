"""Packets of a Neon in order, counted, on the device's clock; no network."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.sources.neon_rtp import (
    OrderedPacket,
    RtpClock,
    RtpOrder,
    RtpPacket,
    SenderReport,
    parse_rtp,
    parse_sender_reports,
)

STEP_NS = 5_000_000
TICKS = 450


def packet(place: int, *, first: int = 0, base: int = 0, ssrc: int = 1, at: int | None = None) -> RtpPacket:
    return RtpPacket(
        sequence=(first + place) % 2**16,
        timestamp=(base + TICKS * place) % 2**32,
        ssrc=ssrc,
        marker=True,
        payload=b"x",
        t_received_ns=STEP_NS * (place if at is None else at),
    )


def pushed(order: RtpOrder, packets: list[RtpPacket]) -> list[OrderedPacket]:
    out = [released for each in packets for released in order.push(each)]
    return out + order.flush()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 60),
    first=st.integers(0, 2**16 - 1),
    base=st.integers(0, 2**32 - 1),
    fates=st.lists(st.sampled_from(["sent", "sent", "sent", "dropped", "doubled", "overtaken"]), min_size=60),
)
def test_whatever_the_network_does_each_packet_comes_once_in_order_and_the_rest_is_counted(
    n: int, first: int, base: int, fates: list[str]
) -> None:
    arriving: list[int] = []
    held: int | None = None
    for place in range(n):
        fate = fates[place]
        if fate == "dropped":
            continue
        if fate == "overtaken" and held is None:
            held = place
            continue
        arriving += [place, place] if fate == "doubled" else [place]
        if held is not None:
            arriving.append(held)
            held = None
    arriving += [] if held is None else [held]
    order = RtpOrder()
    # They come close together: nothing waits long enough to be given up.
    got = pushed(order, [packet(p, first=first, base=base, at=0) for p in arriving])
    there = sorted(set(arriving))
    counts = order.counts
    assert [(o.packet.sequence - first) % 2**16 for o in got] == there
    assert counts.n_received == len(there)
    assert counts.n_duplicates == len(arriving) - len(there)
    assert counts.n_lost == (there[-1] - there[0] + 1 - len(there) if there else 0)
    assert counts.n_late == 0
    assert [o.number for o in got] == [place - there[0] for place in there]
    assert [o.ticks - got[0].ticks for o in got] == [TICKS * (place - there[0]) for place in there]


def test_a_packet_is_waited_for_and_then_lost_and_late_when_it_comes_all_the_same() -> None:
    order = RtpOrder(reorder_s=0.04)
    got = []
    for place in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10):
        got += order.push(packet(place))
    got += order.due(STEP_NS * 30)
    assert [o.number for o in got] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert order.counts.n_lost == 1
    assert order.push(packet(9, at=40)) == []
    assert (order.counts.n_lost, order.counts.n_late) == (0, 1)
    assert [p.sequence for p in order.late] == [9]
    order.push(packet(9, at=41))
    assert (order.counts.n_lost, order.counts.n_late, order.counts.n_duplicates) == (0, 1, 1)


def test_a_new_sender_must_prove_itself_by_a_second_packet_and_counts_on() -> None:
    order = RtpOrder()
    first = [packet(p, at=0) for p in range(5)]
    garbage = packet(40_000, ssrc=77, at=0)
    second = [packet(p, first=9000, base=5, ssrc=2, at=0) for p in range(3)]
    got = pushed(order, [*first[:3], garbage, *first[3:], *second])
    assert [(o.packet.ssrc, o.number) for o in got] == [(1, n) for n in range(5)] + [
        (2, n) for n in (5, 6, 7)
    ]
    assert (order.counts.n_restarts, order.counts.n_garbage, order.counts.n_lost) == (1, 1, 0)
    order.push(first[4])
    assert (order.counts.n_late, order.counts.n_restarts) == (1, 1), "the old sender does not come back"


def test_a_new_connection_needs_no_proof() -> None:
    order = RtpOrder()
    got = [o for p in range(3) for o in order.push(packet(p))] + order.reconnected()
    got += order.push(packet(0, ssrc=5, first=1)) + order.flush()
    assert [o.number for o in got] == [0, 1, 2, 3]
    assert order.counts.n_restarts == 1


def test_the_clock_follows_the_reports_through_the_wrap_of_the_time_stamp() -> None:
    clock = RtpClock(90_000)
    assert not clock.is_known
    assert clock.unix_s(0) != clock.unix_s(0), "NaN before the first report"
    report = SenderReport(
        ssrc=1, ntp_seconds=2_208_988_800 + 1000, ntp_fraction=2**31, rtp_timestamp=2**32 - 45_000,
        n_packets=0, n_octets=0, t_received_ns=0,
    )  # fmt: skip
    assert clock.take(report) == 0.0
    assert clock.unix_s(2**32 - 90_000) == pytest.approx(1000.0)
    assert clock.unix_s(2**32 + 45_000) == pytest.approx(1001.5)
    assert clock.unix_s(45_000) == pytest.approx(1001.5)


def test_a_report_that_moves_the_clock_says_by_how_much() -> None:
    clock = RtpClock(90_000)
    clock.assume(0, 50.0)
    report = SenderReport(
        ssrc=1, ntp_seconds=2_208_988_800 + 52, ntp_fraction=0, rtp_timestamp=90_000, n_packets=0, n_octets=0,
        t_received_ns=0,
    )  # fmt: skip
    assert clock.take(report) == pytest.approx(1.0)


def test_headers_with_extension_and_padding_and_contributors_are_read() -> None:
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 0x80 | 96, 7, 8, 9)
    body = b"\0" * 8 + struct.pack("!HH", 0xBEDE, 1) + b"\1\2\3\4" + b"gaze" + b"\0\0\3"
    found = parse_rtp(head + body, payload_type=96, t_received_ns=3)
    assert found is not None
    assert (found.payload, found.marker, found.sequence, found.timestamp, found.ssrc) == (
        b"gaze",
        True,
        7,
        8,
        9,
    )
    assert parse_rtp(head + body, payload_type=97, t_received_ns=3) is None


@given(st.binary(max_size=80))
def test_no_datagram_breaks_the_parsers(datagram: bytes) -> None:
    parse_rtp(datagram, payload_type=96, t_received_ns=0)
    parse_rtp(datagram, payload_type=None, t_received_ns=0)
    parse_sender_reports(datagram, t_received_ns=0)


def test_a_sender_report_is_found_in_a_compound_datagram() -> None:
    receiver = struct.pack("!BBHI", 0x80, 201, 1, 5)
    sender = struct.pack("!BBHIIIIII", 0x80, 200, 6, 11, 2_208_988_801, 2**30, 12, 13, 14)
    (report,) = parse_sender_reports(receiver + sender + b"\1\2", t_received_ns=1)
    assert (report.ssrc, report.unix_s, report.rtp_timestamp) == (11, 1.25, 12)

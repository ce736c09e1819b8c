"""One sensor's RTSP server: describes the stream and sends it to whoever plays it, with the faults asked for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from gazecapture.sources.neon_simulator.clock import PhoneClock
from gazecapture.sources.neon_simulator.options import Faults
from gazecapture.sources.neon_simulator.packets import PAYLOAD_TYPE, rtp_packet, sender_report
from gazecapture.sources.neon_simulator.sensors import Sample, Sensor
from gazecapture.sources.neon_simulator.truth import SentPacket, Truth

__all__ = ["RtspServer"]

RTP_RATE_HZ = 90_000
GARBAGE_BYTES = 40
_PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
Send = Callable[[int, bytes], None]
"""Takes 0 (data) or 1 (control) and a datagram."""


class RtspServer:
    """Serves one sensor on a port of its own, as the phone does."""

    def __init__(
        self,
        sensor: Sensor,
        *,
        clock: PhoneClock,
        began_unix_s: float,
        faults: Faults,
        truth: Truth,
        seed: int,
    ) -> None:
        self.sensor = sensor
        self.n_interleaved = 0
        """Connections that asked for the stream over TCP."""
        self.port = 0
        self.host = ""
        self._clock = clock
        self._began_s = began_unix_s
        self._faults = faults
        self._truth = truth
        self._random = random.Random(f"{seed}-{sensor.name}")  # noqa: S311 - faults to be repeated
        self._description = ""
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self, host: str) -> None:
        """Listen; on the same port as before, after `stop`."""
        self.host = host
        self._description = self._description or self._describe()
        self._server = await asyncio.start_server(self._accept, host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End all connections at once, without a farewell."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection's handler is a task
        self._clients.add(task)
        session = _Session(writer, self._description)
        try:
            await self._serve(reader, session)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._clients.discard(task)
            await session.end()

    async def _serve(self, reader: asyncio.StreamReader, session: _Session) -> None:
        while True:
            first = await reader.readexactly(1)
            if first == b"$":  # the receiver's reports, interleaved
                _, size = struct.unpack("!BH", await reader.readexactly(3))
                await reader.readexactly(size)
                continue
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("ascii")
            method = session.answer(head, self.host, self.port, self.sensor.name)
            self.n_interleaved += method == "SETUP" and session.is_interleaved
            if method == "PLAY":
                session.streaming = asyncio.create_task(self._stream(session.send))
            await session.writer.drain()
            if method == "TEARDOWN":
                return

    def _describe(self) -> str:
        sensor = self.sensor
        lines = [
            "v=0",
            f"o=- 0 0 IN IP4 {self.host}",
            f"s={sensor.name}",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            f"m={sensor.media} 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} {sensor.encoding}/{RTP_RATE_HZ}",
        ]
        if sensor.media == "video":
            sets = self._parameter_sets()
            lines.append(f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={sets}")
        return "\r\n".join([*lines, "a=control:", ""])

    def _parameter_sets(self) -> str:
        encoder = self.sensor.stream()
        units = self.sensor.sample(0, 0.0, 0.0, encoder).payloads
        return ",".join(base64.b64encode(unit).decode() for unit, _ in units if unit[0] & 0x1F in (7, 8))

    async def _stream(self, send: Send) -> None:
        sensor, faults, clock = self.sensor, self._faults, self._clock
        line = _Line(
            send=send,
            ssrc=self._random.getrandbits(32),
            sequence=self._random.getrandbits(16),
            base=self._random.getrandbits(32),
            began_s=self._began_s,
        )
        state = sensor.stream()
        loop = asyncio.get_running_loop()
        next_report_s = clock.now_s() + faults.first_report_s
        number = int((clock.now_s() - self._began_s) * sensor.rate_hz) + 1
        while True:
            t_s = number / sensor.rate_hz
            unix_s = self._began_s + t_s
            await asyncio.sleep(max(0.0, clock.session_s(unix_s) - clock.session_s(clock.now_s())))
            if clock.now_s() >= next_report_s:
                next_report_s = clock.now_s() + faults.report_interval_s
                line.report(clock.now_s())
            if sensor.media == "video":
                # Drawing and coding take longer than gaze may wait.
                sample = await loop.run_in_executor(None, sensor.sample, number, t_s, unix_s, state)
            else:
                sample = sensor.sample(number, t_s, unix_s, state)
            self._send(line, sample, number, t_s, unix_s)
            number += 1

    def _send(self, line: _Line, sample: Sample, number: int, t_s: float, unix_s: float) -> None:
        faults, random_ = self._faults, self._random
        stalled = faults.stall_at_s is not None and 0 <= t_s - faults.stall_at_s < faults.stall_s
        for payload, marker in sample.payloads:
            packet, sequence = line.packet(payload, unix_s, marker=marker)
            if faults.garbage and random_.random() < faults.garbage:
                line.send(0, random_.randbytes(GARBAGE_BYTES))
            dropped = random_.random() < faults.drop
            overtaken = random_.random() < faults.reorder
            doubled = random_.random() < faults.duplicate
            if stalled:
                fate = "stalled"
            elif dropped:
                fate = "dropped"
            elif overtaken and line.held is None:
                fate = "overtaken"
            else:
                fate = "doubled" if doubled else "sent"
            line.give(packet, fate)
            x, y, u, v = sample.gaze or (None, None, None, None)
            self._truth.note(
                SentPacket(
                    sensor=self.sensor.name,
                    sample=number,
                    ssrc=line.ssrc,
                    sequence=sequence,
                    fate=fate,
                    t_device_s=unix_s,
                    t_session_s=self._clock.session_s(unix_s),
                    x_screen_px=x,
                    y_screen_px=y,
                    x_scene_px=u,
                    y_scene_px=v,
                )
            )


@dataclass(slots=True, kw_only=True)
class _Line:
    """One RTP stream to one receiver."""

    send: Send
    ssrc: int
    sequence: int
    base: int
    """RTP time stamp of the moment at which the sensors began."""
    began_s: float
    n_packets: int = 0
    n_octets: int = 0
    held: bytes | None = None

    def packet(self, payload: bytes, unix_s: float, *, marker: bool) -> tuple[bytes, int]:
        sequence = self.sequence
        self.sequence = (self.sequence + 1) & 0xFFFF
        packet = rtp_packet(
            payload, sequence=sequence, timestamp=self._timestamp(unix_s), ssrc=self.ssrc, marker=marker
        )
        return packet, sequence

    def give(self, packet: bytes, fate: str) -> None:
        """Send a packet according to its fate; one that was held back goes right after the next one that is sent."""
        if fate == "overtaken":
            self.held = packet
            return
        if fate in ("dropped", "stalled"):
            return
        held, self.held = self.held, None
        for datagram in (packet, packet if fate == "doubled" else None, held):
            if datagram is not None:
                self.send(0, datagram)
                self.n_packets += 1
                self.n_octets += len(datagram)

    def report(self, unix_s: float) -> None:
        self.send(
            1,
            sender_report(
                ssrc=self.ssrc,
                unix_s=unix_s,
                timestamp=self._timestamp(unix_s),
                n_packets=self.n_packets,
                n_octets=self.n_octets,
            ),
        )

    def _timestamp(self, unix_s: float) -> int:
        return self.base + round((unix_s - self.began_s) * RTP_RATE_HZ)


class _Session:
    """One connection: its answers, its way to send, its end."""

    def __init__(self, writer: asyncio.StreamWriter, description: str) -> None:
        self.writer = writer
        self.streaming: asyncio.Task[None] | None = None
        self._description = description
        self._id = f"{random.getrandbits(32):08X}"
        self._sockets: list[socket.socket] = []
        self._channels: tuple[int, int] | None = None

    def answer(self, head: str, host: str, port: int, name: str) -> str:
        """Answer a request; return its method."""
        lines = head.strip().split("\r\n")
        method = lines[0].split()[0]
        asked = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        said: dict[str, str] = {"CSeq": asked.get("cseq", "0")}
        body = b""
        if method == "OPTIONS":
            said["Public"] = _PUBLIC
        elif method == "DESCRIBE":
            body = self._description.encode()
            said |= {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
            said["Content-Base"] = f"rtsp://{host}:{port}/?camera={name}"
        else:
            said["Session"] = f"{self._id};timeout=60"
            if method == "SETUP":
                said["Transport"] = self._set_up(asked["transport"], host)
        answer = "".join(f"{key}: {value}\r\n" for key, value in said.items())
        self.writer.write(f"RTSP/1.0 200 OK\r\n{answer}\r\n".encode() + body)
        return method

    @property
    def is_interleaved(self) -> bool:
        """Say whether the stream goes over the connection itself."""
        return self._channels is not None

    def send(self, channel: int, datagram: bytes) -> None:
        """Send to the receiver; one that does not listen is no error."""
        if self._channels is not None:
            if not self.writer.transport.is_closing():
                self.writer.write(
                    b"$" + struct.pack("!BH", self._channels[channel], len(datagram)) + datagram
                )
            return
        with contextlib.suppress(OSError):
            self._sockets[channel].send(datagram)

    async def end(self) -> None:
        if self.streaming is not None:
            self.streaming.cancel()
            await asyncio.gather(self.streaming, return_exceptions=True)
        for each in self._sockets:
            each.close()
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def _set_up(self, transport: str, host: str) -> str:
        wishes = dict(part.strip().partition("=")[::2] for part in transport.split(";"))
        if "interleaved" in wishes:
            first, second = (int(number) for number in wishes["interleaved"].split("-"))
            self._channels = first, second
            return f"RTP/AVP/TCP;unicast;interleaved={first}-{second}"
        peer = self.writer.get_extra_info("peername")[0]
        ports = [int(number) for number in wishes["client_port"].split("-")]
        for port in ports:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets.append(sender)
            sender.bind((host, 0))
            sender.connect((peer, port))
            sender.setblocking(False)
        mine = "-".join(str(sender.getsockname()[1]) for sender in self._sockets)
        return f"RTP/AVP;unicast;client_port={ports[0]}-{ports[1]};server_port={mine}"

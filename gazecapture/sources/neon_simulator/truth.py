"""What the simulator knows and a receiver has to find out."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gazecapture.files import atomic_path

__all__ = ["SentPacket", "Truth"]

SCHEMA = pa.schema(
    [
        pa.field("sensor", pa.string(), nullable=False),
        pa.field("sample", pa.int64(), nullable=False),
        pa.field("ssrc", pa.int64(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("fate", pa.string(), nullable=False),
        pa.field("t_device_s", pa.float64(), nullable=False),
        pa.field("t_session_s", pa.float64(), nullable=False),
        pa.field("x_screen_px", pa.float64()),
        pa.field("y_screen_px", pa.float64()),
        pa.field("x_scene_px", pa.float64()),
        pa.field("y_scene_px", pa.float64()),
    ]
)
"""One row per packet and receiver. fate: sent, doubled, overtaken, dropped, stalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPacket:
    """One packet that was to go to one receiver."""

    sensor: str
    sample: int
    """Counts the sensor's samples (frames) since the simulator began."""
    ssrc: int
    sequence: int
    fate: str
    t_device_s: float
    t_session_s: float
    """When it was taken, on the session clock of this host."""
    x_screen_px: float | None = None
    y_screen_px: float | None = None
    x_scene_px: float | None = None
    y_scene_px: float | None = None


class Truth:
    """Collects what was done; readable while the simulator runs."""

    def __init__(self) -> None:
        self._packets: list[SentPacket] = []
        self._guard = threading.Lock()

    def note(self, packet: SentPacket) -> None:
        """Remember a packet."""
        with self._guard:
            self._packets.append(packet)

    def packets(self, sensor: str) -> list[SentPacket]:
        """Return a sensor's packets, in the order in which they were due."""
        with self._guard:
            return [packet for packet in self._packets if packet.sensor == sensor]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return by sensor how many packets met which fate."""
        with self._guard:
            found = Counter((packet.sensor, packet.fate) for packet in self._packets)
        counts: dict[str, dict[str, int]] = {}
        for (sensor, fate), n in sorted(found.items()):
            counts.setdefault(sensor, {})[fate] = n
        return counts

    def write(self, path: Path, **settings: Any) -> None:
        """Write all of it to a Parquet file, with ``settings`` and the counts in its metadata."""
        with self._guard:
            rows = [{name: getattr(packet, name) for name in SCHEMA.names} for packet in self._packets]
        metadata = {
            "synthetic": "true",
            "counts": json.dumps(self.counts()),
            "settings": json.dumps(settings),
        }
        table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata(metadata))
        with atomic_path(path) as scratch:
            pq.write_table(table, scratch)

"""Rows on their way from the thread that hears a Neon to the thread that records it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from gazecapture.session.schema import StreamInfo
from gazecapture.sources.protocol import SourceBatch

__all__ = ["RowQueue"]


class RowQueue:
    """Rows of several streams, without bound: what came is never dropped."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[float, int, tuple[Any, ...]]]] = {}
        self._there = threading.Condition()

    def put(self, stream_id: str, t_remote_s: float, t_received_ns: int, values: tuple[Any, ...]) -> None:
        """Add a row; ``values`` in the order of the stream's channels."""
        with self._there:
            self._waiting.setdefault(stream_id, deque()).append((t_remote_s, t_received_ns, values))
            self._there.notify()

    def take(self, timeout_s: float, infos: Mapping[str, StreamInfo]) -> SourceBatch | None:
        """Return all rows of the stream whose first row waited longest; None after ``timeout_s``."""
        with self._there:
            if not self._there.wait_for(lambda: any(self._waiting.values()), timeout_s):
                return None
            filled = [name for name, rows in self._waiting.items() if rows]
            stream_id = min(filled, key=lambda name: self._waiting[name][0][1])
            rows = list(self._waiting[stream_id])
            self._waiting[stream_id].clear()
        t_remote_s, t_received_ns, values = zip(*rows, strict=True)
        kind = object if infos[stream_id].channel_format == "string" else np.float64
        table = np.array(values, kind)
        return SourceBatch(
            stream_id=stream_id,
            t_remote_s=np.array(t_remote_s, np.float64),
            t_received_ns=np.array(t_received_ns, np.int64),
            columns={c.column: table[:, place] for place, c in enumerate(infos[stream_id].channels)},
        )

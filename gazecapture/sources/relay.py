"""Republishes a source as Lab Streaming Layer outlets, for other people's programs; only where somebody asks for it.

The recorder does not need it: it reads its sources itself, so that nothing is lost on the way. Anybody on the network
can receive an outlet, whatever the configuration says, so that none carries a case, a host or a serial number.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gazecapture.clock import import_pylsl
from gazecapture.session.schema import StreamChannel, StreamInfo
from gazecapture.sources.lsl_header import make_header
from gazecapture.sources.protocol import Source, SourceBatch
from keyframes.errors import UsageError

__all__ = ["Relay", "relayed_info"]

logger = logging.getLogger(__name__)

READ_S = 0.2
BUFFER_S = 360
"""s of samples kept for a slow receiver; LSL's default, and the least that a recorder can trust."""
IRREGULAR_BUFFER = 3600
"""In units of 100 samples: what liblsl counts in where a stream names no rate."""
RAW_TIME = "source_time"


def relayed_info(info: StreamInfo) -> StreamInfo:
    """Return what the outlet of a stream says: as the source, with its raw time stamps as one channel more.

    Numbers go out as double64, so that raw time stamps keep their last digit; text stays text.
    """
    text = info.channel_format == "string"
    taken = {channel.column for channel in info.channels}
    column = RAW_TIME
    while column in taken:
        column = f"relay_{column}"
    raw = StreamChannel(column=column, label=column, kind="RawTime", unit="seconds")
    return replace(
        info,
        channel_format="string" if text else "double64",
        channels=(*info.channels, raw),
        source_id="",
        xml="",
    )


class Relay:
    """One outlet for each stream of a source.

    Parameters
    ----------
    source : not open yet.
    label  : part of the source ids; a receiver connects again to a relay of the same label by itself. Random where
        empty: two devices must never look like one.
    leave_out : types of streams that are not sent.
    """

    def __init__(self, source: Source, *, label: str = "", leave_out: Collection[str] = ()) -> None:
        if label and not re.fullmatch(r"[A-Za-z0-9-]{1,32}", label):
            raise UsageError("the label must be 1 to 32 letters, digits or -", hint="Give another --label.")
        self._source = source
        self._leave_out = frozenset(leave_out)
        self._label = label or uuid.uuid4().hex[:16]
        self._outlets: dict[str, Any] = {}
        self._infos: dict[str, StreamInfo] = {}
        self._offset_s: dict[str, float] = {}
        self.n_sent: dict[str, int] = {}
        """Samples sent, by stream name."""

    def __enter__(self) -> Relay:
        """Open the source and the outlets. Raises DeviceUnavailableError where the device does not answer."""
        pylsl = import_pylsl()
        self._source.open()
        for info in self._source.info:
            if info.kind in self._leave_out:
                continue
            sent = relayed_info(info)
            header = make_header(sent, source_id=f"relay-{self._label}-{info.stream_id}")
            buffer = BUFFER_S if info.nominal_rate_hz > 0 else IRREGULAR_BUFFER
            self._outlets[info.stream_id] = pylsl.StreamOutlet(header, max_buffered=buffer)
            self._infos[info.stream_id] = sent
            self.n_sent[info.name] = 0
        self._take_news()
        return self

    def __exit__(self, *_error: object) -> None:
        """Close everything."""
        self._source.close()
        self._outlets.clear()

    @property
    def names(self) -> list[str]:
        """The streams' names."""
        return list(self.n_sent)

    def run(self, stop: threading.Event) -> Mapping[str, int]:
        """Send what comes until ``stop`` is set; return how many samples were sent, by stream name.

        Raises StreamLostError where the source is gone for good.
        """
        while not stop.is_set():
            batch = self._source.read(READ_S)
            self._take_news()
            if batch is not None and batch.stream_id in self._outlets:
                self._send(batch)
        return self.n_sent

    def _send(self, batch: SourceBatch) -> None:
        info = self._infos[batch.stream_id]
        columns = [batch.columns[channel.column] for channel in info.channels[:-1]]
        stamps = (batch.t_remote_s + self._offset_s.get(batch.stream_id, 0.0)).tolist()
        outlet = self._outlets[batch.stream_id]
        if info.channel_format == "string":
            raw = [repr(float(t_s)) for t_s in batch.t_remote_s]
            outlet.push_chunk([[str(v) for v in row] for row in zip(*columns, raw, strict=True)], stamps)
        else:
            outlet.push_chunk(np.column_stack([*columns, batch.t_remote_s]).astype(np.float64), stamps)
        self.n_sent[info.name] += batch.t_remote_s.size

    def _take_news(self) -> None:
        """Use the newest clock offsets; tell what happened to the streams."""
        for offset in self._source.offsets():
            self._offset_s[offset.stream_id] = offset.offset_s
        for mark in self._source.marks():
            logger.warning("stream %s: %s %s", mark.stream_id, mark.kind, mark.detail)

"""A session that is being recorded, for tests of those who watch it: the rows of a finished one come bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gazecapture.session.journal import JournalWriter, read_journal
from gazecapture.session.schema import DISPLAY_JOURNAL, read_stream_info
from gazecapture.session.status import RecorderStatus, StreamStatus, write_status
from tests.unit.curation.readings import write_session

__all__ = ["Going"]


class Going:
    """A session that is being recorded: the rows of a finished one come bit by bit."""

    def __init__(self, folder: Path, done: Path | None = None) -> None:
        done = done or write_session(folder, n_readings=2, name="done")
        self.session = folder / "going"
        self.session.mkdir()
        for name in ("session.json", "images"):
            (done / name).rename(self.session / name)
        (stream,) = [
            path.parent
            for path in (done / "streams").glob("*/stream.json")
            if read_stream_info(path.parent).role == "gaze"
        ]
        target = self.session / "streams" / stream.name
        target.mkdir(parents=True)
        (stream / "stream.json").rename(target / "stream.json")
        self.stream_id = stream.name
        self.gaze = read_journal(stream).table
        self.display = read_journal(done / "display").table
        self._gaze = JournalWriter(target, self.gaze.schema)
        self._display = JournalWriter(self.session / "display", DISPLAY_JOURNAL)
        self._until_ns = 0

    def go_on(self, until_ns: int) -> None:
        """Write what happened until then."""
        for table, writer, times in (
            (self.display, self._display, self.display.column("t_ns").to_numpy()),
            (self.gaze, self._gaze, np.round(self.gaze.column("t_remote_s").to_numpy() * 1e9)),
        ):
            own = (times >= self._until_ns) & (times < until_ns)
            writer.append(table.filter(pa.array(own)))
        self._until_ns = until_ns

    def say(self, t_ns: int, **facts: Any) -> None:
        stream = StreamStatus(
            stream_id=self.stream_id, role="gaze", name="Eyes", n_samples=100, rate_hz=250.0,
            nominal_rate_hz=250.0, last_sample_age_s=0.01, offset_s=0.0,
        )  # fmt: skip
        state = {"state": "recording", "pid": 1, "t_ns": t_ns, "streams": (stream,), "disk_free_bytes": 2**40}
        write_status(self.session, RecorderStatus(**{**state, **facts}))

    def close(self) -> None:
        self._gaze.close()
        self._display.close()

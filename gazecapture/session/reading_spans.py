"""When each study of a session was on screen, and what was said then, by the display journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gazecapture.session.journal import read_journal
from gazecapture.session.pauses import Pauses
from gazecapture.session.schema import DISPLAY_JOURNAL

__all__ = ["ReadingSpan", "SpeechSpan", "reading_spans", "speech_spans"]

SPEECH_EDGE_NS = 10_000_000_000
"""Of speech before the first study and after the last; nobody dictates longer to an empty screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSpan:
    """When one study was on screen, session ns."""

    reading_number: int
    on_ns: int
    off_ns: int
    free_from_ns: int
    """From here on nothing else was read: the end of the study before, or image on itself where an attempt that was
    given up came between."""
    pauses: Pauses
    before: int
    """How often it was begun before and given up: the film was seen then."""


def reading_spans(journal: pa.Table) -> dict[int, ReadingSpan]:
    """Return by number, in order of time, each reading's last finished stretch from ``on`` to ``off``.

    journal : of the display (`gazecapture.session.schema.DISPLAY_JOURNAL`).
    """
    found: dict[int, ReadingSpan] = {}
    attempts: Counter[int] = Counter()
    opened: tuple[int, int] | None = None
    free_from = int(np.iinfo(np.int64).min)
    rows = journal.select(["t_ns", "reading_number", "event"]).sort_by("t_ns").to_pylist()
    for row in rows:
        number, t_ns = row["reading_number"], row["t_ns"]
        if row["event"] == "on" and opened != (number, t_ns):
            if opened is not None:
                # The window was killed, and what was said before it came back is of no reading.
                free_from = t_ns
            opened = number, t_ns
            attempts[number] += 1
        elif row["event"] == "off" and opened is not None and opened[0] == number:
            found[number] = ReadingSpan(
                reading_number=number,
                on_ns=opened[1],
                off_ns=t_ns,
                free_from_ns=free_from,
                pauses=Pauses.of_rows(rows, opened[1], t_ns),
                before=attempts[number] - 1,
            )
            opened, free_from = None, t_ns
    return dict(sorted(found.items(), key=lambda item: item[1].on_ns))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSpan:
    """What was said then belongs to one study, session ns."""

    on_ns: int
    """Image on: time 0 of the reading."""
    start_ns: int
    end_ns: int
    pauses: Pauses

    def reading_time(self, since_on_ns: ArrayLike) -> NDArray[np.int64]:
        """Return ns since image on by the clock as reading time, which stands still in a pause."""
        return self.pauses.reading_time(np.asarray(since_on_ns, np.int64) + self.on_ns)


def speech_spans(session: Path) -> dict[int, SpeechSpan]:
    """Return by reading number when what was said belongs to it, as the words of `to_readings` do.

    Before the first study and after the last one `SPEECH_EDGE_NS` count.
    """
    spans = list(reading_spans(read_journal(session / "display", schema=DISPLAY_JOURNAL).table).values())
    found = {}
    for place, span in enumerate(spans):
        before_ns = spans[place - 1].off_ns if place else span.on_ns - SPEECH_EDGE_NS
        after_ns = span.off_ns if place + 1 < len(spans) else span.off_ns + SPEECH_EDGE_NS
        start_ns = max(before_ns, span.free_from_ns)
        found[span.reading_number] = SpeechSpan(
            on_ns=span.on_ns, start_ns=start_ns, end_ns=after_ns, pauses=span.pauses
        )
    return found

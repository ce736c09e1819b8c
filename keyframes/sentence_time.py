"""Which time belongs to which sentence, given that gaze leads speech."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "LEAD_S",
    "MIN_SILENT_S",
    "Window",
    "sentence_weights",
    "sentence_windows",
    "sentences_in_order",
    "windows_between",
    "windows_of",
]

LEAD_S = 2.0
"""s that gaze leads speech, unless it was fitted for the reader; the published scripts take the same."""
MIN_SILENT_S = 0.6
"""s. A shorter gap between a sentence and the next one's gaze stays with the sentence before it: it has room for two
fixations, which is no search of its own."""

_FOREVER_NS = 1 << 62
_WEIGHTS = pa.schema(
    [
        pa.field("event_index", pa.int32(), nullable=False),
        pa.field("sentence_id", pa.string(), nullable=True),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time whose gaze belongs to one sentence, or to none; ns, half-open."""

    sentence_id: str | None
    t_start_ns: int
    t_end_ns: int


def sentence_weights(
    events: pa.Table, sentences: pa.Table, *, lead_s: float = LEAD_S, min_silent_s: float = MIN_SILENT_S
) -> pa.Table:
    """Return which sentence each fixation belongs to, and how much of it.

    Gaze leads speech: sentence k has the time from ``lead_s`` before its start to its end; where the next one's
    begins earlier, the bound between both is there, but never before sentence k's own start. After a sentence gaze
    is silent until the next one's time; a gap below ``min_silent_s`` stays with the sentence before it. A fixation
    across a bound is shared by time.

    Returns a table of ``event_index``, ``sentence_id`` (null: silent) and ``weight``, in order of time; the weights
    of a fixation sum to 1. Fixations off every image are in it too.
    """
    fixations = events.filter(pc.equal(events.column("kind"), "fixation"))
    index = fixations.column("event_index").to_numpy()
    start = fixations.column("t_start_ns").to_numpy()
    end = np.maximum(fixations.column("t_end_ns").to_numpy(), start + 1)
    windows = sentence_windows(sentences, lead_s=lead_s, min_silent_s=min_silent_s)
    bounds = np.array([w.t_end_ns for w in windows[:-1]], np.int64)
    first, last = np.searchsorted(bounds, start, side="right"), np.searchsorted(bounds, end, side="left")
    rows: dict[str, list[Any]] = {"event_index": [], "sentence_id": [], "weight": []}
    for i in np.lexsort((index, start)):
        length = int(end[i] - start[i])
        shares: dict[str | None, float] = {}
        for window in windows[first[i] : last[i] + 1]:
            shared = min(int(end[i]), window.t_end_ns) - max(int(start[i]), window.t_start_ns)
            if shared > 0:
                shares[window.sentence_id] = shares.get(window.sentence_id, 0.0) + shared / length
        rows["event_index"] += [int(index[i])] * len(shares)
        rows["sentence_id"] += shares.keys()
        rows["weight"] += shares.values()
    return pa.table(rows, schema=_WEIGHTS)


def sentence_windows(
    sentences: pa.Table, *, lead_s: float = LEAD_S, min_silent_s: float = MIN_SILENT_S
) -> list[Window]:
    """Return windows that cover all time without overlap: one per sentence, and the silent ones between.

    The rule is that of `sentence_weights`. A sentence's window may be empty where the next one starts with it.
    """
    return windows_of(sentences_in_order(sentences), lead_s=lead_s, min_silent_s=min_silent_s)


def sentences_in_order(sentences: pa.Table) -> list[dict[str, Any]]:
    """Return id and bounds of each sentence, in order of time."""
    order = pc.sort_indices(
        sentences, sort_keys=[("t_start_ns", "ascending"), ("sentence_index", "ascending")]
    )
    rows: list[dict[str, Any]] = (
        sentences.select(["sentence_id", "t_start_ns", "t_end_ns"]).take(order).to_pylist()
    )
    return rows


def windows_of(rows: Sequence[Mapping[str, Any]], *, lead_s: float, min_silent_s: float) -> list[Window]:
    """Return what `sentence_windows` does, of `sentences_in_order`: who tries many leads sorts once."""
    lead_ns, gap_ns = round(lead_s * 1e9), round(min_silent_s * 1e9)
    windows: list[Window] = []
    t = -_FOREVER_NS
    begin = rows[0]["t_start_ns"] - lead_ns if rows else _FOREVER_NS
    for place, row in enumerate(rows):
        if begin > t:
            windows.append(Window(sentence_id=None, t_start_ns=t, t_end_ns=begin))
        following = rows[place + 1]["t_start_ns"] - lead_ns if place + 1 < len(rows) else _FOREVER_NS
        end = max(row["t_end_ns"], begin)
        if following - end < gap_ns:
            end = following = max(following, row["t_start_ns"], begin)
        windows.append(Window(sentence_id=row["sentence_id"], t_start_ns=begin, t_end_ns=end))
        t, begin = end, following
    if begin > t:
        windows.append(Window(sentence_id=None, t_start_ns=t, t_end_ns=_FOREVER_NS))
    return windows


def windows_between(times_ns: Iterable[int]) -> list[Window]:
    """Return silent windows that cover all time without overlap, cut at the times given, which are in order."""
    bounds = [-_FOREVER_NS, *times_ns, _FOREVER_NS]
    return [Window(sentence_id=None, t_start_ns=a, t_end_ns=b) for a, b in itertools.pairwise(bounds)]

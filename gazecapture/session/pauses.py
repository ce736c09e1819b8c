"""Pauses in a reading: the images were off the screen for a while, and that while counts as no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PAUSE_SEAM_NS", "Pauses"]

PAUSE_SEAM_NS = 200_000_000
"""ns that are left of a pause: more than any gap that event detectors bridge, so that no eye movement leads across."""


class Pauses:
    """The pauses of one reading.

    Parameters
    ----------
    on_ns : image on, session clock.
    spans : (start, end) of each pause, session clock, in order.
    """

    def __init__(self, on_ns: int, spans: Sequence[tuple[int, int]] = ()) -> None:
        self._on_ns = on_ns
        self._spans = [(start, end) for start, end in spans if end - start > PAUSE_SEAM_NS]

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]], on_ns: int, off_ns: int) -> Pauses:
        """Find them in display journal rows in order of time; a pause that nobody ended ends with the reading."""
        spans: list[tuple[int, int]] = []
        begun: int | None = None
        for row in rows:
            if not on_ns <= row["t_ns"] <= off_ns:
                continue
            if row["event"] == "pause" and begun is None:
                begun = row["t_ns"]
            elif row["event"] in {"resume", "off"} and begun is not None:
                spans.append((begun, row["t_ns"]))
                begun = None
        return cls(on_ns, spans)

    @property
    def taken_out_ns(self) -> int:
        """How much shorter reading time is than the clock's."""
        return sum(end - start - PAUSE_SEAM_NS for start, end in self._spans)

    def covers(self, t_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which session-clock times lie in a pause."""
        inside = np.zeros(t_ns.shape, np.bool_)
        for start, end in self._spans:
            inside |= (t_ns >= start) & (t_ns < end)
        return inside

    def reading_time(self, t_ns: ArrayLike) -> NDArray[np.int64]:
        """Return session-clock times as time since image on, without the pauses; a time in one falls into its seam."""
        t = np.asarray(t_ns, np.int64)
        shorter = np.zeros(t.shape, np.int64)
        for start, end in self._spans:
            shorter += np.clip(t - (start + PAUSE_SEAM_NS), 0, end - start - PAUSE_SEAM_NS)
        since: NDArray[np.int64] = t - self._on_ns - shorter
        return since

"""How fast and how surely the online detector announces saccades, beside two human coders."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from events_data import Labels, Recording
from numpy.typing import NDArray

from keyframes.events.online import OnlineDetector, OnlineParameters

__all__ = ["OnlineResult", "announce", "measures", "push_times_ns"]

MIN_IOU = 0.5
"""Overlap over union from which a saccade of both coders is one."""

EARLY_SAMPLES = 2
"""An announcement this long before the coders' mean onset is still that of the saccade: coders differ by as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineResult:
    """What the detector said about one recording."""

    n_agreed: int
    """Saccades that both coders marked."""
    latencies_s: NDArray[np.float64]
    """From the mean of the coders' onsets to the first announcement, of each of those that was announced."""
    n_false: int
    """Announcements at samples that both coders call fixation: the strict count, which the target is for."""
    n_false_but_early: int
    """Of those, the ones that come a little before the onset of a saccade of both coders, and announce that."""
    fixation_s: float
    """Time that both coders call fixation."""


def announce(recording: Recording, parameters: OnlineParameters | None = None) -> OnlineResult:
    """Run the detector over a recording and hold its announcements against the coders."""
    detector = OnlineDetector(*recording.px_per_deg, parameters=parameters)
    said = detector.push(recording.t_s, recording.x_px, recording.y_px)
    decided = np.array([m.t_decided_s for m in said if m.kind == "saccade" and m.edge == "onset"])
    decided_at = np.searchsorted(recording.t_s, decided - 1e-9)
    first, second = recording.truth.values()
    agreed = _agreed_saccades(first, second)
    latencies = []
    announces_one = np.zeros(decided_at.size, np.bool_)
    for onset, end in agreed:
        mine = (decided_at >= onset - EARLY_SAMPLES) & (decided_at < end + 1)
        announces_one |= mine
        if mine.any():
            latencies.append((decided_at[mine][0] - onset) / recording.rate_hz)
    both_fixate = (first == 1) & (second == 1)
    return OnlineResult(
        n_agreed=len(agreed),
        latencies_s=np.array(latencies),
        n_false=int(both_fixate[decided_at].sum()),
        n_false_but_early=int(both_fixate[decided_at[announces_one]].sum()),
        fixation_s=float(both_fixate.sum() / recording.rate_hz),
    )


def measures(results: list[OnlineResult]) -> dict[str, float]:
    """Return share found, median and 95th percentile of latency in ms, and false alarms per s of fixation."""
    fixation_s = sum(one.fixation_s for one in results)
    n_false = sum(one.n_false for one in results)
    latencies_ms = 1000.0 * np.concatenate([one.latencies_s for one in results])
    return {
        "found": latencies_ms.size / sum(one.n_agreed for one in results),
        "median ms": float(np.median(latencies_ms)) if latencies_ms.size else float("nan"),
        "p95 ms": float(np.percentile(latencies_ms, 95)) if latencies_ms.size else float("nan"),
        "false/s": n_false / fixation_s,
        "false/s, early ones left out": (n_false - sum(one.n_false_but_early for one in results))
        / fixation_s,
    }


def push_times_ns(
    t_s: NDArray[np.float64], x_px: NDArray[np.float64], y_px: NDArray[np.float64]
) -> list[int]:
    """Return the wall time of each push of one sample from Python, the clock's own included."""
    detector = OnlineDetector(40.0, 40.0)
    samples = list(zip(t_s.tolist(), x_px.tolist(), y_px.tolist(), strict=True))
    taken = []
    for t, x, y in samples:
        start = time.perf_counter_ns()
        detector.push(t, x, y)
        taken.append(time.perf_counter_ns() - start)
    return taken


def _agreed_saccades(first: Labels, second: Labels) -> list[tuple[float, float]]:
    """Return mean onset and mean end, in samples, of the saccades of one coder that are also the other's."""
    found = []
    theirs = _runs(second == 2)
    for a, b in _runs(first == 2):
        overlaps = [(min(b, d) - max(a, c)) / (max(b, d) - min(a, c)) for c, d in theirs]
        if overlaps and max(overlaps) >= MIN_IOU:
            c, d = theirs[int(np.argmax(overlaps))]
            found.append(((a + c) / 2, (b + d) / 2))
    return found


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

"""From the clock of a tracker's own file to the session clock: a line, and how well it is known.

Three ways, in this order: times that both sides have from the tracker itself, numbered marks that the session sent to
the tracker, the movement of the eyes. Whichever it is, the eyes must move alike on both sides, so that another
recording, whose clock may well show the same hours, is never taken for this one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gazecapture.session.gaze_matching import GazeSignal, agreement, coarse_offsets, window_offsets
from gazecapture.session.robust_line import theil_sen
from keyframes.errors import DataError

__all__ = ["MAX_RESIDUAL_MS", "Alignment", "LiveGaze", "find_alignment"]

MAX_RESIDUAL_MS = 2.0
"""ms; what issue and docs promise, and half a sample of the slowest tracker (200 Hz) that is used for saccades."""
MIN_CORRELATION = 0.8
"""Of the two recordings of one gaze; they reach 0.99, two recordings of different gaze 0.5 over half a minute."""
MAX_DRIFT = 1e-3
"""Share; quartzes drift by 1e-4 at the very worst, so that a steeper line joins what does not belong together."""
MIN_SHARED_SHARE = 0.8
"""Of the live samples inside the file's time whose device time is in the file."""
MIN_SHARED = 50
"""Samples; fewer can fall together by chance."""
SHARED_TOLERANCE_NS = 2_000
"""ns; times as float64 s since 1970 are exact to 240 ns, trackers count in microseconds or coarser."""
MIN_MARKS_ALONE = 3
"""Marks that stand without gaze beside them; of two, one that came late cannot be told."""
MIN_POINTS_FOR_DRIFT, MIN_SPAN_FOR_DRIFT_S = 4, 20.0
"""Below these the offsets' own error makes more drift than a clock has."""
WINDOW_NS = 5_000_000_000
"""ns; the offset of so long a stretch is known to a tenth of a ms, and a clock drifts by less in it."""
MARK_SEARCH_S = 0.5
"""s; a mark that goes through a network and a script of the user's is this late at most."""
COARSE_SEARCH_S, FINE_SEARCH_S = 0.06, 0.008
"""s around the line so far; three steps of the coarse grid, then what the first fit may be off."""

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Method = Literal["device_time", "marks", "gaze"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """``session = session_ns + (t - file_ns) * (1 + drift)`` for a time t of the file's clock."""

    method: Method
    live_clock: str
    """Which times of the live stream are the tracker's own; empty unless the method is device_time."""
    file_clock: Literal["t_ns", "t_device_ns"]
    file_ns: int
    session_ns: int
    drift: float
    residual_p50_ms: float
    """Of the offsets of stretches of 5 s from the line."""
    residual_p99_ms: float
    n_windows: int
    n_marks: int
    correlation: float
    """Of gaze on both sides, median over the stretches; NaN where only marks could tell."""

    def to_session_ns(self, t_ns: IntArray) -> IntArray:
        """Map times of the file's clock, (n,) ns."""
        since = t_ns - self.file_ns
        return self.session_ns + since + np.round(since * self.drift).astype(np.int64)

    @property
    def offset_s(self) -> float:
        """Session clock minus file clock at the reference time."""
        return (self.session_ns - self.file_ns) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGaze:
    """The gaze of a session as it was streamed."""

    signal: GazeSignal
    clocks: Mapping[str, FloatArray]
    """(n,) s each: times that may be the tracker's own, by name; NaN where a sample has none."""


def find_alignment(
    signals: Mapping[Literal["t_ns", "t_device_ns"], GazeSignal],
    live: LiveGaze,
    *,
    marks: tuple[IntArray, IntArray],
    max_residual_ms: float = MAX_RESIDUAL_MS,
) -> Alignment:
    """Find how the file's clock and the session's go together.

    signals : the file's gaze on each of its clocks.
    marks   : (k,) times on the file's clock ``t_ns`` and on the session's of the marks that both have.

    Raises DataError: GT-BACKFILL-NO-MATCH where nothing joins the two, GT-BACKFILL-AMBIGUOUS where several lines do,
    GT-BACKFILL-RESIDUAL where the best line is worse than ``max_residual_ms``.
    """
    best: Alignment | None = None
    for candidate in _candidates(signals, live, marks):
        if abs(candidate.drift) > MAX_DRIFT or candidate.correlation < MIN_CORRELATION:
            continue
        if candidate.residual_p99_ms <= max_residual_ms:
            return candidate
        if best is None or candidate.residual_p99_ms < best.residual_p99_ms:
            best = candidate
    if best is None:
        raise DataError(
            "nothing shows that the file is of this session: neither times nor marks nor eye movements agree",
            hint="Give the file that the tracker recorded during this session.",
            code="GT-BACKFILL-NO-MATCH",
        )
    raise DataError(
        f"file and session agree to {best.residual_p99_ms:.2f} ms only ({best.method}), "
        f"at most {max_residual_ms:g} ms are allowed",
        hint="A recording that the tracker paused, or whose clock was set meanwhile, cannot be aligned by one line.",
        code="GT-BACKFILL-RESIDUAL",
    )


def _candidates(
    signals: Mapping[Literal["t_ns", "t_device_ns"], GazeSignal],
    live: LiveGaze,
    marks: tuple[IntArray, IntArray],
) -> Iterator[Alignment]:
    for name, times_s in live.clocks.items():
        for file_clock, signal in signals.items():
            shared = _shared(signal.t_ns, times_s)
            if shared is not None:
                in_file, in_live = shared
                line = _fit(
                    *_window_medians(signal.t_ns[in_file], live.signal.t_ns[in_live]), method="device_time"
                )
                yield replace(
                    line,
                    live_clock=name,
                    file_clock=file_clock,
                    correlation=agreement(signal, live.signal, line.to_session_ns, WINDOW_NS),
                )
    plain = signals["t_ns"]
    file_marks, session_marks = marks
    if file_marks.size:
        start = _fit(file_marks, session_marks, method="marks")
        refined = _refined(plain, live.signal, start, (MARK_SEARCH_S, FINE_SEARCH_S))
        if refined is not None:
            yield replace(refined, method="marks", n_marks=file_marks.size)
        elif file_marks.size >= MIN_MARKS_ALONE and not _can_tell(plain, live.signal, start):
            yield replace(start, n_marks=file_marks.size)
    at_ns, offset_ns = coarse_offsets(plain, live.signal)
    if at_ns.size:
        start = _consensus(at_ns, offset_ns)
        refined = _refined(plain, live.signal, start, (COARSE_SEARCH_S, FINE_SEARCH_S))
        if refined is not None:
            yield replace(refined, method="gaze")


def _shared(t_ns: IntArray, times_s: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return which file samples and live samples have the same device time; None where they do not share a clock."""
    known = np.flatnonzero(np.isfinite(times_s) & (np.abs(times_s) < 9e9))
    wanted = np.round(times_s[known] * 1e9).astype(np.int64)
    inside = (wanted >= t_ns[0] - SHARED_TOLERANCE_NS) & (wanted <= t_ns[-1] + SHARED_TOLERANCE_NS)
    known, wanted = known[inside], wanted[inside]
    if known.size < MIN_SHARED:
        return None
    right = np.clip(np.searchsorted(t_ns, wanted), 1, t_ns.size - 1)
    nearest = np.where(wanted - t_ns[right - 1] < t_ns[right] - wanted, right - 1, right)
    same = np.abs(t_ns[nearest] - wanted) <= SHARED_TOLERANCE_NS
    if same.mean() < MIN_SHARED_SHARE or same.sum() < MIN_SHARED:
        return None
    return nearest[same], known[same]


def _window_medians(file_ns: IntArray, session_ns: IntArray) -> tuple[IntArray, IntArray]:
    """Reduce pairs to one per stretch of time: median times, whose offset a few late samples do not move."""
    order = np.argsort(file_ns, kind="stable")
    file_ns, session_ns = file_ns[order], session_ns[order]
    window = (file_ns - file_ns[0]) // WINDOW_NS
    starts = np.concatenate([[0], np.flatnonzero(np.diff(window)) + 1, [file_ns.size]])
    at, mapped = [], []
    for first, last in itertools.pairwise(starts.tolist()):
        middle = int(file_ns[(first + last) // 2])
        offset = np.median(session_ns[first:last] - file_ns[first:last] - int(session_ns[0] - file_ns[0]))
        at.append(middle)
        mapped.append(middle + int(session_ns[0] - file_ns[0]) + round(float(offset)))
    return np.array(at, np.int64), np.array(mapped, np.int64)


def _fit(file_ns: IntArray, session_ns: IntArray, *, method: Method) -> Alignment:
    """Fit a robust line through pairs of times, at least one."""
    middle = file_ns.size // 2
    reference, base = int(file_ns[middle]), int(session_ns[middle] - file_ns[middle])
    since_s = (file_ns - reference) / 1e9
    offset_ms = (session_ns - file_ns - base) / 1e6
    level, slope = float(np.median(offset_ms)), 0.0
    if file_ns.size >= MIN_POINTS_FOR_DRIFT and np.ptp(since_s) >= MIN_SPAN_FOR_DRIFT_S:
        slope, level = theil_sen(offset_ms, since_s)
    residual = np.abs(offset_ms - (level + slope * since_s))
    return Alignment(
        method=method,
        live_clock="",
        file_clock="t_ns",
        file_ns=reference,
        session_ns=reference + base + round(level * 1e6),
        drift=slope / 1e3,
        residual_p50_ms=float(np.median(residual)),
        residual_p99_ms=float(np.percentile(residual, 99)),
        n_windows=int(file_ns.size),
        n_marks=0,
        correlation=1.0,
    )


def _refined(
    signal: GazeSignal, live: GazeSignal, start: Alignment, searches_s: tuple[float, ...]
) -> Alignment | None:
    """Fit the line anew to the offsets at which gaze agrees best near it; None where gaze tells nothing."""
    line = start
    for search_s in searches_s:
        at_ns, mapped_ns = window_offsets(signal, live, line.to_session_ns, WINDOW_NS, search_s)
        if not at_ns.size:
            return None
        line = _fit(at_ns, mapped_ns, method=start.method)
    return replace(line, correlation=agreement(signal, live, line.to_session_ns, WINDOW_NS))


def _can_tell(signal: GazeSignal, live: GazeSignal, line: Alignment) -> bool:
    """Say whether both sides have gaze at the same time, so that it could contradict the marks."""
    return bool(np.isfinite(agreement(signal, live, line.to_session_ns, WINDOW_NS)))


def _consensus(at_ns: IntArray, offset_ns: IntArray) -> Alignment:
    """Fit the offsets that stretches of gaze voted for. Raises DataError where they do not agree on one line."""
    line = _fit(at_ns, at_ns + offset_ns, method="gaze")
    near = np.abs(line.to_session_ns(at_ns) - at_ns - offset_ns) <= COARSE_SEARCH_S * 1e9
    if near.mean() < MIN_SHARED_SHARE or abs(line.drift) > MAX_DRIFT:
        raise DataError(
            "the movement of the eyes fits at several places of the file",
            hint="Send marks to the tracker while reading (--tracker-marks), or record its own time in the stream.",
            code="GT-BACKFILL-AMBIGUOUS",
        )
    return _fit(at_ns[near], (at_ns + offset_ns)[near], method="gaze")

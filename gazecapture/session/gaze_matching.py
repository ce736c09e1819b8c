"""Where two recordings of one gaze fit together in time: first anywhere, then to a fraction of a ms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from keyframes.errors import DataError

__all__ = ["GazeSignal", "agreement", "coarse_offsets", "window_offsets"]

GRID_NS = 20_000_000
"""ns; a fixation lasts ten times as long, and an hour has 180,000 such steps."""
COARSE_WINDOW_S, MIN_COARSE_WINDOW_S = 20.0, 6.0
"""s; about 60 fixations tell one moment of an hour from all others, 20 still one of minutes."""
MAX_COARSE_WINDOWS = 16
COARSE_MATCH = 0.85
"""Correlation at which a stretch votes for a place."""
LEAD = 0.08
"""By how much the best place must be better than the next best one, else the stretch does not vote."""
APART_S = 2.0
"""s; nearer peaks are the same one: a fixation's width."""
MIN_OVERLAP = 0.6
"""Share of a stretch's valid samples that must meet gaze on the other side."""
MIN_SAMPLES = 100
"""Samples of a stretch with gaze on both sides."""
MAX_SAMPLES = 1500
"""Samples used of a stretch; more make its offset no better than the clocks are."""
MAX_WINDOWS = 240
MIN_SPREAD = 1e-3
"""Share of the whole recording's spread; a stretch that moves less is one fixation and fits at many lags."""
BRIDGE_NS = 60_000_000
"""ns; interpolation over longer holes would invent gaze."""
MIN_CURVE = 0.2
"""Share by which the mismatch at the worst lag searched exceeds that at the best one: flat stretches say nothing."""
MAX_STEPS = 120

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
ToSession = Callable[[IntArray], IntArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeSignal:
    """Gaze of n samples, times going up; x and y NaN where it is lost."""

    t_ns: IntArray
    x: FloatArray
    y: FloatArray

    def seen(self) -> GazeSignal:
        """Return the samples that have gaze."""
        good = np.isfinite(self.x) & np.isfinite(self.y)
        return GazeSignal(t_ns=self.t_ns[good], x=self.x[good], y=self.y[good])

    def moved(self, to_session: ToSession) -> GazeSignal:
        """Return the signal on another clock."""
        return GazeSignal(t_ns=to_session(self.t_ns), x=self.x, y=self.y)


def coarse_offsets(file: GazeSignal, live: GazeSignal) -> tuple[IntArray, IntArray]:
    """Let stretches of the live gaze vote for the place in the file that they fit.

    Returns (k,) times on the file's clock and offsets session - file, ns; none where no stretch fits anywhere.
    Raises DataError (GT-BACKFILL-AMBIGUOUS) where stretches fit, but each at several places.
    """
    file, live = file.seen(), live.seen()
    if min(file.t_ns.size, live.t_ns.size) < MIN_SAMPLES:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    shown, origin = _Grid.of(file), int(file.t_ns[0])
    sought, live_origin = _Grid.of(live), int(live.t_ns[0])
    steps = sought.mask.size
    width = round(min(COARSE_WINDOW_S, steps * GRID_NS / 1e9 / 3) * 1e9 / GRID_NS)
    if width * GRID_NS / 1e9 < MIN_COARSE_WINDOW_S:
        width = steps
    n_windows = min(MAX_COARSE_WINDOWS, max(1, steps // max(width, 1)))
    size = fft.next_fast_len(shown.mask.size + width)
    matcher = _Matcher(shown, size)
    at, offsets, undecided = [], [], 0
    for first in np.linspace(0, steps - width, n_windows).astype(int):
        piece = sought.part(first, width)
        if piece.mask.sum() < width // 3:
            continue
        place, best, second = matcher.best(piece)
        if best < COARSE_MATCH:
            continue
        if second > best - LEAD:
            undecided += 1
            continue
        at.append(origin + (place + width // 2) * GRID_NS)
        offsets.append(live_origin + int(first) * GRID_NS - (origin + place * GRID_NS))
    if undecided > len(at):
        raise DataError(
            "the movement of the eyes fits at several places of the file",
            hint="Send marks to the tracker while reading (--tracker-marks), or record its own time in the stream.",
            code="GT-BACKFILL-AMBIGUOUS",
        )
    return np.array(at, np.int64), np.array(offsets, np.int64)


def window_offsets(
    file: GazeSignal, live: GazeSignal, to_session: ToSession, window_ns: int, search_s: float
) -> tuple[IntArray, IntArray]:
    """Find, for stretches of the live gaze, the small shift of ``to_session`` at which it agrees best with the file's.

    Returns (k,) times on the file's clock and on the session's; stretches that cannot tell are left out.
    """
    file = file.seen()
    shown = file.moved(to_session)
    lags_ns = np.round(np.linspace(-search_s, search_s, 2 * _steps(search_s) + 1) * 1e9).astype(np.int64)
    at, mapped = [], []
    for t_ns, x, y in _stretches(live.seen(), shown, window_ns, margin_ns=int(search_s * 1e9)):
        mismatch = np.array([_mismatch(shown, t_ns - lag, x, y) for lag in lags_ns])
        best = int(np.argmin(mismatch))
        inside = 0 < best < lags_ns.size - 1
        if not inside or not mismatch.max() > (1 + MIN_CURVE) * mismatch[best]:
            continue
        before, own, after = mismatch[best - 1 : best + 2]
        bend = before - 2 * own + after
        part = 0.5 * (before - after) / bend if bend > 0 else 0.0
        lag_ns = int(lags_ns[best]) + round(part * float(lags_ns[1] - lags_ns[0]))
        middle = int(t_ns[t_ns.size // 2]) - lag_ns
        place = min(int(np.searchsorted(shown.t_ns, middle)), shown.t_ns.size - 1)
        at.append(int(file.t_ns[place]))
        mapped.append(int(shown.t_ns[place]) + lag_ns)
    return np.array(at, np.int64), np.array(mapped, np.int64)


def agreement(file: GazeSignal, live: GazeSignal, to_session: ToSession, window_ns: int) -> float:
    """Return the correlation of both recordings' gaze, median over stretches; NaN where they never meet."""
    shown = file.seen().moved(to_session)
    found = []
    for t_ns, x, y in _stretches(live.seen(), shown, window_ns, margin_ns=0):
        file_x, file_y = np.interp(t_ns, shown.t_ns, shown.x), np.interp(t_ns, shown.t_ns, shown.y)
        pairs = ((x, file_x), (y, file_y))
        together = sum(float(np.mean((a - a.mean()) * (b - b.mean()))) for a, b in pairs)
        spread = np.sqrt(sum(float(a.var()) for a, _ in pairs) * sum(float(b.var()) for _, b in pairs))
        found.append(together / spread if spread > 0 else 0.0)
    return float(np.median(found)) if found else float("nan")


def _steps(search_s: float) -> int:
    return int(min(MAX_STEPS, max(16, round(search_s * 1000))))


def _stretches(
    live: GazeSignal, shown: GazeSignal, window_ns: int, *, margin_ns: int
) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Give stretches of the live gaze that move and that the file has gaze for, thinned."""
    if min(live.t_ns.size, shown.t_ns.size) < MIN_SAMPLES:
        return
    first = max(int(live.t_ns[0]), int(shown.t_ns[0])) + margin_ns
    last = min(int(live.t_ns[-1]), int(shown.t_ns[-1])) - margin_ns
    spread = float(live.x.var() + live.y.var())
    edges = np.arange(first, last + 1, window_ns) if last > first else np.empty(0, np.int64)
    if edges.size > MAX_WINDOWS:
        edges = edges[np.linspace(0, edges.size - 1, MAX_WINDOWS).astype(int)]
    for edge in edges:
        begin, end = np.searchsorted(live.t_ns, np.array([edge, min(int(edge) + window_ns, last)], np.int64))
        part = slice(begin, end, max(1, (end - begin) // MAX_SAMPLES))
        t_ns, x, y = live.t_ns[part], live.x[part], live.y[part]
        if t_ns.size < MIN_SAMPLES:
            continue
        right = np.clip(np.searchsorted(shown.t_ns, t_ns), 1, shown.t_ns.size - 1)
        met = shown.t_ns[right] - shown.t_ns[right - 1] <= BRIDGE_NS
        if met.sum() < max(MIN_SAMPLES, MIN_OVERLAP * t_ns.size):
            continue
        t_ns, x, y = t_ns[met], x[met], y[met]
        if x.var() + y.var() > MIN_SPREAD * spread:
            yield t_ns, x, y


def _mismatch(shown: GazeSignal, t_ns: IntArray, x: FloatArray, y: FloatArray) -> float:
    """Return how far apart both are, a constant shift of place aside."""
    return float(
        np.var(x - np.interp(t_ns, shown.t_ns, shown.x)) + np.var(y - np.interp(t_ns, shown.t_ns, shown.y))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Gaze averaged over steps of `GRID_NS`; 0 where the mask is 0."""

    x: FloatArray
    y: FloatArray
    mask: FloatArray

    @classmethod
    def of(cls, signal: GazeSignal) -> _Grid:
        step = (signal.t_ns - signal.t_ns[0]) // GRID_NS
        size = int(step[-1]) + 1
        count = np.bincount(step, minlength=size)
        mask = (count > 0).astype(np.float64)
        columns = []
        for values in (signal.x, signal.y):
            mean = np.bincount(step, values, minlength=size) / np.maximum(count, 1)
            columns.append((mean - values.mean()) / max(float(values.std()), 1e-9) * mask)
        return cls(x=columns[0], y=columns[1], mask=mask)

    def part(self, first: int, width: int) -> _Grid:
        piece = slice(first, first + width)
        return _Grid(x=self.x[piece], y=self.y[piece], mask=self.mask[piece])


class _Matcher:
    """Correlates pieces with one long grid, holes left out on both sides (Padfield 2012, masked correlation)."""

    def __init__(self, shown: _Grid, size: int) -> None:
        self._size = size
        self._length = shown.mask.size
        self._mask = fft.rfft(shown.mask, size)
        self._values = [fft.rfft(v, size) for v in (shown.x, shown.y)]
        self._squares = [fft.rfft(v**2, size) for v in (shown.x, shown.y)]

    def best(self, piece: _Grid) -> tuple[int, float, float]:
        """Return the place of the best correlation, it, and the best one elsewhere."""
        width = piece.mask.size
        mask = np.conj(fft.rfft(piece.mask, self._size))
        n = self._correlate(self._mask, mask)
        enough = n >= MIN_OVERLAP * piece.mask.sum()
        n = np.maximum(n, 1.0)
        together = np.zeros(n.size)
        spread_file, spread_piece = np.zeros(n.size), np.zeros(n.size)
        for values, value_f, square_f in zip((piece.x, piece.y), self._values, self._squares, strict=True):
            value_p = np.conj(fft.rfft(values, self._size))
            square_p = np.conj(fft.rfft(values**2, self._size))
            sum_f, sum_p = self._correlate(value_f, mask), self._correlate(self._mask, value_p)
            together += self._correlate(value_f, value_p) - sum_f * sum_p / n
            spread_file += self._correlate(square_f, mask) - sum_f**2 / n
            spread_piece += self._correlate(self._mask, square_p) - sum_p**2 / n
        spread = np.sqrt(np.maximum(spread_file, 0) * np.maximum(spread_piece, 0))
        flat = 1e-6 * width
        match = np.where(enough & (spread > flat), together / np.maximum(spread, flat), -1.0)
        places = np.arange(match.size)
        places = np.where(places < self._length, places, places - self._size)
        top = int(np.argmax(match))
        apart = np.abs(places - places[top]) * GRID_NS / 1e9 > APART_S
        second = float(match[apart].max()) if apart.any() else -1.0
        return int(places[top]), float(match[top]), second

    def _correlate(self, of_file: NDArray[np.complex128], of_piece: NDArray[np.complex128]) -> FloatArray:
        found: FloatArray = fft.irfft(of_file * of_piece, self._size)
        return found

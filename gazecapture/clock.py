"""The session clock, and how other clocks relate to it.

Session time is ``pylsl.local_clock()`` of the recording host in int64 ns. Each process writes clock triples
(monotonic, unix, session) when it starts and every 5 s, so that whatever it stamped with its monotonic clock can be
put on the session clock later, and so that a clock that was set while recording is noticed.
"""

from __future__ import annotations

import functools
import importlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gazecapture.session.journal import JournalWriter
from gazecapture.session.schema import CLOCK
from keyframes.errors import ClockError, DeviceUnavailableError, DeviceUnavailableReason

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "ClockMap",
    "ClockStep",
    "ClockTriple",
    "ClockTriples",
    "clock_steps",
    "import_pylsl",
    "monotonic_now_ns",
    "read_triple",
    "session_now_ns",
]

INTERVAL_S = 5.0
"""s between triples (design)."""
STEP_LIMIT_S = 0.05
"""s; clocks that part by more than this within one interval were set. Windows' wall clock ticks every 16 ms, and
a slewed clock (500 ppm) moves 2.5 ms in an interval."""
_ATTEMPTS = 5
QUIET_LSL = "[log]\nlevel = -2\n"
"""-2: errors only."""


@functools.cache
def import_pylsl() -> ModuleType:
    """Return pylsl. Raises DeviceUnavailableError (library missing) where it or its native part is absent.

    Where the user has no configuration of liblsl, its chatter on stderr is reduced to errors.
    """
    try:
        # Here, not above: it loads a native library, and raises where there is none.
        pylsl = importlib.import_module("pylsl")
        if not os.environ.get("LSLAPICFG") and not any(path.is_file() for path in _lsl_config_files()):
            pylsl.set_config_content(QUIET_LSL)
    except (ImportError, RuntimeError, OSError) as error:
        raise DeviceUnavailableError(
            "Lab Streaming Layer (liblsl) cannot be loaded",
            reason=DeviceUnavailableReason.LIBRARY_MISSING,
            hint="Install pylsl 1.18.2 or newer (Linux: glibc 2.35 or newer), or set PYLSL_LIB to a liblsl file.",
            code="GT-NO-LSL",
        ) from error
    return pylsl


def _lsl_config_files() -> list[Path]:
    """Return where liblsl looks for its configuration (liblsl, api_config.cpp)."""
    name = "lsl_api.cfg"
    return [Path(name), Path("~/lsl_api").expanduser() / name, Path("/etc/lsl_api") / name]


def session_now_ns() -> int:
    """Return the session clock, ns. Raises DeviceUnavailableError where liblsl is absent."""
    return round(float(import_pylsl().local_clock()) * 1e9)


def monotonic_now_ns() -> int:
    """Return this host's monotonic clock, ns.

    ``perf_counter``, which is the system's monotonic clock on Linux and macOS too; Windows' ``monotonic`` ticks
    every 16 ms only.
    """
    return time.perf_counter_ns()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTriple:
    """Three clocks read at one moment, ns."""

    monotonic_ns: int
    unix_ns: int
    session_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """One clock moved against the monotonic one between two triples."""

    clock: str
    """unix or session."""
    session_ns: int
    """When it was noticed."""
    step_s: float
    """Positive: the clock was put forward."""


def read_triple() -> ClockTriple:
    """Read the three clocks; of a few attempts the one that took the shortest time counts."""
    best: tuple[int, ClockTriple] | None = None
    for _ in range(_ATTEMPTS):
        before = monotonic_now_ns()
        unix, session = time.time_ns(), session_now_ns()
        after = monotonic_now_ns()
        triple = ClockTriple(monotonic_ns=(before + after) // 2, unix_ns=unix, session_ns=session)
        if best is None or after - before < best[0]:
            best = after - before, triple
    assert best is not None  # noqa: S101 - there is at least one attempt
    return best[1]


class ClockTriples:
    """Writes the clock journal of one process.

    Parameters
    ----------
    folder : ``SESSION/clock/{process}``.

    The first triple is written at once; `tick` writes the following ones when they are due.
    """

    def __init__(self, folder: Path, *, interval_s: float = INTERVAL_S) -> None:
        self.journal = JournalWriter(folder, CLOCK)
        self._interval_ns = round(interval_s * 1e9)
        self._last = self._write(read_triple())

    def tick(self) -> list[ClockStep]:
        """Write a triple if one is due; return the steps of clocks that it shows."""
        if monotonic_now_ns() - self._last.monotonic_ns < self._interval_ns:
            return []
        previous, self._last = self._last, self._write(read_triple())
        return _steps(_columns([previous, self._last]))

    def close(self) -> None:
        """Write a last triple and close the journal."""
        try:
            self._write(read_triple())
        finally:
            self.journal.close()

    def _write(self, triple: ClockTriple) -> ClockTriple:
        self.journal.append_rows(
            [
                {
                    "monotonic_ns": triple.monotonic_ns,
                    "unix_ns": triple.unix_ns,
                    "session_ns": triple.session_ns,
                }
            ]
        )
        return triple


class ClockMap:
    """Maps one host's monotonic clock to the session clock and back, by its triples.

    Parameters
    ----------
    triples : table with `gazecapture.session.schema.CLOCK`'s columns, any order.

    Between triples the difference of the clocks is interpolated, outside it stays. Raises ClockError where there
    is no triple.
    """

    def __init__(self, triples: pa.Table) -> None:
        if triples.num_rows == 0:
            raise ClockError(
                "the clock journal is empty, so times cannot be put on the session clock",
                hint="Was the process killed in its first moments?",
            )
        columns = _columns(triples)
        order = np.argsort(columns["monotonic_ns"], kind="stable")
        self._monotonic = columns["monotonic_ns"][order]
        self._session = columns["session_ns"][order]

    def to_session_ns(self, monotonic_ns: ArrayLike) -> NDArray[np.int64]:
        """Map monotonic times, any shape, int64 ns, to session ns."""
        return self._mapped(np.asarray(monotonic_ns, np.int64), self._monotonic, self._session)

    def to_monotonic_ns(self, session_ns: ArrayLike) -> NDArray[np.int64]:
        """Map session times, any shape, int64 ns, to monotonic ns."""
        return self._mapped(np.asarray(session_ns, np.int64), self._session, self._monotonic)

    @staticmethod
    def _mapped(
        times: NDArray[np.int64], known: NDArray[np.int64], target: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        # Differences in floats, sums in int64: a double holds ns since start, not ns since 1970.
        difference = target - known
        base = difference[0]
        correction = np.interp(
            (times - known[0]).astype(np.float64),
            (known - known[0]).astype(np.float64),
            (difference - base).astype(np.float64),
        )
        return np.asarray(times + base + np.round(correction).astype(np.int64), np.int64)


def clock_steps(triples: pa.Table) -> list[ClockStep]:
    """Return where a clock was set while a recording ran; ``triples`` in the order in which they were written."""
    return _steps(_columns(triples))


def _columns(triples: pa.Table | list[ClockTriple]) -> dict[str, NDArray[np.int64]]:
    if isinstance(triples, list):
        return {name: np.array([getattr(t, name) for t in triples], np.int64) for name in CLOCK.names}
    return {name: triples.column(name).to_numpy() for name in CLOCK.names}


def _steps(columns: dict[str, Any]) -> list[ClockStep]:
    found = []
    for clock in ("unix", "session"):
        moved_s = np.diff(columns[f"{clock}_ns"] - columns["monotonic_ns"]) / 1e9
        for place in np.flatnonzero(np.abs(moved_s) > STEP_LIMIT_S):
            found.append(  # noqa: PERF401 - a step is rare, the loop is clearer
                ClockStep(
                    clock=clock,
                    session_ns=int(columns["session_ns"][place + 1]),
                    step_s=float(moved_s[place]),
                )
            )
    return found

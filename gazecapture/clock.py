"""The session clock, and how other clocks relate to it.

Session time is ``pylsl.local_clock()`` of the recording host in int64 ns. Each process writes clock triples
(monotonic, unix, session) when it starts and every 5 s, so that whatever it stamped with its monotonic clock can be
put on the session clock later, and so that a clock that was set, or a host that slept, while recording is noticed.

A host that sleeps and a wall clock that is put forward look alike to the monotonic clock, which stands still in sleep
on Linux and macOS. Both have a further clock that goes on (`awake_or_asleep_ns`); what it gains on the monotonic one
is sleep. Windows' monotonic clock goes on in sleep itself, so that a sleep there is a gap in the samples and no more.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
    "awake_or_asleep_ns",
    "import_pylsl",
    "monotonic_now_ns",
    "read_triple",
    "session_now_ns",
    "steps_between",
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


def awake_or_asleep_ns() -> int | None:
    """Return a clock that goes on while this host sleeps, ns; None where the system has none beside the monotonic one.

    Linux: CLOCK_BOOTTIME (clock_gettime(2)). macOS: CLOCK_MONOTONIC_RAW, which goes on in sleep, where
    ``perf_counter`` (mach_absolute_time) does not (its clock_gettime(3)).
    """
    if sys.platform == "darwin":
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime_ns(clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTriple:
    """Three clocks read at one moment, ns."""

    monotonic_ns: int
    unix_ns: int
    session_ns: int
    awake_or_asleep_ns: int | None = None
    """For telling a sleep at once; not kept in the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """A clock was set, or the host slept, between two triples."""

    clock: Literal["unix", "session", "sleep"]
    session_ns: int
    """When it was noticed."""
    step_s: float
    """By which the clock was put forward; of a sleep, how long it was."""

    @property
    def detail(self) -> str:
        """What happened, for a mark."""
        return "the host slept" if self.clock == "sleep" else f"the {self.clock} clock was set"


def read_triple() -> ClockTriple:
    """Read the three clocks; of a few attempts the one that took the shortest time counts."""
    best: tuple[int, ClockTriple] | None = None
    for _ in range(_ATTEMPTS):
        before = monotonic_now_ns()
        unix, session, ever = time.time_ns(), session_now_ns(), awake_or_asleep_ns()
        after = monotonic_now_ns()
        triple = ClockTriple(
            monotonic_ns=(before + after) // 2, unix_ns=unix, session_ns=session, awake_or_asleep_ns=ever
        )
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
        return steps_between(previous, self._last)

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
        columns = {name: triples.column(name).to_numpy() for name in CLOCK.names}
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


def steps_between(before: ClockTriple, after: ClockTriple) -> list[ClockStep]:
    """Return what was set between two triples, and a sleep; a clock that only kept going in sleep was not set."""

    def moved_s(then_ns: int, now_ns: int) -> float:
        return ((now_ns - then_ns) - (after.monotonic_ns - before.monotonic_ns)) / 1e9

    slept_s = 0.0
    if before.awake_or_asleep_ns is not None and after.awake_or_asleep_ns is not None:
        slept_s = moved_s(before.awake_or_asleep_ns, after.awake_or_asleep_ns)
        slept_s = slept_s if slept_s > STEP_LIMIT_S else 0.0
    session_s = moved_s(before.session_ns, after.session_ns)
    steps: list[tuple[Literal["unix", "session", "sleep"], float]] = [
        ("sleep", slept_s),
        ("unix", moved_s(before.unix_ns, after.unix_ns) - slept_s),
        # liblsl's clock stands still in sleep with the monotonic one, on some systems it goes on: neither is a step.
        ("session", min(session_s, session_s - slept_s, key=abs)),
    ]
    return [
        ClockStep(clock=clock, session_ns=after.session_ns, step_s=step_s)
        for clock, step_s in steps
        if abs(step_s) > STEP_LIMIT_S
    ]

"""The session clock and its relation to others."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazecapture.clock import (
    ClockMap,
    ClockTriple,
    ClockTriples,
    awake_or_asleep_ns,
    monotonic_now_ns,
    read_triple,
    session_now_ns,
    steps_between,
)
from gazecapture.session.journal import read_journal
from gazecapture.session.schema import CLOCK
from keyframes.errors import ClockError

T0 = 5_000_000_000_000
UNIX0 = 1_700_000_000_000_000_000


def triples(*rows: tuple[int, int, int]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(CLOCK.names, row, strict=True)) for row in rows], schema=CLOCK)


def test_the_session_clock_is_that_of_lsl_and_goes_on() -> None:
    import pylsl

    first, now, second = session_now_ns(), pylsl.local_clock(), session_now_ns()
    assert first <= round(now * 1e9) <= second


def test_a_triple_is_read_at_one_moment() -> None:
    began_ns = time.time_ns()
    before, triple, after = monotonic_now_ns(), read_triple(), monotonic_now_ns()
    assert before <= triple.monotonic_ns <= after
    assert began_ns <= triple.unix_ns <= time.time_ns()


def test_the_map_meets_every_triple_and_interpolates_between() -> None:
    table = triples(
        (T0, UNIX0, 700), (T0 + 10_000, UNIX0, 700 + 10_100), (T0 + 20_000, UNIX0, 700 + 10_100 + 10_000)
    )
    clock = ClockMap(table.take([2, 0, 1]))
    times = [T0, T0 + 5_000, T0 + 10_000, T0 + 20_000]
    assert clock.to_session_ns(times).tolist() == [700, 5_750, 10_800, 20_800]
    assert clock.to_session_ns(T0 - 500) == 200, "before the first triple its difference stays"
    assert clock.to_session_ns(T0 + 21_000) == 21_800


@given(
    drift_ppm=st.floats(-200, 200),
    base=st.integers(-(2**62) // 4, 2**62 // 4),
    asked=st.lists(st.integers(0, 60_000_000_000), min_size=1, max_size=20),
)
def test_the_map_back_is_the_map_back(drift_ppm: float, base: int, asked: list[int]) -> None:
    steps = np.arange(0, 65_000_000_000, 5_000_000_000)
    session = np.round(steps * (1 + drift_ppm * 1e-6)).astype(np.int64) + base
    clock = ClockMap(
        pa.table({"monotonic_ns": T0 + steps, "unix_ns": steps, "session_ns": session}, schema=CLOCK)
    )
    times = np.array(asked, np.int64) + T0
    there = clock.to_session_ns(times)
    assert np.abs(clock.to_monotonic_ns(there) - times).max() <= 2
    expected = (times - T0) * (1 + drift_ppm * 1e-6) + float(0)
    assert np.abs((there - base) - expected).max() <= 3


def test_without_triples_there_is_no_map() -> None:
    with pytest.raises(ClockError, match="empty"):
        ClockMap(CLOCK.empty_table())


INTERVAL = 5_000_000_000
HOUR = 3_600_000_000_000


def after(*, unix: int = 0, session: int = 0, slept: int | None = 0) -> list[tuple[str, float]]:
    """What is told when, besides one interval, clocks moved by this many ns."""
    before = ClockTriple(
        monotonic_ns=T0,
        unix_ns=UNIX0,
        session_ns=T0,
        awake_or_asleep_ns=None if slept is None else 7 * HOUR,
    )
    now = ClockTriple(
        monotonic_ns=T0 + INTERVAL,
        unix_ns=UNIX0 + INTERVAL + unix,
        session_ns=T0 + INTERVAL + session,
        awake_or_asleep_ns=None if slept is None else 7 * HOUR + INTERVAL + slept,
    )
    steps = steps_between(before, now)
    assert all(step.session_ns == now.session_ns for step in steps)
    return [(step.detail, step.step_s) for step in steps]


def test_a_clock_that_was_set_is_noticed_and_a_slewed_one_is_not() -> None:
    assert after() == after(unix=2_500_000) == after(unix=-2_500_000, slept=None) == []
    assert after(unix=HOUR) == after(unix=HOUR, slept=None) == [("the unix clock was set", 3600.0)]
    assert after(session=-100_000_000) == [("the session clock was set", -0.1)]


def test_a_host_that_slept_is_told_apart_from_a_clock_that_was_set() -> None:
    slept = ("the host slept", 3600.0)
    assert after(unix=HOUR, slept=HOUR) == [slept]
    assert after(unix=HOUR + 2_500_000, slept=HOUR) == [slept], "a slewed clock, asleep or not, was not set"
    assert after(unix=HOUR, session=HOUR, slept=HOUR) == [slept], (
        "a session clock that goes on in sleep was not set"
    )
    assert after(unix=0, slept=HOUR) == [slept, ("the unix clock was set", -3600.0)]
    assert after(unix=2 * HOUR, slept=HOUR) == [slept, ("the unix clock was set", 3600.0)]


def test_the_clock_that_goes_on_in_sleep_goes_as_the_others_do_awake() -> None:
    before, first, began = monotonic_now_ns(), awake_or_asleep_ns(), monotonic_now_ns()
    time.sleep(0.05)
    ended, second, after = monotonic_now_ns(), awake_or_asleep_ns(), monotonic_now_ns()
    if hasattr(time, "CLOCK_BOOTTIME") or sys.platform == "darwin":
        assert first is not None
        assert second is not None
        assert ended - began - 1_000_000 < second - first < after - before + 1_000_000
    else:
        assert first is second is None


def test_triples_are_written_at_the_start_when_due_and_at_the_end(tmp_path: Path) -> None:
    for interval_s, n_rows in ((3600.0, 2), (0.0, 3)):
        folder = tmp_path / "clock" / f"every {interval_s:g}"
        clocks = ClockTriples(folder, interval_s=interval_s)
        assert clocks.tick() == [], "no clock was set"
        clocks.close()
        table = read_journal(folder, schema=CLOCK).table
        assert table.num_rows == n_rows
        before, now, after = session_now_ns(), monotonic_now_ns(), session_now_ns()
        # The triple itself is as good as its quickest attempt.
        assert before - 5_000_000 < int(ClockMap(table).to_session_ns(now)) < after + 5_000_000


def test_a_missing_library_is_one_clear_error() -> None:
    code = (
        "import sys; sys.modules['pylsl'] = None\n"
        "from gazecapture.clock import session_now_ns\n"
        "from keyframes.errors import DeviceUnavailableError\n"
        "try:\n    session_now_ns()\n"
        "except DeviceUnavailableError as error:\n    print(error.reason.name, error.one_line())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("LIBRARY_MISSING Lab Streaming Layer")
    assert "pylsl 1.18.2" in done.stdout

"""Reading time stands still in a pause."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gazecapture.session.pauses import PAUSE_SEAM_NS, Pauses

S = 1_000_000_000


def test_times_after_a_pause_come_earlier_and_those_in_it_at_its_seam() -> None:
    rows = [
        {"event": event, "t_ns": t * S}
        for event, t in (("on", 10), ("pause", 12), ("pause", 12), ("resume", 17), ("off", 20))
    ]
    pauses = Pauses.of_rows(rows, 10 * S, 20 * S)
    assert pauses.taken_out_ns == 5 * S - PAUSE_SEAM_NS
    times = np.array([9, 10, 11, 12, 14, 17, 20]) * S
    assert pauses.reading_time(times).tolist() == [
        -S, 0, S, 2 * S, 2 * S + PAUSE_SEAM_NS, 2 * S + PAUSE_SEAM_NS, 5 * S + PAUSE_SEAM_NS,
    ]  # fmt: skip
    assert pauses.covers(times).tolist() == [False, False, False, True, True, False, False]


def test_a_pause_that_nobody_ended_ends_with_the_reading_and_others_readings_do_not_count() -> None:
    rows = [{"event": e, "t_ns": t * S} for e, t in (("pause", 3), ("resume", 5), ("pause", 12), ("off", 20))]
    assert Pauses.of_rows(rows, 10 * S, 20 * S).taken_out_ns == 8 * S - PAUSE_SEAM_NS


@given(
    edges=st.lists(st.integers(0, 10**12), max_size=8, unique=True).map(sorted),
    times=st.lists(st.integers(-(10**11), 2 * 10**12), min_size=2).map(sorted),
)
def test_reading_time_never_runs_backward_nor_faster(edges: list[int], times: list[int]) -> None:
    pauses = Pauses(0, list(zip(edges[0::2], edges[1::2], strict=False)))
    shorter = pauses.reading_time(np.array(times))
    steps = np.diff(shorter)
    assert (steps >= 0).all()
    assert (steps <= np.diff(times)).all()
    assert shorter[0] == times[0] or times[0] > 0

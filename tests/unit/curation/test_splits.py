from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from curation.export.splits import SPLITS, Candidate, assign_splits

SHARES = {"train": 0.8, "validate": 0.1, "test": 0.1}
candidates = st.lists(
    st.builds(
        Candidate,
        reading_id=st.uuids().map(lambda u: u.hex),
        patient_key=st.integers(0, 30).map(str),
        stratum=st.sampled_from("abc"),
    ),
    max_size=60,
    unique_by=lambda c: c.reading_id,
)


@given(candidates, st.integers(0, 5), st.randoms())
def test_a_patient_is_in_one_split_whatever_the_order(
    readings: list[Candidate], seed: int, random: object
) -> None:
    splits = assign_splits(readings, SHARES, seed=seed)
    assert set(splits) == {c.reading_id for c in readings}
    by_patient: dict[str, set[str]] = {}
    for c in readings:
        by_patient.setdefault(c.patient_key, set()).add(splits[c.reading_id])
    assert all(len(s) == 1 for s in by_patient.values())
    assert assign_splits(list(reversed(readings)), SHARES, seed=seed) == splits


def test_shares_are_met_within_strata() -> None:
    readings = [Candidate(reading_id=f"{i:04}", patient_key=str(i), stratum="ab"[i % 2]) for i in range(400)]
    splits = assign_splits(readings, SHARES, seed=1)
    for stratum in "ab":
        counts = Counter(splits[c.reading_id] for c in readings if c.stratum == stratum)
        assert {s: counts[s] for s in SPLITS} == {"train": 160, "validate": 20, "test": 20}
    assert splits != assign_splits(readings, SHARES, seed=2)


def test_a_share_of_nothing_gets_nothing() -> None:
    readings = [Candidate(reading_id=str(i), patient_key=str(i), stratum="") for i in range(10)]
    assert set(assign_splits(readings, {"train": 1.0, "validate": 0.0, "test": 0.0}, seed=0).values()) == {
        "train"
    }

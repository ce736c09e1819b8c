from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.export.splits import SPLITS, Candidate, SplitAxis, assign_splits, official_split

SHARES = {"train": 0.8, "validate": 0.1, "test": 0.1}
LABELS = ("nodule", "effusion", "pneumothorax")


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    weights = [draw(st.integers(0, 10)) for _ in SPLITS]
    total = sum(weights)
    return {name: w / total for name, w in zip(SPLITS, weights, strict=True)} if total else SHARES


candidates = st.lists(
    st.builds(
        Candidate,
        reading_id=st.uuids().map(lambda u: u.hex),
        patient_key=st.integers(0, 30).map(str),
        study_key=st.integers(0, 60).map(str),
        reader_code=st.sampled_from(["r1", "r2", "r3"]),
        reader_site=st.sampled_from(["", "s"]),
        public_patient_id=st.sampled_from(["", "", "", "p1", "p2"]),
        source_format=st.sampled_from(["session", "reflacx"]),
        labels=st.frozensets(st.sampled_from(LABELS)),
        split_official=st.sampled_from(["", "", "", "train", "val", "test", "phase 1"]),
    ),
    max_size=60,
    unique_by=lambda c: c.reading_id,
)


@given(candidates, shares(), st.integers(0, 5))
def test_whom_the_axis_names_is_in_one_split_whatever_the_order(
    readings: list[Candidate], asked: dict[str, float], seed: int
) -> None:
    kept: dict[SplitAxis, Sequence[str]] = {
        "patient": ("patient_key", "study_key", "public_patient_id"),
        "reader": ("reader_code",),
        "site": ("reader_site",),
    }
    for axis, names in kept.items():
        splits = assign_splits(readings, asked, seed=seed, axis=axis)
        assert set(splits) == {c.reading_id for c in readings}
        for name in names:
            seen: dict[str, str] = {}
            for c in readings:
                key = getattr(c, name)
                if key or axis == "site":
                    assert seen.setdefault(key, splits[c.reading_id]) == splits[c.reading_id]
        assert assign_splits(list(reversed(readings)), asked, seed=seed, axis=axis) == splits


@given(candidates, shares(), st.integers(0, 5))
def test_shares_are_met_as_closely_as_groups_allow(
    readings: list[Candidate], asked: dict[str, float], seed: int
) -> None:
    readings = [replace(c, study_key="", public_patient_id="") for c in readings]
    splits = assign_splits(readings, asked, seed=seed, honour_official=False)
    counts = Counter(splits.values())
    largest = max(Counter(c.patient_key for c in readings).values(), default=0)
    # Two boundaries, each off by half a group at most; what a stratum is off by, the next one makes up for.
    for name in SPLITS:
        assert abs(counts[name] - asked[name] * len(readings)) <= largest + 1e-6
        assert counts[name] == 0 or asked[name] > 0


@given(candidates)
def test_official_splits_are_honoured_or_ignored(readings: list[Candidate]) -> None:
    readings = [replace(c, study_key="", public_patient_id="") for c in readings]
    splits = assign_splits(readings, SHARES, seed=0)
    by_patient: dict[str, set[str]] = {}
    for c in readings:
        by_patient.setdefault(c.patient_key, set()).update({official_split(c.split_official) or ""} - {""})
    for c in readings:
        if official := by_patient[c.patient_key]:
            # Nobody in anybody's test set is trained on.
            assert splits[c.reading_id] == max(official, key=SPLITS.index)
    bare = [replace(c, split_official="") for c in readings]
    ignored = assign_splits(readings, SHARES, seed=0, honour_official=False)
    assert ignored == assign_splits(bare, SHARES, seed=0)


def many(n: int) -> list[Candidate]:
    return [
        Candidate(
            reading_id=f"{i:05}",
            patient_key=str(i),
            source_format="ab"[i % 2],
            labels=frozenset([LABELS[0], *LABELS[1 : 1 + (i % 7 == 0)], *LABELS[2 : 2 + (i % 40 == 0)]]),
        )
        for i in range(n)
    ]


def test_shares_are_met_in_every_source_and_for_rare_findings() -> None:
    readings = many(4000)
    splits = assign_splits(readings, SHARES, seed=1)
    for part in (
        [c for c in readings if c.source_format == "a"],
        [c for c in readings if c.source_format == "b"],
        [c for c in readings if LABELS[2] in c.labels],
        [c for c in readings if LABELS[1] in c.labels],
    ):
        counts = Counter(splits[c.reading_id] for c in part)
        for name in SPLITS:
            assert counts[name] == pytest.approx(SHARES[name] * len(part), abs=3)
    assert splits != assign_splits(readings, SHARES, seed=2)


def test_new_readings_leave_nearly_all_where_they_were() -> None:
    before = assign_splits(many(2000), SHARES, seed=1)
    after = assign_splits(many(2050), SHARES, seed=1)
    moved = sum(after[reading_id] != split for reading_id, split in before.items())
    assert moved <= 20  # 50 new patients in four strata, each with two boundaries that shift a little
    one_more = assign_splits(many(2001), SHARES, seed=1)
    assert sum(one_more[reading_id] != split for reading_id, split in before.items()) <= 8


def test_a_share_of_nothing_gets_nothing() -> None:
    everything = {"train": 1.0, "validate": 0.0, "test": 0.0}
    assert set(assign_splits(many(10), everything, seed=0).values()) == {"train"}

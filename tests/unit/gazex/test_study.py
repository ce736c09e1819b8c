"""What a study and the demo report, against numbers known beforehand."""

from __future__ import annotations

import pytest

from examples.gazex.demo_train import targets
from examples.gazex.evaluation.study import gains


def rights(share: float, questions: int = 40) -> dict[str, float]:
    """Return questions of which the first ones are answered right; two of each patient."""
    return {f"q{k}": float(k < share * questions) for k in range(questions)}


PATIENTS = {f"q{k}": f"p{k // 2}" for k in range(40)}


def test_a_gain_is_paired_by_question_and_seed() -> None:
    found = gains(
        {
            "gaze": {0: rights(0.9), 1: rights(0.8)},
            "shuffled": {0: rights(0.5), 1: rights(0.5)},
            "none": {0: rights(0.5)},
        },
        PATIENTS,
    )
    assert found["right, gaze"].value == pytest.approx(0.85)
    assert found["gain, gaze over shuffled"].value == pytest.approx(0.35)
    assert found["gain, gaze over none"].value == pytest.approx(0.4)  # of seed 0 alone
    # Seeds are no new patients: an interval of two seeds is over as many as that of one.
    assert {e.n_groups for e in found.values()} == {20}
    assert found["gain, gaze over shuffled"].low > 0
    assert found["gain, shuffled over none"].value == 0
    assert found["gain, shuffled over none"].low == found["gain, shuffled over none"].high == 0


def test_a_gain_of_nothing_has_an_interval_around_nothing() -> None:
    one = rights(0.5)
    other = {question: 1 - right for question, right in one.items()}
    found = gains({"gaze": {0: one}, "shuffled": {0: other}}, PATIENTS)
    gain = found["gain, gaze over shuffled"]
    assert gain.low < 0 < gain.high
    assert "gain, gaze over none" not in found


def test_the_demo_says_what_was_reached_and_what_could_not_be_measured() -> None:
    scores = {
        "model": {
            "grounding IoU, arm plain": {"value": 0.61},
            "finding F1 (rule)": {"value": 0.7},
            "order_global tau, reader R03": {"value": 0.9},
        },
        "constant order": {"order_global tau, reader R03": {"value": -0.1}},
    }
    found = {target.name: target for target in targets(scores, ["R03"])}
    assert found["grounding mIoU, arm plain"].reached
    assert not found["finding F1 (rule)"].reached
    assert found["order_global tau, reader R03 (systematic)"].reached
    assert found["order_global tau, reader R03, above constant order"].value == pytest.approx(1.0)
    vanished = found["said, and vanishes without its lesion"]
    assert vanished.value is None
    assert not vanished.reached

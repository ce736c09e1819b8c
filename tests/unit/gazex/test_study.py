"""What a study and the demo report, against numbers known beforehand."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.gazex.demo_train import targets
from examples.gazex.errors import TrainerError
from examples.gazex.evaluation.study import WAYS, Trial, _each, gains, study
from tests.unit.gazex.conftest import reading, write_both
from tests.unit.gazex.test_training import tiny


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


def test_a_study_trains_and_tests_every_way(tmp_path: Path) -> None:
    rows = [reading(number) for number in (1, 2, 3)]
    test = {**reading(5, "test"), "study_arm": "ambiguous"}
    dataset = write_both(tmp_path / "dataset", [*rows, test])
    config = tiny(
        tasks={"weights": {"pointed_finding": 1.0}},
        train={"steps": 1},
        data={"frames": "stored"},  # lit anew all the same
    )
    found = study([dataset], tmp_path / "study", config, [4], quiet=True)
    content = json.loads((tmp_path / "study" / "study.json").read_text(encoding="utf-8"))
    assert set(content["rights"]) == set(WAYS)
    questions = [set(by_seed["4"]) for by_seed in content["rights"].values()]
    assert questions[0]
    assert questions[0] == questions[1] == questions[2]
    assert {f"right, {way}" for way in WAYS} <= set(found)
    table = (tmp_path / "study" / "study.md").read_text(encoding="utf-8")
    assert all(f"| {way} | " in table for way in WAYS)
    for way, gaze in WAYS.items():
        used = json.loads((tmp_path / "study" / f"{way}-4" / "model" / "gazex.json").read_text())["config"]
        assert (used["data"]["gaze"], used["data"]["frames"], used["train"]["seed"]) == (gaze, "rendered", 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Trial):
    """A trial whose process is ended from outside."""

    def run(self) -> tuple[dict[str, float], dict[str, str]]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}, {}


def test_a_trial_whose_process_is_ended_is_told(tmp_path: Path) -> None:
    trials = [Ended(datasets=[], out=tmp_path, config=tiny(), way="gaze", seed=0)]
    with pytest.raises(TrainerError, match="ended from outside") as caught:
        list(_each(trials, 2))
    assert caught.value.code == "GX-WORKER"

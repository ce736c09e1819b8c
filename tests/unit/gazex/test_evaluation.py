"""Scores against numbers known beforehand, and a whole evaluation of a small model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sklearn.metrics import f1_score

from examples.gazex.cli import main
from examples.gazex.evaluation.answered import Answered
from examples.gazex.evaluation.controls import constant_order
from examples.gazex.evaluation.measures import (
    area_under_precision,
    bootstrap,
    edit_similarity,
    f1,
    icc_agreement,
    iou,
    order_tau,
    path_distance,
)
from examples.gazex.evaluation.readers import MODEL, Counts, against_majority
from examples.gazex.evaluation.scores import scores
from examples.gazex.tasks.example import Box, Example, plain_text
from examples.gazex.train.loop import train
from tests.unit.gazex.conftest import reading, write_both
from tests.unit.gazex.test_training import tiny


def box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def example(task: str, answer: tuple[str | Box, ...], number: int = 0, **more: object) -> Example:
    return Example(
        example_id=f"{task}-{number}", task=task, reading_id=f"r{number}", images=(), frames=(), prompt=("?",),
        answer=answer, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_overlap_of_boxes() -> None:
    assert iou(box(0, 0, 0.2, 0.2), box(0.1, 0, 0.3, 0.2)) == pytest.approx(1 / 3)
    assert iou(box(0, 0, 0.1, 0.1), box(0.5, 0.5, 0.6, 0.6)) == 0
    assert iou(box(0.1, 0.1, 0.1, 0.1), box(0.1, 0.1, 0.1, 0.1)) == 0


def test_orders() -> None:
    assert order_tau((1, 2, 3, 4), (1, 2, 3, 4)) == 1
    assert order_tau((2, 1, 3, 4), (1, 2, 3, 4)) == pytest.approx(1 - 2 / 6 * 1)
    assert order_tau(None, (1, 2)) == 0


def test_f1_is_that_of_a_library() -> None:
    rng = np.random.default_rng(1)
    said, right = rng.random(50) < 0.4, rng.random(50) < 0.5
    assert f1(list(zip(said.tolist(), right.tolist(), strict=True))) == pytest.approx(f1_score(right, said))


def test_average_precision_of_a_known_ranking() -> None:
    assert area_under_precision([(0.9, True), (0.8, True)], 2) == 1
    assert area_under_precision([(0.9, False), (0.8, True)], 1) == pytest.approx(0.5)
    assert area_under_precision([(0.9, True)], 2) == pytest.approx(
        51 / 101
    )  # half of the recalls are reached
    assert area_under_precision([], 3) == 0


def mean_squares(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return mean squares of rows, columns and the rest, summed one by one."""
    n, whole = len(pairs), sum(a + b for a, b in pairs) / (2 * len(pairs))
    judges = [sum(pair[k] for pair in pairs) / n for k in (0, 1)]
    rows = sum(2 * ((a + b) / 2 - whole) ** 2 for a, b in pairs) / (n - 1)
    columns = sum(n * (judge - whole) ** 2 for judge in judges)
    rest = sum((pair[k] - sum(pair) / 2 - judges[k] + whole) ** 2 for pair in pairs for k in (0, 1)) / (n - 1)
    return rows, columns, rest


def test_agreement_of_two_raters_is_that_of_the_textbook() -> None:
    # Two judges of Shrout and Fleiss 1979, table 2.
    pairs = [(9.0, 2.0), (6.0, 1.0), (8.0, 4.0), (7.0, 1.0), (10.0, 5.0), (6.0, 2.0)]
    rows, columns, rest = mean_squares(pairs)
    assert icc_agreement(pairs) == pytest.approx((rows - rest) / (rows + rest + 2 * (columns - rest) / 6))
    assert icc_agreement([(k, k) for k in range(5)]) == pytest.approx(1)
    assert icc_agreement([(k, k + 10) for k in range(5)]) < 0.1  # as far apart as they never vary
    assert np.isnan(icc_agreement([(1.0, 1.0)]))


def test_ways_of_looking_are_compared_in_order() -> None:
    assert edit_similarity("ABCD", "ABD") == pytest.approx(0.75)
    assert edit_similarity("", "") == 1
    way = [(0.1, 0.1), (0.5, 0.5), (0.9, 0.1)]
    assert path_distance(way, way) == 0
    assert path_distance(way, [(x + 0.1, y) for x, y in way]) == pytest.approx(0.1)
    assert path_distance([way[0], way[0], *way[1:]], way) == 0  # a step taken in two is the same way
    assert path_distance(way, way[::-1]) > 0.3
    assert np.isnan(path_distance([], way))


def test_each_reader_is_judged_by_the_others_and_the_model_by_the_same() -> None:
    a, b = frozenset({"Edema"}), frozenset({"Edema", "Fracture"})
    readers = {"s1": {"R1": b, "R2": a, "R3": a, "R4": b}, "s2": {"R1": a, "R2": frozenset()}}
    model = {"s1": a, "s2": a}
    # R1 is judged by R2, R3, R4: of three two say edema alone, and R4 alone the fracture.
    found = against_majority(readers, model)
    assert found["R1"] == Counts(tp=1, fn=0, fp=1, n=1)
    # R2 by R1, R3, R4: two of three name the fracture.
    assert found["R2"] == Counts(tp=1, fn=1, fp=0, n=1)
    assert found[MODEL] == Counts(tp=4, fn=2, fp=0, n=4)
    published = against_majority(readers, model, "published")
    assert published["R2"] == Counts(tp=1, fn=1, fp=0, n=2)
    assert published["R1"] == Counts(tp=2, fn=0, fp=1, n=2)
    assert published[MODEL] == Counts(tp=1, fn=1, fp=1, n=2)


def test_a_clip_is_right_where_its_box_is_nearer_to_what_was_meant() -> None:
    meant, other = box(0.1, 0.1, 0.3, 0.3), box(0.6, 0.1, 0.8, 0.3)
    asked = example("pointed_finding", ("Edema ", meant), meta=(("others", plain_text((other,))),))
    answers = {
        plain_text(("Edema ", meant)): 1.0, plain_text(("Edema ", other)): 0.0, "no box": 0.0,
        plain_text((box(0.4, 0.6, 0.5, 0.7),)): 0.5,
    }  # fmt: skip
    for text, right in answers.items():
        assert scores([Answered(example=asked, text=text)])["meant finding chosen"].value == right


def test_an_interval_is_over_groups_not_answers() -> None:
    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    alike = bootstrap({f"p{k}": [float(k % 2)] * 50 for k in range(10)}, mean)
    apart = bootstrap({f"p{k}-{j}": [float(k % 2)] for k in range(10) for j in range(50)}, mean)
    assert alike.value == apart.value == 0.5
    assert alike.high - alike.low > 4 * (apart.high - apart.low)
    assert (alike.n, alike.n_groups) == (500, 10)


def test_right_answers_score_one_and_unreadable_ones_are_counted() -> None:
    steps = ("A trachea ", box(0.1, 0.1, 0.2, 0.2), "; B left lung ", box(0.5, 0.1, 0.9, 0.8))
    asked = [
        example("grounding", (box(0.1, 0.2, 0.5, 0.6),), meta=(("label", "Edema"),)),
        example("order_global", ("2, 3, 1",), n_ordered=3),
        example("inspection", steps),
        example("report_from_image", ("the heart is enlarged and the lungs are clear.",)),
        example("vqa", ("yes",), meta=(("type", "presence"),)),
    ]
    perfect = [Answered(example=e, text=plain_text(e.answer)) for e in asked]
    perfect.append(
        Answered(
            example=example("presence", ("yes",), meta=(("label", "Edema"),)), text="yes", probability=0.9
        )
    )
    found = scores(perfect)
    for name, estimate in found.items():
        if name.endswith("unreadable") or "distance" in name:
            assert estimate.value == 0, name
        elif "ICC" not in name:
            assert estimate.value == pytest.approx(1), name
    constant = scores(constant_order(asked, range(len(asked)), {e.reading_id: "p" for e in asked}))
    assert constant["order_global tau"].value == pytest.approx(-1 / 3)
    broken = scores(
        [Answered(example=asked[0], text="<|box_start|>(1,2)"), Answered(example=asked[1], text="1, 1")]
    )
    assert broken["grounding unreadable"].value == broken["order_global unreadable"].value == 1
    assert broken["grounding IoU"].value == 0


def test_bleu_is_that_of_a_library_over_all_answers() -> None:
    right = [
        "the heart is enlarged and the lungs are clear.",
        "no effusion, no pneumothorax.",
        "a nodule is seen.",
    ]
    said = [
        "the heart is not enlarged; the lungs are clear.",
        "no effusion.",
        "no nodule is seen on the left side.",
    ]
    some = [
        Answered(example=example("report_from_image", (text,), number), text=answer)
        for number, (text, answer) in enumerate(zip(right, said, strict=True))
    ]
    expected = BLEU().corpus_score(said, [right]).score / 100
    assert 0 < expected < 1
    assert scores(some)["report_from_image BLEU-4"].value == expected


def answered(out: Path) -> list[dict[str, Any]]:
    """Return the lines that an evaluation wrote of its answers."""
    return [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_model_is_scored_beside_its_controls(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {"grounding": 1.0, "presence": 1.0}
    config = tiny(
        tasks={"weights": weights},
        train={"steps": 110, "batch_size": 8, "learning_rate": 3e-3, "save_every": 110},
    )
    done = train([dataset], tmp_path / "run", config, quiet=True)
    out = tmp_path / "scores"
    # The body of the test reading without its lesions; here its picture is the same, so nothing may vanish by itself.
    twin = {**reading(5, "test"), "reading_id": "twin", "study_arm": "without_lesions"}
    twins = write_both(tmp_path / "twins", [twin])
    command = ["evaluate", str(done.model), str(dataset), str(twins), "--out", str(out), "--limit", "3"]
    # Two processes: what either of them answers is the same.
    assert main([*command, "--beside", f"again={done.model}", "-j", "2"]) == 0
    table = capsys.readouterr().out
    found = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    assert list(found) == [
        "model",
        "untrained",
        "text only",
        "again",
        "centre prior",
        "constant order",
    ]
    assert json.loads((out / "readers.json").read_text(encoding="utf-8"))["leave-one-out"] == {}  # one reader
    assert (out / "scores.png").stat().st_size > 10_000
    assert found["again"] == {m: e for m, e in found["model"].items() if "lesion" not in m}
    asked = {line["example_id"] for line in answered(out)}
    assert not any(example.startswith("twin") for example in asked)
    vanished = found["model"]["not said without its lesion"]
    said = [line for line in answered(out) if line["control"] == "model" and line["task"] == "presence"]
    yes = [line["answer"] for line in said if line["right"] == "yes"]
    assert (vanished["n"], vanished["n_groups"]) == (len(yes), 1)
    assert vanished["value"] == pytest.approx(yes.count("no") / len(yes))
    assert found["model"]["grounding IoU"]["value"] > found["untrained"]["grounding IoU"]["value"]
    assert found["model"]["grounding unreadable"]["value"] == 0  # the grammar allows nothing else
    assert found["centre prior"]["grounding IoU"]["value"] > 0.5  # the boxes of all readings overlap
    assert "| grounding IoU |" in table
    # What it rightly says is there was painted over.
    assert ("faithfulness: fall, cited box masked" in found["model"]) == ("yes" in yes)
    assert {line["control"] for line in answered(out)} == {"model", "untrained", "text only", "again"}
    assert not any("patient" in json.dumps(line) for line in answered(out))


def test_a_test_patient_seen_in_training_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = train([dataset], tmp_path / "run", tiny(train={"steps": 1}), quiet=True)
    leak = write_both(tmp_path / "leak", [reading(1, "test")])
    command = ["evaluate", str(done.model), str(dataset), str(leak), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    assert "GX-LEAK" in capsys.readouterr().err

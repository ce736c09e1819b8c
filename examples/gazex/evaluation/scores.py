"""Answers of a split against what is right, task by task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from examples.gazex.answer.parse import parse_boxes, parse_inspection, parse_order
from examples.gazex.evaluation.measures import Estimate, area_under_precision, bootstrap, f1, iou, order_tau
from examples.gazex.tasks.example import Box, Example, plain_text

__all__ = ["Answered", "scores"]

HIT_IOU = 0.5
"""Overlap from which a box counts as found."""
SURE = 0.5
"""Probability from which a finding counts as said."""
REPORT_TASKS = ("report_from_image", "report_from_gaze", "finding_from_clip")
ORDER_TASKS = ("order_global", "order_by_finding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An example, the text that answered it and, of a yes-or-no question, how probable yes was."""

    example: Example
    text: str
    probability: float | None = None
    patient: str = ""

    @property
    def right(self) -> str:
        """The right answer as text."""
        return plain_text(self.example.answer)


def scores(answered: Iterable[Answered]) -> dict[str, Estimate]:
    """Return every measure that the answers allow, by name; intervals over patients.

    ``finding F1 (rule)`` names what it is: yes-or-no questions against marks and truth, not CheXbert's labels.
    ``unreadable`` is the share of answers in which something could not be read.
    """
    by_task: dict[str, list[Answered]] = defaultdict(list)
    for one in answered:
        by_task[one.example.task].append(one)
    found: dict[str, Estimate] = {}
    for task, some in sorted(by_task.items()):
        if task in REPORT_TASKS:
            found[f"{task} BLEU-4"] = _over(some, lambda a: a, _bleu)
            found[f"{task} ROUGE-L"] = _over(some, _rouge, _mean)
        elif task in ORDER_TASKS:
            found[f"{task} tau"] = _over(some, _tau, _mean)
            found[f"{task} exact"] = _over(some, lambda a: float(_order(a) == _right_order(a)), _mean)
            found[f"{task} tau of constant order"] = _over(some, _constant_tau, _mean)
        elif task == "presence":
            found["finding F1 (rule)"] = _over(some, _said_and_right, f1)
            found["finding accuracy"] = _over(some, lambda a: float(_is_yes(a) == (a.right == "yes")), _mean)
        elif task == "vqa":
            types = sorted({a.example.about("type") or "any" for a in some})
            for kind in types:
                of_it = [a for a in some if (a.example.about("type") or "any") == kind]
                found[f"vqa accuracy ({kind})"] = _over(of_it, _same_words, _mean)
        elif task in ("grounding", "boxes_from_sentence"):
            found[f"{task} IoU"] = _over(some, _overlap, _mean)
            found[f"{task} accuracy at {HIT_IOU:g}"] = _over(
                some, lambda a: float(_overlap(a) >= HIT_IOU), _mean
            )
        elif task == "inspection":
            found["inspection letters"] = _over(some, _letters_kept, _mean)
        if task in ("grounding", "boxes_from_sentence", "inspection", *ORDER_TASKS):
            found[f"{task} unreadable"] = _over(some, lambda a: float(bool(_problems(a))), _mean)
    if by_task["grounding"]:
        found["grounding mAP"] = _over(
            [*by_task["grounding"], *by_task["presence"]], lambda a: a, _mean_precision
        )
    return found


def _over(
    some: Sequence[Answered], value: Callable[[Answered], Any], measure: Callable[[Sequence[Any]], float]
) -> Estimate:
    groups: dict[str, list[Any]] = defaultdict(list)
    for one in some:
        groups[one.patient or one.example.reading_id].append(value(one))
    return bootstrap(groups, measure)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _bleu(some: Sequence[Answered]) -> float:
    """Corpus BLEU, 0 to 1."""
    said, right = [a.text for a in some], [a.right for a in some]
    return float(BLEU().corpus_score(said, [right]).score) / 100 if said else float("nan")


def _rouge(one: Answered) -> float:
    return float(RougeScorer(["rougeL"]).score(one.right, one.text)["rougeL"].fmeasure)


def _order(one: Answered) -> tuple[int, ...] | None:
    return parse_order(one.text, one.example.n_ordered).order


def _right_order(one: Answered) -> tuple[int, ...]:
    return tuple(int(number) for number in one.right.split(", "))


def _tau(one: Answered) -> float:
    return order_tau(_order(one), _right_order(one))


def _constant_tau(one: Answered) -> float:
    return order_tau(range(1, one.example.n_ordered + 1), _right_order(one))


def _is_yes(one: Answered) -> bool:
    return one.text.strip().lower() == "yes" if one.probability is None else one.probability >= SURE


def _said_and_right(one: Answered) -> tuple[bool, bool]:
    return _is_yes(one), one.right == "yes"


def _same_words(one: Answered) -> float:
    return float(_words(one.text) == _words(one.right))


def _words(text: str) -> list[str]:
    return text.lower().replace(".", " ").replace(",", " ").split()


def _last_box(text: str) -> Box | None:
    """Return the last box: the only one of a grounding, the observation of a sentence."""
    boxes = parse_boxes(text).boxes
    return boxes[-1] if boxes else None


def _overlap(one: Answered) -> float:
    said, right = _last_box(one.text), _last_box(one.right)
    return iou(said, right) if said is not None and right is not None else 0.0


def _letters_kept(one: Answered) -> float:
    """Return the share of the right letters that come in the same order, as their longest common subsequence."""
    said, right = ([step.letter for step in parse_inspection(text).steps] for text in (one.text, one.right))
    lengths = [[0] * (len(right) + 1) for _ in range(len(said) + 1)]
    for i, a in enumerate(said):
        for j, b in enumerate(right):
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if a == b else max(lengths[i][j + 1], lengths[i + 1][j])
    return lengths[-1][-1] / max(len(said), len(right), 1)


def _problems(one: Answered) -> tuple[str, ...]:
    match one.example.task:
        case "inspection":
            return parse_inspection(one.text).problems
        case "order_global" | "order_by_finding":
            return parse_order(one.text, one.example.n_ordered).problems
        case _:
            return parse_boxes(one.text).problems


def _mean_precision(some: Sequence[Answered]) -> float:
    """Mean over labels of the average precision of boxes at `HIT_IOU`, ranked by the probability of the label."""
    sure: Mapping[tuple[str, str | None], float] = {
        (a.example.reading_id, a.example.about("label")): a.probability or 0.0
        for a in some
        if a.example.task == "presence"
    }
    by_label: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for one in some:
        if one.example.task == "grounding":
            label = one.example.about("label")
            confidence = sure.get((one.example.reading_id, label), 0.0)
            by_label[str(label)].append((confidence, _overlap(one) >= HIT_IOU))
    return _mean([area_under_precision(found, len(found)) for found in by_label.values()])

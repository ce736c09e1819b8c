"""Answers of a split against what is right, task by task."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from examples.gazex.answer.parse import parse_boxes, parse_inspection, parse_order
from examples.gazex.evaluation.answered import Answered, last_box
from examples.gazex.evaluation.gaze_scores import WAYS, chosen_right, cluster_measures
from examples.gazex.evaluation.measures import Estimate, area_under_precision, bootstrap, f1, iou, order_tau

__all__ = ["Answered", "scores"]

HIT_IOU = 0.5
"""Overlap from which a box counts as found."""
SURE = 0.5
"""Probability from which a finding counts as said."""
REPORT_TASKS = ("report_from_image", "report_from_gaze", "finding_from_clip")
ORDER_TASKS = ("order_global", "order_by_finding", "order_of_looks")
_BLEU = BLEU()
_ROUGE = RougeScorer(["rougeL"])
BOX_TASKS = ("grounding", "boxes_from_sentence", "pointed_finding", "inspection")


def scores(answered: Iterable[Answered]) -> dict[str, Estimate]:
    """Return every measure that the answers allow, by name; intervals over patients.

    ``finding F1 (rule)`` names what it is: yes-or-no questions against marks and truth, not CheXbert's labels.
    ``unreadable`` is the share of answers in which something could not be read. Where there are several arms, what
    tells them apart stands beside it by arm; orders by reader, for each has a way of his own.
    """
    by_task: dict[str, list[Answered]] = defaultdict(list)
    for one in answered:
        by_task[one.example.task].append(one)
    found: dict[str, Estimate] = {}
    for task, some in sorted(by_task.items()):
        found |= _of_task(task, some)
    if by_task["grounding"]:
        found["grounding mAP"] = _over([*by_task["grounding"], *by_task["presence"]], _found, _mean_precision)
    return found


def _of_task(task: str, some: Sequence[Answered]) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    if task in REPORT_TASKS:
        found[f"{task} BLEU-4"] = _over(some, _matches, _bleu)
        found[f"{task} ROUGE-L"] = _over(some, _rouge, _mean)
    elif task in ORDER_TASKS:
        for name, part in _parts(some, "reader"):
            found[f"{task} tau{name}"] = _over(part, _tau, _mean)
        found[f"{task} exact"] = _over(some, lambda a: float(_order(a) == _right_order(a)), _mean)
    elif task == "presence":
        for name, part in _parts(some, "arm"):
            found[f"finding F1 (rule){name}"] = _over(part, _said_and_right, f1)
        found["finding accuracy"] = _over(some, lambda a: float(_is_yes(a) == (a.right == "yes")), _mean)
    elif task == "vqa":
        types = sorted({a.example.about("type") or "any" for a in some})
        for kind in types:
            of_it = [a for a in some if (a.example.about("type") or "any") == kind]
            found[f"vqa accuracy ({kind})"] = _over(of_it, _same_words, _mean)
    elif task in ("grounding", "boxes_from_sentence"):
        for name, part in _parts(some, "arm" if task == "grounding" else ""):
            found[f"{task} IoU{name}"] = _over(part, _overlap, _mean)
        found[f"{task} accuracy at {HIT_IOU:g}"] = _over(some, lambda a: float(_overlap(a) >= HIT_IOU), _mean)
        if task == "boxes_from_sentence":
            found |= {f"clusters {name}": _over(some, *how) for name, how in cluster_measures().items()}
    elif task == "pointed_finding":
        for name, part in _parts([a for a in some if a.example.about("others")], "arm"):
            found[f"meant finding chosen{name}"] = _over(part, chosen_right, _mean)
    elif task == "inspection":
        found |= {f"inspection {name}": _over(some, how, _mean_known) for name, how in WAYS.items()}
    if task in BOX_TASKS or task in ORDER_TASKS:
        found[f"{task} unreadable"] = _over(some, lambda a: float(bool(_problems(a))), _mean)
    return found


def _parts(some: Sequence[Answered], name: str) -> Iterator[tuple[str, Sequence[Answered]]]:
    """Give all answers and, where ``name`` has several values, those of each, with what ends the measure's name."""
    yield "", some
    values = sorted({a.example.about(name) or "" for a in some}) if name else []
    if len(values) > 1:
        for value in values:
            yield (
                f", {name} {value or 'unknown'}",
                [a for a in some if (a.example.about(name) or "") == value],
            )


def _over(
    some: Sequence[Answered], value: Callable[[Answered], Any], measure: Callable[[Sequence[Any]], float]
) -> Estimate:
    groups: dict[str, list[Any]] = defaultdict(list)
    for one in some:
        groups[one.patient or one.example.reading_id].append(value(one))
    return bootstrap(groups, measure)


def _mean_known(values: Sequence[float]) -> float:
    return _mean([value for value in values if math.isfinite(value)])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _matches(one: Answered) -> tuple[int, ...]:
    """Return what BLEU counts of an answer: its length and the right one's, n-grams that match, n-grams."""
    counted = _BLEU.corpus_score([one.text], [[one.right]])
    return counted.sys_len, counted.ref_len, *counted.counts, *counted.totals


def _bleu(some: Sequence[tuple[int, ...]]) -> float:
    """Corpus BLEU, 0 to 1: of sums over its answers, each of which is counted once and drawn a thousand times."""
    if not some:
        return float("nan")
    length, right_length, *counts = (sum(column) for column in zip(*some, strict=True))
    matched, of = counts[: _BLEU.max_ngram_order], counts[_BLEU.max_ngram_order :]
    score = BLEU.compute_bleu(matched, of, length, right_length, smooth_method=_BLEU.smooth_method)
    return float(score.score) / 100


def _rouge(one: Answered) -> float:
    return float(_ROUGE.score(one.right, one.text)["rougeL"].fmeasure)


def _order(one: Answered) -> tuple[int, ...] | None:
    return _frames_by_place(one.text, one.example.n_ordered)


def _right_order(one: Answered) -> tuple[int, ...]:
    return _frames_by_place(one.right, one.example.n_ordered) or ()


def _frames_by_place(text: str, n: int) -> tuple[int, ...] | None:
    """Return the frames in the order of the places that an answer gives them; None where it gives none."""
    places = parse_order(text, n).order
    return None if places is None else tuple(sorted(range(n), key=places.__getitem__))


def _tau(one: Answered) -> float:
    return order_tau(_order(one), _right_order(one))


def _is_yes(one: Answered) -> bool:
    return one.text.strip().lower() == "yes" if one.probability is None else one.probability >= SURE


def _said_and_right(one: Answered) -> tuple[bool, bool]:
    return _is_yes(one), one.right == "yes"


def _same_words(one: Answered) -> float:
    return float(_words(one.text) == _words(one.right))


def _words(text: str) -> list[str]:
    return text.lower().replace(".", " ").replace(",", " ").split()


def _overlap(one: Answered) -> float:
    said, right = last_box(one.text), last_box(one.right)
    return iou(said, right) if said is not None and right is not None else 0.0


def _problems(one: Answered) -> tuple[str, ...]:
    match one.example.task:
        case "inspection":
            return parse_inspection(one.text).problems
        case "order_global" | "order_by_finding" | "order_of_looks":
            return parse_order(one.text, one.example.n_ordered).problems
        case _:
            return parse_boxes(one.text).problems


class _Found(NamedTuple):
    """What average precision is made of: a finding's probability, or whether its box was found."""

    reading_id: str
    label: str | None
    probability: float | None
    """None: of its box."""
    hit: bool


def _found(one: Answered) -> _Found:
    is_box = one.example.task == "grounding"
    return _Found(
        one.example.reading_id,
        one.example.about("label"),
        None if is_box else one.probability or 0.0,
        is_box and _overlap(one) >= HIT_IOU,
    )


def _mean_precision(some: Sequence[_Found]) -> float:
    """Mean over labels of the average precision of boxes at `HIT_IOU`, ranked by the probability of the label."""
    sure = {(one.reading_id, one.label): one.probability for one in some if one.probability is not None}
    by_label: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for one in some:
        if one.probability is None:
            by_label[str(one.label)].append((sure.get((one.reading_id, one.label), 0.0), one.hit))
    return _mean([area_under_precision(found, len(found)) for found in by_label.values()])

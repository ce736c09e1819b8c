"""How near a model's idea of where a reader looks is to where the reader looked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.gazex.answer.parse import parse_boxes, parse_inspection
from examples.gazex.data.lighting import gaze_map
from examples.gazex.evaluation.answered import Answered, last_box
from examples.gazex.evaluation.measures import cosine, edit_similarity, icc_agreement, iou, path_distance
from examples.gazex.tasks.example import Box

__all__ = ["WAYS", "chosen_right", "cluster_measures"]

MAP_SIDE = 48
"""Cells per side of the maps whose cosine is taken: a cell is about a fifth of a cluster's width."""
SIGMAS_PER_SIDE = 4.0
"""Standard deviations of a cluster's Gaussian in the width of its box."""


def chosen_right(one: Answered) -> float:
    """Say whether the box of an answer overlaps the finding that was meant more than any other; 0.5 where equally.

    Without a look at gaze, half of the answers are right where a reading has two findings and each is meant once.
    """
    said, right = last_box(one.text), last_box(one.right)
    if said is None or right is None:
        return 0.0
    others = parse_boxes(one.example.about("others") or "").boxes
    other = max((iou(said, box) for box in others), default=0.0)
    own = iou(said, right)
    return 0.5 if own == other else float(own > other)


def cluster_measures() -> dict[str, tuple[Callable[[Answered], Any], Callable[[Sequence[Any]], float]]]:
    """Return by name what to take of an answer and how to make one number of it.

    ICC      : of the observation's centre, predicted against the reader's, over sentences, across and down.
    cosine   : of the maps of all clusters, each a Gaussian as wide as its box; mean over sentences.
    """
    return {
        "ICC across": (lambda a: _centres(a, 0), _icc),
        "ICC down": (lambda a: _centres(a, 1), _icc),
        "cosine": (_map_cosine, lambda values: float(np.mean(values)) if values else float("nan")),
    }


def _letters(one: Answered) -> float:
    said, right = ([step.letter for step in parse_inspection(t).steps] for t in (one.text, one.right))
    return edit_similarity(said, right)


def _regions(one: Answered) -> float:
    said, right = ([step.region for step in parse_inspection(t).steps] for t in (one.text, one.right))
    return edit_similarity(said, right)


def _distance(one: Answered) -> float:
    said, right = ([_centre(s.box) for s in parse_inspection(t).steps] for t in (one.text, one.right))
    return path_distance(said, right)


WAYS: Mapping[str, Callable[[Answered], float]] = MappingProxyType(
    {"letters alike": _letters, "regions alike": _regions, "distance (shares of the side)": _distance}
)
"""How a predicted inspection is compared with the reader's: string edits, and points matched in order."""


def _centre(box: Box) -> tuple[float, float]:
    return box.point or ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)


def _centres(one: Answered, axis: int) -> tuple[float, float] | None:
    said, right = last_box(one.text), last_box(one.right)
    return None if said is None or right is None else (_centre(said)[axis], _centre(right)[axis])


def _icc(pairs: Sequence[tuple[float, float] | None]) -> float:
    return icc_agreement([pair for pair in pairs if pair is not None])


def _map_cosine(one: Answered) -> float:
    return cosine(_map(one.text), _map(one.right))


def _map(text: str) -> NDArray[np.float32]:
    """Return the clusters of an answer as one map; the last box, around all of them, only where it is alone."""
    boxes = parse_boxes(text).boxes
    clues = boxes[:-1] or boxes
    points = [(*_centre(box), max(box.x1 - box.x0, 0.01) / SIGMAS_PER_SIDE, 1.0) for box in clues]
    return gaze_map(np.asarray(points, np.float32).reshape(-1, 4), MAP_SIDE, MAP_SIDE)

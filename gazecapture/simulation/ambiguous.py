"""The arm "ambiguous": two findings, equally visible, of which the reader's words never tell the one that is meant.

Each sentence about a finding is neutral, and both findings get one, so within every reading each is meant once: neither
picture, text, label nor side says which. Only where the reader looked meanwhile does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from gazecapture.demo.studies import PLAN
from gazecapture.files import write_json_atomically
from gazecapture.simulation.content import load_content
from gazecapture.simulation.randomness import generator

__all__ = [
    "AMBIGUOUS_ARM",
    "INDICATION",
    "WITHOUT_LESIONS_ARM",
    "ambiguous_places",
    "findings_of",
    "make_ambiguous",
]

AMBIGUOUS_ARM, WITHOUT_LESIONS_ARM = "ambiguous", "without_lesions"
LABELS = ("Consolidation", "Pneumonia", "Lung Opacity", "Lung Lesion")
"""Findings of one lung alone: of two, a phantom draws one in each."""
INDICATION = "Follow up."
"""Tells nothing; those of the plan fit their findings."""
SEAM_SHARE = 0.1
"""Share of the picture's width over which the contrast passes from one lung's to the other's."""

Box = tuple[float, float, float, float]


def ambiguous_places(n: int, share: float, seed: int) -> tuple[int, ...]:
    """Return which of ``n`` studies are in the arm, in order."""
    chosen = generator("ambiguous", seed).permutation(n)[: round(share * n)]
    return tuple(sorted(int(place) for place in chosen))


def findings_of(n: int, ambiguous: Sequence[int]) -> list[tuple[str, ...]]:
    """Return every study's findings: those of the plan, and in the arm every pair of `LABELS` equally often."""
    findings = [PLAN[place % len(PLAN)].findings for place in range(n)]
    pairs = list(combinations(LABELS, 2))
    for number, place in enumerate(ambiguous):
        findings[place] = pairs[number % len(pairs)]
    return findings


def make_ambiguous(studies: Path, study_id: str, picture: Path, healthy: NDArray[np.uint16]) -> None:
    """Make both findings of a study equally visible, and let its readers speak of them neutrally.

    healthy : (h, w), the same phantom without findings. Of the stronger finding that share of its change is left that
    gives both the same root mean square within their boxes. Raises SchemaError where the study has no ground truth.
    """
    path = studies / "ground_truth" / f"{study_id}.anatomy.json"
    content = load_content(studies / "ground_truth", study_id)
    assert content is not None  # noqa: S101  # written with the study
    boxes = [lesion.box for lesion in content.lesions if lesion.present and lesion.box is not None]
    if boxes:
        shown = pydicom.dcmread(picture)
        base = healthy.astype(np.float64)
        change = shown.pixel_array.astype(np.float64) - base
        mixed = base + change * _weights(change, boxes)
        shown.PixelData = np.round(mixed).astype(healthy.dtype).tobytes()
        shown.save_as(picture)
    write_json_atomically(path, json.loads(path.read_text(encoding="utf-8")) | {"neutral": True})


def contrast(change: NDArray[np.float64], box: Box) -> float:
    """Return the root mean square of a change of the picture within a box."""
    x0, y0, x1, y1 = (round(side) for side in box)
    return float(np.sqrt(np.mean(change[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] ** 2)))


def _weights(change: NDArray[np.float64], boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Return by how much every column's change is multiplied: one number per lung, in a line across the midline."""
    left, right = sorted(boxes, key=lambda box: box[0] + box[2])
    strength = [max(contrast(change, box), 1e-9) for box in (left, right)]
    shares = [min(strength) / value for value in strength]
    width = change.shape[1]
    seam = ((left[2] + right[0]) / 2) if left[2] <= right[0] else width / 2
    half = SEAM_SHARE * width / 2
    columns: NDArray[np.float64] = np.interp(
        np.arange(width) + 0.5,
        [max(left[2], seam - half), max(min(right[0], seam + half), left[2] + 1)],
        shares,
    )
    return columns

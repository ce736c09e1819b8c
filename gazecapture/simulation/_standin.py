"""Stands in for the catalogue of phantom findings until it is in the tree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class _Entry:
    region_names: tuple[str, ...]
    positive_sentences: tuple[str, ...]
    negative_sentence: str


CATALOGUE = {
    "Cardiomegaly": _Entry(
        ("cardiac silhouette",), ("The heart is enlarged.",), "The heart is not enlarged."
    ),
    "Pneumothorax": _Entry(
        ("right apical zone", "left apical zone"), ("There is a pneumothorax.",), "No pneumothorax is seen."
    ),
    "Consolidation": _Entry(
        ("right lower lung zone",), ("There is a consolidation.",), "There is no consolidation."
    ),
}

"""The tasks: three of gaze, as published, and those that need no gaze."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["AT_MOST", "CLIPS", "GAZE_IN", "GAZE_OUT", "LABELS", "SHORT", "TASKS"]

GAZE_IN = ("report_from_gaze", "finding_from_clip", "pointed_finding", "order_global", "order_by_finding")
"""Their input shows where a reader looked."""
CLIPS = ("finding_from_clip", "pointed_finding")
"""Shown are the key frames of one sentence."""
GAZE_OUT = ("boxes_from_sentence", "inspection", "order_of_looks")
"""Their answer is where a reader looked, or when."""
SHORT: Mapping[str, str] = MappingProxyType(
    {"presence": "findings", "grounding": "findings", "vqa": "findings", "order_of_looks": "looks"}
)
"""Asked of a radiograph alone, many of each, with short answers: those of one kind are worth asking in one look."""
AT_MOST: Mapping[str, int] = MappingProxyType({"looks": 4})
"""Of a kind of short questions so many in one look: their answers are longer than others'."""
TASKS = (*GAZE_IN, *GAZE_OUT, "report_from_image", "grounding", "vqa", "presence")

LABELS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Lung Opacity", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
"""The 14 labels of the CheXpert labeller (Irvin et al. 2019)."""

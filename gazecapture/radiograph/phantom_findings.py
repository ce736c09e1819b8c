"""What a phantom can show, and what a reader says of it: the catalogue of findings.

Labels are those of the CheXpert labeller; the sentences are this project's own. Which letter a finding belongs to
is not said here: a scheme derives it from the regions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CATALOGUE", "NO_FINDING", "FindingEntry"]

NO_FINDING = "No Finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingEntry:
    """One label: where it is looked for, and sentences that report it."""

    label: str
    region_names: tuple[str, ...]
    """Regions that a reader looks at for it, the most telling first."""
    positive_sentences: tuple[str, ...]
    """Without side, since the phantom's seed chooses it."""
    negative_sentence: str
    has_box: bool = True
    """False where the label is about the whole picture."""


_ENTRIES = (
    FindingEntry(
        label=NO_FINDING,
        region_names=("right lung", "left lung"),
        positive_sentences=("No acute abnormality is seen in the chest.", "This is a normal chest radiograph."),
        negative_sentence="The chest radiograph is not normal.",
        has_box=False,
    ),
    FindingEntry(
        label="Cardiomegaly",
        region_names=("cardiac silhouette", "left cardiac silhouette", "right cardiac silhouette"),
        positive_sentences=(
            "The cardiac silhouette is enlarged.",
            "The heart is wider than half of the thorax.",
            "There is marked enlargement of the heart.",
        ),
        negative_sentence="The heart is not enlarged.",
    ),
    FindingEntry(
        label="Pleural Effusion",
        region_names=(
            "right costophrenic angle", "left costophrenic angle", "right lower lung zone", "left lower lung zone",
        ),
        positive_sentences=(
            "The costophrenic angle is blunted by a pleural effusion.",
            "There is a pleural effusion with a meniscus along the lateral wall.",
            "Fluid layers in the pleural space and hides the hemidiaphragm.",
        ),
        negative_sentence="There is no pleural effusion.",
    ),
    FindingEntry(
        label="Pneumothorax",
        region_names=("right apical zone", "left apical zone", "right upper lung zone", "left upper lung zone"),
        positive_sentences=(
            "There is an apical pneumothorax with a visible pleural line.",
            "A thin pleural line without markings beyond it indicates a pneumothorax.",
            "Air in the pleural space outlines the edge of the upper lung.",
        ),
        negative_sentence="There is no pneumothorax.",
    ),
    FindingEntry(
        label="Consolidation",
        region_names=("right lower lung zone", "left lower lung zone", "right mid lung zone", "left mid lung zone"),
        positive_sentences=(
            "There is a dense consolidation with air bronchograms.",
            "A homogeneous airspace opacity is consistent with consolidation.",
            "Confluent consolidation obscures the vessels of this part of the lung.",
        ),
        negative_sentence="There is no consolidation.",
    ),
    FindingEntry(
        label="Pneumonia",
        region_names=("right lower lung zone", "left lower lung zone", "right mid lung zone", "left mid lung zone"),
        positive_sentences=(
            "Patchy opacities suggest pneumonia.",
            "There is an ill defined infiltrate in keeping with pneumonia.",
            "Multiple small opacities run together, most likely pneumonia.",
        ),
        negative_sentence="There is no sign of pneumonia.",
    ),
    FindingEntry(
        label="Lung Lesion",
        region_names=("right upper lung zone", "left upper lung zone", "right mid lung zone", "left mid lung zone"),
        positive_sentences=(
            "There is a solitary pulmonary nodule.",
            "A well defined round nodule is seen in the lung.",
            "A rounded opacity needs further work up as a possible nodule.",
        ),
        negative_sentence="There is no pulmonary nodule.",
    ),
    FindingEntry(
        label="Edema",
        region_names=(
            "right hilar structures", "left hilar structures", "right mid lung zone", "left mid lung zone",
        ),
        positive_sentences=(
            "Perihilar haze and septal lines indicate pulmonary edema.",
            "The vessels are indistinct as in interstitial edema.",
            "There is pulmonary edema on both sides.",
        ),
        negative_sentence="There is no pulmonary edema.",
    ),
    FindingEntry(
        label="Atelectasis",
        region_names=("left lower lung zone", "right lower lung zone"),
        positive_sentences=(
            "There is linear atelectasis at the lung base.",
            "Bands of atelectasis run above the hemidiaphragm.",
            "Plate like atelectasis is seen in the lower zone.",
        ),
        negative_sentence="There is no atelectasis.",
    ),
    FindingEntry(
        label="Fracture",
        # Ribs lie outside all regions of the map; the wall is looked at along the lateral lung.
        region_names=("right clavicle", "left clavicle"),
        positive_sentences=(
            "There is a displaced rib fracture.",
            "A rib shows a step in its cortex from a fracture.",
            "The lateral arc of a rib is broken.",
        ),
        negative_sentence="No fracture is seen.",
    ),
    FindingEntry(
        label="Lung Opacity",
        region_names=("right mid lung zone", "left mid lung zone", "right upper lung zone", "left upper lung zone"),
        positive_sentences=(
            "There is a hazy opacity in the lung.",
            "A faint ground glass opacity is seen.",
            "An ill defined area of higher density lies in the lung.",
        ),
        negative_sentence="There is no focal opacity.",
    ),
    FindingEntry(
        label="Support Devices",
        region_names=("device", "left upper lung zone", "right upper lung zone", "svc"),
        positive_sentences=(
            "A support device is in place.",
            "The position of the device is as expected.",
            "A device with its leads projects over the chest.",
        ),
        negative_sentence="There is no support device.",
    ),
)  # fmt: skip

CATALOGUE: Mapping[str, FindingEntry] = MappingProxyType({entry.label: entry for entry in _ENTRIES})
"""By label."""

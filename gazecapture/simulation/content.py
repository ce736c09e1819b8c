"""What there is to see in a study: its true anatomy and lesions, as the simulated reader knows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError

from gazecapture.session.schema import TruthLesion
from gazecapture.viewer.model import ImageView
from keyframes.errors import SchemaError
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["StudyContent", "generic_content", "load_content", "load_contents"]

_TYPICAL_BOXES: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "right lung": (0.12, 0.14, 0.45, 0.78), "left lung": (0.55, 0.14, 0.88, 0.78),
        "right apical zone": (0.23, 0.13, 0.42, 0.23), "left apical zone": (0.58, 0.13, 0.77, 0.23),
        "right upper lung zone": (0.17, 0.2, 0.43, 0.38), "left upper lung zone": (0.57, 0.2, 0.83, 0.38),
        "right mid lung zone": (0.14, 0.38, 0.4, 0.56), "left mid lung zone": (0.6, 0.38, 0.86, 0.56),
        "right lower lung zone": (0.13, 0.56, 0.4, 0.75), "left lower lung zone": (0.65, 0.56, 0.87, 0.75),
        "right hilar structures": (0.36, 0.38, 0.46, 0.55), "left hilar structures": (0.54, 0.36, 0.64, 0.53),
        "right costophrenic angle": (0.1, 0.72, 0.2, 0.82), "left costophrenic angle": (0.8, 0.72, 0.9, 0.82),
        "right hemidiaphragm": (0.14, 0.7, 0.42, 0.8), "left hemidiaphragm": (0.58, 0.72, 0.86, 0.82),
        "right clavicle": (0.15, 0.1, 0.46, 0.18), "left clavicle": (0.54, 0.1, 0.85, 0.18),
        "trachea": (0.47, 0.08, 0.53, 0.33), "carina": (0.46, 0.31, 0.54, 0.37),
        "mediastinum": (0.38, 0.15, 0.65, 0.75), "aortic arch": (0.52, 0.27, 0.6, 0.35),
        "cardiac silhouette": (0.39, 0.45, 0.68, 0.75), "abdomen": (0.1, 0.82, 0.9, 0.98),
        "spine": (0.46, 0.05, 0.54, 0.95),
    }
)  # fmt: skip
"""Fractions of a frontal radiograph with usual margins; the patient's right is on the picture's left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContent:
    """The truth about one study."""

    study_id: str
    maps: Mapping[int, RegionMap]
    """By image_index."""
    lesions: tuple[TruthLesion, ...]
    neutral: bool = False
    """Sentences about present lesions don't say which one is meant (`gazecapture.simulation.ambiguous`)."""


def load_content(ground_truth: Path, study_id: str) -> StudyContent | None:
    """Read ``ground_truth/{study_id}.anatomy.json``; None where there is no such file.

    Raises SchemaError where the file does not hold what it must.
    """
    path = ground_truth / f"{study_id}.anatomy.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        maps = {int(index): RegionMap.from_dict(value) for index, value in content["images"].items()}
        lesions = TypeAdapter(tuple[TruthLesion, ...]).validate_python(
            tuple({**lesion, "box": _as_tuple(lesion.get("box"))} for lesion in content["lesions"])
        )
        neutral = bool(content.get("neutral", False))
    except (ValueError, KeyError, AttributeError, TypeError, ValidationError) as error:
        raise SchemaError(
            f"{path} holds no anatomy: {type(error).__name__}",
            hint="Write the studies again with `gazecapture demo`.",
            path=path,
        ) from None
    return StudyContent(study_id=study_id, maps=MappingProxyType(maps), lesions=lesions, neutral=neutral)


def load_contents(ground_truth: Path, study_ids: Iterable[str]) -> dict[str, StudyContent]:
    """Read the content of every study that has one, by study id."""
    found = ((study_id, load_content(ground_truth, study_id)) for study_id in study_ids)
    return {study_id: content for study_id, content in found if content is not None}


def generic_content(study_id: str, images: Sequence[ImageView]) -> StudyContent:
    """Return a content of no lesions with regions where a frontal radiograph usually has them."""
    maps = {
        image.image_index: RegionMap.build(
            width_px=image.width_px,
            height_px=image.height_px,
            regions={
                name: Region.from_box(
                    name,
                    (x0 * image.width_px, y0 * image.height_px, x1 * image.width_px, y1 * image.height_px),
                )
                for name, (x0, y0, x1, y1) in _TYPICAL_BOXES.items()
            },
            provider="truth",
            confidence=0.0,
        )
        for image in images
    }
    return StudyContent(study_id=study_id, maps=MappingProxyType(maps), lesions=())


def _as_tuple(box: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if box is None else tuple(box)

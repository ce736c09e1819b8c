"""A reading made ready to be reviewed: pictures decoded, tables completed, text in the pixels looked for. No Qt.

Takes a second or two and belongs in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gazecapture.radiograph.burned_in import find_burned_in_text
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.viewer.render import Picture
from gazecapture.viewer.review.derived import completed
from gazecapture.viewer.review.source import Material, ReviewSource
from keyframes.errors import ImageError

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a window needs of one reading."""

    material: Material
    pictures: Mapping[int, Picture]
    """By image index, those that are at hand and can be decoded."""
    found_text: Mapping[int, list[list[float]]]


def prepare(source: ReviewSource, key: str) -> Prepared:
    """Load a reading and make it ready. Raises what `ReviewSource.load` raises."""
    material = source.load(key)
    radiographs = {}
    for index, path in material.pictures.items():
        try:
            radiographs[index] = load_radiograph(path)
        except ImageError:
            continue  # its gaze can be reviewed all the same
    reading = completed(material.reading, radiographs)
    found = material.text_boxes
    if found is not None:
        found = {index: found.get(index, []) for index in radiographs}
    else:
        found = {
            index: [[float(side) for side in line.box] for line in find_burned_in_text(radiograph.grey8())]
            for index, radiograph in radiographs.items()
        }
    return Prepared(
        material=replace(material, reading=reading),
        pictures={index: Picture(radiograph, index) for index, radiograph in radiographs.items()},
        found_text=found,
    )

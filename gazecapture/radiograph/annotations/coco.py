"""COCO JSON: polygons, run-length codes and boxes of any number of pictures in one file."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gazecapture.radiograph.annotations.frame import Frame, imported_map
from gazecapture.radiograph.annotations.run_lengths import coco_counts, mask_of_coco_counts
from gazecapture.radiograph.annotations.source import AnnotationSource, annotation_error, read_bounded
from gazecapture.radiograph.film import Film
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["CocoAnnotations"]

CONFIDENCE = 0.9
"""Somebody's contours, of unknown care."""
Id = int | str
Numbers = Annotated[list[float], Field(max_length=200_000)]


class _Entry(BaseModel):
    """A part of the file; what else it holds does not matter here."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _RunLengths(_Entry):
    size: tuple[int, int]
    """Height, width."""
    counts: str | list[int]


class _Shape(_Entry):
    image_id: Id
    category_id: Id
    segmentation: list[Numbers] | _RunLengths | None = None
    bbox: tuple[float, float, float, float] | None = None


class _Picture(_Entry):
    id: Id
    width: int
    height: int
    file_name: str = ""


class _Category(_Entry):
    id: Id
    name: str


class _File(_Entry):
    images: list[_Picture]
    categories: list[_Category]
    annotations: list[_Shape]


class CocoAnnotations:
    """The regions of one COCO file; a picture is known by its file name without folder and suffix.

    Categories are the regions. Several shapes of one category on a picture are one region; a shape without
    segmentation is its box. Raises SchemaError where the file is no COCO file.
    """

    def __init__(self, source: AnnotationSource) -> None:
        self._source = source
        try:
            content = _File.model_validate_json(read_bounded(source.path))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            annotation_error(f"the file's field {place!r} is off: {first['msg']}", source.path)
        self._regions = {c.id: source.region_name(c.name) for c in content.categories}
        self._pictures: dict[str, _Picture] = {}
        for picture in content.images:
            stem = PurePosixPath(PureWindowsPath(picture.file_name).as_posix()).stem
            if stem in self._pictures:
                annotation_error(
                    "two of its pictures have one file name", source.path, record=str(picture.id)
                )
            self._pictures[stem] = picture
        self._shapes: defaultdict[Id, list[_Shape]] = defaultdict(list)
        for shape in content.annotations:
            self._shapes[shape.image_id].append(shape)

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        picture = next((self._pictures[name] for name in sorted(film.names) if name in self._pictures), None)
        if picture is None:
            return None
        frame = Frame.stated(film, picture.width, picture.height, self._source.path)
        by_name: defaultdict[str, list[_Shape]] = defaultdict(list)
        for shape in self._shapes[picture.id]:
            if shape.category_id not in self._regions:
                annotation_error(
                    f"a shape is of category {shape.category_id!r}, which is not declared", self._source.path
                )
            by_name[self._regions[shape.category_id]].append(shape)
        found = {name: self._region(frame, name, shapes) for name, shapes in by_name.items()}
        kept = {name: region for name, region in found.items() if region is not None}
        return imported_map(self._source, film, kept, confidence=CONFIDENCE)

    def _region(self, frame: Frame, name: str, shapes: list[_Shape]) -> Region | None:
        """Return one region from all of its shapes."""
        polygons: list[list[list[float]]] = []
        masks: list[NDArray[np.bool_]] = []
        for shape in shapes:
            if isinstance(shape.segmentation, _RunLengths):
                masks.append(self._mask(frame, shape.segmentation))
            elif shape.segmentation:
                polygons.extend(self._corners(name, numbers) for numbers in shape.segmentation)
            elif shape.bbox is not None:
                x, y, w, h = shape.bbox
                polygons.append([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
        if not masks:
            return frame.polygons(name, polygons) if polygons else None
        if polygons:
            masks.append(frame.filled(name, polygons))
        return frame.mask(name, np.logical_or.reduce(masks))

    def _mask(self, frame: Frame, code: _RunLengths) -> NDArray[np.bool_]:
        height, width = code.size
        path = self._source.path
        if (width, height) != (frame.width, frame.height):
            annotation_error(
                f"a run-length code is of {width} x {height} px, its picture of {frame.width} x {frame.height}",
                path,
            )
        counts = coco_counts(code.counts, path) if isinstance(code.counts, str) else code.counts
        return mask_of_coco_counts(counts, width=width, height=height, path=path)

    def _corners(self, name: str, numbers: list[float]) -> list[list[float]]:
        if len(numbers) % 2:
            annotation_error(f"a polygon of {name!r} has an odd number of coordinates", self._source.path)
        return [numbers[place : place + 2] for place in range(0, len(numbers), 2)]

"""Chest ImaGenome's scene graphs: one ``{dicom id}_SceneGraph.json`` per picture, boxes of up to 36 locations."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from gazecapture.radiograph.annotations.frame import Frame, imported_map
from gazecapture.radiograph.annotations.source import (
    AnnotationSource,
    annotation_error,
    files_by_stem,
    read_bounded,
)
from gazecapture.radiograph.film import Film
from keyframes.errors import GeometryError
from keyframes.regions.region_map import RegionMap

__all__ = ["SceneGraphs"]

CONFIDENCE = 0.8
"""The silver set's boxes are a detector's, not people's."""
SMALL_SIDE_PX = 224
"""The boxes ``x1 ... y2`` are of the picture padded to a square and shrunk to this side."""
SCALE_TOLERANCE = 0.05
"""The small boxes are rounded to whole px, so the ratio is taken over all of them."""
MAX_BYTES = 1 << 26


class _Object(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    bbox_name: str
    original_x1: float
    original_y1: float
    original_x2: float
    original_y2: float
    x1: float | None = None
    x2: float | None = None


class _Graph(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    image_id: str = ""
    objects: list[_Object]


class SceneGraphs:
    """A scene graph file or a folder of them. The ``original_*`` boxes are used, in px of the stored matrix."""

    def __init__(self, source: AnnotationSource) -> None:
        self._source = source
        self._files = files_by_stem(source, ".json", ending="_SceneGraph")

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        stem = next((name for name in sorted(film.names) if name in self._files), None)
        if stem is None:
            return None
        path = self._files[stem]
        try:
            graph = _Graph.model_validate_json(read_bounded(path, limit=MAX_BYTES))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            annotation_error(f"the scene graph's field {place!r} is off: {first['msg']}", path)
        if graph.image_id not in {"", stem}:
            annotation_error("the scene graph names another picture than its file name", path)
        frame = Frame.of_matrix(film, path)
        self._check_frame(graph, frame)
        regions = {}
        for item in graph.objects:
            name = self._source.region_name(item.bbox_name)
            box = (item.original_x1, item.original_y1, item.original_x2, item.original_y2)
            if box[0] < box[2] and box[1] < box[3]:  # what is not on the picture has a box without area
                regions[name] = frame.box(name, box)
        return imported_map(self._source, film, regions, confidence=CONFIDENCE)

    def _check_frame(self, graph: _Graph, frame: Frame) -> None:
        """Raise GeometryError where the two frames of the boxes tell that the picture had another size."""
        pairs = [
            (item.original_x2 - item.original_x1, item.x2 - item.x1)
            for item in graph.objects
            if item.x1 is not None and item.x2 is not None and item.x2 > item.x1
        ]
        small = sum(width for _, width in pairs)
        if not small:
            return
        found = sum(width for width, _ in pairs) / small
        expected = max(frame.width, frame.height) / SMALL_SIDE_PX
        if abs(found / expected - 1) > SCALE_TOLERANCE:
            raise GeometryError(
                f"its boxes are of a picture of {found * SMALL_SIDE_PX:.0f} px on the longer side, "
                f"the picture has {max(frame.width, frame.height)}",
                path=frame.path,
                code="GT-ANNOTATION-FRAME",
                hint="The annotation belongs to another picture or another version of it.",
            )

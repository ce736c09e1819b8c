"""EGD-CXR's ``bounding_boxes.csv``: about 17 boxes per film, in px of the stored matrix."""

from __future__ import annotations

import csv
import io
from collections import defaultdict

from gazecapture.radiograph.annotations.frame import Frame, imported_map
from gazecapture.radiograph.annotations.source import AnnotationSource, annotation_error, read_bounded
from gazecapture.radiograph.film import Film
from keyframes.regions.region_map import RegionMap

__all__ = ["EgdBoxes"]

CONFIDENCE = 0.8
"""Taken to be as good as Chest ImaGenome's, whose locations they are."""
COLUMNS = ("dicom_id", "bbox_name", "x1", "x2", "y1", "y2")
"""Mind their order: both x first."""


class EgdBoxes:
    """The file of boxes, or the folder that it lies in. Raises SchemaError where a column or a number is off."""

    def __init__(self, source: AnnotationSource) -> None:
        self._source = source
        self._path = source.path / "bounding_boxes.csv" if source.path.is_dir() else source.path
        self._boxes: defaultdict[str, list[tuple[str, tuple[float, ...]]]] = defaultdict(list)
        try:
            text = read_bounded(self._path).decode("utf-8-sig")
            rows = csv.DictReader(io.StringIO(text, newline=""))
            absent = set(COLUMNS) - set(rows.fieldnames or ())
            if absent:
                annotation_error(f"it lacks column {', '.join(sorted(absent))}", self._path)
            for number, row in enumerate(rows, start=2):
                try:
                    box = tuple(float(row[column]) for column in ("x1", "y1", "x2", "y2"))
                except (TypeError, ValueError):
                    annotation_error("a box has a coordinate that is no number", self._path, record=number)
                self._boxes[row["dicom_id"]].append((row["bbox_name"], box))
        except (UnicodeDecodeError, csv.Error):
            annotation_error("it is no CSV file", self._path)

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        boxes = next((self._boxes[name] for name in sorted(film.names) if name in self._boxes), None)
        if boxes is None:
            return None
        frame = Frame.of_matrix(film, self._path)
        named = ((self._source.region_name(label), box) for label, box in boxes)
        regions = {name: frame.box(name, box) for name, box in named}
        return imported_map(self._source, film, regions, confidence=CONFIDENCE)

"""REFLACX's chest boxes and ellipses: a person's frame of the thorax, and what was marked on it."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from gazecapture.radiograph.annotations.frame import Frame, imported_map
from gazecapture.radiograph.annotations.source import AnnotationSource, annotation_error, read_bounded
from gazecapture.radiograph.film import Film
from keyframes.regions.chest_box import CHEST_BOX_CONFIDENCE, regions_in_chest_box
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["ReflacxBoxes"]

SUPPORT_DEVICES = "Support devices"
ELLIPSE_CORNERS = 64
"""An ellipse's polygon of so many loses 0.2 % of its area."""
SIDES = ("xmin", "ymin", "xmax", "ymax")
MAX_BYTES = 1 << 24


class ReflacxBoxes:
    """The folder ``main_data``: the files of every reading of a picture, found by the tables of metadata.

    Several readers' chest boxes of one picture are one, side by side their median; its 36 locations are those of the
    atlas's template laid into it. Ellipses are regions by their label in lower case (of use to a scheme that lists it);
    those of support devices are region ``device``. Their frame is the matrix, whose size metadata state: another size
    is refused.
    """

    def __init__(self, source: AnnotationSource) -> None:
        self._source = source
        self._readings: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
        tables = sorted(source.path.glob("metadata_phase_*.csv"))
        if not tables:
            annotation_error(
                "it holds no metadata_phase_*.csv", source.path, hint="Give the folder main_data."
            )
        for table in tables:
            for row in _rows(table):
                try:
                    size = int(row["image_size_x"]), int(row["image_size_y"])
                    self._readings[row["dicom_id"]].append((row["id"], *size))
                except (KeyError, TypeError, ValueError):
                    annotation_error("a row lacks id, dicom_id or the image's size", table)

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        readings = next((self._readings[name] for name in sorted(film.names) if name in self._readings), None)
        if readings is None:
            return None
        boxes: list[list[float]] = []
        marked: defaultdict[str, list[list[list[float]]]] = defaultdict(list)
        frame = Frame.of_matrix(film, self._source.path)
        for reading, width, height in readings:
            Frame.equal(film, width, height, self._source.path)
            folder = self._source.path / reading
            if not reading.isalnum() or not folder.is_dir():  # discarded, or not downloaded
                continue
            boxes.extend(box for box, _ in _boxes(folder / "chest_bounding_box.csv"))
            for box, row in _boxes(folder / "anomaly_location_ellipses.csv"):
                for label in (label for label, value in row.items() if value == "True"):
                    marked[self._name(label)].append(_ellipse(box))
        regions: dict[str, Region] = {}
        if boxes:
            chest = frame.box("chest box", np.median(np.asarray(boxes), axis=0).tolist()).box
            regions |= regions_in_chest_box(chest, width_px=film.width_px, height_px=film.height_px)
        for name, shapes in marked.items():
            region = frame.polygons(name, shapes)
            if region is not None:
                regions[name] = region
        return imported_map(self._source, film, regions, confidence=CHEST_BOX_CONFIDENCE)

    def _name(self, label: str) -> str:
        if label == SUPPORT_DEVICES and label not in self._source.names:
            return "device"
        return self._source.region_name(label)


def _boxes(path: Path) -> Iterator[tuple[list[float], Mapping[str, str]]]:
    """Yield the box, (x0, y0, x1, y1) in image px, and the whole of each row; nothing where there is no file."""
    if not path.is_file():
        return
    for row in _rows(path):
        try:
            box = [float(row[side]) for side in SIDES]
        except (KeyError, TypeError, ValueError):
            box = [math.nan]
        if not all(map(math.isfinite, box)):
            annotation_error(f"a row lacks a number among {', '.join(SIDES)}", path)
        yield box, row


def _ellipse(box: list[float]) -> list[list[float]]:
    """Return the corners of the ellipse inscribed in a box."""
    x0, y0, x1, y1 = box
    angles = np.arange(ELLIPSE_CORNERS) * (2 * np.pi / ELLIPSE_CORNERS)
    x = (x0 + x1) / 2 + (x1 - x0) / 2 * np.cos(angles)
    y = (y0 + y1) / 2 + (y1 - y0) / 2 * np.sin(angles)
    corners: list[list[float]] = np.column_stack([x, y]).tolist()
    return corners


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = read_bounded(path, limit=MAX_BYTES).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error):
        annotation_error("it is no CSV file", path)

"""CheXmask's tables: lungs and heart of hundreds of thousands of films, as run lengths and as landmarks."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import PurePosixPath

from gazecapture.radiograph.annotations.frame import Frame, imported_map
from gazecapture.radiograph.annotations.run_lengths import mask_of_start_lengths
from gazecapture.radiograph.annotations.source import AnnotationSource, annotation_error, unreadable
from gazecapture.radiograph.film import Film
from keyframes.regions.region_map import Region, RegionMap

__all__ = ["ChexMask"]

MIN_RCA_MEAN = 0.7
"""Below this estimated Dice the authors advise against using a mask."""
MAX_LINE_BYTES = 1 << 22
"""A film's three masks and landmarks have some 30 kB."""
LANDMARKS: Mapping[str, slice] = {
    "Right Lung": slice(0, 44),
    "Left Lung": slice(44, 94),
    "Heart": slice(94, 120),
}
"""Places of each organ's points (HybridGNet: 44, 50 and 26)."""
REGION_OF = {"Right Lung": "right lung", "Left Lung": "left lung", "Heart": "cardiac silhouette"}


class ChexMask:
    """One CSV file; the first column, whatever its name, is the picture's id.

    Only the place of each row is held in memory. ``Height`` and ``Width`` state the frame: tables of the original
    resolution fit, those of the padded 1024 px pictures are refused unless the film is a square.
    """

    def __init__(self, source: AnnotationSource) -> None:
        self._source = source
        self._rows: dict[str, int] = {}
        try:
            with source.path.open("rb") as handle:
                self._header = self._cells(handle.readline(MAX_LINE_BYTES))
                while True:
                    place = handle.tell()
                    line = handle.readline(MAX_LINE_BYTES)
                    if not line:
                        break
                    # The first column is an id or a path; quotes would only be there for a comma in it.
                    self._rows[
                        PurePosixPath(line.split(b",", 1)[0].strip(b'"').decode(errors="replace")).stem
                    ] = place
        except OSError as error:
            raise unreadable(error, source.path) from error
        absent = {"Height", "Width", "Dice RCA (Mean)"} - set(self._header)
        if absent:
            annotation_error(
                f"the table lacks column {', '.join(sorted(absent))}",
                source.path,
                hint="Unpack the .csv.gz of CheXmask's OriginalResolution folder.",
            )

    def __call__(self, film: Film) -> RegionMap | None:
        """See `gazecapture.radiograph.regions.RegionProvider`."""
        place = next((self._rows[name] for name in sorted(film.names) if name in self._rows), None)
        if place is None:
            return None
        with self._source.path.open("rb") as handle:
            handle.seek(place)
            cells = self._cells(handle.readline(MAX_LINE_BYTES))
        if len(cells) != len(self._header):
            annotation_error(f"a row has {len(cells)} cells, expected {len(self._header)}", self._source.path)
        row = dict(zip(self._header, cells, strict=True))
        confidence = self._number(row, "Dice RCA (Mean)")
        if confidence < MIN_RCA_MEAN:
            return None
        width, height = (int(self._number(row, side)) for side in ("Width", "Height"))
        frame = Frame.stated(film, width, height, self._source.path)
        regions = {}
        for organ in LANDMARKS:
            name = self._source.names.get(organ, REGION_OF[organ])
            region = self._region(frame, name, row, organ)
            if region is not None:
                regions[name] = region
        return imported_map(self._source, film, regions, confidence=min(1.0, confidence))

    def _region(self, frame: Frame, name: str, row: Mapping[str, str], organ: str) -> Region | None:
        """Return an organ by its mask, else by its landmarks."""
        runs = row.get(organ, "").strip()
        if runs:
            path = self._source.path
            return frame.mask(
                name, mask_of_start_lengths(runs, width=frame.width, height=frame.height, path=path)
            )
        points = self._landmarks(row.get("Landmarks", ""))
        return frame.polygons(name, [points[LANDMARKS[organ]]]) if points else None

    def _landmarks(self, text: str) -> list[list[float]]:
        """Return all points, (x, y) each, from one flat list."""
        if not text.strip():
            return []
        try:
            flat = [float(value) for value in json.loads(text)]
        except (ValueError, TypeError, RecursionError):
            annotation_error("the landmarks are no list of numbers", self._source.path)
        n_points = max(part.stop for part in LANDMARKS.values())
        if len(flat) != 2 * n_points:
            annotation_error(
                f"there are {len(flat)} landmark coordinates, expected {2 * n_points}", self._source.path
            )
        return [flat[place : place + 2] for place in range(0, len(flat), 2)]

    def _number(self, row: Mapping[str, str], column: str) -> float:
        try:
            value = float(row[column])
        except ValueError:
            value = float("nan")
        if not 0 <= value < 1e9:
            annotation_error(f"column {column!r} holds no number", self._source.path)
        return value

    def _cells(self, line: bytes) -> list[str]:
        """Return the cells of one row."""
        try:
            return next(csv.reader([line.decode("utf-8-sig")]), [])
        except (UnicodeDecodeError, csv.Error):
            annotation_error("a row is damaged", self._source.path)

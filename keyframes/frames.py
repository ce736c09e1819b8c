"""Key frames: what was looked at while each sentence was dictated, and while nothing was said.

Profile ``toolkit``: from the events table. Saccades, blinks and losses carry no weight, and gaze off every image
none either. What is published about GazeX works on raw samples and is another profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from keyframes.clusters import cluster_fixations
from keyframes.heatmap import SIGMA_DEG
from keyframes.looks import MAX_EDGE_TOLERANCE_DEG, Looks, image_sizes, looks_on_images
from keyframes.reading import KEYFRAMES
from keyframes.render import LookMaps, render_keyframe
from keyframes.sentence_time import (
    LEAD_S,
    MIN_SILENT_S,
    Window,
    sentence_weights,
    sentence_windows,
    windows_between,
)
from keyframes.silences import SILENT_PAUSE_S, SILENT_S, by_image, by_pause_or_region, by_time, marks_of
from keyframes.validation import UNVALIDATED_ERROR_DEG

__all__ = [
    "BOX_SHARE",
    "CLUSTER_RADIUS_DEG",
    "LEAD_S",
    "MIN_DWELL_S",
    "MIN_SILENT_S",
    "PARAMETERS",
    "SIGMA_DEG",
    "SILENT_PAUSE_S",
    "SILENT_S",
    "render_keyframe",
    "sentence_weights",
    "toolkit_keyframes",
]

CLUSTER_RADIUS_DEG = 2.0
"""Degrees. The foveas (radius 1 degree) of two fixations nearer than that overlap: they see the same."""
MIN_DWELL_S = 0.3
"""s. Less dwell makes no key frame: fixations on radiographs mostly last 0.2 to 0.35 s, so a passing one is none."""
BOX_SHARE = 0.3
"""Share of the heat map's peak from which on an area is hot: a lone fixation's box reaches 1.55 SD to each side."""

PARAMETERS = (
    "lead_s", "cluster_radius_deg", "min_dwell_s", "sigma_deg", "box_share", "edge_tolerance_deg", "error_deg",
    "silent_s", "silent_pause_s", "min_silent_s",
)  # fmt: skip
"""Of profile ``toolkit``, as arguments and as columns of its table."""

_NUMBERS = pa.list_(pa.float64())
_TABLE = pa.schema(
    [
        *KEYFRAMES,
        pa.field("fixation_dwell_s", _NUMBERS, nullable=False),
        pa.field("shown_rects", pa.list_(_NUMBERS), nullable=False),
        pa.field("boxes", pa.list_(_NUMBERS), nullable=False),
        pa.field("finding_ids", pa.list_(pa.string()), nullable=False),
        pa.field("discarded_share", pa.float64(), nullable=True),
        *(pa.field(name, pa.float64(), nullable=False) for name in PARAMETERS),
    ]
)
"""`KEYFRAMES` and what `toolkit_keyframes` says beyond it."""


def toolkit_keyframes(
    events: pa.Table,
    sentences: pa.Table,
    gaze: pa.Table,
    display: pa.Table,
    images: pa.Table,
    *,
    event_regions: pa.Table | None = None,
    findings: pa.Table | None = None,
    lead_s: float = LEAD_S,
    cluster_radius_deg: float = CLUSTER_RADIUS_DEG,
    min_dwell_s: float = MIN_DWELL_S,
    sigma_deg: float = SIGMA_DEG,
    box_share: float = BOX_SHARE,
    edge_tolerance_deg: float | None = None,
    error_deg: float = UNVALIDATED_ERROR_DEG,
    silent_s: float = SILENT_S,
    silent_pause_s: float = SILENT_PAUSE_S,
    min_silent_s: float = MIN_SILENT_S,
    looks: Looks | None = None,
) -> pa.Table:
    """Return table ``keyframes`` of one reading, ``order`` from 0, profile ``toolkit``.

    For each sentence (its time as in `sentence_weights`) and image: a ``cluster`` for each cluster of fixations of
    at least ``min_dwell_s`` where there is more than one, all of them in order of their first look; then a
    ``holistic`` for each image looked at, in order of first look. A sentence with less than ``min_dwell_s`` on every
    image keeps one holistic row of status ``no_gaze``.

    Gaze in no sentence becomes ``silent`` rows, cut where the image or the region (of ``event_regions``) changes and
    at pauses of ``silent_pause_s``; where there are no regions, after ``silent_s``. A reading without sentences is
    all silent: cut where the image changes and where ``findings`` were marked (column ``t_ns``; a row has the finding
    that was marked at its end), or, without marks, after ``silent_s``.

    ``box`` is the connected hot area with the most dwell in the map of Gaussians (SD ``sigma_deg``, weighted by
    dwell, each within what was shown at its time); hot is at least ``box_share`` of the peak. ``centroid`` is the
    dwell-weighted mean of the fixations in the box. Fixations on no image do not count, those beyond its edge as in
    `keyframes.looks.looks_on_images`, with ``error_deg`` (of the tracker) and ``edge_tolerance_deg``; a caller who has
    what that gives for the same input may give it as ``looks``.

    Columns beyond the schema: ``boxes`` of all hot areas, most dwell first; ``fixation_dwell_s`` (within the key
    frame, times the weight at an edge) and ``shown_rects``, both beside ``fixation_indexes``; ``finding_ids``;
    ``discarded_share``: 0 to 1, of the fixation time in the sentence's or silence's window, what did not count (null:
    there was none); and every one of `PARAMETERS`, as used. The same input gives the same table.
    """
    sizes = image_sizes(images)
    used = {
        "lead_s": lead_s,
        "cluster_radius_deg": cluster_radius_deg,
        "min_dwell_s": min_dwell_s,
        "sigma_deg": sigma_deg,
        "box_share": box_share,
        "edge_tolerance_deg": min(error_deg, MAX_EDGE_TOLERANCE_DEG)
        if edge_tolerance_deg is None
        else edge_tolerance_deg,
        "error_deg": error_deg,
        "silent_s": silent_s,
        "silent_pause_s": silent_pause_s,
        "min_silent_s": min_silent_s,
    }
    if looks is None:
        looks = looks_on_images(
            events, gaze, display, sizes, error_deg=error_deg, edge_tolerance_deg=used["edge_tolerance_deg"]
        )
    makes = _Maker(
        sizes=sizes,
        maps=LookMaps(looks, sizes, sigma_deg),
        region_of=_primary_regions(event_regions),
        used=used,
    )
    marks = marks_of(findings)
    rows: list[dict[str, Any]] = []
    if sentences.num_rows:
        windows = sentence_windows(sentences, lead_s=lead_s, min_silent_s=min_silent_s)
        ids = sentences.column("sentence_id").to_pylist()
        linked = dict(zip(ids, sentences.column("finding_ids").to_pylist(), strict=True))
    else:
        windows, linked = windows_between([t_ns for t_ns, _ in marks]), {}
    start, end = _fixation_times(events)
    for place, window in enumerate(windows):
        inside = looks.within(window.t_start_ns, window.t_end_ns)
        finding_ids: list[str] = []
        if window.sentence_id is not None:
            made = makes.spoken(inside, window)
            finding_ids = linked[window.sentence_id]
        elif sentences.num_rows:
            made = makes.silent(inside, makes.cut_silence(inside))
        elif marks:
            made = makes.silent(inside, by_image(inside))
            finding_ids = marks[place][1] if place < len(marks) else []
        else:
            made = makes.silent(inside, by_time(inside, silent_s=silent_s))
        passed = np.minimum(end, window.t_end_ns) - np.maximum(start, window.t_start_ns)
        discarded = _share_without(float(inside.dwell_s.sum()), float(passed[passed > 0].sum()) / 1e9)
        rows += [{**row, "finding_ids": finding_ids, "discarded_share": discarded} for row in made]
    for order, row in enumerate(rows):
        row |= {"keyframe_index": order, "order": order, "profile": "toolkit", **used}
    return pa.Table.from_pylist(rows, schema=_TABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Makes the rows of one window from its fixations."""

    sizes: Mapping[int, tuple[int, int]]
    maps: LookMaps
    region_of: Mapping[int, str]
    used: Mapping[str, float]
    """Values of `PARAMETERS`."""

    def spoken(self, looks: Looks, window: Window) -> list[dict[str, Any]]:
        """Return the key frames of one sentence."""
        clusters: list[dict[str, Any]] = []
        holistic: list[dict[str, Any]] = []
        for image in dict.fromkeys(looks.image_index.tolist()):
            on_image = looks.part(looks.image_index == image)
            if on_image.dwell_s.sum() < self.used["min_dwell_s"]:
                continue
            parts = self._clusters(on_image)
            if len(parts) > 1:
                clusters += [self._row("cluster", part, window.sentence_id) for part in parts]
            holistic.append(self._row("holistic", on_image, window.sentence_id))
        clusters.sort(key=lambda row: (row["t_start_ns"], row["fixation_indexes"]))
        return [*clusters, *holistic] or [_without_gaze(window)]

    def cut_silence(self, looks: Looks) -> list[NDArray[np.int64]]:
        """Return the places of each key frame of a silence between sentences."""
        names = ("silent_s", "silent_pause_s", "min_dwell_s")
        return by_pause_or_region(looks, self.region_of, **{name: self.used[name] for name in names})

    def silent(self, looks: Looks, parts: Sequence[NDArray[np.int64]]) -> list[dict[str, Any]]:
        """Return the key frames of gaze in no sentence, one for each part of enough dwell."""
        chosen = (looks.part(part) for part in parts)
        return [
            self._row("silent", part, None)
            for part in chosen
            if part.dwell_s.sum() >= self.used["min_dwell_s"]
        ]

    def _clusters(self, looks: Looks) -> list[Looks]:
        """Return the clusters of enough dwell."""
        labels = cluster_fixations(
            looks.x_image_px,
            looks.y_image_px,
            looks.dwell_s,
            looks.px_per_deg_x,
            looks.px_per_deg_y,
            radius_deg=self.used["cluster_radius_deg"],
            min_dwell_s=self.used["min_dwell_s"],
        )
        parts = (looks.part(labels == k) for k in range(int(labels.max()) + 1))
        # A core may owe its dwell to a neighbour that another cluster got.
        return [part for part in parts if part.dwell_s.sum() >= self.used["min_dwell_s"]]

    def _row(self, kind: str, looks: Looks, sentence_id: str | None) -> dict[str, Any]:
        image, indexes, dwell_s = (
            int(looks.image_index[0]),
            looks.event_index.tolist(),
            looks.dwell_s.tolist(),
        )
        width_px, height_px = self.sizes[image]
        drawn = self.maps.map(image, indexes, dwell_s)
        boxes = drawn.hot_boxes(self.used["box_share"], width_px=width_px, height_px=height_px)
        return {
            "sentence_id": sentence_id,
            "kind": kind,
            "status": "ok",
            "image_index": image,
            "t_start_ns": int(looks.t_start_ns.min()),
            "t_end_ns": int(looks.t_end_ns.max()),
            "dwell_s": float(looks.dwell_s.sum()),
            "box": boxes[0],
            "boxes": boxes,
            "centroid": _centroid(looks, boxes[0]),
            "fixation_indexes": indexes,
            "fixation_dwell_s": dwell_s,
            "shown_rects": looks.shown_rects.tolist(),
        }


def _without_gaze(window: Window) -> dict[str, Any]:
    return {
        "sentence_id": window.sentence_id,
        "kind": "holistic",
        "status": "no_gaze",
        "t_start_ns": window.t_start_ns,
        "t_end_ns": window.t_end_ns,
        "dwell_s": 0.0,
        "boxes": [],
        "fixation_indexes": [],
        "fixation_dwell_s": [],
        "shown_rects": [],
    }


def _centroid(looks: Looks, box: Sequence[float]) -> list[float]:
    """Return the dwell-weighted mean of the fixations in the box; of none, the box's middle."""
    x0, y0, x1, y1 = box
    x, y = looks.x_image_px, looks.y_image_px
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    if not inside.any():
        return [(x0 + x1) / 2, (y0 + y1) / 2]
    weight = looks.dwell_s[inside]
    return [float(np.average(x[inside], weights=weight)), float(np.average(y[inside], weights=weight))]


def _primary_regions(event_regions: pa.Table | None) -> dict[int, str]:
    if event_regions is None:
        return {}
    primary = event_regions.filter(event_regions.column("is_primary"))
    index, region = (primary.column(name).to_pylist() for name in ("event_index", "region"))
    return dict(zip(index, region, strict=True))


def _fixation_times(events: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    fixations = events.filter(pc.equal(events.column("kind"), "fixation"))
    return fixations.column("t_start_ns").to_numpy(), fixations.column("t_end_ns").to_numpy()


def _share_without(counted_s: float, total_s: float) -> float | None:
    return max(0.0, 1.0 - counted_s / total_s) if total_s > 0 else None

"""Key frames: what was looked at while each sentence was dictated, and while nothing was said.

Profile ``toolkit``: from the events table. Saccades, blinks and losses carry no weight, and gaze off every image
none either. What is published about GazeX works on raw samples and is another profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from keyframes.clusters import cluster_fixations
from keyframes.heatmap import DwellMap, dwell_map, log_normalised
from keyframes.looks import Looks, looks_on_images
from keyframes.reading import KEYFRAMES
from keyframes.sentence_time import LEAD_S, MIN_SILENT_S, Window, sentence_weights, sentence_windows

__all__ = [
    "BOX_SHARE",
    "CLUSTER_RADIUS_DEG",
    "LEAD_S",
    "MIN_DWELL_S",
    "MIN_SILENT_S",
    "SIGMA_DEG",
    "SILENT_S",
    "render_keyframe",
    "sentence_weights",
    "toolkit_keyframes",
]

CLUSTER_RADIUS_DEG = 2.0
"""Degrees. The foveas (radius 1 degree) of two fixations nearer than that overlap: they see the same."""
MIN_DWELL_S = 0.3
"""s. Less dwell makes no key frame: fixations on radiographs mostly last 0.2 to 0.35 s, so a passing one is none."""
SIGMA_DEG = 1.0
"""Degrees. SD of the Gaussian of a fixation: the fovea's radius, and the usual bound of a tracker's error."""
BOX_SHARE = 0.3
"""Share of the heat map's peak from which on an area is hot: a lone fixation's box reaches 1.55 SD to each side."""
SILENT_S = 5.0
"""s. Gaze in no sentence is cut into key frames of about this length, one sentence's usual time."""
DARK = 0.15
"""Share of the picture's brightness where nobody looked, as in the published frames."""
KEYFRAME_PX = 768


_TABLE = pa.schema(
    [
        *KEYFRAMES,
        pa.field("fixation_dwell_s", pa.list_(pa.float64()), nullable=False),
        pa.field("shown_rects", pa.list_(pa.list_(pa.float64())), nullable=False),
    ]
)
"""`KEYFRAMES` and, beside ``fixation_indexes``, each fixation's dwell within the key frame and what was shown then."""


def toolkit_keyframes(
    events: pa.Table,
    sentences: pa.Table,
    gaze: pa.Table,
    display: pa.Table,
    images: pa.Table,
    *,
    lead_s: float = LEAD_S,
    cluster_radius_deg: float = CLUSTER_RADIUS_DEG,
    min_dwell_s: float = MIN_DWELL_S,
    sigma_deg: float = SIGMA_DEG,
    box_share: float = BOX_SHARE,
    silent_s: float = SILENT_S,
    min_silent_s: float = MIN_SILENT_S,
) -> pa.Table:
    """Return table ``keyframes`` of one reading, ``order`` from 0, profile ``toolkit``.

    For each sentence (its time as in `sentence_weights`) and image: a ``cluster`` for each cluster of fixations
    where there is more than one, all of them in order of their first look; then a ``holistic`` for each image looked
    at, in order of first look. A sentence with less than ``min_dwell_s`` on every image keeps one holistic row of
    status ``no_gaze``. Gaze in no sentence becomes ``silent`` rows, cut where the image changes and after
    ``silent_s``; so does the whole of a reading without words.

    ``box`` is the hot area of the dwell-weighted map of Gaussians (SD ``sigma_deg``, each within what was shown at
    its time), hot being at least ``box_share`` of the peak: for a cluster the connected area around the peak, else
    the bounding box of all. ``centroid`` is the dwell-weighted mean of the fixations in the box. Fixations off every
    image or beyond its edge do not count. Two columns beyond the schema go with ``fixation_indexes``:
    ``fixation_dwell_s`` (within the key frame; a fixation across a bound is shared) and ``shown_rects``.
    """
    sizes = {
        row["image_index"]: (row["width_px"], row["height_px"])
        for row in images.select(["image_index", "width_px", "height_px"]).to_pylist()
    }
    looks = looks_on_images(events, gaze, display, sizes)
    rules = _Rules(
        sizes=sizes,
        cluster_radius_deg=cluster_radius_deg,
        min_dwell_s=min_dwell_s,
        sigma_deg=sigma_deg,
        box_share=box_share,
        silent_s=silent_s,
    )
    rows: list[dict[str, Any]] = []
    for window in sentence_windows(sentences, lead_s=lead_s, min_silent_s=min_silent_s):
        inside = looks.within(window.t_start_ns, window.t_end_ns)
        rows += rules.silent(inside) if window.sentence_id is None else rules.spoken(inside, window)
    for order, row in enumerate(rows):
        row |= {"keyframe_index": order, "order": order, "profile": "toolkit"}
    return pa.Table.from_pylist(rows, schema=_TABLE)


def render_keyframe(
    grey8: NDArray[np.uint8],
    keyframe_row: Mapping[str, Any],
    events: pa.Table,
    gaze: pa.Table,
    *,
    longest_px: int = KEYFRAME_PX,
    image_size_px: tuple[int, int] | None = None,
    sigma_deg: float = SIGMA_DEG,
) -> NDArray[np.uint8]:
    """Return the radiograph as lit by the key frame's gaze: grey * (0.15 + 0.85 * heat), heat log-normalised.

    grey8         : (h, w), the picture; of the stored matrix unless ``image_size_px`` says otherwise.
    keyframe_row  : a row of table ``keyframes``; without the columns beyond the schema, dwell is each fixation's
                    time within the row's and everything counts as shown.
    image_size_px : width and height of the stored matrix, where ``grey8`` is smaller than it.

    The longer side of the result is at most ``longest_px``. A row without gaze gives the picture dark.
    """
    height, width = grey8.shape
    factor = min(1.0, longest_px / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = (
        Image.fromarray(grey8) if factor == 1.0 else Image.fromarray(grey8).resize(size, Image.Resampling.BOX)
    )
    width_px, height_px = image_size_px or (width, height)
    chosen = _looks_of_row(keyframe_row, events, gaze, (width_px, height_px))
    drawn = _heat(chosen, (width_px, height_px), sigma_deg)
    heat = Image.fromarray(log_normalised(drawn.heat))
    covered = (0.0, 0.0, width_px / drawn.cell_px, height_px / drawn.cell_px)
    light = np.asarray(heat.resize(size, Image.Resampling.BILINEAR, box=covered))
    lit = np.asarray(picture, np.float32) * (DARK + (1.0 - DARK) * np.clip(light, 0.0, 1.0))
    return np.asarray(lit, np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """The parameters of profile ``toolkit`` and what they make of the fixations of one window."""

    sizes: Mapping[int, tuple[int, int]]
    cluster_radius_deg: float
    min_dwell_s: float
    sigma_deg: float
    box_share: float
    silent_s: float

    def spoken(self, looks: Looks, window: Window) -> list[dict[str, Any]]:
        """Return the key frames of one sentence."""
        clusters: list[dict[str, Any]] = []
        holistic: list[dict[str, Any]] = []
        for image in dict.fromkeys(looks.image_index.tolist()):
            on_image = looks.part(looks.image_index == image)
            if on_image.dwell_s.sum() < self.min_dwell_s:
                continue
            labels = cluster_fixations(
                on_image.x_image_px,
                on_image.y_image_px,
                on_image.dwell_s,
                on_image.px_per_deg_x,
                on_image.px_per_deg_y,
                radius_deg=self.cluster_radius_deg,
                min_dwell_s=self.min_dwell_s,
            )
            n_clusters = int(labels.max()) + 1
            if n_clusters > 1:
                clusters += [
                    self._row("cluster", on_image.part(labels == k), window.sentence_id)
                    for k in range(n_clusters)
                ]
            holistic.append(self._row("holistic", on_image, window.sentence_id))
        clusters.sort(key=lambda row: (row["t_start_ns"], row["fixation_indexes"]))
        return [*clusters, *holistic] or [_without_gaze(window)]

    def silent(self, looks: Looks) -> list[dict[str, Any]]:
        """Return the key frames of gaze in no sentence."""
        parts: list[list[int]] = []
        limit_ns = round(self.silent_s * 1e9)
        for i, (image, start) in enumerate(zip(looks.image_index, looks.t_start_ns, strict=True)):
            goes_on = parts and looks.image_index[parts[-1][0]] == image
            if goes_on and start - looks.t_start_ns[parts[-1][0]] < limit_ns:
                parts[-1].append(i)
            else:
                parts.append([i])
        chosen = [looks.part(np.array(part, np.int64)) for part in parts]
        return [self._row("silent", part, None) for part in chosen if part.dwell_s.sum() >= self.min_dwell_s]

    def _row(self, kind: str, looks: Looks, sentence_id: str | None) -> dict[str, Any]:
        size = self.sizes[int(looks.image_index[0])]
        drawn = _heat(looks, size, self.sigma_deg)
        hot = drawn.heat >= self.box_share * drawn.heat.max()
        if kind == "cluster":
            hot = _area_of_peak(hot, int(np.argmax(drawn.heat)))
        box = drawn.box_of(hot, *size)
        return {
            "sentence_id": sentence_id,
            "kind": kind,
            "status": "ok",
            "image_index": int(looks.image_index[0]),
            "t_start_ns": int(looks.t_start_ns.min()),
            "t_end_ns": int(looks.t_end_ns.max()),
            "dwell_s": float(looks.dwell_s.sum()),
            "box": box,
            "centroid": _centroid(looks, box),
            "fixation_indexes": looks.event_index.tolist(),
            "fixation_dwell_s": looks.dwell_s.tolist(),
            "shown_rects": looks.shown_rects.tolist(),
        }


def _area_of_peak(hot: NDArray[np.bool_], peak: int) -> NDArray[np.bool_]:
    """Return the connected area of hot cells (corners connect) that holds the peak, a place in the flat map."""
    rows, columns = np.flatnonzero(hot.any(axis=1)), np.flatnonzero(hot.any(axis=0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    areas = np.zeros(hot.shape, np.int32)
    areas[part] = ndimage.label(hot[part], structure=np.ones((3, 3)))[0]
    return np.asarray(areas == areas.flat[peak])


def _without_gaze(window: Window) -> dict[str, Any]:
    return {
        "sentence_id": window.sentence_id,
        "kind": "holistic",
        "status": "no_gaze",
        "t_start_ns": window.t_start_ns,
        "t_end_ns": window.t_end_ns,
        "dwell_s": 0.0,
        "fixation_indexes": [],
        "fixation_dwell_s": [],
        "shown_rects": [],
    }


def _looks_of_row(row: Mapping[str, Any], events: pa.Table, gaze: pa.Table, size: tuple[int, int]) -> Looks:
    """Return the fixations that a key frame names, with their dwell in it."""
    sizes = {} if row["image_index"] is None else {int(row["image_index"]): size}
    named = {int(index): place for place, index in enumerate(row["fixation_indexes"])}
    looks = looks_on_images(
        events.filter(pc.is_in(events.column("event_index"), _int32(named))), gaze, None, sizes
    )
    if row.get("fixation_dwell_s") is None or row.get("shown_rects") is None:
        return looks.within(row["t_start_ns"], row["t_end_ns"])
    places = [named[index] for index in looks.event_index.tolist()]
    return replace(
        looks,
        dwell_s=np.array(row["fixation_dwell_s"], np.float64)[places],
        shown_rects=np.array(row["shown_rects"], np.float64).reshape(-1, 4)[places],
    )


def _int32(values: Iterable[int]) -> pa.Array:
    return pa.array(list(values), pa.int32())


def _heat(looks: Looks, size: tuple[int, int], sigma_deg: float) -> DwellMap:
    return dwell_map(
        looks.x_image_px,
        looks.y_image_px,
        looks.dwell_s,
        sigma_deg * looks.px_per_deg_x,
        sigma_deg * looks.px_per_deg_y,
        width_px=size[0],
        height_px=size[1],
        shown_rects=looks.shown_rects,
    )


def _centroid(looks: Looks, box: Sequence[float]) -> list[float]:
    """Return the dwell-weighted mean of the fixations in the box; of none, the box's middle."""
    x0, y0, x1, y1 = box
    x, y = looks.x_image_px, looks.y_image_px
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    if not inside.any():
        return [(x0 + x1) / 2, (y0 + y1) / 2]
    weight = looks.dwell_s[inside]
    return [float(np.average(x[inside], weights=weight)), float(np.average(y[inside], weights=weight))]

"""Key frames as pictures: the radiograph, lit where the gaze was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from keyframes.heatmap import SIGMA_DEG, DwellMap, Glow, log_normalised
from keyframes.looks import Looks, looks_on_images

__all__ = ["FramePainter", "LookMaps", "render_keyframe"]

DARK = 0.15
"""Share of the picture's brightness where nobody looked, as in the published frames."""
KEYFRAME_PX = 768
FAINT = 0.9e-3
"""Of the greatest logarithm: from 1.15e-3 on a cell is a grey level brighter."""


class LookMaps:
    """Maps of parts of some looks, each part on one image; a look's Gaussian is computed once.

    sizes : width and height by image index, px. Looks at other images have no map.
    """

    def __init__(self, looks: Looks, sizes: Mapping[int, tuple[int, int]], sigma_deg: float) -> None:
        self._glows: dict[int, Glow] = {}
        self._places: dict[int, int] = {}
        for image in np.unique(looks.image_index).tolist():
            if image not in sizes:
                continue
            own = looks.part(looks.image_index == image)
            self._places |= {index: place for place, index in enumerate(own.event_index.tolist())}
            self._glows[image] = Glow.of(
                own.x_image_px,
                own.y_image_px,
                sigma_deg * own.px_per_deg_x,
                sigma_deg * own.px_per_deg_y,
                width_px=sizes[image][0],
                height_px=sizes[image][1],
                shown_rects=own.shown_rects,
            )

    def map(self, image_index: int, event_indexes: Sequence[int], dwell_s: Sequence[float]) -> DwellMap:
        """Return the map of these looks at one image. Raises KeyError for a look or an image that is not here."""
        places = np.array([self._places[index] for index in event_indexes], np.int64)
        return self._glows[image_index].map(dwell_s, places)


class FramePainter:
    """Paints key frames of one reading; what several of them need is made once.

    pictures : (h, w) 8-bit grey by image index; of the stored matrix unless ``sizes_px`` says otherwise.
    rows     : of table ``keyframes``, those that are to be painted; without the columns beyond the schema, dwell is
               each fixation's time within the row's, everything counts as shown and the Gaussians have their usual
               width.
    sizes_px : width and height of the stored matrix by image index, where a picture is smaller than it.

    The longer side of a frame is at most ``longest_px``.
    """

    def __init__(
        self,
        pictures: Mapping[int, NDArray[np.uint8]],
        rows: Sequence[Mapping[str, Any]],
        events: pa.Table,
        gaze: pa.Table,
        *,
        longest_px: int = KEYFRAME_PX,
        sizes_px: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        self._pictures, self._longest_px = pictures, longest_px
        self._sizes = {
            index: (sizes_px or {}).get(index) or (picture.shape[1], picture.shape[0])
            for index, picture in pictures.items()
        }
        own = [row for row in rows if row["image_index"] in pictures and not _is_published(row)]
        looks = _looks_of(own, events, gaze, self._sizes)
        sigma_deg = next((row["sigma_deg"] for row in own if row.get("sigma_deg")), SIGMA_DEG)
        self._maps = LookMaps(looks, self._sizes, sigma_deg)
        self._looks = {index: place for place, index in enumerate(looks.event_index.tolist())}
        self._spans = np.stack([looks.t_start_ns, looks.t_end_ns], axis=1)
        self._small: dict[int, NDArray[np.uint8]] = {}

    def paint(self, row: Mapping[str, Any]) -> NDArray[np.uint8] | None:
        """Return one frame: grey * (0.15 + 0.85 * heat), heat log-normalised; None where there is no picture for it.

        A row of profile published with all its columns gives the published frame, a quarter of the matrix in size.
        """
        image = row["image_index"]
        if image not in self._pictures:
            return None
        if _is_published(row):
            return self._published(image, row)
        indexes = [index for index in row["fixation_indexes"] if index in self._looks]
        drawn = self._maps.map(image, indexes, self._dwell_s(row, indexes)) if indexes else None
        return self._lit(image, drawn)

    def _lit(self, image: int, drawn: DwellMap | None) -> NDArray[np.uint8]:
        from keyframes.lighting import lit_by  # only here: every command would wait for it

        if image not in self._small:
            self._small[image] = _shrunk(self._pictures[image], self._longest_px)
        picture = self._small[image]
        if drawn is None:
            return np.array([round(DARK * grey) for grey in range(256)], np.uint8)[picture]
        width_px, height_px = self._sizes[image]
        return lit_by(
            picture, _light8(drawn.heat), covered_cells=(width_px / drawn.cell_px, height_px / drawn.cell_px)
        )

    def _dwell_s(self, row: Mapping[str, Any], indexes: Sequence[int]) -> Sequence[float]:
        told = row.get("fixation_dwell_s")
        if told is not None:
            by_index = dict(zip(row["fixation_indexes"], told, strict=True))
            return [by_index[index] for index in indexes]
        spans = self._spans[[self._looks[index] for index in indexes]]
        within = np.minimum(spans[:, 1], row["t_end_ns"]) - np.maximum(spans[:, 0], row["t_start_ns"])
        return [max(0.0, ns / 1e9) for ns in within.tolist()]

    def _published(self, image: int, row: Mapping[str, Any]) -> NDArray[np.uint8]:
        from keyframes.published import render_published  # only here: every command would wait for it
        from keyframes.spots import SCALE

        picture, (width_px, height_px) = self._pictures[image], self._sizes[image]
        if picture.shape == (height_px, width_px):
            return _shrunk(render_published(picture, row), self._longest_px)
        size = (max(1, width_px // SCALE), max(1, height_px // SCALE))
        quarter = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
        return _shrunk(render_published(quarter, row, is_quarter=True), self._longest_px)


def render_keyframe(
    grey8: NDArray[np.uint8],
    keyframe_row: Mapping[str, Any],
    events: pa.Table,
    gaze: pa.Table,
    *,
    longest_px: int = KEYFRAME_PX,
    image_size_px: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Return one key frame as `FramePainter` paints it; of a reading's frames together it does so faster.

    grey8         : (h, w), the picture; of the stored matrix unless ``image_size_px`` (width, height) says otherwise.
    keyframe_row  : a row of table ``keyframes``; one without gaze gives the picture dark.
    """
    row = keyframe_row if keyframe_row["image_index"] is not None else {**keyframe_row, "image_index": 0}
    image = int(row["image_index"])
    sizes_px = None if image_size_px is None else {image: image_size_px}
    painter = FramePainter({image: grey8}, [row], events, gaze, longest_px=longest_px, sizes_px=sizes_px)
    lit = painter.paint(row)
    assert lit is not None  # noqa: S101 - the picture is there
    return lit


def _light8(heat_s: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return how bright each cell is, 255 being full light.

    In 8 bit: multiplying is a third of the time, and no more than one grey level away. Cells whose logarithm is below a
    thousandth of the greatest, most of them, are as dark as those with none, so that theirs is not taken.
    """
    flat = heat_s.ravel()
    faint_s = FAINT / 1000.0 * math.log1p(1000.0 * float(flat.max(initial=0.0)))
    seen = np.flatnonzero(flat > faint_s)
    light8 = np.full(heat_s.shape, int(255.0 * DARK + 0.5), np.uint8)
    light = 255.0 * (DARK + (1.0 - DARK) * log_normalised(flat[seen]))
    light8.ravel()[seen] = (light + 0.5).astype(np.uint8)
    return light8


def _is_published(row: Mapping[str, Any]) -> bool:
    return row["profile"] == "published" and row.get("spot_x_q") is not None


def _looks_of(
    rows: Sequence[Mapping[str, Any]],
    events: pa.Table,
    gaze: pa.Table,
    sizes: Mapping[int, tuple[int, int]],
) -> Looks:
    """Return the fixations that key frames name, each with what was shown at its time where the rows tell."""
    rects = {
        index: rect
        for row in rows
        for index, rect in zip(row["fixation_indexes"], row.get("shown_rects") or (), strict=False)
    }
    named = sorted({index for row in rows for index in row["fixation_indexes"]})
    own = events.filter(pc.is_in(events.column("event_index"), pa.array(named, pa.int32())))
    # Whether a fixation counts was judged when the row was made.
    looks = looks_on_images(own, gaze, None, sizes, error_deg=np.inf, edge_tolerance_deg=np.inf)
    shown = [
        rects.get(index, whole)
        for index, whole in zip(looks.event_index.tolist(), looks.shown_rects.tolist(), strict=True)
    ]
    return replace(looks, shown_rects=np.array(shown, np.float64).reshape(-1, 4)).on_the_edge()


def _shrunk(grey8: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    height, width = grey8.shape
    factor = longest_px / max(height, width)
    if factor >= 1.0:
        return grey8
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(grey8).resize(size, Image.Resampling.BOX), np.uint8)

"""A key frame as a picture: the radiograph, lit where the gaze was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from keyframes.heatmap import SIGMA_DEG, DwellMap, dwell_map, log_normalised
from keyframes.looks import Looks, looks_on_images
from keyframes.published import render_published
from keyframes.spots import SCALE

__all__ = ["heat_of", "render_keyframe"]

DARK = 0.15
"""Share of the picture's brightness where nobody looked, as in the published frames."""
KEYFRAME_PX = 768


def render_keyframe(
    grey8: NDArray[np.uint8],
    keyframe_row: Mapping[str, Any],
    events: pa.Table,
    gaze: pa.Table,
    *,
    longest_px: int = KEYFRAME_PX,
    image_size_px: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Return the radiograph as lit by the key frame's gaze: grey * (0.15 + 0.85 * heat), heat log-normalised.

    A row of profile published with all its columns gives the published frame, a quarter of the matrix in size.

    grey8         : (h, w), the picture; of the stored matrix unless ``image_size_px`` says otherwise.
    keyframe_row  : a row of table ``keyframes``; without the columns beyond the schema, dwell is each fixation's
                    time within the row's, everything counts as shown and the Gaussians have their usual width.
    image_size_px : width and height of the stored matrix, where ``grey8`` is smaller than it.

    The longer side of the result is at most ``longest_px``. A row without gaze gives the picture dark.
    """
    height, width = grey8.shape
    width_px, height_px = image_size_px or (width, height)
    if keyframe_row["profile"] == "published" and keyframe_row.get("spot_x_q") is not None:
        if (width_px, height_px) == (width, height):
            return _shrunk(render_published(grey8, keyframe_row), longest_px)
        quarter = Image.fromarray(grey8).resize((width_px // SCALE, height_px // SCALE), Image.Resampling.BOX)
        return _shrunk(render_published(np.asarray(quarter), keyframe_row, is_quarter=True), longest_px)
    picture = _shrunk(grey8, longest_px)
    size = picture.shape[::-1]
    chosen = _looks_of_row(keyframe_row, events, gaze, (width_px, height_px))
    drawn = heat_of(chosen, (width_px, height_px), keyframe_row.get("sigma_deg") or SIGMA_DEG)
    heat = Image.fromarray(log_normalised(drawn.heat))
    covered = (0.0, 0.0, width_px / drawn.cell_px, height_px / drawn.cell_px)
    light = np.asarray(heat.resize(size, Image.Resampling.BILINEAR, box=covered))
    lit = picture.astype(np.float32) * (DARK + (1.0 - DARK) * np.clip(light, 0.0, 1.0))
    return np.asarray(lit, np.uint8)


def _shrunk(grey8: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    height, width = grey8.shape
    factor = longest_px / max(height, width)
    if factor >= 1.0:
        return grey8
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(grey8).resize(size, Image.Resampling.BOX), np.uint8)


def heat_of(looks: Looks, size: tuple[int, int], sigma_deg: float) -> DwellMap:
    """Return the dwell map of looks at one image of ``size``, each Gaussian within what was shown at its time."""
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


def _looks_of_row(row: Mapping[str, Any], events: pa.Table, gaze: pa.Table, size: tuple[int, int]) -> Looks:
    """Return the fixations that a key frame names, with their dwell in it."""
    sizes = {} if row["image_index"] is None else {int(row["image_index"]): size}
    named = {int(index): place for place, index in enumerate(row["fixation_indexes"])}
    own = events.filter(pc.is_in(events.column("event_index"), pa.array(list(named), pa.int32())))
    # Whether a fixation counts was judged when the row was made.
    looks = looks_on_images(own, gaze, None, sizes, error_deg=np.inf, edge_tolerance_deg=np.inf)
    if row.get("fixation_dwell_s") is None or row.get("shown_rects") is None:
        return looks.within(row["t_start_ns"], row["t_end_ns"])
    places = [named[index] for index in looks.event_index.tolist()]
    return replace(
        looks,
        dwell_s=np.array(row["fixation_dwell_s"], np.float64)[places],
        shown_rects=np.array(row["shown_rects"], np.float64).reshape(-1, 4)[places],
    ).on_the_edge()

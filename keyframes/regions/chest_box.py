"""The 36 locations of a chest of which a person gave the bounding box: the atlas's template laid into it."""

from __future__ import annotations

from dataclasses import replace

from keyframes.regions.locations import regions_of
from keyframes.regions.region_map import Region
from keyframes.regions.thorax import plain_thorax

__all__ = ["CHEST_BOX_CONFIDENCE", "regions_in_chest_box"]

CHEST_BOX_CONFIDENCE = 0.6
"""A person set the box, the template filled it: surer than the atlas where it is unsure, never where it is sure."""


def regions_in_chest_box(
    box: tuple[float, float, float, float], *, width_px: int, height_px: int
) -> dict[str, Region]:
    """Return the template's regions in a box around both lungs.

    box : (x0, y0, x1, y1) in image px, apices to costophrenic angles, wall to wall, of a frontal view.
    """
    x0, y0, x1, y1 = box
    thorax = plain_thorax(width_px, height_px)
    half_width = (x1 - x0) / 2
    frame = replace(
        thorax.frame,
        midline_x_px=x0 + half_width,
        apex_y_px=y0,
        base_right_y_px=y1,
        base_left_y_px=y1,
        half_width_right_px=half_width,
        half_width_left_px=half_width,
    )
    return regions_of(replace(thorax, frame=frame), width_px, height_px)

"""Finding the thorax in a frontal radiograph: the picture made ready, the search, the outlines, the frame they span.

What lies where inside the thorax is in `keyframes.regions.anatomy`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keyframes.regions.anatomy import LUNG_OUTLINE, Outline
from keyframes.regions.thorax_frame import ThoraxFrame
from keyframes.regions.thorax_outline import heart_width, lung_outline
from keyframes.regions.thorax_search import search

__all__ = ["Thorax", "find_thorax", "plain_thorax"]

FloatArray = NDArray[np.float64]

WORK_SIDE_PX = 128
"""Longer side of the picture searched: the lungs' borders are 2 px sharp there, and the search takes 50 ms."""
SMOOTH_PX = 1.2
"""Gaussian blur of the work picture: takes ribs' edges and noise, leaves the lungs'."""
MIN_SIDE_PX = 12
"""A picture smaller than this holds no thorax that could be told from noise."""
MIN_GREY_SPREAD = 3.0
"""Grey levels between the 2nd and 98th percentile of the middle; less is a blank picture."""
MIDDLE_X, MIDDLE_Y = (0.15, 0.85), (0.2, 0.8)
"""Shares of the picture whose brightness sets the scale: black air and collimated edges lie farther out."""
CLIP = (-0.15, 1.05)
"""Brightness beyond the middle's 2nd and 98th percentile, as share of their distance, is cut off there."""
HIGHER_BASE = (0.07, 0.05)
"""Share of the thorax's height by which the right and the left base may stand above the other: 1.5 cm, as domes do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thorax:
    """A thorax on a picture: its frame in px of the picture and both lungs' outlines in the frame."""

    frame: ThoraxFrame
    right_lung: Outline
    left_lung: Outline
    heart_right: float
    heart_left: float
    """How much wider than usual the heart reaches to either side."""
    score: float
    """Correlation of the picture with the template, -1 to 1: the least of the whole and of either half, since half a
    chest or a lying one may fit on one side. 0 for a plain one."""


def plain_thorax(width_px: int, height_px: int) -> Thorax:
    """Return the template in the middle of a picture, for where no thorax can be found."""
    half_width = min(0.42 * width_px, 0.45 * height_px)
    height = min(0.75 * height_px, 2 * half_width)
    top = (height_px - height) * 0.45
    frame = ThoraxFrame(
        midline_x_px=width_px / 2,
        apex_y_px=top,
        base_right_y_px=top + height,
        base_left_y_px=top + height,
        half_width_right_px=half_width,
        half_width_left_px=half_width,
    )
    right, left = (tuple((side * u, v) for u, v in LUNG_OUTLINE) for side in (-1, 1))
    return Thorax(frame=frame, right_lung=right, left_lung=left, heart_right=1.0, heart_left=1.0, score=0.0)


def find_thorax(grey8: NDArray[np.uint8]) -> Thorax:
    """Return the thorax that fits a picture best; its score says how well.

    grey8 : (h, w) uint8, bright = dense. A picture that is too small or blank gives `plain_thorax`.
    """
    height, width = grey8.shape
    if min(height, width) < MIN_SIDE_PX:
        return plain_thorax(width, height)
    picture = _work_picture(grey8)
    low, high = np.percentile(_middle(picture), [2, 98])
    if high - low < MIN_GREY_SPREAD:
        return plain_thorax(width, height)
    picture = np.clip((picture - low) / (high - low), *CLIP)
    frame, score = search(picture)
    outlines = [np.column_stack(frame.from_px(*lung_outline(picture, frame, side).T)) for side in (-1, 1)]
    frame, (right, left) = _tightened(frame, outlines)
    heart_right, heart_left = (heart_width(picture, frame, side) for side in (-1, 1))
    ratio = max(height, width) / WORK_SIDE_PX
    in_picture = replace(
        frame,
        **{name: getattr(frame, name) * ratio for name in ThoraxFrame.__slots__ if name.endswith("_px")},
    )
    as_outline = [tuple((float(u), float(v)) for u, v in points) for points in (right, left)]
    return Thorax(
        frame=in_picture,
        right_lung=as_outline[0],
        left_lung=as_outline[1],
        heart_right=heart_right,
        heart_left=heart_left,
        score=score,
    )


def _work_picture(grey8: NDArray[np.uint8]) -> FloatArray:
    """Return the picture resampled so that its longer side has WORK_SIDE_PX, blurred."""
    height, width = grey8.shape
    ratio = max(height, width) / WORK_SIDE_PX
    block = max(1, int(ratio / 2))
    rows, columns = height // block, width // block
    coarse = grey8[: rows * block, : columns * block].reshape(rows, block, columns * block)
    coarse = coarse.sum(axis=1, dtype=np.uint32).reshape(rows, columns, block).sum(axis=2) / block**2
    coarse = ndimage.gaussian_filter(coarse, max(ratio / block / 2, 0.5))
    centre_y = (np.arange(max(1, round(height / ratio))) + 0.5) * ratio / block - 0.5
    centre_x = (np.arange(max(1, round(width / ratio))) + 0.5) * ratio / block - 0.5
    work = ndimage.map_coordinates(
        coarse, np.meshgrid(centre_y, centre_x, indexing="ij"), order=1, mode="nearest"
    )
    blurred: FloatArray = ndimage.gaussian_filter(work, SMOOTH_PX)
    return blurred


def _middle(picture: FloatArray) -> FloatArray:
    """Return the part of a picture in which a thorax has its lungs and its heart."""
    height, width = picture.shape
    return picture[
        int(MIDDLE_Y[0] * height) : int(MIDDLE_Y[1] * height) + 1,
        int(MIDDLE_X[0] * width) : int(MIDDLE_X[1] * width) + 1,
    ]


def _tightened(frame: ThoraxFrame, outlines: list[FloatArray]) -> tuple[ThoraxFrame, list[FloatArray]]:
    """Return the frame that the moved outlines span, and the outlines in it.

    A base that stands far above the other is taken for fluid or collapse: that lung goes on behind it.
    """
    right, left = outlines
    apex = float(np.mean([right[:, 1].min(), left[:, 1].min()]))
    tall_right, tall_left = frame.base_right_y_px - frame.apex_y_px, frame.base_left_y_px - frame.apex_y_px
    tall = (tall_right + tall_left) / 2
    low_right = frame.apex_y_px + float(right[:, 1].max()) * tall_right
    low_left = frame.apex_y_px + float(left[:, 1].max()) * tall_left
    base_right = max(low_right, low_left - HIGHER_BASE[0] * tall)
    base_left = max(low_left, low_right - HIGHER_BASE[1] * tall)
    for points, found, base in ((right, low_right, base_right), (left, low_left, base_left)):
        lower = points[:, 1] > 0.5
        middle = frame.apex_y_px + 0.5 * tall
        points[lower, 1] = 0.5 + (points[lower, 1] - 0.5) * (base - middle) / max(found - middle, 1.0)
    tight = replace(
        frame,
        apex_y_px=frame.apex_y_px + apex * tall,
        base_right_y_px=base_right,
        base_left_y_px=base_left,
        half_width_right_px=frame.half_width_right_px * float(-right[:, 0].min()),
        half_width_left_px=frame.half_width_left_px * float(left[:, 0].max()),
    )
    return tight, [np.column_stack(tight.from_px(*frame.to_px(*points.T))) for points in outlines]

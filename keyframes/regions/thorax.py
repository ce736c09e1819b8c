"""Finding the thorax in a frontal radiograph: the picture made ready, the search, the outlines, the frame they span.

What lies where inside the thorax is in `keyframes.regions.locations`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keyframes.regions.anatomy import DOME, LUNG_WALL, MEDIASTINUM_BORDERS, Outline
from keyframes.regions.block_mean import block_mean
from keyframes.regions.thorax_floor import BORDER_V, FLOOR_U, TIP, LowerThorax, find_lower_thorax
from keyframes.regions.thorax_frame import ThoraxFrame
from keyframes.regions.thorax_outline import lung_wall
from keyframes.regions.thorax_search import search, turned_farther

__all__ = ["Hemithorax", "Thorax", "find_thorax", "plain_thorax"]

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
MIN_DETAIL = 0.12
"""Spread of what a blur of `DETAIL_PX` takes away, as share of the picture's spread in its middle: 0.17 to 0.28 on good
films, 0.14 and less on films blurred by 2 % of their width."""
DETAIL_PX = 3.0
CLIPPED_STEP = 4
"""Every so manieth pixel each way is enough to count them."""
MAX_CLIPPED = 0.6
"""Share of the middle that is wholly black or white; more is a film exposed or windowed beyond use."""
MAX_TILT_RAD = np.radians(6.0)
"""Films of upright and lying patients were found at 3 degrees or less; those turned by 15 to 20 at 3 to 13."""
FLAWED_SCORE = 0.5
"""The most that a film with such a flaw scores: what was found on it may be chance."""
HIGHER_BASE = (0.07, 0.05)
"""Share of the thorax's height by which the right and the left base may stand above the other: 1.5 cm, as domes do."""
APICES_V, APEX_TOLERANCE = (-0.08, -0.04, 0.0), 0.025
"""Shifts of the apices that are tried: up by one rib, by half of one, none; the highest wins whose walls show no less
contrast than the best, but for this share. The first rib's edge is sharper than the apex above it."""
NARROW_SHARE = 0.9
"""Of the other half's width: the halves of most patients differ by less, those of a turned one by more."""
CLEARER = 1.05
"""So much more contrast, as a ratio, a narrow half's wall must show where the other half has its own, to lie there."""
FLUID_V = 0.45
"""Fluid that hides a diaphragm reaches no higher at the wall."""
WALL_ENDS_V = 0.02
"""The wall is followed down to just above the tip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hemithorax:
    """One side of a thorax, in its frame."""

    wall: Outline
    """The lung's outer border, from the apex' inner end over the apex and down to just above its tip."""
    floor: Outline
    """The diaphragm, from beside the midline outwards to the costophrenic angle's tip."""
    border: Outline
    """Of mediastinum and heart, downwards; below the diaphragm it has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thorax:
    """A thorax on a picture: its frame in px of the picture, and its two sides in the frame."""

    frame: ThoraxFrame
    right: Hemithorax
    left: Hemithorax
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
    right, left = (
        Hemithorax(
            wall=_mirrored(LUNG_WALL, side),
            floor=_mirrored(tuple(point for point in DOME if point[0] < 1), side),
            border=_mirrored(MEDIASTINUM_BORDERS[side], side),
        )
        for side in (-1, 1)
    )
    return Thorax(frame=frame, right=right, left=left, score=0.0)


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
    turned = abs(frame.tilt_rad) > MAX_TILT_RAD or turned_farther(picture, frame)
    if turned or _is_flawed(grey8, picture):
        score = min(score, FLAWED_SCORE)
    frame, walls = _with_walls(picture, frame)
    lower = find_lower_thorax(picture, frame)
    whole = _down_to_tips(frame, *(float(lower[side].floor_v[TIP]) for side in (-1, 1)))
    right, left = (_half(walls[side], lower[side], side, frame, whole) for side in (-1, 1))
    ratio = max(height, width) / WORK_SIDE_PX
    in_picture = replace(
        whole,
        **{name: getattr(whole, name) * ratio for name in ThoraxFrame.__slots__ if name.endswith("_px")},
    )
    return Thorax(frame=in_picture, right=right, left=left, score=score)


def _mirrored(outline: Outline, side: int) -> Outline:
    """Return an outline given in |u| on its side."""
    return tuple((side * u, v) for u, v in outline)


def _half(
    wall_px: FloatArray, lower: LowerThorax, side: int, frame: ThoraxFrame, whole: ThoraxFrame
) -> Hemithorax:
    """Return what was found on one side in ``frame``, moved to the frame of the whole thorax."""
    u, v = frame.from_px(*wall_px.T)
    if lower.hidden:
        # Fluid thickens along the wall; the lung's border, its pleura, goes straight on.
        usual_u, usual_v = np.array(LUNG_WALL[-5:]).T
        u = np.where(v > FLUID_V, side * np.maximum(side * u, np.interp(v, usual_v, usual_u)), u)
    above = v < lower.floor_v[TIP] - WALL_ENDS_V

    def moved(x_px: FloatArray, y_px: FloatArray) -> Outline:
        u, v = whole.from_px(x_px, y_px)
        return tuple(zip(u.tolist(), v.tolist(), strict=True))

    return Hemithorax(
        wall=moved(*frame.to_px(u[above], v[above])),
        floor=moved(*frame.to_px(side * FLOOR_U[: TIP + 1], lower.floor_v[: TIP + 1])),
        border=moved(*frame.to_px(side * lower.border_u, BORDER_V)),
    )


def _work_picture(grey8: NDArray[np.uint8]) -> FloatArray:
    """Return the picture resampled so that its longer side has WORK_SIDE_PX, blurred."""
    height, width = grey8.shape
    ratio = max(height, width) / WORK_SIDE_PX
    block = max(1, int(ratio / 2))
    coarse = ndimage.gaussian_filter(block_mean(grey8, block), max(ratio / block / 2, 0.5))
    centre_y = (np.arange(max(1, round(height / ratio))) + 0.5) * ratio / block - 0.5
    centre_x = (np.arange(max(1, round(width / ratio))) + 0.5) * ratio / block - 0.5
    work = ndimage.map_coordinates(
        coarse, np.meshgrid(centre_y, centre_x, indexing="ij"), order=1, mode="nearest"
    )
    blurred: FloatArray = ndimage.gaussian_filter(work, SMOOTH_PX)
    return blurred


def _is_flawed(grey8: NDArray[np.uint8], picture: FloatArray) -> bool:
    """Say whether a film is too blurred, or too much of it black or white, to trust what is found on it."""
    middle = _middle(grey8[::CLIPPED_STEP, ::CLIPPED_STEP])
    clipped = float(np.mean((middle == 0) | (middle == 255)))
    detail = _middle(picture - ndimage.gaussian_filter(picture, DETAIL_PX)).std()
    return clipped > MAX_CLIPPED or detail < MIN_DETAIL * _middle(picture).std()


def _middle(picture: NDArray[Any]) -> NDArray[Any]:
    """Return the part of a picture in which a thorax has its lungs and its heart."""
    height, width = picture.shape
    return picture[
        int(MIDDLE_Y[0] * height) : int(MIDDLE_Y[1] * height) + 1,
        int(MIDDLE_X[0] * width) : int(MIDDLE_X[1] * width) + 1,
    ]


def _with_walls(picture: FloatArray, frame: ThoraxFrame) -> tuple[ThoraxFrame, dict[int, FloatArray]]:
    """Return both lungs' walls in px, and the frame with the width and the apices that they show.

    The search may take a rib for the apices, or a device's, a scapula's or a shadow's edge for a wall: higher apices
    are tried, and of a half that is much narrower than the other also the other's width.
    """
    tall = (frame.base_right_y_px + frame.base_left_y_px) / 2 - frame.apex_y_px
    tries = []
    for shift in APICES_V:
        tried = replace(frame, apex_y_px=frame.apex_y_px + shift * tall)
        tries.append((tried, {side: lung_wall(picture, tried, side) for side in (-1, 1)}))
    gains = [walls[-1][1] + walls[1][1] for _, walls in tries]
    chosen, walls = tries[int(np.argmax(np.array(gains) >= (1 - APEX_TOLERANCE) * max(gains)))]
    kept = {side: wall for side, (wall, _) in walls.items()}
    found = _within_walls(chosen, kept)
    halves = found.half_width_right_px, found.half_width_left_px
    if min(halves) < NARROW_SHARE * max(halves):
        narrow = -1 if halves[0] < halves[1] else 1
        wide = replace(chosen, half_width_right_px=max(halves), half_width_left_px=max(halves))
        wall, gain = lung_wall(picture, wide, narrow)
        if gain > CLEARER * walls[narrow][1]:
            kept[narrow] = wall
            found = _within_walls(chosen, kept)
    return found, kept


def _within_walls(frame: ThoraxFrame, walls_px: dict[int, FloatArray]) -> ThoraxFrame:
    """Return the frame with the width and the apices that the lungs' walls show."""
    in_frame = {side: np.column_stack(frame.from_px(*wall.T)) for side, wall in walls_px.items()}
    apex = float(np.mean([wall[:, 1].min() for wall in in_frame.values()]))
    tall = (frame.base_right_y_px + frame.base_left_y_px) / 2 - frame.apex_y_px
    return replace(
        frame,
        apex_y_px=frame.apex_y_px + apex * tall,
        half_width_right_px=frame.half_width_right_px * float(-in_frame[-1][:, 0].min()),
        half_width_left_px=frame.half_width_left_px * float(in_frame[1][:, 0].max()),
    )


def _down_to_tips(frame: ThoraxFrame, right_tip_v: float, left_tip_v: float) -> ThoraxFrame:
    """Return the frame that ends at the costophrenic angles' tips; what has no border of its own is laid into it.

    A base that stands far above the other is taken for a raised diaphragm: the frame goes on behind it.
    """
    tall_right, tall_left = frame.base_right_y_px - frame.apex_y_px, frame.base_left_y_px - frame.apex_y_px
    tall = (tall_right + tall_left) / 2
    right, left = frame.apex_y_px + right_tip_v * tall_right, frame.apex_y_px + left_tip_v * tall_left
    return replace(
        frame,
        base_right_y_px=max(right, left - HIGHER_BASE[0] * tall),
        base_left_y_px=max(left, right - HIGHER_BASE[1] * tall),
    )

"""Find an implanted device's body: metal in the chest that the other side of the chest does not have.

Two observations, each of which alone would be wrong too often: metal ends within a pixel, where tissue fades, so a
device is a thicket of steep edges; and its case is a compact bright patch against the mirrored place.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keyframes.regions.block_mean import block_mean
from keyframes.regions.region_map import Region

__all__ = ["DEVICE", "find_device"]

DEVICE = "device"

WORK_SIDE_PX = 640
"""Longer side of the searched picture: a lead of 2 mm is still more than a pixel wide."""
STEEP_GREY = 30.0
"""Step between neighbouring pixels of the searched picture that only metal makes inside a chest; ribs and vessels stay
below 20. On 17 real films without a device no place in the lungs had a thicket of such steps."""
REACH_SHARE = 0.012
"""Half side of the window in which steep edges are counted, as a share of the longer side (4 to 5 mm)."""
THICKET_SHARE = 0.18
"""Share of steep pixels from which a place is a thicket."""
MIN_THICKET_SHARE = 0.0012
"""Of the picture's area; less is a clip, a wire or a button."""
BRIGHTER_GREY = 22.0
"""Case against the mirrored place, smoothed; the two lungs of a film differ by 10 to 15 where nothing is wrong."""
MIN_AREA_SHARE, MAX_AREA_SHARE = 0.003, 0.03
"""Of the picture's area: a port's chamber of 25 mm on a large film, a defibrillator on a small one."""
MIN_FILL = 0.72
"""Area over bounding box: a rounded case has 0.75 or more, the bend of a lead 0.71 or less."""

Box = tuple[float, float, float, float]
FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]


def find_device(grey8: NDArray[np.uint8], lungs_box: Box) -> Region | None:
    """Return the device's body as a region, or None where none is plain to see.

    grey8     : (h, w) uint8 in display polarity, bright = dense.
    lungs_box : image px around both lungs; the search stays within it.

    Finds the body, not its leads; of several the one with most edges. It prefers to miss a device than to name one
    that is not there.
    """
    step = max(1, round(max(grey8.shape) / WORK_SIDE_PX))
    small = block_mean(grey8, step).astype(np.float32)
    reach = max(2, round(REACH_SHARE * max(small.shape)))
    inside = _inside(small.shape, lungs_box, step)
    thicket = _thicket(small, reach) & inside
    if thicket.sum() < MIN_THICKET_SHARE * small.size:
        return None
    middle = (lungs_box[0] + lungs_box[2]) / 2 / step
    # A port is a ring with tissue in its middle.
    bright = _filled(_brighter_than_mirrored(small, middle, reach) > BRIGHTER_GREY)
    patches, _ = ndimage.label(_opened(bright, reach, inside) & inside)
    near = None
    best: tuple[int, Box] | None = None
    for number, (rows, columns) in enumerate(ndimage.find_objects(patches), start=1):
        patch = patches[rows, columns] == number
        if not _is_a_case(patch, small.size):
            continue
        near = ndimage.binary_dilation(thicket, iterations=reach) if near is None else near
        edges = int((near[rows, columns] & patch).sum())
        if edges > (best[0] if best else 0):
            # Opening and smoothing took half a reach off each side.
            grown = reach / 2
            best = edges, (columns.start - grown, rows.start - grown, columns.stop + grown, rows.stop + grown)
    if best is None:
        return None
    x0, y0, x1, y1 = (value * step for value in best[1])
    return Region.from_box(DEVICE, (x0, y0, x1, y1))


def _inside(shape: tuple[int, ...], box: Box, step: int) -> BoolImage:
    x0, y0, x1, y1 = (value / step for value in box)
    y, x = np.ogrid[: shape[0], : shape[1]]
    inside: BoolImage = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside


def _thicket(small: FloatImage, reach: int) -> BoolImage:
    across = np.abs(np.diff(small, axis=1, append=small[:, -1:]))
    down = np.abs(np.diff(small, axis=0, append=small[-1:]))
    steep = (np.maximum(across, down) > STEEP_GREY).astype(np.float32)
    thicket: BoolImage = ndimage.uniform_filter(steep, size=2 * reach + 1) > THICKET_SHARE
    return thicket


def _brighter_than_mirrored(small: FloatImage, middle: float, reach: int) -> FloatImage:
    smooth = ndimage.gaussian_filter(small, reach / 2)
    width = small.shape[1]
    mirrored = np.clip(np.round(2 * middle - np.arange(width)).astype(np.intp), 0, width - 1)
    difference: FloatImage = smooth - smooth[:, mirrored]
    return difference


def _filled(mask: BoolImage) -> BoolImage:
    """Return the mask with its holes filled: what is dark and does not hang together with the picture's edge."""
    dark, n_dark = ndimage.label(~mask)
    is_hole = np.ones(n_dark + 1, np.bool_)
    is_hole[0] = False
    for edge in (dark[0], dark[-1], dark[:, 0], dark[:, -1]):
        is_hole[edge] = False
    filled: BoolImage = mask | is_hole[dark]
    return filled


def _opened(mask: BoolImage, radius: int, where: BoolImage) -> BoolImage:
    """Return what a disk that fits into the mask can reach; beyond the picture there is nothing.

    where : a rectangle; only there the result counts.
    """
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    if not rows.size:
        return np.zeros_like(mask)
    reach = 2 * radius
    part = np.s_[
        max(rows[0] - reach, 0) : rows[-1] + reach + 1, max(columns[0] - reach, 0) : columns[-1] + reach + 1
    ]
    opened = np.zeros_like(mask)
    eroded = _eroded(mask[part], radius, beyond=False)
    if eroded.any():
        opened[part] = ~_eroded(~eroded, radius, beyond=True)
    return opened


def _eroded(mask: BoolImage, radius: int, *, beyond: bool) -> BoolImage:
    """Return where a disk fits into the mask, row by row of the disk: a tenth of the time of looking at all of it.

    beyond : what the mask is outside the picture.
    """
    height, width = mask.shape
    padded = np.pad(mask, radius, constant_values=beyond)
    n_before = np.zeros((padded.shape[0], padded.shape[1] + 1), np.int32)
    np.cumsum(padded, axis=1, dtype=np.int32, out=n_before[:, 1:])
    fits = np.ones(mask.shape, np.bool_)
    for down in range(-radius, radius + 1):
        across = math.isqrt(radius * radius - down * down)
        rows = n_before[radius + down : radius + down + height]
        first, end = radius - across, radius + across + 1
        fits &= rows[:, end : end + width] - rows[:, first : first + width] == 2 * across + 1
    return fits


def _is_a_case(patch: BoolImage, picture_area: int) -> bool:
    area = int(patch.sum())
    return MIN_AREA_SHARE <= area / picture_area <= MAX_AREA_SHARE and area >= MIN_FILL * patch.size

"""Small things that are lighter than what surrounds them: bars of letters, wires, grains of noise.

The kernels go over the pixels row by row, a few times: a film has five million of them, and thousands of specks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Specks", "find_specks", "steep_per_tile", "steepness"]

_WHITE: Final = 255
_ENDS: Final = 1 << 16
"""Ends of runs for which there is room at first; more is made in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specks:
    """Groups of touching pixels (corners count), in the order of their first pixels; boxes are half-open, px."""

    x0: NDArray[np.int64]
    y0: NDArray[np.int64]
    x1: NDArray[np.int64]
    y1: NDArray[np.int64]
    area: NDArray[np.int64]
    start: NDArray[np.int64]
    """Flat index of the first pixel of every run of their pixels side by side, in the order of the picture."""
    length: NDArray[np.int64]
    """Of those runs, px."""
    owner: NDArray[np.int64]
    """Number of the speck that each of those runs belongs to."""
    bars: NDArray[np.uint8]
    """Of the whole picture: grey levels above what surrounds it."""

    def pixels_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the flat indexes of chosen specks' pixels: all of the first speck, then of the second, ..."""
        kept = np.flatnonzero(chosen[self.owner])
        kept = kept[np.argsort(self.owner[kept], kind="stable")]
        length = self.length[kept]
        ends = np.cumsum(length)
        return np.asarray(np.arange(length.sum()) + np.repeat(self.start[kept] - (ends - length), length))


def find_specks(
    picture: NDArray[np.uint8], *, width_px: int, min_contrast: int, room: NDArray[np.uint8] | None = None
) -> Specks:
    """Return what is narrower than a square of that width and lighter than its surroundings by that much.

    picture : (h, w) uint8. width_px : odd. min_contrast : grey levels above the grey opening by the square, 1 or more.
    room : (2, h, w), overwritten; `Specks.bars` is part of it. Given again, it spares the system's clearing of new
    memory, which can take half as long as the search.
    """
    picture = np.ascontiguousarray(picture)
    spare, bars = np.empty((2, *picture.shape), np.uint8) if room is None else room
    # An opening is the least of the surroundings, then the greatest of that, which is the least of the negative.
    _negative_of_least(picture, width_px, spare)
    _negative_of_least(spare, width_px, bars)
    start, length = _bars(picture, bars, np.uint8(min_contrast))
    row, first = np.divmod(start, picture.shape[1])
    group = _joined(row, first, first + length - 1)
    boxes, area = _extents(row, first, length, group)
    x0, y0, x1, y1 = boxes
    return Specks(x0=x0, y0=y0, x1=x1, y1=y1, area=area, start=start, length=length, owner=group, bars=bars)


@numba.njit(cache=True)
def _bars(picture, bars, min_contrast):  # type: ignore[no-untyped-def]
    """Find the runs of pixels side by side that have contrast enough. bars : the opened picture, replaced."""
    height, columns = picture.shape
    # A run's first pixel, the first one behind it, the next run's first, ...
    ends, n_ends = np.empty(max(_ENDS, columns + 1), np.int64), 0
    # Zeros before the first pixel and behind the last, and as many more as fill a word.
    high = np.zeros(columns + 2, np.uint8)
    turns = np.zeros(-(-(columns + 1) // 8) * 8, np.uint8)
    words = turns.view(np.uint64)
    for y in range(height):
        _take_from(picture[y], bars[y])
        _is_high(bars[y], min_contrast, high[1 : columns + 1])
        _differs(high[: columns + 1], high[1:], turns[: columns + 1])
        if ends.size < n_ends + columns + 1:
            ends = np.concatenate((ends, np.empty_like(ends)))
        for place in range(words.size):
            if words[place]:
                for x in range(8 * place, 8 * place + 8):
                    if turns[x]:
                        ends[n_ends] = y * columns + x
                        n_ends += 1
    return ends[:n_ends:2].copy(), ends[1:n_ends:2] - ends[:n_ends:2]


@numba.njit(cache=True)
def _take_from(row, out):  # type: ignore[no-untyped-def]
    for place in range(out.size):
        out[place] = row[place] - out[place]


@numba.njit(cache=True)
def _is_high(row, least, out):  # type: ignore[no-untyped-def]
    for place in range(out.size):
        out[place] = np.uint8(row[place] >= least)


@numba.njit(cache=True)
def _differs(row, other, out):  # type: ignore[no-untyped-def]
    for place in range(out.size):
        out[place] = row[place] ^ other[place]


@numba.njit(cache=True)
def _copy(row, out):  # type: ignore[no-untyped-def]
    for place in range(out.size):
        out[place] = row[place]


@numba.njit(cache=True)
def _less(row, other, out):  # type: ignore[no-untyped-def]
    """Take the lesser of two rows. ``out`` is neither: only then are 32 pixels taken at once."""
    for place in range(out.size):
        out[place] = min(row[place], other[place])


@numba.njit(cache=True)
def _negative_of_less(row, other, out):  # type: ignore[no-untyped-def]
    for place in range(out.size):
        out[place] = ~min(row[place], other[place])


@numba.njit(cache=True)
def _least_across(row, width, line, other, out):  # type: ignore[no-untyped-def]
    """Take the least of ``width`` pixels around each of a row: the span covered doubles with each pass."""
    half = width // 2
    n, span = line.size, 1
    line[:half] = _WHITE
    line[half + row.size :] = _WHITE
    _copy(row, line[half : half + row.size])
    while span < width:
        shift = min(span, width - span)
        n -= shift
        _less(line[:n], line[shift : shift + n], other[:n])
        line, other = other, line
        span += shift
    _copy(line[: row.size], out)


@numba.njit(cache=True)
def _negative_of_least(picture, width, negative):  # type: ignore[no-untyped-def]
    """Give the negative of the least of the square around each pixel, as far as it lies in the picture.

    Down the rows, blocks of ``width`` rows are taken: any ``width`` rows are the end of one block and the beginning
    of the next. Source: van Herk 1992, Pattern Recognition Letters 13, 517-521.
    """
    height, columns = picture.shape
    half = width // 2
    line, other = np.empty(columns + 2 * half, np.uint8), np.empty(columns + 2 * half, np.uint8)
    begun, longer = np.empty(columns, np.uint8), np.empty(columns, np.uint8)
    ends, ahead = np.empty((width, columns), np.uint8), np.empty((width, columns), np.uint8)
    for first in range(-width, height, width):
        for row in range(width):
            y = first + width + row - half
            if 0 <= y < height:
                _least_across(picture[y], width, line, other, ahead[row])
            else:
                ahead[row] = _WHITE
        begun[:] = _WHITE
        for row in range(min(width, height - first) if first >= 0 else 0):
            _negative_of_less(begun, ends[row], negative[first + row])
            _less(begun, ahead[row], longer)
            begun, longer = longer, begun
        _copy(ahead[width - 1], ends[width - 1])
        for row in range(width - 2, -1, -1):
            _less(ahead[row], ends[row + 1], ends[row])


@numba.njit(cache=True)
def _joined(row, first, last):  # type: ignore[no-untyped-def]
    """Return the group of each run of pixels: it joins those of the row above that it touches, the oldest one leads.

    row, first, last : of runs, in the order of the picture. Groups count from 0 in the order of their first runs.
    """
    parent = np.arange(row.size)
    above = 0  # the first run of the row above that may still touch one
    for run in range(row.size):
        while row[above] < row[run] - 1 or (row[above] == row[run] - 1 and last[above] < first[run] - 1):
            above += 1
        touching = above
        while row[touching] == row[run] - 1 and first[touching] <= last[run] + 1:
            a, b = _root(parent, touching), _root(parent, run)
            parent[max(a, b)] = min(a, b)
            touching += 1
    n_groups = 0
    for run in range(row.size):  # a parent is older, so it has its number already
        if parent[run] == run:
            parent[run] = n_groups
            n_groups += 1
        else:
            parent[run] = parent[parent[run]]
    return parent


@numba.njit(cache=True)
def _extents(row, first, length, group):  # type: ignore[no-untyped-def]
    """Return (x0, y0, x1, y1) and area of each group of runs."""
    n_groups = 0
    for run in range(group.size):
        n_groups = max(n_groups, group[run] + 1)
    boxes, area = np.zeros((4, n_groups), np.int64), np.zeros(n_groups, np.int64)
    x0, y0, x1, y1 = boxes
    for run in range(group.size):
        one = group[run]
        if area[one] == 0:  # its first run, in its first row
            x0[one], y0[one] = first[run], row[run]
        x0[one] = min(x0[one], first[run])
        x1[one] = max(x1[one], first[run] + length[run])
        y1[one] = row[run] + 1
        area[one] += length[run]
    return boxes, area


@numba.njit(cache=True)
def _root(parent, run):  # type: ignore[no-untyped-def]
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


def steepness(
    picture: NDArray[np.uint8],
    x0: NDArray[np.int64],
    y0: NDArray[np.int64],
    x1: NDArray[np.int64],
    y1: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return of each box, made 2 px wider, the steepest step between neighbours, grey levels.

    It is the mean over rows or over columns, the greater one.
    """
    return np.asarray(_steepness(picture, x0, y0, x1, y1))


@numba.njit(cache=True)
def _steepness(picture, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    height, columns = picture.shape
    steepest = np.zeros(x0.size, np.float64)
    for box in range(x0.size):
        left, right = max(x0[box] - 2, 0), min(x1[box] + 2, columns)
        top, bottom = max(y0[box] - 2, 0), min(y1[box] + 2, height)
        across, down = np.int64(0), np.zeros(right - left, np.int64)
        for y in range(top, bottom):
            most = np.int64(0)
            for x in range(left, right):
                here = np.int64(picture[y, x])
                if x + 1 < right:
                    most = max(most, abs(np.int64(picture[y, x + 1]) - here))
                if y + 1 < bottom:
                    down[x - left] = max(down[x - left], abs(np.int64(picture[y + 1, x]) - here))
            across += most
        steepest[box] = max(across / (bottom - top), down.sum() / (right - left))
    return steepest


def steep_per_tile(picture: NDArray[np.uint8], tile_px: int, min_step: int) -> NDArray[np.int64]:
    """Count, in each tile, the pixels that differ by that many grey levels from the one above or to the left.

    tile_px : 255 at most. Returns (rows, columns) of tiles; those at the lower and right edge may be smaller.
    """
    return np.asarray(_steep_per_tile(np.ascontiguousarray(picture), tile_px, np.uint8(min_step)))


@numba.njit(cache=True)
def _steep_per_tile(picture, tile, min_step):  # type: ignore[no-untyped-def]
    height, columns = picture.shape
    counts = np.zeros((-(-height // tile), -(-columns // tile)), np.int64)
    in_column = np.zeros(columns, np.uint8)  # of this row of tiles
    for y in range(height):
        above = max(y - 1, 0)
        for x in range(columns):  # in bytes throughout, so that 32 pixels are taken at once
            here, left, up = picture[y, x], picture[y, max(x - 1, 0)], picture[above, x]
            across = np.uint8(max(here, left) - min(here, left))
            down = np.uint8(max(here, up) - min(here, up))
            in_column[x] += np.uint8(max(across, down) >= min_step)
        if (y + 1) % tile == 0 or y + 1 == height:
            for x in range(columns):
                counts[y // tile, x // tile] += in_column[x]
                in_column[x] = 0
    return counts

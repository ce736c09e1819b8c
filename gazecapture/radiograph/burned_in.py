"""Text burned into a picture's pixels: names, dates and initials that no header tells of.

Letters are bars of one brightness with edges of about a pixel, much alike in height, close together on a line; nothing
in a body is. A single letter or two (the R or L that a radiographer lays on the film, which is diagnostic) is no text.
What is found is for a person to look at: nothing is blanked by itself. Of lines drawn on real films in three typefaces,
with capitals of 16 px and more 7 to 8 in 10 were found, at 10 px 6 in 10; handwriting is not sought.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from gazecapture.radiograph.specks import find_specks, steep_per_tile, steepness
from keyframes.errors import ImageError

__all__ = ["BurnedInText", "find_burned_in_text"]

MIN_GLYPHS: Final = 3
"""Letters of a line. Two are a side marker ("R", "LT"); names, dates and initials have more."""
MAX_STROKE_SHARE: Final = 0.012
"""Of the longer side: the widest bar of a letter. Text of 4 % of a picture's height has bars of a tenth of that."""
MIN_CONTRAST: Final = 45
"""Grey levels of 255 by which a bar differs from what is beside it; text is made to be read."""
MAX_SPREAD: Final = 14.0
"""Grey levels, standard deviation inside a bar: letters are of one brightness, up to the noise of a lossy coder."""
MIN_HEIGHT_PX: Final = 6
"""Below that letters cannot be told apart, by people neither."""
MAX_HEIGHT_SHARE: Final = 0.05
"""Of the longer side."""
MIN_INK: Final = 0.12
"""Of the box around a letter; the thin diagonals of a large letter cover least."""
MAX_INK: Final = 0.95
"""Nothing but the bar of an I fills its box."""
MIN_SHARPNESS: Final = 0.45
"""Share of a bar's contrast that lies within one pixel across its edge; anatomy fades over several."""
MAX_GAP_HEIGHTS: Final = 1.1
"""Heights between neighbouring letters of a line, a space between words included."""
HEIGHT_RATIO: Final = 1.7
"""Between neighbouring letters; capitals and digits are of one height, small letters of two thirds of it."""
MAX_STEP_OF_BRIGHTNESS: Final = 12.0
"""Grey levels between neighbouring letters: a line is printed in one brightness, which no row of ribs or wires has."""
MIN_EDGE: Final = 20
"""Grey levels between neighbouring pixels: `MIN_CONTRAST` times `MIN_SHARPNESS`. Without such edges, no text."""
TILE_PX: Final = 32
MIN_EDGES_OF_A_TILE: Final = 12
"""Steep steps in a tile that holds part of a letter: twice the height of the smallest, less what lies next door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnedInText:
    """One line of text."""

    box: tuple[int, int, int, int]
    """Image px, half-open."""
    n_glyphs: int


@dataclass(frozen=True, slots=True)
class _Glyph:
    x0: int
    y0: int
    x1: int
    y1: int
    brightness: float

    @property
    def height(self) -> int:
        return self.y1 - self.y0


def find_burned_in_text(grey8: NDArray[np.uint8]) -> tuple[BurnedInText, ...]:
    """Return the lines of text in a picture, level or upright, from top to bottom.

    grey8 : (h, w) uint8. Light and dark text are found. Raises ImageError for another kind of array.
    """
    if grey8.ndim != 2 or grey8.dtype != np.uint8:
        raise ImageError(f"a picture of shape {grey8.shape} and type {grey8.dtype}, expected (h, w) uint8")
    found: set[tuple[tuple[int, int, int, int], int]] = set()
    for top, left, part in _parts_with_edges(grey8):
        room = np.empty((2, *part.shape), np.uint8)
        light, dark = (_glyphs(one, max(grey8.shape), room) for one in (part, np.invert(part)))
        for glyphs, counter in ((light, dark), (dark, light)):
            level = _lines(glyphs)
            upright = [((y0, x0, y1, x1), n) for (x0, y0, x1, y1), n in _lines([_turned(g) for g in glyphs])]
            for (x0, y0, x1, y1), n in (*level, *upright):
                # The bays of one large letter look like a row of small ones.
                if not any(g.x0 <= x0 and g.y0 <= y0 and g.x1 >= x1 and g.y1 >= y1 for g in counter):
                    found.add(((x0 + left, y0 + top, x1 + left, y1 + top), n))
    ordered = sorted(found, key=lambda line: (line[0][1], line[0][0], line[1]))
    return tuple(BurnedInText(box=box, n_glyphs=n) for box, n in ordered)


def _parts_with_edges(grey8: NDArray[np.uint8]) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Give (top, left, part) of what holds edges as steep as a letter's; most of a radiograph holds none."""
    if min(grey8.shape) < MIN_HEIGHT_PX:
        return
    edges = steep_per_tile(grey8, TILE_PX, MIN_EDGE)
    tiles = ndimage.binary_dilation(edges >= MIN_EDGES_OF_A_TILE, np.ones((3, 3), np.bool_), iterations=2)
    for place in ndimage.find_objects(ndimage.label(tiles, np.ones((3, 3), np.int64))[0]):
        top, left = (part.start * TILE_PX for part in place)
        part = grey8[top : place[0].stop * TILE_PX, left : place[1].stop * TILE_PX]
        yield top, left, np.ascontiguousarray(part)


def _turned(glyph: _Glyph) -> _Glyph:
    return _Glyph(glyph.y0, glyph.x0, glyph.y1, glyph.x1, glyph.brightness)


def _glyphs(picture: NDArray[np.uint8], side: int, room: NDArray[np.uint8]) -> list[_Glyph]:
    """Return what looks like light letters. side : the whole picture's longer one, px. room : of `find_specks`."""
    width_px = max(5, int(side * MAX_STROKE_SHARE) | 1)
    specks = find_specks(picture, width_px=width_px, min_contrast=MIN_CONTRAST, room=room)
    wide, high = specks.x1 - specks.x0, specks.y1 - specks.y0
    longest, share = np.maximum(wide, high), specks.area / (wide * high)
    fits = (longest >= MIN_HEIGHT_PX) & (longest <= side * MAX_HEIGHT_SHARE)
    fits &= (share >= MIN_INK) & (share <= MAX_INK) & (specks.area >= 2 * MIN_HEIGHT_PX)
    if not fits.any():
        return []
    at = specks.pixels_of(fits)
    brightness, spread, contrast = _tones(picture.ravel()[at], specks.bars.ravel()[at], specks.area[fits])
    edges = [edge[fits] for edge in (specks.x0, specks.y0, specks.x1, specks.y1)]
    sharp = steepness(picture, *edges) >= MIN_SHARPNESS * contrast
    kept = (spread <= MAX_SPREAD) & sharp
    columns = zip(*(edge[kept].tolist() for edge in (*edges, brightness)), strict=True)
    return [_Glyph(x0, y0, x1, y1, tone) for x0, y0, x1, y1, tone in columns]


def _tones(
    grey: NDArray[np.uint8], bars: NDArray[np.uint8], area: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return of each component the brightness, its spread (standard deviation) and the contrast.

    grey, bars : pixels of the first component, then of the second, ...; area : how many each has.
    """
    ends = np.cumsum(area)
    starts = ends - area
    owner = np.repeat(np.arange(area.size), area)
    values = _sorted_within(grey, owner)
    bright = values >= _quantiles(values, starts, area, 0.4)[owner]  # the rest is the edge
    n_bright = np.add.reduceat(bright, starts, dtype=np.int64)
    squares = np.add.reduceat(np.where(bright, values**2, 0), starts) / n_bright
    mean = np.add.reduceat(np.where(bright, values, 0), starts) / n_bright
    spread = np.sqrt(np.maximum(squares - mean**2, 0.0))
    brightness = _quantiles(values, ends - n_bright, n_bright, 0.5)
    return brightness, spread, _quantiles(_sorted_within(bars, owner), starts, area, 0.9)


def _sorted_within(values: NDArray[np.uint8], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the values of each component in order; the components stay where they are."""
    return np.sort(owner * 256 + values) - owner * 256


def _quantiles(
    ordered: NDArray[np.int64], starts: NDArray[np.int64], n: NDArray[np.int64], share: float
) -> NDArray[np.float64]:
    """Return a quantile of each run of sorted values, between neighbours in proportion."""
    place = share * (n - 1)
    below = place.astype(np.int64)
    low, high = ordered[starts + below], ordered[starts + np.minimum(below + 1, n - 1)]
    return np.asarray(low + (high - low) * (place - below), np.float64)


def _lines(glyphs: list[_Glyph]) -> list[tuple[tuple[int, int, int, int], int]]:
    """Return (box, number of letters) of each row of letters."""
    ordered = sorted((g for g in glyphs if g.height >= MIN_HEIGHT_PX), key=lambda glyph: glyph.x0)
    widest_gap = MAX_GAP_HEIGHTS * max((g.height for g in ordered), default=0)
    lines: list[list[_Glyph]] = []
    ended: list[list[_Glyph]] = []
    for glyph in ordered:
        if len(lines) > 1:  # those that nothing to the right can follow any more
            ended += [line for line in lines if glyph.x0 - line[-1].x1 > widest_gap]
            lines = [line for line in lines if glyph.x0 - line[-1].x1 <= widest_gap]
        for line in lines:
            if _follows(line[-1], glyph):
                line.append(glyph)
                break
        else:
            lines.append([glyph])
    return [
        (
            (
                min(g.x0 for g in line),
                min(g.y0 for g in line),
                max(g.x1 for g in line),
                max(g.y1 for g in line),
            ),
            len(line),
        )
        for line in (*ended, *lines)
        if len(line) >= MIN_GLYPHS
    ]


def _follows(before: _Glyph, after: _Glyph) -> bool:
    overlap = min(before.y1, after.y1) - max(before.y0, after.y0)
    if overlap <= 0:
        return False
    tall, low = max(before.height, after.height), min(before.height, after.height)
    gap = after.x0 - before.x1
    return (
        overlap >= 0.6 * low
        and tall <= HEIGHT_RATIO * low
        and -0.2 * tall <= gap <= MAX_GAP_HEIGHTS * tall
        and abs(before.brightness - after.brightness) <= MAX_STEP_OF_BRIGHTNESS
    )

"""The inner loops of drawing a phantom: small volumes onto a grid, vessels that grow and fork.

Plain arithmetic in the order in which numpy would do it, so that a seed's picture is the same to the bit.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["gathered", "grown", "hollow", "splat"]

FloatArray = NDArray[np.float64]
Floats = NDArray[np.float32]
Points = NDArray[np.floating[Any]]


@numba.njit(cache=True, error_model="numpy")
def splat(
    parts: FloatArray,
    x: Points,
    y: Points,
    volume: Points,
    turn: tuple[float, float],
    shift: tuple[float, float],
    middle: float,
    spacing: float,
    width: int,
) -> None:
    """Add to ``parts`` (h * w, 4), at a pixel's place, what many volumes leave on it and on the three after.

    The four are the pixel itself, the one to its right, the one below it, the one below that to its right
    (`gathered`). Volumes off the grid, or NaN, are left out.

    x, y, volume : (n,), patient mm. turn : cosine and sine of the pose, times its scale. shift : field mm.
    middle       : y of the field's centre, mm. spacing : mm per pixel.
    """
    height = parts.shape[0] // width
    cos, sin = turn
    for i in range(x.size):
        across, down, much = np.float64(x[i]), np.float64(y[i]) - middle, np.float64(volume[i])
        column = (cos * across - sin * down + shift[0]) / spacing + width / 2 - 0.5
        row = (sin * across + cos * down + middle + shift[1] - middle) / spacing + height / 2 - 0.5
        left, top = math.floor(column), math.floor(row)
        if left >= 0 and left < width - 1 and top >= 0 and top < height - 1:
            right_share, low_share = column - left, row - top
            first = np.int64(top * width + left)
            parts[first, 0] += much * ((1 - right_share) * (1 - low_share))
            parts[first, 1] += much * (right_share * (1 - low_share))
            parts[first, 2] += much * ((1 - right_share) * low_share)
            parts[first, 3] += much * (right_share * low_share)


def gathered(parts: FloatArray, width: int) -> FloatArray:
    """Return (h * w,) what lies on each pixel, of what `splat` noted."""
    total = parts[:, 0].copy()
    for corner, step in ((1, 1), (2, width), (3, width + 1)):
        total[step:] += parts[:-step, corner]
    return total


@numba.njit(cache=True, error_model="numpy")
def hollow(
    line: Floats,
    tangent: Floats,
    tall: Floats,
    wide: Floats,
    length: Floats,
    half_tall: Floats,
    half_wide: Floats,
    cortex: Floats,
    section: Floats,
    jitter: Floats,
    marrow: np.float32,
    cell_share: np.float32,
) -> tuple[Floats, Floats, Floats]:
    """Return (n * m * k,) x and y in mm and mm^3 of cortical bone of a bent tube, dense in its cortex, spongy inside.

    line, tangent, tall, wide  : (n, 2) the axis and, of unit vectors, what the picture sees.
    length, half_tall, half_wide, cortex : (n,) mm.
    section : (2, k) points across, in halves of its height and width. jitter : (n * m, k) along a piece, 0 to 1.
    """
    n, k = line.shape[0], section.shape[1]
    m = jitter.shape[0] // n
    one, half, thin = np.float32(1), np.float32(0.5), np.float32(0.3)
    pieces = np.float32(m)
    x, y = np.empty(n * m * k, np.float32), np.empty(n * m * k, np.float32)
    volume = np.empty(n * m * k, np.float32)
    at = 0
    for i in range(n):
        a, b = half_tall[i], half_wide[i]
        a_inner, b_inner = a / max(a - cortex[i], thin), b / max(b - cortex[i], thin)
        cell = length[i] * a * b * cell_share
        for j in range(m):
            shift = np.float32((j + 0.5) / m - 0.5)
            for p in range(k):
                u, v = section[0, p], section[1, p]
                along = length[i] * (shift + (jitter[i * m + j, p] - half) / pieces)
                iu, iv = u * a_inner, v * b_inner
                x[at] = line[i, 0] + along * tangent[i, 0] + u * (a * tall[i, 0]) + v * (b * wide[i, 0])
                y[at] = line[i, 1] + along * tangent[i, 1] + u * (a * tall[i, 1]) + v * (b * wide[i, 1])
                volume[at] = (one if iu * iu + iv * iv > one else marrow) * cell
                at += 1
    return x, y, volume


@numba.njit(cache=True, error_model="numpy")
def grown(
    trunks: FloatArray,
    draws: FloatArray,
    floor: FloatArray,
    edge: FloatArray,
    top: float,
    step: float,
    taper: float,
    least_radius: float,
    n_enough: int,
) -> FloatArray:
    """Return (n, 5) the straight pieces of vessels that grow from trunks: both ends' x and y, radius; mm.

    trunks : (k, 4) x out from the midline, y, direction in rad, radius. draws : chances in [0, 1), used in order.
    floor  : lowest y at every mm from the midline. edge : greatest x at every mm of y. top : least y.
    taper  : share of its radius that a vessel loses in a step. n_enough : pieces after which no new branches grow.

    Raises IndexError where the draws do not suffice.
    """
    pieces = [(0.0, 0.0, 0.0, 0.0, 0.0) for _ in range(0)]
    # Broad before deep, so that the limit on pieces cuts twigs and not whole lobes.
    growing = [(trunks[k, 0], trunks[k, 1], trunks[k, 2], trunks[k, 3]) for k in range(trunks.shape[0])]
    at = 0
    while len(growing) and len(pieces) < n_enough:
        later = [(0.0, 0.0, 0.0, 0.0) for _ in range(0)]
        for x, y, turn, radius in growing:
            if at + 2 > draws.size:
                raise IndexError("draws")
            bend = (draws[at] - 0.5) * 0.05
            until_fork = 7 + 10 * draws[at + 1] * min(1.0, radius) + 3.5 * radius
            at += 2
            gone = 0.0
            while radius > least_radius:
                if at + 5 > draws.size:
                    raise IndexError("draws")
                # What runs towards or away from the viewer looks shorter.
                turn += bend + (draws[at] - 0.5) * 0.16
                at += 1
                nx, ny = x + step * math.cos(turn), y + step * math.sin(turn)
                row = int(min(max(ny, 0.0), edge.size - 1.0))
                column = int(min(max(nx, 0.0), floor.size - 1.0))
                if nx < 10 or nx > edge[row] or ny < top or ny > floor[column]:
                    break
                pieces.append((x, y, nx, ny, radius))
                x, y, gone = nx, ny, gone + step
                radius *= 1 - taper
                if gone > until_fork:
                    side_turn = (0.42 + 0.45 * draws[at]) * (1 if draws[at + 1] < 0.5 else -1)
                    thin, thick = 0.58 + 0.26 * draws[at + 2], 0.86 + 0.08 * draws[at + 3]
                    at += 4
                    later.append((x, y, turn + side_turn, radius * thin))
                    later.append((x, y, turn - 0.35 * side_turn, radius * thick))
                    break
        growing = later
    table = np.empty((len(pieces), 5))
    for k, piece in enumerate(pieces):
        table[k, 0], table[k, 1], table[k, 2], table[k, 3], table[k, 4] = piece
    return table

"""Finding the thorax in a frontal radiograph: a warped intensity template, then the lungs' outlines.

Owns the search only; what lies where inside the thorax is in `keyframes.regions.anatomy`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from keyframes.regions.anatomy import HEART_BORDERS, LUNG_OUTLINE, Outline, inside_polygon

__all__ = ["Thorax", "ThoraxFrame", "find_thorax", "plain_thorax"]

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
SHOULDER_V = 0.4
"""The darkening towards the shoulders begins here, as a quadratic trend upwards."""
BLEND_U = 0.3
"""Between the lungs, up to so far from the midline, the base's height goes over from one side's to the other's."""
MIDLINE_U = 0.12
"""Half width of the spine."""
OFF_PICTURE_COST = 0.35
"""Lost correlation if the whole template lay off the picture: cropped lungs are found, empty corners are not."""
N_START = 10
N_TRIES = 20
N_ROUNDS = 8
"""Refinement: so many best fits, each perturbed so often, in so many rounds of shrinking steps."""
STEP_SHRINK = 0.75
SEED = 20
"""Of the perturbations: the same picture always gives the same map."""
WIDTHS_ALLOWED = (0.6, 1.4)
"""Height over width of a thorax, apex to costophrenic angles over wall to wall; children and expiration included."""
N_OUTLINE = 60
"""Points of a lung's outline: one per 3 to 4 work px."""
REACH = 0.16
"""An outline moves by no more than this share of the half width: about 2 cm in an adult."""
N_OFFSETS = 25
"""Places tried across the outline."""
STRAY_COST = 2.0
"""Cost of an offset squared, in grey contrast (0 to 1) per squared half width."""
BEND_COST = 15.0
"""Cost of the squared difference of neighbouring offsets, same unit."""
OUTER_EDGE = 0.04
"""Share of the half width by which a lung ends outside its edge's steepest place: it thins out towards the wall."""
CROSSED_V, CROSSED_TRUST = 0.15, 0.4
"""Above this, clavicles and first ribs cross the lung, and their edges are no border of it."""
EDGE_SPAN = 0.05
"""Distance, as share of the half width, over which a border's contrast is measured."""

HEART_FACTORS = (0.8, 1.45)
"""A heart's border is looked for between these multiples of its usual distance from the midline."""
HEART_EDGE_U = 0.05
"""Distance from the border, to both sides, at which its contrast is measured."""
HEART_OUTER = 1.07
"""The heart ends outside its border's steepest place: it thins out towards it."""
HEART_STRAY_COST = 0.6
"""Cost of the squared logarithm of the factor, in grey contrast (0 to 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThoraxFrame:
    """The thorax's own coordinates: u from -1 (patient's right chest wall) over 0 (midline) to 1 (left wall),
    v from 0 (apices) to 1 (tips of the costophrenic angles). All lengths in px of one picture."""  # noqa: D205, D209

    midline_x_px: float
    apex_y_px: float
    base_right_y_px: float
    base_left_y_px: float
    half_width_right_px: float
    half_width_left_px: float
    tilt_rad: float = 0.0
    """Clockwise on the picture, about the frame's centre."""

    def parameters(self) -> FloatArray:
        """Return the seven numbers as (7,), in the order of the fields."""
        return np.array(
            [
                self.midline_x_px,
                self.apex_y_px,
                self.base_right_y_px,
                self.base_left_y_px,
                self.half_width_right_px,
                self.half_width_left_px,
                self.tilt_rad,
            ]
        )

    def to_px(self, u: ArrayLike, v: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return x and y in px of points in the frame, any shape."""
        u, v = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        x, y = _warp(self.parameters()[None], u.ravel(), v.ravel())
        return x[0].reshape(u.shape), y[0].reshape(u.shape)

    def from_px(self, x_px: ArrayLike, y_px: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return u and v of points in px: the inverse of `to_px`."""
        x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
        centre = (2 * self.apex_y_px + self.base_right_y_px + self.base_left_y_px) / 4
        cos, sin = np.cos(self.tilt_rad), np.sin(self.tilt_rad)
        dx, dy = x - self.midline_x_px, y - centre
        along, down = dx * cos + dy * sin, -dx * sin + dy * cos
        u = along / np.where(along < 0, self.half_width_right_px, self.half_width_left_px)
        share = (np.clip(u / BLEND_U, -1, 1) + 1) / 2
        base = self.base_right_y_px + share * (self.base_left_y_px - self.base_right_y_px)
        return u, (down + centre - self.apex_y_px) / (base - self.apex_y_px)


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
    best, score = _search(picture)
    frame = ThoraxFrame(**dict(zip(ThoraxFrame.__slots__, best.tolist(), strict=True)))
    outlines = [np.column_stack(frame.from_px(*_outline(picture, frame, side).T)) for side in (-1, 1)]
    frame, (right, left) = _tightened(frame, outlines)
    heart_right, heart_left = (_heart_width(picture, frame, side) for side in (-1, 1))
    ratio = width / picture.shape[1]
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


def _warp(parameters: FloatArray, u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return px of m points in n frames, (n, m) each; ``parameters`` is (n, 7)."""
    midline, apex, base_right, base_left, half_right, half_left, tilt = (p[:, None] for p in parameters.T)
    share = (np.clip(u / BLEND_U, -1, 1) + 1) / 2
    base = base_right + share * (base_left - base_right)
    dx = u * np.where(u < 0, half_right, half_left)
    centre = (2 * apex + base_right + base_left) / 4
    dy = apex + v * (base - apex) - centre
    cos, sin = np.cos(tilt), np.sin(tilt)
    return midline + dx * cos - dy * sin, centre + dx * sin + dy * cos


@cache
def _template() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return u, v, expected brightness (0 to 1) and weight of the template's points.

    Lungs are dark, darkest in their middle; at the apex the clavicles lie over them. Heart, midline and what is
    below the diaphragm are bright, so is a narrow band of chest wall; farther out there may be air.
    """
    u, v = np.meshgrid(np.linspace(-1.3, 1.3, 261), np.linspace(-0.2, 1.25, 146))
    side = np.abs(u)
    lung = inside_polygon(LUNG_OUTLINE, side, v)
    depth = ndimage.distance_transform_edt(lung) * 0.01
    expected = np.full(u.shape, 0.85)
    expected[lung] = np.clip(0.55 - 3.0 * depth[lung], 0.05, 0.55) + 1.2 * np.clip(0.22 - v[lung], 0, 1)
    heart = ((u - 0.2) / 0.42) ** 2 + ((v - 0.72) / 0.24) ** 2 < 1
    heart |= ((u + 0.12) / 0.22) ** 2 + ((v - 0.75) / 0.18) ** 2 < 1
    expected[heart] = np.maximum(expected[heart], 0.75)
    middle = side < MIDLINE_U + 0.03
    expected[middle] = np.clip(0.8 + 0.3 * v[middle], 0.8, 1.0)
    expected[(v > 0.9) & ~lung & (side < 1)] = 1.0
    expected[v < 0] = 0.75
    expected = ndimage.gaussian_filter(expected, 2)
    weight = np.ones(u.shape)
    weight[(side > 1.15) | (v < -0.1) | (v > 1.15)] = 0.0
    weight[(side > 1.0) & (v < 0.12)] *= 0.4
    weight[(side > 1.0) & (v > 1.0)] *= 0.3
    weight[(side > 1.0) & (v < 0.05)] *= 0.5
    kept = np.zeros(u.shape, np.bool_)
    kept[::7, ::10] = True
    kept &= weight > 0
    return u[kept], v[kept], expected[kept], weight[kept]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matcher:
    """The template's points ready to be held against a picture."""

    u: FloatArray
    v: FloatArray
    root: FloatArray
    """Square root of each point's weight."""
    trend: FloatArray
    """Orthonormal columns: brightness that any film may have, whatever lies in it."""
    expected: FloatArray
    """Weighted, freed of the trend, of length 1."""


@cache
def _matcher(side: int) -> _Matcher:
    """Return the whole template (side 0), or its right (-1) or left (1) half with the midline.

    The trend is level and slope of the darkening towards shoulders and neck, where the body gets thin.
    """
    u, v, expected, weight = _template()
    if side:
        kept = side * u > -MIDLINE_U
        u, v, expected, weight = u[kept], v[kept], expected[kept], weight[kept]
    root = np.sqrt(weight)
    height = np.clip(SHOULDER_V - v, 0, None)
    trend, _ = np.linalg.qr(np.column_stack([np.ones_like(u), height, height**2]) * root[:, None])
    target = expected * root
    target = target - trend @ (trend.T @ target)
    return _Matcher(u=u, v=v, root=root, trend=trend, expected=target / np.linalg.norm(target))


def _correlation(picture: FloatArray, parameters: FloatArray, side: int = 0) -> FloatArray:
    """Return the correlation of picture and template, both freed of the trend, for n frames.

    ``side`` as in `_matcher`. Beyond the picture its edge goes on; of the whole template that costs.
    """
    m = _matcher(side)
    height, width = picture.shape
    x, y = _warp(parameters, m.u, m.v)
    seen = (
        picture[np.clip(y, 0, height - 1).astype(np.intp), np.clip(x, 0, width - 1).astype(np.intp)] * m.root
    )
    seen = seen - (seen @ m.trend) @ m.trend.T
    correlation: FloatArray = (seen @ m.expected) / np.maximum(np.sqrt((seen * seen).sum(axis=1)), 1e-6)
    if side:
        return correlation
    off = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    cost: FloatArray = OFF_PICTURE_COST * (off @ m.root**2) / float(m.root @ m.root)
    return correlation - cost


def _penalty(parameters: FloatArray) -> FloatArray:
    """Return what an unlikely thorax costs: unequal halves, a far higher dome on one side, odd proportions."""
    _, apex, base_right, base_left, half_right, half_left, tilt = parameters.T
    tall = (base_right + base_left) / 2 - apex
    shape = tall / np.maximum(half_right + half_left, 1e-6)
    halves = np.abs(np.log(np.clip(half_right / np.maximum(half_left, 1e-6), 0.1, 10)))
    bases = np.abs(base_right - base_left) / np.maximum(tall, 1e-6)
    cost: FloatArray = (
        0.3 * np.clip(halves - 0.15, 0, None)
        + 1.0 * np.clip(bases - 0.06, 0, None)
        + 2.0 * np.clip(shape - WIDTHS_ALLOWED[1], 0, None)
        + 2.0 * np.clip(WIDTHS_ALLOWED[0] - shape, 0, None)
        + 3.0 * tilt**2
    )
    return cost


def _search(picture: FloatArray) -> tuple[FloatArray, float]:
    """Return the seven parameters that fit best, in work px, and their score."""
    height, width = picture.shape
    grid = np.stack(
        np.meshgrid(
            np.linspace(0.38, 0.62, 7) * width,
            np.linspace(-0.02, 0.34, 7) * height,
            np.linspace(0.4, 1.0, 7) * height,
            np.linspace(0.24, 0.52, 6) * width,
            indexing="ij",
        ),
        axis=-1,
    ).reshape(-1, 4)
    midline, apex, tall, half = grid.T
    base = apex + tall
    shape = tall / (2 * half)
    likely = (shape > WIDTHS_ALLOWED[0]) & (shape < WIDTHS_ALLOWED[1]) & (base < 1.12 * height)
    starts = np.column_stack([midline, apex, base, base, half, half, np.zeros(len(grid))])
    starts = starts[likely] if likely.any() else starts
    best = starts[np.argsort(-_correlation(picture, starts), kind="stable")[:N_START]]
    random = np.random.default_rng(SEED)
    step = np.array(
        [0.03 * width, 0.03 * height, 0.05 * height, 0.05 * height, 0.03 * width, 0.03 * width, 0.08]
    )
    for _ in range(N_ROUNDS):
        tries = best[:, None] + random.normal(size=(len(best), N_TRIES, 7)) * step
        pool = np.concatenate([best, tries.reshape(-1, 7)])
        pool = pool[np.minimum(pool[:, 2], pool[:, 3]) - pool[:, 1] > 0.2 * height]
        pool = pool[np.minimum(pool[:, 4], pool[:, 5]) > 0.08 * width]
        if not len(pool):
            break
        value = _correlation(picture, pool) - _penalty(pool)
        best = pool[np.argsort(-value, kind="stable")[:N_START]]
        step = step * STEP_SHRINK
    return best[0], min(float(_correlation(picture, best[:1], side)[0]) for side in (0, -1, 1))


def _heart_width(picture: FloatArray, frame: ThoraxFrame, side: int) -> float:
    """Return by which factor the heart's border on one side lies farther out than usual.

    The border is where brightness falls most from the heart outwards into the lung; an unusual one costs.
    """
    u, v = np.array(HEART_BORDERS[side]).T
    v = np.linspace(v[0], v[-1], 7)
    u = np.interp(v, *np.array(HEART_BORDERS[side]).T[::-1])
    factor = np.linspace(*HEART_FACTORS, 29)
    inner, outer = (
        _sampled(
            picture, np.stack(frame.to_px(factor[:, None] * u + side * shift, np.tile(v, (29, 1))), axis=-1)
        )
        for shift in (-HEART_EDGE_U, HEART_EDGE_U)
    )
    gain = (inner - outer).mean(axis=1) - HEART_STRAY_COST * np.log(factor) ** 2
    return float(factor[gain.argmax()]) * HEART_OUTER


def _resampled(outline: Outline, n: int) -> FloatArray:
    """Return n points at equal distances along a closed outline, (n, 2)."""
    closed = np.array([*outline, outline[0]])
    length = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))))
    at = np.linspace(0, length[-1], n, endpoint=False)
    return np.column_stack([np.interp(at, length, closed[:, 0]), np.interp(at, length, closed[:, 1])])


def _outline(picture: FloatArray, frame: ThoraxFrame, side: int) -> FloatArray:
    """Return one lung's outline in work px, (N_OUTLINE, 2): the template's, each point moved across itself.

    Dynamic programming over the offsets: contrast from dark inside to bright outside is gained, far and uneven
    offsets cost. Where heart and spine hide the lung's border the template is kept.
    """
    start = min(range(len(LUNG_OUTLINE)), key=lambda i: abs(LUNG_OUTLINE[i][1] - 0.34) + LUNG_OUTLINE[i][0])
    u, v = _resampled(LUNG_OUTLINE[start:] + LUNG_OUTLINE[:start], N_OUTLINE).T
    points = np.column_stack(frame.to_px(side * u, v))
    half = frame.half_width_right_px if side < 0 else frame.half_width_left_px
    tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    normal = np.column_stack([tangent[:, 1], -tangent[:, 0]])
    normal /= np.maximum(np.hypot(*normal.T), 1e-9)[:, None]
    x, y = points.T
    if np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) < 0:
        normal = -normal
    offset = np.linspace(-REACH, REACH, N_OFFSETS)
    place = points[:, None] + (offset * half)[None, :, None] * normal[:, None]
    contrast = np.zeros((N_OUTLINE, N_OFFSETS))
    smooth = ndimage.gaussian_filter(picture, 1.0)
    for span in (EDGE_SPAN / 2, EDGE_SPAN):
        across = span * half * normal[:, None]
        contrast += (_sampled(smooth, place + across) - _sampled(smooth, place - across)) / 2
    height, width = picture.shape
    on = (place[..., 0] > 0) & (place[..., 0] < width) & (place[..., 1] > 0) & (place[..., 1] < height)
    trust = np.where(u < 0.25, 0.3, 1.0)
    trust[v < CROSSED_V] *= CROSSED_TRUST
    if side > 0:
        trust[(v > 0.45) & (u < 0.45)] = 0.15
    gain = trust[:, None] * np.where(on, contrast, 0.0) - STRAY_COST * offset**2
    # Both ends of the chain are the same point of the outline, beside the spine: it stays.
    gain[[0, -1]] -= 2 * BEND_COST * offset**2
    moved = ndimage.gaussian_filter1d(_best_path(gain, offset), 1.0, mode="wrap")
    free = np.clip((u - 0.3) / 0.2, 0, 1)
    outline: FloatArray = points + ((moved + OUTER_EDGE * free) * half)[:, None] * normal
    return outline


def _sampled(picture: FloatArray, place: FloatArray) -> FloatArray:
    """Return the picture's brightness at (..., 2) places in px, by linear interpolation."""
    values: FloatArray = ndimage.map_coordinates(
        picture, [place[..., 1] - 0.5, place[..., 0] - 0.5], order=1, mode="nearest"
    )
    return values


def _best_path(gain: FloatArray, offset: FloatArray) -> FloatArray:
    """Return the offset of each point that gains most over the whole chain."""
    bend = -BEND_COST * (offset[:, None] - offset[None, :]) ** 2
    total = gain[0]
    came_from = np.zeros(gain.shape, np.intp)
    for i in range(1, len(gain)):
        options = total[:, None] + bend
        came_from[i] = options.argmax(axis=0)
        total = options.max(axis=0) + gain[i]
    path = np.empty(len(gain), np.intp)
    path[-1] = total.argmax()
    for i in range(len(gain) - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    chosen: FloatArray = offset[path]
    return chosen


def _tightened(frame: ThoraxFrame, outlines: list[FloatArray]) -> tuple[ThoraxFrame, list[FloatArray]]:
    """Return the frame that the moved outlines span, and the outlines in it."""
    right, left = outlines
    apex = float(np.mean([right[:, 1].min(), left[:, 1].min()]))
    tall_right, tall_left = frame.base_right_y_px - frame.apex_y_px, frame.base_left_y_px - frame.apex_y_px
    tight = replace(
        frame,
        apex_y_px=frame.apex_y_px + apex * (tall_right + tall_left) / 2,
        base_right_y_px=frame.apex_y_px + float(right[:, 1].max()) * tall_right,
        base_left_y_px=frame.apex_y_px + float(left[:, 1].max()) * tall_left,
        half_width_right_px=frame.half_width_right_px * float(-right[:, 0].min()),
        half_width_left_px=frame.half_width_left_px * float(left[:, 0].max()),
    )
    return tight, [np.column_stack(tight.from_px(*frame.to_px(*points.T))) for points in outlines]

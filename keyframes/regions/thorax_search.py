"""Where a frontal thorax lies on a picture: an intensity template, warped until it fits best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from keyframes.regions.anatomy import LUNG_OUTLINE
from keyframes.regions.region_map import Region
from keyframes.regions.thorax_frame import ThoraxFrame, warp
from keyframes.regions.thorax_kernel import look

__all__ = ["search", "turned_farther"]

FloatArray = NDArray[np.float64]

_LUNG = Region(name="lung", polygon=LUNG_OUTLINE)

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
BASE_V = 0.68
"""A lung's base begins here, where fluid collects in an upright patient."""
FARTHER_RAD = np.radians(5.0)
"""More than what is left of a small turn, less than a large one's rest."""
SHOULDER_V = 0.4
"""The darkening towards the shoulders begins here, as a quadratic trend upwards."""


def search(picture: FloatArray) -> tuple[ThoraxFrame, float]:
    """Return the frame that fits best, in px of ``picture``, and its score.

    picture : (h, w) brightness, about 0 to 1, bright = dense. The score is the least correlation, -1 to 1, of the
    whole template and of either half.
    """
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
    frame = ThoraxFrame(**dict(zip(ThoraxFrame.__slots__, best[0].tolist(), strict=True)))
    return frame, min(float(_correlation(picture, best[:1], side)[0]) for side in (0, -1, 1))


def turned_farther(picture: FloatArray, frame: ThoraxFrame) -> bool:
    """Say whether the frame that `search` found fits better tilted farther: it follows no large turn to its end."""
    found = frame.parameters()
    farther = found.copy()
    farther[-1] += np.copysign(FARTHER_RAD, frame.tilt_rad)
    fits = _correlation(picture, np.stack([found, farther]))
    return bool(fits[1] > fits[0])


@cache
def _template() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return u, v, expected brightness (0 to 1) and weight of the template's points.

    Lungs are dark, darkest in their middle; at the apex the clavicles lie over them. Heart, midline and what is
    below the diaphragm are bright, so is a narrow band of chest wall; farther out there may be air.
    """
    u, v = np.meshgrid(np.linspace(-1.3, 1.3, 261), np.linspace(-0.2, 1.25, 146))
    side = np.abs(u)
    lung = _LUNG.contains(side, v)
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

    The trend is the level, the darkening towards shoulders and neck, where the body gets thin, and the brightness of
    either base, which fluid or collapse may whiten.
    """
    u, v, expected, weight = _template()
    if side:
        kept = side * u > -MIDLINE_U
        u, v, expected, weight = u[kept], v[kept], expected[kept], weight[kept]
    root = np.sqrt(weight)
    height = np.clip(SHOULDER_V - v, 0, None)
    base = _LUNG.contains(np.abs(u), v) & (v > BASE_V)
    bases = [base & (one_side * u > 0) for one_side in (-1, 1) if side in (0, one_side)]
    columns = np.column_stack([np.ones_like(u), height, height**2, *bases])
    trend, _ = np.linalg.qr(columns * root[:, None])
    target = expected * root
    target = target - trend @ (trend.T @ target)
    return _Matcher(u=u, v=v, root=root, trend=trend, expected=target / np.linalg.norm(target))


def _correlation(picture: FloatArray, parameters: FloatArray, side: int = 0) -> FloatArray:
    """Return the correlation of picture and template, both freed of the trend, for n frames.

    ``side`` as in `_matcher`. Beyond the picture its edge goes on; of the whole template that costs.
    """
    m = _matcher(side)
    x, y = warp(parameters, m.u, m.v)
    seen, off = look(picture, x, y, m.root)
    seen = seen - (seen @ m.trend) @ m.trend.T
    correlation: FloatArray = (seen @ m.expected) / np.maximum(np.sqrt((seen * seen).sum(axis=1)), 1e-6)
    if side:
        return correlation
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
        + 2.0 * tilt**2
    )
    return cost

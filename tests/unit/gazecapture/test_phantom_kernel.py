"""The kernels that draw phantoms do what numpy, or Python itself, would do: to the bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gazecapture.radiograph import phantom_kernel
from gazecapture.radiograph.phantom_canvas import FIELD_HEIGHT_MM, Canvas, Points, Pose

CANVAS = Canvas(
    width_px=37, height_px=41, spacing_mm=9.5,
    pose=Pose(scale=1.03, tilt_rad=0.02, x_shift_mm=2.5, y_shift_mm=-3.0),
)  # fmt: skip


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_volumes_fall_on_the_four_nearest_pixels_as_numpy_adds_them(kind: type) -> None:
    rng = np.random.default_rng(3)

    def drawn(low: float, high: float) -> Points:
        return rng.uniform(low, high, 500).astype(kind)

    clouds = [(drawn(-220, 220), drawn(-60, 480), drawn(0, 5)) for _ in range(2)]
    clouds[0][0][:3] = np.nan, np.inf, -np.inf
    x, y, volume = (np.concatenate([c[i] for c in clouds]).astype(np.float64) for i in range(3))
    column, row = (v - 0.5 for v in CANVAS.to_px(x, y))
    left, top = np.floor(column), np.floor(row)
    inside = (left >= 0) & (left < 36) & (top >= 0) & (top < 40)
    assert 100 < inside.sum() < inside.size, "some fall beside the canvas"
    left, top, column, row, volume = (v[inside] for v in (left, top, column, row, volume))
    right_share, low_share = column - left, row - top
    total = np.zeros(37 * 41)
    for step, share in (
        (0, (1 - right_share) * (1 - low_share)), (1, right_share * (1 - low_share)),
        (37, (1 - right_share) * low_share), (38, right_share * low_share),
    ):  # fmt: skip
        total += np.bincount((top * 37 + left).astype(int) + step, volume * share, total.size)
    pose = CANVAS.pose
    turn = (math.cos(pose.tilt_rad) * pose.scale, math.sin(pose.tilt_rad) * pose.scale)
    parts = np.zeros((37 * 41, 4))
    for cloud in clouds:
        phantom_kernel.splat(
            parts,
            *cloud,
            turn,
            (pose.x_shift_mm, pose.y_shift_mm),
            FIELD_HEIGHT_MM / 2,
            CANVAS.spacing_mm,
            37,
        )
    np.testing.assert_array_equal(phantom_kernel.gathered(parts, 37), total)
    total *= pose.scale**2 / CANVAS.spacing_mm**2
    np.testing.assert_array_equal(CANVAS.splat(*clouds).ravel(), total.astype(np.float32))


def test_a_hollow_bone_is_what_numpy_makes_of_it_in_single_floats() -> None:
    rng = np.random.default_rng(4)
    n, m, k = 5, 3, 11
    line, tangent, tall, wide = rng.normal(0, 50, (4, n, 2)).astype(np.float32)
    length, a, b, cortex = rng.uniform(0.1, 6, (4, n)).astype(np.float32)
    section = rng.uniform(-1, 1, (2, k)).astype(np.float32)
    jitter = rng.random((n * m, k), np.float32)
    marrow, share = np.float32(0.16), np.float32(1 / 7)
    x, y, volume = phantom_kernel.hollow(
        line, tangent, tall, wide, length, a, b, cortex, section, jitter, marrow, share
    )

    def each(values: np.ndarray) -> np.ndarray:
        return np.repeat(values, m)[:, None]

    u, v = section
    shift = np.tile((np.arange(m) + 0.5) / m - 0.5, n).astype(np.float32)[:, None]
    along = each(length) * (shift + (jitter - 0.5) / m)
    inner = (u * each(a / np.maximum(a - cortex, 0.3))) ** 2 + (
        v * each(b / np.maximum(b - cortex, 0.3))
    ) ** 2
    for found, axis in ((x, 0), (y, 1)):
        expected = (
            each(line[:, axis])
            + along * each(tangent[:, axis])
            + u * (each(a) * each(tall[:, axis]))
            + v * (each(b) * each(wide[:, axis]))
        )
        np.testing.assert_array_equal(found, expected.ravel())
    density = np.where(inner > 1, np.float32(1), marrow)
    assert 0 < (density < 1).sum() < density.size
    np.testing.assert_array_equal(volume, (density * (each(length) * each(a) * each(b) * share)).ravel())


def vessels(draws: np.ndarray, *, python: bool = False) -> np.ndarray:
    kernel = phantom_kernel.grown.py_func if python else phantom_kernel.grown
    table: np.ndarray = kernel(
        trunks=np.array([(30.0, 150.0, 0.3, 4.0), (35.0, 160.0, 1.2, 2.0)]),
        draws=draws,
        floor=np.full(200, 260.0),
        edge=np.full(600, 130.0),
        top=60.0,
        step=3.0,
        taper=0.0345,
        least_radius=0.28,
        n_enough=900,
    )
    return table


def test_vessels_grow_as_in_plain_python_within_their_bounds() -> None:
    draws = np.random.default_rng(5).random(20_000)
    table = vessels(draws)
    assert len(table) > 200
    np.testing.assert_allclose(table, vessels(draws, python=True), rtol=1e-9)
    assert table[:, 2].max() <= 130
    assert table[:, 2].min() >= 10
    assert table[:, 3].min() >= 60
    assert table[:, 3].max() <= 260
    assert table[:, 4].min() > 0.28


def test_vessels_that_chances_do_not_suffice_for_are_not_guessed_at() -> None:
    with pytest.raises(IndexError):
        vessels(np.full(40, 0.5))

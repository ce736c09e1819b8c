from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageChops

from keyframes import render
from keyframes.heatmap import log_normalised
from keyframes.lighting import lit_by

CELLS = 256


@pytest.mark.parametrize(("width", "height", "shrunk_to"), [(636, 764, 764), (2022, 1900, 768), (90, 50, 90)])
def test_a_lit_picture_is_what_pillow_makes_of_it(width: int, height: int, shrunk_to: int) -> None:
    rng, longest = np.random.default_rng(3), max(width, height)
    cell_px = max(1.0, longest / CELLS)
    cells = (int(np.ceil(height / cell_px)), int(np.ceil(width / cell_px)))
    light8 = rng.integers(0, 256, cells, dtype=np.uint8)
    size = (round(width * shrunk_to / longest), round(height * shrunk_to / longest))
    grey8 = rng.integers(0, 256, size[::-1], dtype=np.uint8)
    covered = (width / cell_px, height / cell_px)
    light = Image.fromarray(light8).resize(size, Image.Resampling.BILINEAR, box=(0.0, 0.0, *covered))
    np.testing.assert_array_equal(
        lit_by(grey8, light8, covered_cells=covered), ImageChops.multiply(Image.fromarray(grey8), light)
    )


def test_a_picture_smaller_than_its_map_differs_from_pillow_by_no_more_than_rounding() -> None:
    rng = np.random.default_rng(4)
    light8 = rng.integers(0, 256, (256, 213), dtype=np.uint8)
    grey8 = np.full((60, 50), 255, np.uint8)
    box = (0.0, 0.0, 212.6, 256.0)
    light = np.asarray(Image.fromarray(light8).resize((50, 60), Image.Resampling.BILINEAR, box=box), np.int16)
    lit = lit_by(grey8, light8, covered_cells=(212.6, 256.0))
    assert np.abs(lit - light).max() <= 1


def test_full_light_changes_nothing_and_no_light_leaves_nothing() -> None:
    grey8 = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for light, expected in ((255, grey8), (0, np.zeros_like(grey8))):
        found = lit_by(grey8, np.full((4, 4), light, np.uint8), covered_cells=(4.0, 4.0))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("peak_s", [0.0, 1e-6, 1e-3, 0.3, 400.0])
def test_cells_left_out_for_being_faint_are_as_dark_as_their_logarithm_makes_them(peak_s: float) -> None:
    shares = np.append(np.linspace(0.0, 2e-3, 20_001), 1.0)  # of the greatest logarithm
    heat = (np.expm1(shares * np.log1p(1000.0 * peak_s)) / 1000.0).astype(np.float32)[None]
    light = 255.0 * (render.DARK + (1.0 - render.DARK) * log_normalised(heat))
    assert np.array_equal(render._light8(heat), (light + 0.5).astype(np.uint8))

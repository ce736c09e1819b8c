from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from gazecapture.radiograph.decode import load_radiograph
from keyframes.errors import ImageError
from keyframes.regions.atlas import fit
from keyframes.regions.devices import _filled, _opened, find_device

LUNGS = (100.0, 100.0, 900.0, 900.0)


def chest(noise: float = 3.0) -> NDArray[np.float64]:
    """Two dark lungs in grey tissue, with soft ribs: nothing steep."""
    y, x = np.mgrid[0:1000, 0:1000]
    film = np.full((1000, 1000), 170.0)
    for middle in (300, 700):
        film -= 90 / (1 + np.exp((np.hypot((x - middle) / 170, (y - 500) / 330) - 1) * 25))
    film += 12 * np.sin(y / 14)
    return film + np.random.default_rng(1).normal(0, noise, film.shape)


def with_generator(film: NDArray[np.float64], x: int, y: int) -> NDArray[np.float64]:
    film = film.copy()
    film[y : y + 120, x : x + 130] += 70
    for row in range(y + 15, y + 100, 24):
        film[row : row + 10, x + 15 : x + 115] += 60
    return film


def as_grey(film: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(film, 0, 255).astype(np.uint8)


def iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


@pytest.mark.parametrize(("x", "y"), [(640, 300), (240, 320), (660, 500)])
def test_a_generator_is_found_where_it_is(x: int, y: int) -> None:
    device = find_device(as_grey(with_generator(chest(), x, y)), LUNGS)
    assert device is not None
    assert iou(device.box, (x, y, x + 130, y + 120)) > 0.7


def test_a_port_is_found_by_its_ring() -> None:
    film = chest()
    y, x = np.mgrid[0:1000, 0:1000]
    film[np.abs(np.hypot(x - 300, y - 380) - 40) < 6] += 110
    film[np.abs(np.hypot(x - 300, y - 380) - 20) < 3] += 60
    device = find_device(as_grey(film), LUNGS)
    assert device is not None
    assert iou(device.box, (254, 334, 346, 426)) > 0.6  # its soft margin counts in


def test_nothing_is_found_where_there_is_none() -> None:
    assert find_device(as_grey(chest()), LUNGS) is None
    assert find_device(np.zeros((64, 64), np.uint8), (0, 0, 64, 64)) is None


def test_a_marker_outside_the_lungs_is_no_device() -> None:
    assert find_device(as_grey(with_generator(chest(), 850, 5)), (150, 150, 800, 850)) is None


def test_a_soft_opacity_and_a_thin_lead_are_no_device() -> None:
    film = chest()
    y, x = np.mgrid[0:1000, 0:1000]
    film += 70 / (1 + np.exp((np.hypot(x - 700, y - 420) - 70) / 8))
    film[200:800, 300:304] += 90
    assert find_device(as_grey(film), LUNGS) is None


@pytest.mark.shared
def test_no_device_is_named_on_real_films_without_one(shared: Path) -> None:
    pictures = sorted((shared / "data" / "radiographs").rglob("*.*"))
    found = []
    for path in pictures:
        if path.parent.name not in {"dicom", "images", "png"}:
            continue
        try:
            grey8 = load_radiograph(path).grey8()
        except ImageError:
            continue
        found += [path.name] if "device" in fit(grey8).regions else []
    assert found == []


@given(
    height=st.integers(1, 30), width=st.integers(1, 30), radius=st.integers(1, 6), share=st.floats(0.5, 1.0),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_what_a_disk_reaches_is_an_opening(
    height: int, width: int, radius: int, share: float, seed: int
) -> None:
    mask = ndimage.uniform_filter(np.random.default_rng(seed).random((height, width)), 3) < share
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    expected = ndimage.binary_opening(mask, structure=x * x + y * y <= radius * radius)
    assert np.array_equal(_opened(mask, radius, np.ones_like(mask)), expected)
    part = np.zeros_like(mask)
    part[height // 3 : height // 2 + 1, width // 4 : 2 * width // 3 + 1] = True
    assert np.array_equal(_opened(mask, radius, part)[part], expected[part])
    assert np.array_equal(_filled(mask), ndimage.binary_fill_holes(mask))

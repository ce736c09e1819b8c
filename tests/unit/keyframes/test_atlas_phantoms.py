"""The atlas against the true anatomy of phantoms: the letter of a place, as a reader's fixations would ask for it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from gazecapture.radiograph.phantom import make_phantom
from keyframes.regions import atlas
from keyframes.regions.assignment import primary_region
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import load_scheme

SCHEME = load_scheme()
LOOKED_AT = (
    "trachea", "carina", "left upper lung zone", "right upper lung zone", "left mid lung zone", "right mid lung zone",
    "left lower lung zone", "right lower lung zone", "left lung", "right lung", "left hilar structures",
    "right hilar structures", "cardiac silhouette", "mediastinum", "aortic arch", "left hemidiaphragm",
    "right hemidiaphragm", "left costophrenic angle", "right costophrenic angle", "spine", "left clavicle",
    "right clavicle", "abdomen",
)  # fmt: skip
SEEDS = (901, 902, 903, 904, 905, 906)


@cache
def phantom(seed: int) -> tuple[NDArray[np.uint8], RegionMap]:
    made = make_phantom(
        seed,
        findings=["Cardiomegaly"] if seed == 903 else ["Pleural Effusion"] if seed == 906 else [],
        size_px=(352, 428),
    )
    return (made.pixels >> 4).astype(np.uint8), made.region_map


def places(truth: RegionMap, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points looked at: as many in each region, an eighth of its box away from its edge, and some anywhere."""
    random = np.random.default_rng(seed)
    chosen = []
    for name in LOOKED_AT:
        region = truth.regions[name]
        x0, y0, x1, y1 = region.box
        x, y = random.uniform((x0, y0), (x1, y1), (600, 2)).T
        deep = np.ones(x.shape, np.bool_)
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            deep &= region.contains(x + dx * (x1 - x0) / 8, y + dy * (y1 - y0) / 8)
        chosen.append(np.column_stack([x, y])[deep][:15])
    size = (truth.width_px, truth.height_px)
    chosen.append(random.uniform((0.1 * size[0], 0.1 * size[1]), (0.9 * size[0], 0.95 * size[1]), (50, 2)))
    x, y = np.concatenate(chosen).T
    return x, y


def letter_accuracy(found: RegionMap, truth: RegionMap, seed: int) -> float:
    x, y = places(truth, seed)
    mine, true = primary_region(found, SCHEME, x, y), primary_region(truth, SCHEME, x, y)
    return float(
        np.mean([SCHEME.letter_of(a) == SCHEME.letter_of(b) for a, b in zip(mine, true, strict=True)])
    )


def test_letters_on_phantoms_are_those_of_their_true_anatomy() -> None:
    accuracy = []
    for seed in SEEDS:
        grey, truth = phantom(seed)
        found = atlas.fit(grey)
        assert found.confidence >= atlas.FOUND_CONFIDENCE
        accuracy.append(letter_accuracy(found, truth, seed))
    assert np.mean(accuracy) >= 0.9, accuracy
    assert min(accuracy) >= 0.82, accuracy


def test_the_measure_can_fail() -> None:
    for seed in SEEDS[:2]:
        grey, truth = phantom(seed)
        assert letter_accuracy(truth, truth, seed) == 1.0
        assert (
            letter_accuracy(atlas.plain(grey), truth, seed)
            < letter_accuracy(atlas.fit(grey), truth, seed) - 0.05
        )


@pytest.mark.parametrize("turned", [False, True])
def test_a_lying_phantom_is_not_taken_for_a_standing_one(turned: bool) -> None:
    grey, _ = phantom(SEEDS[0])
    wrong = np.rot90(grey).copy() if turned else 255 - grey
    assert atlas.fit(wrong).confidence < atlas.FOUND_CONFIDENCE


TILTS_DEG = (-35, -20, 20, 35)


def spoilt(grey: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Return a film exposed beyond use and turned beyond what the template follows."""
    plain = grey.astype(np.float64)
    films = {
        "burnt out": np.clip(plain + 170, 0, 255),
        "windowed to black": np.clip(plain - np.percentile(plain, 80), 0, 255),
    }
    for turn in TILTS_DEG:
        films[f"turned by {turn}"] = ndimage.rotate(plain, turn, reshape=False, order=1, mode="nearest")
    return {name: film.astype(np.uint8) for name, film in films.items()}


@pytest.mark.parametrize("seed", SEEDS[1:3])
def test_a_phantom_exposed_beyond_use_or_turned_is_not_found(seed: int) -> None:
    grey, _ = phantom(seed)
    for name, film in spoilt(grey).items():
        assert atlas.fit(film).confidence < atlas.FOUND_CONFIDENCE, name


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_a_phantom_a_little_turned_or_brighter_is_found(seed: int) -> None:
    grey, _ = phantom(seed)
    plain = grey.astype(np.float64)
    turned = ndimage.rotate(plain, 4, reshape=False, order=1, mode="nearest")
    for film in (turned, np.clip(plain + 20, 0, 255), plain * 0.7):
        assert atlas.fit(film.astype(np.uint8)).confidence >= atlas.FOUND_CONFIDENCE

"""The chain of providers: when the built-in atlas answers, and what it makes of a person's chest box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gazecapture.radiograph.film import Film
from gazecapture.radiograph.phantom import make_phantom
from gazecapture.radiograph.regions import from_atlas, region_map, regions_of_film
from keyframes.regions import atlas
from keyframes.regions.region_map import Region, RegionMap

PHANTOM = make_phantom(6, size_px=(352, 428))
GREY = (PHANTOM.pixels >> 4).astype(np.uint8)
FILM = Film(width_px=352, height_px=428, grey8=GREY)
LUNGS = [PHANTOM.region_map.regions[f"{side} lung"].box for side in ("right", "left")]
CHEST = (LUNGS[0][0], min(box[1] for box in LUNGS), LUNGS[1][2], max(box[3] for box in LUNGS))


def confidence(film: Film) -> float:
    found = from_atlas(film)
    return -1.0 if found is None else found.confidence


def test_what_the_header_says_of_the_body_part() -> None:
    assert confidence(FILM) >= atlas.FOUND_CONFIDENCE
    assert confidence(replace(FILM, body_part="BREAST")) == -1.0
    assert confidence(replace(FILM, view_position="MLO")) == -1.0
    assert confidence(replace(FILM, body_part="KNEE")) == confidence(FILM), (
        "the picture shows a thorax plainly"
    )
    blank = replace(FILM, grey8=np.full_like(GREY, 90))
    assert confidence(replace(blank, body_part="KNEE")) == -1.0
    assert 0 < confidence(replace(blank, body_part="CHEST")) < atlas.FOUND_CONFIDENCE


def test_a_chest_box_judges_the_atlas() -> None:
    agreed = from_atlas(replace(FILM, chest_box=CHEST))
    assert agreed is not None
    assert agreed == from_atlas(FILM)
    small = (150.0, 150.0, 250.0, 260.0)
    for film in (replace(FILM, chest_box=small), replace(FILM, grey8=None, chest_box=small)):
        found = from_atlas(film)
        assert found is not None
        assert (found.provider, found.confidence) == ("imported", 0.6)
        right, left = (found.regions[f"{side} lung"].box for side in ("right", "left"))
        assert (right[0], right[1], left[2], left[3]) == pytest.approx(small, abs=5)
    assert from_atlas(replace(FILM, grey8=None)) is None


def test_a_guess_is_taken_only_where_there_is_nothing_else() -> None:
    def spine(film: Film) -> RegionMap:
        regions = {"spine": Region.from_box("spine", (1, 1, 9, 9))}
        return RegionMap.build(
            width_px=352, height_px=428, regions=regions, provider="imported", confidence=0.2
        )

    blank = replace(FILM, grey8=np.full_like(GREY, 90))
    alone = regions_of_film(blank, (from_atlas,))
    beside = regions_of_film(blank, (spine, from_atlas))
    found = regions_of_film(FILM, (spine, from_atlas))
    assert alone is not None
    assert beside is not None
    assert found is not None
    assert len(alone.regions) == 36
    assert set(beside.regions) == {"spine"}
    assert found.regions["spine"].box == (1, 1, 9, 9)
    assert found.provider_of("left lung") == "atlas"
    assert regions_of_film(FILM, ()) is None


def test_a_picture_of_unknown_origin_always_has_a_map() -> None:
    assert region_map(GREY, view_position="CC").confidence < atlas.FOUND_CONFIDENCE
    assert region_map(GREY).confidence >= atlas.FOUND_CONFIDENCE


def test_the_atlas_looks_at_a_picture_once_however_many_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def look(grey8: NDArray[np.uint8]) -> RegionMap:
        seen.append(grey8.tobytes())
        return atlas.plain(grey8)

    monkeypatch.setattr(atlas, "fit", look)
    monkeypatch.setattr("gazecapture.radiograph.regions.KEPT_FITS", 2)
    films = [np.full((40, 30), grey, np.uint8) for grey in (1, 2, 3)]
    for order, n_looks in (([0, 0, 1, 0, 1], 2), ([2, 2, 1], 3), ([0], 4)):
        for place in order:
            found = from_atlas(Film(width_px=30, height_px=40, sha256="", grey8=films[place]))
            assert found == atlas.plain(films[place])
        assert len(seen) == n_looks

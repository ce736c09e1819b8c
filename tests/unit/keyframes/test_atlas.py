"""The built-in atlas: finds a drawn thorax wherever it lies, and says so honestly when there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from gazecapture.radiograph import regions as chain
from gazecapture.radiograph.film import Film
from keyframes.errors import ImageError
from keyframes.regions import atlas
from keyframes.regions.assignment import primary_region
from keyframes.regions.region_map import RegionMap
from keyframes.regions.schemes import load_scheme
from keyframes.regions.thorax import find_thorax
from keyframes.regions.thorax_frame import ThoraxFrame

SCHEME = load_scheme()
GRID = 160


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A drawn frontal film: two dark ellipses cut at a dome, a bright heart, a bright body, dark air beside it."""

    width: int = 700
    height: int = 800
    midline: float = 0.5
    apex: float = 0.12
    base: float = 0.75
    half: float = 0.38
    heart: float = 0.55

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        y, x = np.mgrid[: self.height, : self.width] + 0.5
        u = (x - self.midline * self.width) / (self.half * self.width)
        v = (y / self.height - self.apex) / (self.base - self.apex)
        return u, v

    def lungs(self) -> NDArray[np.bool_]:
        u, v = self.axes()
        side = np.abs(u)
        dome = 0.88 + 0.12 * np.clip((side - 0.5) / 0.5, 0, 1) ** 2
        wall = 0.35 + 0.65 * np.sqrt(np.clip(1 - (1 - np.clip(v, 0, 0.6) / 0.6) ** 2, 0, 1))
        return (side > 0.17) & (side < wall) & (v > 0) & (v < dome)

    def picture(self) -> NDArray[np.uint8]:
        u, v = self.axes()
        grey = np.where(np.abs(u) < 1.25, 150.0, 8.0)
        grey[v > 0.9] = np.maximum(grey[v > 0.9], 0) * 1.15
        grey[(np.abs(u) < 0.15)] = 190
        grey[self.lungs()] = 60
        heart = ((u - 0.15) / (self.heart * 0.8)) ** 2 + ((v - 0.72) / 0.22) ** 2 < 1
        grey[heart & (v < 0.95)] = 170
        noise = np.random.default_rng(5).normal(0, 6, grey.shape)
        return np.clip(ndimage.gaussian_filter(grey, 3) + noise, 0, 255).astype(np.uint8)


def lungs_of(found: RegionMap, height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:height, :width] + 0.5
    return found.regions["left lung"].contains(x, y) | found.regions["right lung"].contains(x, y)


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(
    "drawn",
    [
        Drawn(),
        Drawn(midline=0.42, apex=0.2, base=0.9),
        Drawn(midline=0.55, half=0.3, apex=0.05, base=0.55),
        Drawn(width=1500, height=1100, half=0.28),
        Drawn(width=150, height=170),
        Drawn(apex=0.03, base=0.97, half=0.46),
    ],
    ids=["plain", "low and left", "small and right", "wide film", "tiny", "filling the film"],
)
def test_a_drawn_thorax_is_found_wherever_it_lies(drawn: Drawn) -> None:
    found = atlas.fit(drawn.picture())
    assert found.confidence >= atlas.FOUND_CONFIDENCE
    assert dice(lungs_of(found, drawn.height, drawn.width), drawn.lungs()) > 0.85


def test_the_map_names_all_36_locations_and_stays_on_the_picture() -> None:
    found = atlas.fit(Drawn(apex=0.05, base=0.98).picture())
    documented = {n for n in SCHEME.regions if n not in {"device", "whole lung", SCHEME.outside}}
    assert set(found.regions) == documented
    assert (found.width_px, found.height_px, found.provider) == (700, 800, "atlas")
    for name, region in found.regions.items():
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= 700, name
        assert 0 <= y0 < y1 <= 800, name
        assert region.name == name
        assert region.area_px2 > 0


def test_left_is_the_patients_left_at_the_right_of_the_film() -> None:
    found = atlas.fit(Drawn().picture())
    for left in (name for name in found.regions if name.startswith("left ")):
        x0, _, x1, _ = found.regions[left].box
        mirrored = found.regions[left.replace("left ", "right ", 1)].box
        assert (x0 + x1) / 2 > (mirrored[0] + mirrored[2]) / 2


def test_what_lies_where_in_a_chest() -> None:
    found = atlas.fit(Drawn().picture())

    def at(u: float, v: float) -> str:
        x = (0.5 + 0.38 * u) * 700
        y = (0.12 + (0.75 - 0.12) * v) * 800
        return SCHEME.letter_of(str(primary_region(found, SCHEME, x, y)))

    assert at(0.0, 0.1) == "A"
    assert at(0.6, 0.3) == at(-0.6, 0.3) == at(-0.7, 0.7) == at(0.9, 0.9) == "B"
    assert at(0.25, 0.7) == at(0.0, 0.7) == at(0.17, 0.27) == at(-0.3, 0.46) == "C"
    assert at(0.5, 1.0) == at(-0.5, 1.02) == "D"
    assert at(0.0, 1.2) == at(1.2, 0.3) == "E"


def test_a_wider_heart_is_seen_as_wider() -> None:
    widths = []
    for heart in (0.5, 0.85):
        x0, _, x1, _ = atlas.fit(Drawn(heart=heart).picture()).regions["cardiac silhouette"].box
        widths.append(x1 - x0)
    assert widths[1] > 1.15 * widths[0]


def test_the_same_picture_always_gives_the_same_map() -> None:
    picture = Drawn().picture()
    assert atlas.fit(picture).to_dict() == atlas.fit(picture.copy()).to_dict()


def test_the_map_scales_with_the_picture() -> None:
    small = atlas.fit(Drawn(width=350, height=400).picture())
    large = atlas.fit(Drawn(width=1400, height=1600).picture())
    assert large.regions["left lung"].box == pytest.approx(
        np.array(small.regions["left lung"].box) * 4, abs=40
    )


NOTHING = {
    "black": np.zeros((500, 400), np.uint8),
    "white": np.full((300, 800), 255, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (500, 400)).astype(np.uint8),
    "ramp": np.tile(np.linspace(0, 255, 600).astype(np.uint8), (500, 1)),
    "one pixel": np.zeros((1, 1), np.uint8),
    "a line": np.arange(200, dtype=np.uint8)[None, :],
    "inverted": 255 - Drawn().picture(),
    "lying": np.rot90(Drawn().picture()).copy(),
    "upside down": Drawn().picture()[::-1].copy(),
    "one lung": Drawn().picture()[:, :350].copy(),
    "blurred": ndimage.gaussian_filter(Drawn().picture(), 45),
}


@pytest.mark.parametrize("name", NOTHING)
def test_where_no_thorax_is_found_a_plain_template_of_low_confidence_stands(name: str) -> None:
    picture = NOTHING[name]
    found = atlas.fit(picture)
    assert found.confidence < atlas.FOUND_CONFIDENCE
    height, width = picture.shape
    assert (found.width_px, found.height_px) == (width, height)
    assert dict(found.regions) == dict(atlas.plain(picture).regions)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32), np.zeros((0, 5), np.uint8)],
    ids=["colour", "float", "empty"],
)
def test_what_is_no_grey_picture_is_refused(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="2-D uint8"):
        atlas.fit(picture)


def test_frame_and_picture_coordinates_are_inverse() -> None:
    frame = ThoraxFrame(
        midline_x_px=300,
        apex_y_px=50,
        base_right_y_px=500,
        base_left_y_px=540,
        half_width_right_px=200,
        half_width_left_px=230,
        tilt_rad=0.1,
    )
    u, v = np.meshgrid(np.linspace(-1.3, 1.3, 20), np.linspace(-0.2, 1.5, 15))
    back_u, back_v = frame.from_px(*frame.to_px(u, v))
    np.testing.assert_allclose(back_u, u, atol=1e-9)
    np.testing.assert_allclose(back_v, v, atol=1e-9)


@pytest.mark.parametrize("turn_deg", [-6, 6])
def test_a_tilted_thorax_is_followed(turn_deg: float) -> None:
    drawn = Drawn()
    turned = ndimage.rotate(drawn.picture(), -turn_deg, reshape=False, order=1, mode="nearest")
    lungs = ndimage.rotate(drawn.lungs().astype(np.uint8), -turn_deg, reshape=False, order=0) > 0
    found = find_thorax(turned)
    assert found.frame.tilt_rad * turn_deg > 0
    assert atlas.fit(turned).confidence >= atlas.FOUND_CONFIDENCE
    assert dice(lungs_of(atlas.fit(turned), drawn.height, drawn.width), lungs) > 0.88


def test_the_chain_answers_with_the_atlas_and_with_a_plain_template_for_a_lateral_view() -> None:
    picture = Drawn().picture()
    assert chain.region_map(picture, view_position="PA").to_dict() == atlas.fit(picture).to_dict()
    assert chain.region_map(picture).confidence >= atlas.FOUND_CONFIDENCE
    for view in ("LL", "lateral", " RL "):
        lateral = chain.region_map(picture, view_position=view)
        assert lateral.confidence < atlas.FOUND_CONFIDENCE
        assert dict(lateral.regions) == dict(atlas.plain(picture).regions)


def test_the_chain_asks_its_providers_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    manual = atlas.plain(Drawn().picture())
    asked: list[str] = []

    def silent(film: Film) -> RegionMap | None:
        asked.append(film.view_position)
        return None

    def speaking(film: Film) -> RegionMap | None:
        return manual

    monkeypatch.setattr(chain, "PROVIDERS", (silent, speaking))
    assert chain.region_map(Drawn().picture(), view_position="AP") is manual
    assert asked == ["AP"]


def real_films(shared: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Films and lung masks, sampled to a quarter each way: the atlas works on 128 px."""
    folder = shared / "data" / "radiographs" / "cxr_mask_pairs"
    pairs = []
    for file in sorted((folder / "images").glob("*.jpg")):
        grey = np.asarray(Image.open(file).convert("L").reduce(4))
        mask = np.asarray(Image.open(folder / "masks" / f"{file.stem}.png").convert("L").reduce(4)) > 127
        pairs.append((grey, mask))
    return pairs


@pytest.mark.shared
def test_lungs_on_real_films(shared: Path) -> None:
    scores, confidences = [], []
    for grey, mask in real_films(shared):
        found = atlas.fit(grey)
        scores.append(dice(lungs_of(found, *grey.shape), mask))
        confidences.append(found.confidence)
    assert len(scores) == 13
    assert np.mean(scores) >= 0.88
    assert min(scores) >= 0.75
    assert min(confidences) >= atlas.FOUND_CONFIDENCE


@pytest.mark.shared
def test_real_films_inverted_turned_halved_or_spoilt_are_not_taken_for_a_thorax(shared: Path) -> None:
    for grey, _ in real_films(shared)[2:6]:
        for wrong in (
            255 - grey,
            np.rot90(grey),
            np.rot90(grey, 3),
            grey[::-1],
            grey[:, : grey.shape[1] // 2],
            ndimage.gaussian_filter(grey, 0.04 * grey.shape[1]),
            np.minimum(grey, 85) + 170,
            ndimage.rotate(grey, 25, reshape=False, order=1, mode="nearest"),
            ndimage.rotate(grey, -25, reshape=False, order=1, mode="nearest"),
        ):
            assert atlas.fit(np.ascontiguousarray(wrong)).confidence < atlas.FOUND_CONFIDENCE

"""Text in the pixels: found where it is, not found where there is none."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gazecapture.radiograph.burned_in import find_burned_in_text
from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.phantom import make_phantom
from keyframes.errors import ImageError

Grey = NDArray[np.uint8]
FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"
CONTAINS_TEXT = {"1663b242.jpg"}
"""A line of German at its upper edge."""


@cache
def phantom(seed: int) -> Grey:
    finding = ["Support Devices"] if seed % 2 else []
    return (make_phantom(seed, findings=finding, size_px=(760, 900)).pixels >> 4).astype(np.uint8)


def with_text(
    grey8: Grey, text: str, *, at: tuple[int, int], size: int = 24, fill: int = 255, turned: bool = False
) -> Grey:
    """Return the picture with a text, and none of its own pixels changed elsewhere."""
    font = ImageFont.truetype(str(FONT), size)
    width, height = (int(n) for n in font.getbbox(text)[2:])
    stamp = Image.new("L", (width + 4, height + 4))
    ImageDraw.Draw(stamp).text((2, 2), text, fill=255, font=font)
    if turned:
        stamp = stamp.rotate(90, expand=True)
    picture = Image.fromarray(grey8)
    picture.paste(fill, at, stamp)
    return np.asarray(picture)


@pytest.mark.parametrize("seed", range(6))
def test_a_film_without_text_is_clean(seed: int) -> None:
    assert find_burned_in_text(phantom(seed)) == ()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("fill", [255, 190])
@pytest.mark.parametrize("text", ["DOE JANE 1949", "MRN 4711923", "12/03/2021"])
def test_a_line_is_found_where_it_stands(text: str, fill: int, turned: bool) -> None:
    grey = with_text(phantom(0), text, at=(20, 690), fill=fill, turned=turned)
    lines = find_burned_in_text(grey)
    assert lines
    changed = np.argwhere(grey != phantom(0))
    (y0, x0), (y1, x1) = changed.min(axis=0), changed.max(axis=0) + 1
    for line in lines:
        left, top, right, bottom = line.box
        assert x0 - 2 <= left < right <= x1 + 2
        assert y0 - 2 <= top < bottom <= y1 + 2
    assert sum(line.n_glyphs for line in lines) >= 3


def test_dark_text_on_a_light_ground_and_text_after_a_lossy_coder() -> None:
    dark = 255 - with_text(255 - np.clip(phantom(2), 120, 255).astype(np.uint8), "DOE JANE", at=(300, 600))
    assert find_burned_in_text(dark)
    coded = io.BytesIO()
    Image.fromarray(with_text(phantom(2), "DOE JANE", at=(20, 700))).save(coded, "JPEG", quality=80)
    assert find_burned_in_text(np.asarray(Image.open(coded)))


@pytest.mark.parametrize("marker", ["R", "L", "LT"])
@pytest.mark.parametrize("size", [24, 44])
def test_a_side_marker_is_no_text(marker: str, size: int) -> None:
    grey = phantom(4)
    for fill, ground in ((255, None), (20, 235)):
        picture = grey.copy()
        if ground is not None:  # dark on a light plate
            picture[690:760, 15:110] = ground
        assert find_burned_in_text(with_text(picture, marker, at=(30, 700), size=size, fill=fill)) == ()


def test_pictures_of_any_size_and_none_at_all() -> None:
    random = np.random.default_rng(1)
    for shape in ((1, 1), (7, 300), (33, 31), (0, 5)):
        assert isinstance(find_burned_in_text(random.integers(0, 255, shape).astype(np.uint8)), tuple)
    with pytest.raises(ImageError, match="uint8"):
        find_burned_in_text(np.zeros((4, 4), np.float64))


@pytest.mark.shared
def test_real_films(shared: Path) -> None:
    films = sorted((shared / "data" / "radiographs" / "cxr_mask_pairs" / "images").glob("*.jpg"))
    flagged = {film.name for film in films if find_burned_in_text(load_radiograph(film).grey8())}
    assert flagged == CONTAINS_TEXT

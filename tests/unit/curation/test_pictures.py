from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from curation.export.pictures import encode_frame_png, encode_png

Encoder = Callable[[NDArray[np.uint8]], bytes]

both = pytest.mark.parametrize("encode", [encode_png, encode_frame_png])


@both
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (64, 48)])
def test_a_picture_comes_back_pixel_for_pixel_and_carries_nothing_else(
    encode: Encoder, shape: tuple[int, int]
) -> None:
    grey = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    content = encode(grey)
    with Image.open(io.BytesIO(content)) as picture:
        picture.verify()  # every chunk's check sum
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        assert picture.info == {}
        assert np.array_equal(np.asarray(picture), grey)


@both
def test_part_of_a_larger_array_is_a_picture_too(encode: Encoder) -> None:
    whole = np.random.default_rng(2).integers(0, 256, (20, 30), dtype=np.uint8)
    part = whole[3:17:2, 29:4:-1]
    with Image.open(io.BytesIO(encode(part))) as picture:
        assert np.array_equal(np.asarray(picture), part)


@both
def test_what_is_plain_takes_next_to_nothing(encode: Encoder) -> None:
    assert len(encode(np.zeros((1000, 1000), np.uint8))) < 8000

"""Specks are what scipy's slower filters and labels say that they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from gazecapture.radiograph.specks import find_specks, steep_per_tile, steepness

CORNERS_COUNT = np.ones((3, 3), np.int64)


def pictures() -> list[NDArray[np.uint8]]:
    """Noise, sparse dots and blocks, of sizes around those of the kernels' blocks; among them slices of larger ones."""
    random = np.random.default_rng(4)
    made = []
    for height, width in ((1, 1), (1, 40), (40, 1), (6, 5), (7, 7), (35, 64), (63, 33), (120, 97)):
        noise = random.integers(0, 256, (height, width)).astype(np.uint8)
        dots = np.where(random.random((height, width)) < 0.3, 200, 10).astype(np.uint8)
        blocks = np.kron(noise, np.ones((3, 4))).astype(np.uint8)
        made += [noise, dots, blocks[2:, 1:], blocks.T]
    return made


@pytest.mark.parametrize("width_px", [5, 7, 31])
def test_specks_are_the_labelled_rest_of_an_opening(width_px: int) -> None:
    for picture in pictures():
        specks = find_specks(picture, width_px=width_px, min_contrast=40)
        opened = ndimage.grey_opening(picture, (width_px, width_px))
        wanted, n_wanted = ndimage.label(picture - np.minimum(opened, picture) >= 40, CORNERS_COUNT)
        labels = np.zeros(picture.shape, np.int64)
        for start, length, owner in zip(specks.start, specks.length, specks.owner, strict=True):
            labels.ravel()[start : start + length] = owner + 1
        assert specks.area.size == n_wanted
        assert np.array_equal(labels, wanted)
        for number, (rows, columns) in enumerate(ndimage.find_objects(wanted)):
            box = (specks.x0[number], specks.y0[number], specks.x1[number], specks.y1[number])
            assert box == (columns.start, rows.start, columns.stop, rows.stop)
            assert specks.area[number] == np.count_nonzero(wanted == number + 1)


def test_room_that_is_given_again_changes_nothing() -> None:
    picture = pictures()[-3]
    room = np.full((2, *picture.shape), 77, np.uint8)
    alone, first, second = (
        find_specks(picture, width_px=7, min_contrast=40, room=one) for one in (None, room, room)
    )
    for name in ("x0", "y0", "x1", "y1", "area", "start", "length", "owner", "bars"):
        assert np.array_equal(getattr(alone, name), getattr(first, name))
        assert np.array_equal(getattr(alone, name), getattr(second, name))


def test_more_runs_than_there_is_room_for_at_first() -> None:
    picture = np.zeros((700, 400), np.uint8)
    picture[:, ::2] = 255
    specks = find_specks(picture, width_px=7, min_contrast=40)
    assert specks.start.size == picture.size // 2
    assert specks.area.tolist() == [700] * 200


def test_pixels_come_speck_by_speck() -> None:
    specks = find_specks(pictures()[-3], width_px=7, min_contrast=40)
    chosen = np.arange(specks.area.size) % 3 == 1
    runs = zip(specks.start, specks.length, specks.owner, strict=True)
    ordered = sorted((owner, start, length) for start, length, owner in runs if chosen[owner])
    wanted = [np.arange(start, start + length) for _, start, length in ordered]
    assert len(wanted) > 3
    assert np.array_equal(specks.pixels_of(chosen), np.concatenate(wanted))


def test_steps_are_counted_by_tile_and_taken_by_box() -> None:
    for picture in pictures():
        wide = picture.astype(np.int64)
        across, down = np.abs(np.diff(wide, axis=1)), np.abs(np.diff(wide, axis=0))
        steep = np.zeros(picture.shape, np.bool_)
        steep[:, 1:] |= across >= 60
        steep[1:] |= down >= 60
        counts = steep_per_tile(picture, 16, 60)
        assert counts.sum() == steep.sum()
        for row, column in np.ndindex(counts.shape):
            tile = steep[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            assert counts[row, column] == tile.sum()
        one = np.ones(1, np.int64)
        (measured,) = steepness(picture, 0 * one, 0 * one, one * picture.shape[1], one * picture.shape[0])
        wanted = max(
            across.max(axis=1, initial=0).mean() if across.size else 0.0,
            down.max(axis=0, initial=0).mean() if down.size else 0.0,
        )
        assert measured == pytest.approx(wanted, abs=1e-12)

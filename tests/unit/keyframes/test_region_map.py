"""Regions as polygons and as masks: areas, membership, merging, and the way through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from keyframes.errors import SchemaError
from keyframes.regions.bitmap import Bitmap, rasterise
from keyframes.regions.region_map import Region, RegionMap

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))
scales = st.sampled_from([0.5, 1.0, 2.5])


def centres(width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return x, y


def ring() -> NDArray[np.bool_]:
    """Two parts, one of them with a hole."""
    mask = np.zeros((20, 30), np.bool_)
    mask[2:12, 3:13] = True
    mask[5:9, 6:10] = False
    mask[15:18, 20:25] = True
    return mask


def test_a_mask_of_two_parts_and_a_hole() -> None:
    grid = Bitmap.from_mask(ring())
    assert grid is not None
    region = Region.from_bitmap("ring", grid)
    assert region.box == (3.0, 2.0, 25.0, 18.0)
    assert region.area_px2 == 100 - 16 + 15
    assert region.contains([3.0, 7.5, 12.99, 22.0, 3.5], [2.0, 6.5, 2.5, 16.0, 12.0]).tolist() == [
        True, False, True, True, False,
    ]  # fmt: skip
    assert region.contains(np.nan, 5.0).tolist() is False
    assert (region.contains(*centres(30, 20)) == ring()).all()


@given(masks, scales, scales)
@settings(max_examples=40)
def test_a_mask_keeps_every_cell_whatever_its_scale(
    mask: NDArray[np.bool_], scale_x: float, scale_y: float
) -> None:
    grid = Bitmap.from_mask(mask, scale_x_px=scale_x, scale_y_px=scale_y)
    if grid is None:
        assert not mask.any()
        return
    x, y = centres(mask.shape[1], mask.shape[0])
    assert (grid.contains(x * scale_x, y * scale_y) == mask).all()
    assert grid.area_px2 == pytest.approx(mask.sum() * scale_x * scale_y)
    if scale_x == scale_y == 1.0:
        assert (grid.on_grid(width_px=mask.shape[1], height_px=mask.shape[0]) == mask).all()


corner = st.tuples(st.floats(-5, 25), st.floats(-5, 20))


@given(st.lists(corner, min_size=3, max_size=7))
@settings(max_examples=60)
def test_a_rasterised_polygon_holds_the_pixels_whose_centres_it_contains(
    corners: list[tuple[float, float]],
) -> None:
    mask = rasterise([corners], width_px=20, height_px=15)
    expected = Region(name="", polygon=tuple(corners)).contains(*centres(20, 15))
    edges = np.asarray(corners)
    assert mask.shape == (15, 20)
    differing = np.argwhere(mask != expected)
    for row, column in differing:  # a centre on an edge to the last bit may fall either way
        assert _distance_to_edges(column + 0.5, row + 0.5, edges) < 1e-9


def _distance_to_edges(x: float, y: float, corners: NDArray[np.float64]) -> float:
    a, b = corners, np.roll(corners, -1, axis=0)
    along = b - a
    length2 = np.maximum((along**2).sum(axis=1), 1e-300)
    t = np.clip(((np.array([x, y]) - a) * along).sum(axis=1) / length2, 0, 1)
    return float(np.hypot(*(a + t[:, None] * along - [x, y]).T).min())


def test_overlapping_polygons_are_one_region() -> None:
    boxes = [[(0, 0), (6, 0), (6, 6), (0, 6)], [(3, 3), (9, 3), (9, 9), (3, 9)]]
    assert rasterise(boxes, width_px=10, height_px=10).sum() == 36 + 36 - 9


def make_map(provider: str, confidence: float, **boxes: tuple[float, float, float, float]) -> RegionMap:
    return RegionMap.build(
        width_px=30,
        height_px=20,
        regions={name: Region.from_box(name, box) for name, box in boxes.items()},
        provider=provider,
        confidence=confidence,
    )


def test_the_surer_map_wins_region_by_region() -> None:
    manual = make_map("manual", 1.0, lung=(0, 0, 5, 5))
    atlas = make_map("atlas", 0.4, lung=(1, 1, 9, 9), heart=(2, 2, 4, 4))
    merged = RegionMap.merged([manual, atlas])
    assert merged is not None
    assert merged.regions["lung"].box == (0, 0, 5, 5)
    assert {name: (merged.provider_of(name), merged.confidence_of(name)) for name in merged.regions} == {
        "lung": ("manual", 1.0),
        "heart": ("atlas", 0.4),
    }
    assert RegionMap.merged([atlas]) is atlas
    assert RegionMap.merged([]) is None
    again = RegionMap.merged([make_map("onnx:1", 0.5, spine=(0, 0, 1, 1)), merged])
    assert again is not None
    assert again.provider_of("lung") == "manual", "a merged map's regions keep their origin when merged again"


def test_a_map_of_all_kinds_of_regions_goes_through_json() -> None:
    grid = Bitmap.from_mask(ring(), scale_x_px=1.5)
    assert grid is not None
    merged = RegionMap.merged(
        [
            RegionMap.build(
                width_px=45,
                height_px=20,
                regions={"ring": Region.from_bitmap("ring", grid)},
                provider="imported",
                confidence=0.9,
            ),
            make_map("atlas", 0.4, heart=(2, 2, 4, 4)),
        ]
    )
    assert merged is not None
    again = RegionMap.from_dict(json.loads(json.dumps(merged.to_dict())))
    assert again == merged
    assert again.regions["ring"].area_px2 == merged.regions["ring"].area_px2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cells", "!!"),
        ("cells", "eJwDAAAAAAE="),
        ("width", 10**9),
        ("width", 0),
        ("height", -1),
        ("scale_x_px", "x"),
    ],
)
def test_a_damaged_mask_is_refused(field: str, value: object) -> None:
    grid = Bitmap.from_mask(ring())
    assert grid is not None
    content = RegionMap.build(
        width_px=30,
        height_px=20,
        regions={"ring": Region.from_bitmap("ring", grid)},
        provider="imported",
        confidence=0.9,
    ).to_dict()
    content["regions"]["ring"][field] = value
    with pytest.raises(SchemaError):
        RegionMap.from_dict(content)

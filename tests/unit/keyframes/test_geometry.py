from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyframes.errors import GeometryError
from keyframes.geometry import Affine, Display, map_gaze
from keyframes.reading import DISPLAY

finite = st.floats(-1e4, 1e4, allow_nan=False)
sizes = st.floats(0.01, 100.0)


def affines() -> st.SearchStrategy[Affine]:
    return st.builds(
        lambda s, turn, c, f: Affine(
            s * np.cos(turn), -s * np.sin(turn), c, s * np.sin(turn), s * np.cos(turn), f
        ),
        sizes,
        st.floats(0, 6.3),
        finite,
        finite,
    )


@given(affines(), finite, finite)
def test_inverse_undoes(affine: Affine, x: float, y: float) -> None:
    back_x, back_y = affine.inverse().apply(*affine.apply(x, y))
    assert back_x == pytest.approx(x, abs=1e-5)
    assert back_y == pytest.approx(y, abs=1e-5)


@given(affines(), affines(), finite, finite)
def test_after_is_one_after_the_other(first: Affine, second: Affine, x: float, y: float) -> None:
    both = second.after(first).apply(x, y)
    steps = second.apply(*first.apply(x, y))
    assert both == pytest.approx(steps, rel=1e-9, abs=1e-4)


def test_degenerate_affine_is_refused() -> None:
    with pytest.raises(GeometryError, match="cannot be inverted"):
        Affine(0, 0, 0, 0, 0, 0).inverse()
    with pytest.raises(GeometryError, match="no area"):
        Affine.from_rects((1, 0, 1, 5), (0, 0, 10, 10))


def test_from_rects_maps_corners() -> None:
    affine = Affine.from_rects((100, 50, 300, 150), (0, 0, 2000, 500))
    np.testing.assert_array_equal(affine.apply([100, 300], [50, 150]), [[0, 2000], [0, 500]])


def test_px_per_deg_of_a_known_screen() -> None:
    # 1920 px over 530 mm at 650 mm: tan(1 deg) * 650 mm = 11.346 mm = 41.10 px.
    x, y = Display(width_px=1920, height_px=1080, width_mm=530, height_mm=300, distance_mm=650).px_per_deg()
    assert x == pytest.approx(41.10, abs=0.01)
    assert y == pytest.approx(40.85, abs=0.01)


@pytest.mark.parametrize("missing", ["width_mm", "height_mm", "distance_mm"])
def test_no_degrees_without_size_and_distance(missing: str) -> None:
    known = {"width_mm": 530.0, "height_mm": 300.0, "distance_mm": 650.0, missing: None}
    with pytest.raises(GeometryError) as error:
        Display(width_px=1920, height_px=1080, **known).px_per_deg()
    assert error.value.code == "GT-NO-DEGREES"


def row(t_ns: int, viewport_id: int = 0, image_index: int | None = 0, **changes: object) -> dict[str, object]:
    return {
        "t_ns": t_ns,
        "viewport_id": viewport_id,
        "inverted": False,
        "panels": [],
        "image_index": image_index,
        "affine": [2.0, 0.0, 10.0, 0.0, 3.0, 20.0],
        "viewport_rect": [0.0, 0.0, 100.0, 100.0],
        **changes,
    }


def display(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist([{name: r.get(name) for name in DISPLAY.names} for r in rows], schema=DISPLAY)


def test_each_sample_goes_through_the_display_of_its_moment() -> None:
    table = display(row(0), row(100, affine=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), row(200, image_index=None))
    mapped = map_gaze([-1, 0, 99, 100, 199, 200], [5.0] * 6, [7.0] * 6, table)
    assert mapped.image_index.tolist() == [-1, 0, 0, 0, 0, -1]
    np.testing.assert_array_equal(mapped.x_image_px, [np.nan, 20, 20, 5, 5, np.nan])
    np.testing.assert_array_equal(mapped.y_image_px, [np.nan, 41, 41, 7, 7, np.nan])
    np.testing.assert_array_equal(mapped.image_px_per_screen_px_x, [np.nan, 2, 2, 1, 1, np.nan])
    np.testing.assert_array_equal(mapped.image_px_per_screen_px_y, [np.nan, 3, 3, 1, 1, np.nan])


def test_two_viewports_and_a_panel() -> None:
    right = row(0, 1, 1, viewport_rect=[100.0, 0.0, 200.0, 100.0], affine=[1.0, 0.0, -100.0, 0.0, 1.0, 0.0])
    left = row(0, panels=[{"name": "caption", "rect": [0.0, 0.0, 200.0, 10.0]}])
    mapped = map_gaze([1, 1, 1, 1, 1], [50, 150, 150, 250, np.nan], [50, 50, 5, 50, 50], display(left, right))
    assert mapped.image_index.tolist() == [0, 1, -1, -1, -1]
    assert mapped.on_panel.tolist() == [False, False, True, False, False]
    assert mapped.x_image_px[1] == 50
    assert np.isnan(mapped.x_image_px[2:]).all()


def test_gaze_beyond_the_image_but_in_its_viewport_keeps_its_coordinate() -> None:
    mapped = map_gaze([1], [0.0], [0.0], display(row(0, affine=[1.0, 0.0, -30.0, 0.0, 1.0, -30.0])))
    assert mapped.image_index.tolist() == [0]
    assert mapped.x_image_px.tolist() == [-30.0]


def test_no_samples_and_no_rows() -> None:
    assert map_gaze([], [], [], display(row(0))).x_image_px.shape == (0,)
    assert map_gaze([1], [1.0], [1.0], display()).image_index.tolist() == [-1]

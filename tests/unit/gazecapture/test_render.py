"""Rendering without Qt: the right value at the right pixel, by OpenCV and by numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gazecapture.radiograph.decode import load_radiograph
from gazecapture.radiograph.image import Radiograph
from gazecapture.radiograph.lookup import ModalityTransform, Tone
from gazecapture.radiograph.presets import ImageView, Preset
from gazecapture.viewer import render
from gazecapture.viewer.model import Action, ActionKind, ViewerModel
from gazecapture.viewer.render import Picture, ViewportRenderer, build_pyramid, pixel_rect, resample
from keyframes.errors import GeometryError
from keyframes.geometry import Affine

WIDTH, HEIGHT = 301, 401


def ramp() -> NDArray[np.uint16]:
    """A plane: every value tells its own place, and linear interpolation of it is exact."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (40 * x + 90 * y + 1000).astype(np.uint16)


def expected_at(x_image_px: NDArray[np.float64], y_image_px: NDArray[np.float64]) -> NDArray[np.float64]:
    return 40 * (x_image_px - 0.5) + 90 * (y_image_px - 0.5) + 1000


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    path = tmp_path / "ramp.png"
    Image.fromarray(ramp()).save(path)
    return Picture(load_radiograph(path), 0)


def test_pyramid_levels_are_means_and_keep_odd_edges() -> None:
    fine = np.arange(301 * 301, dtype=np.uint16).reshape(301, 301) % 977
    levels = build_pyramid(fine.astype(np.uint16))
    assert [level.shape for level in levels] == [(301, 301), (151, 151), (76, 76)]
    assert levels[1][10, 20] == np.round(fine[20:22, 40:42].mean() + 1e-9)
    assert levels[1][150, 150] == fine[300, 300]


def test_pyramid_of_the_largest_value_does_not_overflow() -> None:
    levels = build_pyramid(np.full((512, 512), 65535, np.uint16))
    assert all((level == 65535).all() for level in levels)


@pytest.mark.parametrize("library", ["cv2", "numpy"])
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("scale", [0.4, 1.0, 3.3])
def test_every_pixel_has_the_value_at_its_centre(
    monkeypatch: pytest.MonkeyPatch, library: str, turns: int, scale: float
) -> None:
    if library == "numpy":
        monkeypatch.setattr(render, "cv2", None)
    model = ViewerModel((17.25, 9.5, 217.25, 259.5))
    model.open_study(1, [render_view()])
    for kind in ["rotate"] * turns + ["flip"] * (turns % 2):
        model.act(Action(kind=_kind(kind)))
    (fitted,) = model.viewports
    model.act(Action(kind="zoom", x=120.0, y=130.0, amount=4 * float(np.log2(scale / fitted.scale))))
    (state,) = model.viewports
    rect = pixel_rect(state.shown()[1])
    values = resample(build_pyramid(ramp()), state.screen_to_image(), rect)
    x, y = np.meshgrid(np.arange(rect[0], rect[2]) + 0.5, np.arange(rect[1], rect[3]) + 0.5)
    x_image, y_image = state.screen_to_image().apply(x, y)
    # Within one px of the edge the edge value is repeated instead (two of a coarser level's px).
    rim = 2.5
    inner = (x_image > rim) & (x_image < WIDTH - rim) & (y_image > rim) & (y_image < HEIGHT - rim)
    assert inner.mean() > 0.9
    error = np.abs(values - expected_at(x_image, y_image))[inner]
    # OpenCV interpolates on a grid of 1/32 px: a place is off by 1/64 px at most on each axis.
    assert error.max() <= (40 + 90) / 64 * 2 + 1.5


def test_both_ways_agree_at_the_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    affine, rect = Affine(0.37, 0.0, -20.0, 0.0, 0.37, -31.0), (0, 0, 900, 1200)
    levels = build_pyramid(ramp())
    by_cv2 = resample(levels, affine, rect)
    monkeypatch.setattr(render, "cv2", None)
    by_numpy = resample(levels, affine, rect)
    assert np.abs(by_cv2.astype(int) - by_numpy).max() <= 4


def test_numpy_refuses_other_than_quarter_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "cv2", None)
    with pytest.raises(GeometryError, match="quarter turns"):
        resample(build_pyramid(ramp()), Affine(0.9, 0.1, 0, -0.1, 0.9, 0), (0, 0, 10, 10))


def test_at_one_to_one_the_screen_holds_the_picture_itself(picture: Picture) -> None:
    model = ViewerModel((0.0, 0.0, 500.0, 600.0))
    model.open_study(1, [picture.view])
    # An odd picture in an even viewport is centred between two pixels; shift it onto the grid.
    model.act(Action(kind="one_to_one"))
    model.act(Action(kind="pan", x=0.5, y=0.5))
    canvas = np.full((600, 500), 77, np.uint8)
    (state,) = model.viewports
    ViewportRenderer(picture).draw(state, canvas, 0, 0)
    x0, y0, x1, y1 = pixel_rect(state.shown()[1])
    assert (x1 - x0, y1 - y0) == (WIDTH, HEIGHT)
    assert np.array_equal(canvas[y0:y1, x0:x1], picture.radiograph.grey8())


@pytest.mark.parametrize("inverted", [False, True])
def test_the_surround_is_black_whatever_the_polarity(picture: Picture, inverted: bool) -> None:
    model = ViewerModel((10.0, 20.0, 210.0, 220.0))
    model.open_study(1, [picture.view])
    if inverted:
        model.act(Action(kind="invert"))
    canvas = np.full((260, 260), 77, np.uint8)
    (state,) = model.viewports
    ViewportRenderer(picture).draw(state, canvas, 0, 0)
    x0, _, x1, _ = pixel_rect(state.shown()[1])
    assert (canvas[20:220, 10:x0] == 0).all()
    assert (canvas[20:220, x1:210] == 0).all()
    assert (canvas[:20] == 77).all()  # nothing is drawn outside the viewport
    assert (canvas[:, 210:] == 77).all()


def test_a_change_of_window_reaches_the_screen(picture: Picture) -> None:
    model = ViewerModel((0.0, 0.0, 300.0, 400.0))
    model.open_study(1, [picture.view])
    renderer, canvas = ViewportRenderer(picture), np.zeros((400, 300), np.uint8)
    renderer.draw(model.viewports[0], canvas, 0, 0)
    before = canvas.copy()
    model.act(Action(kind="window", x=20000.0, y=2000.0))
    renderer.draw(model.viewports[0], canvas, 0, 0)
    assert set(np.unique(canvas[before == 0])) <= {0}
    assert (canvas == 255).sum() > (before == 255).sum()


def render_view() -> ImageView:
    preset = render_preset()
    return ImageView(image_index=0, width_px=WIDTH, height_px=HEIGHT, presets=(preset,))


def render_preset() -> Preset:
    return Preset(preset_id="window:0", name="", center=500.0, width=1000.0, voi="LINEAR")


def _kind(name: str) -> ActionKind:
    return "rotate" if name == "rotate" else "flip"


def large_picture(tmp_path: Path) -> Picture:
    y, x = np.mgrid[0:900, 0:1200]
    path = tmp_path / "large.png"
    Image.fromarray((20 * x + 25 * y).astype(np.uint16)).save(path)
    return Picture(load_radiograph(path), 0)


@pytest.mark.parametrize("side", [(2401, 1803), (2400, 1802)])
def test_a_large_viewport_is_coarse_while_it_moves_and_fine_once_it_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: tuple[int, int]
) -> None:
    monkeypatch.setattr(render, "FINE_WHILE_MOVING_PX", 2_000_000)
    model = ViewerModel((5.0, 9.0, 5.0 + side[0], 9.0 + side[1]))
    picture = large_picture(tmp_path)
    model.open_study(1, [picture.view])
    (state,) = model.viewports
    renderer = ViewportRenderer(picture)
    canvas = np.zeros((side[1], side[0]), np.uint8)
    assert not renderer.draw(state, canvas, 5, 9, moving=True)
    coarse = canvas.copy()
    assert renderer.draw(state, canvas, 5, 9, moving=False)
    fine = canvas.copy()
    # Each pixel is at most one level's px and one coarse px beside its place.
    assert np.abs(coarse.astype(int) - fine).max() <= 3
    left, top, _, _ = pixel_rect(state.shown()[1])
    block = slice(top - 9, top - 9 + 1700), slice(left - 5, left - 5 + 2000)
    assert (coarse[block][0::2, 0::2] == coarse[block][1::2, 1::2]).all()
    assert (fine[block][0::2, 0::2] != fine[block][1::2, 1::2]).any()
    # What was drawn finely stays so while only its window changes.
    model.act(Action(kind="window", x=20000.0, y=50000.0))
    assert renderer.draw(model.viewports[0], canvas, 5, 9, moving=True)


def test_a_table_is_looked_up_alike_with_and_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 1 << 16, (40, 60)).astype(np.uint16)
    table = rng.integers(0, 256, 1 << 16).astype(np.uint8)
    whole = np.zeros((50, 90), np.uint8)
    part = whole[3:43, 11:71]
    render.look_up(table, values, part)
    np.testing.assert_array_equal(part, table[values])
    assert whole[:3].max() == whole[:, :11].max() == whole[43:].max() == 0
    monkeypatch.setattr(render, "cv2", None)
    part[:] = 0
    render.look_up(table, values, part)
    np.testing.assert_array_equal(part, table[values])


@pytest.mark.parametrize("signed", [False, True])
def test_at_1_to_1_the_screen_shows_the_radiographs_own_grey_levels(tmp_path: Path, signed: bool) -> None:
    rng = np.random.default_rng(1)
    stored = rng.integers(-(1 << 15), 1 << 15, (120, 160)) if signed else rng.integers(0, 1 << 16, (120, 160))
    tone = Tone(
        lowest=-(1 << 15) if signed else 0,
        highest=(1 << 15) - 1 if signed else (1 << 16) - 1,
        modality=ModalityTransform(slope=0.5, intercept=-100.0),
        presets=(
            Preset(preset_id="window:0", name="", center=900.0, width=9000.0, voi="SIGMOID"),
            Preset(preset_id="window:1", name="", center=900.0, width=1.0, voi="LINEAR"),
        ),
        base_inverted=True,
    )
    film = Radiograph(stored=stored.astype(np.int16 if signed else np.uint16), tone=tone, suffix=".dcm")
    picture = Picture(film, 0)
    model = ViewerModel((0.0, 0.0, 160.0, 120.0))
    model.open_study(1, [picture.view])
    renderer = ViewportRenderer(picture)
    canvas = np.zeros((120, 160), np.uint8)
    for number, preset in enumerate(film.presets):
        model.act(Action(kind="preset", amount=float(number)))
        renderer.draw(model.viewports[0], canvas, 0, 0)
        np.testing.assert_array_equal(canvas, film.grey8(preset_id=preset.preset_id))
    model.act(Action(kind="invert"))
    renderer.draw(model.viewports[0], canvas, 0, 0)
    np.testing.assert_array_equal(canvas, film.grey8(preset_id="window:1", inverted=False))

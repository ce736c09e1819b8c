"""The viewer's model: what actions do, and what they write."""

from __future__ import annotations

import pytest

from gazecapture.radiograph.presets import Preset
from gazecapture.viewer.model import Action, ActionKind, ImageView, Panel, ViewerModel
from keyframes.errors import UsageError

WINDOW = Preset(preset_id="window:0", name="A", center=500.0, width=1000.0, voi="LINEAR")
LUT = Preset(preset_id="lut:0", name="B", center=300.0, width=400.0, voi="LUT")


def view(index: int = 0, width: int = 800, height: int = 1000) -> ImageView:
    return ImageView(image_index=index, width_px=width, height_px=height, presets=(WINDOW, LUT))


def opened(n_images: int = 1, area: tuple[float, float, float, float] = (0, 50, 1000, 1050)) -> ViewerModel:
    model = ViewerModel(area)
    model.open_study(1, [view(i) for i in range(n_images)])
    return model


def test_a_study_opens_fitted_in_the_middle() -> None:
    (viewport,) = opened().viewports
    assert viewport.scale == 1.0
    assert viewport.shown() == ((0.0, 0.0, 800.0, 1000.0), (100.0, 50.0, 900.0, 1050.0))


def test_two_images_stand_side_by_side() -> None:
    left, right = opened(2).viewports
    assert (left.rect, right.rect) == ((0, 50, 500, 1050), (500, 50, 1000, 1050))
    assert right.screen_to_image().apply(750.0, 550.0) == (400.0, 500.0)


def test_zoom_keeps_the_point_under_the_cursor() -> None:
    model = opened()
    before = model.viewports[0].screen_to_image().apply(300.0, 400.0)
    model.act(Action(kind="zoom", x=300.0, y=400.0, amount=3.0))
    assert model.viewports[0].scale == pytest.approx(2**0.75)
    after = model.viewports[0].screen_to_image().apply(300.0, 400.0)
    assert after == pytest.approx(before)


def test_zoom_ends_at_its_limits() -> None:
    model = opened(area=(0, 0, 400, 500))
    for amount in (1000.0, -1000.0):
        model.act(Action(kind="zoom", x=200.0, y=250.0, amount=amount))
    assert model.viewports[0].scale == 0.5
    model.act(Action(kind="zoom", x=200.0, y=250.0, amount=1000.0))
    assert model.viewports[0].scale == pytest.approx(0.5 * 70)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flipped", [False, True])
def test_flip_mirrors_what_is_on_screen(turns: int, flipped: bool) -> None:
    model = opened()
    for kind in ["rotate"] * turns + ["flip"] * flipped:
        model.act(Action(kind=_kind(kind)))
    before = model.viewports[0].image_to_screen().apply(100.0, 200.0)
    model.act(Action(kind="flip"))
    after = model.viewports[0].image_to_screen().apply(100.0, 200.0)
    assert after == pytest.approx((1000 - before[0], before[1]))


@pytest.mark.parametrize("flipped", [False, True])
def test_rotate_turns_clockwise_on_screen(flipped: bool) -> None:
    model = opened()
    if flipped:
        model.act(Action(kind="flip"))
    x, y = model.viewports[0].image_to_screen().apply(100.0, 200.0)
    model.act(Action(kind="rotate"))
    turned = model.viewports[0].image_to_screen().apply(100.0, 200.0)
    assert turned == pytest.approx((500 - (y - 550), 550 + (x - 500)))


def test_dragging_from_a_lut_goes_on_from_its_equivalent_window() -> None:
    model = opened()
    model.act(Action(kind="preset", amount=1))
    assert (model.viewports[0].voi, model.viewports[0].preset_id) == ("LUT", "lut:0")
    model.act(Action(kind="window_drag", x=100.0, y=0.0))
    viewport = model.viewports[0]
    assert (viewport.voi, viewport.preset_id) == ("LINEAR", None)
    assert (viewport.center, viewport.width) == (300.0, pytest.approx(440.0))


def test_the_window_never_closes() -> None:
    model = opened()
    model.act(Action(kind="window_drag", x=-5000.0))
    assert model.viewports[0].width == 1.0


def test_a_panned_image_stays_in_reach() -> None:
    model = opened()
    model.act(Action(kind="pan", x=1e6, y=-1e6))
    _, dest = model.viewports[0].shown()
    assert dest[2] - dest[0] == pytest.approx(40.0)
    assert dest[3] - dest[1] == pytest.approx(40.0)


def test_undo_takes_back_a_whole_drag() -> None:
    model = opened()
    model.act(Action(kind="invert"))
    state = model.viewports
    model.act(Action(kind="pan", x=5.0))
    for _ in range(10):
        model.act(Action(kind="pan", x=5.0), continues=True)
    model.act(Action(kind="undo"))
    assert model.viewports == state
    model.act(Action(kind="undo"))
    assert not model.viewports[0].inverted
    model.act(Action(kind="undo"))  # nothing is left to undo


def test_undo_after_the_window_moved_stays_in_the_new_place() -> None:
    model = opened()
    model.act(Action(kind="zoom", x=500.0, y=500.0, amount=2.0))
    model.set_area((200, 0, 1400, 900))
    model.act(Action(kind="undo"))
    (viewport,) = model.viewports
    assert viewport.rect == (200, 0, 1400, 900)
    assert viewport.scale == 0.9  # it was fitted before, and is fitted now


def test_a_zoomed_image_keeps_zoom_and_centre_when_the_window_changes() -> None:
    model = opened()
    model.act(Action(kind="zoom", x=300.0, y=500.0, amount=4.0))
    before = model.viewports[0]
    model.set_area((0, 0, 640, 480))
    after = model.viewports[0]
    assert (after.scale, after.x_center_image_px) == (before.scale, before.x_center_image_px)


def test_linked_viewports_move_together_but_keep_their_windows() -> None:
    model = opened(2)
    model.act(Action(kind="link"))
    model.act(Action(kind="zoom", viewport_id=0, x=100.0, y=300.0, amount=2.0))
    model.act(Action(kind="window", viewport_id=0, x=100.0, y=200.0))
    left, right = model.viewports
    assert (left.scale, left.x_center_image_px) == (right.scale, pytest.approx(right.x_center_image_px))
    assert (left.width, right.width) == (200.0, 1000.0)


def test_impossible_actions_change_nothing() -> None:
    model = opened()
    before = model.viewports
    for action in (Action(kind="zoom", viewport_id=1), Action(kind="preset", amount=2.0)):
        with pytest.raises(UsageError):
            model.act(action)
    assert model.viewports == before
    with pytest.raises(UsageError, match="no image"):
        model.open_study(2, [])


def test_the_journal_gets_one_row_per_viewport_and_change() -> None:
    model = opened(2)
    rows = model.presented(1000)
    assert [(r["event"], r["t_ns"], r["viewport_id"]) for r in rows] == [("on", 1000, 0), ("on", 1000, 1)]
    assert model.presented(1001) == []
    model.act(Action(kind="invert", viewport_id=1))
    model.act(Action(kind="zoom", viewport_id=1, x=700.0, y=300.0, amount=1.0))
    (row,) = model.presented(1002)
    assert (row["event"], row["viewport_id"], row["inverted"]) == ("change", 1, True)
    model.set_panels([Panel(name="keys", rect=(0, 0, 10, 10))])
    assert [r["panels"] for r in model.presented(1003)] == [[{"name": "keys", "rect": [0, 0, 10, 10]}]] * 2
    off = model.close_study(2000)
    assert [(r["event"], r["image_index"], r["affine"]) for r in off] == [("off", None, None)] * 2
    assert model.presented(2001) == []
    assert model.reading_number == 0


def test_inversion_by_the_reader_adds_to_the_files_polarity() -> None:
    model = ViewerModel((0, 0, 100, 100))
    negative = ImageView(image_index=0, width_px=10, height_px=10, presets=(WINDOW,), base_inverted=True)
    model.open_study(1, [negative])
    assert model.viewports[0].inverted
    model.act(Action(kind="invert"))
    assert not model.viewports[0].inverted
    model.act(Action(kind="reset"))
    assert model.viewports[0].inverted


def _kind(name: str) -> ActionKind:
    assert name in {"rotate", "flip"}
    return "rotate" if name == "rotate" else "flip"


def test_three_images_are_seen_two_at_a_time_and_keep_how_they_were_left() -> None:
    model = opened(3)
    assert [v.image.image_index for v in model.viewports] == [0, 1]
    model.act(Action(kind="invert", viewport_id=1))
    model.act(Action(kind="zoom", viewport_id=1, x=700.0, y=300.0, amount=2.0))
    left = model.viewports[1]
    model.act(Action(kind="image", viewport_id=1, amount=-1))
    assert [v.image.image_index for v in model.viewports] == [0, 2]
    model.act(Action(kind="image", viewport_id=1, amount=-1))
    assert model.viewports[1] == left
    model.act(Action(kind="undo"))
    assert [v.image.image_index for v in model.viewports] == [0, 2]
    model.act(Action(kind="layout", viewport_id=1, amount=1))
    assert [v.image.image_index for v in model.viewports] == [2]
    assert model.viewports[0].rect == model.area
    model.act(Action(kind="layout", amount=2))
    assert [v.image.image_index for v in model.viewports] == [0, 2]
    for wrong in (Action(kind="layout", amount=3), Action(kind="image", amount=7)):
        with pytest.raises(UsageError):
            model.act(wrong)


def test_a_pause_takes_the_images_off_and_brings_them_back_as_they_were() -> None:
    model = opened()
    model.presented(1)
    model.act(Action(kind="invert"))
    (paused,) = model.pause(10)
    assert (paused["event"], paused["image_index"], paused["t_ns"]) == ("pause", None, 10)
    assert model.presented(11) == []
    model.resume()
    (back,) = model.presented(20)
    assert (back["event"], back["image_index"], back["inverted"]) == ("resume", 0, True)
    assert model.presented(21) == []


def test_a_study_that_was_given_up_leaves_no_row() -> None:
    model = opened()
    model.presented(1)
    model.give_up_study()
    assert model.presented(2) == []
    assert model.close_study(3) == []

"""Whatever a reader does: gaze mapped through the journal's rows lands where the window showed it."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from gazecapture.radiograph.presets import Preset
from gazecapture.session.schema import DISPLAY_JOURNAL
from gazecapture.viewer.model import Action, ActionKind, ImageView, Panel, ViewerModel, ViewportState
from keyframes.geometry import map_gaze

PRESETS = (
    Preset(preset_id="window:0", name="", center=100.0, width=200.0, voi="LINEAR"),
    Preset(preset_id="lut:0", name="", center=50.0, width=20.0, voi="LUT"),
)
KINDS = (
    "fit", "one_to_one", "zoom", "pan", "window", "window_drag", "preset", "invert", "flip", "rotate", "reset",
    "undo", "link", "layout", "image", "lens",
)  # fmt: skip
PANELS = (
    Panel(name="caption", rect=(0.0, 0.0, 1920.0, 60.0)),
    Panel(name="keys", rect=(600.5, 300.25, 1300.0, 800.0)),
)

AMOUNTS: dict[str, st.SearchStrategy[float]] = {
    "zoom": st.floats(-8, 8),
    "layout": st.integers(1, 2),
    "image": st.just(-1),
    "lens": st.sampled_from([0.0, 1.5, 2.0, 4.0]),
}

sizes = st.tuples(st.integers(16, 5000), st.integers(16, 5000))
points = st.tuples(st.floats(-50, 1970), st.floats(-50, 1130))


@st.composite
def actions(draw: st.DrawFn, n_viewports: int) -> Action:
    kind = cast("ActionKind", draw(st.sampled_from(KINDS)))
    x, y = draw(points)
    amount = draw(AMOUNTS.get(kind, st.integers(0, 1)))
    return Action(kind=kind, viewport_id=draw(st.integers(0, n_viewports - 1)), x=x, y=y, amount=amount)


def by_hand(viewport: ViewportState, x: float, y: float) -> tuple[float, float]:
    """Where a screen point is in the image, from scale, turns, flip and centre: not by any affine."""
    x_mid, y_mid = (viewport.rect[0] + viewport.rect[2]) / 2, (viewport.rect[1] + viewport.rect[3]) / 2
    u, v = (x - x_mid) / viewport.scale, (y - y_mid) / viewport.scale
    for _ in range(viewport.quarter_turns % 4):
        u, v = v, -u
    if viewport.flipped:
        u = -u
    return viewport.x_center_image_px + u, viewport.y_center_image_px + v


def through_glass(model: ViewerModel, glass: Action, at: int, x: float, y: float) -> tuple[int, float, float]:
    """Where a screen point is in which image: what lies under the magnifier is nearer to the cursor than it seems."""
    lens = model.lens
    if lens is None or not _inside(lens.rect, x, y):
        return model.viewports[at].image.image_index, *by_hand(model.viewports[at], x, y)
    under = model.viewports[glass.viewport_id]
    x, y = glass.x + (x - glass.x) / glass.amount, glass.y + (y - glass.y) / glass.amount
    return under.image.image_index, *by_hand(under, x, y)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_gaze_through_the_journal_is_where_the_window_showed_it(data: st.DataObject) -> None:
    images = data.draw(st.lists(sizes, min_size=1, max_size=3))
    model = ViewerModel((0.0, 60.0, 1920.0, 1080.0))
    views = [
        ImageView(image_index=i, width_px=w, height_px=h, presets=PRESETS) for i, (w, h) in enumerate(images)
    ]
    model.open_study(1, views)
    rows, seen, glass = model.presented(0), [], Action(kind="lens")
    for frame in range(1, data.draw(st.integers(2, 12))):
        match data.draw(st.sampled_from(["act", "act", "act", "panels", "move"])):
            case "act":
                action = data.draw(actions(len(model.viewports)))
                model.act(action, continues=data.draw(st.booleans()))
                glass = action if action.kind == "lens" else glass
            case "panels":
                model.set_panels(data.draw(st.lists(st.sampled_from(PANELS), unique=True)))
            case _:
                x0, y0 = data.draw(st.tuples(st.floats(0, 400), st.floats(0, 300)))
                side = data.draw(st.tuples(st.floats(300, 1900), st.floats(300, 1000)))
                model.set_area((x0, y0, x0 + side[0], y0 + side[1]))
        rows += model.presented(frame * 1000)
        x, y = data.draw(points)
        at = model.viewport_at(x, y)
        covered = any(_inside(p.rect, x, y) for p in model.panels)
        truth = None if at is None or covered else through_glass(model, glass, at, x, y)
        seen.append((frame * 1000 + 500, x, y, truth))
    journal = pa.Table.from_pylist(rows, schema=DISPLAY_JOURNAL)
    t_ns, x_px, y_px, _ = zip(*seen, strict=True)
    mapped = map_gaze(t_ns, x_px, y_px, journal)
    for place, (_, _, _, truth) in enumerate(seen):
        if truth is None:
            assert mapped.image_index[place] == -1
            assert math.isnan(mapped.x_image_px[place])
        else:
            assert mapped.image_index[place] == truth[0]
            assert abs(mapped.x_image_px[place] - truth[1]) <= 0.01
            assert abs(mapped.y_image_px[place] - truth[2]) <= 0.01


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_shown_maps_onto_where_it_is_shown(data: st.DataObject) -> None:
    width, height = data.draw(sizes)
    model = ViewerModel((0.0, 60.0, 1920.0, 1080.0))
    model.open_study(1, [ImageView(image_index=0, width_px=width, height_px=height, presets=PRESETS)])
    for _ in range(data.draw(st.integers(0, 8))):
        model.act(data.draw(actions(1)))
    for row, viewport in zip(model.presented(0), model.drawn, strict=True):
        source, dest = row["source_rect"], row["dest_rect"]
        assert 0 - 1e-6 <= source[0] <= source[2] <= width + 1e-6
        assert 0 - 1e-6 <= source[1] <= source[3] <= height + 1e-6
        corners = [by_hand(viewport, x, y) for x in dest[0::2] for y in dest[1::2]]
        if dest[2] > dest[0] and dest[3] > dest[1]:
            assert np.allclose(
                [min(c[0] for c in corners), min(c[1] for c in corners)], source[:2], atol=1e-3
            )
            assert np.allclose(
                [max(c[0] for c in corners), max(c[1] for c in corners)], source[2:], atol=1e-3
            )


def _inside(rect: tuple[float, float, float, float], x: float, y: float) -> bool:
    return rect[0] <= x < rect[2] and rect[1] <= y < rect[3]

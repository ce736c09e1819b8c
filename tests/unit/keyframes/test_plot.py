"""Figures: they draw, nothing overlaps, no global state."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from keyframes import plot
from keyframes.reading import EVENTS, GAZE, KEYFRAMES, SENTENCES, TRAJECTORY

GREY: NDArray[np.uint8] = np.tile(np.arange(200, dtype=np.uint8), (240, 1))


def make_fixations(n: int, *, per_deg: float | None = None, lost: int = 0) -> pa.Table:
    rng = np.random.default_rng(n)
    x = rng.uniform(0, 200, n)
    x[:lost] = np.nan
    columns: dict[str, Any] = {
        "t_start_ns": np.cumsum(rng.integers(200_000_000, 400_000_000, n)),
        "duration_s": rng.lognormal(-1.4, 0.5, n),
        "x_image_px": x,
        "y_image_px": rng.uniform(0, 240, n),
    }
    if per_deg is not None:
        columns["px_per_deg_x"] = np.full(n, per_deg)
    return pa.table(columns)


def make_trajectory(letters: str) -> pa.Table:
    rows = [
        {"order": i, "letter": letter, "region": letter, "t_start_ns": i * 10**9, "t_end_ns": i * 10**9 + 8 * 10**8,
         "dwell_s": 0.8, "n_fixations": 3, "scheme": "test"}
        for i, letter in enumerate(letters)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=TRAJECTORY)


def make_sentences(texts: Sequence[str]) -> pa.Table:
    rows = [
        {"sentence_id": f"s{i}", "sentence_index": i, "text": text, "t_start_ns": (2 * i + 1) * 10**9,
         "t_end_ns": (2 * i + 3) * 10**9, "finding_ids": []}
        for i, text in enumerate(texts)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SENTENCES)


def visible_texts(figure: Figure) -> list[Text]:
    FigureCanvasAgg(figure).draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    within = figure.bbox
    found = []
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        axes = text.axes
        shown = text.get_visible() and bool(text.get_text().strip()) and (axes is None or axes.get_visible())
        if shown and within.overlaps(text.get_window_extent(renderer)):
            found.append(text)
    return found


def assert_nothing_overlaps(figure: Figure) -> None:
    texts = visible_texts(figure)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer).shrunk(0.9, 0.9)) for text in texts]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} lies on {other!r}"
    for name, box in boxes:
        assert box.x0 >= -1, name
        assert box.x1 <= figure.bbox.x1 + 1, name
        assert box.y0 >= -1, name
        assert box.y1 <= figure.bbox.y1 + 1, name


def pixels(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=50)
    return buffer.getvalue()


def test_letters_have_colours_of_their_own() -> None:
    colours = plot.letter_colours("ABCDEFXYZ")
    assert len(set(colours.values())) == 9
    assert plot.letter_colours("FA")["A"] == colours["A"]


@pytest.mark.parametrize("n", [1, 2, 80])
def test_scanpath_numbers_do_not_overlap(n: int) -> None:
    figure = plot.scanpath(GREY, make_fixations(n))
    assert_nothing_overlaps(figure)
    numbers = {text.get_text() for text in visible_texts(figure)}
    assert {"1", str(n)} <= numbers


def test_scanpath_without_fixations_is_the_picture() -> None:
    figure = plot.scanpath(GREY, make_fixations(3, lost=3))
    assert len(figure.axes) == 1


def test_scanpath_takes_pandas_and_a_smaller_picture() -> None:
    fixations = make_fixations(20)
    plain = pixels(plot.scanpath(GREY, fixations))
    assert pixels(plot.scanpath(GREY, fixations.to_pandas())) == plain
    doubled = fixations.to_pandas().assign(
        x_image_px=lambda f: 2 * f["x_image_px"], y_image_px=lambda f: 2 * f["y_image_px"]
    )
    assert pixels(plot.scanpath(GREY, doubled, image_size_px=(400, 480))) == plain


@pytest.mark.parametrize("per_deg", [None, 8.0, float("nan")])
def test_heat_map_is_hot_where_gaze_was(per_deg: float | None) -> None:
    fixations = pa.table(
        {"t_start_ns": [0], "duration_s": [2.0], "x_image_px": [150.0], "y_image_px": [60.0],
         **({} if per_deg is None else {"px_per_deg_x": [per_deg]})}
    )  # fmt: skip
    figure = plot.heat_map(GREY, fixations)
    heat = np.asarray(figure.axes[0].images[1].get_array())
    assert np.unravel_index(int(np.argmax(heat)), heat.shape) == pytest.approx((60, 150), abs=1)
    assert_nothing_overlaps(figure)
    assert len(plot.heat_map(GREY, make_fixations(2, lost=2)).axes) == 1


def test_timeline_has_a_lane_per_letter_and_legible_sentences() -> None:
    texts = ["The heart is not enlarged and the mediastinum is of normal width in this view."] * 6 + [
        "Normal."
    ]
    figure = plot.letter_timeline(
        make_trajectory("ABCBDXEA"),
        make_sentences(texts),
        letters="ABCDEF",
        names={"A": "airways"},
        duration_s=16.0,
    )
    assert_nothing_overlaps(figure)
    shown = [text.get_text() for text in visible_texts(figure)]
    assert {"airways  A", "B", "F", "X", "scheme test"} <= set(shown)
    assert sum(text.startswith("The heart") for text in shown) == 6


def test_timeline_shows_text_as_it_is() -> None:
    figure = plot.letter_timeline(
        make_trajectory("AB"), make_sentences(["costs $5 and $6", "心影增大", r"a_b^{c}\frac"])
    )
    shown = [text.get_text() for text in visible_texts(figure)]
    assert "costs $5 and $6" in shown
    assert "····" in shown


def test_timeline_of_nothing() -> None:
    assert_nothing_overlaps(plot.letter_timeline(TRAJECTORY.empty_table()))
    assert_nothing_overlaps(plot.letter_timeline(make_trajectory("A"), SENTENCES.empty_table()))


def test_transitions_are_counted_without_stays() -> None:
    figure = plot.transition_matrix(make_trajectory("AABACCA"), letters="ABCDEF", names={"A": "airways"})
    shares = np.asarray(figure.axes[0].images[0].get_array())
    assert (shares[0, 1], shares[0, 2], shares[1, 0], shares[2, 0]) == (0.5, 0.5, 1.0, 1.0)
    assert shares.sum() == 3
    assert_nothing_overlaps(figure)
    shown = [text.get_text() for text in visible_texts(figure)]
    assert shown.count("1") == 4
    assert "airways  A" in shown
    assert any(text.endswith("scheme test") for text in shown)


def test_going_to_another_image_is_no_transition() -> None:
    trajectory = make_trajectory("ABA")
    images = pa.array([0, 1, 1], pa.int16())
    place = trajectory.schema.get_field_index("image_index")
    figure = plot.transition_matrix(trajectory.set_column(place, "image_index", images))
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == [[0.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize("letters", ["", "Q"])
def test_figures_of_few_letters_are_legible(letters: str) -> None:
    for draw in (plot.transition_matrix, plot.letter_timeline):
        assert_nothing_overlaps(draw(make_trajectory(letters), letters=letters))


def test_letters_of_another_scheme_have_the_palette_to_themselves() -> None:
    colours = plot.letter_colours("SGRXMO")
    assert set(colours.values()) == set(plot.letter_colours("ABCDEF").values())


def test_strip_shows_the_key_frames_that_have_a_picture() -> None:
    rows = [
        {"keyframe_index": i, "order": i, "kind": "silent", "t_start_ns": 0, "t_end_ns": 10**9, "dwell_s": 1.0,
         "fixation_indexes": [], "profile": "toolkit", "status": "ok", "image_index": image,
         "box": [10.0, 10.0, 60.0, 60.0], "centroid": [30.0, 30.0]}
        for i, image in enumerate([0, 0, 1])
    ]  # fmt: skip
    rows.append(
        {**rows[0], "keyframe_index": 3, "order": 3, "status": "no_gaze", "box": None, "image_index": None}
    )
    figure = plot.keyframe_strip(
        GREY,
        pa.Table.from_pylist(rows, schema=KEYFRAMES),
        EVENTS.empty_table(),
        GAZE.empty_table(),
        n_columns=3,
    )
    assert sum(bool(axes.images) for axes in figure.axes) == 2
    assert_nothing_overlaps(figure)


def test_drawing_leaves_no_global_state() -> None:
    code = "import sys, keyframes.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 0

"""Key frames of profile toolkit, from events made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from keyframes.frames import (
    BOX_SHARE,
    SIGMA_DEG,
    render_keyframe,
    sentence_weights,
    toolkit_keyframes,
)
from keyframes.reading import DISPLAY, EVENTS, GAZE, IMAGES, SENTENCES, conform

PER_DEG = 20.0
WIDTH, HEIGHT = 500, 600
Fix = tuple[float, float, int | None, float, float]
"""start s, end s, image, x, y"""


def make_events(fixations: Sequence[Fix]) -> pa.Table:
    rows: list[dict[str, Any]] = []
    for start, end, image, x, y in fixations:
        base: dict[str, Any] = {
            f.name: float("nan") if f.type == pa.float64() else None
            for f in EVENTS
            if f.name != "image_index"
        }
        known = image is not None
        # A saccade before every fixation, so that indexes differ from row numbers of fixations.
        rows.append(
            {**base, "event_index": len(rows), "kind": "saccade", "t_start_ns": round(start * 1e9) - 30_000_000,
             "t_end_ns": round(start * 1e9), "image_index": image}
        )  # fmt: skip
        rows.append(
            {**base, "event_index": len(rows), "kind": "fixation", "t_start_ns": round(start * 1e9),
             "t_end_ns": round(end * 1e9), "duration_s": end - start, "image_index": image,
             "x_image_px": x if known else float("nan"), "y_image_px": y if known else float("nan")}
        )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=EVENTS)


def make_sentences(*times: tuple[float, float]) -> pa.Table:
    rows = [
        {"sentence_id": f"s{i}", "sentence_index": i, "text": f"Sentence {i}.", "t_start_ns": round(a * 1e9),
         "t_end_ns": round(b * 1e9), "finding_ids": []}
        for i, (a, b) in enumerate(times)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SENTENCES)


def make_gaze(until_s: float = 30.0, *, per_deg: float = PER_DEG, n_images: int = 1) -> pa.Table:
    t_ns = np.repeat(np.arange(0, round(until_s * 1e9), 10_000_000), n_images)
    columns: dict[str, Any] = {}
    for field in GAZE:
        fill: Any = t_ns if field.name == "t_ns" else np.full(t_ns.size, np.nan)
        if field.type == pa.string():
            fill = ["-"] * t_ns.size
        elif field.type == pa.bool_():
            fill = np.ones(t_ns.size, np.bool_)
        elif field.type == pa.int16():
            fill = np.arange(t_ns.size) % n_images
        columns[field.name] = pa.array(fill).cast(field.type)
    columns |= {
        "px_per_deg_x": np.full(t_ns.size, per_deg),
        "px_per_deg_y": np.full(t_ns.size, per_deg),
    }
    return pa.table(columns, schema=GAZE)


def make_display(*rows: tuple[float, int, list[float]]) -> pa.Table:
    made = [
        {"t_ns": round(t * 1e9), "viewport_id": image, "inverted": False, "panels": [], "image_index": image,
         "source_rect": rect}
        for t, image, rect in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=DISPLAY)


def make_images(n: int = 1) -> pa.Table:
    rows = [
        {"image_index": i, "role": "current", "width_px": WIDTH, "height_px": HEIGHT, "spacing_kind": "unknown",
         "sha256": ""}
        for i in range(n)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=IMAGES)


def frames_of(
    fixations: Sequence[Fix],
    sentences: pa.Table,
    *,
    n_images: int = 1,
    display: pa.Table | None = None,
    **rules: float,
) -> list[dict[str, Any]]:
    table = toolkit_keyframes(
        make_events(fixations),
        sentences,
        make_gaze(n_images=n_images),
        DISPLAY.empty_table() if display is None else display,
        make_images(n_images),
        **rules,
    )
    return list(conform("keyframes", table).to_pylist())


def kinds(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str | None, int | None]]:
    return [(row["kind"], row["sentence_id"], row["image_index"]) for row in rows]


def test_clusters_in_time_order_then_the_holistic() -> None:
    fixations: list[Fix] = [(3.1, 3.6, 0, 400, 100), (3.7, 4.3, 0, 100, 400), (4.4, 4.8, 0, 405, 105)]
    rows = frames_of(fixations, make_sentences((5.0, 6.0)))
    assert kinds(rows) == [("cluster", "s0", 0), ("cluster", "s0", 0), ("holistic", "s0", 0)]
    assert [row["order"] for row in rows] == [0, 1, 2]
    assert [row["fixation_indexes"] for row in rows] == [[1, 5], [3], [1, 3, 5]]
    assert rows[0]["dwell_s"] == pytest.approx(0.9)
    assert rows[2]["dwell_s"] == pytest.approx(1.5)
    assert (rows[0]["t_start_ns"], rows[0]["t_end_ns"]) == (3_100_000_000, 4_800_000_000)
    assert {row["profile"] for row in rows} == {"toolkit"}
    assert rows[0]["centroid"] == pytest.approx(
        [(0.5 * 400 + 0.4 * 405) / 0.9, (0.5 * 100 + 0.4 * 105) / 0.9]
    )


def test_one_cluster_is_not_told_twice() -> None:
    rows = frames_of([(4.0, 4.5, 0, 250, 300)], make_sentences((5.0, 6.0)))
    assert kinds(rows) == [("holistic", "s0", 0)]


def test_box_of_a_lone_fixation_is_where_its_gaussian_is_hot() -> None:
    row = frames_of([(4.0, 4.5, 0, 250, 300)], make_sentences((5.0, 6.0)))[0]
    reach = SIGMA_DEG * PER_DEG * np.sqrt(-2 * np.log(BOX_SHARE))
    cell = HEIGHT / 256
    np.testing.assert_allclose(
        row["box"], [250 - reach, 300 - reach, 250 + reach, 300 + reach], atol=1.01 * cell
    )
    assert row["centroid"] == [250.0, 300.0]


def test_box_stays_within_what_was_shown() -> None:
    display = make_display((0.0, 0, [240.0, 290.0, 260.0, 310.0]))
    row = frames_of([(4.0, 4.5, 0, 250, 300)], make_sentences((5.0, 6.0)), display=display)[0]
    cell = HEIGHT / 256
    np.testing.assert_allclose(row["box"], [240, 290, 260, 310], atol=1.01 * cell)


def test_the_view_of_the_moment_counts_not_the_last_one() -> None:
    display = make_display((0.0, 0, [0.0, 0.0, 500.0, 600.0]), (4.6, 0, [240.0, 290.0, 260.0, 310.0]))
    free = frames_of([(4.0, 4.5, 0, 250, 300)], make_sentences((5.0, 6.0)))
    assert frames_of([(4.0, 4.5, 0, 250, 300)], make_sentences((5.0, 6.0)), display=display) == free


def test_two_images_have_a_holistic_each_in_order_of_first_look() -> None:
    fixations: list[Fix] = [(3.1, 3.5, 1, 100, 100), (3.6, 4.0, 0, 400, 400), (4.1, 4.5, 1, 400, 500)]
    rows = frames_of(fixations, make_sentences((5.0, 6.0)), n_images=2)
    assert kinds(rows) == [
        ("cluster", "s0", 1),
        ("cluster", "s0", 1),
        ("holistic", "s0", 1),
        ("holistic", "s0", 0),
    ]


def test_gaze_off_the_image_does_not_count() -> None:
    fixations: list[Fix] = [(3.1, 3.6, None, 0, 0), (3.7, 4.2, 0, -3, 100), (4.3, 4.8, 0, 100, HEIGHT)]
    rows = frames_of(fixations, make_sentences((5.0, 6.0)))
    assert [(r["kind"], r["status"], r["box"], r["centroid"]) for r in rows] == [
        ("holistic", "no_gaze", None, None)
    ]
    assert rows[0]["fixation_indexes"] == []
    assert rows[0]["image_index"] is None


def test_every_sentence_keeps_a_row_in_its_place() -> None:
    fixations: list[Fix] = [(3.5, 4.5, 0, 100, 100), (18.5, 19.5, 0, 100, 100)]
    rows = frames_of(fixations, make_sentences((5.0, 6.0), (10.0, 11.0), (20.0, 21.0)))
    assert [(r["sentence_id"], r["status"]) for r in rows] == [("s0", "ok"), ("s1", "no_gaze"), ("s2", "ok")]


def test_silent_gaze_is_cut_by_time_image_and_speech() -> None:
    fixations: list[Fix] = [
        (0.0, 1.0, 0, 100, 100), (1.0, 2.0, 0, 120, 100),  # before the first sentence
        (9.0, 10.0, 0, 100, 100), (13.5, 14.0, 0, 100, 100), (14.1, 14.9, 0, 100, 100),  # after it, over 5 s
        (15.0, 16.0, 1, 100, 100),  # another image
    ]  # fmt: skip
    rows = frames_of(fixations, make_sentences((5.0, 6.0)), n_images=2)
    assert [(r["kind"], r["fixation_indexes"]) for r in rows] == [
        ("silent", [1, 3]),
        ("holistic", []),
        ("silent", [5, 7]),
        ("silent", [9]),
        ("silent", [11]),
    ]
    assert all(r["sentence_id"] is None for r in rows if r["kind"] == "silent")


def test_a_reading_without_words_is_cut_by_time() -> None:
    fixations: list[Fix] = [(float(t), t + 0.9, 0, 100 + 10 * t, 200) for t in range(12)]
    rows = frames_of(fixations, make_sentences())
    assert [len(r["fixation_indexes"]) for r in rows] == [5, 5, 2]
    assert {r["kind"] for r in rows} == {"silent"}


def test_a_fixation_across_the_bound_is_shared() -> None:
    fixations: list[Fix] = [(7.5, 8.5, 0, 100, 100)]
    sentences = make_sentences((5.0, 9.0), (10.0, 11.0))
    weights = sentence_weights(make_events(fixations), sentences).to_pylist()
    assert weights == [
        {"event_index": 1, "sentence_id": "s0", "weight": pytest.approx(0.5)},
        {"event_index": 1, "sentence_id": "s1", "weight": pytest.approx(0.5)},
    ]
    rows = frames_of(fixations, sentences)
    assert [(r["sentence_id"], r["dwell_s"]) for r in rows] == [("s0", 0.5), ("s1", 0.5)]


@pytest.mark.parametrize(
    ("times", "at_s", "expected"),
    [
        ([(5.0, 6.0)], 2.9, None),
        ([(5.0, 6.0)], 3.1, "s0"),
        ([(5.0, 6.0)], 5.9, "s0"),
        ([(5.0, 6.0)], 6.1, None),
        ([(5.0, 6.0), (9.0, 10.0)], 6.5, None),
        ([(5.0, 6.0), (9.0, 10.0)], 7.1, "s1"),
        ([(5.0, 6.0), (8.5, 9.0)], 6.2, "s0"),  # the gap of 0.5 s is no silence
        ([(5.0, 9.0), (9.5, 10.0)], 7.4, "s0"),
        ([(5.0, 9.0), (9.5, 10.0)], 7.6, "s1"),
        ([(5.0, 5.5), (6.0, 7.0)], 4.5, "s0"),  # never before sentence 0's own start
        ([(5.0, 5.5), (6.0, 7.0)], 5.1, "s1"),
    ],
)
def test_gaze_leads_speech(times: list[tuple[float, float]], at_s: float, expected: str | None) -> None:
    weights = sentence_weights(
        make_events([(at_s, at_s + 0.001, 0, 1, 1)]), make_sentences(*times)
    ).to_pylist()
    assert [row["sentence_id"] for row in weights] == [expected]


def test_the_lead_is_a_parameter() -> None:
    events = make_events([(1.0, 1.1, 0, 1, 1)])
    assert sentence_weights(events, make_sentences((5.0, 6.0)), lead_s=4.5).column(1).to_pylist() == ["s0"]


def test_unknown_degrees_scale_with_the_image() -> None:
    gaze = make_gaze(per_deg=float("nan"))
    table = toolkit_keyframes(
        make_events([(4.0, 4.5, 0, 250, 300)]),
        make_sentences((5.0, 6.0)),
        gaze,
        DISPLAY.empty_table(),
        make_images(),
    )
    x0, _, x1, _ = table.column("box").to_pylist()[0]
    assert x1 - x0 == pytest.approx(2 * 1.55 * HEIGHT / 25, abs=5)


def test_no_events_give_a_row_per_sentence() -> None:
    rows = frames_of([], make_sentences((5.0, 6.0)))
    assert [r["status"] for r in rows] == ["no_gaze"]
    assert frames_of([], make_sentences()) == []


def test_a_frame_is_lit_where_gaze_was() -> None:
    fixations: list[Fix] = [(3.1, 3.6, 0, 400, 100), (3.7, 4.3, 0, 100, 400)]
    events, sentences, gaze = make_events(fixations), make_sentences((5.0, 6.0)), make_gaze()
    rows = toolkit_keyframes(events, sentences, gaze, DISPLAY.empty_table(), make_images()).to_pylist()
    grey8 = np.full((HEIGHT, WIDTH), 200, np.uint8)
    lit = render_keyframe(grey8, rows[0], events, gaze)
    assert lit.shape == grey8.shape
    assert lit.dtype == np.uint8
    assert lit[100, 400] >= 195
    assert lit[400, 100] == 30
    both = render_keyframe(grey8, rows[2], events, gaze)
    assert both[100, 400] >= 190
    assert both[400, 100] >= 195


def test_a_frame_is_made_small_before_it_is_drawn() -> None:
    events, gaze = make_events([(4.0, 4.5, 0, 250, 300)]), make_gaze()
    rows = toolkit_keyframes(
        events, make_sentences((5.0, 6.0)), gaze, DISPLAY.empty_table(), make_images()
    ).to_pylist()
    lit = render_keyframe(np.full((HEIGHT, WIDTH), 200, np.uint8), rows[0], events, gaze, longest_px=120)
    assert lit.shape == (120, 100)
    assert np.unravel_index(np.argmax(lit), lit.shape) == pytest.approx((60, 50), abs=2)
    already = np.full((120, 100), 200, np.uint8)
    np.testing.assert_array_equal(
        render_keyframe(already, rows[0], events, gaze, image_size_px=(WIDTH, HEIGHT)), lit
    )


def test_a_row_of_the_schema_alone_can_be_drawn() -> None:
    events, gaze = make_events([(3.0, 3.5, 0, 250, 300), (3.6, 4.0, 0, 260, 310)]), make_gaze()
    table = toolkit_keyframes(events, make_sentences((5.0, 6.0)), gaze, DISPLAY.empty_table(), make_images())
    full = table.to_pylist()[0]
    bare = {name: full[name] for name in full if name not in ("fixation_dwell_s", "shown_rects")}
    grey8 = np.full((HEIGHT, WIDTH), 200, np.uint8)
    np.testing.assert_array_equal(
        render_keyframe(grey8, bare, events, gaze), render_keyframe(grey8, full, events, gaze)
    )


def test_a_row_without_gaze_is_drawn_dark() -> None:
    events, gaze = make_events([]), make_gaze()
    row = toolkit_keyframes(
        events, make_sentences((5.0, 6.0)), gaze, DISPLAY.empty_table(), make_images()
    ).to_pylist()[0]
    assert (render_keyframe(np.full((60, 50), 200, np.uint8), row, events, gaze) == 30).all()

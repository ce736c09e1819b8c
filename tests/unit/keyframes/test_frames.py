"""Key frames of profile toolkit, from events made by hand."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from keyframes.frames import (
    BOX_SHARE,
    PARAMETERS,
    SIGMA_DEG,
    render_keyframe,
    sentence_weights,
    toolkit_keyframes,
)
from keyframes.looks import discarded_share, looks_on_images
from keyframes.reading import DISPLAY, EVENT_REGIONS, EVENTS, FINDINGS, GAZE, IMAGES, SENTENCES, conform

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
    findings: pa.Table | None = None,
    **rules: Any,
) -> list[dict[str, Any]]:
    table = toolkit_keyframes(
        make_events(fixations),
        sentences,
        make_gaze(n_images=n_images),
        DISPLAY.empty_table() if display is None else display,
        make_images(n_images),
        findings=findings,
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
    fixations: list[Fix] = [
        (3.1, 3.6, None, 0, 0),
        (3.7, 4.2, 0, -1.01 * PER_DEG, 100),
        (4.3, 4.8, 0, 100, HEIGHT + 1.01 * PER_DEG),
        (4.9, 5.4, 0, -0.8 * PER_DEG, -0.8 * PER_DEG),
    ]
    rows = frames_of(fixations, make_sentences((5.0, 6.0)))
    assert [(r["kind"], r["status"], r["box"], r["centroid"]) for r in rows] == [
        ("holistic", "no_gaze", None, None)
    ]
    assert rows[0]["fixation_indexes"] == []
    assert rows[0]["image_index"] is None


@pytest.mark.parametrize(
    ("beyond_deg", "rules", "weight"),
    [
        (0.0, {}, 0.5),
        (0.5, {}, 0.1587),  # one standard deviation, half of the error of 1 degree
        (0.99, {}, 0.0239),
        (1.0, {}, 0.0),
        (0.3, {"error_deg": 0.3}, 0.0),  # the error is the tolerance
        (0.15, {"error_deg": 0.3}, 0.1587),
        (1.2, {"error_deg": 3.0}, 0.0),  # but at most one degree
        (1.2, {"error_deg": 3.0, "edge_tolerance_deg": 2.0}, 0.2119),
        (0.5, {"edge_tolerance_deg": 0.5}, 0.0),
        (0.0, {"edge_tolerance_deg": 0.0}, 0.0),
        (0.1, {"error_deg": 0.0}, 0.0),
    ],
)
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_gaze_beyond_the_edge_counts_by_the_trackers_error(
    beyond_deg: float, rules: dict[str, Any], weight: float, side: str
) -> None:
    far = beyond_deg * PER_DEG
    x, y = {
        "left": (-far - 1e-9, 300.0), "right": (WIDTH + far, 300.0),
        "top": (250.0, -far - 1e-9), "bottom": (250.0, HEIGHT + far),
    }[side]  # fmt: skip
    row = frames_of([(4.0, 5.0, 0, x, y)], make_sentences((5.0, 6.0)), min_dwell_s=0.01, **rules)[0]
    assert row["dwell_s"] == pytest.approx(weight, abs=1e-3)
    if weight:
        assert row["fixation_dwell_s"] == [row["dwell_s"]]
        assert row["centroid"] == pytest.approx([min(max(x, 0), WIDTH), min(max(y, 0), HEIGHT)])


def test_the_edge_is_that_of_what_was_shown() -> None:
    display = make_display((0.0, 0, [100.0, 100.0, 300.0, 300.0]))
    fixations: list[Fix] = [(3.1, 3.6, 0, 290, 200), (3.7, 4.2, 0, 330, 200), (4.3, 4.8, 0, 310, 200)]
    row = frames_of(fixations, make_sentences((5.0, 6.0)), display=display)[-1]
    assert row["fixation_indexes"] == [1, 5]
    assert row["box"][2] == pytest.approx(300, abs=2)


def test_what_does_not_count_is_told() -> None:
    fixations: list[Fix] = [(3.0, 3.5, 0, 100, 100), (3.5, 4.0, None, 0, 0), (4.0, 5.0, 0, -PER_DEG / 2, 100)]
    fixations += [(7.0, 8.0, None, 0, 0), (8.0, 9.0, 0, 100, 100)]
    rows = frames_of(fixations, make_sentences((5.0, 6.0)))
    assert [row["discarded_share"] for row in rows] == [pytest.approx(1 - (0.5 + 0.1587) / 2, abs=1e-4), 0.5]
    images = {0: (WIDTH, HEIGHT)}
    looks = looks_on_images(make_events(fixations), make_gaze(), None, images)
    assert discarded_share(make_events(fixations), looks) == pytest.approx(
        1 - (0.5 + 0.1587 + 1) / 4, abs=1e-4
    )
    none = make_events([])
    assert np.isnan(discarded_share(none, looks_on_images(none, make_gaze(), None, images)))


def test_a_cluster_needs_dwell_of_its_own() -> None:
    # The middle fixation makes both others cores; it goes to the nearer one, and the other has 0.2 s left.
    fixations: list[Fix] = [(3.0, 3.2, 0, 100, 100), (3.3, 3.5, 0, 139, 100), (3.6, 3.8, 0, 160, 100)]
    fixations += [(3.9, 4.5, 0, 400, 400)]
    rows = frames_of(fixations, make_sentences((5.0, 6.0)), min_dwell_s=0.35, cluster_radius_deg=2.0)
    assert [row["kind"] for row in rows] == ["cluster", "cluster", "holistic"]
    assert all(row["dwell_s"] >= 0.35 for row in rows)


def test_boxes_of_all_hot_areas_the_longest_looked_at_first() -> None:
    fixations: list[Fix] = [(3.1, 3.6, 0, 400, 100), (3.7, 4.3, 0, 100, 400)]
    holistic = frames_of(fixations, make_sentences((5.0, 6.0)))[-1]
    assert holistic["box"] == holistic["boxes"][0]
    assert len(holistic["boxes"]) == 2
    (x0, y0, x1, y1), (u0, v0, u1, v1) = holistic["boxes"]
    assert x0 < 100 < x1 < u0 < 400 < u1
    assert v0 < 100 < v1 < y0 < 400 < y1
    assert holistic["centroid"] == [100.0, 400.0]


def test_every_sentence_keeps_a_row_in_its_place() -> None:
    fixations: list[Fix] = [(3.5, 4.5, 0, 100, 100), (18.5, 19.5, 0, 100, 100)]
    rows = frames_of(fixations, make_sentences((5.0, 6.0), (10.0, 11.0), (20.0, 21.0)))
    assert [(r["sentence_id"], r["status"]) for r in rows] == [("s0", "ok"), ("s1", "no_gaze"), ("s2", "ok")]


def silent_of(fixations: Sequence[Fix], regions: Sequence[str] = (), *, n_images: int = 1) -> list[list[int]]:
    """Return the fixations of each silent key frame, as places in ``fixations``; a sentence comes far later."""
    rows: list[dict[str, Any]] = [
        {"event_index": 2 * place + 1, "region": name, "letter": "B", "weight": 1.0, "is_primary": primary,
         "scheme": "s"}
        for place, region in enumerate(regions)
        for name, primary in ((region, True), ("elsewhere", False))
        if name
    ]  # fmt: skip
    table = toolkit_keyframes(
        make_events(fixations),
        make_sentences((100.0, 101.0)),
        make_gaze(),
        DISPLAY.empty_table(),
        make_images(),
        event_regions=pa.Table.from_pylist(rows, schema=EVENT_REGIONS),
    )
    silent = [row for row in table.to_pylist() if row["kind"] == "silent"]
    assert all(row["sentence_id"] is None for row in silent)
    return [[(index - 1) // 2 for index in row["fixation_indexes"]] for row in silent]


def test_silence_is_cut_by_speech_image_and_pause() -> None:
    fixations: list[Fix] = [
        (0.0, 1.0, 0, 100, 100), (1.0, 2.0, 0, 120, 100),  # before the first sentence
        (9.0, 10.0, 0, 100, 100), (10.9, 11.5, 0, 100, 100), (12.5, 13.9, 0, 100, 100),  # after it, a pause of 1 s
        (14.0, 15.0, 1, 100, 100),  # another image
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


def row_of_looks(n: int, length_s: float = 0.5, step_s: float = 0.6, image: int = 0) -> list[Fix]:
    return [(k * step_s, k * step_s + length_s, image, 100.0 + k, 200.0) for k in range(n)]


def test_silence_is_cut_where_the_region_changes() -> None:
    assert silent_of(row_of_looks(5), ["lung", "lung", "heart", "heart", "lung"]) == [[0, 1], [2, 3], [4]]


def test_a_passing_look_at_another_region_cuts_nothing() -> None:
    looks = row_of_looks(5, length_s=0.25)
    assert silent_of(looks, ["lung", "lung", "heart", "lung", "lung"]) == [[0, 1, 2, 3, 4]]
    assert silent_of(looks, ["heart", "lung", "lung", "spine", "heart"]) == [[0, 1, 2, 3, 4]]
    assert silent_of(looks, ["heart", "lung", "lung", "heart", "heart"]) == [[0, 1, 2], [3, 4]]


def test_a_long_look_at_one_region_stays_whole_and_one_at_none_is_cut_by_time() -> None:
    looks = row_of_looks(18)
    assert silent_of(looks, ["lung"] * 18) == [list(range(18))]
    assert silent_of(looks) == [list(range(9)), list(range(9, 18))]
    assert silent_of(looks, ["lung"] * 4 + [""] * 14) == [
        [0, 1, 2, 3],
        list(range(4, 13)),
        list(range(13, 18)),
    ]


def test_a_reading_without_words_is_cut_by_time() -> None:
    fixations: list[Fix] = [(float(t), t + 0.9, 0, 100 + 10 * t, 200) for t in range(12)]
    rows = frames_of(fixations, make_sentences())
    assert [len(r["fixation_indexes"]) for r in rows] == [5, 5, 2]
    assert {r["kind"] for r in rows} == {"silent"}
    assert frames_of(fixations, make_sentences(), findings=make_findings(("f0", None))) == rows


def make_findings(*marks: tuple[str, float | None]) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {"finding_id": name, "label": "Other", "present": True, "shape": "none", "sentence_ids": [],
         "source": "reader", "t_ns": None if t is None else round(t * 1e9)}
        for name, t in marks
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def test_a_reading_without_words_is_cut_where_findings_were_marked() -> None:
    fixations: list[Fix] = [(float(t), t + 0.8, int(t == 9), 100 + 10 * t, 200) for t in range(12)]
    marks = make_findings(("f2", 8.0), ("f1", 2.4), ("f3", 8.0), ("f4", None))
    rows = frames_of(fixations, make_sentences(), findings=marks, n_images=2)
    assert [(r["fixation_indexes"], r["finding_ids"]) for r in rows] == [
        ([1, 3, 5], ["f1"]),
        ([5, 7, 9, 11, 13, 15], ["f2", "f3"]),
        ([17], []),
        ([19], []),
        ([21, 23], []),
    ]
    assert [r["dwell_s"] for r in rows[:2]] == [pytest.approx(2.0), pytest.approx(4.4)], "shared at the mark"


def test_a_sentences_findings_go_with_its_key_frames() -> None:
    sentences = make_sentences((5.0, 6.0))
    ids = pa.array([["f1", "f2"]], SENTENCES.field("finding_ids").type)
    sentences = sentences.set_column(5, SENTENCES.field("finding_ids"), ids)
    fixations: list[Fix] = [(0.0, 1.0, 0, 100, 100), (3.1, 3.6, 0, 400, 100), (3.7, 4.3, 0, 100, 400)]
    rows = frames_of(fixations, sentences, findings=make_findings(("f1", 0.5)))
    assert [(r["kind"], r["finding_ids"]) for r in rows] == [
        ("silent", []),
        *[(kind, ["f1", "f2"]) for kind in ("cluster", "cluster", "holistic")],
    ]


def test_every_parameter_is_in_the_output() -> None:
    arguments = inspect.signature(toolkit_keyframes).parameters
    defaults = {n: p.default for n, p in arguments.items() if p.default is not inspect.Parameter.empty}
    assert set(PARAMETERS) == set(defaults) - {"event_regions", "findings", "looks"}
    rules: dict[str, Any] = {name: 0.25 + place / 100 for place, name in enumerate(PARAMETERS)}
    row = frames_of([(4.0, 4.5, 0, 250, 300)], make_sentences((5.0, 6.0)), **rules)[0]
    assert {name: row[name] for name in PARAMETERS} == rules
    assert frames_of([], make_sentences((5.0, 6.0)), error_deg=0.7)[0]["edge_tolerance_deg"] == 0.7


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
    assert lit[400, 100] in (29, 30)
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

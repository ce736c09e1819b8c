from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from keyframes.errors import DataError
from keyframes.pixel_clusters import dbscan
from keyframes.published import PublishedSwitches, published_keyframes, render_published
from keyframes.reading import EVENTS, IMAGES, SENTENCES
from keyframes.spots import Spots, light_up, nearest_position, quarter_picture

WIDTH_PX, HEIGHT_PX = 401, 482
PER_DEG = 20.0

Look = tuple[float, float, float, float]
"""Start and end, s; x and y, pixel index."""


def make_gaze(looks: Sequence[Look], *, image: int | None = 0, noise_px: float = 2.0) -> pa.Table:
    rng = np.random.default_rng(0)
    t_ms, x, y = [], [], []
    for start, end, x_px, y_px in looks:
        t = np.arange(round(start * 1000), round(end * 1000))
        t_ms.append(t)
        x.append(np.rint(x_px + rng.normal(0, noise_px, t.size)))
        y.append(np.rint(y_px + rng.normal(0, noise_px, t.size)))
    t_ns = np.concatenate(t_ms) * 1_000_000
    n = t_ns.size
    return pa.table(
        {
            "t_ns": t_ns,
            "x_image_px": np.concatenate(x) + 0.5,
            "y_image_px": np.concatenate(y) + 0.5,
            "px_per_deg_x": np.full(n, PER_DEG),
            "px_per_deg_y": np.full(n, PER_DEG),
            "image_index": pa.array([image] * n, pa.int16()),
            "valid": np.ones(n, np.bool_),
        }
    )


def make_sentences(*spans: tuple[float, float], text: str = "words.") -> pa.Table:
    rows = [
        {
            "sentence_id": f"s{k}",
            "sentence_index": k,
            "text": text,
            "t_start_ns": round(start * 1e9),
            "t_end_ns": round(end * 1e9),
            "finding_ids": [],
        }
        for k, (start, end) in enumerate(spans)
    ]
    return pa.Table.from_pylist(rows, schema=SENTENCES)


def make_images(*roles: str) -> pa.Table:
    rows = [
        {
            "image_index": k,
            "role": role,
            "width_px": WIDTH_PX,
            "height_px": HEIGHT_PX,
            "spacing_kind": "unknown",
            "sha256": "",
        }
        for k, role in enumerate(roles)
    ]
    return pa.Table.from_pylist(rows, schema=IMAGES)


def frames_of(gaze: pa.Table, sentences: pa.Table, **more: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = published_keyframes(
        gaze, sentences, make_images("current"), **more
    ).to_pylist()
    return rows


TWO_PLACES = [(0.0, 0.6, 60.0, 400.0), (0.6, 1.5, 330.0, 80.0)]


def test_clusters_by_mean_time_then_the_holistic_frame() -> None:
    rows = frames_of(make_gaze(TWO_PLACES), make_sentences((1.0, 1.4)))
    assert [(r["kind"], r["order"], r["profile"], r["n_clusters_found"]) for r in rows] == [
        ("cluster", 0, "published", 2), ("cluster", 1, "published", 2), ("holistic", 2, "published", 2),
    ]  # fmt: skip
    for row, (start, end, x, y) in zip(rows, TWO_PLACES, strict=False):
        assert row["centroid_q"] == pytest.approx([x / 4, y / 4], abs=1.5)
        assert row["centroid"] == pytest.approx([x + 2, y + 2], abs=6)
        assert start < row["mean_t_s"] < end
        assert start * 1e9 <= row["t_start_ns"] < row["t_end_ns"] <= end * 1e9
    holistic = rows[2]
    x0, y0, x1, y1 = holistic["box_q"]
    assert x0 < 60 / 4 < 330 / 4 < x1
    assert y0 < 80 / 4 < 400 / 4 < y1
    assert holistic["dwell_s"] == pytest.approx(holistic["n_samples"] / 1000)


def test_a_single_cluster_has_no_frame_of_its_own() -> None:
    rows = frames_of(make_gaze(TWO_PLACES[:1]), make_sentences((0.2, 0.5)))
    assert [(row["kind"], row["n_clusters_found"]) for row in rows] == [("holistic", 1)]


def test_the_common_box_is_cut_at_the_image() -> None:
    row = frames_of(make_gaze([(0.0, 1.0, 398.0, 479.0)]), make_sentences((0.1, 0.9)))[0]
    assert row["box_q"][2:] == [99, 119]
    assert row["box"][2:] == [400, 480]
    x0, y0, *_ = row["box_q"]
    assert row["box"][:2] == [4 * x0, 4 * y0]


def test_the_window_has_both_its_ends_and_windows_overlap() -> None:
    gaze = make_gaze([(0.0, 6.0, 200.0, 200.0)], noise_px=0.0)
    rows = frames_of(gaze, make_sentences((3.0, 3.5), (4.0, 4.5)))
    assert [row["n_samples"] for row in rows] == [2501, 2501]
    assert [row["t_start_ns"] for row in rows] == [1_000_000_000, 2_000_000_000]


def test_the_margins_are_left_out_in_x_and_in_y() -> None:
    gaze = make_gaze([(0.0, 1.0, 200.0, 200.0)], noise_px=0.0)
    for place, axis in ((1, "x_image_px"), (2, "y_image_px")):
        at = gaze.column(axis).to_numpy().copy()
        at[:40], at[-30:] = 20.5, 380.5
        row = frames_of(gaze.set_column(place, axis, [at]), make_sentences((0.5, 1.0)))[0]
        assert row["n_samples"] == 930


def test_lost_gaze_and_gaze_at_another_image_do_not_count() -> None:
    gaze = make_gaze([(0.0, 1.0, 200.0, 200.0)], noise_px=0.0)
    elsewhere = make_gaze([(0.0, 1.0, 20.0, 20.0)], image=1)
    lost = gaze.set_column(6, "valid", [np.zeros(1000, np.bool_)])
    no_scale = gaze.set_column(3, "px_per_deg_x", [np.full(1000, np.nan)])
    rows = published_keyframes(
        pa.concat_tables([elsewhere, lost, no_scale, gaze]),
        make_sentences((0.5, 1.0)),
        make_images("current", "lateral"),
    ).to_pylist()
    assert [(row["n_samples"], row["image_index"]) for row in rows] == [(1000, 0)]


def test_what_has_no_full_stop_is_no_sentence() -> None:
    assert frames_of(make_gaze(TWO_PLACES), make_sentences((1.0, 1.4), text="no stop")) == []


def test_a_sentence_without_gaze_keeps_its_row() -> None:
    gaze, sentences = make_gaze(TWO_PLACES[:1]), make_sentences((0.2, 0.5), (8.0, 9.0), (0.1, 0.4))
    rows = frames_of(gaze, sentences)
    assert [(row["sentence_id"], row["status"]) for row in rows] == [
        ("s0", "ok"), ("s1", "no_gaze"), ("s2", "ok"),
    ]  # fmt: skip
    assert rows[1]["box"] is None
    off = frames_of(gaze, sentences, switches=PublishedSwitches(mark_skipped_sentences=False))
    assert [row["sentence_id"] for row in off] == ["s0", "s2"]


def test_gaze_off_the_image_is_none() -> None:
    gaze = make_gaze([(0.0, 1.0, 200.0, 200.0), (5.0, 6.0, 900.0, 900.0)])
    sentences = make_sentences((0.2, 0.9), (7.0, 7.5))
    assert [row["status"] for row in frames_of(gaze, sentences)] == ["ok", "no_gaze"]
    switches = PublishedSwitches(mark_blank_holistic=False)
    first, second = frames_of(gaze, sentences, switches=switches)
    assert second["box_q"] == first["box_q"]
    assert second["sentence_id"] == "s1"
    with pytest.raises(DataError, match="first sentence"):
        frames_of(gaze, sentences.slice(1), switches=switches)


def test_a_cluster_lit_from_off_the_image_has_no_frame() -> None:
    # Spots of one pixel each. To those in the last column, samples just off the frame are nearer than their own.
    rows_px = np.arange(160, 324, 8)
    n = rows_px.size
    x = np.r_[[399] * n, [400] * n, [40] * n, np.arange(n) * 4 + 160, np.arange(n) * 4 + 160]
    y = np.r_[rows_px + 3, rows_px, rows_px, [8] * n, [472] * n]
    gaze = pa.table(
        {
            "t_ns": np.arange(x.size) * 1_000_000,
            "x_image_px": x + 0.5,
            "y_image_px": y + 0.5,
            "px_per_deg_x": np.full(x.size, 0.8),
            "px_per_deg_y": np.full(x.size, 0.8),
            "image_index": pa.array(np.zeros(x.size, np.int16)),
            "valid": np.ones(x.size, np.bool_),
        }
    )
    rows = frames_of(gaze, make_sentences((0.0, 1.0)))
    clusters = [row for row in rows if row["kind"] == "cluster"]
    assert len(clusters) == rows[0]["n_clusters_found"] - 1
    assert all(row["status"] == "ok" and row["box"] for row in rows)
    kept = frames_of(gaze, make_sentences((0.0, 1.0)), switches=PublishedSwitches(skip_blank_clusters=False))
    blank = [row for row in kept if row["box"] is None]
    assert [(row["kind"], row["status"], row["n_pixels"]) for row in blank] == [("cluster", "no_gaze", n)]


def test_fixations_are_listed_where_events_are_given() -> None:
    events = pa.Table.from_pylist(
        [
            {field.name: 0 for field in EVENTS}
            | {"event_index": k, "kind": kind, "t_start_ns": round(a * 1e9), "t_end_ns": round(b * 1e9)}
            for k, (kind, a, b) in enumerate(
                [
                    ("fixation", 0.0, 0.55),
                    ("saccade", 0.55, 0.65),
                    ("fixation", 0.65, 1.4),
                    ("fixation", 3.0, 4.0),
                ]
            )
        ],
        schema=EVENTS,
    )
    rows = frames_of(make_gaze(TWO_PLACES), make_sentences((1.0, 1.4)), events=events)
    assert [row["fixation_indexes"] for row in rows] == [[0], [2], [0, 2]]


def test_no_image_is_an_error() -> None:
    with pytest.raises(DataError, match="4 x 4"):
        published_keyframes(make_gaze(TWO_PLACES), make_sentences((1.0, 1.4)), IMAGES.empty_table())


def test_frames_are_dark_but_where_the_gaze_was() -> None:
    grey = np.full((HEIGHT_PX, WIDTH_PX), 200, np.uint8)
    row = frames_of(make_gaze(TWO_PLACES[1:]), make_sentences((0.8, 1.4)))[0]
    frame = render_published(grey, row)
    assert frame.shape == (HEIGHT_PX // 4, WIDTH_PX // 4)
    assert frame[100, 15] == 30, "0.15 of 200"
    assert frame.max() in {199, 200}
    y, x = np.unravel_index(int(frame.argmax()), frame.shape)
    assert (x, y) == (pytest.approx(330 / 4, abs=2), pytest.approx(80 / 4, abs=2))
    np.testing.assert_array_equal(frame, render_published(quarter_picture(grey), row, is_quarter=True))


def map_by_the_book(
    spots: Sequence[tuple[float, float, float, float]], width: int, height: int
) -> NDArray[np.float64]:
    """Sum Gaussians cut to squares, one by one."""
    heat = np.zeros((height, width))
    y, x = np.mgrid[0:height, 0:width]
    for at_x, at_y, sigma_x, sigma_y in spots:
        cx, cy, reach = int(at_x), int(at_y), int(3 * max(sigma_x, sigma_y))
        if not (0 <= cx < width and 0 <= cy < height):
            continue
        part = (abs(x - cx) <= reach) & (abs(y - cy) <= reach)
        heat += part * np.exp(-((x - cx) ** 2) / (2 * sigma_x**2) - (y - cy) ** 2 / (2 * sigma_y**2))
    return heat


place = st.floats(-12, 60, allow_nan=False)
sigma = st.sampled_from([0.4, 1.0, 2.5, 7.0])


@settings(max_examples=30, deadline=None)
@given(spots=st.lists(st.tuples(place, place, sigma, sigma), min_size=1, max_size=30))
def test_maps_are_sums_of_cut_gaussians(spots: list[tuple[float, float, float, float]]) -> None:
    x, y, sigma_x, sigma_y = (np.array(values) for values in zip(*spots, strict=True))
    made, spot_of_sample = Spots.of_samples(x, y, sigma_x, sigma_y)
    assert made.weight.sum() == len(spots)
    np.testing.assert_array_equal(made.x_q[spot_of_sample], x.astype(int))
    np.testing.assert_allclose(made.map(50, 40), map_by_the_book(spots, 50, 40), rtol=1e-12, atol=1e-300)


@settings(max_examples=30, deadline=None)
@given(samples=st.lists(st.tuples(place, place), min_size=1, max_size=40), data=st.data())
def test_the_nearest_position_is_found(samples: list[tuple[float, float]], data: st.DataObject) -> None:
    pixels = data.draw(st.sets(st.tuples(st.integers(0, 49), st.integers(0, 39)), min_size=1, max_size=60))
    pixel_y, pixel_x = np.array(sorted((y, x) for x, y in pixels)).T
    x, y = np.array(samples).T
    found, position_of_sample = nearest_position(pixel_x, pixel_y, x, y)
    first = np.unique(position_of_sample, return_index=True)[1]
    distance = np.hypot(x[first][found] - pixel_x, y[first][found] - pixel_y)
    least = np.hypot(x[:, None] - pixel_x, y[:, None] - pixel_y).min(axis=0)
    np.testing.assert_allclose(distance, least, rtol=1e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 250),
    on_lattice=st.booleans(),
    eps=st.sampled_from([0.1, 0.2, 0.3, 1.0]),
    min_samples=st.integers(1, 12),
)
def test_clusters_are_those_of_dbscan(
    seed: int, n: int, on_lattice: bool, eps: float, min_samples: int
) -> None:
    rng = np.random.default_rng(seed)
    lattice = rng.integers(0, int(rng.integers(2, 25)), (n, 3)) * 0.1
    points = lattice if on_lattice else rng.normal(size=(n, 3)) * rng.uniform(0.1, 2.0)
    expected = DBSCAN(eps=eps, min_samples=min_samples, algorithm="kd_tree").fit(points).labels_
    np.testing.assert_array_equal(dbscan(points, eps=eps, min_samples=min_samples), expected)


def test_a_border_point_goes_to_the_first_of_its_clusters() -> None:
    left, right = np.linspace(-0.4, -0.2, 5), np.linspace(0.15, 0.35, 5)
    x = np.r_[right, 0.0, left]
    points = np.column_stack([x, np.zeros(11), np.zeros(11)])
    assert dbscan(points, eps=0.21, min_samples=5).tolist() == [0] * 6 + [1] * 5
    assert dbscan(points[::-1], eps=0.21, min_samples=5).tolist() == [0] * 6 + [1] * 5
    assert dbscan(np.empty((0, 3)), eps=0.3, min_samples=10).size == 0


def test_the_quarter_picture_is_the_mean_of_the_area() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (40, 48), dtype=np.uint8)
    expected = grey.reshape(10, 4, 12, 4).mean(axis=(1, 3))
    assert np.abs(quarter_picture(grey) - expected).max() <= 0.5
    odd = np.repeat(
        np.arange(0, 230, 10, dtype=np.uint8)[None], 9, axis=0
    )  # 23 px wide: 4.6 px for each of 5
    assert quarter_picture(odd).tolist() == [[18, 64, 110, 156, 202]] * 2


def test_light_is_the_logarithm_of_the_heat() -> None:
    heat = np.array([[0.0, 1.0, 99.0]])
    light = 0.15 + 0.85 * np.log1p(heat + 1e-6) / np.log1p(99.0 + 1e-6)
    assert np.abs(light_up(np.full((1, 3), 255, np.uint8), heat) - 255 * light).max() <= 1

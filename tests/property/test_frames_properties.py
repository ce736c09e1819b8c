"""What holds of key frames whatever the events and sentences are."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyframes.frames import MIN_DWELL_S, render_keyframe, sentence_weights, toolkit_keyframes
from keyframes.looks import looks_on_images
from keyframes.reading import DISPLAY, EVENT_REGIONS, EVENTS, FINDINGS, GAZE, IMAGES, SENTENCES, conform
from keyframes.sentence_time import sentence_windows

SIZES = {0: (300, 400), 1: (1700, 900)}


def table_of(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    defaults = {
        field.name: {"double": float("nan"), "string": "-", "bool": True}.get(str(field.type))
        for field in schema
    }
    return pa.Table.from_pylist([{**defaults, **row} for row in rows], schema=schema)


@st.composite
def readings(draw: st.DrawFn) -> dict[str, pa.Table]:
    """Draw events one after the other, sentences that may overlap, a changing view and zoom."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = 0
    events: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 40))):
        length = int(rng.integers(1, 900)) * 1_000_000
        image = int(rng.integers(-1, 2))
        width, height = SIZES.get(image, (1, 1))
        kind = "fixation" if rng.random() < 0.8 else "blink"
        x, y = rng.uniform(-0.1, 1.1, 2) * (width, height) if image >= 0 else (np.nan, np.nan)
        events.append(
            {"event_index": len(events), "kind": kind, "t_start_ns": t, "t_end_ns": t + length,
             "duration_s": length / 1e9, "image_index": image if image >= 0 else None, "x_image_px": float(x),
             "y_image_px": float(y)}
        )  # fmt: skip
        t += length + int(rng.integers(0, 300)) * 1_000_000
    starts = np.sort(rng.integers(0, max(1, t), draw(st.integers(0, 6))))
    sentences = [
        {"sentence_id": f"s{i}", "sentence_index": i, "text": "x", "t_start_ns": int(start),
         "t_end_ns": int(start + rng.integers(0, 4_000_000_000)), "finding_ids": []}
        for i, start in enumerate(starts)
    ]  # fmt: skip
    display = []
    for _ in range(draw(st.integers(0, 5))):
        image = int(rng.integers(0, 2))
        (x0, x1), (y0, y1) = (np.sort(rng.uniform(-0.2, 1.2, 2)) * side for side in SIZES[image])
        display.append(
            {"t_ns": int(rng.integers(0, max(1, t))), "viewport_id": image, "image_index": image, "panels": [],
             "source_rect": [float(x0), float(y0), float(x1), float(y1)]}
        )  # fmt: skip
    gaze = [
        {"t_ns": int(at), "image_index": int(rng.integers(0, 2)), "px_per_deg_x": float(rng.uniform(3, 60)),
         "px_per_deg_y": float(rng.uniform(3, 60))}
        for at in np.sort(rng.integers(0, max(1, t), draw(st.integers(0, 30))))
    ]  # fmt: skip
    images = [
        {"image_index": i, "role": "current", "width_px": w, "height_px": h, "spacing_kind": "unknown"}
        for i, (w, h) in SIZES.items()
    ]
    regions = [
        {
            "event_index": e["event_index"],
            "region": f"r{rng.integers(0, 3)}",
            "weight": 1.0,
            "is_primary": True,
        }
        for e in events
        if rng.random() < 0.8
    ]
    marks = [
        {"finding_id": f"f{i}", "present": True, "shape": "none", "sentence_ids": [], "t_ns": int(at)}
        for i, at in enumerate(rng.integers(0, max(1, t), draw(st.integers(0, 3))))
    ]
    return {
        "event_regions": table_of(EVENT_REGIONS, regions),
        "findings": table_of(FINDINGS, marks),
        "events": table_of(EVENTS, events),
        "sentences": table_of(SENTENCES, sentences),
        "gaze": table_of(GAZE, gaze),
        "display": table_of(DISPLAY, display),
        "images": table_of(IMAGES, images),
    }


def keyframes_of(reading: dict[str, pa.Table]) -> pa.Table:
    return toolkit_keyframes(
        *(reading[name] for name in ("events", "sentences", "gaze", "display", "images")),
        event_regions=reading["event_regions"],
        findings=reading["findings"],
    )


@given(readings(), st.floats(0.0, 5.0), st.floats(0.0, 2.0))
def test_windows_cover_all_time_once(
    reading: dict[str, pa.Table], lead_s: float, min_silent_s: float
) -> None:
    windows = sentence_windows(reading["sentences"], lead_s=lead_s, min_silent_s=min_silent_s)
    assert windows[0].t_start_ns < -(1 << 60)
    assert windows[-1].t_end_ns > 1 << 60
    for one, other in itertools.pairwise(windows):
        assert one.t_start_ns <= one.t_end_ns == other.t_start_ns
    named = [w.sentence_id for w in windows if w.sentence_id is not None]
    assert named == reading["sentences"].sort_by("t_start_ns").column("sentence_id").to_pylist()


@given(readings(), st.floats(0.0, 5.0))
def test_weights_of_every_fixation_sum_to_one(reading: dict[str, pa.Table], lead_s: float) -> None:
    weights = sentence_weights(reading["events"], reading["sentences"], lead_s=lead_s)
    total: Counter[int] = Counter()
    for row in weights.to_pylist():
        assert row["weight"] > 0
        total[row["event_index"]] += row["weight"]
    fixations = [e["event_index"] for e in reading["events"].to_pylist() if e["kind"] == "fixation"]
    assert sorted(total) == fixations
    assert list(total.values()) == pytest.approx([1.0] * len(total))


@given(readings(), st.floats(0.0, 5.0), st.lists(st.integers(-(10**11), 10**12), min_size=1))
def test_the_sentence_weights_of_a_sample_sum_to_one(
    reading: dict[str, pa.Table], lead_s: float, samples_ns: list[int]
) -> None:
    windows = sentence_windows(reading["sentences"], lead_s=lead_s)
    for t_ns in [*samples_ns, *(w.t_start_ns for w in windows)]:
        assert sum(w.t_start_ns <= t_ns < w.t_end_ns for w in windows) == 1


@settings(max_examples=60)
@given(readings())
def test_no_counted_gaze_is_in_two_sentences_or_silences(reading: dict[str, pa.Table]) -> None:
    looks = looks_on_images(reading["events"], reading["gaze"], reading["display"], SIZES)
    told: Counter[int] = Counter()
    for row in keyframes_of(reading).to_pylist():
        if row["kind"] != "cluster":
            for index, dwell_s in zip(row["fixation_indexes"], row["fixation_dwell_s"], strict=True):
                told[index] += dwell_s
    counted = dict(zip(looks.event_index.tolist(), looks.dwell_s.tolist(), strict=True))
    assert all(told[index] <= counted[index] + 1e-9 for index in told)
    assert set(told) <= set(counted)


@settings(max_examples=60)
@given(readings())
def test_keyframes_hold_together(reading: dict[str, pa.Table]) -> None:
    table = keyframes_of(reading)
    rows = conform("keyframes", table).to_pylist()
    assert [row["order"] for row in rows] == [row["keyframe_index"] for row in rows] == list(range(len(rows)))
    events = {e["event_index"]: e for e in reading["events"].to_pylist()}
    weights = {(w["event_index"], w["sentence_id"]): w["weight"]
               for w in sentence_weights(reading["events"], reading["sentences"]).to_pylist()}  # fmt: skip
    looks = looks_on_images(reading["events"], reading["gaze"], reading["display"], SIZES)
    weights_at_edge = dict(zip(looks.event_index.tolist(), looks.weight.tolist(), strict=True))
    for row in rows:
        assert (row["kind"] == "silent") == (row["sentence_id"] is None)
        if row["status"] == "no_gaze":
            assert (row["kind"], row["box"], row["image_index"], row["dwell_s"]) == (
                "holistic",
                None,
                None,
                0.0,
            )
            continue
        width, height = SIZES[row["image_index"]]
        x0, y0, x1, y1 = row["box"]
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert x0 <= row["centroid"][0] <= x1
        assert y0 <= row["centroid"][1] <= y1
        assert row["dwell_s"] >= MIN_DWELL_S
        assert row["boxes"][0] == row["box"]
        assert 0.0 <= row["discarded_share"] < 1.0
        own = [events[i] for i in row["fixation_indexes"]]
        assert own
        assert all(e["kind"] == "fixation" and e["image_index"] == row["image_index"] for e in own)
        if row["kind"] == "holistic":
            expected = sum(weights[e["event_index"], row["sentence_id"]] * e["duration_s"] for e in own)
            inside = [weights_at_edge[e["event_index"]] for e in own]
            assert row["dwell_s"] <= expected + 1e-9
            assert row["dwell_s"] == pytest.approx(expected) or min(inside) < 1.0
    for sentence_id in reading["sentences"].column("sentence_id").to_pylist():
        own_kinds = [row["kind"] for row in rows if row["sentence_id"] == sentence_id]
        assert own_kinds == sorted(own_kinds)
        assert own_kinds[-1] == "holistic"
        starts = [r["t_start_ns"] for r in rows if r["sentence_id"] == sentence_id and r["kind"] == "cluster"]
        assert starts == sorted(starts)


@settings(max_examples=30)
@given(readings(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(reading: dict[str, pa.Table], random: Any) -> None:
    shuffled = {}
    for name, table in reading.items():
        order = list(range(table.num_rows))
        random.shuffle(order)
        keep = name == "display" or name == "gaze"  # equal times have an order there
        shuffled[name] = table if keep else table.take(pa.array(order, pa.int64()))
    assert keyframes_of(shuffled).equals(keyframes_of(reading))


@settings(max_examples=20)
@given(readings())
def test_every_keyframe_can_be_drawn(reading: dict[str, pa.Table]) -> None:
    for row in keyframes_of(reading).to_pylist()[:3]:
        width, height = SIZES[row["image_index"] or 0]
        grey8 = np.full((height, width), 255, np.uint8)
        lit = render_keyframe(grey8, row, reading["events"], reading["gaze"], longest_px=128)
        assert max(lit.shape) == 128
        assert lit.min() >= 38
        assert (lit.max() > 50) == (row["box"] is not None)

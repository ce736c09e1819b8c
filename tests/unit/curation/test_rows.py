"""The shard row of a reading: which findings a fixation belongs to, what was measured in it, how good the gaze was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation.export.rows import RowOptions, build_row
from keyframes.reading import SCHEMAS, Reading
from tests.layouts_fixture import full_reading

OPTIONS = RowOptions(
    split="test", access_tier="open", gaze_tier="raw", config_hash="0" * 16, with_images=False,
    with_keyframe_pictures=False, picture_max_side_px=64, keyframe_max_side_px=64, guard=dict,
)  # fmt: skip
SQUARE = [0.0, 0.0, 100.0, 100.0]
FIXATIONS: tuple[tuple[int | None, float, float], ...] = (
    (0, 50.0, 50.0),
    (0, 5.0, 5.0),
    (0, 100.0, 50.0),
    (1, 50.0, 50.0),
    (None, math.nan, math.nan),
)
"""Picture and place: in the middle, in a corner, on the edge that no longer counts, on another picture, on none."""
FIXATION_NS = 100


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows that are like the first one of the full reading but for what is said of them."""
    like = full_reading().table(name).slice(0, 1).to_pylist()[0]
    return pa.Table.from_pylist([like | row for row in rows], schema=SCHEMAS[name])


@pytest.fixture(scope="module")
def reading() -> Reading:
    return full_reading().with_tables(
        events=table(
            "events",
            [
                {
                    "event_index": place, "kind": "fixation", "image_index": image, "x_image_px": x, "y_image_px": y,
                    "t_start_ns": place * FIXATION_NS, "t_end_ns": (place + 1) * FIXATION_NS,
                }
                for place, (image, x, y) in enumerate(FIXATIONS)
            ],
        ),
        gaze=table(
            "gaze",
            [
                {"t_ns": t_ns, "px_per_deg_x": per_deg, "px_per_deg_y": math.nan, "pupil": pupil}
                for t_ns, per_deg, pupil in (
                    (0, 40.0, 3.0), (20, math.nan, math.nan), (40, 10.0, 4.0), (60, 30.0, 9.0), (80, 20.0, 5.0),
                    (100, 7.0, math.nan), (120, 8.0, math.nan), (199, 9.0, math.nan), (200, 100.0, 1.0),
                )
            ],
        ),
        findings=table(
            "findings",
            [
                {"finding_id": "box", "image_index": 0, "shape": "box", "box": SQUARE, "sentence_ids": []},
                {"finding_id": "ellipse", "image_index": 0, "shape": "ellipse", "box": SQUARE, "sentence_ids": []},
                {"finding_id": "other", "image_index": 1, "shape": "box", "box": SQUARE, "sentence_ids": ["s2"]},
                {"finding_id": "nowhere", "image_index": None, "shape": "none", "box": None, "sentence_ids": []},
            ],
        ),
        sentences=table(
            "sentences",
            [{"sentence_id": "s1", "finding_ids": ["box"]}, {"sentence_id": "s2", "finding_ids": []}],
        ),
        keyframes=table(
            "keyframes",
            [
                {"sentence_id": "s1", "fixation_indexes": [0, 1]},
                {"sentence_id": "s1", "fixation_indexes": [1]},
                {"sentence_id": "s2", "fixation_indexes": [1]},
                {"sentence_id": None, "fixation_indexes": [2]},
            ],
        ),
        quality=table(
            "quality",
            [
                {"metric": "accuracy", "value": 0.5, "sentence_id": None},
                {"metric": "accuracy", "value": 9.0, "sentence_id": "s1"},
                {"metric": "loss_share", "value": 0.25, "sentence_id": None},
                {"metric": "rms_s2s", "value": 8.0, "sentence_id": "s2"},
            ],
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def row(reading: Reading) -> dict[str, Any]:
    return build_row(reading, {}, OPTIONS)


def test_a_fixation_is_on_the_findings_whose_box_or_ellipse_holds_it(row: dict[str, Any]) -> None:
    by_box = [fixation["finding_ids_by_box"] for fixation in row["fixations"]]
    assert by_box == [["box", "ellipse"], ["box"], [], ["other"], []]


def test_a_fixation_has_the_findings_of_the_sentences_whose_key_frames_list_it(row: dict[str, Any]) -> None:
    assert [fixation["sentence_ids"] for fixation in row["fixations"]] == [["s1"], ["s1", "s2"], [], [], []]
    by_sentence = [fixation["finding_ids_by_sentence"] for fixation in row["fixations"]]
    assert by_sentence == [["box"], ["box", "other"], [], [], []], "said by the sentence, or by the finding"


def test_what_was_measured_in_a_fixation_is_the_median_of_its_own_samples(row: dict[str, Any]) -> None:
    per_deg = [fixation["px_per_deg_x"] for fixation in row["fixations"]]
    np.testing.assert_array_equal(per_deg, [25.0, 8.0, 100.0, math.nan, math.nan])
    assert all(math.isnan(fixation["px_per_deg_y"]) for fixation in row["fixations"])
    assert [fixation["pupil"] for fixation in row["fixations"]] == [4.5, None, 1.0, None, None]


def test_gaze_quality_is_of_the_whole_reading(row: dict[str, Any]) -> None:
    assert row["gaze_quality"] == {
        "accuracy_deg": 0.5, "rms_s2s_deg": None, "sd_deg": None, "loss_share": 0.25,
    }  # fmt: skip


def test_a_row_has_the_members_of_the_schema_and_no_others(row: dict[str, Any], reading: Reading) -> None:
    assert "x_screen_px" in reading.table("events").column_names
    assert "x_screen_px" not in row["fixations"][0]
    assert "finding_id" in row["findings"][0]
    assert row["repeat_of"] is None, "that reading is not in this dataset"

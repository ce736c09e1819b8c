"""Reference lesions: distance, dwell, which the reader reported, and the kind of error for the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from keyframes.errors import GeometryError
from keyframes.fixations import Fixations
from keyframes.lesions import distance_deg, lesion_gaze
from keyframes.reading import FINDINGS, LESION_GAZE, TRUTH

MS = 1_000_000
BOX = [400.0, 400.0, 500.0, 600.0]


def looks(*rows: tuple[int, int, float, float], scale: tuple[float, float] = (40.0, 40.0)) -> Fixations:
    """Fixations on image 0 given as (start ms, end ms, x, y)."""
    start, end, x, y = (np.array([row[i] for row in rows], np.float64) for i in range(4))
    return Fixations(
        event_index=np.arange(len(rows)),
        t_start_ns=start.astype(np.int64) * MS,
        t_end_ns=end.astype(np.int64) * MS,
        duration_s=(end - start) / 1000,
        image_index=np.zeros(len(rows), np.int64),
        x_image_px=x,
        y_image_px=y,
        px_per_deg_x=np.full(len(rows), scale[0]),
        px_per_deg_y=np.full(len(rows), scale[1]),
    )


def marks(*rows: dict[str, Any], schema: pa.Schema = FINDINGS) -> pa.Table:
    base = {
        "label": "Nodule", "present": True, "shape": "box", "sentence_ids": [], "source": "test", "image_index": 0,
        "box": BOX,
    }  # fmt: skip
    filled = [{"finding_id": f"F{i}", **base, **row} for i, row in enumerate(rows)]
    return pa.Table.from_pylist(filled, schema=schema)


def lesion(**row: Any) -> pa.Table:
    return marks({"finding_id": "L", **row}, schema=TRUTH)


NO_MARKS = FINDINGS.empty_table()
FAR = (0, 300, 100.0, 100.0)


def test_distance_is_from_the_outline_in_degrees_of_each_axis() -> None:
    at = looks((0, 1, 450, 500), (0, 1, 380, 500), (0, 1, 450, 680), (0, 1, 360, 360), scale=(20.0, 40.0))
    assert distance_deg(at, BOX) == pytest.approx([0.0, 1.0, 2.0, np.hypot(2.0, 1.0)])


def test_distance_from_an_ellipse() -> None:
    at = looks((0, 1, 450, 500), (0, 1, 401, 401), (0, 1, 360, 500), (0, 1, 450, 640))
    inside, corner, left, below = distance_deg(at, BOX, is_ellipse=True)
    assert (inside, left, below) == (0.0, pytest.approx(1.0, abs=0.01), pytest.approx(1.0, abs=0.01))
    angle = np.linspace(0, 2 * np.pi, 100_000)
    exact = np.hypot(450 + 50 * np.cos(angle) - 401, 500 + 100 * np.sin(angle) - 401).min() / 40
    assert corner == pytest.approx(exact, abs=0.005)


def test_without_a_scale_only_what_lies_inside_is_near() -> None:
    at = looks((0, 1, 450, 500), (0, 1, 399, 500), scale=(float("nan"), 40.0))
    for is_ellipse in (False, True):
        assert distance_deg(at, BOX, is_ellipse=is_ellipse).tolist() == [0.0, float("inf")]


def test_dwell_visits_and_first_look() -> None:
    seen = looks(
        FAR, (400, 700, 450, 500), (740, 900, 380, 500), (1000, 1200, 900, 900), (1300, 1500, 450, 690)
    )
    table = lesion_gaze(seen, lesion(), marks({}))
    assert table.schema.equals(LESION_GAZE)
    (row,) = table.to_pylist()
    assert (row["t_first_ns"], row["n_fixations"], row["n_visits"], row["n_revisits"]) == (400 * MS, 3, 2, 1)
    assert row["dwell_s"] == pytest.approx(0.66)
    assert (row["reported"], row["reported_as"], row["error"]) == (True, "F0", None)


@pytest.mark.parametrize(
    ("seen", "error"),
    [
        ([FAR], "search"),
        ([FAR, (400, 1300, 450, 500)], "recognition"),
        ([FAR, (400, 1400, 450, 500)], "decision"),
        ([(0, 600, 450, 500), FAR, (1500, 2000, 450, 500)], "decision"),
        ([(0, 2000, 450, 702)], "search"),
        ([(0, 2000, 450, 698)], "decision"),
    ],
    ids=["never near", "shortly", "long", "long in parts", "just too far", "just near enough"],
)
def test_the_kind_of_error_of_a_lesion_not_reported(
    seen: list[tuple[int, int, float, float]], error: str
) -> None:
    (row,) = lesion_gaze(looks(*seen), lesion(), NO_MARKS).to_pylist()
    assert (row["reported"], row["error"]) == (False, error)


def test_radius_and_dwell_can_be_set() -> None:
    seen = looks((0, 800, 450, 660))
    (row,) = lesion_gaze(seen, lesion(), NO_MARKS, radius_deg=1.0).to_pylist()
    assert row["error"] == "search"
    (row,) = lesion_gaze(seen, lesion(), NO_MARKS, decision_dwell_s=0.8).to_pylist()
    assert row["error"] == "decision"
    with pytest.raises(GeometryError, match="radius_deg"):
        lesion_gaze(seen, lesion(), NO_MARKS, radius_deg=-1.0)


@pytest.mark.parametrize(
    ("mark", "reported"),
    [
        ({}, True),
        ({"label": "nodule", "box": [490.0, 590.0, 700.0, 700.0]}, True),
        ({"box": [600.0, 400.0, 700.0, 500.0]}, False),
        ({"box": None, "shape": "none", "image_index": None}, True),
        ({"present": False}, False),
        ({"image_index": 1}, False),
        ({"label": "Mass"}, True),
        ({"label": "Mass", "box": [100.0, 0.0, 1000.0, 1000.0]}, False),
        ({"label": "Mass", "box": None, "shape": "none"}, False),
    ],
    ids=[
        "same", "same label, boxes meet", "same label elsewhere", "same label, no place", "marked absent",
        "another image", "another label in the same place", "another label, all of the image",
        "another label, no place",
    ],
)  # fmt: skip
def test_which_findings_report_a_lesion(mark: dict[str, Any], reported: bool) -> None:
    (row,) = lesion_gaze(looks(FAR), lesion(), marks(mark)).to_pylist()
    assert row["reported"] is reported
    assert row["error"] == (None if reported else "search")


def test_a_lesion_without_a_place_has_no_gaze_and_one_that_is_absent_no_row() -> None:
    truth = marks(
        {"box": None, "shape": "none", "image_index": None},
        {"present": False},
        {"image_index": 7},
        schema=TRUTH,
    )
    whole, elsewhere = lesion_gaze(looks(FAR), truth, NO_MARKS).to_pylist()
    assert (whole["dwell_s"], whole["error"], whole["reported"]) == (None, None, False)
    assert (elsewhere["n_fixations"], elsewhere["error"]) == (0, "search")
    assert lesion_gaze(looks(FAR), TRUTH.empty_table(), NO_MARKS).num_rows == 0
    assert lesion_gaze(looks(), lesion(), NO_MARKS).column("error").to_pylist() == ["search"]

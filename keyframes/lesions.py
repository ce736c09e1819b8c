"""What gaze did at each reference lesion, and which kind of error a lesion was missed by.

The three kinds of error are those of Kundel, Nodine and Carmody (Invest Radiol 13 (1978), 175-181): a missed lesion
that gaze never came near was a search error, one that it passed by shortly a recognition error, one that it dwelt on a
decision error. It is a reading of the eyes alone, and describes; no reader is graded by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keyframes.errors import GeometryError
from keyframes.fixations import Fixations
from keyframes.reading import LESION_GAZE
from keyframes.trajectory import MERGE_GAP_S

__all__ = ["DECISION_DWELL_S", "LESION_RADIUS_DEG", "distance_deg", "lesion_gaze"]

LESION_RADIUS_DEG = 2.5
"""Degrees from a lesion's outline. A nearer fixation saw it: the useful field for a lung nodule (Kundel, Nodine and
Carmody 1978)."""
DECISION_DWELL_S = 1.0
"""s. Dwell in all from which a missed lesion must have been recognised and then dismissed: the threshold that Kundel,
Nodine and Carmody found to part recognition from decision errors."""
ELLIPSE_CORNERS = 64
"""Corners of the polygon that stands for an ellipse: it lies within 0.13 % of the semi-axis."""

FloatArray = NDArray[np.float64]
Row = Mapping[str, Any]


def lesion_gaze(
    fixations: Fixations,
    truth: pa.Table,
    findings: pa.Table,
    *,
    radius_deg: float = LESION_RADIUS_DEG,
    decision_dwell_s: float = DECISION_DWELL_S,
    merge_gap_s: float = MERGE_GAP_S,
) -> pa.Table:
    """Return table ``lesion_gaze``: a row for every reference lesion that is present.

    A fixation is on a lesion where its mean position is no farther than ``radius_deg`` from the lesion's outline or
    lies inside, by the image px per degree of that fixation; without a scale it must lie inside. Dwell is the sum of
    the durations of all such fixations.

    truth, findings  : `keyframes.reading.TRUTH` and `FINDINGS`; a lesion without box or image has no gaze columns.
    fixations        : of all images, in order of time.
    decision_dwell_s : a lesion not reported, with less dwell, is a recognition error, else a decision error; with no
        fixation on it, a search error.
    merge_gap_s      : two fixations on a lesion farther apart in time are two visits.

    A lesion is reported where a finding that the reader marked as present is on its image, or on none, and either bears
    the lesion's label (whatever the case), their boxes meeting where both have one, or lies there: the centre of each
    box is in the other. Raises GeometryError where ``radius_deg`` is negative.
    """
    if not radius_deg >= 0:
        raise GeometryError(f"radius_deg is {radius_deg}, expected 0 or more")
    marked = [row for row in findings.to_pylist() if row["present"]]
    rows = []
    for lesion in truth.to_pylist():
        if not lesion["present"]:
            continue
        reported_as = next((mark["finding_id"] for mark in marked if _reports(mark, lesion)), None)
        row = {
            "finding_id": lesion["finding_id"],
            "label": lesion["label"],
            "source": lesion["source"],
            "reported": reported_as is not None,
            "image_index": lesion["image_index"],
            "reported_as": reported_as,
        }
        if lesion["box"] is not None and lesion["image_index"] is not None:
            row |= _gaze(fixations, lesion, radius_deg, merge_gap_s)
            if reported_as is None:
                row["error"] = _error(row["dwell_s"], row["n_fixations"], decision_dwell_s)
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=LESION_GAZE)


def distance_deg(fixations: Fixations, box: Sequence[float], *, is_ellipse: bool = False) -> FloatArray:
    """Return how far each fixation lies from a box, or the ellipse inscribed in it, in degrees; 0 inside.

    box : ``(x0, y0, x1, y1)``, image px. Each axis is scaled by the fixation's own image px per degree; where that is
    unknown, what lies outside is infinitely far.
    """
    x0, y0, x1, y1 = box
    known = (fixations.px_per_deg_x > 0) & (fixations.px_per_deg_y > 0)
    scale_x, scale_y = (np.where(known, s, 1.0) for s in (fixations.px_per_deg_x, fixations.px_per_deg_y))
    off_x, off_y = fixations.x_image_px - (x0 + x1) / 2, fixations.y_image_px - (y0 + y1) / 2
    half_x, half_y = (x1 - x0) / 2, (y1 - y0) / 2
    if is_ellipse and half_x > 0 and half_y > 0:
        inside = (off_x / half_x) ** 2 + (off_y / half_y) ** 2 <= 1.0
        angle = np.linspace(0.0, 2.0 * np.pi, ELLIPSE_CORNERS, endpoint=False)
        corners = np.stack([half_x * np.cos(angle), half_y * np.sin(angle)], axis=1)
        beyond = _to_polygon(
            off_x / scale_x, off_y / scale_y, corners / np.stack([scale_x, scale_y], 1)[:, None]
        )
    else:
        inside = (np.abs(off_x) <= half_x) & (np.abs(off_y) <= half_y)
        beyond = np.hypot(
            np.maximum(np.abs(off_x) - half_x, 0.0) / scale_x,
            np.maximum(np.abs(off_y) - half_y, 0.0) / scale_y,
        )
    distance: FloatArray = np.where(inside, 0.0, np.where(known, beyond, np.inf))
    return distance


def _to_polygon(x: FloatArray, y: FloatArray, corners: FloatArray) -> FloatArray:
    """Return the distance of (n,) points to the outlines (n, corners, 2), one for each of them."""
    along = np.roll(corners, -1, axis=1) - corners
    from_x, from_y = x[:, None] - corners[..., 0], y[:, None] - corners[..., 1]
    at = (from_x * along[..., 0] + from_y * along[..., 1]) / (along**2).sum(axis=2)
    at = np.clip(at, 0.0, 1.0)
    nearest: FloatArray = np.hypot(from_x - at * along[..., 0], from_y - at * along[..., 1]).min(axis=1)
    return nearest


def _gaze(fixations: Fixations, lesion: Row, radius_deg: float, merge_gap_s: float) -> dict[str, Any]:
    """Return the columns that say how a lesion was looked at."""
    distance = distance_deg(fixations, lesion["box"], is_ellipse=lesion["shape"] == "ellipse")
    on_it = (fixations.image_index == lesion["image_index"]) & (distance <= radius_deg)
    n_visits = int(fixations.visit_starts(on_it, merge_gap_s).sum())
    return {
        "t_first_ns": int(fixations.t_start_ns[on_it].min()) if n_visits else None,
        "dwell_s": float(fixations.duration_s[on_it].sum()),
        "n_fixations": int(on_it.sum()),
        "n_visits": n_visits,
        "n_revisits": max(0, n_visits - 1),
    }


def _error(dwell_s: float, n_fixations: int, decision_dwell_s: float) -> str:
    if not n_fixations:
        return "search"
    return "recognition" if dwell_s < decision_dwell_s else "decision"


def _reports(mark: Row, lesion: Row) -> bool:
    """Say whether a reader's finding reports a lesion."""
    if (
        None not in (mark["image_index"], lesion["image_index"])
        and mark["image_index"] != lesion["image_index"]
    ):
        return False
    same_label = mark["label"].casefold() == lesion["label"].casefold()
    if mark["box"] is None or lesion["box"] is None:
        return bool(same_label)
    (x0, y0, x1, y1), (u0, v0, u1, v1) = mark["box"], lesion["box"]
    if same_label:
        return bool(x0 < u1 and u0 < x1 and y0 < v1 and v0 < y1)
    return bool(
        x0 <= (u0 + u1) / 2 <= x1
        and y0 <= (v0 + v1) / 2 <= y1
        and u0 <= (x0 + x1) / 2 <= u1
        and v0 <= (y0 + y1) / 2 <= v1
    )

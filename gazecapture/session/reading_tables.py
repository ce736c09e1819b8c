"""The source tables of a Reading that is cut from a session, one function each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gazecapture.session.gaze_stream import GazeStream
from gazecapture.session.reading_spans import ReadingSpan
from gazecapture.session.schema import SessionInfo, StudyInfo
from keyframes.geometry import map_gaze
from keyframes.reading import SCHEMAS

__all__ = [
    "display_table",
    "findings_table",
    "gaze_table",
    "images_table",
    "table_of",
    "truth_table",
    "words_table",
]

UNMEASURED_LAG_MS = 20.0
"""ms on top of one frame: what screens need to show a picture that they were given, where nobody measured this one."""
LAG_SPREADS = 2.0
"""Standard deviations of a measured lag that count as uncertain: 95 of 100 changes are on the screen by then."""
USUAL_REFRESH_HZ = 60.0
"""Of a screen that does not say."""


def images_table(study: StudyInfo) -> pa.Table:
    """Give the study's images, in their order, as they were before the store."""
    rows = [
        {
            "image_index": image.image_index,
            "role": image.role,
            "width_px": image.width_px,
            "height_px": image.height_px,
            "spacing_kind": image.spacing_kind,
            "sha256": image.sha256,
            "view_position": image.view_position or None,
            "spacing_x_mm": image.spacing_x_mm,
            "spacing_y_mm": image.spacing_y_mm,
        }
        for image in study.images
    ]
    return table_of("images", rows)


def display_table(journal: pa.Table, span: ReadingSpan) -> pa.Table:
    """Give what was shown from image on to image off, in reading time."""
    mine = pc.and_(
        pc.equal(journal["reading_number"], span.reading_number),
        pc.and_(pc.greater_equal(journal["t_ns"], span.on_ns), pc.less_equal(journal["t_ns"], span.off_ns)),
    )
    rows = journal.filter(mine).drop_columns(["reading_number", "event"])
    return rows.set_column(0, "t_ns", pa.array(span.pauses.reading_time(rows["t_ns"].to_numpy())))


def gaze_table(
    part: GazeStream,
    span: ReadingSpan,
    display: pa.Table,
    info: SessionInfo,
    offset_screen_px: tuple[float, float],
) -> pa.Table:
    """Put the samples on reading time and on the image that was shown at that moment.

    offset_screen_px : of the drift check in force; taken off before gaze is placed on an image, while the screen
        columns stay as measured.
    """
    seen = ~span.pauses.covers(part.t_ns)
    kept = slice(None) if seen.all() else seen
    gaze = {name: values[kept] for name, values in part.gaze.items()}
    t_ns = span.pauses.reading_time(part.t_ns[kept])
    n = t_ns.size
    mapped = map_gaze(
        t_ns,
        gaze["x_screen_px"] - offset_screen_px[0],
        gaze["y_screen_px"] - offset_screen_px[1],
        display,
    )
    per_deg_x = per_deg_y = np.nan
    if info.display is not None and info.display.knows_degrees:
        per_deg_x, per_deg_y = info.display.px_per_deg()
    columns: dict[str, Any] = {
        **gaze,
        "t_ns": t_ns,
        "x_image_px": mapped.x_image_px,
        "y_image_px": mapped.y_image_px,
        "px_per_deg_x": mapped.image_px_per_screen_px_x * per_deg_x,
        "px_per_deg_y": mapped.image_px_per_screen_px_y * per_deg_y,
        "viewport_id": pa.array(mapped.viewport_id, mask=mapped.viewport_id < 0),
        "image_index": pa.array(mapped.image_index, mask=mapped.image_index < 0),
        "on_panel": mapped.on_panel,
        "source": gaze.get("source", pa.repeat(part.source, n)),
        "display_uncertain": _within_lag(t_ns, display, info),
    }
    return pa.table(columns)


def _within_lag(t_ns: NDArray[np.int64], display: pa.Table, info: SessionInfo) -> NDArray[np.bool_]:
    """Say at which samples a change may not have been on the screen yet, though it was painted."""
    if info.display_lag_ms is not None:
        lag_ms = info.display_lag_ms + LAG_SPREADS * (info.display_lag_sd_ms or 0.0)
    else:
        lag_ms = 1000.0 / (info.refresh_hz or USUAL_REFRESH_HZ) + UNMEASURED_LAG_MS
    changes = np.unique(display["t_ns"].to_numpy())
    last = np.searchsorted(changes, t_ns, side="right") - 1
    since_ns = t_ns - changes[np.maximum(last, 0)]
    within: NDArray[np.bool_] = (last >= 0) & (since_ns < lag_ms * 1e6)
    return within


def words_table(words: pa.Table, span: ReadingSpan, spans: Sequence[ReadingSpan]) -> pa.Table:
    """Give the words that began before this study's end and after the end of the study before.

    words : the session's journal, in order of ``t_start_ns``.

    What is said between two studies belongs to the coming one, what is said after the last to the last, what is
    said during an attempt that was given up to none.
    """
    offs = np.array([s.off_ns for s in spans], np.int64)
    own = next(place for place, s in enumerate(spans) if s.reading_number == span.reading_number)
    place = np.minimum(np.searchsorted(offs, words["t_start_ns"].to_numpy(), side="right"), offs.size - 1)
    said_here = words["t_start_ns"].to_numpy() >= span.free_from_ns
    in_pause = span.pauses.covers(words["t_start_ns"].to_numpy())
    mine = words.filter(pa.array((place == own) & said_here & ~in_pause))
    columns = {
        "word_index": np.arange(mine.num_rows, dtype=np.int32),
        "t_start_ns": span.pauses.reading_time(mine["t_start_ns"].to_numpy()),
        "t_end_ns": span.pauses.reading_time(mine["t_end_ns"].to_numpy()),
        "word": mine["word"],
        "supported": np.ones(mine.num_rows, np.bool_),
        "source": mine["source"],
        "confidence": mine["confidence"],
    }
    return pa.table(columns)


def findings_table(annotations: Sequence[Mapping[str, Any]], span: ReadingSpan) -> pa.Table:
    """Give the findings as they stood when the study was closed; ``annotations``: the session's, in order of time."""
    standing: dict[str, Mapping[str, Any]] = {}
    marked_ns: dict[str, int] = {}
    for row in annotations:
        if row["reading_number"] != span.reading_number or not span.on_ns <= row["t_ns"] <= span.off_ns:
            continue
        if row["action"] == "remove":
            standing.pop(row["finding_id"], None)
            marked_ns.pop(row["finding_id"], None)
        elif row["action"] == "put":
            standing[row["finding_id"]] = row
            marked_ns.setdefault(row["finding_id"], row["t_ns"])
    rows = [
        {
            "finding_id": row["finding_id"],
            "label": row["label"] or "Other",
            "present": True if row["present"] is None else row["present"],
            "shape": row["shape"] or ("none" if row["box"] is None else "box"),
            "sentence_ids": [],
            "source": "reader",
            "t_ns": int(span.pauses.reading_time(marked_ns[row["finding_id"]])),
            **{name: row[name] for name in ("certainty", "rating", "image_index", "box")},
        }
        for row in standing.values()
    ]
    return table_of("findings", rows)


def truth_table(study: StudyInfo) -> pa.Table:
    """Give what the worklist knows of the study's lesions."""
    rows = [
        {
            "finding_id": lesion.finding_id,
            "label": lesion.label,
            "present": lesion.present,
            "shape": "none" if lesion.box is None else "box",
            "sentence_ids": [],
            "source": lesion.source,
            "image_index": lesion.image_index,
            "box": None if lesion.box is None else list(lesion.box),
        }
        for lesion in study.truth
    ]
    return table_of("truth", rows)


def table_of(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as table ``name`` of a Reading; a column that a row lacks is null there."""
    schema = SCHEMAS[name]
    return pa.Table.from_pylist([{f.name: row.get(f.name) for f in schema} for row in rows], schema=schema)

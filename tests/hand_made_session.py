"""A session made by hand, journal by journal, so that every number that should come out is known."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gazecapture.session.journal import JournalWriter
from gazecapture.session.schema import (
    ANNOTATIONS,
    DISPLAY_JOURNAL,
    OFFSETS,
    STREAM_PREFIX,
    WORDS_JOURNAL,
    SessionInfo,
    StreamChannel,
    StreamInfo,
    StudyImage,
    StudyInfo,
    TruthLesion,
    write_session_info,
    write_stream_info,
)
from gazecapture.session.to_readings import SessionReading, to_readings
from keyframes.geometry import Display
from keyframes.reading import Reading, Tracker

KEY = b"k" * 32
S = 1_000_000_000
RATE_HZ = 100
ON_NS, OFF_NS = {1: 10 * S, 2: 14 * S}, {1: 13 * S, 2: 17 * S}
PICTURE = b"the bytes of a film"
SCREEN = Display(width_px=1000, height_px=500, width_mm=500, height_mm=250, distance_mm=600)
SHA256 = hashlib.sha256(PICTURE).hexdigest()
CHANNELS = (
    ("left_x", "ScreenX", "left", "pixels"),
    ("left_y", "ScreenY", "left", "pixels"),
    ("right_x", "ScreenX", "right", "pixels"),
    ("right_y", "ScreenY", "right", "pixels"),
    ("frame_number", "FrameNumber", "both", "count"),
)


def image(index: int) -> StudyImage:
    return StudyImage(
        image_index=index, role=("current", "prior")[index], sha256=SHA256, suffix=".dcm", width_px=1000,
        height_px=1000, spacing_x_mm=0.2, spacing_y_mm=0.2, spacing_kind="pixel", source_patient_id="PAT",
        source_study_uid="1.2.3",
    )  # fmt: skip


def study(number: int, n_images: int = 2) -> StudyInfo:
    lesion = TruthLesion(
        finding_id="t1", label="Nodule", present=True, image_index=0, box=(1, 2, 3, 4), source="phantom"
    )
    return StudyInfo(
        reading_number=number,
        study_id=f"S{number}",
        images=tuple(image(i) for i in range(n_images)),
        arm="plain",
        indication="cough",
        truth=(lesion,),
    )


def display_row(number: int, event: str, t_ns: int, viewport: int, **changes: Any) -> dict[str, Any]:
    x0 = 500.0 * viewport
    row: dict[str, Any] = dict.fromkeys(DISPLAY_JOURNAL.names) | {
        "reading_number": number,
        "event": event,
        "t_ns": t_ns,
        "viewport_id": viewport,
        "inverted": False,
        "panels": [],
        "viewport_rect": [x0, 0.0, x0 + 500, 500.0],
    }
    if event != "off":
        row |= {"image_index": viewport, "affine": [2.0, 0.0, -2 * x0, 0.0, 2.0, 0.0]}
    return row | changes


def write_rows(folder: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    with JournalWriter(folder, schema) as journal:
        full = [{name: row.get(name) for name in schema.names} for row in rows]
        journal.append(pa.Table.from_pylist(full, schema=schema))


def make_session(
    folder: Path,
    *,
    studies: tuple[StudyInfo, ...] | None = None,
    display: list[dict[str, Any]] | None = None,
    offset_s: float = -2.5,
    repeat: slice | None = None,
) -> Path:
    """Write two studies of two images; the right eye is 4 px right of the left, gaze moves 1 px a sample."""
    folder.mkdir(parents=True)
    write_session_info(
        folder,
        SessionInfo(
            session_id="sitting", reader_code="R1", created_unix_ns=1, tool_version="0", display=SCREEN,
            studies=(study(1), study(2)) if studies is None else studies,
        ),
    )  # fmt: skip
    (folder / "images").mkdir()
    (folder / "images" / f"{SHA256}.dcm").write_bytes(PICTURE)
    n = 10 * RATE_HZ
    t_session_s = 8 + np.arange(n) / RATE_HZ
    x = np.arange(n, dtype=float) % 1000
    lost = np.zeros(n, bool)
    lost[300:310] = True
    columns = {
        "sequence": np.arange(n),
        "t_remote_s": t_session_s - offset_s,
        "t_received_ns": np.round(t_session_s * 1e9).astype(np.int64) + 1_000_000,
        "left_x": np.where(lost, np.nan, x),
        "left_y": np.where(lost, np.nan, 100.0),
        "right_x": np.where(lost, np.nan, x + 4),
        "right_y": np.where(lost, np.nan, 102.0),
        "frame_number": np.arange(n, dtype=float) + 5000,
    }
    table = pa.table(columns)
    if repeat is not None:
        table = pa.concat_tables([table.slice(0, repeat.stop), table.slice(repeat.start)])
    schema = pa.schema([*STREAM_PREFIX, *(pa.field(c[0], pa.float64()) for c in CHANNELS)])
    stream = folder / "streams" / "eye"
    with JournalWriter(stream, schema) as journal:
        journal.append(table.cast(schema))
    write_stream_info(
        stream,
        StreamInfo(
            stream_id="eye", role="gaze", name="Eye", kind="Gaze", channel_format="double64", nominal_rate_hz=500.0,
            channels=tuple(StreamChannel(column=c, label=c, kind=k, eye=e, unit=u) for c, k, e, u in CHANNELS),
            tracker=Tracker(manufacturer="Acme", model="Eye 1"),
        ),
    )  # fmt: skip
    offsets = [{"t_ns": t * S, "offset_s": offset_s, "uncertainty_s": 1e-4} for t in range(8, 18)]
    write_rows(folder / "offsets" / "eye", OFFSETS, offsets)
    if display is None:
        display = [
            display_row(number, event, t[number], viewport)
            for number in (1, 2)
            for event, t in (("on", ON_NS), ("off", OFF_NS))
            for viewport in (0, 1)
        ]
    write_rows(folder / "display", DISPLAY_JOURNAL, display)
    words = [(11, "heart"), (13.5, "between"), (15, "normal"), (19, "late")]
    rows = [
        {"t_start_ns": int(t * S), "t_end_ns": int(t * S) + 1, "word": w, "source": "dictated"}
        for t, w in words
    ]
    write_rows(folder / "words", WORDS_JOURNAL, rows)
    marks = [
        {
            "t_ns": 11 * S,
            "reading_number": 1,
            "action": "put",
            "finding_id": "f1",
            "label": "Nodule",
            "certainty": 0.5,
        },
        {
            "t_ns": 12 * S,
            "reading_number": 1,
            "action": "put",
            "finding_id": "f1",
            "label": "Edema",
            "box": [1, 2, 3, 4],
        },
        {"t_ns": 11 * S, "reading_number": 1, "action": "put", "finding_id": "f2", "label": "Fracture"},
        {"t_ns": 12 * S, "reading_number": 1, "action": "remove", "finding_id": "f2"},
    ]
    write_rows(folder / "annotations", ANNOTATIONS, marks)
    return folder


def cut(session: Path) -> list[SessionReading]:
    return list(to_readings(session, key=KEY))


def good(results: list[SessionReading]) -> list[Reading]:
    assert [r.error for r in results] == [None] * len(results)
    return [r.reading for r in results if r.reading is not None]

"""What a REFLACX reader marked and said: ellipses and labels as findings, the words, the box around the chest.

Boxes are those of the files, image px; an ellipse is inscribed in its box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from curation.ingest.csv_files import CODE, malformed, number_of, read_rows, read_text
from keyframes.errors import GeometryError, TimestampError
from keyframes.reading import FINDINGS, WORDS

__all__ = [
    "CERTAINTY",
    "METADATA_COLUMNS",
    "NO_LABELS",
    "OTHER",
    "SIDES",
    "SUPPORT_DEVICES",
    "chest_box",
    "read_findings",
    "read_words",
    "transcript_matches",
]

METADATA_COLUMNS = (
    "id", "split", "eye_tracking_data_discarded", "image", "dicom_id", "subject_id", "image_size_x", "image_size_y",
)  # fmt: skip
"""Of every phase; the other columns are labels."""
NO_LABELS = frozenset({*METADATA_COLUMNS, "Quality issue"})
SUPPORT_DEVICES = "Support devices"
OTHER = "Other"
"""Labels in free text, separated by ``|``."""
CERTAINTY = MappingProxyType({1: 0.05, 2: 0.25, 3: 0.5, 4: 0.75, 5: 0.95})
"""Rating -> the middle of what it stands for: below 10 %, about 25, 50 and 75 %, above 90 %. 0: not there."""
SIDES = ("xmin", "ymin", "xmax", "ymax")
MAX_WORDS = 20_000
MAX_WORD_LETTERS = 200
MAX_MARKS = 1000
MAX_TIME_S = 86_400.0


def read_findings(
    metadata: Mapping[str, str], ellipses: Path | None, *, width_px: int, height_px: int, path: Path
) -> pa.Table:
    """Return table ``findings``: one row per label of an ellipse, and one per label that has none.

    metadata : the reading's row of the table at ``path``.
    ``rating`` is the published 1 to 5, ``certainty`` what it stands for, both null for what has none. Labels of rating
    0 are left out. Raises SchemaError where a number is absent or a rating is none.
    """
    rows = [] if ellipses is None else list(_ellipses(ellipses, width_px, height_px))
    drawn = {row["label"] for row in rows}
    for place, (label, text) in enumerate(metadata.items()):
        if label in NO_LABELS or label in drawn:
            continue
        if label == OTHER:
            names = [name.strip() for name in text.split("|") if name.strip()]
            rows += [_finding(f"l{place}-{k}", name, None) for k, name in enumerate(names)]
        elif label == SUPPORT_DEVICES:
            if text == "True":
                rows.append(_finding(f"l{place}", label, None))
        elif rating := _rating(metadata, label, path):
            rows.append(_finding(f"l{place}", label, rating))
    return pa.Table.from_pylist(rows, schema=FINDINGS)


def chest_box(path: Path | None, *, width_px: int, height_px: int) -> list[float] | None:
    """Return the reader's box around both lungs, (x0, y0, x1, y1), None where there is none."""
    boxes = [] if path is None else [_box(row, path, width_px, height_px) for row in read_rows(path, SIDES)]
    if len(boxes) > 1:
        malformed(f"it has {len(boxes)} boxes, expected one", path or Path())
    return boxes[0] if boxes else None


def read_words(path: Path) -> pa.Table:
    """Return table ``words``, in the order of the file. Raises TimestampError where a time is impossible."""
    starts, ends = "timestamp_start_word", "timestamp_end_word"
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(read_rows(path, ("word", starts, ends)), start=2):
        start_s, end_s = number_of(row, starts, path), number_of(row, ends, path)
        if max(abs(start_s), abs(end_s)) > MAX_TIME_S or end_s < start_s:
            raise TimestampError(
                "a word ends before it starts, or its time is not in s", path=path, record=number, code=CODE
            )
        if len(row["word"]) > MAX_WORD_LETTERS or len(rows) >= MAX_WORDS:
            malformed("it is too long for a dictation", path, record=number)
        rows.append(
            {
                "word_index": len(rows),
                "t_start_ns": round(start_s * 1e9),
                "t_end_ns": round(end_s * 1e9),
                "word": row["word"],
                "supported": True,
                "source": "imported",
            }
        )
    return pa.Table.from_pylist(rows, schema=WORDS)


def transcript_matches(words: pa.Table, path: Path) -> bool:
    """Say whether the words are those of the transcript, white space aside."""
    said = "".join(words.column("word").to_pylist())
    return "".join(said.split()) == "".join(read_text(path).split())


def _ellipses(path: Path, width_px: int, height_px: int) -> Iterator[dict[str, Any]]:
    for place, row in enumerate(read_rows(path, (*SIDES, "certainty"))):
        if place >= MAX_MARKS:
            malformed(f"it has more than {MAX_MARKS} ellipses", path)
        box = _box(row, path, width_px, height_px)
        rating = _rating(row, "certainty", path)
        labels = [name for name, value in row.items() if value == "True" and name not in NO_LABELS]
        for k, label in enumerate(labels or ["Unnamed"]):
            finding = _finding(f"e{place}-{k}", label, rating)
            yield finding | {"shape": "ellipse", "image_index": 0, "box": box}


def _finding(finding_id: str, label: str, rating: int | None) -> dict[str, Any]:
    return {
        "finding_id": finding_id,
        "label": label,
        "present": True,
        "shape": "none",
        "sentence_ids": [],
        "source": "reader",
        "certainty": None if rating is None else CERTAINTY.get(rating),
        "rating": rating,
    }


def _rating(row: Mapping[str, str], name: str, path: Path) -> int:
    value = number_of(row, name, path)
    if value not in range(6):
        malformed(f"column {name} holds what is no certainty from 0 to 5", path)
    return int(value)


def _box(row: Mapping[str, str], path: Path, width_px: int, height_px: int) -> list[float]:
    box = [number_of(row, side, path) for side in SIDES]
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0 or not (0 <= (x0 + x1) / 2 <= width_px and 0 <= (y0 + y1) / 2 <= height_px):
        raise GeometryError(
            f"a box is empty, or its middle is off the image of {width_px} x {height_px} px",
            hint="Are the boxes those of this image?",
            path=path,
            code=CODE,
        )
    return box

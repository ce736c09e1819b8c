"""What EGD-CXR says of an image beside the gaze: phrases, labels, boxes around anatomy, patient."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from curation.ingest.csv_files import malformed, read_text
from curation.ingest.egd_tables import CODE
from keyframes.reading import AGE_BANDS, SEXES, TRUTH, WORDS

__all__ = ["age_band", "anatomy_boxes", "read_labels", "read_phrases", "sex"]

MAX_TIME_S = 86_400.0
MAX_WORDS = 20_000
MAX_WORD_LETTERS = 200
_CLASSES = ("CHF", "pneumonia")
"""Columns of 0 and 1; the third, Normal, is no finding."""
_CHEXPERT = "__chx"
"""End of the names of columns with CheXpert's labels: 1, 0, -1 for uncertain, empty for not said."""


class _Phrase(BaseModel):
    model_config = ConfigDict(extra="ignore")
    phrase: str
    begin_time: float
    end_time: float


class _Transcript(BaseModel):
    model_config = ConfigDict(extra="ignore")
    time_stamped_text: list[_Phrase]


_JSON: TypeAdapter[_Transcript | list[_Phrase]] = TypeAdapter(_Transcript | list[_Phrase])


def read_phrases(path: Path, issues: Counter[str]) -> pa.Table:
    """Return table ``words``: those of each phrase, with its time spread over them by their letters.

    ``phrase_index`` beyond the schema tells which words share a published time. Raises SchemaError (GT-EGD) where the
    file is no transcript.
    """
    try:
        content = _JSON.validate_json(read_text(path, code=CODE))
    except ValidationError:  # its own text quotes what was said
        malformed("it holds no phrases with begin_time and end_time", path, code=CODE)
    rows: list[dict[str, Any]] = []
    phrases = content.time_stamped_text if isinstance(content, _Transcript) else content
    for number, phrase in enumerate(phrases):
        start_s, end_s = phrase.begin_time, phrase.end_time
        if not (abs(start_s) <= MAX_TIME_S and start_s <= end_s <= MAX_TIME_S):
            issues["GI-WORD-TIME"] += 1
            continue
        said = phrase.phrase.split()
        issues["GI-PHRASES"] += len(said) > 1
        if len(rows) + len(said) > MAX_WORDS or any(len(word) > MAX_WORD_LETTERS for word in said):
            malformed("it is too long for a dictation", path, record=number, code=CODE)
        n_letters, so_far = sum(map(len, said)), 0
        for word in said:
            edges = [start_s + (end_s - start_s) * k / n_letters for k in (so_far, so_far + len(word))]
            so_far += len(word)
            rows.append(
                {
                    "word_index": len(rows),
                    "t_start_ns": round(edges[0] * 1e9),
                    "t_end_ns": round(edges[1] * 1e9),
                    "word": word,
                    "supported": True,
                    "source": "imported",
                    "phrase_index": number,
                }
            )
    return pa.Table.from_pylist(rows, schema=pa.schema([*WORDS, pa.field("phrase_index", pa.int32())]))


def read_labels(row: Mapping[str, str]) -> pa.Table:
    """Return table ``truth``: the image's class, and CheXpert's labels of its report; none has a place."""
    found = [(name, _number(row.get(name, "")), "egd-cxr") for name in _CLASSES]
    found += [
        (name.removesuffix(_CHEXPERT).replace("_", " ").strip(), _number(value), "chexpert")
        for name, value in row.items()
        if name.endswith(_CHEXPERT)
    ]
    rows: list[dict[str, Any]] = [
        {
            "finding_id": f"t{place}",
            "label": label,
            "present": value != 0,
            "shape": "none",
            "sentence_ids": [],
            "source": source,
            "certainty": 0.5 if value < 0 else None,
        }
        for place, (label, value, source) in enumerate(found)
        if value in (-1.0, 0.0, 1.0)
    ]
    return pa.Table.from_pylist(rows, schema=TRUTH)


def anatomy_boxes(
    rows: Sequence[Mapping[str, str]], width_px: int, height_px: int, issues: Counter[str]
) -> list[dict[str, Any]]:
    """Return the boxes as name and (x0, y0, x1, y1); one that is empty or off the image is left out."""
    found = []
    for row in rows:
        x0, y0, x1, y1 = box = [_number(row[name]) for name in ("x1", "y1", "x2", "y2")]
        if x0 < x1 and y0 < y1 and 0 <= x0 + x1 <= 2 * width_px and 0 <= y0 + y1 <= 2 * height_px:
            found.append({"name": row["bbox_name"], "box": box})
        else:
            issues["GI-BOX"] += 1
    return found


def sex(row: Mapping[str, str]) -> str:
    """Return the patient's sex, empty where it is not said."""
    said = row.get("gender", "").strip().upper()
    return said if said in SEXES else ""


def age_band(row: Mapping[str, str]) -> str:
    """Return the patient's age band, empty where the age is not said."""
    age = _number(row.get("anchor_age", ""))
    return AGE_BANDS[min(int(age) // 10, len(AGE_BANDS) - 1)] if 0 <= age < 200 else ""


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan

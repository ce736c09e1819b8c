"""What the report keeps of every reading, however many there are: some kB of numbers, no text and no picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.report.sources import Row
from keyframes.reading import TRAJECTORY

__all__ = ["Gathered", "ImageGaze", "LetterGaze", "Visit", "gathered"]

FloatArray = NDArray[np.float64]
UNKNOWN_SIGMA_SHARE = 0.04
"""SD of a fixation's Gaussian, of the image's longer side, where degrees are unknown: 1 degree of 25 across."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGaze:
    """Fixations on one image, n of them, in shares of its width and height, so that images of one study compare."""

    x_share: FloatArray
    y_share: FloatArray
    dwell_s: FloatArray
    sigma_share: tuple[float, float]
    """1 degree as a share of width and height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGaze:
    """How one letter was inspected on all images of a reading."""

    dwell_s: float
    dwell_share: float
    """Of the dwell on all letters."""
    t_first_s: float
    """NaN: never."""
    covered_share: float
    """On the image where it is greatest; NaN where nobody measured it."""
    n_visits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A stretch of the trajectory."""

    letter: str
    image_index: int
    t_start_s: float
    t_end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """One reading."""

    reading_id: str
    study_key: str
    reader_code: str
    """Never shown."""
    is_repeat: bool
    duration_s: float
    metrics: Mapping[str, float]
    """Of the quality stage, of the whole reading."""
    units: Mapping[str, str]
    letters: Mapping[str, LetterGaze]
    visits: tuple[Visit, ...]
    trajectory: pa.Table
    gaze: Mapping[int, ImageGaze]
    """By image index, where there are fixations."""
    targets: Mapping[tuple[int, str], tuple[float, float]]
    """(image index, label or letter) -> centroid of the fixations that belong to it, in shares."""


def gathered(row: Row) -> Gathered:
    """Return what the report keeps of a shard row, `sources.ReportSource.summaries` being enough of one."""
    quality = [q for q in row["quality"] or () if q["sentence_id"] is None and q["value"] is not None]
    visits = sorted(row["trajectory"] or (), key=lambda visit: visit["order"])
    fixations = row["fixations"] or ()
    images = {info["image_index"]: info for info in row["image_info"] or ()}
    return Gathered(
        reading_id=row["reading_id"],
        study_key=row["study_key"] or "",
        reader_code=row["reader_code"] or "",
        is_repeat=bool(row["repeat_of"]),
        duration_s=(row["duration_ns"] or 0) / 1e9,
        metrics={q["metric"]: float(q["value"]) for q in quality},
        units={q["metric"]: q["unit"] for q in quality},
        letters=_letters(row, visits),
        visits=tuple(
            Visit(
                letter=visit["letter"] or "",
                image_index=visit["image_index"],
                t_start_s=visit["t_start_ns"] / 1e9,
                t_end_s=visit["t_end_ns"] / 1e9,
            )
            for visit in visits
        ),
        trajectory=pa.Table.from_pylist(
            [{name: visit.get(name) for name in TRAJECTORY.names} for visit in visits], schema=TRAJECTORY
        ),
        gaze={index: gaze for index, info in images.items() if (gaze := _gaze(fixations, index, info))},
        targets=_targets(row, images),
    )


def _letters(row: Row, visits: Sequence[Mapping[str, Any]]) -> dict[str, LetterGaze]:
    dwell: dict[str, float] = defaultdict(float)
    first: dict[str, float] = {}
    n_visits: dict[str, int] = defaultdict(int)
    for visit in visits:
        letter = visit["letter"] or ""
        dwell[letter] += visit["dwell_s"]
        n_visits[letter] += 1
        first.setdefault(letter, visit["t_start_ns"] / 1e9)
    covered: dict[str, float] = {}
    for look in row.get("letter_coverage") or ():
        share = look["covered_share"]
        covered[look["letter"]] = max(
            covered.get(look["letter"], 0.0), share if share is not None and np.isfinite(share) else 0.0
        )
    total = sum(dwell.values())
    return {
        letter: LetterGaze(
            dwell_s=dwell.get(letter, 0.0),
            dwell_share=dwell.get(letter, 0.0) / total if total else float("nan"),
            t_first_s=first.get(letter, float("nan")),
            covered_share=covered.get(letter, float("nan")),
            n_visits=n_visits.get(letter, 0),
        )
        for letter in dict.fromkeys([*covered, *dwell])
    }


def _gaze(fixations: Sequence[Mapping[str, Any]], index: int, info: Mapping[str, Any]) -> ImageGaze | None:
    width, height = info["matrix_width_px"], info["matrix_height_px"]
    own = [f for f in fixations if f["image_index"] == index]
    if not own or not width or not height:
        return None
    x = np.array([_number(f["x_image_px"]) for f in own]) / width
    y = np.array([_number(f["y_image_px"]) for f in own]) / height
    dwell_s = np.array([_number(f["duration_s"]) for f in own])
    inside = (x >= 0) & (x < 1) & (y >= 0) & (y < 1) & (dwell_s > 0)
    if not inside.any():
        return None
    per_deg = np.array([[_number(f["px_per_deg_x"]), _number(f["px_per_deg_y"])] for f in own])[inside]
    known = per_deg[np.isfinite(per_deg).all(axis=1) & (per_deg > 0).all(axis=1)]
    unknown_px = UNKNOWN_SIGMA_SHARE * max(width, height)
    degree = np.median(known, axis=0) if known.size else np.array([unknown_px, unknown_px])
    return ImageGaze(
        x_share=x[inside],
        y_share=y[inside],
        dwell_s=dwell_s[inside],
        sigma_share=(float(degree[0] / width), float(degree[1] / height)),
    )


def _targets(row: Row, images: Mapping[int, Mapping[str, Any]]) -> dict[tuple[int, str], tuple[float, float]]:
    """Return centroids of the fixations of the sentences that state a finding, and of those on each letter."""
    stated = {
        sentence["sentence_id"]: {
            mention["label"] for mention in sentence["mentions"] or () if mention["certainty"] == "positive"
        }
        for sentence in row["sentences"] or ()
    }
    sums: dict[tuple[int, str], NDArray[np.float64]] = {}
    for fixation in row["fixations"] or ():
        info = images.get(fixation["image_index"])
        x, y = _number(fixation["x_image_px"]), _number(fixation["y_image_px"])
        if info is None or not np.isfinite([x, y]).all():
            continue
        dwell_s = _number(fixation["duration_s"])
        labels = {label for i in fixation["sentence_ids"] or () for label in stated.get(i, ())}
        if fixation["letter"]:
            labels = labels | {f"letter {fixation['letter']}"}
        place = np.array([x / info["matrix_width_px"], y / info["matrix_height_px"], 1.0]) * dwell_s
        for label in labels:
            key = (fixation["image_index"], label)
            sums[key] = sums.get(key, np.zeros(3)) + place
    return {
        key: (float(total[0] / total[2]), float(total[1] / total[2]))
        for key, total in sums.items()
        if total[2] > 0
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)

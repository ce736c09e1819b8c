"""The numbers of the readings that are shown in full, as tables to download."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from curation.report.downloads import NumberTable
from curation.report.sources import Row

__all__ = ["reading_tables"]

Cells = Mapping[str, Any]


def reading_tables(rows: Sequence[Row]) -> tuple[NumberTable, ...]:
    """Return the tables of these shard rows; one without any row is left out."""
    made = (
        NumberTable.of(
            name, about, ({"reading_id": row["reading_id"], **cells} for row in rows for cells in of(row))
        )
        for name, about, of in _TABLES
    )
    return tuple(table for table in made if table.rows)


def _images(row: Row) -> Iterator[Cells]:
    for info in row["image_info"] or ():
        own = [f for f in row["fixations"] or () if f["image_index"] == info["image_index"]]
        yield {
            "image_index": info["image_index"], "role": info["role"], "view_position": info["view_position"],
            "width_px": info["matrix_width_px"], "height_px": info["matrix_height_px"], "n_fixations": len(own),
            "dwell_s": sum(f["duration_s"] for f in own),
        }  # fmt: skip


def _fixations(row: Row) -> Iterator[Cells]:
    for fixation in row["fixations"] or ():
        yield {
            "image_index": fixation["image_index"], "t_start_s": fixation["t_start_ns"] / 1e9,
            "duration_s": fixation["duration_s"], "x_image_px": fixation["x_image_px"],
            "y_image_px": fixation["y_image_px"], "letter": fixation["letter"], "region": fixation["region"],
        }  # fmt: skip


def _sentences(row: Row) -> Iterator[Cells]:
    for place, sentence in enumerate(sorted(row["sentences"] or (), key=lambda s: s["t_start_ns"]), start=1):
        yield {
            "sentence": place, "t_start_s": sentence["t_start_ns"] / 1e9, "t_end_s": sentence["t_end_ns"] / 1e9,
            "text": sentence["text"],
            "mentions": "; ".join(f"{m['label']} {m['certainty']}" for m in sentence["mentions"] or ()),
        }  # fmt: skip


def _keyframes(row: Row) -> Iterator[Cells]:
    said = {
        s["sentence_id"]: place
        for place, s in enumerate(sorted(row["sentences"] or (), key=lambda s: s["t_start_ns"]), start=1)
    }
    for frame in sorted(row["keyframes"] or (), key=lambda f: f["order"]):
        box, centroid = frame["box"] or [None] * 4, frame["centroid"] or [None] * 2
        yield {
            "keyframe": frame["order"] + 1, "kind": frame["kind"], "status": frame["status"],
            "sentence": said.get(frame["sentence_id"]), "image_index": frame["image_index"],
            "t_start_s": frame["t_start_ns"] / 1e9, "t_end_s": frame["t_end_ns"] / 1e9, "dwell_s": frame["dwell_s"],
            "letter": frame["letter"], "region": frame["region"], "x0_px": box[0], "y0_px": box[1], "x1_px": box[2],
            "y1_px": box[3], "x_centroid_px": centroid[0], "y_centroid_px": centroid[1],
        }  # fmt: skip


def _letters(row: Row) -> Iterator[Cells]:
    for look in row.get("letter_coverage") or ():
        yield {
            "image_index": look["image_index"], "letter": look["letter"], "t_first_s": _seconds(look["t_first_ns"]),
            "dwell_s": look["dwell_s"], "dwell_share": look["dwell_share"], "n_visits": look["n_visits"],
            "covered_share": look["covered_share"], "missed": look["missed"],
        }  # fmt: skip


def _regions(row: Row) -> Iterator[Cells]:
    for look in row.get("region_coverage") or ():
        yield {
            "image_index": look["image_index"], "region": look["region"], "letter": look["letter"],
            "t_first_s": _seconds(look["t_first_ns"]), "dwell_s": look["dwell_s"], "n_visits": look["n_visits"],
            "covered_share": look["covered_share"], "missed": look["missed"],
        }  # fmt: skip


def _findings(row: Row) -> Iterator[Cells]:
    for table in ("findings", "truth"):
        for finding in row[table] or ():
            box = finding["box"] or [None] * 4
            yield {
                "table": table, "finding_id": finding["finding_id"], "label": finding["label"],
                "present": finding["present"], "certainty": finding["certainty"],
                "image_index": finding["image_index"], "x0_px": box[0], "y0_px": box[1], "x1_px": box[2],
                "y1_px": box[3], "source": finding["source"],
            }  # fmt: skip


def _lesions(row: Row) -> Iterator[Cells]:
    for look in row.get("lesion_gaze") or ():
        yield {
            "finding_id": look["finding_id"], "reported": look["reported"], "error": look["error"],
            "t_first_s": _seconds(look["t_first_ns"]), "dwell_s": look["dwell_s"], "n_visits": look["n_visits"],
        }  # fmt: skip


def _quality(row: Row) -> Iterator[Cells]:
    for figure in row["quality"] or ():
        yield {name: figure[name] for name in ("metric", "value", "unit", "sentence_id")}


def _issues(row: Row) -> Iterator[Cells]:
    for issue in row["issues"] or ():
        yield {name: issue[name] for name in ("code", "severity", "message", "sentence_id")}


def _seconds(t_ns: int | None) -> float | None:
    return None if t_ns is None else t_ns / 1e9


_TABLES: tuple[tuple[str, str, Callable[[Row], Iterator[Cells]]], ...] = (
    ("reading_images", "images of the readings shown in full", _images),
    ("reading_fixations", "fixations of the readings shown in full", _fixations),
    ("reading_letters", "letters by image of the readings shown in full", _letters),
    ("reading_regions", "regions by image of the readings shown in full", _regions),
    ("reading_sentences", "sentences of the readings shown in full", _sentences),
    ("reading_keyframes", "key frames of the readings shown in full", _keyframes),
    ("reading_quality", "figures of quality, also by sentence, of the readings shown in full", _quality),
    ("reading_issues", "issues of the readings shown in full", _issues),
    ("reading_findings", "findings and reference lesions of the readings shown in full", _findings),
    ("reading_lesions", "gaze at the reference lesions of the readings shown in full", _lesions),
)

"""Rows of a shard made by hand, of every kind that a view must take; every value is generated."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.export.parquet_shard import ParquetShardWriter
from curation.export.pictures import encode_png
from curation.export.samples import EVENT_ROWS, SAMPLES, SamplesWriter
from curation.export.schema import SHARD, SHARD_SCHEMA_VERSION
from curation.export.shards import RowBatches

MATRIX_PX = (400, 480)
PICTURE_PX = (100, 120)
"""Width, height: a quarter, so that a picture's px are not those of the matrix."""
PHRASES = ("the heart is enlarged .", "small effusion on the left .", "no pneumothorax .")


def picture(seed: int, name: str) -> dict[str, Any]:
    """Return a small grey picture that no other seed gives."""
    rng = np.random.default_rng(seed)
    width, height = PICTURE_PX
    grey = np.clip(rng.normal(120, 30, (height, width)), 0, 255).astype(np.uint8)
    return {"bytes": encode_png(grey), "path": name}


def full_row(
    number: int, *, split: str = "train", n_images: int = 1, patient: int | None = None
) -> dict[str, Any]:
    """Return a reading with everything: gaze, three sentences with a finding each, key frames, regions, qa."""
    reading_id = hashlib.sha256(f"row {number}".encode()).hexdigest()[:16]
    row = bare_row(number, split=split, n_images=n_images, patient=patient)
    width, height = MATRIX_PX
    sentences: list[dict[str, Any]] = []
    keyframes: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    fixations: list[dict[str, Any]] = []
    for place, text in enumerate(PHRASES):
        sentence_id = hashlib.sha256(f"{number} {place}".encode()).hexdigest()[:16]
        start_ns = (1 + 3 * place) * 1_000_000_000
        sentences.append(
            {
                "sentence_id": sentence_id, "text": text, "t_start_ns": start_ns, "t_end_ns": start_ns + 2 * 10**9,
                "finding_ids": [f"f{place}"],
            }
        )  # fmt: skip
        for member in range(place + 1):
            box = [40.0 * place + 8 * member, 60.0 + 4 * member, 40.0 * place + 90.5, 200.25 + member]
            fixations.append(fixation(len(fixations), start_ns + member * 10**8, (box[0] + 20, box[1] + 30)))
            keyframes.append(
                frame(row, len(keyframes), "cluster", sentence_id, box, start_ns + member * 10**8)
            )
        keyframes.append(
            frame(row, len(keyframes), "holistic", sentence_id, [10.0, 20.0, 300.0 + place, 400.0], start_ns)
        )
        findings.append(
            {
                "finding_id": f"f{place}", "label": ("cardiomegaly", "pleural effusion", "pneumothorax")[place],
                "present": place < 2, "certainty": 0.9, "rating": None, "image_index": 0, "shape": "box",
                "box": [50.0, 60.0, width - 20.0, height - 30.0], "sentence_ids": [sentence_id], "source": "reader",
            }
        )  # fmt: skip
    visits = [
        {
            "order": place, "letter": letter, "region": region, "image_index": 0, "t_start_ns": place * 10**9,
            "t_end_ns": place * 10**9 + 5 * 10**8, "dwell_s": 0.5, "n_fixations": 2,
        }
        for place, (letter, region) in enumerate([("A", "trachea"), ("B", "left lung"), ("C", "cardiac silhouette")])
    ]  # fmt: skip
    return {
        **row,
        "reading_id": reading_id,
        "gaze_tier": "raw",
        "display": {
            "width_px": 1920, "height_px": 1080, "width_mm": 530.0, "height_mm": 298.0, "distance_mm": 650.0,
            "lag_ms": 20.0,
        },
        "indication": "shortness of breath",
        "text": " ".join(PHRASES),
        "sentences": sentences,
        "keyframes": keyframes,
        "findings": findings,
        "fixations": fixations,
        "trajectory": visits,
        "region_scheme": "gazex-v1",
        "regions": [
            {
                "image_index": 0, "region": visit["region"], "letter": visit["letter"],
                "box": [30.0, 40.0, 200.0, 300.0], "provider": "atlas", "confidence": 0.3,
            }
            for visit in visits
        ],
        "qa": [
            {"question": "is the heart enlarged", "answer": "yes", "type": "presence", "source": "imported"}
        ],
    }  # fmt: skip


def bare_row(
    number: int, *, split: str = "train", n_images: int = 0, patient: int | None = None
) -> dict[str, Any]:
    """Return a reading without gaze, words or findings, with so many pictures."""
    reading_id = hashlib.sha256(f"row {number}".encode()).hexdigest()[:16]
    empty: dict[str, Any] = {field.name: [] if pa.types.is_list(field.type) else None for field in SHARD}
    return {
        **empty,
        "reading_id": reading_id,
        "schema_version": SHARD_SCHEMA_VERSION,
        "split": split,
        "source_format": "session",
        "access_tier": "open",
        "gaze_tier": "none",
        "synthetic": True,
        "time_origin": "image_on",
        "reader_code": "R01",
        "patient_key": f"patient{number if patient is None else patient}",
        "study_key": f"study{number if patient is None else patient}",
        "reading_number": number,
        "duration_ns": 12 * 10**9,
        "images": [picture(100 * number + i, f"{reading_id}_{i}.png") for i in range(n_images)],
        "image_info": [
            {
                "image_index": i, "role": "current" if i != 1 else "prior", "view_position": "PA",
                "matrix_width_px": MATRIX_PX[0], "matrix_height_px": MATRIX_PX[1],
                "picture_width_px": PICTURE_PX[0], "picture_height_px": PICTURE_PX[1],
                "spacing_x_mm": None, "spacing_y_mm": None, "spacing_kind": "unknown", "sha256": None,
            }
            for i in range(n_images)
        ],
        "config_hash": "0" * 16,
        "tool_version": "0.1.0",
    }  # fmt: skip


def frame(
    row: dict[str, Any], index: int, kind: str, sentence_id: str | None, box: list[float] | None, t_ns: int
) -> dict[str, Any]:
    """Return a key frame; without a box it has no picture either."""
    quarter = None if box is None else [float(int(v / 4)) for v in box]
    return {
        "keyframe_index": index, "order": index, "kind": kind, "status": "no_gaze" if box is None else "ok",
        "sentence_id": sentence_id, "image_index": 0, "t_start_ns": t_ns, "t_end_ns": t_ns + 10**8, "dwell_s": 0.1,
        "profile": "published", "lead_s": 2.0, "edge_tolerance_deg": 0.0, "discarded_share": 0.0, "box": box,
        "centroid": None if box is None else [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2],
        "box_q": quarter,
        "centroid_q": None if quarter is None else [(quarter[0] + quarter[2]) / 2, (quarter[1] + quarter[3]) / 2],
        "region": "left lung", "letter": "B", "fixation_indexes": [],
        "picture": None if box is None else picture(
            10_000 + 100 * row["reading_number"] + index, f"{row['reading_id']}_k{index:03d}.png"
        ),
    }  # fmt: skip


def fixation(index: int, t_ns: int, at: tuple[float, float]) -> dict[str, Any]:
    """Return a fixation of 0.2 s."""
    return {
        "event_index": index, "t_start_ns": t_ns, "t_end_ns": t_ns + 2 * 10**8, "duration_s": 0.2, "image_index": 0,
        "x_image_px": at[0], "y_image_px": at[1], "px_per_deg_x": 30.0, "px_per_deg_y": 30.0, "dispersion_deg": 0.3,
        "pupil": 3.1, "region": "left lung", "letter": "B", "region_weight": 0.8,
    }  # fmt: skip


def varied_rows() -> list[dict[str, Any]]:
    """Return rows of every kind: whole, several pictures, no gaze, no words, no pictures, no boxes, nothing."""
    several = full_row(2, n_images=3)
    no_gaze = {**full_row(3, split="validate"), "fixations": [], "trajectory": [], "keyframes": []}
    no_words = {**full_row(4), "text": None, "words": [], "sentences": [], "findings": [], "qa": []}
    no_pictures = full_row(5, n_images=0, split="test")
    no_pictures["keyframes"] = [{**f, "picture": None} for f in no_pictures["keyframes"]]
    no_boxes = full_row(6)
    no_boxes["keyframes"] = [
        frame(no_boxes, f["keyframe_index"], f["kind"], f["sentence_id"], None, f["t_start_ns"])
        for f in no_boxes["keyframes"]
    ]
    no_boxes["findings"] = [{**f, "box": None, "shape": "none"} for f in no_boxes["findings"]]
    return [full_row(1), several, no_gaze, no_words, no_pictures, no_boxes, bare_row(7)]


def write_shards(dataset: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as the Parquet shards of a dataset, one file per split."""
    (dataset / "readings").mkdir(parents=True)
    for split in sorted({row["split"] for row in rows}):
        writer = ParquetShardWriter(
            dataset / "readings" / f"{split}-00000-of-00001.parquet",
            row_group_bytes=1 << 20,
            row_group_rows=2,
        )
        with RowBatches(writer) as batches:
            for row in rows:
                if row["split"] == split:
                    batches.add(row)
    for row in rows:
        if row["fixations"]:
            write_gaze(dataset, row)
    return dataset


def write_gaze(dataset: Path, row: dict[str, Any]) -> None:
    """Write samples at 250 Hz that lie on the row's fixations and nowhere else, and those fixations as events."""
    reading_id = row["reading_id"]
    samples, events = [], []
    for fixation in row["fixations"]:
        at = {"x_image_px": fixation["x_image_px"], "y_image_px": fixation["y_image_px"], "image_index": 0}
        constant = {
            "reading_id": reading_id, **at, "x_screen_px": at["x_image_px"] + 500.0, "valid": True,
            "y_screen_px": at["y_image_px"] + 100.0, "event_index": fixation["event_index"], "event_kind": "fixation",
            "source": "simulated", "combined_by": "device", "pupil_unit": "mm",
        }  # fmt: skip
        times = range(fixation["t_start_ns"], fixation["t_end_ns"], 4_000_000)
        samples += [{**constant, "t_ns": t_ns} for t_ns in times]
        span = {name: fixation[name] for name in ("event_index", "t_start_ns", "t_end_ns")}
        events.append({"reading_id": reading_id, "kind": "fixation", **span, **at})
    unique = {sample["t_ns"]: sample for sample in samples}
    for folder, schema, values in (
        ("samples", SAMPLES, [unique[t_ns] for t_ns in sorted(unique)]),
        ("events", EVENT_ROWS, events),
    ):
        (dataset / folder).mkdir(exist_ok=True)
        table = pa.Table.from_pylist(values, schema=schema)
        with SamplesWriter(dataset / folder / f"{reading_id}.parquet", schema) as writer:
            writer.write(table)

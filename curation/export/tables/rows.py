"""The rows of the tables, from the shard row of a reading: what privacy took out of it is out of them too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["SHARD_COLUMNS", "table_rows"]

Row = Mapping[str, Any]

SHARD_COLUMNS: Final = (
    "reading_id", "split", "split_official", "source_format", "access_tier", "gaze_tier", "synthetic", "time_origin",
    "reader_code", "reader_site", "patient_key", "study_key", "sex", "age_band", "session_key", "reading_number",
    "minutes_into_session", "repeat_of", "study_arm", "duration_ns", "gaze_quality", "tracker", "display",
    "image_info[].image_index", "words[].t_start_ns", "sentences[].sentence_id", "fixations",
    "saccades[].amplitude_deg", "trajectory[].letter", "region_coverage", "lesion_gaze", "region_scheme", "regions",
    "findings[].present", "truth", "quality", "issues",
)  # fmt: skip
"""What `table_rows` reads of a row: no pictures, no texts."""


def table_rows(row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (table, values by column) of a shard row (`curation.export.schema.SHARD`).

    Values are Python's; None and NaN are missing.
    """
    keys = _keys(row)
    yield "readings", {**keys, **_reading(row)}
    for values in _regions(row):
        yield "reading_regions", {**keys, **values}
    for values in _lesions(row):
        yield "lesions", {**keys, **values}
    for values in _fixations(row):
        yield "fixations", {**keys, **values}


def _keys(row: Row) -> dict[str, Any]:
    quality = row["gaze_quality"] or {}
    return {
        "reading_id": row["reading_id"],
        "reader": row["reader_code"],
        "case": row["study_key"],
        "patient": row["patient_key"],
        "arm": row["study_arm"],
        "session": row["session_key"],
        "order": row["reading_number"],
        "minutes_since_start": row["minutes_into_session"],
        "split": row["split"],
        **{name: quality.get(name) for name in ("accuracy_deg", "rms_s2s_deg", "loss_share")},
    }


def _reading(row: Row) -> dict[str, Any]:
    metrics = {m["metric"]: m["value"] for m in row["quality"] if m["sentence_id"] is None}
    tracker, display = row["tracker"] or {}, row["display"] or {}
    durations_s = [fixation["duration_s"] for fixation in row["fixations"]]
    on_image = [f["t_start_ns"] for f in row["fixations"] if f["image_index"] is not None]
    letters = list(dict.fromkeys(visit["letter"] for visit in row["trajectory"]))
    return {
        **{
            name: row[name]
            for name in (
                "source_format", "split_official", "access_tier", "gaze_tier", "synthetic", "time_origin",
                "reader_site", "repeat_of", "sex", "age_band", "region_scheme",
            )
        },
        "tracker_manufacturer": tracker.get("manufacturer"),
        "tracker_model": tracker.get("model"),
        "nominal_rate_hz": tracker.get("nominal_rate_hz"),
        "effective_rate_hz": metrics.get("effective_rate"),
        "screen_width_px": display.get("width_px"),
        "screen_height_px": display.get("height_px"),
        "screen_width_mm": display.get("width_mm"),
        "screen_height_mm": display.get("height_mm"),
        "viewing_distance_mm": display.get("distance_mm"),
        "duration_s": row["duration_ns"] / 1e9,
        "n_images": len(row["image_info"]),
        "n_words": len(row["words"]),
        "n_sentences": len(row["sentences"]),
        "n_fixations": len(durations_s),
        "fixation_time_s": math.fsum(durations_s),
        "mean_fixation_s": _mean(durations_s),
        "first_fixation_s": _seconds(min(on_image, default=None)),
        "mean_saccade_deg": _mean([saccade["amplitude_deg"] for saccade in row["saccades"]]),
        "letter_order": "".join(letters),
        "n_visits": len(row["trajectory"]),
        "n_findings": sum(bool(finding["present"]) for finding in row["findings"]),
        "n_lesions": sum(bool(lesion["present"]) for lesion in row["truth"]),
        "n_lesions_reported": sum(bool(lesion["reported"]) for lesion in row["lesion_gaze"]),
        "sd_deg": metrics.get("sd"),
        "longest_loss_s": metrics.get("longest_loss"),
        "off_image_share": metrics.get("off_image_share"),
        "dictation_overlap_share": metrics.get("dictation_overlap"),
        "n_warnings": sum(issue["severity"] == "warning" for issue in row["issues"]),
        "issue_codes": " ".join(sorted({issue["code"] for issue in row["issues"]})),
    }  # fmt: skip


def _regions(row: Row) -> Iterator[dict[str, Any]]:
    known = {(region["image_index"], region["region"]): region for region in row["regions"]}
    for covered in row["region_coverage"]:
        region = known.get((covered["image_index"], covered["region"]), {})
        yield {
            **{
                name: covered[name]
                for name in (
                    "image_index", "region", "letter", "dwell_s", "n_fixations", "n_visits", "covered_share",
                    "missed",
                )
            },
            **_box(region.get("box")),
            "provider": region.get("provider"),
            "confidence": region.get("confidence"),
            "first_fixation_s": _seconds(covered["t_first_ns"]),
        }  # fmt: skip


def _lesions(row: Row) -> Iterator[dict[str, Any]]:
    gaze = {seen["finding_id"]: seen for seen in row["lesion_gaze"]}
    for lesion in row["truth"]:
        if not lesion["present"]:
            continue
        seen = gaze.get(lesion["finding_id"], {})
        n_fixations = seen.get("n_fixations")
        yield {
            **{name: lesion[name] for name in ("finding_id", "label", "source", "image_index", "shape")},
            **_box(lesion["box"]),
            "reported": seen.get("reported"),
            "looked_at": None if n_fixations is None else n_fixations > 0,
            "first_fixation_s": _seconds(seen.get("t_first_ns")),
            **{name: seen.get(name) for name in ("dwell_s", "n_fixations", "n_visits", "error")},
        }


def _fixations(row: Row) -> Iterator[dict[str, Any]]:
    before: Row | None = None
    for place, fixation in enumerate(row["fixations"], start=1):
        yield {
            "fixation": place,
            **{
                name: fixation[name]
                for name in (
                    "event_index", "duration_s", "image_index", "x_image_px", "y_image_px", "dispersion_deg",
                    "pupil", "region", "letter", "region_weight",
                )
            },
            "start_s": _seconds(fixation["t_start_ns"]),
            "end_s": _seconds(fixation["t_end_ns"]),
            "since_last_s": None if before is None else _seconds(fixation["t_start_ns"] - before["t_end_ns"]),
            "image_px_per_deg_x": fixation["px_per_deg_x"],
            "image_px_per_deg_y": fixation["px_per_deg_y"],
            "step_deg": _step_deg(before, fixation),
            "sentence_id": next(iter(fixation["sentence_ids"] or ()), None),
            "on_finding": bool(fixation["finding_ids_by_box"]),
        }  # fmt: skip
        before = fixation


def _step_deg(before: Row | None, fixation: Row) -> float | None:
    if before is None or fixation["image_index"] is None or before["image_index"] != fixation["image_index"]:
        return None
    steps = [
        (fixation[f"{axis}_image_px"] - before[f"{axis}_image_px"]) / fixation[f"px_per_deg_{axis}"]
        if fixation[f"px_per_deg_{axis}"]
        else math.nan
        for axis in ("x", "y")
    ]
    return math.hypot(*steps)


def _box(box: list[float] | None) -> dict[str, float | None]:
    names = ("x0_image_px", "y0_image_px", "x1_image_px", "y1_image_px")
    return dict(zip(names, box or (None,) * 4, strict=True))


def _seconds(t_ns: int | None) -> float | None:
    return None if t_ns is None else t_ns / 1e9


def _mean(values: list[float]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None
